//! Hyper-parameters of a model as GGUF metadata, and the proof that they say everything.
//!
//! The metadata are read back and resolved to a spec before anything is written; a model that comes back as another one
//! is refused, so that no reader computes something else than the folder does.

use std::path::Path;

use olivine_formats::gguf::Gguf;
use olivine_formats::gguf_writer::{Field, in_memory};
use olivine_formats::{Bytes, Declaration, Mapped, TensorType};
use serde_json::Value;

use super::{PlannedTensor, unsupported};
use crate::ModelError;
use crate::families::family::Export;
use crate::families::{self};
use crate::gguf_config;
use crate::model::Checkpoint;
use crate::spec::*;
use crate::weights::{Storage, WeightTensor};

/// Metadata under construction, keys behind the architecture's name.
struct Fields {
    architecture: String,
    fields: Vec<(String, Field)>,
}

impl Fields {
    fn count(&mut self, key: &str, value: usize) {
        self.put(key, Field::U32(value as u32));
    }

    fn number(&mut self, key: &str, value: f32) {
        self.put(key, Field::F32(value));
    }

    fn put(&mut self, key: &str, value: Field) {
        self.fields.push((format!("{}.{key}", self.architecture), value));
    }
}

/// The metadata of the folder's model.
pub fn metadata(
    folder: &Path,
    checkpoint: &Checkpoint,
    architecture: &str,
) -> Result<Vec<(String, Field)>, ModelError> {
    let (spec, config) = (&checkpoint.spec, &checkpoint.config);
    let name = folder.canonicalize().ok().and_then(|path| path.file_name().map(|name| name.to_string_lossy().into()));
    let general = [
        ("general.architecture", architecture.to_string()),
        ("general.type", "model".into()),
        ("general.name", name.unwrap_or_else(|| architecture.to_string())),
    ];
    let fields = general.map(|(key, value)| (key.to_string(), Field::String(value))).to_vec();
    let mut out = Fields { architecture: architecture.into(), fields };
    out.count("block_count", spec.layers.len());
    out.count("context_length", config.size_or("max_position_embeddings", spec.context_tokens)?);
    out.count("embedding_length", spec.hidden);
    out.count("vocab_size", spec.vocabulary);
    out.number("attention.layer_norm_rms_epsilon", spec.norm_epsilon);
    let width = spec.layers.iter().find_map(|layer| match layer.ffn {
        Ffn::Dense { width, .. } => Some(width),
        Ffn::Moe(_) => None,
    });
    if let Some(width) = config.size_option("intermediate_size")?.or(width) {
        out.count("feed_forward_length", width);
    }
    if let Some(cap) = spec.head.soft_cap {
        out.number("final_logit_softcapping", cap);
    }
    for layer in first_of_each_kind(spec) {
        match &layer.mixer {
            Mixer::Attention(attention) => put_attention(&mut out, attention),
            Mixer::Latent(latent) => put_latent(&mut out, latent),
            Mixer::GatedDelta(delta) => put_delta(&mut out, delta, spec),
        }
        if let Ffn::Moe(moe) = &layer.ffn {
            put_experts(&mut out, moe, spec);
        }
    }
    put_windows(&mut out, spec);
    put_rope(folder, &mut out, checkpoint)?;
    out.fields.dedup_by(|a, b| a.0 == b.0);
    let mut seen = std::collections::HashSet::new();
    out.fields.retain(|(key, _)| seen.insert(key.clone()));
    Ok(out.fields)
}

/// Layers whose blocks are of kinds that no layer before has.
fn first_of_each_kind(spec: &ModelSpec) -> impl Iterator<Item = &LayerSpec> {
    let kind = |layer: &LayerSpec| (std::mem::discriminant(&layer.mixer), std::mem::discriminant(&layer.ffn));
    let mut seen = Vec::new();
    spec.layers.iter().filter(move |layer| {
        let known = seen.contains(&kind(layer));
        seen.push(kind(layer));
        !known
    })
}

fn put_attention(out: &mut Fields, attention: &AttentionSpec) {
    out.count("attention.head_count", attention.heads);
    out.count("attention.head_count_kv", attention.kv_heads);
    out.count("attention.key_length", attention.head_dim);
    out.count("attention.value_length", attention.head_dim);
    if let Some(cap) = attention.soft_cap {
        out.number("attn_logit_softcapping", cap);
    }
}

