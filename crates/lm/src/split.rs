//! How a model is split among the cards of a GPU: attention by heads, feed-forward blocks by their inner width, the head
//! by the vocabulary.
//!
//! A block's first projections are split by rows, so that each card has heads or columns of its own, and the last one by
//! columns, so that each card has a part of a sum: one sum over the cards a block, and the residual stream is alike on
//! all. The embedding is whole on each: it is read a row a token, and a sum would cost more than its memory. Invariant:
//! shares are of one size, and what does not divide is refused by name. Read next: `load.rs`, `olivine_gpu::group`.

use std::ops::Range;

use crate::ModelError;
use crate::spec::{AttentionSpec, Ffn, GatedDeltaSpec, LayerSpec, Mixer, ModelSpec};
use crate::weights::WeightTensor;

/// Rows or columns of one card, in the order in which it has them.
pub type Ranges = Vec<Range<usize>>;

/// Which share of a tensor each card has.
#[derive(Clone, Debug, PartialEq)]
pub enum Split {
    /// All of it.
    Whole,
    /// These rows.
    Rows(Vec<Ranges>),
    /// These columns; biases, which are added to a sum over the cards, belong to the first.
    Columns(Vec<Ranges>),
}

impl Split {
    /// Even shares of each of these runs of rows, which lie one behind the other.
    pub fn rows(cards: usize, runs: &[usize]) -> Split {
        if cards == 1 { Split::Whole } else { Split::Rows((0..cards).map(|card| even(runs, card, cards)).collect()) }
    }

    /// Even shares of the columns.
    pub fn columns(cards: usize, count: usize) -> Split {
        match cards {
            1 => Split::Whole,
            _ => Split::Columns((0..cards).map(|card| even(&[count], card, cards)).collect()),
        }
    }

    /// How many different shares there are.
    pub fn count(&self) -> usize {
        match self {
            Split::Whole => 1,
            Split::Rows(cards) | Split::Columns(cards) => cards.len(),
        }
    }

    /// A card's share of the rows of `tensors`, which lie one below the other.
    pub fn share(&self, tensors: &[WeightTensor], card: usize) -> Result<Vec<WeightTensor>, String> {
        match self {
            Split::Whole => Ok(tensors.to_vec()),
            Split::Rows(cards) => {
                Ok(joined(&cards[card]).into_iter().flat_map(|range| rows_of(tensors, range)).collect())
            }
            Split::Columns(cards) => {
                let ranges = joined(&cards[card]);
                tensors.iter().map(|tensor| tensor.pick_columns(&ranges)).collect()
            }
        }
    }

    /// A card's share of one value for each row.
    pub fn values(&self, values: &[f32], card: usize) -> Vec<f32> {
        match self {
            Split::Whole => values.to_vec(),
            Split::Rows(cards) => cards[card].iter().flat_map(|range| &values[range.clone()]).copied().collect(),
            Split::Columns(_) if card == 0 => values.to_vec(),
            Split::Columns(_) => vec![0.0; values.len()],
        }
    }
}

/// The same rows in fewer ranges.
fn joined(ranges: &[Range<usize>]) -> Ranges {
    let mut all: Ranges = Vec::new();
    for range in ranges {
        match all.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => all.push(range.clone()),
        }
    }
    all
}

/// The even share of a card of each of these runs.
pub fn even(runs: &[usize], card: usize, cards: usize) -> Ranges {
    let mut first = 0;
    let share = |run: &usize| {
        let (start, length) = (first + card * (run / cards), run / cards);
        first += run;
        start..start + length
    };
    runs.iter().map(share).collect()
}

/// Rows `range` of tensors that lie one below the other.
pub fn rows_of(tensors: &[WeightTensor], range: Range<usize>) -> Vec<WeightTensor> {
    let (mut own, mut skip, mut left) = (Vec::new(), range.start, range.len());
    for tensor in tensors {
        let start = skip.min(tensor.rows());
        let count = (tensor.rows() - start).min(left);
        (skip, left) = (skip - start, left - count);
        if count > 0 {
            own.push(tensor.slice_rows(start, count));
        }
        if left == 0 {
            break;
        }
    }
    own
}

