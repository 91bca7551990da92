//! Element and block types of all formats, and views of tensors in mapped files.

use std::fmt;

use crate::Bytes;

macro_rules! types {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $block:literal, $bytes:literal, $safetensors:expr, $gguf:expr;)*) => {
        /// Type of a tensor's elements, or of its blocks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum TensorType { $($(#[$doc])* $variant,)* }

        impl TensorType {
            /// All types.
            pub const ALL: &'static [TensorType] = &[$(TensorType::$variant,)*];

            /// Name for people.
            pub fn name(self) -> &'static str { match self { $(TensorType::$variant => $name,)* } }

            /// Elements of a block (1 for plain types).
            pub fn block_elements(self) -> usize { match self { $(TensorType::$variant => $block,)* } }

            /// Bytes of a block.
            pub fn block_bytes(self) -> usize { match self { $(TensorType::$variant => $bytes,)* } }

            /// Name in safetensors headers.
            pub fn safetensors_name(self) -> Option<&'static str> { match self { $(TensorType::$variant => $safetensors,)* } }

            /// Number in GGUF files.
            pub fn gguf_id(self) -> Option<u32> { match self { $(TensorType::$variant => $gguf,)* } }
        }
    };
}

types! {
    /// One byte, 0 or 1.
    Bool, "bool", 1, 1, Some("BOOL"), None;
    /// Unsigned, 8 bits.
    U8, "u8", 1, 1, Some("U8"), None;
    /// Signed, 8 bits.
    I8, "i8", 1, 1, Some("I8"), Some(24);
    /// 4 exponent and 3 mantissa bits.
    F8E4M3, "f8_e4m3", 1, 1, Some("F8_E4M3"), None;
    /// 5 exponent and 2 mantissa bits.
    F8E5M2, "f8_e5m2", 1, 1, Some("F8_E5M2"), None;
    /// An exponent.
    F8E8M0, "f8_e8m0", 1, 1, Some("F8_E8M0"), None;
    /// 4 exponent and 3 mantissa bits, bias 8, no negative zero.
    F8E4M3Fnuz, "f8_e4m3fnuz", 1, 1, Some("F8_E4M3FNUZ"), None;
    /// 5 exponent and 2 mantissa bits, bias 16, no negative zero.
    F8E5M2Fnuz, "f8_e5m2fnuz", 1, 1, Some("F8_E5M2FNUZ"), None;
    /// Two e2m1 values a byte.
    F4, "f4", 2, 1, Some("F4"), None;
    /// Four values in three bytes.
    F6E2M3, "f6_e2m3", 4, 3, Some("F6_E2M3"), None;
    /// Four values in three bytes.
    F6E3M2, "f6_e3m2", 4, 3, Some("F6_E3M2"), None;
    /// Unsigned, 16 bits.
    U16, "u16", 1, 2, Some("U16"), None;
    /// Signed, 16 bits.
    I16, "i16", 1, 2, Some("I16"), Some(25);
    /// Half precision.
    F16, "f16", 1, 2, Some("F16"), Some(1);
    /// The upper half of an f32.
    Bf16, "bf16", 1, 2, Some("BF16"), Some(30);
    /// Unsigned, 32 bits.
    U32, "u32", 1, 4, Some("U32"), None;
    /// Signed, 32 bits.
    I32, "i32", 1, 4, Some("I32"), Some(26);
    /// Single precision.
    F32, "f32", 1, 4, Some("F32"), Some(0);
    /// Unsigned, 64 bits.
    U64, "u64", 1, 8, Some("U64"), None;
    /// Signed, 64 bits.
    I64, "i64", 1, 8, Some("I64"), Some(27);
    /// Double precision.
    F64, "f64", 1, 8, Some("F64"), Some(28);
    /// Two f32.
    C64, "c64", 1, 8, Some("C64"), None;
    /// GGUF block formats, described in `olivine-kernels`' `quant`.
    Q4_0, "q4_0", 32, 18, None, Some(2);
    #[allow(missing_docs)] Q4_1, "q4_1", 32, 20, None, Some(3);
    #[allow(missing_docs)] Q5_0, "q5_0", 32, 22, None, Some(6);
    #[allow(missing_docs)] Q5_1, "q5_1", 32, 24, None, Some(7);
    #[allow(missing_docs)] Q8_0, "q8_0", 32, 34, None, Some(8);
    #[allow(missing_docs)] Q2K, "q2_k", 256, 84, None, Some(10);
    #[allow(missing_docs)] Q3K, "q3_k", 256, 110, None, Some(11);
    #[allow(missing_docs)] Q4K, "q4_k", 256, 144, None, Some(12);
    #[allow(missing_docs)] Q5K, "q5_k", 256, 176, None, Some(13);
    #[allow(missing_docs)] Q6K, "q6_k", 256, 210, None, Some(14);
    #[allow(missing_docs)] Iq2Xxs, "iq2_xxs", 256, 66, None, Some(16);
    #[allow(missing_docs)] Iq2Xs, "iq2_xs", 256, 74, None, Some(17);
    #[allow(missing_docs)] Iq3Xxs, "iq3_xxs", 256, 98, None, Some(18);
    #[allow(missing_docs)] Iq1S, "iq1_s", 256, 50, None, Some(19);
    #[allow(missing_docs)] Iq4Nl, "iq4_nl", 32, 18, None, Some(20);
    #[allow(missing_docs)] Iq3S, "iq3_s", 256, 110, None, Some(21);
    #[allow(missing_docs)] Iq2S, "iq2_s", 256, 82, None, Some(22);
    #[allow(missing_docs)] Iq4Xs, "iq4_xs", 256, 136, None, Some(23);
    #[allow(missing_docs)] Iq1M, "iq1_m", 256, 56, None, Some(29);
    #[allow(missing_docs)] Mxfp4, "mxfp4", 32, 17, None, Some(39);
    #[allow(missing_docs)] Q8_1, "q8_1", 32, 36, None, Some(9);
    #[allow(missing_docs)] Q8K, "q8_k", 256, 292, None, Some(15);
    #[allow(missing_docs)] Tq1_0, "tq1_0", 256, 54, None, Some(34);
    #[allow(missing_docs)] Tq2_0, "tq2_0", 256, 66, None, Some(35);
    #[allow(missing_docs)] GgufNvfp4, "nvfp4", 64, 36, None, Some(40);
    #[allow(missing_docs)] Q1_0, "q1_0", 128, 18, None, Some(41);
}

