//! AMX: many rows against open values, sixteen rows x sixteen output features x a whole group in one product of tiles.
//!
//! An open slab is what tiles want as their second operand: 16 output features x 4 columns in each 64 bytes. So a panel's
//! group is a tile as it lies there, rows of activations are the other one, and the integers of a group go through the
//! first-level cache to the vector units, which scale and sum them as on any tier: the bits are the same. Offsets are
//! taken from the values when these are opened.
//!
//! Work is a row of steps, one for each group of each panel of each block of sixteen rows. A step scales the integers of
//! its group, sends those of the second group on to the cache, and multiplies the tiles of the fourth, so that nothing
//! waits for a product or for what it has sent. Results leave for memory a few rows a step. A few rows go the way of
//! [`super::avx512`], and formats whose scales are integers that of [`whole`].
//! Read next: [`super::tile`], whose bits these functions reproduce, and [`crate::amx`].

mod whole;

use super::avx512;
use super::blocks::Block;
use super::layout::Layout;
use super::sizes::{FEW_TILE_ROWS, PANEL_ROWS, SLAB_COLUMNS};
use super::tile::{Kernels, Stored, Tile};
use crate::amx::{self, PAST_CACHES_ROWS, ROWS, Sizes};
use std::arch::asm;
use std::arch::x86_64::*;

/// This tier.
pub const KERNELS: Kernels = Kernels {
    tile,
    reads_packed,
    reads_headers,
    direct_rows,
    read_signed: Some(avx512::read_signed),
    ..avx512::KERNELS
};

/// Fewer rows read packed values than without tiles, all rows those that are opened times their scales.
fn reads_packed(layout: &Layout, rows: usize) -> bool {
    rows <= FEW_TILE_ROWS && avx512::reads_packed(layout, rows) || layout.scales.are_integers()
}

/// Scales that are integers are read where they are.
fn reads_headers(layout: &Layout, stored: Stored, count: usize) -> bool {
    stored != Stored::Open && (layout.scales.are_integers() || avx512::reads_headers(layout, stored, count))
}

/// All rows but few.
fn direct_rows(stored: Stored, _: usize, count: usize) -> usize {
    if stored == Stored::Open || count > FEW_TILE_ROWS { count } else { 0 }
}

/// See [`super::tile::tile`].
unsafe fn tile(tile: &Tile) {
    // SAFETY: passed on.
    unsafe {
        match (tile.stored, tile.group, tile.biased) {
            (Stored::Packed(values), ..) if whole::takes(tile) => whole::multiply(tile, values),
            (Stored::Packed(_), ..) => avx512::tile::<true>(tile),
            (Stored::Open, 16, false) => open::<16, false>(tile),
            (Stored::Open, 32, false) => open::<32, false>(tile),
            (Stored::Open, 32, true) => open::<32, true>(tile),
            (Stored::Open, 64, _) => open::<64, true>(tile),
            (Stored::Open, 128, _) => open::<128, true>(tile),
            (Stored::Open, group, biased) => unreachable!("no format has groups of {group} open, biased {biased}"),
        }
    }
}

/// Integers of a product of tiles.
const INTEGERS: usize = ROWS * PANEL_ROWS;
/// Up to this many rows are a block of half the height: fewer integers are sent and scaled.
const HALF: usize = ROWS / 2;
/// Rows up to which memory is asked for evenly, which takes time in each step: lines that are asked for all at once, a
/// block's, hold up the loads behind them. More rows have few lines a block.
const EVENLY_ROWS: usize = 128;
/// Tiles that take products in turns, and how many steps ahead these are: no more than a slab has groups. Half as many
/// steps ahead integers are sent.
const fn turns(group: usize) -> usize {
    if group == 128 { 2 } else { 4 }
}

/// Integers, rows and weights of a product of `height` rows.
fn sizes(group: usize, height: usize) -> Sizes {
    let (depth, height) = (group.min(64), height as u8);
    let (integers, rows, weights) = ((height, 64), (height, depth as u16), (depth as u8 / 4, 64));
    Sizes::new([integers, integers, integers, integers, rows, rows, weights, weights])
}

/// Where the negated sums of groups begin in a row of [`Block::floats`].
const fn first_sum(group: usize) -> usize {
    match group {
        128 => Block::SUMS_128,
        64 => Block::SUMS_64,
        _ => 0,
    }
}

