//! The GGUF form of a Hugging Face folder: its names, its hyper-parameters, and the order of its rows.
//!
//! What the file cannot express for a family is refused, so that no reader computes another model than the folder's.

use std::collections::HashSet;
use std::path::Path;

use olivine_formats::TensorType;
use olivine_formats::gguf_writer::Field;

use super::{Plan, PlannedTensor, facts, tokenizer, unsupported};
use crate::ModelError;
use crate::families::{Export, GGUF_NAMES};
use crate::model::Checkpoint;
use crate::spec::{AttentionSpec, Ffn, Mixer, ModelSpec, MoeSpec, RopeScaling, RopeSpec};
use crate::weights::{Storage, WeightTensor};

/// Read the folder and say what its GGUF file holds.
pub fn plan(folder: &Path) -> Result<Plan, ModelError> {
    let checkpoint = Checkpoint::open(folder, None)?;
    let model_type = checkpoint.config.word_or("model_type", "")?;
    let export = checkpoint.family.export;
    let known = export.and_then(|e| e.architectures.iter().find(|(name, _)| *name == model_type));
    let (Some(export), Some((_, architecture))) = (export, known) else {
        let hint = "; write an MLX format (affine4, mxfp4, …) into a folder instead".into();
        return Err(unsupported(folder, format!("writing GGUF files of `{model_type}` models"), hint));
    };
    let attention = check(folder, &checkpoint.spec, &export, model_type)?;
    let tensors = tensors(folder, &checkpoint, &export, &attention)?;
    let mut metadata = hyper_parameters(folder, &checkpoint, architecture, &attention)?;
    metadata.extend(tokenizer::metadata(folder, &checkpoint.config, checkpoint.spec.vocabulary)?);
    let experts = moe(&checkpoint.spec).map_or(0, |moe| moe.experts);
    let facts = facts(&tensors, checkpoint.spec.layers.len(), attention.heads / attention.kv_heads, experts);
    Ok(Plan { metadata, tensors, facts })
}

fn moe(spec: &ModelSpec) -> Option<&MoeSpec> {
    spec.layers.iter().find_map(|layer| match &layer.ffn {
        Ffn::Moe(moe) => Some(moe),
        Ffn::Dense { .. } => None,
    })
}

/// The attention of a layer with a rotary embedding; an error for what the file has no room for.
fn check(folder: &Path, spec: &ModelSpec, export: &Export, model_type: &str) -> Result<AttentionSpec, ModelError> {
    let refuse = |what: &str| Err(unsupported(folder, format!("writing {what} to a GGUF file"), String::new()));
    let interval = (export.plain_layer_interval)(model_type);
    let mut found: Option<AttentionSpec> = None;
    for (index, layer) in spec.layers.iter().enumerate() {
        let Mixer::Attention(attention) = &layer.mixer else { return refuse("such layers") };
        let is_plain = interval > 0 && (index + 1).is_multiple_of(interval);
        if attention.rope.is_none() != is_plain {
            return refuse("this pattern of layers without rotary embedding");
        }
        if attention.window.is_some_and(|window| window < spec.context_tokens) {
            return refuse("sliding windows");
        }
        if found.is_none() && attention.rope.is_some() {
            found = Some(attention.clone());
        }
        if let Ffn::Moe(moe) = &layer.ffn
            && (!moe.router.normalize || moe.shared.is_some())
        {
            return refuse("experts whose weights are not normalized");
        }
    }
    let sparse = spec.layers.iter().filter(|layer| matches!(layer.ffn, Ffn::Moe(_))).count();
    if sparse != 0 && sparse != spec.layers.len() {
        return refuse("dense layers among sparse ones");
    }
    found.map_or_else(|| refuse("a model without rotary embedding"), Ok)
}

fn tensors(
    folder: &Path,
    checkpoint: &Checkpoint,
    export: &Export,
    attention: &AttentionSpec,
) -> Result<Vec<PlannedTensor>, ModelError> {
    let mut tensors = Vec::new();
    tensors.extend(rope_divisors(folder, attention)?);
    for (canonical, name) in GGUF_NAMES.iter().filter(|(_, name)| !name.contains("{}")) {
        if *canonical != "head" || !checkpoint.spec.head.tied {
            module(checkpoint, canonical, name, None, None, &mut tensors)?;
        }
    }
    for layer in 0..checkpoint.spec.layers.len() {
        for (canonical, name) in GGUF_NAMES.iter().filter(|(_, name)| name.contains("{}")) {
            let name = name.replacen("{}", &layer.to_string(), 1);
            let is_pair = export.interleaved_pairs && matches!(*canonical, "attention.q" | "attention.k");
            let rows = is_pair.then_some(attention.head_dim);
            module(checkpoint, canonical, &name, Some(layer), rows, &mut tensors)?;
        }
        if let Some(moe) = moe(&checkpoint.spec) {
            experts(checkpoint, layer, moe.experts, &mut tensors)?;
        }
    }
    leave_nothing_out(folder, checkpoint, &tensors)?;
    Ok(tensors)
}

