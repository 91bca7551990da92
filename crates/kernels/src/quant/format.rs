//! The list of formats: names, sizes, codecs. A new format is a variant of [`Format`] and a line of [`FORMATS`].

use super::{Decode, Encode, QuantError, affine, gguf_iq, gguf_k, gguf_legacy, mx};
use std::fmt;

/// A quantized storage format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// MLX affine: `w = scale * q + bias`.
    Affine {
        /// Bits of a value: 2, 3, 4, 5, 6 or 8.
        bits: u8,
        /// Values that share a scale and a bias: 32, 64 or 128.
        group: u8,
    },
    /// OCP MX: 32 e2m1 values with one e8m0 scale; MLX storage (packed words and a separate scales tensor).
    Mxfp4,
    /// OCP MX: 32 e4m3 values with one e8m0 scale; MLX storage.
    Mxfp8,
    /// 16 e2m1 values with one e4m3 scale, and an optional f32 scale of the whole tensor; MLX storage.
    Nvfp4,
    /// GGUF: 32 values of 4 bits, `d * (q - 8)`.
    Q4_0,
    /// GGUF: 32 values of 4 bits, `d * q + m`.
    Q4_1,
    /// GGUF: 32 values of 5 bits, `d * (q - 16)`.
    Q5_0,
    /// GGUF: 32 values of 5 bits, `d * q + m`.
    Q5_1,
    /// GGUF: 32 values of 8 bits, `d * q`.
    Q8_0,
    /// GGUF: 256 values of 2 bits, scales and minima of 4 bits for each 16.
    Q2K,
    /// GGUF: 256 values of 3 bits, scales of 6 bits for each 16.
    Q3K,
    /// GGUF: 256 values of 4 bits, scales and minima of 6 bits for each 32.
    Q4K,
    /// GGUF: 256 values of 5 bits, scales and minima of 6 bits for each 32.
    Q5K,
    /// GGUF: 256 values of 6 bits, scales of 8 bits for each 16.
    Q6K,
    /// OCP MXFP4 in GGUF's block layout (scale byte, then 16 bytes of nibbles).
    GgufMxfp4,
    /// GGUF: 32 values of 4 bits from a table of 16.
    Iq4Nl,
    /// GGUF: 256 values of 4 bits from a table of 16, scales of 6 bits for each 32.
    Iq4Xs,
    /// GGUF: 256 values, groups of 8 from a lattice of 256 points.
    Iq2Xxs,
    /// GGUF: 256 values, groups of 8 from a lattice of 512 points.
    Iq2Xs,
    /// GGUF: 256 values, groups of 8 from a lattice of 1024 points.
    Iq2S,
    /// GGUF: 256 values, groups of 4 from a lattice of 256 points.
    Iq3Xxs,
    /// GGUF: 256 values, groups of 4 from a lattice of 512 points.
    Iq3S,
    /// GGUF: 256 ternary values, groups of 8 from a lattice of 2048 points.
    Iq1S,
    /// As [`Format::Iq1S`] with finer scales.
    Iq1M,
}

/// Element type of the separate scales (and biases) of [`Format::Affine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScaleType {
    /// 32-bit float.
    F32,
    /// IEEE half float.
    F16,
    /// Brain float.
    Bf16,
}

/// What there is to know about a format.
#[derive(Clone, Copy, Debug)]
pub struct FormatInfo {
    /// The format.
    pub format: Format,
    /// Its name in options and messages.
    pub name: &'static str,
    /// Storage of a value in bits, scales included (16-bit ones for affine).
    pub bits_per_weight: f32,
    /// Values along a row that one block holds.
    pub block_columns: usize,
    /// Bytes of one block in `Stored::data`; separate scales come on top.
    pub block_bytes: usize,
    /// GGUF's number of the type.
    pub gguf_type_id: Option<u32>,
    /// Decoder of one row.
    pub decode: Decode,
    /// Encoder of one row.
    pub encode: Option<Encode>,
}

