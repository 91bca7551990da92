//! Tiny models as GGUF files: `gguf.json` says how each tensor follows from the hub's tensors.
//!
//! The recipes were checked byte for byte against llama.cpp's converter when they were written; here their results are
//! compared with the converter's checksums again. The files carry no vocabulary (`tokenizer.ggml.model` is "none").
//! Format: the GGUF specification of the ggml project, version 3. Next: `tiny.rs`, which makes the tensors.

use std::path::Path;

use half::bf16;
use serde_json::Value;

use crate::tiny::{TinyModel, array, fnv1a64, hexadecimal, read_json, text, unsigned_list, write};

const ALIGNMENT: usize = 32;

/// The GGUF form of a tiny model.
#[derive(Clone, Debug)]
pub struct TinyGguf {
    /// `general.architecture`.
    pub architecture: String,
    /// Whether a reader that knows the architecture gets the case's logits from the file. (llama.cpp may differ: it has
    /// no key for a few details and takes constants.)
    pub same_logits: bool,
    /// `[key, type, value]` rows, types in GGUF's names, `array:` before an element type.
    pub metadata: Vec<Value>,
    tensors: Vec<Value>,
}

/// Values with a shape, slowest dimension first.
struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl TinyGguf {
    /// Reads `gguf.json` of a case folder; `None` when the case has no GGUF form.
    pub fn load(case_dir: &Path) -> Option<Self> {
        let path = case_dir.join("gguf.json");
        if !path.is_file() {
            return None;
        }
        let json = read_json(&path);
        let metadata = array(&json, "metadata").to_vec();
        let architecture = metadata.iter().find(|row| row[0] == "general.architecture").expect("an architecture");
        Some(Self {
            architecture: architecture[2].as_str().expect("a string").to_owned(),
            same_logits: json["same_logits"].as_bool().expect("same_logits"),
            metadata,
            tensors: array(&json, "tensors").to_vec(),
        })
    }

    /// Writes the GGUF file of `model` to `path`.
    ///
    /// # Panics
    /// When the file cannot be written or a tensor's bytes are not those of llama.cpp's converter.
    pub fn write(&self, model: &TinyModel, path: &Path) {
        let mut file = b"GGUF".to_vec();
        file.extend(3u32.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.metadata.len() as u64).to_le_bytes());
        for row in &self.metadata {
            put_string(&mut file, row[0].as_str().expect("a key"));
            put_field(&mut file, row[1].as_str().expect("a type"), &row[2]);
        }
        let mut data = Vec::new();
        for tensor in &self.tensors {
            data.resize(data.len().next_multiple_of(ALIGNMENT), 0);
            put_tensor_info(&mut file, tensor, data.len() as u64);
            data.extend(tensor_bytes(tensor, model));
        }
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        file.extend(data);
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        write(path, &file);
    }
}

fn put_string(file: &mut Vec<u8>, text: &str) {
    file.extend((text.len() as u64).to_le_bytes());
    file.extend(text.as_bytes());
}

fn type_code(kind: &str) -> u32 {
    match kind {
        "uint32" => 4,
        "int32" => 5,
        "float32" => 6,
        "bool" => 7,
        "string" => 8,
        other => panic!("metadata type {other}"),
    }
}

fn put_field(file: &mut Vec<u8>, kind: &str, value: &Value) {
    let Some(element) = kind.strip_prefix("array:") else {
        file.extend(type_code(kind).to_le_bytes());
        return put_value(file, kind, value);
    };
    let items = value.as_array().expect("a list");
    file.extend(9u32.to_le_bytes());
    file.extend(type_code(element).to_le_bytes());
    file.extend((items.len() as u64).to_le_bytes());
    for item in items {
        put_value(file, element, item);
    }
}

fn put_value(file: &mut Vec<u8>, kind: &str, value: &Value) {
    match kind {
        "uint32" => file.extend((value.as_u64().expect("an unsigned integer") as u32).to_le_bytes()),
        "int32" => file.extend((value.as_i64().expect("an integer") as i32).to_le_bytes()),
        "float32" => file.extend((value.as_f64().expect("a number") as f32).to_le_bytes()),
        "bool" => file.push(u8::from(value.as_bool().expect("a truth value"))),
        "string" => put_string(file, value.as_str().expect("a string")),
        other => panic!("metadata type {other}"),
    }
}

fn put_tensor_info(file: &mut Vec<u8>, tensor: &Value, offset: u64) {
    let shape = sizes(&tensor["shape"]);
    put_string(file, text(tensor, "name"));
    file.extend((shape.len() as u32).to_le_bytes());
    for size in shape.iter().rev() {
        file.extend((*size as u64).to_le_bytes());
    }
    let code: u32 = match text(tensor, "type") {
        "F32" => 0,
        "BF16" => 30,
        "MXFP4" => 39,
        other => panic!("tensor type {other}"),
    };
    file.extend(code.to_le_bytes());
    file.extend(offset.to_le_bytes());
}

fn tensor_bytes(tensor: &Value, model: &TinyModel) -> Vec<u8> {
    let (name, kind) = (text(tensor, "name"), text(tensor, "type"));
    let bytes: Vec<u8> = if kind == "MXFP4" {
        mxfp4_blocks(tensor, model)
    } else {
        let values = match tensor.get("values") {
            Some(values) => {
                values.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number") as f32).collect()
            }
            None => execute(tensor, model).values,
        };
        match kind {
            "BF16" => values.into_iter().flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect(),
            _ => values.into_iter().flat_map(f32::to_le_bytes).collect(),
        }
    };
    assert_eq!(fnv1a64(&bytes), hexadecimal(tensor, "checksum"), "{name}: not the bytes of llama.cpp's converter");
    bytes
}

