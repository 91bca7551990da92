//! AVX-512 VNNI: unpacking by shifts and masks of whole registers, `vpdpbusd` with the weights as the unsigned operand.
//!
//! A register tile of 8 rows x 3 panels keeps 24 integer accumulators in registers; the floats of a slab live in the
//! first-level cache and are touched once a group. Read next: [`super::tile`], whose bits these functions reproduce.

use super::layout::{Layout, PANEL_ROWS, Scales, UNIT_COLUMNS, Values};
use super::tile::{FloatTile, Kernels, TILE_ROWS, Tile};
use super::unpack;
use crate::quant::ScaleType;
use std::arch::x86_64::*;

/// This tier.
pub const KERNELS: Kernels = Kernels { read_values, read_scales, tile, float_tile };

/// How far ahead of the values that are being unpacked memory is asked for.
const AHEAD_BYTES: usize = 4096;

/// See [`unpack::read_values`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn read_values(values: Values, slab: &[u8], columns: usize, out: *mut u8, stride: usize) {
    let units = columns / UNIT_COLUMNS;
    let input = slab.as_ptr();
    // SAFETY: the caller vouches for the output; the slab holds all units.
    unsafe {
        match values {
            Values::Bits8 => each_unit::<8>(input, units, out, stride, |x| x),
            Values::Bits4 => each_unit::<4>(input, units, out, stride, |x| four(&x)),
            Values::E2m1 | Values::Iq4 => {
                let table = values.table().expect("both have one").as_ptr().cast();
                let table = _mm512_broadcast_i32x4(_mm_loadu_si128(table));
                each_unit::<4>(input, units, out, stride, |x| four(&x).map(|x| _mm512_shuffle_epi8(table, x)));
            }
            Values::Bits2 => each_unit::<2>(input, units, out, stride, |x| two::<0>(x[0], x[1])),
            Values::Bits3 => {
                each_unit::<3>(input, units, out, stride, |x| merge(two::<0>(x[0], x[1]), one::<2>(x[2])));
            }
            Values::Bits5 => {
                each_unit::<5>(input, units, out, stride, |x| merge(four(&[x[0], x[1], x[2], x[3]]), one::<4>(x[4])));
            }
            Values::Bits6 => {
                each_unit::<6>(input, units, out, stride, |x| {
                    merge(four(&[x[0], x[1], x[2], x[3]]), two::<4>(x[4], x[5]))
                });
            }
        }
    }
}

/// Apply `open` to the registers of every unit.
#[inline(always)]
unsafe fn each_unit<const BITS: usize>(
    input: *const u8,
    units: usize,
    out: *mut u8,
    stride: usize,
    open: impl Fn([__m512i; BITS]) -> [__m512i; 8],
) {
    for unit in 0..units {
        // SAFETY: the caller vouches for both ranges; fetching ahead touches nothing.
        unsafe {
            let input = input.add(unit * BITS * 64);
            let registers = std::array::from_fn(|i| {
                _mm_prefetch::<_MM_HINT_T0>(input.wrapping_add(AHEAD_BYTES + i * 64).cast());
                _mm512_loadu_si512(input.add(i * 64).cast())
            });
            let out = out.add(unit * 8 * stride);
            for (step, register) in open(registers).into_iter().enumerate() {
                _mm512_storeu_si512(out.add(step * stride).cast(), register);
            }
        }
    }
}

/// Steps of a 4-bit plane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn four(x: &[__m512i; 4]) -> [__m512i; 8] {
    let mask = _mm512_set1_epi8(15);
    let low = x.map(|x| _mm512_and_si512(x, mask));
    let high = x.map(|x| _mm512_and_si512(_mm512_srli_epi16::<4>(x), mask));
    [low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3]]
}

/// Steps of a 2-bit plane, moved to bit `AT` (0 or 4).
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn two<const AT: u32>(x: __m512i, y: __m512i) -> [__m512i; 8] {
    let mask = _mm512_set1_epi8(3 << AT);
    let fields = |x| {
        let moved = if AT == 0 {
            [x, _mm512_srli_epi16::<2>(x), _mm512_srli_epi16::<4>(x), _mm512_srli_epi16::<6>(x)]
        } else {
            [_mm512_slli_epi16::<4>(x), _mm512_slli_epi16::<2>(x), x, _mm512_srli_epi16::<2>(x)]
        };
        moved.map(|x| _mm512_and_si512(x, mask))
    };
    let (x, y) = (fields(x), fields(y));
    [x[0], y[0], x[1], y[1], x[2], y[2], x[3], y[3]]
}