/// What lies between the tiles and the vector units, and between these and memory.
#[repr(C, align(64))]
struct Between {
    integers: [[i32; INTEGERS]; 4],
    /// Rows that did not come in blocks: the block that is multiplied, and the one that may still be scaled.
    gathered: [Block; 2],
    /// Ends of a panel's sums.
    results: [[f32; PANEL_ROWS]; ROWS],
}

/// The body once for each row with a constant index, so that sums stay in registers.
macro_rules! each_row {
    ($i:ident, $body:block) => {
        each_row!(@ $i, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $i:ident, $body:block, $($index:literal)*) => {
        $({
            const $i: usize = $index;
            $body
        })*
    };
}

/// The body once for each turn of tiles.
macro_rules! each_turn {
    ($k:ident, $body:block) => {
        each_row!(@ $k, $body, 0 1 2 3)
    };
}

/// All rows against all panels of a slab.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn open<const GROUP: usize, const BIASED: bool>(tile: &Tile) {
    // SAFETY: passed on.
    unsafe {
        match (tile.count <= HALF, tile.count <= EVENLY_ROWS) {
            (true, _) => open_as::<GROUP, BIASED, true, HALF>(tile),
            (_, true) => open_as::<GROUP, BIASED, true, ROWS>(tile),
            (_, false) => open_as::<GROUP, BIASED, false, ROWS>(tile),
        }
    }
}

/// `EVENLY`: each step asks for lines of the next slab, not each block. `HEIGHT`: no block has more rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn open_as<const GROUP: usize, const BIASED: bool, const EVENLY: bool, const HEIGHT: usize>(tile: &Tile) {
    let mut between = std::mem::MaybeUninit::<Between>::uninit();
    let between = between.as_mut_ptr();
    let blocks = tile.count.div_ceil(ROWS);
    // SAFETY: this tier has tiles; blocks, panels and groups are those of the fields.
    unsafe {
        // Once for all slabs: it takes as long as a panel's products of a slab.
        if tile.fresh {
            amx::configure(&sizes(GROUP, tile.count.min(HEIGHT)));
        }
        let gathered = &raw mut (*between).gathered;
        let bring = |index: usize| {
            ask_outputs(tile, index);
            bring(tile, index, gathered);
        };
        bring(0);
        let steps = tile.panels * (SLAB_COLUMNS / GROUP);
        let mut ahead = Ahead::of(tile, if EVENLY { blocks * steps } else { blocks });
        let mut results = Results::new(tile, (&raw const (*between).results).cast());
        let mut now = Operands { rows: block_at(tile, gathered, 0).cast(), values: tile.values };
        let turns = const { turns(GROUP) };
        begin::<GROUP, BIASED>(now, between);
        for index in 0..blocks {
            if !EVENLY {
                ahead.ask();
            }
            if index + 1 < blocks {
                bring(index + 1);
            }
            let block = block_at(tile, gathered, index);
            let floats = (&raw const (*block).floats).cast::<f32>();
            for panel in 0..tile.panels {
                let mut sums = [_mm512_setzero_ps(); ROWS];
                let mut bias_at = tile.biases.wrapping_add(panel * PANEL_ROWS);
                for group in 0..if BIASED { tile.groups } else { 0 } {
                    let bias = _mm512_loadu_ps(bias_at);
                    bias_at = bias_at.wrapping_add(tile.panels * PANEL_ROWS);
                    let negated = floats.add(const { first_sum(GROUP) } + group);
                    each_row!(I, {
                        if I < HEIGHT {
                            sums[I] = _mm512_fnmadd_ps(bias, _mm512_set1_ps(negated.add(I * 16).read()), sums[I]);
                        }
                    });
                }
                let mut scale_at = tile.scales.add(panel * PANEL_ROWS);
                for round in (0..SLAB_COLUMNS / GROUP).step_by(turns) {
                    let next = match round + turns == SLAB_COLUMNS / GROUP {
                        true => behind(tile, gathered, (index, panel)),
                        false => Some(now.group::<GROUP>(turns)),
                    };
                    each_turn!(K, {
                        if K < turns {
                            if EVENLY {
                                ahead.ask();
                            }
                            if let Some(next) = next {
                                product::<GROUP, BIASED>(next.group::<GROUP>(K), K);
                            }
                            send((K + turns / 2) % turns, between);
                            results.leave::<GROUP>(round + K);
                            let scale = _mm512_loadu_ps(scale_at);
                            scale_at = scale_at.wrapping_add(tile.panels * PANEL_ROWS);
                            scale_integers::<HEIGHT>((&raw const (*between).integers[K]).cast(), scale, &mut sums);
                        }
                    });
                    now = next.unwrap_or(now);
                }
                // Onto the totals, times the activations' scale. Not a function: sums would go through memory.
                let totals = tile.totals.add((index * tile.panels + panel) * INTEGERS);
                let to = if tile.outputs.is_null() { totals } else { (&raw mut (*between).results).cast::<f32>() };
                let scale = |row: usize| _mm512_set1_ps((&raw const (*block).scales[row]).read());
                if tile.fresh {
                    each_row!(I, {
                        if I < HEIGHT {
                            let total = _mm512_fmadd_ps(sums[I], scale(I), _mm512_setzero_ps());
                            _mm512_storeu_ps(to.add(I * PANEL_ROWS), total);
                        }
                    });
                } else {
                    each_row!(I, {
                        if I < HEIGHT {
                            let before = _mm512_loadu_ps(totals.add(I * PANEL_ROWS));
                            _mm512_storeu_ps(to.add(I * PANEL_ROWS), _mm512_fmadd_ps(sums[I], scale(I), before));
                        }
                    });
                }
                results.wait(tile, index * ROWS, panel);
            }
        }
        if !tile.outputs.is_null() {
            amx::release();
        }
        results.leave_rows(0, ROWS);
        if results.past_caches {
            amx::drain();
        }
    }
}

