//! How a packed matrix lies in memory.
//!
//! A panel holds 16 output rows. Along the columns it is cut into slabs of 256 (the last one may be shorter), each a
//! header with the scales of its groups, then the values. Values come in units of 32 columns: bit planes of 64-byte
//! registers in which every output row owns 4 bytes, so that after a shift and a mask a register holds 16 rows x 4
//! columns of one step, the shape that 4-way dot products want.
//!
//! | plane | registers a unit | byte `4 z + j` of a row, register `z` |
//! |---|---|---|
//! | 8 bits | 8 | column `4 z + j` |
//! | 4 bits | 4 | column `4 z + j` low, `16 + 4 z + j` high |
//! | 2 bits | 2 | columns `8 f + 4 z + j` at bit `2 f` |
//! | 1 bit | 1 | columns `4 f + j` at bit `f` |
//!
//! 3, 5 and 6 bits are a wide plane of the low bits followed by a narrow plane of the high ones.
//! Values of the lattice formats are numbers of points and signs, see [`super::lattice`].
//! Invariant: a value is `scale * (q - offset)` or `scale * q + bias`, `q` an unsigned byte; columns beyond the
//! matrix have scale and bias zero. Read next: [`super::pack`] writes it, [`super::unpack`] reads it.

use super::lattice::Kind;
use super::sizes::{PANEL_ROWS, SLAB_COLUMNS, UNIT_COLUMNS};
use crate::quant::{Format, QuantError, ScaleType};

/// How values are stored and turned into unsigned bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// One plane of 2 bits.
    Bits2,
    /// Planes of 2 and 1 bits.
    Bits3,
    /// One plane of 4 bits.
    Bits4,
    /// Planes of 4 and 1 bits.
    Bits5,
    /// Planes of 4 and 2 bits.
    Bits6,
    /// Bytes.
    Bits8,
    /// 4 bits that index [`E2M1_TABLE`].
    E2m1,
    /// 4 bits that index [`IQ4_TABLE`].
    Iq4,
    /// Points of a lattice.
    Lattice(Kind),
}

/// Twice the e2m1 values, plus 16.
pub const E2M1_TABLE: [u8; 16] = [16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4];
/// GGUF's table of non-linear 4-bit values, plus 128.
pub const IQ4_TABLE: [u8; 16] = [1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241];

impl Values {
    /// Bytes of a unit of 16 rows x 32 columns.
    pub fn unit_bytes(self) -> usize {
        64 * match self {
            Values::Bits2 => 2,
            Values::Bits3 => 3,
            Values::Bits4 | Values::E2m1 | Values::Iq4 => 4,
            Values::Bits5 => 5,
            Values::Bits6 => 6,
            Values::Bits8 => 8,
            Values::Lattice(kind) => return kind.unit_bytes(),
        }
    }

    /// Whether all unsigned bytes are below 128.
    pub fn below_128(self) -> bool {
        !matches!(self, Values::Bits8 | Values::Iq4 | Values::Lattice(_))
    }

    /// The table behind the codes, if they are not the values themselves.
    pub fn table(self) -> Option<&'static [u8; 16]> {
        match self {
            Values::E2m1 => Some(&E2M1_TABLE),
            Values::Iq4 => Some(&IQ4_TABLE),
            _ => None,
        }
    }
}

/// The header of a slab, each field an array over the 16 rows. `n` is the number of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scales {
    /// `n` scales.
    Plain(ScaleType),
    /// `n` times a scale, then a bias.
    Biased(ScaleType),
    /// `n` e8m0 bytes for doubled values.
    E8m0,
    /// f32 factors, then `n` e4m3 bytes; for doubled values.
    E4m3,
    /// f16 `d`, then `n` signed bytes.
    Signed,
    /// f16 `d`, f16 `dmin`, `n` scale bytes, `n` minimum bytes.
    Minimum8,
    /// f16 `d`, f16 `dmin`, `n` bytes: scale low, minimum high.
    Minimum4,
    /// f16 `d`, then `n / 2` bytes with the 4-bit levels of two groups: `d * (2 level + 1) * eighths / 8`.
    Odd {
        /// Eighths of `d` that a step is.
        eighths: u8,
    },
}

impl Scales {
    /// Whether scales, and minimums, are integers times one float of a slab: sums over a whole slab can be integers.
    // AMX alone sums that way.
    #[allow(dead_code)]
    pub fn are_integers(self) -> bool {
        matches!(self, Scales::Signed | Scales::Minimum8 | Scales::Minimum4)
    }
}

/// Everything that reading a packed matrix needs to know about its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// How values are stored.
    pub values: Values,
    /// How scales are stored.
    pub scales: Scales,
    /// Columns that share a scale: 16, 32, 64 or 128.
    pub group: usize,
    /// Values are `scale * (q - (1 << offset_shift))`; formats with a bias have no offset.
    pub offset_shift: u32,
    /// Values are `scale * q + bias`.
    pub biased: bool,
}

