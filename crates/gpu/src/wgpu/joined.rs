//! Neighbours in a list that are one dispatch here: each dispatch costs two microseconds and more.
//!
//! A product and the sum of it and as many other values; heads that are normed and rotated, keys and values that go to
//! their pages, and the attention of rows that see no other's key. Invariant: values have the bits that they had, and what
//! is left for others stays where it was asked for, but for heads that several workgroups of an attention read: these stay
//! un-normed. Read next: `products`.

use crate::device::{Command, Kernel, Memory};
use crate::ops::elementwise::is_sum;

/// The dispatch that does what `first` and commands behind it do, where there is one, and how many those are.
pub(super) fn joined(first: &Command, rest: &[Command]) -> Option<(Command, usize)> {
    let second = rest.first()?;
    if let Some(both) = product_and_sum(first, second) {
        return Some((both, 1));
    }
    let both = heads_and_pages(first, second)?;
    match rest.get(1).and_then(|third| lone_rows(first, second, third)) {
        Some(all) => Some((all, 2)),
        None => Some((both, 1)),
    }
}

/// Heads, pages (which [`heads_and_pages`] would write) and attention of rows that are of a sequence each.
fn lone_rows(heads: &Command, write: &Command, attention: &Command) -> Option<Command> {
    let Command::Dispatch { kernel: made, buffers: read, params: place, .. } = heads else { return None };
    let Command::Dispatch { buffers: pages, .. } = write else { return None };
    let Command::Dispatch { kernel, buffers, params, groups } = attention else { return None };
    if kernel.name != "attention" || !(groups[2] == 1 || kernel.constant("ALONE") == 1) {
        return None;
    }
    let of_heads = [made.constant("HEADS"), made.constant("HEAD_DIM")];
    let same = (0..4).all(|index| is_same(&buffers[index], &pages[index]))
        && params[0] == place[0]
        && of_heads == [kernel.constant("GROUP") * kernel.constant("KV_HEADS"), kernel.constant("KEY_DIM")];
    // Where one workgroup takes all of a row's keys it also leaves the heads where they were.
    if !same || (kernel.constant("MODE") == 1 && kernel.constant("BLOCKS") > 1) {
        return None;
    }
    let mut kernel = kernel.clone();
    let kept = ["HEADS", "NORMS", "ROTATED", "INTERLEAVED"];
    kernel.constants.extend(kept.map(|name| (name, made.constant(name))));
    let mut buffers = buffers.clone();
    buffers.extend_from_slice(&read[1..]);
    let mut params = params.clone();
    params.push(place[1]);
    Some(Command::Dispatch { kernel, buffers, params, groups: *groups })
}

/// Heads of rows whose keys and values are written next.
fn heads_and_pages(heads: &Command, write: &Command) -> Option<Command> {
    let Command::Dispatch { kernel, buffers, params, groups } = heads else { return None };
    let Command::Dispatch { kernel: to, buffers: pages, params: place, groups: rows } = write else { return None };
    let (query_heads, kv_heads) = (kernel.constant("HEADS"), to.constant("KV_HEADS"));
    let are_both = kernel.name == "heads" && to.name == "kv_write" && is_same(&buffers[0], &pages[0]);
    let are_keys = kernel.constant("HEAD_DIM") == to.constant("KEY_DIM")
        && place[..] == [params[0], query_heads * kernel.constant("HEAD_DIM")]
        && groups[..2] == [query_heads + kv_heads, rows[1]];
    if !are_both || !are_keys {
        return None;
    }
    let mut kernel = Kernel { name: "heads_write", ..kernel.clone() };
    let kept = ["KV_HEADS", "VALUE_DIM", "PAGE", "ELEMENT"];
    kernel.constants.extend(kept.map(|name| (name, to.constant(name))));
    let mut buffers = buffers.clone();
    buffers.extend_from_slice(&pages[1..]);
    let groups = [query_heads + 2 * kv_heads, rows[1], 1];
    Some(Command::Dispatch { kernel, buffers, params: params.clone(), groups })
}

/// A product whose sum with as many other values is made next.
fn product_and_sum(product: &Command, sum: &Command) -> Option<Command> {
    let Command::Dispatch { kernel, buffers, params, groups } = product else { return None };
    let is_plain = kernel.name == "matmul" && kernel.constant("EXPERTS") == 0 && kernel.constant("RESIDUAL") == 0;
    // Its features are whole rows of the output.
    if !is_plain || params[4] != params[1] || params[11] != 0 {
        return None;
    }
    let [a, b, to] = summed(sum, params[0] * params[1])?;
    let (x, out) = (&buffers[0], &buffers[8]);
    let residual = match (is_same(a, out), is_same(b, out)) {
        (true, false) => b,
        (false, true) => a,
        _ => return None,
    };
    // Other workgroups may still read what the product is made of.
    let is_kept = !is_same(to, out);
    if overlaps(to, x) || overlaps(residual, out) || (is_kept && overlaps(to, out)) {
        return None;
    }
    let (mut kernel, mut buffers) = (kernel.clone(), buffers.clone());
    kernel.set_constant("RESIDUAL", if is_kept { 2 } else { 1 });
    if is_kept {
        buffers.push(out.clone());
    }
    buffers[7] = residual.clone();
    buffers[8] = to.clone();
    Some(Command::Dispatch { kernel, buffers, params: params.clone(), groups: *groups })
}

/// The two inputs and the output of a command that adds two times `count` values, neighbour to neighbour.
fn summed(command: &Command, count: u32) -> Option<[&Memory; 3]> {
    let Command::Dispatch { kernel, buffers, params, .. } = command else { return None };
    is_sum(kernel, params, count).then(|| [&buffers[0], &buffers[1], &buffers[2]])
}

pub(super) fn is_same(a: &Memory, b: &Memory) -> bool {
    std::ptr::eq(a.allocation(), b.allocation()) && a.offset() == b.offset()
}

fn overlaps(a: &Memory, b: &Memory) -> bool {
    let is_apart = a.offset() + a.bytes() <= b.offset() || b.offset() + b.bytes() <= a.offset();
    std::ptr::eq(a.allocation(), b.allocation()) && !is_apart
}
