//! Bytes and values recorded from other programs: MLX's quantize and dequantize for every mode and group, ggml's
//! reference quantizers, and the GGUF Python package's decoders on random blocks of every type.

use olivine_kernels::pool::Pool;
use olivine_kernels::quant::{FORMATS, Format, Row, ScaleType, Source, Stored, dequantize, quantize};
use olivine_kernels::{bf16, cpu};
use serde_json::Value;

fn golden(name: &str) -> Value {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).expect("the golden file is there")).expect("it is JSON")
}

/// All numbers of nested lists, in order.
fn floats(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(items) => items.iter().flat_map(floats).collect(),
        number => vec![number.as_f64().expect("a number") as f32],
    }
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().expect("a string")
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("a hex digit") as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Little-endian bytes of `values` in a type.
fn bytes_of(values: &[f32], kind: &str) -> Vec<u8> {
    match kind {
        "float32" => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        "bfloat16" => values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect(),
        "uint8" => values.iter().map(|value| *value as u8).collect(),
        other => panic!("unknown type {other}"),
    }
}

fn words(value: &Value) -> Vec<u8> {
    let rows = value.as_array().expect("rows");
    let numbers = rows.iter().flat_map(|row| row.as_array().expect("a row"));
    numbers.flat_map(|word| (word.as_u64().expect("a word") as u32).to_le_bytes()).collect()
}

#[test]
fn mlx_bytes_and_values() {
    let golden = golden("mlx_quantize.json");
    let values = floats(&golden["values"]);
    let narrow: Vec<bf16> = values.iter().map(|value| bf16::from_f32(*value)).collect();
    let cases = golden["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 42);
    for case in cases {
        let (mode, dtype) = (text(case, "mode"), text(case, "dtype"));
        let name = match mode {
            "affine" => format!("affine{}-g{}", case["bits"], case["group_size"]),
            _ => mode.to_string(),
        };
        let source = if dtype == "float32" { Source::F32(&values) } else { Source::Bf16(&narrow) };
        let format = Format::parse(&name).expect("every mode is known");
        let made = quantize(&Pool::new(1), format, 2, 256, source).expect("shapes fit");
        assert_eq!(made.data, words(&case["packed"]), "{name} {dtype}: packed");
        assert_eq!(
            made.scales,
            bytes_of(&floats(&case["scales"]), text(case, "scales_dtype")),
            "{name} {dtype}: scales"
        );
        if mode == "affine" {
            assert_eq!(made.biases, bytes_of(&floats(&case["biases"]), dtype), "{name} {dtype}: biases");
        }
        let mut back = vec![0.0; 512];
        dequantize(&Pool::new(1), &made.as_stored(), &mut back);
        for (ours, theirs) in back.iter().zip(floats(&case["dequantized"])) {
            // MLX rounds the product and the sum to bf16; elsewhere the arithmetic is ours.
            let tolerance = if mode == "affine" && dtype == "bfloat16" { 0.004 } else { 0.0 };
            assert!((ours - theirs).abs() <= tolerance, "{name} {dtype}: {ours} for {theirs}");
        }
    }
}

#[test]
fn gguf_values_of_random_blocks() {
    let golden = golden("gguf_blocks.json");
    let cases = golden["decode"].as_array().expect("cases");
    assert_eq!(cases.len(), FORMATS.iter().filter(|info| info.format.is_gguf()).count());
    for case in cases {
        let format = Format::from_gguf_type(case["id"].as_u64().expect("an id") as u32).expect("a known type");
        let data = hex(text(case, "blocks"));
        let stored = gguf_matrix(format, 512, &data);
        stored.check().expect("lengths agree");
        let mut values = vec![0.0; 512];
        dequantize(&Pool::new(1), &stored, &mut values);
        let expected = hex(text(case, "values"));
        let expected = expected.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().expect("4 bytes")));
        for (index, (ours, theirs)) in values.iter().zip(expected).enumerate() {
            // The order of the multiplications differs.
            let close = (ours - theirs).abs() <= theirs.abs() * 3e-7 + 1e-9;
            assert!(close, "{}: value {index} is {ours}, expected {theirs}", format.name());
        }
    }
}

#[test]
fn ggml_bytes_on_every_tier() {
    let values = floats(&golden("mlx_quantize.json")["values"]);
    let golden = golden("gguf_blocks.json");
    let cases = golden["encode"].as_array().expect("cases");
    assert_eq!(cases.len(), FORMATS.iter().filter(|info| info.format.is_gguf() && info.encode.is_some()).count());
    for tier in cpu::available() {
        cpu::force(tier);
        for case in cases {
            let format = Format::from_gguf_type(case["id"].as_u64().expect("an id") as u32).expect("a known type");
            let made = quantize(&Pool::new(1), format, 2, 256, &values[..]).expect("shapes fit");
            assert_eq!(made.data, hex(text(case, "blocks")), "{} on {tier:?}", format.name());
        }
    }
}

#[test]
fn a_global_scale_multiplies() {
    let row = Row { data: &[0x21; 8], scales: &[0x40], biases: &[], scale_type: ScaleType::F32, global_scale: 0.5 };
    let mut out = [0.0; 16];
    (Format::Nvfp4.info().decode)(row, &mut out);
    // Codes 1 and 2 are 0.5 and 1, scale code 0x40 is 2.
    assert_eq!(out[..2], [0.5, 1.0]);
}

fn gguf_matrix(format: Format, columns: usize, data: &[u8]) -> Stored<'_> {
    let scale_type = ScaleType::F32;
    Stored { format, rows: 1, columns, data, scales: &[], biases: &[], scale_type, global_scale: None }
}
