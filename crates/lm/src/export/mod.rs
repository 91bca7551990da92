//! Write GGUF files, from a GGUF file of floats or from a Hugging Face folder, some rows at a time.
//!
//! Memory holds a few tens of megabytes of rows, whatever the model. The file appears under its name when complete.
//! Read next: `folder.rs`, `mix.rs` (which tensor gets which type), `tokenizer.rs`.

mod folder;
mod hyper;
mod mix;
mod tensors;
mod tokenizer;

use std::ops::Range;
use std::path::Path;

use half::{bf16, f16};
use olivine_formats::gguf::{Gguf, Value};
use olivine_formats::gguf_writer::{Field, GgufWriter};
use olivine_formats::{Declaration, TensorType};
use olivine_kernels::quant::{self, Format};

use crate::ModelError;
use crate::weights::{Storage, WeightTensor};
use mix::{Facts, layer_and_module};
pub use mix::{MIXES, Mix};

/// Values that are converted at a time.
const PIECE_VALUES: usize = 4 << 20;

/// Everything that a GGUF file will hold.
struct Plan {
    metadata: Vec<(String, Field)>,
    tensors: Vec<PlannedTensor>,
    facts: Facts,
}

/// One tensor of the output: the rows of its sources, one below the other.
struct PlannedTensor {
    name: String,
    shape: Vec<usize>,
    /// Type that it keeps where the mix does not ask for another.
    stored: TensorType,
    sources: Vec<WeightTensor>,
    /// What is done with the values of each source, one after the other.
    changes: Vec<Change>,
}

/// What is done with a matrix of values, `[rows, columns]`.
#[derive(Clone, Debug)]
enum Change {
    /// The two halves of each head of so many rows become neighbours.
    Interleave(usize),
    /// A number is added to each value.
    Add(f32),
    /// `-exp(x)`.
    NegativeExponential,
    /// Rows become columns.
    Transpose,
    /// Rows 0, 2, 4, … or 1, 3, 5, … are kept.
    EveryOther(usize),
    /// Ranges of columns are put into this order.
    Columns(Vec<Range<usize>>),
}

/// Write `source`, a GGUF file or a model folder, as the GGUF file `target`. `progress` gets bytes of source weights
/// done and in all.
pub fn write_gguf(
    source: &Path,
    target: &Path,
    mix: Mix,
    mut progress: impl FnMut(usize, usize),
) -> Result<(), ModelError> {
    if target.exists() {
        let hint = "; remove it or give another name".into();
        return Err(unsupported(target, "writing over a file that exists".into(), hint));
    }
    let mut plan = if source.is_dir() { folder::plan(source)? } else { plan_file(source)? };
    plan.metadata.push(("general.quantization_version".into(), Field::U32(2)));
    plan.metadata.push(("general.file_type".into(), Field::U32(mix.file_type)));
    let types: Vec<_> = plan.tensors.iter().map(|t| mix.choose(&t.name, &t.shape, t.stored, &plan.facts)).collect();
    let declare = |(t, dtype): (&PlannedTensor, &TensorType)| Declaration::new(&t.name, *dtype, t.shape.clone());
    let declarations: Vec<_> = plan.tensors.iter().zip(&types).map(declare).collect();
    let mut writer = GgufWriter::create(target, &plan.metadata, &declarations)?;
    let total = plan.tensors.iter().map(PlannedTensor::source_bytes).sum();
    let mut done = 0;
    for (tensor, dtype) in plan.tensors.iter().zip(types) {
        tensor.write(&mut writer, dtype)?;
        done += tensor.source_bytes();
        progress(done, total);
    }
    Ok(writer.finish()?)
}