/// One key head, which is the latent, and widths with and without it.
fn put_latent(out: &mut Fields, latent: &LatentSpec) {
    out.count("attention.head_count", latent.heads);
    out.count("attention.head_count_kv", 1);
    out.count("attention.key_length", latent.latent + latent.rope_dim);
    out.count("attention.value_length", latent.latent);
    out.count("attention.key_length_mla", latent.nope_dim + latent.rope_dim);
    out.count("attention.value_length_mla", latent.value_dim);
    out.count("attention.kv_lora_rank", latent.latent);
    if let Some(rank) = latent.query_rank {
        out.count("attention.q_lora_rank", rank);
    }
}

fn put_delta(out: &mut Fields, delta: &GatedDeltaSpec, spec: &ModelSpec) {
    out.count("ssm.conv_kernel", delta.conv_taps);
    out.count("ssm.state_size", delta.key_dim);
    out.count("ssm.group_count", delta.key_heads);
    out.count("ssm.time_step_rank", delta.value_heads);
    out.count("ssm.inner_size", delta.value_heads * delta.value_dim);
    let recurrent: Vec<_> = spec.layers.iter().map(|layer| matches!(layer.mixer, Mixer::GatedDelta(_))).collect();
    let interval = recurrent.iter().take_while(|recurrent| **recurrent).count() + 1;
    out.count("full_attention_interval", interval);
    out.put("attention.recurrent_layers", Field::Bools(recurrent));
}

fn put_experts(out: &mut Fields, moe: &MoeSpec, spec: &ModelSpec) {
    out.count("expert_count", moe.experts);
    out.count("expert_used_count", moe.active);
    out.count("expert_feed_forward_length", moe.width);
    match &moe.shared {
        Some(shared) if shared.gated => out.count("expert_shared_feed_forward_length", shared.width),
        Some(shared) => out.count("expert_shared_count", shared.width / moe.width),
        None => {}
    }
    if moe.router.scoring == Scoring::Sigmoid {
        let (groups, best) = moe.router.groups.unwrap_or((1, 1));
        out.count("expert_gating_func", 2);
        out.count("expert_group_count", groups);
        out.count("expert_group_used_count", best);
        out.number("expert_weights_scale", moe.router.scale);
        out.put("expert_weights_norm", Field::Bool(moe.router.normalize));
        let dense = spec.layers.iter().take_while(|layer| matches!(layer.ffn, Ffn::Dense { .. })).count();
        out.count("leading_dense_block_count", dense);
    }
}

/// The window, and the rotary base of layers that have one where it differs.
fn put_windows(out: &mut Fields, spec: &ModelSpec) {
    let attentions = || spec.layers.iter().filter_map(|layer| attention_of(layer));
    let Some(windowed) = attentions().find(|attention| attention.window.is_some()) else { return };
    out.count("attention.sliding_window", windowed.window.unwrap_or(0));
    let bases = [true, false].map(|with| attentions().find(|a| a.window.is_some() == with)?.rope.as_ref());
    if let [Some(windowed), Some(full)] = bases
        && windowed.theta != full.theta
    {
        out.number("rope.freq_base_swa", windowed.theta);
    }
}

fn attention_of(layer: &LayerSpec) -> Option<&AttentionSpec> {
    match &layer.mixer {
        Mixer::Attention(attention) => Some(attention),
        _ => None,
    }
}

/// The rotary embedding of the model: of its layers without a window, if there are any.
pub fn main_rope(spec: &ModelSpec) -> Option<&RopeSpec> {
    let attentions = || spec.layers.iter().filter_map(attention_of).filter(|attention| attention.rope.is_some());
    let latent = spec.layers.iter().find_map(|layer| match &layer.mixer {
        Mixer::Latent(latent) => Some(&latent.rope),
        _ => None,
    });
    let full = attentions().find(|attention| attention.window.is_none()).or(attentions().next());
    latent.or(full.and_then(|attention| attention.rope.as_ref()))
}

