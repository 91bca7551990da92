//! Scales that are integers times one float of a slab, those of K-quants: whole slabs of integers.
//!
//! Sent to the vector units once a slab instead of once a group, integers cost them little, and the tiles' speed is what
//! counts. So values are opened times their scales, 13 bits and a sign, in two planes: low bytes, unsigned, and high ones.
//! The integer of a slab is `low + 256 high`, exactly, and minimums are integers too: sums of a group's activations, in
//! two pieces that bf16 holds, times minimums in one product of tiles, all sums of which are exact.
//!
//! Order of operations, for [`super::super::avx512::few`] too: `sum = fma(integer, d, minimums' integer * dmin)`, then
//! `total = fma(sum, activation scale, total)`. It rounds less often than [`super::super::tile`] has it, so the bits of
//! these formats are this tier's own.
//! Read next: [`super`], for formats that have a float a group.

use super::super::avx512;
use super::super::avx512::scales::{Floats, Minimum4, Minimum8, Signed};
use super::super::blocks::Block;
use super::super::layout::{Scales, Values};
use super::super::sizes::{FEW_TILE_ROWS, FEWEST_ROWS, PANEL_ROWS, SLAB_COLUMNS};
use super::super::tile::{TILE_PANELS, Tile};
use super::{Ahead, INTEGERS, block_at, bring, past_caches, place};
use crate::amx::{self, ROWS, Sizes};
use std::arch::asm;
use std::arch::x86_64::*;

/// Bytes of a plane of a panel's slab.
const PLANE: usize = SLAB_COLUMNS * PANEL_ROWS;

/// A panel's slab, open.
#[repr(C, align(64))]
struct Open {
    /// Values times scales, low bytes and high ones. `[2, columns / 4, 16, 4]`
    planes: [[u8; PLANE]; 2],
    /// Minimums times `1 << Block::PIECE_BITS` and as they are, as bf16, for each 16 columns. `[columns / 16, 16, 2]`
    minimums: [[u32; PANEL_ROWS]; 16],
    /// What integers are times, and what minimums are.
    factors: [[f32; PANEL_ROWS]; 2],
}

/// All that a tile needs beside its operands.
#[repr(C, align(64))]
struct Room {
    panels: [Open; TILE_PANELS],
    /// Low, high and minimums' sums of sixteen rows and a panel, of two products in turns.
    integers: [[i32; 3 * INTEGERS]; 2],
    /// Rows that did not come in blocks.
    gathered: [Block; 2],
}

/// A product whose integers are on their way.
#[derive(Clone, Copy)]
struct Product {
    integers: *const i32,
    factors: *const f32,
    /// The activations'.
    scales: *const f32,
    first: usize,
    panel: usize,
}

/// Whether rows are summed that way and are more than [`avx512`] streams past.
pub fn takes(tile: &Tile) -> bool {
    tile.header_scales.are_integers() && tile.count > FEWEST_ROWS
}

/// All rows against a slab as it is packed.
///
/// # Safety
/// As [`super::super::tile::tile`]; the tier is AMX, and [`takes`] says so.
pub unsafe fn multiply(tile: &Tile, values: Values) {
    // SAFETY: passed on.
    unsafe {
        match tile.header_scales {
            Scales::Signed => multiply_as(tile, values, Signed),
            Scales::Minimum8 => multiply_as(tile, values, Minimum8),
            Scales::Minimum4 => multiply_as(tile, values, Minimum4),
            scales => unreachable!("{scales:?} are no integers times a float"),
        }
    }
}

unsafe fn multiply_as<S: Floats>(tile: &Tile, values: Values, form: S) {
    // SAFETY: passed on.
    unsafe {
        match tile.count <= FEW_TILE_ROWS {
            true => some(tile, values, form),
            false => many(tile, values, form),
        }
    }
}