/// The plan of a GGUF file: its metadata but for what changes, and its tensors.
fn plan_file(path: &Path) -> Result<Plan, ModelError> {
    let gguf = Gguf::open(path)?;
    let is_replaced =
        |key: &str| key.starts_with("split.") || matches!(key, "general.file_type" | "general.quantization_version");
    let kept = gguf.raw_metadata().filter(|(key, _)| !is_replaced(key));
    let metadata = kept.map(|(key, bytes)| (key.to_string(), Field::Raw(bytes.to_vec()))).collect();
    let mut tensors = Vec::new();
    for view in gguf.tensors() {
        if view.dtype.block_elements() > 1 {
            let hint = format!("; `{}` is {}: start from a file of bf16, f16 or f32", view.name, view.dtype);
            return Err(unsupported(path, "quantizing a model that is quantized already".into(), hint));
        }
        tensors.push(PlannedTensor {
            name: view.name.clone(),
            shape: view.shape.clone(),
            stored: view.dtype,
            sources: vec![WeightTensor {
                name: view.name.clone(),
                shape: view.shape.clone(),
                storage: Storage::Dense { dtype: view.dtype, data: view.data.clone() },
            }],
            changes: Vec::new(),
        });
    }
    let architecture = gguf.architecture()?;
    let number = |key: &str| gguf.value(&format!("{architecture}.{key}")).and_then(Value::as_u64).map(|n| n as usize);
    let heads = number("attention.head_count").unwrap_or(1);
    let facts = facts(
        &tensors,
        number("block_count").unwrap_or(0),
        heads / number("attention.head_count_kv").unwrap_or(heads).max(1),
        number("expert_count").unwrap_or(0),
    );
    Ok(Plan { metadata, tensors, facts })
}

fn facts(tensors: &[PlannedTensor], layers: usize, group_heads: usize, experts: usize) -> Facts {
    let is_value = |module: &str| matches!(module, "attn_v" | "attn_qkv" | "attn_kv_b");
    let located = tensors.iter().filter(|t| t.name.ends_with(".weight")).filter_map(|t| layer_and_module(&t.name));
    let mut value_layers: Vec<_> = located.filter(|(_, module)| is_value(module)).map(|(layer, _)| layer).collect();
    value_layers.sort_unstable();
    Facts { layers, group_heads, experts, tied: !tensors.iter().any(|t| t.name == "output.weight"), value_layers }
}

impl PlannedTensor {
    fn source_bytes(&self) -> usize {
        let bytes = |tensor: &WeightTensor| match &tensor.storage {
            Storage::Dense { data, .. } | Storage::Quantized { data, .. } => data.len(),
        };
        self.sources.iter().map(bytes).sum()
    }

    fn new(
        name: impl Into<String>,
        shape: Vec<usize>,
        stored: TensorType,
        sources: Vec<WeightTensor>,
    ) -> PlannedTensor {
        PlannedTensor { name: name.into(), shape, stored, sources, changes: Vec::new() }
    }

    fn write(&self, writer: &mut GgufWriter, dtype: TensorType) -> Result<(), ModelError> {
        for source in &self.sources {
            match &source.storage {
                Storage::Dense { dtype: stored, data } if *stored == dtype && self.changes.is_empty() => {
                    writer.write(&self.name, data.as_slice())?;
                }
                Storage::Quantized { .. } if dtype == TensorType::Mxfp4 => {
                    writer.write(&self.name, &self.mxfp4_blocks(source)?)?;
                }
                _ => self.convert(writer, source, dtype)?,
            }
            if let Storage::Dense { data, .. } = &source.storage {
                data.release();
            }
        }
        Ok(())
    }

    fn convert(&self, writer: &mut GgufWriter, source: &WeightTensor, dtype: TensorType) -> Result<(), ModelError> {
        let problem =
            |problem: String| ModelError::Tensor { file: "source".into(), tensor: source.name.clone(), problem };
        let columns = self.shape.last().copied().unwrap_or(1);
        if !self.changes.is_empty() {
            let shape = (source.rows().max(1), source.columns());
            let values = source.to_f32().map_err(problem)?;
            let (values, _) = self.changes.iter().fold((values, shape), |(v, shape), change| change.apply(v, shape));
            return self.put(writer, &values, columns, dtype);
        }
        let rows = source.rows().max(1);
        let step = (PIECE_VALUES / source.columns().max(1)).max(1);
        for first in (0..rows).step_by(step) {
            let piece = source.slice_rows(first, step.min(rows - first));
            self.put(writer, &piece.to_f32().map_err(problem)?, columns, dtype)?;
            if let Storage::Dense { data, .. } = &piece.storage {
                data.release();
            }
        }
        Ok(())
    }