/// The model as one of `cards` cards has it, or what cannot be split.
pub fn share_of(spec: &ModelSpec, cards: usize) -> Result<ModelSpec, ModelError> {
    let mut share = spec.clone();
    for (index, layer) in share.layers.iter_mut().enumerate() {
        divide(layer, cards).map_err(|(what, count)| ModelError::Unsupported {
            file: spec.family.into(),
            feature: format!("splitting {count} {what} of layer {index} among {cards} devices"),
            hint: "; use a number of devices that divides them".into(),
        })?;
    }
    Ok(share)
}

/// The value heads of a card, in its order: those of its key heads.
pub fn value_heads(spec: &GatedDeltaSpec, card: usize, cards: usize) -> Vec<usize> {
    let (keys, values) = (spec.key_heads / cards, spec.value_heads / cards);
    if !spec.tiled {
        return (card * values..(card + 1) * values).collect();
    }
    let round = |round: usize| (card * keys..(card + 1) * keys).map(move |key| round * spec.key_heads + key);
    (0..spec.value_heads / spec.key_heads).flat_map(round).collect()
}

/// Rows of heads of `width` rows each, the first of which begins at `start`.
pub fn rows_of_heads(heads: &[usize], start: usize, width: usize) -> Ranges {
    heads.iter().map(|head| start + head * width..start + (head + 1) * width).collect()
}

fn divide(layer: &mut LayerSpec, cards: usize) -> Result<(), (&'static str, usize)> {
    let share = |count: &mut usize, what: &'static str| match count.is_multiple_of(cards) {
        true => {
            *count /= cards;
            Ok(())
        }
        false => Err((what, *count)),
    };
    match &mut layer.mixer {
        Mixer::Attention(AttentionSpec { heads, kv_heads, .. }) => {
            share(heads, "query heads")?;
            share(kv_heads, "key and value heads")?;
        }
        Mixer::Latent(latent) => share(&mut latent.heads, "query heads")?,
        Mixer::GatedDelta(delta) => {
            share(&mut delta.key_heads, "key heads")?;
            share(&mut delta.value_heads, "value heads")?;
        }
    }
    match &mut layer.ffn {
        Ffn::Dense { width, .. } => share(width, "columns of the feed-forward block"),
        Ffn::Moe(moe) => {
            share(&mut moe.width, "columns of experts")?;
            moe.shared.as_mut().map_or(Ok(()), |shared| share(&mut shared.width, "columns of the shared expert"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use olivine_formats::{Bytes, TensorType};

    use crate::weights::Storage;

    fn tensor(rows: usize, columns: usize) -> WeightTensor {
        let bytes = (0..rows * columns).flat_map(|value| (value as f32).to_le_bytes()).collect();
        let storage = Storage::Dense { dtype: TensorType::F32, data: Bytes::from_vec("test", bytes) };
        WeightTensor { name: "test".into(), shape: vec![rows, columns], storage }
    }

    fn values(tensors: &[WeightTensor]) -> Vec<f32> {
        tensors.iter().flat_map(|tensor| tensor.to_f32().expect("floats")).collect()
    }

    #[test]
    fn shares_are_even_parts_of_each_run() {
        let split = Split::rows(2, &[4, 2]);
        let whole = [tensor(5, 1), tensor(1, 1)];
        assert_eq!(values(&split.share(&whole, 0).unwrap()), [0.0, 1.0, 4.0]);
        assert_eq!(values(&split.share(&whole, 1).unwrap()), [2.0, 3.0, 0.0]);
        let split = Split::columns(2, 4);
        assert_eq!(values(&split.share(&[tensor(2, 4)], 1).unwrap()), [2.0, 3.0, 6.0, 7.0]);
        assert_eq!(split.values(&[1.0, 2.0], 0), [1.0, 2.0]);
        assert_eq!(split.values(&[1.0, 2.0], 1), [0.0, 0.0]);
        assert_eq!(Split::rows(1, &[4]), Split::Whole);
    }

    #[test]
    fn value_heads_go_with_their_key_heads() {
        let spec =
            GatedDeltaSpec { key_heads: 4, value_heads: 8, key_dim: 1, value_dim: 1, conv_taps: 4, tiled: false };
        assert_eq!(value_heads(&spec, 1, 2), [4, 5, 6, 7]);
        let tiled = GatedDeltaSpec { tiled: true, ..spec };
        assert_eq!(value_heads(&tiled, 1, 2), [2, 3, 6, 7]);
    }
}