/// The products of the first steps, and what these send.
#[inline(always)]
unsafe fn begin<const GROUP: usize, const BIASED: bool>(first: Operands, between: *mut Between) {
    let turns = const { turns(GROUP) };
    // SAFETY: passed on.
    unsafe {
        each_turn!(K, {
            if K < turns {
                product::<GROUP, BIASED>(first.group::<GROUP>(K), K);
                if K + turns / 2 >= turns {
                    send(K - turns / 2, between);
                }
            }
        });
    }
}

/// What is multiplied behind a block's panel: the next panel, or the next block.
#[inline(always)]
unsafe fn behind(tile: &Tile, gathered: *mut [Block; 2], (index, panel): (usize, usize)) -> Option<Operands> {
    let (index, panel) = if panel + 1 < tile.panels { (index, panel + 1) } else { (index + 1, 0) };
    // SAFETY: the block is one of the tile's.
    (index * ROWS < tile.count).then(|| unsafe {
        Operands { rows: block_at(tile, gathered, index).cast(), values: tile.values.add(panel * tile.stride) }
    })
}

/// Sixteen rows and a panel's values, from a group on.
#[derive(Clone, Copy)]
struct Operands {
    rows: *const u8,
    values: *const u8,
}

impl Operands {
    /// From so many groups further on; those of less than 64 columns lie side by side in lines of rows.
    #[inline(always)]
    fn group<const GROUP: usize>(self, groups: usize) -> Operands {
        let at = groups * GROUP;
        let rows = self.rows.wrapping_add(at / 64 * 64 * ROWS + at % 64);
        Operands { rows, values: self.values.wrapping_add(at * PANEL_ROWS) }
    }
}

/// Results of sixteen rows and a panel that have yet to leave: at once they would hold up what follows.
struct Results {
    from: *const f32,
    /// A pointer for each row, and the columns of the panel.
    outputs: *const *mut f32,
    column: usize,
    count: usize,
    past_caches: bool,
}

impl Results {
    /// None yet.
    fn new(tile: &Tile, from: *const f32) -> Results {
        Results { from, outputs: std::ptr::null(), column: 0, count: 0, past_caches: past_caches(tile) }
    }

    /// The next ones are there, if these rows end here.
    #[inline(always)]
    fn wait(&mut self, tile: &Tile, first: usize, panel: usize) {
        if !tile.outputs.is_null() {
            (self.outputs, self.column) = (tile.outputs.wrapping_add(first), panel * PANEL_ROWS);
            self.count = ROWS.min(tile.count - first);
        }
    }

    /// Write those of a step of the next panel: all have left before that ends.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn leave<const GROUP: usize>(&self, step: usize) {
        if self.count > 0 {
            // SAFETY: passed on.
            unsafe { self.leave_rows(step * (GROUP / 16), (step + 1) * (GROUP / 16)) }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn leave_rows(&self, first: usize, end: usize) {
        for row in first..end {
            if row < self.count {
                // SAFETY: the row has a result and an output.
                unsafe {
                    let to = self.outputs.add(row).read().add(self.column);
                    amx::write(to, _mm512_loadu_ps(self.from.add(row * PANEL_ROWS)), self.past_caches);
                }
            }
        }
    }
}

/// What comes from memory while a slab is multiplied: the next one, some lines at a time.
#[derive(Clone, Copy)]
struct Ahead {
    next: *const u8,
    /// Lines that are asked for together.
    together: usize,
    left: usize,
}

impl Ahead {
    /// In so many times.
    fn of(tile: &Tile, times: usize) -> Ahead {
        let lines = tile.ahead_bytes.div_ceil(64);
        Ahead { next: tile.ahead, together: lines.div_ceil(times), left: lines }
    }

