//! Writes safetensors without holding the model: the header first, from declared shapes, then tensor after tensor.
//!
//! Invariant: data lies in declared order without holes, so declare wide types first when their alignment matters.
//! Read next: `output`, which keeps the order and the rename.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::output::Output;
use crate::{Declaration, FormatError};

/// A checkpoint under construction: one file, or shards and an index.
#[derive(Debug)]
pub struct SafetensorsWriter {
    current: Option<(Output, usize)>,
    waiting: VecDeque<Plan>,
    finished: Vec<PathBuf>,
    metadata: Vec<(String, String)>,
    index: Option<(PathBuf, Value)>,
}

#[derive(Debug)]
struct Plan {
    path: PathBuf,
    tensors: Vec<Declaration>,
}

impl SafetensorsWriter {
    /// One file. `metadata` becomes `__metadata__`, as in `("format", "mlx")`.
    pub fn create(
        path: &Path,
        metadata: &[(&str, &str)],
        tensors: Vec<Declaration>,
    ) -> Result<SafetensorsWriter, FormatError> {
        SafetensorsWriter::start(vec![Plan { path: path.into(), tensors }], metadata, None)
    }

    /// `model.safetensors` in a folder, or, when the data exceeds `shard_bytes`, `model-00001-of-0000N.safetensors` and
    /// `model.safetensors.index.json`. A tensor is never divided.
    pub fn create_folder(
        folder: &Path,
        metadata: &[(&str, &str)],
        tensors: Vec<Declaration>,
        shard_bytes: usize,
    ) -> Result<SafetensorsWriter, FormatError> {
        let mut shards: Vec<Vec<Declaration>> = vec![vec![]];
        let (mut filled, mut total) = (0usize, 0usize);
        for tensor in tensors {
            let bytes = tensor.bytes(folder)?;
            if filled > 0 && filled.saturating_add(bytes) > shard_bytes {
                shards.push(vec![]);
                filled = 0;
            }
            (filled, total) = (filled.saturating_add(bytes), total.saturating_add(bytes));
            shards.last_mut().expect("there is a first shard").push(tensor);
        }
        if shards.len() == 1 {
            return SafetensorsWriter::create(&folder.join("model.safetensors"), metadata, shards.remove(0));
        }
        let count = shards.len();
        let file = |number: usize| format!("model-{:05}-of-{count:05}.safetensors", number + 1);
        let places = shards.iter().enumerate();
        let places =
            places.flat_map(|(number, shard)| shard.iter().map(move |t| (t.name.clone(), file(number).into())));
        let weight_map: Map<String, Value> = places.collect();
        let index = json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
        let plans = shards.into_iter().enumerate();
        let plans = plans.map(|(number, tensors)| Plan { path: folder.join(file(number)), tensors }).collect();
        SafetensorsWriter::start(plans, metadata, Some((folder.join("model.safetensors.index.json"), index)))
    }

    /// The next tensor in declared order: all its bytes, or its next piece.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), FormatError> {
        loop {
            let full = self.current.as_ref().is_none_or(|(_, left)| *left == 0);
            if !(full && self.next_shard()?) {
                break;
            }
        }
        let Some((output, left)) = &mut self.current else {
            let path = self.finished.last().cloned().unwrap_or_default();
            return Err(FormatError::broken(&path, 0, format!("tensor `{name}` was given, none is declared")));
        };
        output.write(name, bytes)?;
        *left -= bytes.len();
        Ok(())
    }

    /// Completes the last file and writes the index. An error when a declared tensor is missing.
    pub fn finish(mut self) -> Result<(), FormatError> {
        while self.next_shard()? {}
        if let Some((output, _)) = self.current.take() {
            output.finish()?;
        }
        if let Some((path, index)) = &self.index {
            let text = serde_json::to_vec_pretty(index).expect("strings and numbers are JSON");
            Output::create(path, &text, vec![], 1)?.finish()?;
        }
        Ok(())
    }

    fn start(
        plans: Vec<Plan>,
        metadata: &[(&str, &str)],
        index: Option<(PathBuf, Value)>,
    ) -> Result<SafetensorsWriter, FormatError> {
        let metadata = metadata.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let mut names = std::collections::HashSet::new();
        for plan in &plans {
            if let Some(twice) = plan.tensors.iter().find(|t| !names.insert(&t.name) || t.name == "__metadata__") {
                let problem = format!("tensor `{}` is declared twice, or the name is reserved", twice.name);
                return Err(FormatError::broken(&plan.path, 0, problem));
            }
        }
        let waiting = plans.into();
        let mut writer = SafetensorsWriter { current: None, waiting, finished: vec![], metadata, index };
        writer.next_shard()?;
        Ok(writer)
    }

    /// Finishes the current file and starts the next; false when none is left.
    fn next_shard(&mut self) -> Result<bool, FormatError> {
        let Some(plan) = self.waiting.pop_front() else { return Ok(false) };
        if let Some((output, _)) = self.current.take() {
            output.finish()?;
        }
        let (header, tensors) = header(&plan, &self.metadata)?;
        let left = tensors.iter().map(|(_, bytes)| bytes).sum();
        self.current = Some((Output::create(&plan.path, &header, tensors, 1)?, left));
        self.finished.push(plan.path);
        Ok(true)
    }
}

type Sizes = Vec<(String, usize)>;

fn header(plan: &Plan, metadata: &[(String, String)]) -> Result<(Vec<u8>, Sizes), FormatError> {
    let (mut entries, mut sizes) = (Map::new(), vec![]);
    if !metadata.is_empty() {
        let pairs = metadata.iter().map(|(key, value)| (key.clone(), Value::from(value.clone())));
        entries.insert("__metadata__".into(), Value::Object(pairs.collect()));
    }
    let mut offset = 0usize;
    for tensor in &plan.tensors {
        let problem = || format!("tensor `{}`: safetensors has no type {}", tensor.name, tensor.dtype);
        let dtype = tensor.dtype.safetensors_name().ok_or_else(|| FormatError::broken(&plan.path, 0, problem()))?;
        let bytes = tensor.bytes(&plan.path)?;
        let end = offset + bytes;
        entries.insert(
            tensor.name.clone(),
            json!({ "dtype": dtype, "shape": tensor.shape, "data_offsets": [offset, end] }),
        );
        sizes.push((tensor.name.clone(), bytes));
        offset = end;
    }
    let mut text = serde_json::to_vec(&entries).expect("strings and numbers are JSON");
    // Spaces at the end are allowed: they put the data at a multiple of 64 bytes.
    text.resize((8 + text.len()).next_multiple_of(64) - 8, b' ');
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.append(&mut text);
    Ok((header, sizes))
}
