//! Writes GGUF v3 without holding the model: metadata and tensor records first, then tensor after tensor.
//!
//! Invariant: each tensor begins at a multiple of the alignment, 32 or what `general.alignment` says.
//! Format: ggml documentation, "GGUF". Read next: `output`, which keeps the order and the rename.

use std::path::Path;

use crate::output::Output;
use crate::{Declaration, FormatError};

/// A metadata value with the exact type that the file gets.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the names are GGUF's
pub enum Field {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    String(String),
    Strings(Vec<String>),
    U32s(Vec<u32>),
    I32s(Vec<i32>),
    F32s(Vec<f32>),
    Bools(Vec<bool>),
    /// A value of another file, the number of its type before it.
    Raw(Vec<u8>),
}

/// A GGUF file under construction.
#[derive(Debug)]
pub struct GgufWriter {
    output: Output,
}

impl GgufWriter {
    /// Starts a file. Metadata and tensors keep their order.
    pub fn create(
        path: &Path,
        metadata: &[(String, Field)],
        tensors: &[Declaration],
    ) -> Result<GgufWriter, FormatError> {
        let (header, sizes, alignment) = header(path, metadata, tensors)?;
        Ok(GgufWriter { output: Output::create(path, &header, sizes, alignment)? })
    }

    /// The next tensor in declared order: all its bytes, or its next piece.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), FormatError> {
        self.output.write(name, bytes)
    }

    /// Completes the file. An error when a declared tensor is missing.
    pub fn finish(self) -> Result<(), FormatError> {
        self.output.finish()
    }
}

/// A small file in memory, under a name for messages. `data` are the bytes of `tensors`.
pub fn in_memory(
    name: &str,
    metadata: &[(String, Field)],
    tensors: &[Declaration],
    data: &[Vec<u8>],
) -> Result<Vec<u8>, FormatError> {
    let path = Path::new(name);
    let (mut file, sizes, alignment) = header(path, metadata, tensors)?;
    for ((tensor, bytes), data) in sizes.iter().zip(data) {
        if data.len() != *bytes {
            let problem = format!("tensor `{tensor}` has {bytes} bytes, {} were given", data.len());
            return Err(FormatError::broken(path, file.len(), problem));
        }
        file.resize(file.len().next_multiple_of(alignment), 0);
        file.extend(data);
    }
    file.resize(file.len().next_multiple_of(alignment), 0);
    Ok(file)
}

/// Everything in front of the data, the tensors' names and bytes, and what their places are multiples of.
type Front = (Vec<u8>, Vec<(String, usize)>, usize);

fn header(path: &Path, metadata: &[(String, Field)], tensors: &[Declaration]) -> Result<Front, FormatError> {
    let alignment = metadata.iter().find(|(key, _)| key == "general.alignment").map(|(_, value)| value);
    let alignment = match alignment {
        None => 32,
        Some(Field::U32(n)) if n.is_power_of_two() && *n <= 1 << 20 => *n as usize,
        Some(other) => {
            let problem = format!("the alignment must be a 32-bit power of two, not {other:?}");
            return Err(FormatError::Field { path: path.into(), key: "general.alignment".into(), problem });
        }
    };
    unique(path, "metadata", metadata.iter().map(|(key, _)| &key[..]))?;
    unique(path, "tensor", tensors.iter().map(|t| &t.name[..]))?;
    let mut header = b"GGUF".to_vec();
    header.extend(3u32.to_le_bytes());
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        put_string(&mut header, key);
        put_field(&mut header, value);
    }
    let mut sizes = Vec::with_capacity(tensors.len());
    let mut offset = 0usize;
    for tensor in tensors {
        put_tensor(&mut header, path, tensor, offset)?;
        let bytes = tensor.bytes(path)?;
        offset = (offset + bytes).next_multiple_of(alignment);
        sizes.push((tensor.name.clone(), bytes));
    }
    Ok((header, sizes, alignment))
}

fn unique<'a>(path: &Path, what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), FormatError> {
    let mut seen = std::collections::HashSet::new();
    let mut names = names;
    match names.find(|name| !seen.insert(*name)) {
        Some(name) => Err(FormatError::broken(path, 0, format!("{what} `{name}` is declared twice"))),
        None => Ok(()),
    }
}

fn put_tensor(out: &mut Vec<u8>, path: &Path, tensor: &Declaration, offset: usize) -> Result<(), FormatError> {
    let broken = |problem: &str| FormatError::broken(path, 0, format!("tensor `{}`: {problem}", tensor.name));
    let id = tensor.dtype.gguf_id().ok_or_else(|| broken(&format!("GGUF has no type {}", tensor.dtype)))?;
    if tensor.shape.len() > 4 {
        return Err(broken("GGUF has at most 4 dimensions"));
    }
    put_string(out, &tensor.name);
    out.extend((tensor.shape.len() as u32).to_le_bytes());
    for &size in tensor.shape.iter().rev() {
        out.extend((size as u64).to_le_bytes()); // ggml counts from the innermost
    }
    out.extend(id.to_le_bytes());
    out.extend((offset as u64).to_le_bytes());
    Ok(())
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_field(out: &mut Vec<u8>, value: &Field) {
    let mut scalar = |kind: u32, bytes: &[u8]| {
        out.extend(kind.to_le_bytes());
        out.extend(bytes);
    };
    match value {
        Field::U8(v) => scalar(0, &[*v]),
        Field::I8(v) => scalar(1, &v.to_le_bytes()),
        Field::U16(v) => scalar(2, &v.to_le_bytes()),
        Field::I16(v) => scalar(3, &v.to_le_bytes()),
        Field::U32(v) => scalar(4, &v.to_le_bytes()),
        Field::I32(v) => scalar(5, &v.to_le_bytes()),
        Field::F32(v) => scalar(6, &v.to_le_bytes()),
        Field::Bool(v) => scalar(7, &[u8::from(*v)]),
        Field::U64(v) => scalar(10, &v.to_le_bytes()),
        Field::I64(v) => scalar(11, &v.to_le_bytes()),
        Field::F64(v) => scalar(12, &v.to_le_bytes()),
        Field::String(v) => {
            scalar(8, &[]);
            put_string(out, v);
        }
        Field::Strings(v) => {
            put_array(out, 8, v.len(), std::iter::empty::<[u8; 0]>());
            v.iter().for_each(|text| put_string(out, text));
        }
        Field::U32s(v) => put_array(out, 4, v.len(), v.iter().map(|x| x.to_le_bytes())),
        Field::I32s(v) => put_array(out, 5, v.len(), v.iter().map(|x| x.to_le_bytes())),
        Field::F32s(v) => put_array(out, 6, v.len(), v.iter().map(|x| x.to_le_bytes())),
        Field::Raw(bytes) => out.extend(bytes),
        Field::Bools(v) => put_array(out, 7, v.len(), v.iter().map(|&x| [u8::from(x)])),
    }
}

fn put_array<const N: usize>(out: &mut Vec<u8>, element: u32, count: usize, values: impl Iterator<Item = [u8; N]>) {
    out.extend(9u32.to_le_bytes());
    out.extend(element.to_le_bytes());
    out.extend((count as u64).to_le_bytes());
    values.for_each(|bytes| out.extend(bytes));
}