/// Five or six rows, against values as they are packed: opening them would take longer.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn some<S: Floats>(tile: &Tile, values: Values, form: S) {
    let mut scales = [[0i32; PANEL_ROWS]; 16 * TILE_PANELS];
    let mut biases = [[0f32; PANEL_ROWS]; 16 * TILE_PANELS];
    // SAFETY: panels have headers; there is a place for each of their groups.
    unsafe {
        for group in 0..tile.groups {
            for panel in 0..tile.panels {
                let (scale, minimum) = form.integers(tile.header.add(panel * tile.stride), tile.groups, group);
                let at = group * tile.panels + panel;
                _mm512_storeu_si512(scales[at].as_mut_ptr().cast(), scale);
                // Biases are what minimums take away.
                let bias = _mm512_sub_epi32(_mm512_setzero_si512(), minimum);
                _mm512_storeu_ps(biases[at].as_mut_ptr(), _mm512_cvtepi32_ps(bias));
            }
        }
        avx512::tile_whole(&Tile { scales: scales.as_ptr().cast(), biases: biases.as_ptr().cast(), ..*tile }, values);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn many<S: Floats>(tile: &Tile, values: Values, form: S) {
    debug_assert!(tile.groups * tile.group == SLAB_COLUMNS && tile.panels <= TILE_PANELS);
    let mut room = std::mem::MaybeUninit::<Room>::uninit();
    let room = room.as_mut_ptr();
    // SAFETY: this tier has tiles; rows, panels and groups are those of the fields, and the room has places for all.
    unsafe {
        // What comes is asked for all the time: of one block's, two fifths while values are opened.
        let blocks = tile.count.div_ceil(ROWS);
        let mut ahead = Ahead::of(tile, 1);
        let openings = tile.panels * tile.groups;
        ahead.together = if blocks == 1 { (ahead.left * 2 / 5 + openings / 2) / openings } else { 0 };
        for panel in 0..tile.panels {
            open(tile, values, form, panel, &raw mut (*room).panels[panel], &mut ahead);
        }
        ahead.together = ahead.left.div_ceil(tile.panels * if blocks == 1 { 4 } else { blocks });
        // Weights alone, in the last tile, are sixteen rows whatever the activations are.
        let mut sizes = [(tile.count.min(ROWS) as u8, 64); 8];
        sizes[7] = (16, 64);
        if tile.fresh {
            amx::configure(&Sizes::new(sizes));
        }
        let mut before = None;
        let mut turn = 0;
        for index in 0..blocks {
            bring(tile, index, &raw mut (*room).gathered);
            let block = block_at(tile, &raw mut (*room).gathered, index);
            let pieces = &raw const (*block).pieces;
            for panel in 0..tile.panels {
                let open = &raw const (*room).panels[panel];
                let (now, sent) =
                    ((&raw mut (*room).integers[turn]).cast(), (&raw mut (*room).integers[1 - turn]).cast());
                match turn {
                    0 => step::<S, false>(tile, block.cast(), open, pieces.cast(), sent, before, &mut ahead),
                    _ => step::<S, true>(tile, block.cast(), open, pieces.cast(), sent, before, &mut ahead),
                }
                let (factors, scales) = ((&raw const (*open).factors).cast(), (&raw const (*block).scales).cast());
                before = Some(Product { integers: now, factors, scales, first: index * ROWS, panel });
                turn = 1 - turn;
            }
        }
        if let Some(before) = before {
            send::<S>(before.integers.cast_mut(), turn == 0);
            finish::<S>(tile, &before, 0);
            finish::<S>(tile, &before, ROWS / 2);
        }
        if !tile.outputs.is_null() {
            amx::release();
        }
        if past_caches(tile) {
            amx::drain();
        }
    }
}

/// Open a slab of a panel.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn open<S: Floats>(tile: &Tile, values: Values, form: S, panel: usize, to: *mut Open, ahead: &mut Ahead) {
    // SAFETY: the panel has a header and the values of a slab; `to` has room for what comes of them.
    unsafe {
        let header = tile.header.add(panel * tile.stride);
        let packed = tile.values.add(panel * tile.stride);
        let (low, high) = ((&raw mut (*to).planes[0]).cast::<u8>(), (&raw mut (*to).planes[1]).cast::<u8>());
        let bytes = SLAB_COLUMNS / 32 * values.unit_bytes();
        avx512::read_signed(values, std::slice::from_raw_parts(packed, bytes), SLAB_COLUMNS, low, (0, None));
        let registers = tile.group / 4;
        for group in 0..tile.groups {
            ahead.ask();
            let (scale, minimum) = form.integers(header, tile.groups, group);
            // As bytes: of even columns, and of odd ones.
            let even_scale = _mm512_and_si512(scale, _mm512_set1_epi32(255));
            let even_scale = _mm512_or_si512(even_scale, _mm512_slli_epi32::<16>(even_scale));
            let odd_scale = _mm512_slli_epi16::<8>(even_scale);
            let wide = _mm512_srai_epi16::<8>(odd_scale);
            let offset = _mm512_sll_epi16(wide, _mm_cvtsi32_si128(tile.offset_shift as i32));
            for register in group * registers..(group + 1) * registers {
                let codes = _mm512_load_si512(low.add(register * 64).cast());
                let mut even = _mm512_maddubs_epi16(codes, even_scale);
                let mut odd = _mm512_maddubs_epi16(codes, odd_scale);
                if !S::BIASED {
                    (even, odd) = (_mm512_sub_epi16(even, offset), _mm512_sub_epi16(odd, offset));
                }
                const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
                let lows = _mm512_mask_blend_epi8(ODD, even, _mm512_slli_epi16::<8>(odd));
                let highs = _mm512_mask_blend_epi8(ODD, _mm512_srli_epi16::<8>(even), odd);
                _mm512_store_si512(low.add(register * 64).cast(), lows);
                _mm512_store_si512(high.add(register * 64).cast(), highs);
            }
            if S::BIASED {
                let once = _mm512_castps_si512(_mm512_cvtepi32_ps(minimum));
                let many = _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_slli_epi32::<{ Block::PIECE_BITS }>(minimum)));
                let pair = _mm512_or_si512(_mm512_srli_epi32::<16>(many), once);
                // Sums are of 16 columns.
                let halves = tile.group / 16;
                for half in 0..halves {
                    _mm512_store_si512((&raw mut (*to).minimums[group * halves + half]).cast(), pair);
                }
            }
        }
        let (factor, least) = form.factors(header);
        _mm512_store_ps((&raw mut (*to).factors[0]).cast(), factor);
        _mm512_store_ps((&raw mut (*to).factors[1]).cast(), least);
    }
}