impl Layout {
    /// The layout of a format, or none for those whose values are not small integers times a scale.
    pub fn of(format: Format, scale_type: ScaleType) -> Result<Option<Layout>, QuantError> {
        let offset =
            |values, scales, group, offset_shift| Layout { values, scales, group, offset_shift, biased: false };
        let biased = |values, scales, group| Layout { values, scales, group, offset_shift: 0, biased: true };
        let lattice =
            |kind: Kind| offset(Values::Lattice(kind), Scales::Odd { eighths: kind.eighths() }, kind.group(), 7);
        let half = Scales::Plain(ScaleType::F16);
        let half_biased = Scales::Biased(ScaleType::F16);
        Ok(Some(match format {
            Format::Affine { bits, group } => {
                let values = match bits {
                    2 => Values::Bits2,
                    3 => Values::Bits3,
                    4 => Values::Bits4,
                    5 => Values::Bits5,
                    6 => Values::Bits6,
                    8 => Values::Bits8,
                    _ => return Err(QuantError::NoSuchAffine { bits, group }),
                };
                biased(values, Scales::Biased(scale_type), group as usize)
            }
            Format::Mxfp4 | Format::GgufMxfp4 => offset(Values::E2m1, Scales::E8m0, 32, 4),
            Format::Nvfp4 => offset(Values::E2m1, Scales::E4m3, 16, 4),
            Format::Q4_0 => offset(Values::Bits4, half, 32, 3),
            Format::Q4_1 => biased(Values::Bits4, half_biased, 32),
            Format::Q5_0 => offset(Values::Bits5, half, 32, 4),
            Format::Q5_1 => biased(Values::Bits5, half_biased, 32),
            Format::Q8_0 => offset(Values::Bits8, half, 32, 7),
            Format::Q2K => biased(Values::Bits2, Scales::Minimum4, 16),
            Format::Q3K => offset(Values::Bits3, Scales::Signed, 16, 2),
            Format::Q4K => biased(Values::Bits4, Scales::Minimum8, 32),
            Format::Q5K => biased(Values::Bits5, Scales::Minimum8, 32),
            Format::Q6K => offset(Values::Bits6, Scales::Signed, 16, 5),
            Format::Iq4Nl => offset(Values::Iq4, half, 32, 7),
            Format::Iq4Xs => offset(Values::Iq4, Scales::Signed, 32, 7),
            Format::Iq2Xxs => lattice(Kind::Iq2Xxs),
            Format::Iq2Xs => lattice(Kind::Iq2Xs),
            Format::Iq2S => lattice(Kind::Iq2S),
            Format::Iq3Xxs => lattice(Kind::Iq3Xxs),
            Format::Iq3S => lattice(Kind::Iq3S),
            Format::Iq1S => lattice(Kind::Iq1S),
            Format::Iq1M => lattice(Kind::Iq1M),
            Format::Mxfp8 => return Ok(None),
        }))
    }

    /// Whether packing writes all that is read of a slab of full width, whatever was there.
    pub fn fills_slabs(&self) -> bool {
        !matches!(self.values, Values::Lattice(_))
    }

    /// Bytes of the header of a slab of `columns`, a multiple of 64; of lattices, whose units are no multiple of that
    /// either, of 32.
    pub fn header_bytes(&self, columns: usize) -> usize {
        let groups = columns.div_ceil(self.group);
        let row_bytes = match self.scales {
            Scales::Plain(scale_type) => groups * scale_bytes(scale_type),
            Scales::Biased(scale_type) => 2 * groups * scale_bytes(scale_type),
            Scales::E8m0 => groups,
            Scales::E4m3 => 4 + groups,
            Scales::Signed => 2 + groups,
            Scales::Minimum8 => 4 + 2 * groups,
            Scales::Minimum4 => 4 + groups,
            Scales::Odd { .. } => return PANEL_ROWS * (2 + groups / 2),
        };
        (PANEL_ROWS * row_bytes).next_multiple_of(64)
    }

    /// Bytes of a slab of `columns` (a multiple of 32).
    pub fn slab_bytes(&self, columns: usize) -> usize {
        self.header_bytes(columns) + columns / UNIT_COLUMNS * self.values.unit_bytes()
    }

    /// Bytes of a panel of `columns` (a multiple of 32).
    pub fn panel_bytes(&self, columns: usize) -> usize {
        columns / SLAB_COLUMNS * self.slab_bytes(SLAB_COLUMNS)
            + if columns.is_multiple_of(SLAB_COLUMNS) { 0 } else { self.slab_bytes(columns % SLAB_COLUMNS) }
    }
}

/// Bytes of one scale.
pub fn scale_bytes(scale_type: ScaleType) -> usize {
    match scale_type {
        ScaleType::F32 => 4,
        ScaleType::F16 | ScaleType::Bf16 => 2,
    }
}
