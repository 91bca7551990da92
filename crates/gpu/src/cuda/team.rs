//! Products of 2 to 16 rows on Hopper: what `team.cu` needs.
//!
//! Invariant: the blocks of a cluster have a row's slices among them; there are two where their memory allows, so that all
//! processors have work. Read next: `cuda/team.cu`, `matmul`.

use super::arguments::Arguments;
use super::made::{Arrangement, TEAM_ROWS as ROWS, make_rows};
use super::plan::{Left, Plan};
use super::product::Product;

const WARPS: u32 = 16;
const SLICES: u32 = 8;

/// Bytes of 128 columns of all rows, and of what a half tile's slices give, each twice.
const STRETCH: u32 = 128 * ROWS * 2;
const SUMS: u32 = 2 * WARPS / SLICES * SLICES * ROWS * ROWS * 4;

/// How a product's work is split.
struct Team {
    /// Blocks of a cluster.
    parts: u32,
    clusters: u32,
    /// Half tiles of a group.
    halves: u32,
    shared: u32,
}

impl Team {
    /// With `gated`, half tiles of gates and of their ups are in one group.
    fn of(plan: &Plan, product: &Product, gated: bool) -> Option<Team> {
        let (multiprocessors, shared_bytes) = (plan.chip.multiprocessors, plan.chip.shared_bytes);
        let halves = product.features.div_ceil(32) * 2;
        let of_slice = product.weights.columns.div_ceil(1024);
        let shared = |parts: u32, halves: u32| {
            let slices = SLICES / parts;
            slices * (of_slice * STRETCH + 8) + halves * SUMS + 2 * parts * 32 + ROWS * 4
        };
        let least = if gated { 2 } else { 1 };
        let most = group_of(halves, 2 * multiprocessors, least);
        let (parts, halves) = [(2, most), (2, least), (4, least), (8, least)]
            .into_iter()
            .find(|&(parts, halves)| shared(parts, halves) <= shared_bytes)?;
        // Larger clusters do not fill every group of processors; those that wait would take as long again.
        let clusters = multiprocessors / parts - if parts > 2 { multiprocessors / parts / 8 } else { 0 };
        Some(Team { parts, clusters: clusters.max(1), halves, shared: shared(parts, halves) })
    }
}

/// Whether a product has few rows and a block room for its columns; with `gated`, for gates and ups that it joins.
pub(super) fn takes(plan: &Plan, product: &Product, gated: bool) -> bool {
    plan.chip.major == 9 && product.rows <= ROWS && Team::of(plan, product, gated).is_some()
}

/// Start the kernels of a product that leaves so much to the next one, if it has few rows and a block room for its columns;
/// whether it did.
pub(super) fn team(plan: &mut Plan, product: &Product, leaves: Option<Left>) -> bool {
    let gated = leaves.as_ref().is_some_and(|leaves| leaves.gated);
    let Some(team) = Team::of(plan, product, gated).filter(|_| takes(plan, product, gated)) else { return false };
    let weights = &product.weights;
    let left = plan.left.take();
    let (rows, factors) = match &left {
        Some(left) => (left.addresses[0], 0),
        None => make_rows(plan, product, product.rows, Arrangement::Sixteen, 0),
    };
    let groups = product.features.div_ceil(32) * 2 / team.halves;
    let arguments = Arguments::new().inner(weights.arguments()).address(rows).address(factors);
    let arguments = arguments.address(product.bias).address(product.residual).address(product.out);
    let arguments = arguments.address(product.plain).inner(product.source()).inner(Left::arguments(left.as_ref()));
    let arguments = arguments.inner(Left::arguments(leaves.as_ref()));
    plan.leaves = leaves;
    let sizes = [product.rows, product.features, weights.columns, product.out_stride, product.x_stride];
    let arguments = arguments.words(&sizes).words(&[team.parts, team.halves, groups]);
    let clusters = team.clusters.min(groups.div_ceil(2 * team.parts));
    let name = format!("team_{}", weights.slices_name(product.features));
    plan.launch_clusters(name, [clusters * team.parts, 1, 1], (32 * WARPS, team.parts), team.shared, arguments);
    true
}

/// Half tiles that a team of warps takes together, `least` or more: few waits, and none left with more work than others.
pub(super) fn group_of(halves: u32, teams: u32, least: u32) -> u32 {
    let work = |of: u32| (halves / of).div_ceil(teams) * of;
    let fits = |of: &u32| *of >= least && halves.is_multiple_of(*of);
    [4, 2, 1].into_iter().filter(fits).min_by_key(|&of| work(of)).unwrap_or(least)
}