    #[inline(always)]
    fn ask(&mut self) {
        let count = self.together.min(self.left);
        self.left -= count;
        for _ in 0..count {
            // SAFETY: a hint; any address will do.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(self.next.cast()) };
            self.next = self.next.wrapping_add(64);
        }
    }
}

/// Outputs lie far apart and are written at the end of a block. [`whole`], whose blocks take half as long, is slower for
/// asking, whenever it asks.
#[inline(always)]
unsafe fn ask_outputs(tile: &Tile, index: usize) {
    let end = if tile.outputs.is_null() || past_caches(tile) { 0 } else { tile.count.min((index + 1) * ROWS) };
    for row in index * ROWS..end {
        for panel in 0..tile.panels {
            // SAFETY: the output is there; a hint is all that its place is for.
            unsafe {
                let to = place(tile, row, panel);
                asm!("prefetchw byte ptr [{to}]", to = in(reg) to, options(nostack, preserves_flags, readonly));
            }
        }
    }
}

/// Where a block of sixteen rows is, or will be: it may be asked for before it is brought.
#[inline(always)]
unsafe fn block_at(tile: &Tile, gathered: *mut [Block; 2], index: usize) -> *const Block {
    match tile.blocks.is_null() {
        // SAFETY: one of the two.
        true => unsafe { &raw const (*gathered)[index % 2] },
        false => tile.blocks.wrapping_add(index * tile.block_stride),
    }
}

/// Bring a block of sixteen rows, those beyond the last as that, unless it came so. Tiles could read rows where they lie,
/// but from the second cache they would wait for each line.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn bring(tile: &Tile, index: usize, gathered: *mut [Block; 2]) {
    if !tile.blocks.is_null() {
        return;
    }
    for lane in 0..if tile.count <= HALF { HALF } else { ROWS } {
        // SAFETY: a slab of each row is there, padded to 256 columns, with its scale and its sums.
        unsafe {
            let record = tile.rows.add((index * ROWS + lane).min(tile.count - 1)).read();
            let (sums, scale) = (record.add(tile.finest_sums_at).cast(), record.add(tile.scale_at).cast());
            write_row(&raw mut (*gathered)[index % 2], lane, record.add(tile.values_at), sums, scale);
        }
    }
}

/// Write a row of a block: its values, its negated sums of 16 columns and its scale.
///
/// # Safety
/// The tier is AMX; pointers are valid for a slab, 16 sums and a scale, and nobody else has this row of the block.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub unsafe fn write_row(block: *mut Block, lane: usize, values: *const u8, sums: *const i32, scale: *const f32) {
    // SAFETY: the caller's promise.
    unsafe {
        for line in 0..SLAB_COLUMNS / 64 {
            let values = _mm512_loadu_si512(values.add(line * 64).cast());
            _mm512_store_si512((&raw mut (*block).values[line][lane]).cast(), values);
        }
        let sums = _mm512_loadu_si512(sums.cast());
        let low = _mm512_and_si512(sums, _mm512_set1_epi32((1 << Block::PIECE_BITS) - 1));
        let high = _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_srai_epi32::<{ Block::PIECE_BITS }>(sums)));
        let low = _mm512_castps_si512(_mm512_cvtepi32_ps(low));
        let pieces = _mm512_or_si512(_mm512_srli_epi32::<16>(high), low);
        _mm512_store_si512((&raw mut (*block).pieces[lane]).cast(), pieces);
        // In all lanes of a group its sum, then one lane of each.
        let sums = _mm512_add_epi32(sums, _mm512_shuffle_epi32::<0b10_11_00_01>(sums));
        let sums_64 = _mm512_add_epi32(sums, _mm512_shuffle_epi32::<0b01_00_11_10>(sums));
        let sums_128 = _mm512_add_epi32(sums_64, _mm512_shuffle_i32x4::<0b10_11_00_01>(sums_64, sums_64));
        let order = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 0, 0, 0, 0);
        let floats = _mm512_permutex2var_epi32(sums, order, sums_64);
        let order = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0);
        let floats = _mm512_mask_permutexvar_epi32(floats, 0b0011 << Block::SUMS_128, order, sums_128);
        _mm512_store_ps((&raw mut (*block).floats[lane]).cast(), _mm512_cvtepi32_ps(floats));
        (*block).scales[lane] = scale.read();
    }
}