fn put_rope(folder: &Path, out: &mut Fields, checkpoint: &Checkpoint) -> Result<(), ModelError> {
    let Some(rope) = main_rope(&checkpoint.spec) else { return Ok(()) };
    let kind = rope_field(checkpoint, "rope_type").or(rope_field(checkpoint, "type")).and_then(Value::as_str);
    if kind == Some("dynamic") {
        return Err(unsupported(folder, "dynamic scaling of the rotary base in a GGUF file".into(), String::new()));
    }
    out.number("rope.freq_base", rope.theta);
    out.count("rope.dimension_count", rope.dims);
    match &rope.scaling {
        RopeScaling::Linear { factor } => {
            out.put("rope.scaling.type", Field::String("linear".into()));
            out.number("rope.scaling.factor", *factor);
        }
        RopeScaling::Yarn { factor, original_tokens, beta_fast, beta_slow, attention_factor, .. } => {
            // Readers multiply what the key for it says by the usual factor.
            if (attention_factor - (0.1 * factor.max(1.0).ln() + 1.0)).abs() > 1e-6 {
                let feature = format!("writing YaRN with the attention factor {attention_factor} to a GGUF file");
                return Err(unsupported(folder, feature, String::new()));
            }
            out.put("rope.scaling.type", Field::String("yarn".into()));
            out.number("rope.scaling.factor", *factor);
            out.count("rope.scaling.original_context_length", *original_tokens);
            out.number("rope.scaling.yarn_beta_fast", *beta_fast);
            out.number("rope.scaling.yarn_beta_slow", *beta_slow);
        }
        RopeScaling::Factors { attention_factor, .. } => {
            out.number("rope.scaling.attn_factor", *attention_factor);
            let original = rope_field(checkpoint, "original_max_position_embeddings");
            let original = original.or(checkpoint.config.get("original_max_position_embeddings"));
            let tokens = original.and_then(Value::as_u64).map_or(checkpoint.spec.context_tokens, |n| n as usize);
            out.count("rope.scaling.original_context_length", tokens);
        }
        RopeScaling::None | RopeScaling::Llama3 { .. } => {}
    }
    if let Some(sections) = rope_field(checkpoint, "mrope_section").and_then(Value::as_array) {
        let mut sections: Vec<_> = sections.iter().map(|n| n.as_i64().unwrap_or(0) as i32).collect();
        sections.resize(4, 0);
        out.put("rope.dimension_sections", Field::I32s(sections));
    }
    Ok(())
}

/// A field of `rope_parameters` or `rope_scaling`.
fn rope_field<'a>(checkpoint: &'a Checkpoint, name: &str) -> Option<&'a Value> {
    let objects = ["rope_parameters", "rope_scaling"].into_iter().filter_map(|key| checkpoint.config.get(key));
    objects.filter_map(|object| object.get(name)).next()
}

/// Tensors that divide rotary frequencies: Llama 3's rule worked out, LongRoPE's two lists.
pub fn rope_tensors(checkpoint: &Checkpoint) -> Vec<PlannedTensor> {
    let Some(rope) = main_rope(&checkpoint.spec) else { return Vec::new() };
    match &rope.scaling {
        RopeScaling::Llama3 { .. } => vec![divisors("rope_freqs.weight", &wavelength_divisors(rope))],
        RopeScaling::Factors { .. } => {
            let list = |key| {
                let numbers = rope_field(checkpoint, key).and_then(Value::as_array);
                numbers.into_iter().flatten().filter_map(Value::as_f64).map(|x| x as f32).collect::<Vec<_>>()
            };
            vec![
                divisors("rope_factors_long.weight", &list("long_factor")),
                divisors("rope_factors_short.weight", &list("short_factor")),
            ]
        }
        _ => Vec::new(),
    }
}

fn wavelength_divisors(rope: &RopeSpec) -> Vec<f32> {
    let RopeScaling::Llama3 { factor, low_frequency, high_frequency, original_tokens } = rope.scaling else {
        return Vec::new();
    };
    let divisor = |pair: usize| {
        let exponent = 2.0 * pair as f64 / rope.dims as f64;
        let wavelength = 2.0 * std::f64::consts::PI * f64::from(rope.theta).powf(exponent);
        let turns = original_tokens as f64 / wavelength;
        let (low, high, factor) = (f64::from(low_frequency), f64::from(high_frequency), f64::from(factor));
        if turns > high {
            1.0
        } else if turns < low {
            factor
        } else {
            let smooth = (turns - low) / (high - low);
            1.0 / ((1.0 - smooth) / factor + smooth)
        }
    };
    (0..rope.dims / 2).map(|pair| divisor(pair) as f32).collect()
}

fn divisors(name: &str, values: &[f32]) -> PlannedTensor {
    let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let storage = Storage::Dense { dtype: TensorType::F32, data: Bytes::from_vec(name, bytes) };
    let source = WeightTensor { name: name.into(), shape: vec![values.len()], storage };
    PlannedTensor::new(name, vec![values.len()], TensorType::F32, vec![source])
}

