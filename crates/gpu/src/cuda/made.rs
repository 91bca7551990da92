//! Rows that a kernel makes before a product: `rows.cu`, `rows_apart.cu`.
//!
//! Read next: `cuda/rows.cuh`.

use super::arguments::Arguments;
use super::plan::Plan;
use super::product::{GATED, NORM, PLAIN, Product};

/// Up to so many rows every weight is decoded once for all of them (`some.cu`); beyond, weights are unpacked first.
pub(super) const SOME_ROWS: u32 = 64;

/// Most rows of `team.cu`, for which there is always room.
pub(super) const TEAM_ROWS: u32 = 16;

/// From so many columns on a few rows are made by small clusters (`rows_apart.cu`).
const APART_COLUMNS: u32 = 4096;

/// How made rows are laid out: enum Arrangement of `weights.cuh`.
#[derive(Clone, Copy)]
pub(super) enum Arrangement {
    Lanes = 0,
    Products = 1,
    Registers = 2,
    Sixteen = 3,
}

/// How rows are made, and the pairs that say which row each is made of.
pub(super) struct Made {
    pub name: String,
    pub element_bytes: u64,
    pub rows: u32,
    pub arrangement: Arrangement,
    pub pairs: u64,
}

/// Have rows made; gives where they and their factors are.
pub(super) fn make(plan: &mut Plan, product: &Product, made: &Made) -> (u64, u64) {
    let (call, weights) = (product.call, &product.weights);
    let room = if let Arrangement::Sixteen = made.arrangement { TEAM_ROWS } else { made.rows };
    let rows = plan.take(u64::from(room) * u64::from(product.stride) * made.element_bytes);
    let factors = plan.take(u64::from(made.rows) * 4);
    let norm = call.address_if(product.input == NORM, 5);
    let arguments =
        Arguments::new().address(product.x).address(norm).address(made.pairs).address(rows).address(factors);
    let words = [weights.columns, product.x_stride, product.stride, product.input, call.constant("GATE")];
    let arguments = arguments.words(&words).words(&[weights.order(), made.arrangement as u32, product.choices]);
    let arguments = arguments.floats(&[call.float(8), call.float(9), call.float(6)]);
    // Rows without sums are made alike by any number of threads. Those of many rows have kernels that take few registers.
    let whole = weights.columns.is_multiple_of(4) && product.x_stride.is_multiple_of(4) && product.x.is_multiple_of(16);
    let many = made.rows > SOME_ROWS && whole;
    let (suffix, threads) = match (product.input, weights.columns) {
        _ if made.element_bytes != 2 => ("", 256),
        (GATED, _) => ("_wide", 1024),
        (NORM, ..=4096) if many => ("_normed", 256),
        (NORM, _) if many => ("_normed_long", 256),
        (PLAIN, ..=4096) if many => ("_plain", 256),
        (PLAIN, _) if many => ("_long", 512),
        _ => ("", 256),
    };
    let wide = suffix == "_wide";
    let dense_few = weights.is_dense() && made.rows <= TEAM_ROWS;
    let apart = plan.chip.major == 9
        && matches!(made.arrangement, Arrangement::Sixteen | Arrangement::Registers)
        && made.rows <= SOME_ROWS
        && weights.columns >= APART_COLUMNS
        && !dense_few;
    if apart {
        let blocks = if wide { 8 } else { 4 };
        let name = format!("rows_apart_{}{suffix}", made.name);
        plan.launch_clusters(name, [made.rows * blocks, 1, 1], (threads / blocks, blocks), 0, arguments);
    } else {
        plan.launch(format!("rows_{}{suffix}", made.name), [made.rows, 1, 1], threads, 0, arguments);
    }
    (rows, factors)
}

/// The same, as halves or bf16: what a product's weights are multiplied with.
pub(super) fn make_rows(
    plan: &mut Plan,
    product: &Product,
    rows: u32,
    arrangement: Arrangement,
    pairs: u64,
) -> (u64, u64) {
    let name = product.weights.element().to_string();
    make(plan, product, &Made { name, element_bytes: 2, rows, arrangement, pairs })
}