/// Steps of a 1-bit plane, moved to bit `AT`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn one<const AT: usize>(x: __m512i) -> [__m512i; 8] {
    let value = _mm512_set1_epi8(1 << AT);
    std::array::from_fn(|step| {
        let set = _mm512_test_epi8_mask(x, _mm512_set1_epi8((1u8 << step) as i8));
        _mm512_maskz_mov_epi8(set, value)
    })
}

/// Low and high bits together.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn merge(low: [__m512i; 8], high: [__m512i; 8]) -> [__m512i; 8] {
    std::array::from_fn(|i| _mm512_or_si512(low[i], high[i]))
}

/// See [`unpack::read_scales`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn read_scales(
    layout: &Layout,
    header: &[u8],
    columns: usize,
    scales: *mut f32,
    biases: *mut f32,
    stride: usize,
) {
    let groups = columns.div_ceil(layout.group);
    let at = header.as_ptr();
    let half = |at: *const u8| unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())) };
    let float = |scale_type: ScaleType, index: usize| unsafe {
        match scale_type {
            ScaleType::F32 => _mm512_loadu_ps(at.add(index * 64).cast()),
            ScaleType::F16 => half(at.add(index * 32)),
            ScaleType::Bf16 => {
                let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(at.add(index * 32).cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
            }
        }
    };
    let byte = |offset: usize, group: usize| unsafe {
        let bytes = _mm_loadu_si128(at.add(offset + group * PANEL_ROWS).cast());
        _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))
    };
    // SAFETY: the header holds the fields of all groups and the caller vouches for the output.
    unsafe {
        for group in 0..groups {
            let out = scales.add(group * stride);
            let bias = biases.wrapping_add(group * stride);
            match layout.scales {
                Scales::Plain(scale_type) => _mm512_storeu_ps(out, float(scale_type, group)),
                Scales::Biased(scale_type) => {
                    _mm512_storeu_ps(out, float(scale_type, 2 * group));
                    _mm512_storeu_ps(bias, float(scale_type, 2 * group + 1));
                }
                Scales::Signed => {
                    let bytes = _mm_loadu_si128(at.add(32 + group * PANEL_ROWS).cast());
                    let factors = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
                    _mm512_storeu_ps(out, _mm512_mul_ps(half(at), factors));
                }
                Scales::Minimum8 => {
                    _mm512_storeu_ps(out, _mm512_mul_ps(half(at), byte(64, group)));
                    let minimum = _mm512_mul_ps(half(at.add(32)), byte(64, groups + group));
                    _mm512_storeu_ps(bias, _mm512_xor_ps(minimum, _mm512_set1_ps(-0.0)));
                }
                Scales::E8m0 | Scales::E4m3 | Scales::Minimum4 => {
                    return unpack::read_scales(layout, header, columns, scales, biases, stride);
                }
            }
        }
    }
}

/// See [`super::tile::tile`].
unsafe fn tile(tile: &Tile) {
    macro_rules! pick {
        ($panels:literal, $biased:literal) => {
            match tile.count {
                1 => tile_of::<1, $panels, $biased>(tile),
                2 => tile_of::<2, $panels, $biased>(tile),
                3 => tile_of::<3, $panels, $biased>(tile),
                4 => tile_of::<4, $panels, $biased>(tile),
                5 => tile_of::<5, $panels, $biased>(tile),
                6 => tile_of::<6, $panels, $biased>(tile),
                7 => tile_of::<7, $panels, $biased>(tile),
                _ => tile_of::<8, $panels, $biased>(tile),
            }
        };
    }
    // SAFETY: passed on.
    unsafe {
        match (tile.panels, tile.biased) {
            (1, false) => pick!(1, false),
            (1, true) => pick!(1, true),
            (2, false) => pick!(2, false),
            (2, true) => pick!(2, true),
            (_, false) => pick!(3, false),
            (_, true) => pick!(3, true),
        }
    }
}

