//! Quantize a model folder to MLX's storage, tensor by tensor: memory holds one tensor, not the model.
//!
//! The output loads here and in mlx-lm: packed words, scales and biases beside each other, experts stacked, and
//! `quantization` in config.json. Read next: `weights.rs`, which reads it back.

use std::collections::BTreeMap;
use std::path::Path;

use olivine_formats::safetensors::Safetensors;
use olivine_formats::safetensors_writer::SafetensorsWriter;
use olivine_formats::{Declaration, TensorType, TensorView};
use olivine_kernels::quant::{self, Format, Source, StoredOwned};
use serde_json::{Map, Value, json};

use crate::ModelError;

/// Largest output file before it is cut into shards.
const SHARD_BYTES: usize = 5 << 30;

/// Files beside the weights that go along unchanged.
const COMPANIONS: &[&str] = &[
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "README.md",
    "LICENSE",
];

/// One output module: the source tensors that make it, stacked when they are experts.
struct Module<'a> {
    sources: Vec<&'a TensorView>,
    quantized: bool,
}

/// Quantize the folder `source` into the folder `target`. `progress` gets bytes of source weights done and in all.
pub fn quantize_folder(
    source: &Path,
    target: &Path,
    format: Format,
    mut progress: impl FnMut(usize, usize),
) -> Result<(), ModelError> {
    if format.is_gguf() {
        return Err(unsupported(source, format!("writing {} from a model folder", format.name())));
    }
    let config = read_config(source)?;
    if config.contains_key("quantization") || config.contains_key("quantization_config") {
        return Err(unsupported(source, "quantizing a model that is quantized already".into()));
    }
    std::fs::create_dir_all(target).map_err(|source| ModelError::Io { path: target.into(), source })?;
    if target.join("config.json").exists() {
        return Err(unsupported(target, "writing into a folder that holds a model".into()));
    }
    let tensors = Safetensors::open(source)?;
    let modules = modules(&tensors, format)?;
    let declarations = modules.iter().flat_map(|(name, module)| declare(name, module, format)).collect();
    let mut writer = SafetensorsWriter::create_folder(target, &[("format", "mlx")], declarations, SHARD_BYTES)?;
    let total = tensors.tensors().map(|tensor| tensor.data.len()).sum();
    let mut done = 0;
    for (name, module) in &modules {
        write_module(&mut writer, name, module, format)?;
        done += module.sources.iter().map(|tensor| tensor.data.len()).sum::<usize>();
        module.sources.iter().for_each(|tensor| tensor.data.release());
        progress(done, total);
    }
    writer.finish()?;
    write_config(target, config, format)?;
    for name in COMPANIONS {
        let from = source.join(name);
        if from.is_file() {
            std::fs::copy(&from, target.join(name)).map_err(|source| ModelError::Io { path: from, source })?;
        }
    }
    Ok(())
}

/// Output modules in the order of their names. `model.layers.0.mlp.experts.7.up_proj.weight` becomes a part of
/// `model.layers.0.mlp.switch_mlp.up_proj.weight`.
fn modules<'a>(tensors: &'a Safetensors, format: Format) -> Result<BTreeMap<String, Module<'a>>, ModelError> {
    let mut stacks: BTreeMap<String, BTreeMap<usize, &TensorView>> = BTreeMap::new();
    let mut modules = BTreeMap::new();
    for tensor in tensors.tensors() {
        match expert_of(&tensor.name) {
            Some((name, expert)) => {
                stacks.entry(name).or_default().insert(expert, tensor);
            }
            None => {
                let quantized = is_quantizable(&tensor.name, tensor, format);
                modules.insert(tensor.name.clone(), Module { sources: vec![tensor], quantized });
            }
        }
    }
    for (name, experts) in stacks {
        let sources: Vec<_> = experts.values().copied().collect();
        let first = sources[0];
        if let Some(odd) = sources.iter().find(|t| t.shape != first.shape || t.dtype != first.dtype) {
            return Err(ModelError::Tensor {
                file: String::new(),
                tensor: odd.name.clone(),
                problem: format!(
                    "is {} {:?}, another expert's is {} {:?}",
                    odd.dtype, odd.shape, first.dtype, first.shape
                ),
            });
        }
        let quantized = is_quantizable(&name, first, format);
        modules.insert(name, Module { sources, quantized });
    }
    Ok(modules)
}

fn expert_of(name: &str) -> Option<(String, usize)> {
    let (before, rest) = name.split_once(".experts.")?;
    let (index, module) = rest.split_once('.')?;
    Some((format!("{before}.switch_mlp.{module}"), index.parse().ok()?))
}

