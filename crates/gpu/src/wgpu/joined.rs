//! A product and the sum of it and as many other values, which a list has behind it, are one dispatch: each costs two
//! microseconds and more.
//!
//! Invariant: the sum has the bits that it had alone, and what the product gave is where it was asked for: other commands may
//! read it. Read next: `products`.

use crate::device::{Command, Memory};
use crate::expression::{Binary, Expression};

/// The dispatch that does what `product` and `sum` do, if that is what they are.
pub(super) fn product_and_sum(product: &Command, sum: &Command) -> Option<Command> {
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
    let constant = kernel.constants.iter_mut().find(|(name, _)| *name == "RESIDUAL")?;
    constant.1 = if is_kept { 2 } else { 1 };
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
    let Some(Expression::Binary(Binary::Add, a, b)) = kernel.expression.as_deref() else { return None };
    let are_inputs = matches!(
        (&**a, &**b),
        (Expression::Input(0), Expression::Input(1)) | (Expression::Input(1), Expression::Input(0))
    );
    let is_sum = are_inputs && kernel.name == "elementwise" && params[..] == [count, 1, count, 1, count];
    is_sum.then(|| [&buffers[0], &buffers[1], &buffers[2]])
}

fn is_same(a: &Memory, b: &Memory) -> bool {
    std::ptr::eq(a.allocation(), b.allocation()) && a.offset() == b.offset()
}

fn overlaps(a: &Memory, b: &Memory) -> bool {
    let is_apart = a.offset() + a.bytes() <= b.offset() || b.offset() + b.bytes() <= a.offset();
    std::ptr::eq(a.allocation(), b.allocation()) && !is_apart
}