/// Products of 64 columns in both planes.
macro_rules! columns {
    ($rows:ident, $values:ident, $quarter:literal, $low:literal, $high:literal) => {
        asm!(
            concat!("tileloadd tmm6, [{rows} + {line} + 1024 * ", $quarter, "]"),
            concat!("tileloadd tmm7, [{values} + {line} + 1024 * ", $quarter, "]"),
            concat!("tdpbsud ", $low, ", tmm6, tmm7"),
            concat!("tileloadd tmm7, [{values} + {line} + 4096 + 1024 * ", $quarter, "]"),
            concat!("tdpbssd ", $high, ", tmm6, tmm7"),
            rows = in(reg) $rows, values = in(reg) $values, line = in(reg) 64usize,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _,
            out("tmm6") _, out("tmm7") _, options(nostack, preserves_flags, readonly)
        )
    };
}

/// A tile to memory.
macro_rules! to_memory {
    ($to:expr, $tile:literal) => {
        asm!(concat!("tilestored [{to} + {line}], ", $tile), to = in(reg) $to, line = in(reg) 64usize,
            options(nostack, preserves_flags))
    };
}

/// The products of sixteen rows and a panel, while those of the step before are sent to `sent` and finished. `SECOND`:
/// which half of the tiles.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn step<S: Floats, const SECOND: bool>(
    tile: &Tile,
    rows: *const u8,
    open: *const Open,
    pieces: *const u8,
    sent: *mut i32,
    before: Option<Product>,
    ahead: &mut Ahead,
) {
    let values: *const u8 = open.cast();
    macro_rules! products {
        ($low:literal, $high:literal, $least:literal) => {
            asm!(concat!("tilezero ", $low), concat!("tilezero ", $high), concat!("tilezero ", $least),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _,
                options(nostack, preserves_flags, nomem));
            if S::BIASED {
                asm!(
                    "tileloadd tmm6, [{pieces} + {line}]",
                    "tileloadd tmm7, [{values} + {line} + 8192]",
                    concat!("tdpbf16ps ", $least, ", tmm6, tmm7"),
                    pieces = in(reg) pieces, values = in(reg) values, line = in(reg) 64usize,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _,
                    out("tmm6") _, out("tmm7") _, options(nostack, preserves_flags, readonly)
                );
            }
            ahead.ask();
            columns!(rows, values, "0", $low, $high);
            if before.is_some() {
                send::<S>(sent, !SECOND);
            }
            if tile.count <= ROWS {
                ahead.ask();
            }
            columns!(rows, values, "1", $low, $high);
            if tile.count <= ROWS {
                ahead.ask();
            }
            columns!(rows, values, "2", $low, $high);
            if let Some(before) = &before {
                finish::<S>(tile, before, 0);
            }
            if tile.count <= ROWS {
                ahead.ask();
            }
            columns!(rows, values, "3", $low, $high);
            if let Some(before) = &before {
                finish::<S>(tile, before, ROWS / 2);
            }
        };
    }
    // SAFETY: tiles of all operands are there.
    unsafe {
        if SECOND {
            products!("tmm3", "tmm4", "tmm5");
        } else {
            products!("tmm0", "tmm1", "tmm2");
        }
    }
}

