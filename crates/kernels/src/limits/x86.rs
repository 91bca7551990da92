//! x86-64: vector loads with prefetch, and products on 16 (AVX-512) or 12 (AVX2) accumulators or four tiles (AMX).

use std::arch::asm;
use std::arch::x86_64::*;
use std::hint::black_box;

use super::{Burst, Line, Operands, Reader};
use crate::amx::{self, ROW_BYTES, ROWS, Sizes};

/// In order with prefetch, and in four streams.
pub(super) const AVX512_READERS: [Reader; 2] = [
    // SAFETY: listed for the AVX-512 tier alone, which has these features.
    |lines| unsafe { in_order_512(lines) },
    // SAFETY: as above.
    |lines| unsafe { four_streams_512(lines) },
];

/// The same with vectors of 32 bytes.
pub(super) const AVX2_READERS: [Reader; 2] = [
    // SAFETY: listed for the AVX2 tier alone, which has these features.
    |lines| unsafe { in_order_256(lines) },
    // SAFETY: as above.
    |lines| unsafe { four_streams_256(lines) },
];

/// int8, bf16 and f32.
pub(super) const AVX512_BURSTS: [Burst; 3] = [
    Burst {
        operands: Operands::Int8,
        instruction: "vpdpbusd",
        operations: 2 * 64 * ACCUMULATORS_512,
        // SAFETY: listed for the AVX-512 tier alone, which has VNNI.
        run: |rounds| unsafe { int8_512(rounds) },
    },
    Burst {
        operands: Operands::Bf16,
        instruction: "vdpbf16ps",
        operations: 2 * 32 * ACCUMULATORS_512,
        // SAFETY: as above, with BF16.
        run: |rounds| unsafe { bf16_512(rounds) },
    },
    F32_512,
];

/// int8 and bf16 in tiles, and f32.
pub(super) const AMX_BURSTS: [Burst; 3] = [
    Burst {
        operands: Operands::Int8,
        instruction: "tdpbusd",
        operations: 2 * ROWS * ROWS * ROW_BYTES * ACCUMULATORS_AMX,
        // SAFETY: listed for the AMX tier alone.
        run: |rounds| unsafe { int8_amx(rounds) },
    },
    Burst {
        operands: Operands::Bf16,
        instruction: "tdpbf16ps",
        operations: 2 * ROWS * ROWS * (ROW_BYTES / 2) * ACCUMULATORS_AMX,
        // SAFETY: as above.
        run: |rounds| unsafe { bf16_amx(rounds) },
    },
    F32_512,
];

const F32_512: Burst = Burst {
    operands: Operands::F32,
    instruction: "vfmadd231ps",
    operations: 2 * 16 * ACCUMULATORS_512,
    // SAFETY: listed for tiers alone that have AVX-512.
    run: |rounds| unsafe { f32_512(rounds) },
};

/// f32 alone.
pub(super) const AVX2_BURSTS: [Burst; 1] = [Burst {
    operands: Operands::F32,
    instruction: "vfmadd231ps",
    operations: 2 * 8 * ACCUMULATORS_256,
    // SAFETY: listed for the AVX2 tier alone, which has FMA.
    run: |rounds| unsafe { f32_256(rounds) },
}];

const ACCUMULATORS_AMX: usize = 4;
const ACCUMULATORS_512: usize = 16;
const ACCUMULATORS_256: usize = 12;

/// Lines fetched ahead: beyond what the hardware does by itself at the start of a page.
const AHEAD: usize = 64;

#[target_feature(enable = "avx512f")]
fn in_order_512(lines: &[Line]) -> u64 {
    let mut sums = [_mm512_setzero_si512(); 8];
    for block in lines.chunks_exact(8) {
        for (sum, line) in sums.iter_mut().zip(block) {
            let at: *const Line = line;
            // A prefetch beyond the end of the memory does nothing.
            _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
            // SAFETY: a line is 64 readable bytes, aligned.
            *sum = _mm512_xor_si512(*sum, unsafe { _mm512_load_si512(at.cast()) });
        }
    }
    fold_512(&sums)
}

#[target_feature(enable = "avx512f")]
fn four_streams_512(lines: &[Line]) -> u64 {
    let quarter = lines.len() / 4;
    let (first, rest) = lines.split_at(quarter);
    let (second, rest) = rest.split_at(quarter);
    let (third, fourth) = rest.split_at(quarter);
    let mut sums = [_mm512_setzero_si512(); 4];
    for (((a, b), c), d) in first.iter().zip(second).zip(third).zip(fourth) {
        for (sum, line) in sums.iter_mut().zip([a, b, c, d]) {
            let at: *const Line = line;
            // SAFETY: a line is 64 readable bytes, aligned.
            *sum = _mm512_xor_si512(*sum, unsafe { _mm512_load_si512(at.cast()) });
        }
    }
    fold_512(&sums)
}

#[target_feature(enable = "avx512f")]
fn fold_512(sums: &[__m512i]) -> u64 {
    let all = sums.iter().fold(_mm512_setzero_si512(), |all, &sum| _mm512_xor_si512(all, sum));
    let mut words = Line([0; 8]);
    // SAFETY: a line is 64 writable bytes, aligned.
    unsafe { _mm512_store_si512((&raw mut words).cast(), all) };
    words.0.iter().fold(0, |all, word| all ^ word)
}

#[target_feature(enable = "avx2")]
fn in_order_256(lines: &[Line]) -> u64 {
    let mut sums = [_mm256_setzero_si256(); 8];
    for block in lines.chunks_exact(4) {
        for (pair, line) in sums.chunks_exact_mut(2).zip(block) {
            let at: *const Line = line;
            _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
            add_line_256(pair, line);
        }
    }
    fold_256(&sums)
}

