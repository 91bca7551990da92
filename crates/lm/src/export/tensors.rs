//! Which tensors of a folder become which tensors of a GGUF file, and in what order their rows stand there.
//!
//! Most are modules of the same name (`GGUF_NAMES`); experts are stacked, latent attention's key and value matrices are
//! split, the gated delta net's rows are put into the order that readers of the architecture expect.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use olivine_formats::TensorType;
use olivine_kernels::quant::Format;

use super::{Change, PlannedTensor, hyper, unsupported};
use crate::ModelError;
use crate::families::family::Export;
use crate::families::names::GGUF_NAMES;
use crate::model::Checkpoint;
use crate::spec::{Activation, Ffn, GatedDeltaSpec, LatentSpec, Mixer, ModelSpec, MoeSpec};
use crate::weights::{Storage, WeightTensor};

/// Norms that store their difference from one where the family says so.
const OFFSET_NORMS: &[&str] = &[
    "norm",
    "mixer_norm",
    "mixer_post_norm",
    "ffn_norm",
    "ffn_post_norm",
    "attention.q_norm",
    "attention.k_norm",
    "latent.q_a_norm",
    "latent.kv_a_norm",
];

/// Parts of checkpoints that are not the language model: other senses, layers that predict several tokens.
const OTHER_PARTS: &[&str] = &["vision_tower.", "multi_modal_projector.", "visual.", "mtp.", "audio_tower."];

/// All tensors but those of the rotary embedding. `found` is the spec that a reader resolves.
pub fn tensors(
    folder: &Path,
    checkpoint: &Checkpoint,
    export: &Export,
    found: &ModelSpec,
) -> Result<Vec<PlannedTensor>, ModelError> {
    let mut planner = Planner { checkpoint, tensors: Vec::new() };
    let interleaved = |spec| hyper::main_rope(spec).is_some_and(|rope| rope.interleaved);
    let reorder = interleaved(found) && !interleaved(&checkpoint.spec);
    for (canonical, name) in GGUF_NAMES.iter().filter(|(_, name)| !name.contains("{}")) {
        if *canonical != "head" || !checkpoint.spec.head.tied {
            planner.module(canonical, name, None, Vec::new())?;
        }
    }
    for (layer, (own, found)) in checkpoint.spec.layers.iter().zip(&found.layers).enumerate() {
        match (&own.mixer, &found.mixer) {
            (Mixer::GatedDelta(delta), Mixer::GatedDelta(found)) => planner.delta(layer, delta, found.tiled)?,
            (Mixer::Latent(latent), _) => planner.latent(layer, latent)?,
            _ => {}
        }
        if let Ffn::Moe(moe) = &own.ffn {
            planner.experts(layer, moe)?;
        }
        for (canonical, name) in GGUF_NAMES.iter().filter(|(_, name)| name.contains("{}")) {
            let special = ["delta.", "moe.stacked", "latent.kv_b", "latent.k_b", "latent.v_b", "moe.correction"];
            if special.iter().any(|start| canonical.starts_with(start)) {
                continue;
            }
            let other = export.names.iter().find(|(of, _)| of == canonical).map(|(_, name)| name);
            let name = other.unwrap_or(name).replacen("{}", &layer.to_string(), 1);
            planner.module(canonical, &name, Some(layer), pair_change(canonical, &own.mixer, reorder))?;
        }
    }
    leave_nothing_out(folder, checkpoint, &planner.tensors)?;
    Ok(planner.tensors)
}

/// Rows of q and k are reordered for readers that rotate neighbours; in layers without rotary embedding too, whose
/// scores it does not change.
fn pair_change(canonical: &str, own: &Mixer, reorder: bool) -> Vec<Change> {
    match own {
        Mixer::Attention(attention) if reorder && matches!(canonical, "attention.q" | "attention.k") => {
            vec![Change::Interleave(attention.head_dim)]
        }
        _ => Vec::new(),
    }
}

struct Planner<'a> {
    checkpoint: &'a Checkpoint,
    tensors: Vec<PlannedTensor>,
}

