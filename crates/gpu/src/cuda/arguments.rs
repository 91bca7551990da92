//! The one parameter of a kernel, laid out as C lays out the kernel's struct.
//!
//! Invariant: fields are pushed in the struct's order; each is aligned to its own size. Read next: `launch`.

use super::driver::TensorMap;

/// Bytes of a struct.
#[derive(Clone, Debug, Default)]
pub struct Arguments(Vec<u8>);

impl Arguments {
    /// None yet.
    pub fn new() -> Arguments {
        Arguments(Vec::with_capacity(256))
    }

    /// An address; 0 is null.
    pub fn address(mut self, address: u64) -> Arguments {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        self.0.extend_from_slice(&address.to_le_bytes());
        self
    }

    /// 32-bit fields.
    pub fn words(mut self, words: &[u32]) -> Arguments {
        words.iter().for_each(|word| self.0.extend_from_slice(&word.to_le_bytes()));
        self
    }

    /// Floats.
    pub fn floats(mut self, floats: &[f32]) -> Arguments {
        floats.iter().for_each(|float| self.0.extend_from_slice(&float.to_le_bytes()));
        self
    }

    /// Fields of 32 bits that were pushed apart.
    pub fn behind(mut self, fields: Arguments) -> Arguments {
        self.0.extend_from_slice(&fields.0);
        self
    }

    /// A tensor map, which stands at the struct's beginning or behind another.
    pub fn map(mut self, map: &TensorMap) -> Arguments {
        self.0.extend_from_slice(&map.0);
        self
    }

    /// A struct inside this one, whose longest field is an address.
    pub fn inner(mut self, inner: Arguments) -> Arguments {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        self.0.extend_from_slice(&inner.0);
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        self
    }

    /// With another address in the place of `old`.
    pub fn replace(mut self, old: u64, new: u64) -> Arguments {
        for field in self.0.chunks_exact_mut(8).filter(|field| **field == old.to_le_bytes()) {
            field.copy_from_slice(&new.to_le_bytes());
        }
        self
    }

    /// The bytes, padded beyond any alignment that the struct may have.
    pub fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(64) + 64, 0);
        self.0
    }
}
