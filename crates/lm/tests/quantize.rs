//! Folders that are quantized: every matrix has the bytes that its format's encoder gives, and nothing else changes.

use std::path::Path;

use olivine_formats::safetensors::Safetensors;
use olivine_kernels::quant::{self, Format, Source};
use olivine_lm::model::{LoadOptions, Model, Outputs, Work};
use olivine_lm::quantize::quantize_folder;
use olivine_testkit::place::Place;
use olivine_testkit::tiny::TinyModel;

fn case(name: &str) -> TinyModel {
    TinyModel::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name))
}

fn logits(folder: &Path, tokens: &[u32]) -> Vec<f32> {
    let mut model = Model::open(folder, &LoadOptions::default()).expect("it loads");
    let mut sequence = model.cache().sequence();
    model.step(&mut [Work { sequence: &mut sequence, tokens, outputs: Outputs::Last }])
}

#[test]
fn packed_bytes_are_those_of_the_encoder() {
    for name in [
        "affine2-g32",
        "affine3-g32",
        "affine4-g32",
        "affine5-g32",
        "affine6-g32",
        "affine8-g32",
        "mxfp4",
        "mxfp8",
        "nvfp4",
    ] {
        let format = Format::parse(name).expect("a known format");
        let place = Place::new(&format!("quantize-{name}"));
        let (source, target) = (place.join("source"), place.join("target"));
        let tiny = case("qwen3");
        tiny.write_folder(&source);
        quantize_folder(&source, &target, format, |_, _| {}).expect("it is quantized");
        let (before, after) =
            (Safetensors::open(&source).expect("it is read"), Safetensors::open(&target).expect("it is read"));
        let mut matrices = 0;
        for tensor in before.tensors() {
            let written = after.get(&tensor.name).unwrap_or_else(|| panic!("{name}: no {}", tensor.name));
            let [rows, columns] = tensor.shape[..] else {
                assert_eq!((written.dtype, written.data.as_slice()), (tensor.dtype, tensor.data.as_slice()));
                continue;
            };
            let values = tiny.tensor(&tensor.name).expect("a tensor of the case").values();
            let values: Vec<_> = values.into_iter().map(half::bf16::from_f32).collect();
            let stored = quant::quantize(&olivine_lm::pool(), format, rows, columns, Source::Bf16(&values));
            let stored = stored.expect("whole groups");
            let module = tensor.name.strip_suffix(".weight").expect("matrices are weights");
            assert_eq!(written.data.as_slice(), stored.data, "{name}: {}", tensor.name);
            let part = |part: &str| after.get(&format!("{module}.{part}")).map(|view| view.data.as_slice().to_vec());
            let words = |numbers: &[u8]| Some(numbers.to_vec()).filter(|numbers| !numbers.is_empty());
            assert_eq!(
                (part("scales"), part("biases")),
                (words(&stored.scales), words(&stored.biases)),
                "{name}: {module}"
            );
            matrices += 1;
        }
        assert!(matrices > 14, "{matrices} matrices");
        assert!(logits(&target, &tiny.inputs[0]).iter().all(|logit| logit.is_finite()));
    }
}
