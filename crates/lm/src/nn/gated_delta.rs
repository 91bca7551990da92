//! Gated delta-net: project, convolve, update a recurrent state by the gated delta rule, project back.

use std::sync::Arc;

use olivine_array::Array;
use olivine_array::fast::cards::sum_of_cards;
use olivine_array::fast::gated_delta::{GatedDelta as Kernel, gated_delta};
use olivine_array::fast::linear::{Linear, linear};
use olivine_array::fast::rows::Rows;

use crate::ModelError;
use crate::adapter::SiteModule;
use crate::load::Loader;
use crate::spec::GatedDeltaSpec;
use crate::split::{Ranges, Split, rows_of_heads, value_heads};

/// One layer's gated delta-net.
#[derive(Debug)]
pub struct GatedDelta {
    rows: Arc<Linear>,
    block: Arc<Kernel>,
    out: Arc<Linear>,
    cards: usize,
}

impl GatedDelta {
    /// Load layer `layer`.
    pub fn load(loader: &mut Loader<'_>, layer: usize, spec: &GatedDeltaSpec) -> Result<GatedDelta, ModelError> {
        let (hidden, at, weights, cards) = (loader.spec.hidden, Some(layer), loader.weights, loader.cards);
        let (channels, heads) = (spec.conv_channels(), spec.value_heads);
        let taps = weights.floats("delta.conv", at, "weight", &[channels, spec.conv_taps])?;
        let convolution = |card: usize| {
            let own: Vec<usize> = channels_of(spec, card, cards).into_iter().flatten().collect();
            (0..spec.conv_taps)
                .flat_map(|tap| own.iter().map(|c| taps[c * spec.conv_taps + tap]).collect::<Vec<_>>())
                .collect()
        };
        let mut a_log = weights.floats("delta.decay", at, "weight", &[heads])?;
        if weights.is_gguf() {
            // Stored as -exp(a_log).
            a_log.iter_mut().for_each(|a| *a = (-*a).ln());
        }
        let bias_part = if weights.is_gguf() { "bias" } else { "weight" };
        let time_bias = weights.floats("delta.time_bias", at, bias_part, &[heads])?;
        let of_heads = |values: &[f32]| -> Vec<Vec<f32>> {
            (0..cards).map(|card| value_heads(spec, card, cards).iter().map(|&head| values[head]).collect()).collect()
        };
        let own = GatedDeltaSpec { key_heads: spec.key_heads / cards, value_heads: heads / cards, ..spec.clone() };
        let block = Kernel {
            shape: own.shape(),
            tiled: spec.tiled,
            convolution: (0..cards).map(convolution).collect(),
            a_log: of_heads(&a_log),
            time_bias: of_heads(&time_bias),
            norm: (weights.floats("delta.norm", at, "weight", &[spec.value_dim])?, loader.spec.norm_epsilon),
            states: loader.cache.state(layer),
            step: loader.step.clone(),
            on_gpu: Default::default(),
        };
        let columns = |card: usize| rows_of_heads(&value_heads(spec, card, cards), 0, spec.value_dim);
        let by_heads = match cards {
            1 => Split::Whole,
            _ => Split::Columns((0..cards).map(columns).collect()),
        };
        Ok(GatedDelta {
            rows: load_rows(loader, layer, spec)?,
            block: Arc::new(block),
            out: loader.split_linear(at, &[("delta.out", hidden)], heads * spec.value_dim, &[by_heads])?,
            cards,
        })
    }

    /// `x`: `[tokens, hidden]` → `[tokens, hidden]`.
    pub fn forward(&self, x: &Rows) -> Array {
        let mixed = gated_delta(&linear(x, &self.rows), self.block.clone()); // [tokens, value_heads * value_dim]
        sum_of_cards(&linear(&mixed, &self.out), self.cards)
    }
}