/// The body once for each row with a constant index: a loop that the compiler leaves rolled would put all accumulators
/// into memory.
macro_rules! each_row {
    ($rows:ident, $i:ident, $body:block) => {
        each_row!(@ $rows, $i, $body, 0 1 2 3 4 5 6 7)
    };
    (@ $rows:ident, $i:ident, $body:block, $($index:literal)*) => {
        $(if $index < $rows {
            const $i: usize = $index;
            $body
        })*
    };
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn tile_of<const ROWS: usize, const PANELS: usize, const BIASED: bool>(tile: &Tile) {
    let rows = &tile.rows;
    let mut sums = [[_mm512_setzero_ps(); PANELS]; ROWS];
    let (mut weights, mut values_at) = (tile.values, tile.values_at);
    let (mut scales, mut biases, mut sums_at) = (tile.scales, tile.biases, tile.sums_at);
    let shift = _mm_cvtsi32_si128(tile.offset_shift as i32);
    // SAFETY: the pointers advance over exactly the groups and steps that the fields describe.
    unsafe {
        for _ in 0..tile.groups {
            let mut dots = [[_mm512_setzero_si512(); PANELS]; ROWS];
            if !BIASED {
                each_row!(ROWS, I, {
                    let negated = _mm512_set1_epi32(rows[I].add(sums_at).cast::<i32>().read_unaligned());
                    dots[I] = [_mm512_sll_epi32(negated, shift); PANELS];
                });
            }
            for _ in 0..tile.group / 16 {
                steps::<ROWS, PANELS>(rows, weights, values_at, &mut dots);
                weights = weights.add(4 * PANELS * 64);
                values_at += 16;
            }
            each_row!(ROWS, I, {
                for p in 0..PANELS {
                    let scale = _mm512_loadu_ps(scales.add(p * PANEL_ROWS));
                    sums[I][p] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[I][p]), scale, sums[I][p]);
                }
                if BIASED {
                    let negated = _mm512_set1_epi32(rows[I].add(sums_at).cast::<i32>().read_unaligned());
                    for p in 0..PANELS {
                        let bias = _mm512_loadu_ps(biases.add(p * PANEL_ROWS));
                        sums[I][p] = _mm512_fnmadd_ps(bias, _mm512_cvtepi32_ps(negated), sums[I][p]);
                    }
                }
            });
            scales = scales.add(PANELS * PANEL_ROWS);
            biases = biases.wrapping_add(PANELS * PANEL_ROWS);
            sums_at += 4;
        }
        each_row!(ROWS, I, {
            let scale = _mm512_set1_ps(rows[I].add(tile.scale_at).cast::<f32>().read_unaligned());
            for p in 0..PANELS {
                let total = tile.totals.add((I * PANELS + p) * PANEL_ROWS);
                _mm512_storeu_ps(total, _mm512_fmadd_ps(sums[I][p], scale, _mm512_loadu_ps(total)));
            }
        });
    }
}

/// Four steps of all rows and panels.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn steps<const ROWS: usize, const PANELS: usize>(
    rows: &[*const u8; TILE_ROWS],
    weights: *const u8,
    values_at: usize,
    dots: &mut [[__m512i; PANELS]; ROWS],
) {
    macro_rules! step {
        ($step:literal) => {
            let mut w = [_mm512_setzero_si512(); PANELS];
            for (p, w) in w.iter_mut().enumerate() {
                // SAFETY: the caller has 16 columns of all panels here.
                *w = unsafe { _mm512_loadu_si512(weights.add(($step * PANELS + p) * 64).cast()) };
            }
            each_row!(ROWS, I, {
                // SAFETY: the caller has 16 columns of each row here.
                let x = unsafe { rows[I].add(values_at + $step * 4).cast::<i32>().read_unaligned() };
                for p in 0..PANELS {
                    dots[I][p] = _mm512_dpbusd_epi32(dots[I][p], w[p], _mm512_set1_epi32(x));
                }
            });
        };
    }
    step!(0);
    step!(1);
    step!(2);
    step!(3);
}

/// See [`super::tile::float_tile`].
unsafe fn float_tile(tile: &FloatTile) {
    // SAFETY: passed on; missing rows repeat the last one and are not stored.
    unsafe {
        match tile.panels {
            1 => float_tile_of::<1>(tile),
            2 => float_tile_of::<2>(tile),
            _ => float_tile_of::<3>(tile),
        }
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn float_tile_of<const PANELS: usize>(tile: &FloatTile) {
    let rows: [*const f32; TILE_ROWS] = std::array::from_fn(|i| tile.rows[i.min(tile.count - 1)]);
    // SAFETY: columns, rows and panels stay below the bounds of the fields.
    unsafe {
        let mut totals: [[__m512; PANELS]; TILE_ROWS] = std::array::from_fn(|i| {
            std::array::from_fn(|p| _mm512_loadu_ps(tile.totals.add((i.min(tile.count - 1) * PANELS + p) * PANEL_ROWS)))
        });
        for column in 0..tile.columns {
            let w: [__m512; PANELS] =
                std::array::from_fn(|p| _mm512_loadu_ps(tile.weights.add((column * PANELS + p) * PANEL_ROWS)));
            each_row!(TILE_ROWS, I, {
                let x = _mm512_set1_ps(rows[I].add(column).read());
                for p in 0..PANELS {
                    totals[I][p] = _mm512_fmadd_ps(x, w[p], totals[I][p]);
                }
            });
        }
        for (i, totals) in totals.iter().enumerate().take(tile.count) {
            for (p, total) in totals.iter().enumerate() {
                _mm512_storeu_ps(tile.totals.add((i * PANELS + p) * PANEL_ROWS), *total);
            }
        }
    }
}
