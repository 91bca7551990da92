//! What the cards of one host make of one memory of each: kernels of `cards.cu`.
//!
//! Invariant: every card starts the same ones in the same order. Read next: `group`, which asks for them, and
//! `cuda/cards.cu`.

use super::arguments::Arguments;
use super::plan::{Call, Plan};
use crate::device::{Command, MAIL_FLOATS, MOST_CARDS};
use crate::ops::elementwise::is_sum;

/// The dispatch of such a kernel, and of the commands behind it as many as it does too; how many those are.
pub(super) fn exchange(plan: &mut Plan, call: &Call, rest: &[Command]) -> usize {
    match call.kernel.name {
        "cards_sum" => return sum(plan, call, rest),
        "cards_take" => return take(plan, call, rest),
        "cards_push" => push(plan, call),
        "cards_add" => add(plan, call),
        "cards_join" => join(plan, call),
        _ => meet(plan, call),
    }
    0
}

/// Whether a kernel is one of these.
pub(super) fn is_exchange(name: &str) -> bool {
    name.starts_with("cards_")
}

/// Addresses of as many cards as the kernels know; those that are not there are null.
fn of_cards(call: &Call, first: usize, arguments: Arguments) -> Arguments {
    let cards = call.constant("CARDS") as usize;
    (0..MOST_CARDS).fold(arguments, |arguments, card| arguments.address(call.address_if(card < cards, first + card)))
}

fn place_among_cards(call: &Call) -> [u32; 2] {
    ["CARD", "CARDS"].map(|name| call.constant(name))
}

/// Blocks of 256 threads for so many pieces of work.
fn blocks(plan: &Plan, pieces: u64) -> [u32; 3] {
    [pieces.div_ceil(256).min(8 * u64::from(plan.chip.multiprocessors)) as u32, 1, 1]
}

/// Where a sum goes that is made in buffer `to` (struct Sum): with what the next command adds to it, if it does that alone, and then
/// without it only where somebody asks for that. How many commands that were.
fn with_residual(plan: &Plan, call: &Call, to: usize, rest: &[Command]) -> (Arguments, usize) {
    let sum = call.address(to);
    let next = rest.first().and_then(Call::of).filter(|next| is_sum(next.kernel, next.params, call.params[0]));
    let added = next.and_then(|next| {
        let [a, b, out] = [0, 1, 2].map(|index| next.address(index));
        let plain = if out == sum || plan.is_between(&call.buffers[to], call, &next) { 0 } else { sum };
        ((a == sum) != (b == sum)).then_some([if a == sum { b } else { a }, out, plain])
    });
    let addresses = added.unwrap_or([0, sum, 0]);
    let arguments = addresses.iter().fold(Arguments::new(), |arguments, &address| arguments.address(address));
    (arguments, added.is_some().into())
}

/// Buffers: from, to, the card's turns, each card's mail.
fn sum(plan: &mut Plan, call: &Call, rest: &[Command]) -> usize {
    let (to, done) = with_residual(plan, call, 1, rest);
    let arguments = Arguments::new().address(call.address(0)).inner(to).address(call.address(2));
    let arguments = of_cards(call, 3, arguments).words(&[call.params[0]]).words(&place_among_cards(call));
    plan.launch("cards_sum", [call.params[0].div_ceil(MAIL_FLOATS as u32), 1, 1], 256, 0, arguments);
    done
}

/// Buffers: each card's turns.
fn meet(plan: &mut Plan, call: &Call) {
    let arguments = of_cards(call, 0, Arguments::new()).words(&place_among_cards(call));
    plan.launch("cards_meet", [1, 1, 1], 32, 0, arguments);
}

/// Buffers: from, to of the other card.
fn push(plan: &mut Plan, call: &Call) {
    let arguments = Arguments::new().address(call.address(0)).address(call.address(1)).words(&[call.params[0]]);
    plan.launch("cards_push", blocks(plan, u64::from(call.params[0]).div_ceil(4)), 256, 0, arguments);
}

/// Buffers: from, what arrived, to.
fn take(plan: &mut Plan, call: &Call, rest: &[Command]) -> usize {
    let (to, done) = with_residual(plan, call, 2, rest);
    let arguments = Arguments::new().address(call.address(0)).address(call.address(1)).inner(to);
    let grid = blocks(plan, u64::from(call.params[0]).div_ceil(8));
    plan.launch("cards_take", grid, 256, 0, arguments.words(&[call.params[0]]));
    done
}

/// Buffers: from of each card, to of each card.
fn add(plan: &mut Plan, call: &Call) {
    let cards = call.constant("CARDS");
    let arguments = of_cards(call, cards as usize, of_cards(call, 0, Arguments::new()));
    let arguments = arguments.words(&[call.params[0]]).words(&place_among_cards(call));
    let threads = call.params[0].div_ceil(4).div_ceil(cards);
    plan.launch("cards_add", blocks(plan, threads.into()), 256, 0, arguments);
}

/// Buffers: from, to of each card.
fn join(plan: &mut Plan, call: &Call) {
    let arguments = of_cards(call, 1, Arguments::new().address(call.address(0)));
    let [rows, piece] = [call.params[0], call.params[1]];
    let arguments = arguments.words(&[rows, piece]).words(&place_among_cards(call));
    plan.launch("cards_join", blocks(plan, u64::from(rows) * u64::from(piece)), 256, 0, arguments);
}
