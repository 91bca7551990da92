//! Every kernel as Metal would get it: made on any machine, checked for what Metal does not have, two kept as text.

use std::path::Path;
use std::sync::Arc;

use naga::{AddressSpace, back::msl, valid};
use olivine_gpu::device::{Allocation, Command};
use olivine_gpu::expression::{Binary, Expression, Unary};
use olivine_gpu::ops::matmul::{Gate, Input, Matmul, matmul};
use olivine_gpu::ops::weights::{Code, Layout, Matrix, Scale};
use olivine_gpu::ops::{
    attention, copy, elementwise, embedding, gather, greatest, moe, norm, random, recurrent, rows, scan, sort,
};
use olivine_gpu::wgpu::products::{Shape, rewrite};
use olivine_gpu::{Kernel, List, Memory, wgsl};
use olivine_kernels::quant::{FORMATS, ScaleType};

/// Memory of no device.
fn paper() -> Memory {
    Memory::new(Allocation { device: 0, handle: 0, bytes: 1 << 40, release: Box::new(|_| {}), cards: vec![] })
}

fn products(list: &mut List, memory: &Memory) {
    let mut layouts: Vec<Layout> = FORMATS.iter().filter_map(|info| Layout::of(info.format, ScaleType::Bf16)).collect();
    layouts.extend([Code::Bf16, Code::F16, Code::F32].map(Layout::dense));
    layouts.push(Layout { scale: Scale::PairF32, ..layouts[0] });
    for layout in layouts {
        let parts = [0; 4].map(|_| Some(memory.clone()));
        let matrix = Matrix { layout, rows: 4096, columns: 4096, global_scale: 1.0, scale_up: 1.0, parts };
        for count in [1, 2, 4, 8, 16, 32, 512] {
            matmul(list, &matrix, memory, 8192, count, &Matmul::default(), memory);
        }
        for columns in [2048, 2560, 12288] {
            let matrix = Matrix { columns, ..matrix.clone() };
            matmul(list, &matrix, memory, 12288, 1, &Matmul::default(), memory);
        }
        // Products with a sum behind them, which go elsewhere.
        for count in [1, 16, 512] {
            let [out, sum] = [paper(), paper()];
            matmul(list, &matrix, memory, 8192, count, &Matmul::default(), &out);
            let formula = Expression::input(0).binary(Binary::Add, Expression::input(1));
            let operand = |memory| elementwise::Operand { memory, divide: 1, modulo: 4096 * count };
            elementwise::elementwise(
                list,
                &Arc::new(formula),
                &[operand(memory), operand(&out)],
                &[],
                4096 * count,
                &sum,
            );
        }
        let input = Input::Norm { weight: memory, epsilon: 1e-6 };
        let around = Matmul { input, bias: Some(memory), residual: Some(memory), ..Matmul::default() };
        for count in [8, 512] {
            matmul(list, &matrix, memory, 8192, count, &around, memory);
        }
        let input = Input::Gated(Gate::Clamped { alpha: 1.702, limit: 7.0 });
        matmul(list, &matrix, memory, 8192, 8, &Matmul { input, ..Matmul::default() }, memory);
        embedding::embedding(list, &matrix, memory, 8, 1.0, memory);
    }
}

fn attentions(list: &mut List, memory: &Memory) {
    use attention::Element;
    let elements = [Element::F32, Element::F16, Element::Bf16, Element::Q8, Element::Q4];
    for (element, dim) in elements.into_iter().flat_map(|element| [64, 128, 256].map(|dim| (element, dim))) {
        let shape = attention::KvShape { kv_heads: 2, key_dim: dim, value_dim: dim, page_tokens: 64, element };
        let rows =
            attention::Rows { rows: memory.clone(), tables: memory.clone(), count: 3, most_keys: 4096, alone: false };
        let pass = attention::Heads {
            heads: 16,
            kv_heads: 2,
            head_dim: dim,
            row_stride: 20 * dim,
            norms: Some((memory, memory)),
            epsilon: 1e-6,
            rope: Some((memory, dim, false)),
        };
        attention::heads(list, &pass, 3, memory);
        attention::write(list, &shape, &rows, memory, 20 * dim, 16 * dim, memory);
        // Behind the heads it is one dispatch with them, and once more alone.
        attention::write(list, &shape, &rows, memory, 20 * dim, 16 * dim, memory);
        let attend = attention::Attention {
            heads: 16,
            shape,
            row_stride: 20 * dim,
            out_stride: 16 * dim,
            scale: 0.1,
            window: Some(100),
            soft_cap: Some(30.0),
            sinks: Some(memory),
        };
        attention::attend(list, &attend, &rows, memory, memory, Some(memory), memory);
        for count in [500, 8000] {
            let rows = attention::Rows { count, ..rows.clone() };
            attention::attend(list, &attend, &rows, memory, memory, None, memory);
        }
        // Rows of a sequence each, all in one.
        for most_keys in [256, 4096] {
            let rows = attention::Rows { most_keys, alone: true, ..rows.clone() };
            attention::heads(list, &pass, 3, memory);
            attention::write(list, &shape, &rows, memory, 20 * dim, 16 * dim, memory);
            attention::attend(list, &attend, &rows, memory, memory, Some(memory), memory);
        }
    }
}

