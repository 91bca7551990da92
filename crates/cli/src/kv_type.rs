//! The types of keys and values as options and Modelfiles name them. Read next: `model`, `library`.

use clap::ValueEnum;
use olivine_lm::KvDtype;

/// Choice of the cache's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KvType {
    /// 16 bits, more digits
    F16,
    /// 16 bits, more range
    Bf16,
    /// 32 bits
    F32,
    /// 8 bits
    Q8,
    /// 4 bits
    Q4,
}

impl KvType {
    /// As models are opened.
    pub fn dtype(self) -> KvDtype {
        match self {
            KvType::F16 => KvDtype::F16,
            KvType::Bf16 => KvDtype::Bf16,
            KvType::F32 => KvDtype::F32,
            KvType::Q8 => KvDtype::Q8,
            KvType::Q4 => KvDtype::Q4,
        }
    }
}
