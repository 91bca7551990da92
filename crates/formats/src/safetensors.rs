//! safetensors: a JSON header and the tensors behind it; one file, or a folder with shards and an index.
//!
//! Format: Hugging Face safetensors documentation, "Format". The header is parsed here and not by the library of that
//! name because errors must name file, tensor and offset, a name that comes twice must not win silently, and views must
//! share one map.
//! Invariant: every view lies in its file, has the size of its type and shape, and shares no byte with another; no file
//! outside the folder is opened. Read next: `safetensors_header`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::safetensors_header::{self as header, Pairs};
use crate::{FormatError, Mapped, TensorView};

/// Largest index that is read: real ones have a few megabytes.
const INDEX_LIMIT: u64 = 256 << 20;

/// The tensors of a checkpoint.
#[derive(Debug, Default)]
pub struct Safetensors {
    tensors: Vec<TensorView>,
    by_name: HashMap<String, usize>,
    metadata: Map<String, Value>,
}

impl Safetensors {
    /// Open one file, an index, or a folder with `model.safetensors.index.json`, `model*.safetensors` or any
    /// `*.safetensors`.
    pub fn open(path: &Path) -> Result<Safetensors, FormatError> {
        let mut out = Safetensors::default();
        let index = path.join("model.safetensors.index.json");
        if index.is_file() {
            out.add_index(&index)?;
        } else if path.is_dir() {
            for file in weights_of(path)? {
                out.add(Mapped::open(&file)?, |_| true)?;
            }
        } else if path.extension().is_some_and(|e| e == "json") {
            out.add_index(path)?;
        } else {
            out.add(Mapped::open(path)?, |_| true)?;
        }
        Ok(out)
    }

    /// The same from bytes in memory.
    pub fn from_mapped(mapped: Arc<Mapped>) -> Result<Safetensors, FormatError> {
        let mut out = Safetensors::default();
        out.add(mapped, |_| true)?;
        Ok(out)
    }

    /// A tensor by name.
    pub fn get(&self, name: &str) -> Option<TensorView> {
        self.by_name.get(name).map(|&index| self.tensors[index].clone())
    }

    /// All tensors in the order of the files, and in a file in the order of their data.
    pub fn tensors(&self) -> impl Iterator<Item = &TensorView> {
        self.tensors.iter()
    }

    /// `__metadata__` of all files; the values are strings.
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    /// Adds the shards of an index. It decides which tensors there are: a tensor that it gives to another shard, or does
    /// not list, is not this model's.
    fn add_index(&mut self, index: &Path) -> Result<(), FormatError> {
        let broken = |problem: String| FormatError::broken(index, 0, problem);
        let weight_map = read_index(index)?;
        let mut shards: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, shard) in &weight_map {
            let mut parts = Path::new(shard).components();
            let plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
            if !plain || shard.contains(['/', '\\', ':', '\0']) {
                return Err(broken(format!("tensor {name:?} points outside the folder, to {shard:?}; refused")));
            }
            shards.entry(shard).or_default().push(name);
        }
        let shard_of: HashMap<&str, &str> = weight_map.iter().map(|(name, shard)| (&name[..], &shard[..])).collect();
        let folder = index.parent().unwrap_or(Path::new(""));
        for (shard, names) in shards {
            let file = folder.join(shard);
            if !file.is_file() {
                return Err(broken(format!("shard {shard} is missing; download it into the same folder")));
            }
            self.add(Mapped::open(&file)?, |name| shard_of.get(name) == Some(&shard))?;
            if let Some(name) = names.iter().find(|name| !self.by_name.contains_key(**name)) {
                let problem = format!("tensor {name:?} is not in the shard that the index names; download both again");
                return Err(FormatError::broken(&file, 0, problem));
            }
        }
        Ok(())
    }

    fn add(&mut self, mapped: Arc<Mapped>, wanted: impl Fn(&str) -> bool) -> Result<(), FormatError> {
        let parsed = header::parse(&mapped)?;
        for view in parsed.tensors.into_iter().filter(|view| wanted(&view.name)) {
            if self.by_name.insert(view.name.clone(), self.tensors.len()).is_some() {
                let problem = format!("tensor {:?} is in another file of the folder too; remove one", view.name);
                return Err(FormatError::broken(mapped.path(), 0, problem));
            }
            self.tensors.push(view);
        }
        for (key, value) in parsed.metadata {
            self.metadata.entry(key).or_insert(value.into());
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Index {
    weight_map: Pairs<String>,
}

fn read_index(path: &Path) -> Result<Vec<(String, String)>, FormatError> {
    let io = |source| FormatError::io(path, source);
    if std::fs::metadata(path).map_err(io)?.len() > INDEX_LIMIT {
        return Err(FormatError::broken(path, 0, format!("an index of more than {INDEX_LIMIT} bytes is not read")));
    }
    let bytes = std::fs::read(path).map_err(io)?;
    let index: Index = serde_json::from_slice(&bytes)
        .map_err(|e| FormatError::broken(path, 0, format!("not a valid index: {e}; download it again")))?;
    Ok(index.weight_map.0)
}

/// `model*.safetensors` by name, or all `*.safetensors` when there are none.
fn weights_of(folder: &Path) -> Result<Vec<PathBuf>, FormatError> {
    let entries = std::fs::read_dir(folder).map_err(|source| FormatError::io(folder, source))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "safetensors"));
    files.sort();
    let is_model = |p: &PathBuf| p.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"model"));
    if files.iter().any(is_model) {
        files.retain(is_model);
    }
    if files.is_empty() {
        return Err(FormatError::broken(
            folder,
            0,
            "the folder has no *.safetensors file; download the weights into it",
        ));
    }
    Ok(files)
}