/// Weight and bias of a module that the checkpoint has and that is not planned yet.
fn module(
    checkpoint: &Checkpoint,
    canonical: &str,
    name: &str,
    layer: Option<usize>,
    interleaved_rows: Option<usize>,
    tensors: &mut Vec<PlannedTensor>,
) -> Result<(), ModelError> {
    for part in ["weight", "bias"] {
        let Some(source) = checkpoint.weights.find(canonical, layer, None, part)? else { continue };
        let name = format!("{name}.{part}");
        if !tensors.iter().rev().take(32).any(|t| t.name == name || t.sources[0].name == source.name) {
            tensors.push(planned(name, vec![source], interleaved_rows, checkpoint)?);
        }
    }
    Ok(())
}

fn experts(
    checkpoint: &Checkpoint,
    layer: usize,
    experts: usize,
    tensors: &mut Vec<PlannedTensor>,
) -> Result<(), ModelError> {
    for (canonical, name) in [("moe.gate", "ffn_gate_exps"), ("moe.up", "ffn_up_exps"), ("moe.down", "ffn_down_exps")] {
        let name = format!("blk.{layer}.{name}.weight");
        if tensors.iter().rev().take(32).any(|t| t.name == name) {
            continue;
        }
        let find = |expert| checkpoint.weights.find(canonical, Some(layer), Some(expert), "weight");
        let sources = (0..experts).map(find).collect::<Result<Option<Vec<_>>, _>>()?;
        let sources = sources.ok_or_else(|| {
            checkpoint.weights.error(&name, "cannot be made: the folder lacks an expert, or stores experts fused")
        })?;
        if let Some(odd) = sources.iter().find(|source| source.shape != sources[0].shape) {
            return Err(checkpoint.weights.error(&odd.name, "has another shape than the first expert's"));
        }
        tensors.push(planned(name, sources, None, checkpoint)?);
    }
    Ok(())
}

fn planned(
    name: String,
    sources: Vec<WeightTensor>,
    interleaved_rows: Option<usize>,
    checkpoint: &Checkpoint,
) -> Result<PlannedTensor, ModelError> {
    let mut shape = sources[0].shape.clone();
    if sources.len() > 1 {
        shape.insert(0, sources.len());
    }
    if let Some(quantized) = sources.iter().find(|source| source.is_quantized()) {
        return Err(checkpoint.weights.error(&quantized.name, "is quantized already; start from the original weights"));
    }
    if interleaved_rows.is_some_and(|rows| !shape[0].is_multiple_of(rows)) {
        return Err(checkpoint.weights.error(&name, "does not consist of whole heads"));
    }
    let Storage::Dense { dtype, .. } = sources[0].storage else { unreachable!("checked above") };
    // Readers expect vectors and routers in f32.
    let stored = if shape.len() < 2 || name.contains("ffn_gate_inp") { TensorType::F32 } else { dtype };
    Ok(PlannedTensor { name, shape, stored, sources, interleaved_rows })
}

/// An error if a tensor of the folder has no place in the file.
fn leave_nothing_out(folder: &Path, checkpoint: &Checkpoint, tensors: &[PlannedTensor]) -> Result<(), ModelError> {
    let used: HashSet<_> = tensors.iter().flat_map(|t| &t.sources).map(|source| &source.name[..]).collect();
    let is_needless = |name: &str| {
        name.ends_with("rotary_emb.inv_freq") || (checkpoint.spec.head.tied && name.ends_with("lm_head.weight"))
    };
    let listing = checkpoint.weights.listing();
    match listing.iter().find(|(name, ..)| !used.contains(&name[..]) && !is_needless(name)) {
        Some((name, ..)) => {
            Err(unsupported(folder, format!("tensor `{name}` in a GGUF file of this family"), String::new()))
        }
        None => Ok(()),
    }
}

