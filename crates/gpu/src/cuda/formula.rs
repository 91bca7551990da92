//! Formulas as the kernel `formula` of `cuda/plain.cu` walks them: postfix code over a small stack.
//!
//! Read next: [`crate::expression`].

use crate::expression::Expression;

/// Words of code, values on the stack: as in the kernel.
const MAX_CODE: usize = 96;
const MAX_STACK: usize = 12;

/// The code, padded with zeros, and its length; `None` when the formula is too long or too deep.
pub fn encode(expression: &Expression) -> Option<(u32, Vec<u32>)> {
    let mut code = vec![];
    let deepest = push(expression, &mut code);
    if code.len() > MAX_CODE || deepest > MAX_STACK {
        return None;
    }
    let length = code.len() as u32;
    code.resize(MAX_CODE, 0);
    Some((length, code))
}

/// Append the code; gives how many values lie on the stack at most.
fn push(expression: &Expression, code: &mut Vec<u32>) -> usize {
    match expression {
        Expression::Input(index) => {
            code.push(index << 8);
            1
        }
        Expression::Constant(bits) => {
            code.extend([1, *bits]);
            1
        }
        Expression::Parameter(index) => {
            code.push(2 | index << 8);
            1
        }
        Expression::Unary(function, a) => {
            let depth = push(a, code);
            code.push(3 | (*function as u32) << 8);
            depth
        }
        Expression::Binary(function, a, b) => {
            let depth = push(a, code).max(1 + push(b, code));
            code.push(4 | (*function as u32) << 8);
            depth
        }
        Expression::Select(condition, a, b) => {
            let depth = push(condition, code).max(1 + push(a, code)).max(2 + push(b, code));
            code.push(5);
            depth
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::{Binary, Unary};

    #[test]
    fn a_formula_becomes_postfix_code() {
        let formula = Expression::input(1).unary(Unary::Silu).binary(Binary::Multiply, Expression::constant(2.0));
        let (length, code) = encode(&formula).expect("a short formula");
        assert_eq!(&code[..length as usize], &[1 << 8, 3 | 11 << 8, 1, 2.0f32.to_bits(), 4 | 2 << 8]);
        let deep = (0..20).fold(Expression::input(0), |sum, _| Expression::input(0).binary(Binary::Add, sum));
        assert_eq!(encode(&deep), None);
    }
}