/// Whether outputs go past the caches.
fn past_caches(tile: &Tile) -> bool {
    !tile.outputs.is_null() && tile.count >= PAST_CACHES_ROWS
}

/// Where the totals of a row and a panel go.
#[inline(always)]
unsafe fn place(tile: &Tile, row: usize, panel: usize) -> *mut f32 {
    // SAFETY: totals and outputs of all rows are there.
    unsafe {
        match tile.outputs.is_null() {
            true => tile.totals.add((row * tile.panels + panel) * PANEL_ROWS),
            false => tile.outputs.add(row).read().add(panel * PANEL_ROWS),
        }
    }
}

/// The integers of a group of sixteen rows and one panel, in the tile of a turn. `UNSIGNED`: what the values are.
#[inline(always)]
unsafe fn product<const GROUP: usize, const UNSIGNED: bool>(operands: Operands, turn: usize) {
    let Operands { rows, values } = operands;
    macro_rules! tiles {
        ($this:literal, $product:literal, $($more:expr),*) => {
            asm!(
                "tileloadd tmm6, [{values} + {line}]",
                "tileloadd tmm4, [{rows} + {line}]",
                concat!("tilezero ", $this),
                concat!($product, " ", $this, ", tmm4, tmm6"),
                $($more,)*
                rows = in(reg) rows, values = in(reg) values, line = in(reg) 64usize, out("tmm0") _, out("tmm1") _,
                out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm6") _, options(nostack, preserves_flags, readonly)
            )
        };
    }
    macro_rules! of {
        ($this:literal) => {
            match (GROUP, UNSIGNED) {
                (128, _) => tiles!(
                    $this,
                    "tdpbsud",
                    "tileloadd tmm6, [{values} + {line} + 1024]",
                    "tileloadd tmm4, [{rows} + {line} + 1024]",
                    concat!("tdpbsud ", $this, ", tmm4, tmm6")
                ),
                (_, true) => tiles!($this, "tdpbsud",),
                (_, false) => tiles!($this, "tdpbssd",),
            }
        };
    }
    // SAFETY: the caller has a group of sixteen rows and of a panel.
    unsafe {
        match turn {
            0 => of!("tmm0"),
            1 => of!("tmm1"),
            2 => of!("tmm2"),
            _ => of!("tmm3"),
        }
    }
}

/// The integers of a turn go to memory.
#[inline(always)]
unsafe fn send(turn: usize, between: *mut Between) {
    // SAFETY: there is room for the integers of all turns.
    unsafe {
        let integers = (&raw mut (*between).integers[turn]).cast::<i32>();
        macro_rules! tile {
            ($tile:literal) => {
                asm!(concat!("tilestored [{integers} + {line}], ", $tile), integers = in(reg) integers,
                    line = in(reg) 64usize, options(nostack, preserves_flags))
            };
        }
        match turn {
            0 => tile!("tmm0"),
            1 => tile!("tmm1"),
            2 => tile!("tmm2"),
            _ => tile!("tmm3"),
        }
    }
}

/// Add integers times scales to the sums: compilers would load all of them first, and spill.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn scale_integers<const HEIGHT: usize>(integers: *const i32, scale: __m512, sums: &mut [__m512; ROWS]) {
    macro_rules! two {
        ($a:literal, $b:literal) => {
            // SAFETY: the caller has the integers of all rows.
            unsafe {
                if $a < HEIGHT {
                asm!(
                    concat!("vcvtdq2ps zmm30, zmmword ptr [{integers} + 64 * ", $a, "]"),
                    concat!("vcvtdq2ps zmm31, zmmword ptr [{integers} + 64 * ", $b, "]"),
                    "vfmadd231ps {x}, zmm30, {scale}",
                    "vfmadd231ps {y}, zmm31, {scale}",
                    integers = in(reg) integers, scale = in(zmm_reg) scale, x = inout(zmm_reg) sums[$a],
                    y = inout(zmm_reg) sums[$b], out("zmm30") _, out("zmm31") _,
                    options(nostack, preserves_flags, readonly)
                )
                }
            }
        };
    }
    two!(0, 1);
    two!(2, 3);
    two!(4, 5);
    two!(6, 7);
    two!(8, 9);
    two!(10, 11);
    two!(12, 13);
    two!(14, 15);
}