/// Matrices whose rows are whole groups; routers stay as they are, their choice is worth more than their bytes.
fn is_quantizable(name: &str, tensor: &TensorView, format: Format) -> bool {
    let float = matches!(tensor.dtype, TensorType::F32 | TensorType::F16 | TensorType::Bf16);
    let matrix = tensor.shape.len() == 2 && name.ends_with(".weight");
    let router = name.ends_with("mlp.gate.weight")
        || name.ends_with("mlp.router.weight")
        || name.ends_with("shared_expert_gate.weight");
    float && matrix && !router && tensor.shape[1].is_multiple_of(format.block_columns())
}

fn stacked_shape(module: &Module<'_>) -> Vec<usize> {
    let shape = &module.sources[0].shape;
    if module.sources.len() == 1 { shape.clone() } else { [&[module.sources.len()], &shape[..]].concat() }
}

fn declare(name: &str, module: &Module<'_>, format: Format) -> Vec<Declaration> {
    let mut shape = stacked_shape(module);
    if !module.quantized {
        return vec![Declaration::new(name, module.sources[0].dtype, shape)];
    }
    let columns = shape.pop().expect("a matrix has columns");
    let with = |count: usize| [&shape[..], &[count]].concat();
    let bits = if let Format::Affine { bits, .. } = format { bits.into() } else { value_bits(format) };
    let groups = columns / format.block_columns();
    let base = name.strip_suffix(".weight").unwrap_or(name);
    let scale_type = if matches!(format, Format::Affine { .. }) { module.sources[0].dtype } else { TensorType::U8 };
    let mut out = vec![
        Declaration::new(name, TensorType::U32, with(columns * bits / 32)),
        Declaration::new(format!("{base}.scales"), scale_type, with(groups)),
    ];
    if matches!(format, Format::Affine { .. }) {
        out.push(Declaration::new(format!("{base}.biases"), scale_type, with(groups)));
    }
    out
}

fn value_bits(format: Format) -> usize {
    if format == Format::Mxfp8 { 8 } else { 4 }
}

/// Each source is encoded once; of stacked experts the whole module is held, for its parts are written one by one.
fn write_module(
    writer: &mut SafetensorsWriter,
    name: &str,
    module: &Module<'_>,
    format: Format,
) -> Result<(), ModelError> {
    if !module.quantized {
        for source in &module.sources {
            writer.write(name, source.data.as_slice())?;
        }
        return Ok(());
    }
    let base = name.strip_suffix(".weight").unwrap_or(name);
    let encoded = module.sources.iter().map(|source| encode(source, format)).collect::<Result<Vec<_>, _>>()?;
    for stored in &encoded {
        writer.write(name, &stored.data)?;
    }
    for stored in &encoded {
        writer.write(&format!("{base}.scales"), &stored.scales)?;
    }
    for stored in encoded.iter().filter(|stored| !stored.biases.is_empty()) {
        writer.write(&format!("{base}.biases"), &stored.biases)?;
    }
    Ok(())
}

fn encode(tensor: &TensorView, format: Format) -> Result<StoredOwned, ModelError> {
    let (rows, columns, bytes) = (tensor.shape[0], tensor.shape[1], tensor.data.as_slice());
    let pool = olivine_array::pool();
    let pairs = || bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let stored = match tensor.dtype {
        TensorType::Bf16 => {
            let values: Vec<_> = pairs().map(half::bf16::from_bits).collect();
            quant::quantize(&pool, format, rows, columns, Source::Bf16(&values))
        }
        TensorType::F16 => {
            let values: Vec<_> = pairs().map(half::f16::from_bits).collect();
            quant::quantize(&pool, format, rows, columns, Source::F16(&values))
        }
        _ => quant::quantize(&pool, format, rows, columns, Source::F32(&crate::weights::widen(tensor))),
    };
    stored.map_err(|source| ModelError::Quant { tensor: tensor.name.clone(), source })
}

fn read_config(folder: &Path) -> Result<Map<String, Value>, ModelError> {
    let path = folder.join("config.json");
    let text = std::fs::read_to_string(&path).map_err(|source| ModelError::Io { path: path.clone(), source })?;
    serde_json::from_str(&text).map_err(|error| ModelError::Field {
        file: path.display().to_string(),
        field: "(whole file)".into(),
        problem: format!("not valid JSON: {error}"),
    })
}

fn write_config(target: &Path, mut config: Map<String, Value>, format: Format) -> Result<(), ModelError> {
    let quantization = match format {
        Format::Affine { bits, group } => json!({"group_size": group, "bits": bits, "mode": "affine"}),
        other => json!({"group_size": other.block_columns(), "bits": value_bits(other), "mode": other.name()}),
    };
    config.insert("quantization".into(), quantization.clone());
    config.insert("quantization_config".into(), quantization);
    let path = target.join("config.json");
    let text = serde_json::to_string_pretty(&config).expect("a map of JSON values");
    std::fs::write(&path, text + "\n").map_err(|source| ModelError::Io { path, source })
}

fn unsupported(path: &Path, feature: String) -> ModelError {
    ModelError::Unsupported { file: path.display().to_string(), feature, hint: String::new() }
}