/// Every format, MLX's first, then GGUF's by their numbers.
pub static FORMATS: [FormatInfo; 41] = [
    affine(2, 32, "affine2-g32", affine::decode::<2>, affine::encode::<2>),
    affine(2, 64, "affine2-g64", affine::decode::<2>, affine::encode::<2>),
    affine(2, 128, "affine2-g128", affine::decode::<2>, affine::encode::<2>),
    affine(3, 32, "affine3-g32", affine::decode::<3>, affine::encode::<3>),
    affine(3, 64, "affine3-g64", affine::decode::<3>, affine::encode::<3>),
    affine(3, 128, "affine3-g128", affine::decode::<3>, affine::encode::<3>),
    affine(4, 32, "affine4-g32", affine::decode::<4>, affine::encode::<4>),
    affine(4, 64, "affine4-g64", affine::decode::<4>, affine::encode::<4>),
    affine(4, 128, "affine4-g128", affine::decode::<4>, affine::encode::<4>),
    affine(5, 32, "affine5-g32", affine::decode::<5>, affine::encode::<5>),
    affine(5, 64, "affine5-g64", affine::decode::<5>, affine::encode::<5>),
    affine(5, 128, "affine5-g128", affine::decode::<5>, affine::encode::<5>),
    affine(6, 32, "affine6-g32", affine::decode::<6>, affine::encode::<6>),
    affine(6, 64, "affine6-g64", affine::decode::<6>, affine::encode::<6>),
    affine(6, 128, "affine6-g128", affine::decode::<6>, affine::encode::<6>),
    affine(8, 32, "affine8-g32", affine::decode::<8>, affine::encode::<8>),
    affine(8, 64, "affine8-g64", affine::decode::<8>, affine::encode::<8>),
    affine(8, 128, "affine8-g128", affine::decode::<8>, affine::encode::<8>),
    small_float(Format::Mxfp4, "mxfp4", 32, 16, mx::decode_mxfp4, mx::encode_mxfp4),
    small_float(Format::Mxfp8, "mxfp8", 32, 32, mx::decode_mxfp8, mx::encode_mxfp8),
    small_float(Format::Nvfp4, "nvfp4", 16, 8, mx::decode_nvfp4, mx::encode_nvfp4),
    gguf(2, Format::Q4_0, "q4_0", 32, 18, gguf_legacy::decode_q4_0, Some(gguf_legacy::encode_q4_0)),
    gguf(3, Format::Q4_1, "q4_1", 32, 20, gguf_legacy::decode_q4_1, Some(gguf_legacy::encode_q4_1)),
    gguf(6, Format::Q5_0, "q5_0", 32, 22, gguf_legacy::decode_q5_0, Some(gguf_legacy::encode_q5_0)),
    gguf(7, Format::Q5_1, "q5_1", 32, 24, gguf_legacy::decode_q5_1, Some(gguf_legacy::encode_q5_1)),
    gguf(8, Format::Q8_0, "q8_0", 32, 34, gguf_legacy::decode_q8_0, Some(gguf_legacy::encode_q8_0)),
    gguf(10, Format::Q2K, "q2_k", 256, 84, gguf_k::decode_q2_k, Some(gguf_k::encode_q2_k)),
    gguf(11, Format::Q3K, "q3_k", 256, 110, gguf_k::decode_q3_k, Some(gguf_k::encode_q3_k)),
    gguf(12, Format::Q4K, "q4_k", 256, 144, gguf_k::decode_q4_k, Some(gguf_k::encode_q4_k)),
    gguf(13, Format::Q5K, "q5_k", 256, 176, gguf_k::decode_q5_k, Some(gguf_k::encode_q5_k)),
    gguf(14, Format::Q6K, "q6_k", 256, 210, gguf_k::decode_q6_k, Some(gguf_k::encode_q6_k)),
    gguf(16, Format::Iq2Xxs, "iq2_xxs", 256, 66, gguf_iq::decode::<gguf_iq::Iq2Xxs>, None),
    gguf(17, Format::Iq2Xs, "iq2_xs", 256, 74, gguf_iq::decode::<gguf_iq::Iq2Xs>, None),
    gguf(18, Format::Iq3Xxs, "iq3_xxs", 256, 98, gguf_iq::decode::<gguf_iq::Iq3Xxs>, None),
    gguf(19, Format::Iq1S, "iq1_s", 256, 50, gguf_iq::decode::<gguf_iq::Iq1S>, None),
    gguf(20, Format::Iq4Nl, "iq4_nl", 32, 18, gguf_iq::decode_iq4_nl, None),
    gguf(21, Format::Iq3S, "iq3_s", 256, 110, gguf_iq::decode::<gguf_iq::Iq3S>, None),
    gguf(22, Format::Iq2S, "iq2_s", 256, 82, gguf_iq::decode::<gguf_iq::Iq2S>, None),
    gguf(23, Format::Iq4Xs, "iq4_xs", 256, 136, gguf_iq::decode_iq4_xs, None),
    gguf(29, Format::Iq1M, "iq1_m", 256, 56, gguf_iq::decode::<gguf_iq::Iq1M>, None),
    gguf(39, Format::GgufMxfp4, "gguf-mxfp4", 32, 17, gguf_legacy::decode_mxfp4, Some(gguf_legacy::encode_mxfp4)),
];

