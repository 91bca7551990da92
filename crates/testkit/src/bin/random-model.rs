//! `random-model SHAPE FORMAT FOLDER [LAYERS]`: a checkpoint of random weights with the shapes of a real model, for measuring speed
//! where no model can be had. Its tokens mean nothing. One file of up to tens of GB, written by all cores.
//!
//! Formats: `bf16`, and `affine4`, `affine8` (groups of 64, bf16 scales) and `nvfp4` as MLX stores them; `mxfp4`: experts as
//! gpt-oss stores them, all else in bf16. Norms and routers stay bf16, or f32 where a shape's name says so.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use half::bf16;
use serde_json::{Map, Value, json};

/// Weights of a group share a scale and a bias.
const GROUP: usize = 64;

/// Blocks of MXFP4 share a scale.
const MX_BLOCK: usize = 32;

/// Values of NVFP4 that share a scale.
const NV_GROUP: usize = 16;

/// What a model has besides its sizes.
#[derive(Clone, Copy, PartialEq)]
enum Family {
    /// Norms of heads.
    Qwen3,
    /// Biases everywhere, sinks, and a window of so many tokens in every other layer.
    GptOss { window: usize },
}

/// How its matrices are stored.
#[derive(Clone, Copy, PartialEq)]
enum Format {
    Bf16,
    Affine(usize),
    Nvfp4,
    Mxfp4,
}

/// Sizes of a model.
struct Shape {
    name: &'static str,
    family: Family,
    /// Type of its routers.
    router: &'static str,
    hidden: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    width: usize,
    vocabulary: usize,
    tied: bool,
    /// Experts, and how many a token goes to; 0 for a dense model.
    experts: (usize, usize),
}

const QWEN3_30B_A3B: Shape = Shape {
    name: "qwen3-30b-a3b",
    family: Family::Qwen3,
    router: "BF16",
    hidden: 2048,
    layers: 48,
    heads: 32,
    kv_heads: 4,
    head_dim: 128,
    width: 768,
    vocabulary: 151_936,
    tied: false,
    experts: (128, 8),
};

const SHAPES: &[Shape] = &[
    Shape {
        name: "qwen3-tiny",
        family: Family::Qwen3,
        router: "BF16",
        hidden: 128,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 64,
        width: 256,
        vocabulary: 1024,
        tied: true,
        experts: (0, 0),
    },
    Shape {
        name: "qwen3-moe-tiny",
        family: Family::Qwen3,
        router: "BF16",
        hidden: 128,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 64,
        width: 128,
        vocabulary: 1024,
        tied: false,
        experts: (8, 2),
    },
    Shape {
        name: "qwen3-0.6b",
        family: Family::Qwen3,
        router: "BF16",
        hidden: 1024,
        layers: 28,
        heads: 16,
        kv_heads: 8,
        head_dim: 128,
        width: 3072,
        vocabulary: 151_936,
        tied: true,
        experts: (0, 0),
    },
    Shape {
        name: "qwen3-1.7b",
        family: Family::Qwen3,
        router: "BF16",
        hidden: 2048,
        layers: 28,
        heads: 16,
        kv_heads: 8,
        head_dim: 128,
        width: 6144,
        vocabulary: 151_936,
        tied: true,
        experts: (0, 0),
    },
    Shape {
        name: "qwen3-8b",
        family: Family::Qwen3,
        router: "BF16",
        hidden: 4096,
        layers: 36,
        heads: 32,
        kv_heads: 8,
        head_dim: 128,
        width: 12_288,
        vocabulary: 151_936,
        tied: false,
        experts: (0, 0),
    },
    // Llama's sizes, with the norms of heads that Qwen3 has.
    Shape {
        name: "70b",
        family: Family::Qwen3,
        router: "BF16",
        hidden: 8192,
        layers: 80,
        heads: 64,
        kv_heads: 8,
        head_dim: 128,
        width: 28_672,
        vocabulary: 128_256,
        tied: false,
        experts: (0, 0),
    },
    QWEN3_30B_A3B,
    // The same as GGUF files have it.
    Shape { name: "qwen3-30b-a3b-f32-routers", router: "F32", ..QWEN3_30B_A3B },
    Shape {
        name: "gpt-oss-tiny",
        family: Family::GptOss { window: 32 },
        router: "BF16",
        hidden: 128,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 64,
        width: 128,
        vocabulary: 1024,
        tied: false,
        experts: (8, 2),
    },
    Shape {
        name: "gpt-oss-20b",
        family: Family::GptOss { window: 128 },
        router: "BF16",
        hidden: 2880,
        layers: 24,
        heads: 64,
        kv_heads: 8,
        head_dim: 64,
        width: 2880,
        vocabulary: 201_088,
        tied: false,
        experts: (32, 4),
    },
];

