//! The header of one safetensors file, checked completely against the file's size.
//!
//! Invariant: memory is bounded by the header's real bytes; nothing is reserved by a number that the file states.

use std::collections::HashSet;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::{Bytes, FormatError, Mapped, TensorType, TensorView};

/// The longest header that the format allows.
const HEADER_LIMIT: u64 = 100_000_000;
/// More dimensions than any array library has.
const DIMENSIONS_LIMIT: usize = 64;

/// What a file holds.
pub(crate) struct Parsed {
    /// In the order of their data.
    pub tensors: Vec<TensorView>,
    /// The pairs of `__metadata__`.
    pub metadata: Vec<(String, String)>,
}

/// Reads and checks a header.
pub(crate) fn parse(mapped: &Arc<Mapped>) -> Result<Parsed, FormatError> {
    let (text, data_start) = text(mapped)?;
    let Header { mut entries, metadata } = serde_json::from_str(text).map_err(|e| {
        let before: usize = text.split_inclusive('\n').take(e.line().saturating_sub(1)).map(str::len).sum();
        let at = 8 + before + e.column().saturating_sub(1);
        FormatError::broken(mapped.path(), at, format!("the header is not valid: {e}; download or convert it again"))
    })?;
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    Ok(Parsed { tensors: views(mapped, entries, data_start)?, metadata })
}

/// The JSON text and the first byte of data.
fn text(mapped: &Mapped) -> Result<(&str, usize), FormatError> {
    let bytes = mapped.as_slice();
    let broken = |at: usize, problem: String| FormatError::broken(mapped.path(), at, problem);
    let Some(length) = bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b)) else {
        return Err(broken(0, format!("{} bytes are no safetensors file; download it again", bytes.len())));
    };
    if bytes.starts_with(b"GGUF") {
        return Err(broken(0, "this is a GGUF file, not safetensors; give it the ending .gguf".into()));
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(broken(0, "this is a Git LFS pointer, not the file; fetch it with `git lfs pull`".into()));
    }
    if length > HEADER_LIMIT || bytes.get(8).is_some_and(|&b| b != b'{') {
        return Err(broken(0, "not a safetensors file; check the path and download it again".into()));
    }
    let available = bytes.len() - 8;
    if length > available as u64 {
        let problem = format!("cut short: the header has {length} bytes, {available} are there; download it again");
        return Err(broken(8, problem));
    }
    let end = 8 + length as usize;
    match std::str::from_utf8(&bytes[8..end]) {
        Ok(text) => Ok((text, end)),
        Err(e) => Err(broken(8 + e.valid_up_to(), "the header is not UTF-8; download or convert it again".into())),
    }
}

/// Entries in the order of their data to views: of the right size, in the file, without overlap or hole.
fn views(mapped: &Arc<Mapped>, entries: Vec<(String, Entry)>, start: usize) -> Result<Vec<TensorView>, FormatError> {
    let available = (mapped.as_slice().len() - start) as u64;
    let mut views: Vec<TensorView> = Vec::with_capacity(entries.len());
    let mut expected = 0u64;
    for (name, entry) in entries {
        let [first, end] = entry.data_offsets;
        let at = usize::try_from(first).unwrap_or(usize::MAX).saturating_add(start);
        let broken = |problem: String| {
            let problem = format!("tensor {:?}: {problem}; download or convert it again", short(&name));
            FormatError::broken(mapped.path(), at, problem)
        };
        let (dtype, shape) = typed(&entry).map_err(broken)?;
        let bytes = dtype.bytes(&shape);
        let bytes = bytes.ok_or_else(|| broken(format!("{dtype} cannot have the shape {shape:?}")))? as u64;
        if end.checked_sub(first) != Some(bytes) {
            return Err(broken(format!("{dtype} {shape:?} has {bytes} bytes, the header gives it {first}..{end}")));
        }
        if end > available {
            return Err(broken(format!("cut short: it ends at {end} of {available} bytes of data")));
        }
        if first < expected {
            return Err(broken(format!("overlaps {:?}", views.last().map_or("", |v| short(&v.name)))));
        }
        if first > expected {
            return Err(broken(format!("the {} bytes before it belong to no tensor", first - expected)));
        }
        expected = end;
        let data = Bytes::new(mapped.clone(), start + first as usize..start + end as usize);
        views.push(TensorView { name, dtype, shape, data });
    }
    if expected < available {
        let problem = format!("the last {} bytes belong to no tensor; download it again", available - expected);
        return Err(FormatError::broken(mapped.path(), start + expected as usize, problem));
    }
    Ok(views)
}

fn typed(entry: &Entry) -> Result<(TensorType, Vec<usize>), String> {
    let dtype = TensorType::from_safetensors(&entry.dtype);
    let dtype = dtype.ok_or_else(|| format!("type {:?} is not known", short(&entry.dtype)))?;
    if entry.shape.len() > DIMENSIONS_LIMIT {
        return Err(format!("{} dimensions are more than {DIMENSIONS_LIMIT}", entry.shape.len()));
    }
    let shape: Result<Vec<usize>, _> = entry.shape.iter().map(|&n| usize::try_from(n)).collect();
    Ok((dtype, shape.map_err(|_| format!("the shape {:?} is too large", entry.shape))?))
}

/// A hostile name must not flood a message.
fn short(name: &str) -> &str {
    name.char_indices().nth(100).map_or(name, |(end, _)| &name[..end])
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

struct Header {
    entries: Vec<(String, Entry)>,
    metadata: Vec<(String, String)>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Header, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Header;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let (mut header, mut seen) = (Header { entries: vec![], metadata: vec![] }, HashSet::new());
                while let Some(name) = map.next_key::<String>()? {
                    if !seen.insert(name.clone()) {
                        map.next_value::<IgnoredAny>()?;
                        return Err(A::Error::custom(format!("tensor {:?} occurs twice", short(&name))));
                    } else if name == "__metadata__" {
                        header.metadata = map.next_value::<Pairs<String>>()?.0;
                    } else {
                        header.entries.push((name, map.next_value()?));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// An object as a list in its order; a key that comes twice is an error.
pub(crate) struct Pairs<T>(pub Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pairs<T>, D::Error> {
        struct Object<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let (mut pairs, mut seen) = (vec![], HashSet::new());
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(format!("{:?} occurs twice", short(&key))));
                    }
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object(PhantomData))
    }
}