/// Integers of a product to memory. `second`: which half of the tiles.
#[inline(always)]
unsafe fn send<S: Floats>(to: *mut i32, second: bool) {
    // SAFETY: there is room for three tiles.
    unsafe {
        match second {
            true => {
                to_memory!(to, "tmm3");
                to_memory!(to.add(INTEGERS), "tmm4");
            }
            false => {
                to_memory!(to, "tmm0");
                to_memory!(to.add(INTEGERS), "tmm1");
            }
        }
        match (S::BIASED, second) {
            (false, _) => {}
            (true, true) => to_memory!(to.add(2 * INTEGERS), "tmm5"),
            (true, false) => to_memory!(to.add(2 * INTEGERS), "tmm2"),
        }
    }
}

/// Eight rows of a product, from `from` on, onto the totals.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn finish<S: Floats>(tile: &Tile, product: &Product, from: usize) {
    // SAFETY: the integers of sixteen rows are there, and so are the totals of those below the count.
    unsafe {
        let (factor, least) = (_mm512_load_ps(product.factors), _mm512_load_ps(product.factors.add(PANEL_ROWS)));
        let past_caches = past_caches(tile);
        let end = (from + ROWS / 2).min(tile.count - product.first);
        for row in from..end {
            let integers = product.integers.add(row * PANEL_ROWS);
            let high = _mm512_slli_epi32::<8>(_mm512_load_si512(integers.add(INTEGERS).cast()));
            let integer = _mm512_add_epi32(high, _mm512_load_si512(integers.cast()));
            let sum = match S::BIASED {
                true => _mm512_mul_ps(_mm512_load_ps(integers.add(2 * INTEGERS).cast()), least),
                false => _mm512_setzero_ps(),
            };
            let sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(integer), factor, sum);
            let row = product.first + row;
            let totals = tile.totals.add((row * tile.panels + product.panel) * PANEL_ROWS);
            let before = if tile.fresh { _mm512_setzero_ps() } else { _mm512_loadu_ps(totals) };
            let scale = _mm512_set1_ps(product.scales.add(row - product.first).read());
            amx::write(place(tile, row, product.panel), _mm512_fmadd_ps(sum, scale, before), past_caches);
        }
    }
}
