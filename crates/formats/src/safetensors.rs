//! safetensors: a JSON header and the tensors behind it; one file, or a folder with shards and an index.
//!
//! Format: Hugging Face safetensors documentation, "Format". The header is parsed here and not by the library of that
//! name because errors must name file, tensor and offset, and views must share one map.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{Bytes, FormatError, Mapped, TensorType, TensorView};

/// Largest header that is read: real ones have a few megabytes.
const HEADER_LIMIT: usize = 100 << 20;

/// The tensors of a checkpoint.
#[derive(Debug, Default)]
pub struct Safetensors {
    tensors: Vec<TensorView>,
    by_name: HashMap<String, usize>,
    metadata: Map<String, Value>,
}

impl Safetensors {
    /// Open one file, or a folder with `model.safetensors.index.json`, `model.safetensors` or any `*.safetensors`.
    pub fn open(path: &Path) -> Result<Safetensors, FormatError> {
        let mut out = Safetensors::default();
        if path.is_file() {
            out.add(Mapped::open(path)?)?;
            return Ok(out);
        }
        let index = path.join("model.safetensors.index.json");
        if index.is_file() {
            out.add_index(path, &index)?;
            return Ok(out);
        }
        let entries = std::fs::read_dir(path).map_err(|source| FormatError::io(path, source))?;
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|file| file.extension().is_some_and(|e| e == "safetensors"));
        files.sort();
        if files.is_empty() {
            return Err(FormatError::broken(path, 0, "the folder has no *.safetensors file"));
        }
        for file in files {
            out.add(Mapped::open(&file)?)?;
        }
        Ok(out)
    }

    /// The same from bytes in memory.
    pub fn from_mapped(mapped: Arc<Mapped>) -> Result<Safetensors, FormatError> {
        let mut out = Safetensors::default();
        out.add(mapped)?;
        Ok(out)
    }

    /// A tensor by name.
    pub fn get(&self, name: &str) -> Option<TensorView> {
        self.by_name.get(name).map(|&index| self.tensors[index].clone())
    }

    /// All tensors in the order of the files.
    pub fn tensors(&self) -> impl Iterator<Item = &TensorView> {
        self.tensors.iter()
    }

    /// `__metadata__` of all files.
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    fn add_index(&mut self, folder: &Path, index: &Path) -> Result<(), FormatError> {
        let text = std::fs::read_to_string(index).map_err(|source| FormatError::io(index, source))?;
        let broken = |problem: String| FormatError::broken(index, 0, problem);
        let value: Value = serde_json::from_str(&text).map_err(|e| broken(format!("not valid JSON: {e}")))?;
        let map = value.get("weight_map").and_then(Value::as_object);
        let map = map.ok_or_else(|| broken("`weight_map` is missing".into()))?;
        let mut files: Vec<&str> = Vec::new();
        for (name, file) in map {
            let file = file.as_str().ok_or_else(|| broken(format!("the file of `{name}` is not a string")))?;
            if file.contains(['/', '\\']) || file.starts_with('.') {
                return Err(broken(format!("`{name}` points outside the folder: {file:?}")));
            }
            files.push(file);
        }
        files.sort_unstable();
        files.dedup();
        for file in files {
            let path = folder.join(file);
            if !path.is_file() {
                return Err(broken(format!("shard {file} is missing; download it again")));
            }
            self.add(Mapped::open(&path)?)?;
        }
        match map.keys().find(|name| !self.by_name.contains_key(*name)) {
            Some(name) => Err(broken(format!("tensor `{name}` is in no shard"))),
            None => Ok(()),
        }
    }

    fn add(&mut self, mapped: Arc<Mapped>) -> Result<(), FormatError> {
        let path = mapped.path().to_path_buf();
        let broken = |offset: usize, problem: String| FormatError::broken(&path, offset, problem);
        let bytes = mapped.as_slice();
        let prefix: [u8; 8] = bytes
            .get(..8)
            .and_then(|prefix| prefix.try_into().ok())
            .ok_or_else(|| broken(0, "the file is shorter than 8 bytes".into()))?;
        let length = u64::from_le_bytes(prefix);
        if length > HEADER_LIMIT as u64 || length as usize > bytes.len() - 8 {
            let problem =
                format!("a header of {length} bytes in a file of {}: not safetensors, or cut short", bytes.len());
            return Err(broken(0, problem));
        }
        let start = 8 + length as usize;
        let header: Value = serde_json::from_slice(&bytes[8..start])
            .map_err(|e| broken(8, format!("the header is not valid JSON: {e}")))?;
        let Value::Object(header) = header else { return Err(broken(8, "the header is not an object".into())) };
        let mut ranges = Vec::new();
        for (name, entry) in header {
            if name == "__metadata__" {
                self.metadata.extend(entry.as_object().cloned().unwrap_or_default());
                continue;
            }
            let view = tensor(&mapped, start, &name, &entry)
                .map_err(|problem| broken(8, format!("tensor `{name}`: {problem}")))?;
            ranges.push((view.1, name.clone()));
            if self.by_name.insert(name.clone(), self.tensors.len()).is_some() {
                return Err(broken(8, format!("tensor `{name}` occurs twice")));
            }
            self.tensors.push(view.0);
        }
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            if pair[1].0.0 < pair[0].0.1 {
                return Err(broken(
                    start + pair[1].0.0,
                    format!("tensors `{}` and `{}` overlap", pair[0].1, pair[1].1),
                ));
            }
        }
        Ok(())
    }
}

fn tensor(
    mapped: &Arc<Mapped>,
    start: usize,
    name: &str,
    entry: &Value,
) -> Result<(TensorView, (usize, usize)), String> {
    let text = entry.get("dtype").and_then(Value::as_str).ok_or("`dtype` is missing")?;
    let dtype = TensorType::from_safetensors(text).ok_or_else(|| format!("type {text:?} is not known"))?;
    let numbers = |key: &str| {
        let list = entry.get(key).and_then(Value::as_array).ok_or_else(|| format!("`{key}` is missing"))?;
        let number = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
        list.iter().map(number).collect::<Option<Vec<_>>>().ok_or_else(|| format!("`{key}` is not a list of sizes"))
    };
    let shape = numbers("shape")?;
    let [first, end] = numbers("data_offsets")?[..] else { return Err("`data_offsets` is not a pair".into()) };
    let available = mapped.as_slice().len() - start;
    if first > end || end > available {
        return Err(format!(
            "bytes {first}..{end} are not in the {available} bytes of data; the file is cut short or broken"
        ));
    }
    let expected = dtype.bytes(&shape).ok_or_else(|| format!("shape {shape:?} is too large"))?;
    if expected != end - first {
        return Err(format!("{} bytes for {dtype} {shape:?}, which has {expected}", end - first));
    }
    let data = Bytes::new(mapped.clone(), start + first..start + end);
    Ok((TensorView { name: name.into(), dtype, shape, data }, (first, end)))
}