fn others(list: &mut List, memory: &Memory) {
    use copy::{Element, View};
    let formula = Expression::input(0).unary(Unary::Silu).binary(Binary::Multiply, Expression::input(1));
    let operand = elementwise::Operand { memory, divide: 1, modulo: 64 };
    elementwise::elementwise(list, &Arc::new(formula), &[operand; 2], &[1.0], 64, memory);
    elementwise::gated(list, Gate::GeluTanh, memory, [128, 64], [2, 64], memory);
    for (from, to) in [(Element::Word, Element::F16), (Element::Bf16, Element::Word), (Element::F16, Element::Bf16)] {
        let view = |element| View { memory, element, start: 0, strides: [64, 16, 4, 1] };
        copy::copy(list, [2, 4, 4, 4], view(from), view(to));
    }
    copy::take(list, memory, [8, 8], memory, 4, memory);
    copy::scatter(list, memory, [8, 8], memory, 4, memory);
    gather::rows(list, memory, memory, 64, 4, memory);
    for kind in [norm::NormKind::Rms, norm::NormKind::Layer] {
        let plan = norm::Norm { kind, weight: Some(memory), bias: Some(memory), epsilon: 1e-5 };
        norm::norm(list, &plan, memory, 64, [2, 64], Some(memory), memory);
    }
    use rows::RowKind;
    for kind in [RowKind::Softmax, RowKind::Sum, RowKind::Mean, RowKind::Maximum, RowKind::Minimum, RowKind::ArgMaximum]
    {
        rows::rows(list, kind, memory, 64, [2, 64], 1.0, memory);
    }
    use scan::ScanKind;
    for kind in [ScanKind::Sum, ScanKind::Product, ScanKind::Maximum, ScanKind::Minimum] {
        scan::scan(list, kind, scan::Direction::default(), memory, 64, [2, 64], memory);
    }
    sort::sort(list, memory, 5000, [2, 5000], memory, memory, memory);
    random::words(list, memory, 100, memory);
    for count in [1, 64] {
        greatest::greatest(list, memory, [2, 5000], count, Some((memory, memory)), memory, memory);
        greatest::greatest(list, memory, [2, 5000], count, None, memory, memory);
    }
    for scoring in [moe::Scoring::Softmax, moe::Scoring::SoftmaxOfChosen, moe::Scoring::Sigmoid] {
        let groups = (scoring == moe::Scoring::Sigmoid).then_some((8, 4));
        let correction = groups.map(|_| memory);
        let router = moe::Router { experts: 512, active: 8, scoring, correction, normalize: true, scale: 1.0, groups };
        moe::route(list, &router, memory, 3, memory, memory);
    }
    moe::sort(list, memory, 24, 512, 8, memory, memory);
    moe::mix(list, memory, memory, [3, 8, 64], Some(memory), memory);
    let states = recurrent::States { spans: memory, count: 2, states: memory };
    let plan = recurrent::Convolution { channels: 64, kernel: 4, weight: memory, bias: Some(memory), has_silu: true };
    recurrent::convolution(list, &plan, &states, memory, 64, memory);
    let shape = recurrent::DeltaShape { key_heads: 2, value_heads: 4, key_dim: 256, value_dim: 256 };
    let pair = (memory, 512);
    let inputs = recurrent::DeltaInputs { queries: pair, keys: pair, values: pair, decay: memory, beta: memory };
    recurrent::gated_delta(list, &shape, &inputs, &states, memory);
}

/// Every kernel in many specialisations, products as devices of these shapes do them.
fn kernels(shapes: &[Shape]) -> Vec<Kernel> {
    let (mut list, memory) = (List::new(), paper());
    products(&mut list, &memory);
    attentions(&mut list, &memory);
    others(&mut list, &memory);
    let mut commands = vec![];
    for &shape in shapes {
        commands.extend(rewrite(&list, shape, &|_| Ok(memory.clone())).expect("paper has room"));
    }
    let mut kernels = vec![];
    for command in commands {
        if let Command::Dispatch { kernel, .. } = &*command
            && !kernels.contains(kernel)
        {
            kernels.push(kernel.clone());
        }
    }
    kernels
}

/// What Metal compiles.
struct Metal {
    text: String,
    /// Of a workgroup.
    shared_bytes: u32,
    threads: u32,
}