impl Planner<'_> {
    fn find(&self, canonical: &str, layer: usize) -> Result<Option<WeightTensor>, ModelError> {
        self.checkpoint.weights.find(canonical, Some(layer), None, "weight")
    }

    fn get(&self, canonical: &str, layer: usize, shape: &[usize]) -> Result<WeightTensor, ModelError> {
        let tensor = self.checkpoint.weights.get(canonical, Some(layer), "weight")?;
        self.checkpoint.weights.check(&tensor, shape)?;
        Ok(WeightTensor { shape: shape.to_vec(), ..tensor })
    }

    /// Weight and bias of a module that the checkpoint has and that is not planned yet.
    fn module(
        &mut self,
        canonical: &str,
        name: &str,
        layer: Option<usize>,
        changes: Vec<Change>,
    ) -> Result<(), ModelError> {
        for part in ["weight", "bias"] {
            let Some(source) = self.checkpoint.weights.find(canonical, layer, None, part)? else { continue };
            let name = format!("{name}.{part}");
            if self.tensors.iter().rev().take(64).any(|t| t.name == name || t.sources[0].name == source.name) {
                continue;
            }
            let mut changes = changes.clone();
            let offset = self.checkpoint.spec.norm_offset;
            let folded = self.checkpoint.weights.norm_offset_is_folded();
            if offset != 0.0 && !folded && OFFSET_NORMS.contains(&canonical) {
                changes.push(Change::Add(offset));
            }
            let shape = source.shape.clone();
            self.plan(name, shape, vec![source], changes)?;
        }
        Ok(())
    }

    fn plan(
        &mut self,
        name: String,
        shape: Vec<usize>,
        sources: Vec<WeightTensor>,
        changes: Vec<Change>,
    ) -> Result<(), ModelError> {
        let weights = &self.checkpoint.weights;
        let stored = match &sources[0].storage {
            // Readers expect vectors, routers and convolutions in f32.
            Storage::Dense { dtype, .. } => {
                let narrow = ["ffn_gate_inp", "ssm_conv1d", "ssm_a"].iter().any(|part| name.contains(part));
                if shape.len() < 2 || name.ends_with(".bias") || narrow { TensorType::F32 } else { *dtype }
            }
            Storage::Quantized { format: Format::Mxfp4, scales: Some(_), .. } => TensorType::Mxfp4,
            Storage::Quantized { .. } => {
                let problem = "is quantized already; start from the original weights";
                return Err(weights.error(&sources[0].name, problem));
            }
        };
        if let Some(odd) = sources.iter().find(|source| source.is_quantized() != sources[0].is_quantized()) {
            return Err(weights.error(&odd.name, "is stored in another way than its neighbours"));
        }
        for change in &changes {
            if let Change::Interleave(rows) = change
                && !shape[0].is_multiple_of(*rows)
            {
                return Err(weights.error(&name, "does not consist of whole heads"));
            }
        }
        self.tensors.push(PlannedTensor { changes, ..PlannedTensor::new(name, shape, stored, sources) });
        Ok(())
    }

    /// Rows `ranges` of one tensor, in this order.
    fn rows(&mut self, name: String, source: &WeightTensor, ranges: &[Range<usize>]) -> Result<(), ModelError> {
        let sources: Vec<_> = ranges.iter().map(|range| source.slice_rows(range.start, range.len())).collect();
        let count = ranges.iter().map(Range::len).sum();
        let shape = if source.columns() == 1 { vec![count] } else { vec![count, source.columns()] };
        self.plan(name, shape, sources, Vec::new())
    }

    /// The key heads' matrix, transposed, and the value heads', from the rows `[nope | value]` of each head of one.
    fn latent(&mut self, layer: usize, spec: &LatentSpec) -> Result<(), ModelError> {
        let (heads, latent, nope, value) = (spec.heads, spec.latent, spec.nope_dim, spec.value_dim);
        let name = |part: &str| format!("blk.{layer}.attn_{part}.weight");
        if self.find("latent.kv_b", layer)?.is_none() {
            // Another program has split them: keys are stored as they are multiplied.
            let keys = self.get("latent.k_b", layer, &[heads, latent, nope])?;
            let values = self.get("latent.v_b", layer, &[heads, value, latent])?;
            self.plan(name("k_b"), vec![heads, latent, nope], vec![keys], Vec::new())?;
            return self.plan(name("v_b"), vec![heads, value, latent], vec![values], Vec::new());
        }
        let both = self.get("latent.kv_b", layer, &[heads * (nope + value), latent])?;
        let part = |first: usize, count: usize| {
            (0..heads).map(|head| both.slice_rows(head * (nope + value) + first, count)).collect::<Vec<_>>()
        };
        self.plan(name("k_b"), vec![heads, latent, nope], part(0, nope), vec![Change::Transpose])?;
        self.plan(name("v_b"), vec![heads, value, latent], part(nope, value), Vec::new())
    }

    /// The gated delta net. `tiled`: value head `h` goes with key head `h % key_heads` there.
    fn delta(&mut self, layer: usize, spec: &GatedDeltaSpec, tiled: bool) -> Result<(), ModelError> {
        let hidden = self.checkpoint.spec.hidden;
        let name = |part: &str| format!("blk.{layer}.{part}");
        let (groups, heads, width) = (spec.key_heads, spec.value_heads, spec.value_dim);
        let per_group = heads / groups;
        let order: Vec<usize> = match tiled {
            false => (0..heads).collect(),
            true => (0..per_group).flat_map(|r| (0..groups).map(move |g| g * per_group + r)).collect(),
        };
        let heads_from = |first: usize, width: usize| {
            order.iter().map(move |head| first + head * width..first + (head + 1) * width).collect::<Vec<_>>()
        };
        let keys = 2 * groups * spec.key_dim;
        let channels: Vec<_> = std::iter::once(0..keys).chain(heads_from(keys, width)).collect();
        if self.find("delta.qkv", layer)?.is_some() {
            let rows = self.get("delta.qkv", layer, &[spec.conv_channels(), hidden])?;
            self.rows(name("attn_qkv.weight"), &rows, &channels)?;
            let gate = self.get("delta.z", layer, &[heads * width, hidden])?;
            self.rows(name("attn_gate.weight"), &gate, &heads_from(0, width))?;
        } else {
            // [q | k | v of the group | z of the group] of each key head.
            let (key, value) = (spec.key_dim, per_group * width);
            let stride = 2 * key + 2 * value;
            let all = self.get("delta.qkvz", layer, &[groups * stride, hidden])?;
            let part = |first: usize, count: usize| {
                (0..groups).map(move |g| g * stride + first..g * stride + first + count).collect::<Vec<_>>()
            };
            let qkv = [part(0, key), part(key, key), part(2 * key, value)].concat();
            self.rows(name("attn_qkv.weight"), &all, &qkv)?;
            self.rows(name("attn_gate.weight"), &all, &part(2 * key + value, value))?;
        }
        if self.find("delta.ba", layer)?.is_some() {
            let both = self.get("delta.ba", layer, &[2 * heads, hidden])?;
            self.plan(name("ssm_ba.weight"), vec![2 * heads, hidden], vec![both], Vec::new())?;
        } else {
            for (canonical, part) in [("delta.b", "ssm_beta.weight"), ("delta.a", "ssm_alpha.weight")] {
                let rows = self.get(canonical, layer, &[heads, hidden])?;
                self.rows(name(part), &rows, &heads_from(0, 1))?;
            }
        }
        let taps = self.get("delta.conv", layer, &[spec.conv_channels(), spec.conv_taps])?;
        self.rows(name("ssm_conv1d.weight"), &taps, &channels)?;
        let decay = self.get("delta.decay", layer, &[heads, 1])?;
        self.rows(name("ssm_a"), &decay, &heads_from(0, 1))?;
        self.tensors.last_mut().expect("planned above").changes.push(Change::NegativeExponential);
        let bias = self.get("delta.time_bias", layer, &[heads, 1])?;
        self.rows(name("ssm_dt.bias"), &bias, &heads_from(0, 1))?;
        let norm = self.get("delta.norm", layer, &[width])?;
        self.plan(name("ssm_norm.weight"), vec![width], vec![norm], Vec::new())?;
        let out = self.get("delta.out", layer, &[hidden, heads * width])?;
        let changes = if tiled { vec![Change::Columns(heads_from(0, width))] } else { Vec::new() };
        self.plan(name("ssm_out.weight"), vec![hidden, heads * width], vec![out], changes)
    }

    /// Projections of all experts, stacked, and the router's correction.
    fn experts(&mut self, layer: usize, spec: &MoeSpec) -> Result<(), ModelError> {
        let (experts, width, hidden) = (spec.experts, spec.width, self.checkpoint.spec.hidden);
        let name = |part: &str| format!("blk.{layer}.{part}");
        if self.find("moe.stacked_gate_up", layer)?.is_some() {
            self.fused_experts(layer, spec)?;
        } else {
            for (part, rows, columns) in [("gate", width, hidden), ("up", width, hidden), ("down", hidden, width)] {
                let sources = self.expert_sources(layer, part, experts, [rows, columns])?;
                let name = name(&format!("ffn_{part}_exps.weight"));
                self.plan(name, vec![experts, rows, columns], sources, Vec::new())?;
            }
        }
        if spec.router.correction {
            let found = self.checkpoint.weights.find("moe.correction", Some(layer), None, "bias")?;
            let correction = match found {
                Some(bias) => bias,
                None => self.get("moe.correction", layer, &[experts])?,
            };
            self.plan(name("exp_probs_b.bias"), vec![experts], vec![correction], Vec::new())?;
        }
        Ok(())
    }

    /// One stacked tensor, or one for each expert.
    fn expert_sources(
        &self,
        layer: usize,
        part: &str,
        experts: usize,
        [rows, columns]: [usize; 2],
    ) -> Result<Vec<WeightTensor>, ModelError> {
        let weights = &self.checkpoint.weights;
        if self.find(&format!("moe.stacked_{part}"), layer)?.is_some() {
            return Ok(vec![self.get(&format!("moe.stacked_{part}"), layer, &[experts, rows, columns])?]);
        }
        let mut sources = Vec::with_capacity(experts);
        for expert in 0..experts {
            let source = weights.find(&format!("moe.{part}"), Some(layer), Some(expert), "weight")?;
            let source = source.ok_or_else(|| {
                weights.error(&format!("moe.{part} of layer {layer}, expert {expert}"), "is missing from the folder")
            })?;
            weights.check(&source, &[rows, columns])?;
            sources.push(source);
        }
        Ok(sources)
    }

    /// Gate and up projection in one tensor: gates first; or, in turn, and then dense ones are stored inputs first.
    fn fused_experts(&mut self, layer: usize, spec: &MoeSpec) -> Result<(), ModelError> {
        let (experts, width, hidden) = (spec.experts, spec.width, self.checkpoint.spec.hidden);
        let weights = &self.checkpoint.weights;
        let in_turn = matches!(spec.activation, Activation::ClampedSwiglu { .. });
        let fused = weights.get("moe.stacked_gate_up", Some(layer), "weight")?;
        let down = weights.get("moe.fused_down", Some(layer), "weight")?;
        let transposed = in_turn && !fused.is_quantized();
        let shapes = if transposed {
            ([experts, hidden, 2 * width], [experts, width, hidden])
        } else {
            ([experts, 2 * width, hidden], [experts, hidden, width])
        };
        weights.check(&fused, &shapes.0)?;
        weights.check(&down, &shapes.1)?;
        let of_experts = |tensor: &WeightTensor, first: usize, count: usize| {
            let rows = tensor.rows() / experts;
            (0..experts).map(|expert| tensor.slice_rows(expert * rows + first, count)).collect::<Vec<_>>()
        };
        let turn = |first: usize| {
            if transposed {
                vec![Change::Transpose, Change::EveryOther(first)]
            } else {
                vec![Change::EveryOther(first)]
            }
        };
        let name = |part: &str| format!("blk.{layer}.ffn_{part}");
        for (index, part) in ["gate", "up"].into_iter().enumerate() {
            let (sources, changes) = match in_turn {
                true => (of_experts(&fused, 0, fused.rows() / experts), turn(index)),
                false => (of_experts(&fused, index * width, width), Vec::new()),
            };
            self.plan(name(&format!("{part}_exps.weight")), vec![experts, width, hidden], sources, changes)?;
            if spec.expert_biases {
                let bias = self.checkpoint.weights.get("moe.stacked_gate_up", Some(layer), "bias")?;
                self.checkpoint.weights.check(&bias, &[experts, 2 * width])?;
                let bias = WeightTensor { shape: vec![experts * 2 * width, 1], ..bias };
                let changes = vec![Change::EveryOther(index)];
                self.plan(name(&format!("{part}_exps.bias")), vec![experts, width], vec![bias], changes)?;
            }
        }
        let changes = if transposed { vec![Change::Transpose] } else { Vec::new() };
        let sources = of_experts(&down, 0, down.rows() / experts);
        self.plan(name("down_exps.weight"), vec![experts, hidden, width], sources, changes)?;
        if spec.expert_biases {
            let bias = self.checkpoint.weights.get("moe.fused_down", Some(layer), "bias")?;
            self.checkpoint.weights.check(&bias, &[experts, hidden])?;
            self.plan(name("down_exps.bias"), vec![experts, hidden], vec![bias], Vec::new())?;
        }
        Ok(())
    }
}

/// An error if a tensor of the folder has no place in the file.
fn leave_nothing_out(folder: &Path, checkpoint: &Checkpoint, tensors: &[PlannedTensor]) -> Result<(), ModelError> {
    let used: HashSet<_> = tensors.iter().flat_map(|t| &t.sources).map(|source| &source.name[..]).collect();
    let is_needless = |name: &str| {
        let tied_head = checkpoint.spec.head.tied && name.ends_with("lm_head.weight");
        let scales = name.strip_suffix("_scales").is_some_and(|module| used.contains(&*format!("{module}_blocks")));
        // Layers behind the last one predict further tokens.
        let layer = name.split(".layers.").nth(1).and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        let beyond = layer.is_some_and(|layer| layer >= checkpoint.spec.layers.len());
        let other = OTHER_PARTS.iter().any(|part| name.contains(part));
        name.ends_with("rotary_emb.inv_freq") || tied_head || scales || beyond || other
    };
    let listing = checkpoint.weights.listing();
    match listing.iter().find(|(name, ..)| !used.contains(&name[..]) && !is_needless(name)) {
        Some((name, ..)) => {
            Err(unsupported(folder, format!("tensor `{name}` in a GGUF file of this family"), String::new()))
        }
        None => Ok(()),
    }
}