impl Format {
    /// The format of a name of [`FORMATS`], in any case; `affine4` means groups of 64.
    pub fn parse(name: &str) -> Option<Format> {
        let name = name.to_ascii_lowercase();
        let full = if name.starts_with("affine") && !name.contains('-') { format!("{name}-g64") } else { name };
        FORMATS.iter().find(|info| info.name == full).map(|info| info.format)
    }

    /// The entry of [`FORMATS`], or an error for an affine format that does not exist.
    pub fn try_info(self) -> Result<&'static FormatInfo, QuantError> {
        FORMATS.iter().find(|info| info.format == self).ok_or_else(|| match self {
            Format::Affine { bits, group } => QuantError::NoSuchAffine { bits, group },
            other => unreachable!("{other:?} is missing in FORMATS"),
        })
    }

    /// The entry of [`FORMATS`]. Panics for an affine format that does not exist.
    pub fn info(self) -> &'static FormatInfo {
        self.try_info().unwrap_or_else(|error| panic!("[quant] {error}"))
    }

    /// The name in options and messages.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// Values along a row that share a block: the columns of a matrix are a multiple of it.
    pub fn block_columns(self) -> usize {
        self.info().block_columns
    }

    /// Bytes of one block in `Stored::data`; separate scales come on top.
    pub fn block_bytes(self) -> usize {
        self.info().block_bytes
    }

    /// Storage of a value in bits, scales included (16-bit ones for affine).
    pub fn bits_per_weight(self) -> f32 {
        self.info().bits_per_weight
    }

    /// Bytes of one separate scale; 0 where scales lie inside the blocks.
    pub fn scale_bytes(self, scale_type: ScaleType) -> usize {
        match self {
            Format::Affine { .. } => scale_type.bytes(),
            Format::Mxfp4 | Format::Mxfp8 | Format::Nvfp4 => 1,
            _ => 0,
        }
    }

    /// Whether this is a GGUF block format.
    pub fn is_gguf(self) -> bool {
        self.gguf_type_id().is_some()
    }

    /// GGUF's number of the type, for its block formats.
    pub fn gguf_type_id(self) -> Option<u32> {
        self.info().gguf_type_id
    }

    /// The block format of a GGUF type number; none for float and integer types and unknown numbers.
    pub fn from_gguf_type(id: u32) -> Option<Format> {
        FORMATS.iter().find(|info| info.gguf_type_id == Some(id)).map(|info| info.format)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_info() {
            Ok(info) => formatter.write_str(info.name),
            Err(_) => write!(formatter, "{self:?}"),
        }
    }
}

impl ScaleType {
    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            ScaleType::F32 => 4,
            ScaleType::F16 | ScaleType::Bf16 => 2,
        }
    }
}

const fn affine(bits: u8, group: u8, name: &'static str, decode: Decode, encode: Encode) -> FormatInfo {
    FormatInfo {
        format: Format::Affine { bits, group },
        name,
        bits_per_weight: bits as f32 + 32.0 / group as f32,
        block_columns: group as usize,
        block_bytes: group as usize / 8 * bits as usize,
        gguf_type_id: None,
        decode,
        encode: Some(encode),
    }
}

const fn small_float(
    format: Format,
    name: &'static str,
    block_columns: usize,
    block_bytes: usize,
    decode: Decode,
    encode: Encode,
) -> FormatInfo {
    FormatInfo {
        format,
        name,
        bits_per_weight: (block_bytes + 1) as f32 * 8.0 / block_columns as f32,
        block_columns,
        block_bytes,
        gguf_type_id: None,
        decode,
        encode: Some(encode),
    }
}

const fn gguf(
    id: u32,
    format: Format,
    name: &'static str,
    block_columns: usize,
    block_bytes: usize,
    decode: Decode,
    encode: Option<Encode>,
) -> FormatInfo {
    FormatInfo {
        format,
        name,
        bits_per_weight: block_bytes as f32 * 8.0 / block_columns as f32,
        block_columns,
        block_bytes,
        gguf_type_id: Some(id),
        decode,
        encode,
    }
}
