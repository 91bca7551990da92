//! Plain Rust: what the compiler makes of it on any processor.

use super::{Burst, Line, Operands, Reader};

/// In order, and in four streams.
pub(super) const READERS: [Reader; 2] = [in_order, four_streams];

/// Multiplication and addition, not fused.
pub(super) const BURSTS: [Burst; 1] =
    [Burst { operands: Operands::F32, instruction: "multiply, add", operations: 2 * WIDTH, run: multiply_add }];

const WIDTH: usize = 32;

fn in_order(lines: &[Line]) -> u64 {
    lines.iter().fold(Line([0; 8]), xor).0.iter().fold(0, |all, word| all ^ word)
}

fn four_streams(lines: &[Line]) -> u64 {
    let quarter = lines.len() / 4;
    let mut sums = [Line([0; 8]); 4];
    for index in 0..quarter {
        for (stream, sum) in sums.iter_mut().enumerate() {
            *sum = xor(*sum, &lines[stream * quarter + index]);
        }
    }
    in_order(&sums)
}

fn xor(mut sum: Line, line: &Line) -> Line {
    sum.0.iter_mut().zip(&line.0).for_each(|(sum, word)| *sum ^= word);
    sum
}

fn multiply_add(rounds: usize) -> f32 {
    let (mut sums, factor, addend) = ([0f32; WIDTH], std::hint::black_box(0.999f32), std::hint::black_box(0.001f32));
    for _ in 0..rounds {
        sums.iter_mut().for_each(|sum| *sum = *sum * factor + addend);
    }
    sums.iter().sum()
}