#[target_feature(enable = "avx2")]
fn four_streams_256(lines: &[Line]) -> u64 {
    let quarter = lines.len() / 4;
    let (first, rest) = lines.split_at(quarter);
    let (second, rest) = rest.split_at(quarter);
    let (third, fourth) = rest.split_at(quarter);
    let mut sums = [_mm256_setzero_si256(); 8];
    for (((a, b), c), d) in first.iter().zip(second).zip(third).zip(fourth) {
        for (pair, line) in sums.chunks_exact_mut(2).zip([a, b, c, d]) {
            add_line_256(pair, line);
        }
    }
    fold_256(&sums)
}

#[target_feature(enable = "avx2")]
#[inline]
fn add_line_256(pair: &mut [__m256i], line: &Line) {
    let at: *const __m256i = (&raw const *line).cast();
    // SAFETY: a line is 64 readable bytes, aligned: two vectors.
    let halves = unsafe { [_mm256_load_si256(at), _mm256_load_si256(at.add(1))] };
    pair[0] = _mm256_xor_si256(pair[0], halves[0]);
    pair[1] = _mm256_xor_si256(pair[1], halves[1]);
}

#[target_feature(enable = "avx2")]
fn fold_256(sums: &[__m256i]) -> u64 {
    let all = sums.iter().fold(_mm256_setzero_si256(), |all, &sum| _mm256_xor_si256(all, sum));
    let mut words = Line([0; 8]);
    // SAFETY: a line has 32 writable bytes, aligned.
    unsafe { _mm256_store_si256((&raw mut words).cast(), all) };
    words.0.iter().fold(0, |all, word| all ^ word)
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn int8_512(rounds: usize) -> f32 {
    let (a, b) = (_mm512_set1_epi8(black_box(1)), _mm512_set1_epi8(black_box(1)));
    let mut sums = [_mm512_setzero_si512(); ACCUMULATORS_512];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, a, b);
        }
    }
    let all = sums.iter().fold(_mm512_setzero_si512(), |all, &sum| _mm512_add_epi32(all, sum));
    _mm512_reduce_add_epi32(all) as f32
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn bf16_512(rounds: usize) -> f32 {
    let half = _mm512_set1_ps(black_box(0.5));
    let operand = _mm512_cvtne2ps_pbh(half, half);
    let mut sums = [_mm512_setzero_ps(); ACCUMULATORS_512];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpbf16_ps(*sum, operand, operand);
        }
    }
    let all = sums.iter().fold(_mm512_setzero_ps(), |all, &sum| _mm512_add_ps(all, sum));
    _mm512_reduce_add_ps(all)
}

#[target_feature(enable = "avx512f")]
fn f32_512(rounds: usize) -> f32 {
    let (a, b) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(0.25)));
    let mut sums = [_mm512_setzero_ps(); ACCUMULATORS_512];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(a, b, *sum);
        }
    }
    let all = sums.iter().fold(_mm512_setzero_ps(), |all, &sum| _mm512_add_ps(all, sum));
    _mm512_reduce_add_ps(all)
}

#[target_feature(enable = "avx2,fma")]
fn f32_256(rounds: usize) -> f32 {
    let (a, b) = (_mm256_set1_ps(black_box(0.5)), _mm256_set1_ps(black_box(0.25)));
    let mut sums = [_mm256_setzero_ps(); ACCUMULATORS_256];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(a, b, *sum);
        }
    }
    let all = sums.iter().fold(_mm256_setzero_ps(), |all, &sum| _mm256_add_ps(all, sum));
    let mut lanes = [0f32; 8];
    // SAFETY: 8 writable lanes.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), all) };
    lanes.iter().sum()
}

/// Four tiles summed in turns, from operands that stay in tiles.
macro_rules! tiles {
    ($(#[$meta:meta])* $name:ident, $instruction:literal, $operand:expr, $sum:ty) => {
        $(#[$meta])*
        unsafe fn $name(rounds: usize) -> f32 {
            let operand = [black_box($operand); ROWS * ROW_BYTES / size_of_val(&$operand)];
            let mut sums: [$sum; ROWS * ROWS] = [Default::default(); ROWS * ROWS];
            // SAFETY: the caller has the tier; operand and sums are tiles, and the loop ends.
            unsafe {
                amx::configure(const { &Sizes::new([(ROWS as u8, ROW_BYTES as u16); 8]) });
                asm!(
                    "tileloadd tmm4, [{operand} + {line}]",
                    "tileloadd tmm5, [{operand} + {line}]",
                    "2:",
                    concat!($instruction, " tmm0, tmm4, tmm5"),
                    concat!($instruction, " tmm1, tmm4, tmm5"),
                    concat!($instruction, " tmm2, tmm4, tmm5"),
                    concat!($instruction, " tmm3, tmm4, tmm5"),
                    "dec {rounds}",
                    "jnz 2b",
                    "tilestored [{sums} + {line}], tmm3",
                    operand = in(reg) operand.as_ptr(), sums = in(reg) sums.as_mut_ptr(), line = in(reg) ROW_BYTES,
                    rounds = inout(reg) rounds.max(1) => _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _,
                    options(nostack)
                );
                amx::release();
            }
            sums.iter().map(|&sum| sum as f32).sum()
        }
    };
}

tiles! {
    /// Bytes.
    int8_amx, "tdpbusd", 1u8, i32
}
tiles! {
    /// The bits of 0.5 as bf16.
    bf16_amx, "tdpbf16ps", 0x3f00u16, f32
}
