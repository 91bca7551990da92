//! Tiny models of every family: generated weights, and the logits transformers computes from them.
//!
//! A case folder (`crates/lm/tests/golden/<case>/`) holds `case.json` (the hub's `config.json`, the tensors by their hub
//! names, the inputs) and `logits.f32`; no weight is stored. Each tensor is a pure function of its description, the same
//! bit for bit here and in `golden/tiny_weights.py`, and its checksum is compared when it is made.
//! Next: `tiny_gguf.rs` for the same models as GGUF files; `golden/family_cases.py` and
//! `golden/quantized_cases.py`, where they are defined.

use std::fs;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use serde_json::{Map, Value, json};

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// One tensor of a tiny model: what it is called and how its values come about.
#[derive(Clone, Debug, PartialEq)]
pub struct TinyTensor {
    /// Name in the hub's checkpoint.
    pub name: String,
    /// Element type in safetensors' spelling: `BF16`, `F16`, `F32`, `F8_E4M3`, `U8` or `U32`.
    pub dtype: String,
    /// Dimensions, slowest first.
    pub shape: Vec<usize>,
    fill: Fill,
    checksum: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Fill {
    /// `uniform in [-1, 1) * scale + offset`
    Uniform { scale: f32, offset: f32 },
    /// Uniform integers or raw bit patterns from `low` to `high`, both included; then only the bits of `mask` are kept.
    Integers { low: u64, high: u64, mask: u64 },
}

/// A tiny model with its reference logits.
#[derive(Clone, Debug)]
pub struct TinyModel {
    /// The case's name, which is its folder's.
    pub name: String,
    /// `config.json` as the hub has it.
    pub config: Value,
    /// All tensors in file order.
    pub tensors: Vec<TinyTensor>,
    /// Token ids of the reference sequences, each to be run from an empty cache.
    pub inputs: Vec<Vec<u32>>,
    /// Columns of the logits.
    pub vocab: usize,
    logits: Vec<f32>, // [tokens of all inputs, vocab]
}

impl TinyModel {
    /// Reads a case folder.
    ///
    /// # Panics
    /// When a file is missing or does not say what the generator writes; golden data are part of the repository.
    pub fn load(case_dir: &Path) -> Self {
        let case = read_json(&case_dir.join("case.json"));
        let inputs: Vec<Vec<u32>> = array(&case, "inputs").iter().map(unsigned_list).collect();
        let vocab = unsigned(&case, "vocab") as usize;
        let bytes = read(&case_dir.join("logits.f32"));
        let logits: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
        let tokens: usize = inputs.iter().map(Vec::len).sum();
        assert_eq!(
            logits.len(),
            tokens * vocab,
            "{}: logits.f32 does not hold tokens × vocab values",
            case_dir.display()
        );
        Self {
            name: text(&case, "name").to_owned(),
            config: case["config"].clone(),
            tensors: array(&case, "tensors").iter().map(TinyTensor::parse).collect(),
            inputs,
            vocab,
            logits,
        }
    }

    /// Every case folder under `golden_dir`, in the order of their names.
    pub fn case_dirs(golden_dir: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(golden_dir).unwrap_or_else(|error| panic!("{}: {error}", golden_dir.display()));
        let mut dirs: Vec<PathBuf> = entries.map(|entry| entry.expect("directory entry").path()).collect();
        dirs.retain(|dir| dir.join("case.json").is_file());
        dirs.sort();
        dirs
    }

    /// Reference logits of `inputs[input]`: `[tokens, vocab]`, row by row.
    pub fn logits(&self, input: usize) -> &[f32] {
        let start: usize = self.inputs[..input].iter().map(Vec::len).sum();
        &self.logits[start * self.vocab..(start + self.inputs[input].len()) * self.vocab]
    }

    /// The tensor called `name`.
    pub fn tensor(&self, name: &str) -> Option<&TinyTensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// Writes `config.json` and `model.safetensors` into `folder`, which is created.
    ///
    /// # Panics
    /// When a file cannot be written or a tensor's bytes differ from those the reference was computed with.
    pub fn write_folder(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let config = serde_json::to_string_pretty(&self.config).expect("a JSON value");
        write(&folder.join("config.json"), config.as_bytes());
        write(&folder.join("model.safetensors"), &self.safetensors());
    }