/// Llama 3's scaling of frequencies is a tensor of divisors.
fn rope_divisors(folder: &Path, attention: &AttentionSpec) -> Result<Option<PlannedTensor>, ModelError> {
    let Some(RopeSpec { dims, theta, scaling, .. }) = &attention.rope else { return Ok(None) };
    let RopeScaling::Llama3 { factor, low_frequency, high_frequency, original_tokens } = scaling else {
        return match scaling {
            RopeScaling::Factors { .. } => {
                Err(unsupported(folder, "writing LongRoPE to a GGUF file".into(), String::new()))
            }
            _ => Ok(None),
        };
    };
    let divisor = |pair: usize| {
        let wavelength = 2.0 * std::f64::consts::PI * f64::from(*theta).powf(2.0 * pair as f64 / *dims as f64);
        let turns = *original_tokens as f64 / wavelength;
        let (low, high, factor) = (f64::from(*low_frequency), f64::from(*high_frequency), f64::from(*factor));
        if turns > high {
            1.0
        } else if turns < low {
            factor
        } else {
            let smooth = (turns - low) / (high - low);
            1.0 / ((1.0 - smooth) / factor + smooth)
        }
    };
    let bytes: Vec<u8> = (0..dims / 2).flat_map(|pair| (divisor(pair) as f32).to_le_bytes()).collect();
    let name = "rope_freqs.weight";
    let data = olivine_formats::Bytes::from_vec(name, bytes);
    let storage = Storage::Dense { dtype: TensorType::F32, data };
    let source = WeightTensor { name: name.into(), shape: vec![dims / 2], storage };
    Ok(Some(PlannedTensor {
        name: name.into(),
        shape: source.shape.clone(),
        stored: TensorType::F32,
        sources: vec![source],
        interleaved_rows: None,
    }))
}

fn hyper_parameters(
    folder: &Path,
    checkpoint: &Checkpoint,
    architecture: &str,
    attention: &AttentionSpec,
) -> Result<Vec<(String, Field)>, ModelError> {
    let (spec, config) = (&checkpoint.spec, &checkpoint.config);
    let name = folder.canonicalize().ok().and_then(|path| path.file_name().map(|name| name.to_string_lossy().into()));
    let mut out = vec![
        ("general.architecture".to_string(), Field::String(architecture.into())),
        ("general.type".to_string(), Field::String("model".into())),
        ("general.name".to_string(), Field::String(name.unwrap_or_else(|| architecture.to_string()))),
    ];
    let mut put = |key: &str, value: Field| out.push((format!("{architecture}.{key}"), value));
    let count = |n: usize| Field::U32(n as u32);
    put("block_count", count(spec.layers.len()));
    put("context_length", count(spec.context_tokens));
    put("embedding_length", count(spec.hidden));
    put("feed_forward_length", count(config.size("intermediate_size")?));
    put("attention.head_count", count(attention.heads));
    put("attention.head_count_kv", count(attention.kv_heads));
    put("attention.key_length", count(attention.head_dim));
    put("attention.value_length", count(attention.head_dim));
    put("attention.layer_norm_rms_epsilon", Field::F32(spec.norm_epsilon));
    put("vocab_size", count(spec.vocabulary));
    if let Some(moe) = moe(spec) {
        put("expert_count", count(moe.experts));
        put("expert_used_count", count(moe.active));
        put("expert_feed_forward_length", count(moe.width));
    }
    let rope = attention.rope.as_ref().expect("chosen because it has one");
    put("rope.freq_base", Field::F32(rope.theta));
    put("rope.dimension_count", count(rope.dims));
    match rope.scaling {
        RopeScaling::Linear { factor } => {
            put("rope.scaling.type", Field::String("linear".into()));
            put("rope.scaling.factor", Field::F32(factor));
        }
        RopeScaling::Yarn { factor, original_tokens, beta_fast, beta_slow, attention_factor, truncate } => {
            let usual = 0.1 * factor.max(1.0).ln() + 1.0;
            if !truncate || (attention_factor - usual).abs() > 1e-6 {
                return Err(unsupported(folder, "writing this form of YaRN to a GGUF file".into(), String::new()));
            }
            put("rope.scaling.type", Field::String("yarn".into()));
            put("rope.scaling.factor", Field::F32(factor));
            put("rope.scaling.original_context_length", count(original_tokens));
            put("rope.scaling.yarn_beta_fast", Field::F32(beta_fast));
            put("rope.scaling.yarn_beta_slow", Field::F32(beta_slow));
        }
        RopeScaling::None | RopeScaling::Llama3 { .. } | RopeScaling::Factors { .. } => {}
    }
    Ok(out)
}
