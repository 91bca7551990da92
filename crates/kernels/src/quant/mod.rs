//! Quantized storage: which formats there are and how a matrix lies in a file.
//!
//! One file per format family with its block layout, scalar encoder and decoder.

/// A quantized storage format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// MLX affine: `w = scale * q + bias`, `bits` in {2,3,4,5,6,8}, `group` in {32,64,128}.
    Affine {
        bits: u8,
        group: u8,
    },
    /// OCP MX: 32 e2m1 values with one e8m0 scale; MLX storage (packed words and a separate scales tensor).
    Mxfp4,
    /// OCP MX: 32 e4m3 values with one e8m0 scale; MLX storage.
    Mxfp8,
    /// 16 e2m1 values with one e4m3 scale, and an optional f32 scale of the whole tensor; MLX storage.
    Nvfp4,
    /// GGUF block formats; values interleaved with their scales.
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    /// OCP MXFP4 in GGUF's block layout (scale byte, then 16 bytes of nibbles).
    GgufMxfp4,
    Iq4Nl,
    Iq4Xs,
    Iq2Xxs,
    Iq2Xs,
    Iq2S,
    Iq3Xxs,
    Iq3S,
    Iq1S,
    Iq1M,
}

/// Element type of the separate scales (and biases) of [`Format::Affine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScaleType {
    F32,
    F16,
    Bf16,
}

/// One quantized matrix as it lies in a file, row-major: `rows` output features of `columns` input features.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    pub format: Format,
    pub rows: usize,
    pub columns: usize,
    /// Packed values (MLX formats) or whole blocks (GGUF formats).
    pub data: &'a [u8],
    /// Affine: `rows * columns / group` of `scale_type`; mxfp4/mxfp8/nvfp4: one byte each; GGUF: empty.
    pub scales: &'a [u8],
    /// Affine only, as `scales`.
    pub biases: &'a [u8],
    pub scale_type: ScaleType,
    /// Nvfp4's scale of the whole tensor: values are multiplied by it.
    pub global_scale: Option<f32>,
}