    fn safetensors(&self) -> Vec<u8> {
        let (mut header, mut data) = (Map::new(), Vec::new());
        header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
        for tensor in &self.tensors {
            let start = data.len();
            data.extend(tensor.checked_bytes());
            let entry = json!({ "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, data.len()] });
            header.insert(tensor.name.clone(), entry);
        }
        let mut header = Value::Object(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header);
        file.extend(data);
        file
    }
}

impl TinyTensor {
    fn parse(value: &Value) -> Self {
        let fill = match value.get("scale") {
            Some(scale) => Fill::Uniform { scale: number(scale), offset: number(&value["offset"]) },
            None => {
                let mask = value.get("mask").map_or(u64::MAX, |_| unsigned(value, "mask"));
                Fill::Integers { low: unsigned(value, "low"), high: unsigned(value, "high"), mask }
            }
        };
        Self {
            name: text(value, "name").to_owned(),
            dtype: text(value, "dtype").to_owned(),
            shape: unsigned_list(&value["shape"]).into_iter().map(|size| size as usize).collect(),
            fill,
            checksum: hexadecimal(value, "checksum"),
        }
    }

    /// The same with another name, and so with other values.
    pub fn renamed(&self, name: String) -> TinyTensor {
        let mut tensor = TinyTensor { name, ..self.clone() };
        tensor.checksum = fnv1a64(&tensor.bytes());
        tensor
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The tensor's little-endian bytes.
    ///
    /// # Panics
    /// When they are not the bytes that the reference logits were computed with.
    pub fn checked_bytes(&self) -> Vec<u8> {
        let bytes = self.bytes();
        assert_eq!(fnv1a64(&bytes), self.checksum, "{}: generated bytes differ from the reference's", self.name);
        bytes
    }

    /// The values as f32.
    ///
    /// # Panics
    /// For a tensor that is not of a float type of 16 or 32 bits.
    pub fn values(&self) -> Vec<f32> {
        let bytes = self.checked_bytes();
        match self.dtype.as_str() {
            "BF16" => bytes.as_chunks::<2>().0.iter().map(|pair| bf16::from_le_bytes(*pair).to_f32()).collect(),
            "F16" => bytes.as_chunks::<2>().0.iter().map(|pair| f16::from_le_bytes(*pair).to_f32()).collect(),
            "F32" => bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
            other => panic!("{}: {other} has no float values", self.name),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let seed = fnv1a64(self.name.as_bytes());
        let words =
            (0..self.count() as u64).map(|index| splitmix64(seed.wrapping_add((index + 1).wrapping_mul(GAMMA))));
        match self.fill {
            Fill::Uniform { scale, offset } => {
                let values = words.map(|word| ((word >> 40) as f32 * (1.0 / 8_388_608.0) - 1.0) * scale + offset);
                match self.dtype.as_str() {
                    "BF16" => values.flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect(),
                    "F16" => values.flat_map(|value| f16::from_f32(value).to_le_bytes()).collect(),
                    "F32" => values.flat_map(f32::to_le_bytes).collect(),
                    other => panic!("{}: no uniform values of type {other}", self.name),
                }
            }
            Fill::Integers { low, high, mask } => {
                let values = words.map(|word| (low + (((word >> 32) * (high - low + 1)) >> 32)) & mask);
                match self.dtype.as_str() {
                    "U8" | "F8_E4M3" => values.map(|value| value as u8).collect(),
                    "U32" => values.flat_map(|value| (value as u32).to_le_bytes()).collect(),
                    other => panic!("{}: no integers of type {other}", self.name),
                }
            }
        }
    }
}

/// FNV-1a, 64 bits: the seed of a tensor's name and the checksum of its bytes.
pub(crate) fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3))
}

/// The output function of SplitMix64 (Steele, Lea, Flood 2014).
fn splitmix64(state: u64) -> u64 {
    let x = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

pub(crate) fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("field {key} of {value} is not a string"))
}

pub(crate) fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("field {key} is not a list"))
}

fn unsigned(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("field {key} of {value} is not an unsigned integer"))
}

pub(crate) fn unsigned_list(value: &Value) -> Vec<u32> {
    let list = value.as_array().unwrap_or_else(|| panic!("{value} is not a list"));
    list.iter()
        .map(|item| item.as_u64().unwrap_or_else(|| panic!("{item} is not an unsigned integer")) as u32)
        .collect()
}

pub(crate) fn hexadecimal(value: &Value, key: &str) -> u64 {
    u64::from_str_radix(text(value, key), 16).unwrap_or_else(|error| panic!("field {key} of {value}: {error}"))
}

fn number(value: &Value) -> f32 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number")) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/tests/golden")
    }

    #[test]
    fn every_generated_tensor_has_the_bytes_of_the_reference() {
        let dirs = TinyModel::case_dirs(&golden());
        assert!(dirs.len() >= 40, "golden cases are missing: {} found", dirs.len());
        for dir in dirs {
            let model = TinyModel::load(&dir);
            assert_eq!(dir.file_name().unwrap().to_str().unwrap(), model.name);
            assert!(!model.tensors.is_empty() && model.inputs.len() >= 2, "{}", model.name);
            for tensor in &model.tensors {
                tensor.checked_bytes();
            }
            for input in 0..model.inputs.len() {
                assert!(model.logits(input).iter().all(|logit| logit.is_finite()), "{}", model.name);
            }
        }
    }

    #[test]
    fn a_folder_holds_the_config_and_the_tensors_at_their_offsets() {
        let model = TinyModel::load(&golden().join("qwen3"));
        let folder = std::env::temp_dir().join(format!("olivine-tiny-{}", std::process::id()));
        model.write_folder(&folder);
        assert_eq!(read_json(&folder.join("config.json")), model.config);
        let file = read(&folder.join("model.safetensors"));
        fs::remove_dir_all(&folder).unwrap();
        let header_len = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&file[8..8 + header_len]).unwrap();
        let tensor = model.tensor("model.layers.1.self_attn.k_norm.weight").unwrap();
        let offsets = unsigned_list(&header[&tensor.name]["data_offsets"]);
        let data = &file[8 + header_len..];
        assert_eq!(data[offsets[0] as usize..offsets[1] as usize], tensor.checked_bytes());
        assert!(tensor.values().iter().all(|value| (0.6..=1.4).contains(value)));
        assert_eq!(unsigned_list(&header["model.norm.weight"]["shape"]), [64]);
    }
}