/// Applies a recipe's operations to its sources.
fn execute(tensor: &Value, model: &TinyModel) -> Array {
    let sources = array(tensor, "from");
    let first = source(model, &sources[0]);
    let mut now = Array { shape: first.shape.clone(), values: first.values() };
    for operation in array(tensor, "operations") {
        now = match operation[0].as_str().expect("an operation") {
            "stack" => {
                let rest = sources[1..].iter().flat_map(|name| source(model, name).values());
                let shape = [&[sources.len()], &now.shape[..]].concat();
                Array { shape, values: now.values.into_iter().chain(rest).collect() }
            }
            "reshape" => Array { shape: sizes(&operation[1]), values: now.values },
            "permute" => permute(&now, &sizes(&operation[1])),
            "take" => take(&now, size(&operation[1]), &operation[2]),
            "add" => {
                let number = operation[1].as_f64().expect("a number") as f32;
                Array { shape: now.shape, values: now.values.into_iter().map(|value| value + number).collect() }
            }
            other => panic!("operation {other}"),
        };
    }
    now
}

fn source<'a>(model: &'a TinyModel, name: &Value) -> &'a crate::tiny::TinyTensor {
    let name = name.as_str().expect("a tensor name");
    model.tensor(name).unwrap_or_else(|| panic!("{}: no tensor {name}", model.name))
}

fn permute(array: &Array, axes: &[usize]) -> Array {
    let strides: Vec<usize> = (0..axes.len()).map(|axis| array.shape[axis + 1..].iter().product()).collect();
    let shape: Vec<usize> = axes.iter().map(|&axis| array.shape[axis]).collect();
    let value = |mut flat: usize| {
        let mut offset = 0;
        for (size, &axis) in shape.iter().zip(axes).rev() {
            offset += flat % size * strides[axis];
            flat /= size;
        }
        array.values[offset]
    };
    let values = (0..array.values.len()).map(value).collect();
    Array { shape, values }
}

/// The half-open `ranges` of `axis`, one after the other.
fn take(array: &Array, axis: usize, ranges: &Value) -> Array {
    let ranges: Vec<Vec<usize>> = ranges.as_array().expect("ranges").iter().map(sizes).collect();
    let inner: usize = array.shape[axis + 1..].iter().product();
    let mut values = Vec::with_capacity(array.values.len());
    for slab in array.values.chunks_exact(array.shape[axis] * inner) {
        for range in &ranges {
            values.extend_from_slice(&slab[range[0] * inner..range[1] * inner]);
        }
    }
    let mut shape = array.shape.clone();
    shape[axis] = ranges.iter().map(|range| range[1] - range[0]).sum();
    Array { shape, values }
}

/// The hub's blocks (neighbours share a byte) and scales as ggml's 17-byte blocks (halves share a byte).
fn mxfp4_blocks(tensor: &Value, model: &TinyModel) -> Vec<u8> {
    let sources = array(tensor, "from");
    let (blocks, scales) = (source(model, &sources[0]), source(model, &sources[1]));
    let (codes, scales_bytes) = (blocks.checked_bytes(), scales.checked_bytes());
    let (step, start) = match array(tensor, "operations") {
        [] => (1, 0),
        [rows] => (size(&rows[1]), size(&rows[2])),
        other => panic!("{other:?}"),
    };
    let (rows, row_blocks) = (blocks.shape[1], blocks.shape[2]);
    let mut out = Vec::new();
    for (block, (codes, scale)) in codes.chunks_exact(16).zip(scales_bytes).enumerate() {
        if block / row_blocks % rows % step != start {
            continue;
        }
        let code = |element: usize| (codes[element / 2] >> (element % 2 * 4)) & 15;
        out.push(scale);
        out.extend((0..16).map(|element| code(element) | (code(element + 16) << 4)));
    }
    out
}

fn size(value: &Value) -> usize {
    value.as_u64().expect("a size") as usize
}

fn sizes(value: &Value) -> Vec<usize> {
    unsigned_list(value).into_iter().map(|size| size as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn every_gguf_has_the_bytes_of_llama_cpps_converter() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/tests/golden");
        let mut architectures = Vec::new();
        for dir in TinyModel::case_dirs(&golden) {
            let Some(gguf) = TinyGguf::load(&dir) else { continue };
            let model = TinyModel::load(&dir);
            let path = file_for(&model.name);
            gguf.write(&model, &path);
            let file = std::fs::read(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            assert_eq!(file[..8], *b"GGUF\x03\0\0\0");
            assert_eq!(file.len() % ALIGNMENT, 0);
            architectures.push(gguf.architecture);
        }
        architectures.sort();
        architectures.dedup();
        let all = "deepseek2 gemma2 gemma3 gpt-oss llama phi3 qwen2 qwen3 qwen35 qwen35moe qwen3moe qwen3next smollm3";
        assert_eq!(architectures.join(" "), all);
    }

    fn file_for(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("olivine-tiny-{name}-{}.gguf", std::process::id()))
    }
}