/// The module of a kernel, which is valid.
fn parsed(kernel: &Kernel) -> (naga::Module, valid::ModuleInfo) {
    let text = wgsl::module(kernel, &[]).expect("specialised").text;
    let module = naga::front::wgsl::parse_str(&text).unwrap_or_else(|error| {
        panic!("{kernel:?}: {}", error.emit_to_string(&text));
    });
    let capabilities = valid::Capabilities::IMMEDIATES
        | valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32
        | valid::Capabilities::SHADER_FLOAT16
        | valid::Capabilities::SUBGROUP
        | valid::Capabilities::SUBGROUP_BARRIER
        | valid::Capabilities::COOPERATIVE_MATRIX;
    let mut validator = valid::Validator::new(valid::ValidationFlags::all(), capabilities);
    let info =
        validator.validate(&module).unwrap_or_else(|error| panic!("{kernel:?}: {}", error.emit_to_string(&text)));
    (module, info)
}

fn shared_bytes(module: &naga::Module) -> u32 {
    let context = module.to_ctx();
    let shared = module.global_variables.iter().filter(|(_, variable)| variable.space == AddressSpace::WorkGroup);
    shared.map(|(_, variable)| context.types[variable.ty].inner.size(context)).sum()
}

fn metal(kernel: &Kernel) -> Metal {
    let (module, info) = parsed(kernel);
    let options = msl::Options { lang_version: (2, 4), fake_missing_bindings: true, ..msl::Options::default() };
    let (text, _) = msl::write_string(&module, &info, &options, &msl::PipelineOptions::default())
        .unwrap_or_else(|error| panic!("{kernel:?}: {error}"));
    let shared_bytes = shared_bytes(&module);
    let threads = module.entry_points[0].workgroup_size.iter().product();
    Metal { text, shared_bytes, threads }
}

#[test]
fn every_kernel_becomes_metal_within_its_limits() {
    let kernels = kernels(&[Shape::Floats { wide: false }, Shape::Matrices { size: 8, subgroup: 32 }]);
    for name in wgsl::kernels() {
        assert!(kernels.iter().any(|kernel| kernel.name == name), "{name} is not among the kernels of this test");
    }
    for kernel in &kernels {
        let Metal { text, shared_bytes, threads } = metal(kernel);
        assert!(text.contains("kernel void main_("), "{kernel:?} has no entry");
        assert!(shared_bytes <= 32 << 10, "{kernel:?} takes {shared_bytes} bytes of a workgroup's memory");
        let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        assert!(!words.any(|word| word == "double"), "{kernel:?}: Metal has no f64");
        // Matrices are 8 by 8, are never the work of a lone subgroup (which Apple's compiler gets wrong), are made by
        // loading (whether braces clear them is nowhere said), and Metal has no sums of two.
        let matrices = text.matches("metal::simdgroup_").count() - text.matches("metal::simdgroup_barrier").count();
        if matrices > 0 {
            assert_eq!(
                text.matches("metal::simdgroup_half8x8").count() + text.matches("metal::simdgroup_float8x8").count(),
                matrices,
                "{kernel:?}"
            );
            assert!(threads >= 64, "{kernel:?}: {threads} threads");
            assert!(!text.contains("8x8 {}") && !text.contains("8x8{}"), "{kernel:?}: a matrix without content");
            let sums = text.lines().filter(|line| line.contains("simdgroup_float8x8 total"));
            assert_eq!(sums.count(), 0, "{kernel:?}: matrices are added");
        }
        assert_eq!(kernel.name.starts_with("matmul_matrix"), matrices > 0, "{kernel:?}");
    }
    for (name, kept) in SNAPSHOTS {
        let kernel = kernels.iter().find(|kernel| kernel.name == name).expect("checked above");
        snapshot(name, kept, &metal(kernel).text);
    }
}

/// Those are no kernels of Metal's; nothing else here compiles them where no device has them.
#[test]
fn kernels_with_matrices_of_16_are_valid_and_fit_a_workgroup() {
    for kernel in kernels(&[Shape::Matrices { size: 16, subgroup: 32 }]) {
        if kernel.name.starts_with("matmul_matrix") {
            let (module, _) = parsed(&kernel);
            let shared_bytes = shared_bytes(&module);
            assert!(shared_bytes <= 48 << 10, "{kernel:?} takes {shared_bytes} bytes of a workgroup's memory");
        }
    }
}

/// A kernel and its text, in the binary: it may run where there are no sources.
macro_rules! kept {
    ($name:literal) => {
        ($name, include_str!(concat!("snapshots/", $name, ".metal")))
    };
}

const SNAPSHOTS: [(&str, &str); 8] = [
    kept!("norm"),
    kept!("mix"),
    kept!("attention_tile"),
    kept!("matmul_input"),
    kept!("matmul_tile"),
    kept!("matmul_matrix_few"),
    kept!("matmul_matrix_one"),
    kept!("matmul_matrix"),
];

/// Compare with the kept text; `OLIVINE_RENEW=1` writes it anew.
fn snapshot(name: &str, kept: &str, text: &str) {
    if std::env::var_os("OLIVINE_RENEW").is_some() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels/snapshots");
        return std::fs::write(folder.join(format!("{name}.metal")), text).expect("written");
    }
    assert!(kept == text, "{name} is another Metal text: look at it, then OLIVINE_RENEW=1\n{text}");
}