    /// MXFP4 with scales apart, neighbours in a byte, as GGUF's blocks: the scale, then the two halves of 32 values in
    /// the halves of 16 bytes.
    fn mxfp4_blocks(&self, source: &WeightTensor) -> Result<Vec<u8>, ModelError> {
        let problem = |problem: &str| ModelError::Tensor {
            file: "source".into(),
            tensor: source.name.clone(),
            problem: problem.into(),
        };
        let Storage::Quantized { format: Format::Mxfp4, data, scales: Some(scales), .. } = &source.storage else {
            return Err(problem("is not MXFP4 with scales beside it"));
        };
        let (first, step) = match self.changes[..] {
            [] => (0, 1),
            [Change::EveryOther(first)] => (first, 2),
            _ => return Err(problem("is MXFP4 and would have to be transposed")),
        };
        let (rows, groups) = (source.rows(), source.columns() / 32);
        let (data, scales) = (data.as_slice(), scales.as_slice());
        if data.len() != rows * groups * 16 || scales.len() != rows * groups {
            return Err(problem("has other bytes than its shape says"));
        }
        let mut out = Vec::with_capacity(rows.div_ceil(step) * groups * 17);
        for block in (first..rows).step_by(step).flat_map(|row| row * groups..(row + 1) * groups) {
            let pairs = &data[block * 16..][..16];
            let value = |index: usize| (pairs[index / 2] >> (4 * (index % 2))) & 0xf;
            out.push(scales[block]);
            out.extend((0..16).map(|index| value(index) | value(index + 16) << 4));
        }
        Ok(out)
    }

    fn put(
        &self,
        writer: &mut GgufWriter,
        values: &[f32],
        columns: usize,
        dtype: TensorType,
    ) -> Result<(), ModelError> {
        let bytes: Vec<u8> = match dtype {
            TensorType::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            TensorType::F16 => values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect(),
            TensorType::Bf16 => values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect(),
            block => {
                let format = block.gguf_id().and_then(Format::from_gguf_type).expect("a mix names block formats");
                let rows = values.len() / columns;
                let stored = quant::quantize(&olivine_array::pool(), format, rows, columns, values);
                stored.map_err(|source| ModelError::Quant { tensor: self.name.clone(), source })?.data
            }
        };
        Ok(writer.write(&self.name, &bytes)?)
    }
}

impl Change {
    /// The changed values, and their rows and columns.
    fn apply(&self, values: Vec<f32>, (rows, columns): (usize, usize)) -> (Vec<f32>, (usize, usize)) {
        let row = |index: usize| &values[index * columns..][..columns];
        match self {
            Change::Add(number) => (values.iter().map(|value| value + number).collect(), (rows, columns)),
            Change::NegativeExponential => (values.iter().map(|value| -value.exp()).collect(), (rows, columns)),
            Change::Transpose => {
                let out = (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns)).copied();
                (out.collect(), (columns, rows))
            }
            Change::EveryOther(first) => {
                let kept = (*first..rows).step_by(2);
                (kept.clone().flat_map(row).copied().collect(), (kept.len(), columns))
            }
            Change::Columns(ranges) => {
                let reorder = |index: usize| ranges.iter().flat_map(move |range| &row(index)[range.clone()]);
                ((0..rows).flat_map(reorder).copied().collect(), (rows, columns))
            }
            Change::Interleave(head_rows) => {
                // A bias is a column: its values are the rows of a head.
                let shape @ (rows, columns) = if rows == 1 { (columns, 1) } else { (rows, columns) };
                let row = |index: usize| &values[index * columns..][..columns];
                let half = head_rows / 2;
                let heads = (0..rows).step_by(*head_rows);
                let order = heads.flat_map(|head| (0..half).flat_map(move |pair| [head + pair, head + pair + half]));
                (order.flat_map(row).copied().collect(), shape)
            }
        }
    }
}

fn unsupported(path: &Path, feature: String, hint: String) -> ModelError {
    ModelError::Unsupported { file: path.display().to_string(), feature, hint }
}
