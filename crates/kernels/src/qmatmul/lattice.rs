//! Values of the lattice formats (IQ1, IQ2, IQ3) in a packed matrix: numbers of points, looked up each time they are
//! read. Packing the values as bytes instead would take three times their memory.
//!
//! A unit of 16 rows x 32 columns has these parts. A lookup is two points (2 x 8 or 2 x 4 columns) of all rows; its lane
//! `8 l + 4 h + i` is point `h` of row `4 l + i`, so that the two points of a row are in the same 128 bits.
//!
//! | part | bytes | what |
//! |---|---|---|
//! | points | 32 a lookup | byte of a lane: the low bits of the point's number |
//! | signs | 8 for 4 columns | bit `4 r + j` of word `z`: column `4 z + j` of row `r` is negative |
//! | shifts, instead of signs | 4 a lookup | bit of a lane: the ternary point is shifted down |
//! | high bits | 4 a lookup and bit | bit of a lane: bit 8 and so on of the point's number |
//!
//! Invariant: values become what those of every other format become, unsigned bytes with an offset of 128 and a scale a
//! group, exactly. Read next: [`crate::quant::gguf_iq`].

use super::sizes::{PANEL_ROWS, SLAB_COLUMNS, UNIT_COLUMNS};
use crate::quant::Row;
use crate::quant::gguf_iq::{Code, Iq1M, Iq1S, Iq2S, Iq2Xs, Iq2Xxs, Iq3S, Iq3Xxs, Lattice};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IQ2_XXS.
    Iq2Xxs,
    /// IQ2_XS.
    Iq2Xs,
    /// IQ2_S.
    Iq2S,
    /// IQ3_XXS.
    Iq3Xxs,
    /// IQ3_S.
    Iq3S,
    /// IQ1_S.
    Iq1S,
    /// IQ1_M.
    Iq1M,
}

/// `call::<L>(arguments)` for the lattice of a kind, whose types the caller has in scope.
macro_rules! with_lattice {
    ($kind:expr, $call:ident($($argument:expr),*)) => {
        match $kind {
            Kind::Iq2Xxs => $call::<Iq2Xxs>($($argument),*),
            Kind::Iq2Xs => $call::<Iq2Xs>($($argument),*),
            Kind::Iq2S => $call::<Iq2S>($($argument),*),
            Kind::Iq3Xxs => $call::<Iq3Xxs>($($argument),*),
            Kind::Iq3S => $call::<Iq3S>($($argument),*),
            Kind::Iq1S => $call::<Iq1S>($($argument),*),
            Kind::Iq1M => $call::<Iq1M>($($argument),*),
        }
    };
}

// AVX-512 alone takes it from here.
#[allow(unused_imports)]
pub(super) use with_lattice;

impl Kind {
    /// Bytes of a unit.
    pub fn unit_bytes(self) -> usize {
        fn bytes<L: Lattice>() -> usize {
            Places::of::<L>().bytes
        }
        with_lattice!(self, bytes())
    }

    /// Columns that share a scale.
    pub fn group(self) -> usize {
        fn group<L: Lattice>() -> usize {
            L::GROUP
        }
        with_lattice!(self, group())
    }

    /// See [`Lattice::EIGHTHS`].
    pub fn eighths(self) -> u8 {
        fn eighths<L: Lattice>() -> u8 {
            L::EIGHTHS
        }
        with_lattice!(self, eighths())
    }
}

/// Where the parts of a unit begin. Points are at its start.
#[derive(Clone, Copy)]
pub struct Places {
    /// Signs, or shifts.
    pub signs: usize,
    /// High bits: those of lookup `q` from `4 * q * HIGH_BITS` on.
    pub high: usize,
    /// The end.
    pub bytes: usize,
}

impl Places {
    /// Of a lattice.
    pub const fn of<L: Lattice>() -> Places {
        let lookups = UNIT_COLUMNS / (2 * L::POINT);
        let signs = 2 * PANEL_ROWS * lookups;
        let high = signs + if L::SIGNED { PANEL_ROWS * UNIT_COLUMNS / 8 } else { 4 * lookups };
        Places { signs, high, bytes: high + 4 * lookups * L::HIGH_BITS }
    }
}

