//! AVX2: `vpmaddubsw` where two products fit 16 bits, the even and the odd bytes apart where they do not.
//!
//! Same bits as [`super::tile`]: the integer part is exact and the order of the float part is the same.

mod lattice;

use super::layout::{Layout, Values};
use super::sizes::PANEL_ROWS;
use super::tile::{self, FloatTile, Kernels, Tile};
use super::unpack::{self, Headers};
use std::arch::x86_64::*;

/// This tier.
pub const KERNELS: Kernels = Kernels {
    reads_packed: tile::nothing_packed,
    bytes_are_open: false,
    read_signed: None,
    read_values,
    read_scales,
    reads_headers: tile::no_headers,
    tile,
    direct_rows: tile::no_direct_rows,
    float_tile,
};

/// See [`unpack::read_values`].
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn read_values(values: Values, slab: &[u8], columns: usize, out: *mut u8) {
    // SAFETY: passed on.
    unsafe {
        match values {
            Values::Lattice(kind) => lattice::read_values(kind, slab.as_ptr(), out),
            _ => unpack::read_values(values, slab, columns, out),
        }
    }
}

/// See [`unpack::read_scales`].
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn read_scales(layout: &Layout, headers: &Headers, scales: *mut f32, biases: *mut f32) {
    // SAFETY: passed on.
    unsafe { unpack::read_scales(layout, headers, scales, biases) }
}

/// See [`super::tile::tile`].
unsafe fn tile(tile: &Tile) {
    for panel in 0..tile.panels {
        let mut row = 0;
        while row < tile.count {
            // SAFETY: passed on; rows stay below the count.
            unsafe {
                if tile.count - row >= 4 {
                    tile_panel::<4>(tile, row, panel);
                    row += 4;
                } else {
                    tile_panel::<1>(tile, row, panel);
                    row += 1;
                }
            }
        }
    }
}

/// `ROWS` rows from `first` on against one panel, two halves of 8 lanes.
#[target_feature(enable = "avx2,fma")]
unsafe fn tile_panel<const ROWS: usize>(tile: &Tile, first: usize, panel: usize) {
    // SAFETY: the caller vouches for the rows.
    let rows: [*const u8; ROWS] = std::array::from_fn(|i| unsafe { tile.rows.add(first + i).read() });
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    let shift = _mm_cvtsi32_si128(tile.offset_shift as i32);
    let (even, ones) = (_mm256_set1_epi16(0xFF), _mm256_set1_epi16(1));
    // SAFETY: groups, steps, rows and lanes stay below the bounds of the fields.
    unsafe {
        let negated = |row: *const u8, group: usize| row.add(tile.sums_at + group * 4).cast::<i32>().read();
        for group in 0..if tile.biased { tile.groups } else { 0 } {
            for (sums, row) in sums.iter_mut().zip(rows) {
                let negated = _mm256_set1_ps(negated(row, group) as f32);
                for (half, sum) in sums.iter_mut().enumerate() {
                    let at = (group * tile.panels + panel) * PANEL_ROWS + half * 8;
                    *sum = _mm256_fnmadd_ps(_mm256_loadu_ps(tile.biases.add(at)), negated, *sum);
                }
            }
        }
        for group in 0..tile.groups {
            let negated = rows.map(|row| _mm256_set1_epi32(negated(row, group)));
            let mut dots =
                negated.map(|n| [if tile.biased { _mm256_setzero_si256() } else { _mm256_sll_epi32(n, shift) }; 2]);
            for step in group * tile.group / 4..(group + 1) * tile.group / 4 {
                let weights = tile.values.add(panel * tile.stride + step * 64);
                for half in 0..2 {
                    let w = _mm256_loadu_si256(weights.add(half * 32).cast());
                    for (dots, row) in dots.iter_mut().zip(rows) {
                        let x = _mm256_set1_epi32(row.add(tile.values_at + step * 4).cast::<i32>().read_unaligned());
                        let pairs = |w| _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), ones);
                        let dot = if tile.narrow {
                            pairs(w)
                        } else {
                            let odd = pairs(_mm256_andnot_si256(even, w));
                            _mm256_add_epi32(pairs(_mm256_and_si256(w, even)), odd)
                        };
                        dots[half] = _mm256_add_epi32(dots[half], dot);
                    }
                }
            }
            for half in 0..2 {
                let at = (group * tile.panels + panel) * PANEL_ROWS + half * 8;
                let scale = _mm256_loadu_ps(tile.scales.add(at));
                for i in 0..ROWS {
                    sums[i][half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[i][half]), scale, sums[i][half]);
                }
            }
        }
        for (i, row) in rows.into_iter().enumerate() {
            let scale = _mm256_set1_ps(row.add(tile.scale_at).cast::<f32>().read());
            for half in 0..2 {
                let total = tile.totals.add(((first + i) * tile.panels + panel) * PANEL_ROWS + half * 8);
                _mm256_storeu_ps(total, _mm256_fmadd_ps(sums[i][half], scale, _mm256_loadu_ps(total)));
            }
        }
    }
}

/// See [`super::tile::float_tile`].
#[target_feature(enable = "avx2,fma")]
unsafe fn float_tile(tile: &FloatTile) {
    // SAFETY: passed on.
    unsafe { tile::float_tile(tile) }
}
