//! Rows that a product, or attention, leaves to the product behind it, so that no kernel between makes them.
//!
//! Invariant: who leaves rows knows that the next command takes them, and its kernel reads them there; they have the bits
//! that a kernel of their own gives them. Read next: `cuda/left.cuh`, `matmul`, `team`.

use super::made::{Arrangement, SOME_ROWS, TEAM_ROWS};
use super::plan::{Call, Left, Plan};
use super::product::{F32, GATED, NORM, Product, Weights, first_byte};
use super::team;
use crate::device::{Command, List};

/// Columns whose largest magnitude and squares are left.
const NEIGHBOURS: u64 = 16;

/// More rows than these are left to `some.cu`; from 17 on they are sooner made than looked at.
const FEWEST_ROWS: u32 = 32;

/// Code of weights in f16: their products take columns in an order in which neighbours lie apart.
const F16: u32 = 31;

/// What a product leaves to the command behind it.
pub(super) fn of_product(plan: &mut Plan, product: &Product) -> Option<Left> {
    let whole = first_byte(product.call) == 0 && product.out_stride == product.features && product.experts.is_none();
    let next = product.next.as_ref().filter(|_| whole);
    let left = to_next(plan, next, product.out, product.rows, product.features)?;
    (!left.gated || product.residual == 0).then_some(left)
}

/// What the next command would have left, if that is a product of `rows` rows of `columns` values, or of what these give
/// as gates and ups, which stand at `from`.
pub(super) fn to_next(plan: &mut Plan, next: Option<&Call>, from: u64, rows: u32, columns: u32) -> Option<Left> {
    let next = next.filter(|next| next.kernel.name == "matmul" && next.constant("EXPERTS") == 0)?;
    let product = Product::of(next).ok()?;
    let weights = &product.weights;
    let gated = product.input == GATED;
    let of_values = if gated { 2 * weights.columns } else { weights.columns };
    let fits =
        (product.x, product.rows, product.x_stride, of_values) == (from, rows, columns, columns) && are_taken(weights);
    let arrangement = arrangement(plan, &product).filter(|_| fits)?;
    let (call, normed, brain) = (product.call, product.input == NORM, weights.element() == "bf16");
    let [elements, exponents, squares] = plan.left_room(bytes(rows, weights.columns));
    let addresses = [(true, elements), (!brain, exponents), (normed, squares), (normed, call.address_if(normed, 5))];
    Some(Left {
        addresses: addresses.map(|(is_there, address)| if is_there { address } else { 0 }),
        sizes: [weights.columns, weights.order(), arrangement as u32, u32::from(brain), call.constant("GATE")],
        floats: [call.float(8), call.float(9), call.float(6)],
        gated,
    })
}

/// Whether products of these weights take rows as they are left.
fn are_taken(weights: &Weights) -> bool {
    weights.columns.is_multiple_of(128) && !matches!(weights.code, F16 | F32)
}

/// What the first of two kernels that one command becomes leaves to the second, whose weights these are: `rows` rows of
/// their columns as they are, in memory of the plan.
pub(super) fn between(plan: &mut Plan, weights: &Weights, rows: u32) -> Option<Left> {
    if !are_taken(weights) {
        return None;
    }
    let (brain, values) = (weights.element() == "bf16", u64::from(rows * weights.columns));
    let elements = plan.take(values * 2);
    let exponents = if brain { 0 } else { plan.take(values / NEIGHBOURS) };
    let sizes = [weights.columns, weights.order(), Arrangement::Lanes as u32, u32::from(brain), 0];
    Some(Left { addresses: [elements, exponents, 0, 0], sizes, floats: [0.0; 3], gated: false })
}

/// How the kernel of a product takes rows that are left, if it does.
fn arrangement(plan: &Plan, product: &Product) -> Option<Arrangement> {
    match product.rows {
        1 => Some(Arrangement::Lanes),
        rows if rows > FEWEST_ROWS => (rows <= SOME_ROWS && plan.chip.major == 9).then_some(Arrangement::Registers),
        _ => team::takes(plan, product, false).then_some(Arrangement::Sixteen),
    }
}

/// Whether elements that are left, and their order, are those of the rows of `product` too: kernels of more than 32 rows know
/// one order.
pub(super) fn is_alike(left: &Left, product: &Product) -> bool {
    let [_, order, _, brain, _] = left.sizes;
    (order, brain != 0) == (product.weights.order(), product.weights.element() == "bf16")
}

/// Bytes of the most that any product of a list may find left.
pub(super) fn most_bytes(list: &List) -> u64 {
    let of = |command: &Command| {
        let call = Call::of(command).filter(|call| call.kernel.name == "matmul" && call.params[0] <= SOME_ROWS)?;
        Some(bytes(call.params[0], call.params[2]).iter().sum())
    };
    list.commands.iter().filter_map(of).max().unwrap_or(0)
}

/// Bytes of elements, exponents and squares. More than 32 rows have exponents of twice as many columns, and counts behind them;
/// behind their squares are their norms.
fn bytes(rows: u32, columns: u32) -> [u64; 3] {
    let most = [1, TEAM_ROWS, SOME_ROWS].into_iter().find(|&most| rows <= most).unwrap_or(rows);
    let room = u64::from(most) * u64::from(columns);
    let norms = if most > TEAM_ROWS { u64::from(most) * 4 } else { 0 };
    [room * 2, room / NEIGHBOURS, room / NEIGHBOURS * 4 + norms].map(|bytes| bytes.next_multiple_of(256))
}