/// Write super-block `slab` of each row. `header` and `values` hold zeros.
pub fn pack(kind: Kind, rows: &[Row<'_>], slab: usize, header: &mut [u8], values: &mut [u8]) {
    with_lattice!(kind, pack_rows(rows, slab, header, values))
}

fn pack_rows<L: Lattice>(rows: &[Row<'_>], slab: usize, header: &mut [u8], values: &mut [u8]) {
    let bytes = const { Places::of::<L>().bytes };
    for (lane, row) in rows.iter().enumerate() {
        let block = &row.data[slab * L::BYTES..][..L::BYTES];
        header[2 * lane..][..2].copy_from_slice(&L::factor(block).to_le_bytes());
        for group in 0..SLAB_COLUMNS / L::GROUP {
            header[(2 + group / 2) * PANEL_ROWS + lane] |= L::level(block, group) << (4 * (group % 2));
        }
        for (index, unit) in values.chunks_exact_mut(bytes).enumerate() {
            (0..4).for_each(|within| write_code::<L>(unit, lane, within, L::code(block, 4 * index + within)));
        }
    }
}

/// The 32 unsigned bytes of one row of a unit.
pub fn read_unit_row(kind: Kind, unit: &[u8], row: usize, out: &mut [u8; UNIT_COLUMNS]) {
    with_lattice!(kind, read_row(unit, row, out))
}

fn read_row<L: Lattice>(unit: &[u8], row: usize, out: &mut [u8; UNIT_COLUMNS]) {
    for (within, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        *out = L::integers(read_code::<L>(unit, row, within)).map(|integer| integer as u8 ^ 0x80);
    }
}

/// Number of a lookup and lane of point `point` of a row.
#[inline(always)]
fn lane_of(row: usize, point: usize) -> (usize, usize) {
    (point / 2, row / 4 * 8 + point % 2 * 4 + row % 4)
}

/// Store what eight columns from `8 * within` on of a row have.
#[inline(always)]
fn write_code<L: Lattice>(unit: &mut [u8], row: usize, within: usize, code: Code) {
    let places = const { Places::of::<L>() };
    let unit = &mut unit[..places.bytes];
    let points = 8 / L::POINT;
    for (i, point) in code.points.into_iter().enumerate().take(points) {
        let (lookup, lane) = lane_of(row, within * points + i);
        unit[2 * PANEL_ROWS * lookup + lane] = point as u8;
        let mut put = |word: usize, bit: u8| unit[word + lane / 8] |= (bit & 1) << (lane % 8);
        for bit in 0..L::HIGH_BITS {
            put(places.high + 4 * (lookup * L::HIGH_BITS + bit), (point >> (8 + bit)) as u8);
        }
        if !L::SIGNED {
            put(places.signs + 4 * lookup, code.signs);
        }
    }
    if L::SIGNED {
        for half in 0..2 {
            let at = places.signs + 8 * (2 * within + half) + row / 2;
            unit[at] |= (code.signs >> (4 * half) & 15) << (row % 2 * 4);
        }
    }
}

/// What [`write_code`] has stored.
#[inline(always)]
fn read_code<L: Lattice>(unit: &[u8], row: usize, within: usize) -> Code {
    let places = const { Places::of::<L>() };
    let unit = &unit[..places.bytes];
    let points = 8 / L::POINT;
    let mut code = Code::default();
    for (i, point) in code.points.iter_mut().enumerate().take(points) {
        let (lookup, lane) = lane_of(row, within * points + i);
        let get = |word: usize| unit[word + lane / 8] >> (lane % 8) & 1;
        *point = unit[2 * PANEL_ROWS * lookup + lane] as u16;
        for bit in 0..L::HIGH_BITS {
            *point |= (get(places.high + 4 * (lookup * L::HIGH_BITS + bit)) as u16) << (8 + bit);
        }
        if !L::SIGNED {
            code.signs = get(places.signs + 4 * lookup);
        }
    }
    if L::SIGNED {
        for half in 0..2 {
            let at = places.signs + 8 * (2 * within + half) + row / 2;
            code.signs |= (unit[at] >> (row % 2 * 4) & 15) << (4 * half);
        }
    }
    code
}
