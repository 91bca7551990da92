//! Mixture of experts: choose, sort, and add what the experts gave.
//!
//! [`route`] chooses each token's experts, [`sort`] groups the pairs of a token and a choice by expert into tiles, the
//! products take tiles ([`super::matmul::Experts`]), [`mix`] adds a token's rows in the order of their rank. All tables
//! stay on the device, with grids of an upper bound, so that a recorded step serves any choice.
//!
//! Recorded one behind the other, as a mixture needs them, they may run as fewer kernels: what stands between `route` and
//! the result of `mix` is then not to be read.

use crate::device::{Kernel, List, Memory};
use crate::ops::elementwise::grid;
use crate::ops::matmul::MAX_ROWS;

/// Most experts of a layer.
pub const MAX_EXPERTS: usize = 512;

/// Most groups of experts.
pub const MAX_GROUPS: usize = 32;

/// What turns router logits into scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scoring {
    /// Softmax over all experts, then choose.
    Softmax = 0,
    /// Choose by logit, then softmax over the chosen.
    SoftmaxOfChosen = 1,
    /// Sigmoid of each logit.
    Sigmoid = 2,
}

/// From router logits to experts and weights.
#[derive(Clone, Copy, Debug)]
pub struct Router<'a> {
    /// All experts: at most [`MAX_EXPERTS`].
    pub experts: usize,
    /// Experts a token goes to.
    pub active: usize,
    /// What turns logits into scores.
    pub scoring: Scoring,
    /// Added to the scores for the choice only: `[experts]`.
    pub correction: Option<&'a Memory>,
    /// Divide the chosen weights by their sum.
    pub normalize: bool,
    /// Factor on the weights.
    pub scale: f32,
    /// Only experts of the best groups take part: (groups, best).
    pub groups: Option<(usize, usize)>,
}

/// `chosen[tokens, active]` (words), best first, and `weights[tokens, active]` from `logits[tokens, experts]`.
#[track_caller]
pub fn route(list: &mut List, router: &Router, logits: &Memory, tokens: usize, chosen: &Memory, weights: &Memory) {
    let (groups, best) = router.groups.unwrap_or((1, 1));
    let fits = router.active >= 1 && router.active <= router.experts && router.experts <= MAX_EXPERTS;
    assert!(fits && router.experts.is_multiple_of(groups) && groups <= MAX_GROUPS, "[route] {router:?}");
    let constants = [
        ("EXPERTS", router.experts as u32),
        ("ACTIVE", router.active as u32),
        ("SCORING", router.scoring as u32),
        ("CORRECTION", u32::from(router.correction.is_some())),
        ("NORMALIZE", u32::from(router.normalize)),
        ("GROUPS", groups as u32),
        ("BEST", best as u32),
    ];
    let buffers = [logits, router.correction.unwrap_or(logits), chosen, weights];
    list.dispatch(Kernel::new("route", &constants), &buffers, &[router.scale.to_bits()], [tokens as u32, 1, 1]);
}

/// Rows of a tile for so many pairs: as many as an expert may hope for.
pub fn tile_rows(pairs: usize, experts: usize) -> usize {
    (pairs / experts.max(1)).next_power_of_two().clamp(1, MAX_ROWS)
}

/// Upper bound of the tiles of `pairs` pairs.
pub fn max_tiles(pairs: usize, experts: usize, tile_rows: usize) -> usize {
    pairs.min(pairs / tile_rows + experts)
}

/// Group `pairs` choices by expert: `sorted` `[pairs]` words, `tiles` `[max_tiles, 4]` words.
#[track_caller]
pub fn sort(
    list: &mut List,
    chosen: &Memory,
    pairs: usize,
    experts: usize,
    tile_rows: usize,
    sorted: &Memory,
    tiles: &Memory,
) {
    let constants = [("EXPERTS", experts as u32), ("TILE_ROWS", tile_rows as u32)];
    let params = [pairs as u32, max_tiles(pairs, experts, tile_rows) as u32];
    let groups = [u32::from(pairs > 0), 1, 1];
    list.dispatch(Kernel::new("sort_pairs", &constants), &[chosen, sorted, tiles], &params, groups);
}

/// `out[t] = sum of weights[t, k] * x[t, k]` over `choices` rows of `dim`, added to `residual` where there is one.
#[track_caller]
pub fn mix(
    list: &mut List,
    x: &Memory,
    weights: &Memory,
    [tokens, choices, dim]: [usize; 3],
    residual: Option<&Memory>,
    out: &Memory,
) {
    let kernel = Kernel::new("mix", &[("RESIDUAL", u32::from(residual.is_some()))]);
    let params = [(tokens * dim) as u32, dim as u32, choices as u32];
    list.dispatch(kernel, &[x, weights, residual.unwrap_or(x), out], &params, grid(tokens * dim));
}
