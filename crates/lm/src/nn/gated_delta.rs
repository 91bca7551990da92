//! Gated delta-net: project, convolve, update a recurrent state by the gated delta rule, project back.

use std::sync::Arc;

use olivine_array::Array;
use olivine_array::fast::gated_delta::{GatedDelta as Kernel, gated_delta};
use olivine_array::fast::linear::{Linear, linear};
use olivine_array::fast::rows::Rows;

use crate::ModelError;
use crate::adapter::SiteModule;
use crate::load::Loader;
use crate::spec::GatedDeltaSpec;
use crate::weights::WeightTensor;

/// One layer's gated delta-net.
#[derive(Debug)]
pub struct GatedDelta {
    rows: Arc<Linear>,
    block: Arc<Kernel>,
    out: Arc<Linear>,
}

impl GatedDelta {
    /// Load layer `layer`.
    pub fn load(loader: &mut Loader<'_>, layer: usize, spec: &GatedDeltaSpec) -> Result<GatedDelta, ModelError> {
        let (hidden, at, weights) = (loader.spec.hidden, Some(layer), loader.weights);
        let (channels, heads) = (spec.conv_channels(), spec.value_heads);
        let taps = weights.floats("delta.conv", at, "weight", &[channels, spec.conv_taps])?;
        let convolution = (0..spec.conv_taps).flat_map(|tap| taps.iter().skip(tap).step_by(spec.conv_taps)).copied();
        let mut a_log = weights.floats("delta.decay", at, "weight", &[heads])?;
        if weights.is_gguf() {
            // Stored as -exp(a_log).
            a_log.iter_mut().for_each(|a| *a = (-*a).ln());
        }
        let bias_part = if weights.is_gguf() { "bias" } else { "weight" };
        let block = Kernel {
            shape: spec.shape(),
            tiled: spec.tiled,
            convolution: convolution.collect(),
            a_log,
            time_bias: weights.floats("delta.time_bias", at, bias_part, &[heads])?,
            norm: (weights.floats("delta.norm", at, "weight", &[spec.value_dim])?, loader.spec.norm_epsilon),
            states: loader.cache.state(layer),
            step: loader.step.clone(),
            on_gpu: Default::default(),
        };
        Ok(GatedDelta {
            rows: load_rows(loader, layer, spec)?,
            block: Arc::new(block),
            out: loader.linear(at, &[("delta.out", hidden)], heads * spec.value_dim)?,
        })
    }

    /// `x`: `[tokens, hidden]` → `[tokens, hidden]`.
    pub fn forward(&self, x: &Rows) -> Array {
        let mixed = gated_delta(&linear(x, &self.rows), self.block.clone()); // [tokens, value_heads * value_dim]
        linear(&mixed, &self.out)
    }
}

/// One projection to `[queries | keys | values | gate | beta | decay]`. Checkpoints have these apart, or grouped by
/// key head: `[q | k | v of the group | z of the group]` and `[b | a]`.
fn load_rows(loader: &Loader<'_>, layer: usize, spec: &GatedDeltaSpec) -> Result<Arc<Linear>, ModelError> {
    let (hidden, at) = (loader.spec.hidden, Some(layer));
    let (groups, group_heads) = (spec.key_heads, spec.value_heads / spec.key_heads);
    let values = spec.value_heads * spec.value_dim;
    let pick = |tensor: &WeightTensor, stride: usize, first: usize, count: usize| {
        (0..groups).map(|g| tensor.slice_rows(g * stride + first, count)).collect::<Vec<_>>()
    };
    let (mut parts, mut modules) = (Vec::new(), Vec::new());
    let channels = spec.conv_channels();
    if loader.weights.find("delta.qkv", at, None, "weight")?.is_some() {
        parts.push(loader.matrix(&[loader.tensor("delta.qkv", at, spec.conv_channels(), hidden)?])?);
        parts.push(loader.matrix(&[loader.tensor("delta.z", at, values, hidden)?])?);
        modules.push(SiteModule::in_order("delta.qkv", layer, channels, 0));
        modules.push(SiteModule::in_order("delta.z", layer, values, channels));
    } else {
        let (key, value) = (spec.key_dim, group_heads * spec.value_dim);
        let stride = 2 * key + 2 * value;
        let all = loader.tensor("delta.qkvz", at, groups * stride, hidden)?;
        let (mut places, mut output) = (Vec::new(), 0);
        for (first, count) in [(0, key), (key, key), (2 * key, value), (2 * key + value, value)] {
            parts.push(loader.matrix(&pick(&all, stride, first, count))?);
            places.push((output, picked(groups, stride, first, count)));
            output += groups * count;
        }
        modules.push(SiteModule { canonical: "delta.qkvz".into(), layer, rows: groups * stride, places });
    }
    if loader.weights.find("delta.ba", at, None, "weight")?.is_some() {
        let both = loader.tensor("delta.ba", at, 2 * spec.value_heads, hidden)?;
        parts.push(loader.matrix(&pick(&both, 2 * group_heads, 0, group_heads))?);
        parts.push(loader.matrix(&pick(&both, 2 * group_heads, group_heads, group_heads))?);
        let output = channels + values;
        let place = |first| picked(groups, 2 * group_heads, first, group_heads);
        let places = vec![(output, place(0)), (output + spec.value_heads, place(group_heads))];
        modules.push(SiteModule { canonical: "delta.ba".into(), layer, rows: 2 * spec.value_heads, places });
    } else {
        for (index, name) in ["delta.b", "delta.a"].into_iter().enumerate() {
            parts.push(loader.matrix(&[loader.tensor(name, at, spec.value_heads, hidden)?])?);
            let output = channels + values + index * spec.value_heads;
            modules.push(SiteModule::in_order(name, layer, spec.value_heads, output));
        }
    }
    Ok(loader.linear_of(parts, None, modules))
}

/// Of each group of `stride` rows, `count` from `first` on.
fn picked(groups: usize, stride: usize, first: usize, count: usize) -> Vec<usize> {
    (0..groups).flat_map(|group| group * stride + first..group * stride + first + count).collect()
}