impl TensorType {
    /// The type with a safetensors name.
    pub fn from_safetensors(name: &str) -> Option<TensorType> {
        TensorType::ALL.iter().copied().find(|t| t.safetensors_name() == Some(name))
    }

    /// The type with a GGUF number.
    pub fn from_gguf(id: u32) -> Option<TensorType> {
        TensorType::ALL.iter().copied().find(|t| t.gguf_id() == Some(id))
    }

    /// Bytes of a tensor of `shape` (outermost first), or `None` when they overflow or are not whole blocks: of each row
    /// for GGUF's types, of the whole tensor for the sub-byte types of safetensors.
    pub fn bytes(self, shape: &[usize]) -> Option<usize> {
        // An empty dimension makes the tensor empty, whatever the others are.
        let elements =
            if shape.contains(&0) { 0 } else { shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim))? };
        let run = if self.gguf_id().is_some() { shape.last().copied().unwrap_or(1) } else { elements };
        let whole = run.is_multiple_of(self.block_elements());
        let bytes = whole.then_some(elements / self.block_elements())?.checked_mul(self.block_bytes())?;
        // No slice is longer, and the sum of two never wraps.
        (bytes <= isize::MAX as usize).then_some(bytes)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A tensor in a mapped file.
#[derive(Clone, Debug)]
pub struct TensorView {
    /// Its name.
    pub name: String,
    /// Type of its elements or blocks.
    pub dtype: TensorType,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: Bytes,
}