/// The spec that a reader of the file resolves, with what it takes for granted about the order of rows. An error when
/// it is another model than the folder's.
pub fn read_back(
    folder: &Path,
    checkpoint: &Checkpoint,
    export: &Export,
    metadata: &[(String, Field)],
    rope_tensors: &[PlannedTensor],
) -> Result<ModelSpec, ModelError> {
    let refuse = |what: &str| unsupported(folder, format!("{what} in a GGUF file"), String::new());
    let own = &checkpoint.spec;
    if let Some(problem) = unreadable(own, export) {
        return Err(refuse(&problem));
    }
    let mut tensors = vec![("token_embd.weight", vec![own.vocabulary, 0], Vec::new())];
    if !own.head.tied {
        tensors.push(("output.weight", vec![0], Vec::new()));
    }
    if own.layers.iter().any(|layer| matches!(&layer.ffn, Ffn::Moe(moe) if moe.router.correction)) {
        tensors.push(("blk.0.exp_probs_b.bias", vec![0], Vec::new()));
    }
    for tensor in rope_tensors {
        let Storage::Dense { data, .. } = &tensor.sources[0].storage else { continue };
        tensors.push((&tensor.name, tensor.shape.clone(), data.as_slice().to_vec()));
    }
    let declarations: Vec<_> =
        tensors.iter().map(|(name, shape, _)| Declaration::new(*name, TensorType::F32, shape.clone())).collect();
    let data: Vec<_> = tensors.into_iter().map(|(.., data)| data).collect();
    let name = folder.display().to_string();
    let gguf = Gguf::from_mapped(Mapped::of_vec(&name, in_memory(&name, metadata, &declarations, &data)?))?;
    let config = gguf_config::config(folder, &gguf)?;
    let found = (families::of_gguf(&config, gguf.architecture()?)?.spec)(&config)?;
    match difference(own, &found) {
        None => Ok(found),
        Some(line) => Err(refuse(&format!("a model with `{line}`"))),
    }
}

/// What our reader would understand and others would not.
fn unreadable(spec: &ModelSpec, export: &Export) -> Option<String> {
    for (index, layer) in spec.layers.iter().enumerate() {
        if let Some(window) = attention_of(layer).and_then(|attention| attention.window)
            && export.window_interval == 0
            && window < spec.context_tokens
        {
            return Some("sliding windows".into());
        }
        let full = export.window_interval > 1 && (index + 1).is_multiple_of(export.window_interval);
        let has_window = attention_of(layer).is_some_and(|attention| attention.window.is_some());
        if export.window_interval > 0 && has_window == full && spec.layers.iter().any(has_window_of) {
            return Some("this pattern of layers with sliding windows".into());
        }
        if let Ffn::Moe(moe) = &layer.ffn
            && moe.router.scoring == Scoring::Softmax
            && !moe.router.normalize
        {
            return Some("experts whose weights are not normalized".into());
        }
    }
    None
}

fn has_window_of(layer: &LayerSpec) -> bool {
    attention_of(layer).is_some_and(|attention| attention.window.is_some())
}

/// The first line in which the two models differ, the order of their rows aside.
fn difference(own: &ModelSpec, found: &ModelSpec) -> Option<String> {
    let plain = |spec: &ModelSpec| {
        let mut spec = ModelSpec { norm_offset: 0.0, ..spec.clone() };
        for layer in &mut spec.layers {
            match &mut layer.mixer {
                Mixer::Attention(attention) => {
                    attention.window = attention.window.filter(|window| *window < spec.context_tokens);
                    if let Some(rope) = &mut attention.rope {
                        rope.interleaved = false;
                        if matches!(rope.scaling, RopeScaling::Llama3 { .. }) {
                            let factors = wavelength_divisors(rope);
                            rope.scaling = RopeScaling::Factors { factors, attention_factor: 1.0 };
                        }
                    }
                }
                Mixer::GatedDelta(delta) => delta.tiled = false,
                Mixer::Latent(_) => {}
            }
        }
        spec
    };
    let (own, found) = (plain(own), plain(found));
    if own == found {
        return None;
    }
    let (own_text, found_text) = (own.to_string(), found.to_string());
    let line = own_text.lines().zip(found_text.lines()).find(|(a, b)| a != b).map(|(line, _)| line.trim().to_string());
    Some(line.unwrap_or_else(|| format!("the spec of {}", own.family)))
}
