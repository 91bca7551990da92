//! Routing and mixing of experts, recurrent layers, sorting, running results and random words: kernels of `moe.cu`,
//! `recurrent.cu` and `sequences.cu`.
//!
//! Grids and arguments only; the order of buffers is that of [`crate::ops`]. Read next: `launch`.

use super::arguments::Arguments;
use super::plan::{Call, Left, Plan};

/// The addresses of the first `count` buffers.
fn buffers(call: &Call, count: usize) -> Arguments {
    (0..count).fold(Arguments::new(), |arguments, index| arguments.address(call.address(index)))
}

/// struct Router of `route.cuh`.
pub(super) fn router(call: &Call) -> Arguments {
    let correction = call.address_if(call.constant("CORRECTION") == 1, 1);
    let names = ["EXPERTS", "ACTIVE", "SCORING", "NORMALIZE", "GROUPS", "BEST"];
    Arguments::new().address(correction).words(&names.map(|name| call.constant(name))).floats(&[call.float(0)])
}

/// struct RouteArgs: tokens are the groups of the dispatch.
pub(super) fn route_arguments(call: &Call) -> Arguments {
    let arguments = Arguments::new().inner(router(call)).address(call.address(0)).address(call.address(2));
    arguments.address(call.address(3)).words(&[call.groups[0]])
}

pub(super) fn route(plan: &mut Plan, call: &Call) {
    plan.launch("route", [call.groups[0].div_ceil(4), 1, 1], 128, 0, route_arguments(call));
}

pub(super) fn sort_pairs(plan: &mut Plan, call: &Call) {
    let arguments = buffers(call, 3).address(0).address(0).words(&call.params[..2]);
    let arguments = arguments.words(&["EXPERTS", "TILE_ROWS"].map(|name| call.constant(name)));
    plan.launch("sort_pairs", [1, 1, 1], 1024, 0, arguments);
}

/// The sum of experts' results, with what is left to the command behind.
pub(super) fn mix(plan: &mut Plan, call: &Call, leaves: Option<Left>) {
    let residual = call.address_if(call.constant("RESIDUAL") == 1, 2);
    let arguments = buffers(call, 2).address(residual).address(call.address(3));
    let arguments = arguments.inner(Left::arguments(leaves.as_ref())).words(&call.params[..3]);
    plan.leaves = leaves;
    plan.launch("mix", [call.params[0].div_ceil(1024), 1, 1], 256, 0, arguments);
}

pub(super) fn convolution(plan: &mut Plan, call: &Call) {
    let bias = call.address_if(call.constant("BIAS") == 1, 2);
    let arguments = buffers(call, 2).address(bias).address(call.address(3)).address(call.address(4));
    let arguments = arguments.address(call.address(5)).words(&call.params[..3]);
    let arguments = arguments.words(&["KERNEL", "SILU"].map(|name| call.constant(name)));
    plan.launch("convolution", [call.groups[0], call.groups[1], 1], 64, 0, arguments);
}

pub(super) fn delta(plan: &mut Plan, call: &Call) {
    let dims = ["KEY_DIM", "VALUE_DIM"].map(|name| call.constant(name));
    let arguments = buffers(call, 8).words(&call.params[..7]).words(&dims);
    let name = if dims[0] <= 128 { "delta_128" } else { "delta_256" };
    plan.launch(name, call.groups, 128, 0, arguments);
}

pub(super) fn sort(plan: &mut Plan, call: &Call) {
    let p = call.params;
    let rows = call.groups[1];
    // Where the modes have their buffers: values, pairs, places, sorted values.
    let (name, at, grid): (_, [Option<usize>; 4], _) = match call.constant("MODE") {
        0 => ("sort_values", [Some(0), Some(1), None, None], call.groups[0]),
        1 => ("sort_apart", [None, Some(0), None, None], p[0].next_power_of_two().div_ceil(512)),
        2 => ("sort_ends", [None, Some(0), None, None], call.groups[0]),
        _ => ("sort_taken", [Some(0), Some(1), Some(2), Some(3)], p[0].div_ceil(256)),
    };
    let address = |index: Option<usize>| index.map_or(0, |index| call.address(index));
    let arguments = at.into_iter().fold(Arguments::new(), |arguments, index| arguments.address(address(index)));
    plan.launch(name, [grid, rows, 1], 256, 0, arguments.words(&p[..4]));
}

pub(super) fn scan(plan: &mut Plan, call: &Call) {
    let arguments = buffers(call, 2).words(&[call.constant("KIND")]).words(&call.params[..4]);
    plan.launch("scan", [call.groups[0], 1, 1], 256, 0, arguments);
}

pub(super) fn random(plan: &mut Plan, call: &Call) {
    let words = call.params[0];
    let arguments = buffers(call, 2).words(&[words]);
    plan.launch("random_words", [words.div_ceil(2).div_ceil(256), 1, 1], 256, 0, arguments);
}