/// How the elements of a stored tensor are made.
#[derive(Clone, Copy)]
enum Fill {
    Weights,
    /// The same in f32.
    WideWeights,
    Ones,
    Codes,
    Constant(f32),
    Byte(u8),
}

struct Tensor {
    name: String,
    dtype: &'static str,
    shape: Vec<usize>,
    bytes: usize,
    fill: Fill,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (arguments, layers) = arguments.split_at(arguments.len().min(3));
    let [shape, format, folder] = arguments else {
        let names: Vec<&str> = SHAPES.iter().map(|shape| shape.name).collect();
        eprintln!(
            "random-model SHAPE FORMAT FOLDER [LAYERS]; shapes: {}; formats: bf16, affine4, affine8, nvfp4, mxfp4",
            names.join(", ")
        );
        return ExitCode::FAILURE;
    };
    let kind = match format.as_str() {
        "bf16" => Format::Bf16,
        "affine4" => Format::Affine(4),
        "affine8" => Format::Affine(8),
        "nvfp4" => Format::Nvfp4,
        "mxfp4" => Format::Mxfp4,
        _ => {
            eprintln!("random-model: no format {format}; there are bf16, affine4, affine8, nvfp4, mxfp4");
            return ExitCode::FAILURE;
        }
    };
    let Some(shape) = SHAPES.iter().find(|known| known.name == shape) else {
        eprintln!("random-model: no shape {shape}");
        return ExitCode::FAILURE;
    };
    if matches!(shape.family, Family::GptOss { .. }) != (kind == Format::Mxfp4) {
        eprintln!("random-model: {} has no {format}: gpt-oss is stored in mxfp4, and nothing else is", shape.name);
        return ExitCode::FAILURE;
    }
    let layers = layers.first().map_or(Ok(shape.layers), |layers| layers.parse());
    let Ok(layers) = layers else {
        eprintln!("random-model: LAYERS is a number");
        return ExitCode::FAILURE;
    };
    let shape = &Shape { layers, ..*shape };
    match write(shape, kind, Path::new(folder)) {
        Ok(bytes) => {
            println!("{folder}: {} {format}, {:.2} GB", shape.name, bytes as f64 / 1e9);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("random-model: {folder}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(shape: &Shape, format: Format, folder: &Path) -> std::io::Result<usize> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("config.json"), format!("{:#}", shape.config(format)))?;
    let tensors = shape.tensors(format);
    let mut header = Map::new();
    let mut starts = Vec::with_capacity(tensors.len());
    let mut end = 0;
    for tensor in &tensors {
        starts.push(end);
        header.insert(
            tensor.name.clone(),
            json!({ "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [end, end + tensor.bytes] }),
        );
        end += tensor.bytes;
    }
    let mut text = Value::Object(header).to_string();
    text.push_str(&" ".repeat(text.len().next_multiple_of(64) - text.len()));
    let path = folder.join("model.safetensors");
    let mut file = File::create(&path)?;
    file.write_all(&(text.len() as u64).to_le_bytes())?;
    file.write_all(text.as_bytes())?;
    let base = 8 + text.len();
    file.set_len((base + end) as u64)?;
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    std::thread::scope(|scope| {
        let fill = || {
            let mut file = File::options().write(true).open(&path)?;
            loop {
                let index = next.fetch_add(1, Relaxed);
                let Some(tensor) = tensors.get(index) else { return Ok(()) };
                file.seek(SeekFrom::Start((base + starts[index]) as u64))?;
                fill_tensor(&mut file, tensor, index as u64)?;
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(fill)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })
    .map(|()| base + end)
}

fn fill_tensor(file: &mut File, tensor: &Tensor, seed: u64) -> std::io::Result<()> {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut block = vec![0u8; tensor.bytes.min(8 << 20)];
    let mut left = tensor.bytes;
    while left > 0 {
        let part = &mut block[..left.min(8 << 20)];
        match tensor.fill {
            Fill::Codes => part.chunks_mut(8).for_each(|to| to.copy_from_slice(&next().to_le_bytes()[..to.len()])),
            Fill::Weights => part.chunks_mut(8).for_each(|to| {
                let bits = next();
                for (lane, to) in to.chunks_exact_mut(2).enumerate() {
                    let uniform = f32::from((bits >> (16 * lane)) as i16) / 32768.0;
                    to.copy_from_slice(&bf16::from_f32(0.035 * uniform).to_le_bytes());
                }
            }),
            Fill::WideWeights => part.chunks_exact_mut(4).for_each(|to| {
                let uniform = (next() >> 32) as i32 as f32 / 2_147_483_648.0;
                to.copy_from_slice(&(0.035 * uniform).to_le_bytes());
            }),
            Fill::Byte(value) => part.fill(value),
            Fill::Ones => part.chunks_exact_mut(2).for_each(|to| to.copy_from_slice(&bf16::ONE.to_le_bytes())),
            Fill::Constant(value) => {
                let value = bf16::from_f32(value).to_le_bytes();
                part.chunks_exact_mut(2).for_each(|to| to.copy_from_slice(&value));
            }
        }
        file.write_all(part)?;
        left -= part.len();
    }
    Ok(())
}

impl Shape {
    fn config(&self, format: Format) -> Value {
        let (experts, active) = self.experts;
        let mut config = json!({
            "hidden_size": self.hidden, "num_hidden_layers": self.layers, "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads, "head_dim": self.head_dim, "intermediate_size": self.width,
            "vocab_size": self.vocabulary, "tie_word_embeddings": self.tied, "torch_dtype": "bfloat16",
            "hidden_act": "silu"
        });
        let own = match self.family {
            Family::Qwen3 => json!({
                "model_type": if experts > 0 { "qwen3_moe" } else { "qwen3" }, "rms_norm_eps": 1e-6,
                "rope_theta": 1_000_000.0, "max_position_embeddings": 262_144, "attention_bias": false
            }),
            Family::GptOss { window } => {
                let kinds = ["sliding_attention", "full_attention"];
                let kinds: Vec<&str> = (0..self.layers).map(|layer| kinds[layer % 2]).collect();
                json!({
                    "model_type": "gpt_oss", "rms_norm_eps": 1e-5, "rope_theta": 150_000.0,
                    "max_position_embeddings": 131_072, "initial_context_length": 4096, "attention_bias": true,
                    "num_local_experts": experts, "num_experts_per_tok": active, "experts_per_token": active,
                    "sliding_window": window, "layer_types": kinds, "swiglu_limit": 7.0,
                    "rope_scaling": {
                        "rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false,
                        "original_max_position_embeddings": 4096
                    }
                })
            }
        };
        let mut add = |values: Value| {
            let Value::Object(values) = values else { unreachable!("an object") };
            values.into_iter().for_each(|(name, value)| config[name] = value);
        };
        add(own);
        if experts > 0 && self.family == Family::Qwen3 {
            add(json!({
                "num_experts": experts, "num_experts_per_tok": active, "moe_intermediate_size": self.width,
                "norm_topk_prob": true, "decoder_sparse_step": 1, "mlp_only_layers": []
            }));
        }
        match format {
            Format::Bf16 => {}
            Format::Affine(bits) => {
                add(json!({ "quantization": { "group_size": GROUP, "bits": bits, "mode": "affine" } }));
            }
            Format::Nvfp4 => {
                add(json!({ "quantization": { "group_size": NV_GROUP, "bits": 4, "mode": "nvfp4" } }));
            }
            Format::Mxfp4 => {
                let kept = ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"];
                add(json!({ "quantization_config": { "quant_method": "mxfp4", "modules_to_not_convert": kept } }));
            }
        }
        config
    }

    fn tensors(&self, format: Format) -> Vec<Tensor> {
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let mut list = Vec::new();
        matrix(&mut list, format, "model.embed_tokens", &[self.vocabulary, self.hidden]);
        for layer in 0..self.layers {
            let name = |module: &str| format!("model.layers.{layer}.{module}");
            vector(&mut list, &name("input_layernorm"), self.hidden);
            vector(&mut list, &name("post_attention_layernorm"), self.hidden);
            let attention = [("q_proj", q, self.hidden), ("k_proj", kv, self.hidden), ("v_proj", kv, self.hidden)];
            for (module, rows, columns) in attention.into_iter().chain([("o_proj", self.hidden, q)]) {
                let name = name(&format!("self_attn.{module}"));
                matrix(&mut list, format, &name, &[rows, columns]);
                if self.family != Family::Qwen3 {
                    bias(&mut list, &format!("{name}.bias"), &[rows]);
                }
            }
            if self.family == Family::Qwen3 {
                vector(&mut list, &name("self_attn.q_norm"), self.head_dim);
                vector(&mut list, &name("self_attn.k_norm"), self.head_dim);
                self.qwen3_ffn(&mut list, format, &name);
            } else {
                bias(&mut list, &name("self_attn.sinks"), &[self.heads]);
                self.gpt_oss_ffn(&mut list, &name);
            }
        }
        vector(&mut list, "model.norm", self.hidden);
        if !self.tied {
            matrix(&mut list, format, "lm_head", &[self.vocabulary, self.hidden]);
        }
        list
    }

    fn qwen3_ffn(&self, list: &mut Vec<Tensor>, format: Format, name: &dyn Fn(&str) -> String) {
        let experts = self.experts.0;
        if experts == 0 {
            matrix(list, format, &name("mlp.gate_proj"), &[self.width, self.hidden]);
            matrix(list, format, &name("mlp.up_proj"), &[self.width, self.hidden]);
            return matrix(list, format, &name("mlp.down_proj"), &[self.hidden, self.width]);
        }
        if self.router == "F32" {
            let (name, shape) = (name("mlp.gate.weight"), vec![experts, self.hidden]);
            let bytes = 4 * experts * self.hidden;
            list.push(Tensor { name, dtype: "F32", shape, bytes, fill: Fill::WideWeights });
        } else {
            matrix(list, Format::Bf16, &name("mlp.gate"), &[experts, self.hidden]);
        }
        for module in ["gate_proj", "up_proj"] {
            let name = name(&format!("mlp.switch_mlp.{module}"));
            matrix(list, format, &name, &[experts, self.width, self.hidden]);
        }
        matrix(list, format, &name("mlp.switch_mlp.down_proj"), &[experts, self.hidden, self.width]);
    }

    fn gpt_oss_ffn(&self, list: &mut Vec<Tensor>, name: &dyn Fn(&str) -> String) {
        let experts = self.experts.0;
        matrix(list, Format::Bf16, &name("mlp.router"), &[experts, self.hidden]);
        bias(list, &name("mlp.router.bias"), &[experts]);
        let projections = [("gate_up_proj", 2 * self.width, self.hidden), ("down_proj", self.hidden, self.width)];
        for (module, rows, columns) in projections {
            let name = name(&format!("mlp.experts.{module}"));
            let blocks = experts * rows * columns / MX_BLOCK;
            let mut part = |part: &str, shape: Vec<usize>, bytes, fill| {
                list.push(Tensor { name: format!("{name}_{part}"), dtype: "U8", shape, bytes, fill });
            };
            part("blocks", vec![experts, rows, columns / MX_BLOCK, 16], blocks * 16, Fill::Codes);
            // Values are up to 6, 2.9 in the mean of squares: times 2^-7 a standard deviation of about 0.02.
            part("scales", vec![experts, rows, columns / MX_BLOCK], blocks, Fill::Byte(120));
            bias(list, &format!("{name}_bias"), &[experts, rows]);
        }
    }
}

fn bias(list: &mut Vec<Tensor>, name: &str, shape: &[usize]) {
    let bytes = 2 * shape.iter().product::<usize>();
    list.push(Tensor { name: name.into(), dtype: "BF16", shape: shape.to_vec(), bytes, fill: Fill::Weights });
}

fn vector(list: &mut Vec<Tensor>, module: &str, length: usize) {
    let name = format!("{module}.weight");
    list.push(Tensor { name, dtype: "BF16", shape: vec![length], bytes: 2 * length, fill: Fill::Ones });
}

fn matrix(list: &mut Vec<Tensor>, format: Format, module: &str, shape: &[usize]) {
    let (rows, columns): (usize, usize) = (shape[..shape.len() - 1].iter().product(), shape[shape.len() - 1]);
    let with = |last: usize| shape[..shape.len() - 1].iter().copied().chain([last]).collect::<Vec<_>>();
    let name = format!("{module}.weight");
    let bits = match format {
        Format::Affine(bits) => bits,
        Format::Nvfp4 => 4,
        // Experts alone are in MXFP4, and written elsewhere.
        Format::Bf16 | Format::Mxfp4 => {
            let bytes = 2 * rows * columns;
            return list.push(Tensor { name, dtype: "BF16", shape: shape.to_vec(), bytes, fill: Fill::Weights });
        }
    };
    let bytes = rows * columns * bits / 8;
    list.push(Tensor { name, dtype: "U32", shape: with(columns * bits / 32), bytes, fill: Fill::Codes });
    if format == Format::Nvfp4 {
        // Values are up to 6, 2.9 in the mean of squares: times 2^-7 a standard deviation of about 0.02.
        let (name, bytes) = (format!("{module}.scales"), rows * columns / NV_GROUP);
        return list.push(Tensor { name, dtype: "U8", shape: with(columns / NV_GROUP), bytes, fill: Fill::Byte(4) });
    }
    // Codes are uniform: these give weights of mean 0 and a standard deviation of about 0.02.
    let scale = 0.07 / ((1 << bits) - 1) as f32;
    let bytes = rows * columns / GROUP * 2;
    for (part, value) in [("scales", scale), ("biases", -0.035)] {
        let name = format!("{module}.{part}");
        list.push(Tensor { name, dtype: "BF16", shape: with(columns / GROUP), bytes, fill: Fill::Constant(value) });
    }
}