/// Channels of the convolution that a card has: queries, keys and values of its heads.
fn channels_of(spec: &GatedDeltaSpec, card: usize, cards: usize) -> Ranges {
    let (heads, width) = (spec.key_heads / cards, spec.key_heads * spec.key_dim);
    let keys = |first: usize| first + card * heads * spec.key_dim..first + (card + 1) * heads * spec.key_dim;
    let values = rows_of_heads(&value_heads(spec, card, cards), 2 * width, spec.value_dim);
    [keys(0), keys(width)].into_iter().chain(values).collect()
}

/// One projection to `[queries | keys | values | gate | beta | decay]`. Checkpoints have these apart, or grouped by
/// key head: `[q | k | v of the group | z of the group]` and `[b | a]`.
fn load_rows(loader: &Loader<'_>, layer: usize, spec: &GatedDeltaSpec) -> Result<Arc<Linear>, ModelError> {
    let (hidden, at, cards) = (loader.spec.hidden, Some(layer), loader.cards);
    let (groups, group_heads) = (spec.key_heads, spec.value_heads / spec.key_heads);
    let values = spec.value_heads * spec.value_dim;
    let of_all = |ranges: &dyn Fn(usize) -> Ranges| Split::Rows((0..cards).map(ranges).collect());
    let of_heads = |width: usize| of_all(&|card| rows_of_heads(&value_heads(spec, card, cards), 0, width));
    // `count` rows from `first` on of each of a card's groups.
    let of_groups = |stride: usize, first: usize, count: usize| {
        let own = groups / cards;
        let group = move |group: usize| group * stride + first..group * stride + first + count;
        of_all(&move |card| (card * own..(card + 1) * own).map(group).collect())
    };
    let (mut parts, mut modules) = (Vec::new(), Vec::new());
    let channels = spec.conv_channels();
    if loader.weights.find("delta.qkv", at, None, "weight")?.is_some() {
        let mixed = loader.tensor("delta.qkv", at, channels, hidden)?;
        parts.push(loader.split_matrix(&[mixed], &[of_all(&|card| channels_of(spec, card, cards))])?);
        parts.push(loader.split_matrix(&[loader.tensor("delta.z", at, values, hidden)?], &[of_heads(spec.value_dim)])?);
        modules.push(SiteModule::in_order("delta.qkv", layer, channels, 0));
        modules.push(SiteModule::in_order("delta.z", layer, values, channels));
    } else {
        let (key, value) = (spec.key_dim, group_heads * spec.value_dim);
        let stride = 2 * key + 2 * value;
        let all = loader.tensor("delta.qkvz", at, groups * stride, hidden)?;
        let (mut places, mut output) = (Vec::new(), 0);
        for (first, count) in [(0, key), (key, key), (2 * key, value), (2 * key + value, value)] {
            parts.push(loader.split_matrix(std::slice::from_ref(&all), &[of_groups(stride, first, count)])?);
            places.push((output, picked(groups, stride, first, count)));
            output += groups * count;
        }
        modules.push(SiteModule { canonical: "delta.qkvz".into(), layer, rows: groups * stride, places });
    }
    if loader.weights.find("delta.ba", at, None, "weight")?.is_some() {
        let both = loader.tensor("delta.ba", at, 2 * spec.value_heads, hidden)?;
        for first in [0, group_heads] {
            let split = of_groups(2 * group_heads, first, group_heads);
            parts.push(loader.split_matrix(std::slice::from_ref(&both), &[split])?);
        }
        let output = channels + values;
        let place = |first| picked(groups, 2 * group_heads, first, group_heads);
        let places = vec![(output, place(0)), (output + spec.value_heads, place(group_heads))];
        modules.push(SiteModule { canonical: "delta.ba".into(), layer, rows: 2 * spec.value_heads, places });
    } else {
        for (index, name) in ["delta.b", "delta.a"].into_iter().enumerate() {
            let one = loader.tensor(name, at, spec.value_heads, hidden)?;
            parts.push(loader.split_matrix(&[one], &[of_heads(1)])?);
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
