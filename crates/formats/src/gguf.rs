//! GGUF v2 and v3: typed metadata and tensors.
//!
//! Format: ggml documentation, "GGUF". String arrays stay in the map.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::{Bytes, FormatError, Mapped, TensorType, TensorView, gguf_split};

/// A metadata value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any unsigned integer.
    Unsigned(u64),
    /// Any signed integer.
    Signed(i64),
    /// Any floating-point number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A string.
    String(String),
    /// Numbers or truth values.
    Numbers(Vec<f64>),
    /// Strings, which stay in the file: read them by [`Gguf::strings`].
    Strings {
        /// How many.
        count: usize,
        /// Where the first one stands, each behind its length.
        start: usize,
    },
}

impl Value {
    /// As a whole number of zero or more.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Unsigned(n) => Some(*n),
            Value::Signed(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// As a number.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Unsigned(n) => Some(*n as f64),
            Value::Signed(n) => Some(*n as f64),
            Value::Float(x) => Some(*x),
            _ => None,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Value::Unsigned(_) | Value::Signed(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Bool(_) => "a truth value",
            Value::String(_) => "a string",
            Value::Numbers(_) => "a list of numbers",
            Value::Strings { .. } => "a list of strings",
        }
    }
}

/// An opened file.
#[derive(Debug)]
pub struct Gguf {
    mapped: Arc<Mapped>,
    metadata: Vec<(String, Value)>,
    places: Vec<Range<usize>>,
    by_key: HashMap<String, usize>,
    tensors: Vec<TensorView>,
    by_name: HashMap<String, usize>,
}

impl Gguf {
    /// Open a file, and with it the other parts when it is one of several (`NAME-00001-of-00003.gguf`). The metadata is
    /// the first part's.
    pub fn open(path: &Path) -> Result<Gguf, FormatError> {
        let first = Gguf::from_mapped(Mapped::open(path)?)?;
        let count = first.value("split.count").map_or(Ok(0), |_| first.u32("split.count"))?;
        let Some(paths) = gguf_split::parts(path, count)? else { return Ok(first) };
        let mut whole: Option<Gguf> = None;
        for (number, path) in paths.iter().enumerate() {
            let part = Gguf::from_mapped(Mapped::open(path)?)?;
            for (key, expected) in [("split.no", number), ("split.count", paths.len())] {
                gguf_split::check(path, key, part.u32(key)?, expected)?;
            }
            match &mut whole {
                None => whole = Some(part),
                Some(whole) => whole.join(part)?,
            }
        }
        Ok(whole.unwrap_or(first))
    }

    /// The same from bytes in memory.
    pub fn from_mapped(mapped: Arc<Mapped>) -> Result<Gguf, FormatError> {
        let mut reader = Reader { path: mapped.path(), bytes: mapped.as_slice(), at: 0 };
        let (tensor_count, metadata_count) = reader.header()?;
        let mut gguf = Gguf {
            mapped: mapped.clone(),
            metadata: vec![],
            places: vec![],
            by_key: HashMap::new(),
            tensors: vec![],
            by_name: HashMap::new(),
        };
        for _ in 0..metadata_count {
            let at = reader.at;
            let key = reader.string()?;
            let start = reader.at;
            let kind = reader.u32()?;
            let value = reader.value(kind, &key)?;
            gguf.places.push(start..reader.at);
            if gguf.by_key.insert(key.clone(), gguf.metadata.len()).is_some() {
                return Err(FormatError::broken(mapped.path(), at, format!("metadata `{key}` occurs twice")));
            }
            gguf.metadata.push((key, value));
        }
        let entries = (0..tensor_count).map(|_| reader.tensor()).collect::<Result<Vec<_>, _>>()?;
        let alignment = match gguf.value("general.alignment") {
            None => 32,
            Some(value) => value.as_u64().filter(|a| a.is_power_of_two() && *a <= 1 << 20).ok_or_else(|| {
                FormatError::broken(mapped.path(), 0, format!("alignment {value:?} is not a power of two"))
            })? as usize,
        };
        let start = reader.at.next_multiple_of(alignment);
        gguf.place(entries, start, alignment)?;
        Ok(gguf)
    }

    fn place(&mut self, entries: Vec<Entry>, start: usize, alignment: usize) -> Result<(), FormatError> {
        let path = self.mapped.path().to_path_buf();
        let length = self.mapped.as_slice().len();
        let mut ranges = Vec::with_capacity(entries.len());
        for entry in entries {
            let broken =
                |problem: String| FormatError::broken(&path, entry.at, format!("tensor `{}`: {problem}", entry.name));
            if !entry.offset.is_multiple_of(alignment) {
                return Err(broken(format!("offset {} is not a multiple of {alignment}", entry.offset)));
            }
            let dtype = entry.dtype;
            let bytes = dtype.bytes(&entry.shape);
            let bytes = bytes.ok_or_else(|| broken(format!("{dtype} cannot have the shape {:?}", entry.shape)))?;
            let first = start.checked_add(entry.offset);
            let range = first.and_then(|first| Some(first..first.checked_add(bytes)?)).filter(|r| r.end <= length);
            let range = range.ok_or_else(|| {
                broken(format!(
                    "{bytes} bytes at {} end behind the file's {length}: it is cut short, download it again",
                    entry.offset
                ))
            })?;
            ranges.push((range.start, range.end, entry.name.clone()));
            if self.by_name.insert(entry.name.clone(), self.tensors.len()).is_some() {
                return Err(broken("occurs twice".into()));
            }
            let data = Bytes::new(self.mapped.clone(), range);
            self.tensors.push(TensorView { name: entry.name, dtype, shape: entry.shape, data });
        }
        ranges.sort_unstable();
        match ranges.windows(2).find(|pair| pair[1].0 < pair[0].1) {
            Some(pair) => Err(FormatError::broken(
                &path,
                pair[1].0,
                format!("tensors `{}` and `{}` overlap", pair[0].2, pair[1].2),
            )),
            None => Ok(()),
        }
    }

    fn join(&mut self, part: Gguf) -> Result<(), FormatError> {
        for view in part.tensors {
            if self.by_name.insert(view.name.clone(), self.tensors.len()).is_some() {
                let problem = format!("tensor `{}` is in an earlier part too", view.name);
                return Err(FormatError::broken(part.mapped.path(), 0, problem));
            }
            self.tensors.push(view);
        }
        Ok(())
    }

    /// A tensor by name.
    pub fn get(&self, name: &str) -> Option<TensorView> {
        self.by_name.get(name).map(|&index| self.tensors[index].clone())
    }

    /// All tensors in the order of the file.
    pub fn tensors(&self) -> impl Iterator<Item = &TensorView> {
        self.tensors.iter()
    }

    /// All metadata in the order of the file.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.metadata.iter().map(|(key, value)| (&key[..], value))
    }

    /// Let the system take the pages of the metadata back: what was wanted of it is known.
    pub fn release_metadata(&self) {
        self.mapped.release(0..self.places.last().map_or(0, |place| place.end));
    }

    /// All metadata as it lies in the file, each value with the number of its type before it: to be copied.
    pub fn raw_metadata(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let places = self.metadata.iter().zip(&self.places);
        places.map(|((key, _), place)| (&key[..], &self.mapped.as_slice()[place.clone()]))
    }

    /// A metadata value.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.by_key.get(key).map(|&index| &self.metadata[index].1)
    }

    /// `general.architecture`.
    pub fn architecture(&self) -> Result<&str, FormatError> {
        self.string("general.architecture")
    }

    /// A string.
    pub fn string(&self, key: &str) -> Result<&str, FormatError> {
        match self.required(key)? {
            Value::String(text) => Ok(text),
            other => Err(self.field(key, format!("expected a string, found {}", other.kind()))),
        }
    }

    /// A whole number.
    pub fn u32(&self, key: &str) -> Result<u32, FormatError> {
        let value = self.required(key)?;
        let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
        number.ok_or_else(|| self.field(key, format!("expected a whole number, found {}", value.kind())))
    }

    /// A truth value.
    pub fn bool(&self, key: &str) -> Result<bool, FormatError> {
        match self.required(key)? {
            Value::Bool(value) => Ok(*value),
            other => Err(self.field(key, format!("expected a truth value, found {}", other.kind()))),
        }
    }

    /// A list of numbers.
    pub fn numbers(&self, key: &str) -> Result<&[f64], FormatError> {
        match self.required(key)? {
            Value::Numbers(values) => Ok(values),
            other => Err(self.field(key, format!("expected a list of numbers, found {}", other.kind()))),
        }
    }

    /// A list of strings, without a copy.
    pub fn strings(&self, key: &str) -> Result<impl ExactSizeIterator<Item = &str>, FormatError> {
        match self.required(key)? {
            Value::Strings { count, start } => {
                let mut rest = &self.mapped.as_slice()[*start..];
                Ok((0..*count).map(move |_| {
                    let (length, behind) = rest.split_first_chunk().expect("checked when the file was opened");
                    let (text, behind) = behind.split_at(u64::from_le_bytes(*length) as usize);
                    rest = behind;
                    std::str::from_utf8(text).expect("checked when the file was opened")
                }))
            }
            other => Err(self.field(key, format!("expected a list of strings, found {}", other.kind()))),
        }
    }

    fn required(&self, key: &str) -> Result<&Value, FormatError> {
        self.value(key).ok_or_else(|| self.field(key, "is missing".into()))
    }

    fn field(&self, key: &str, problem: String) -> FormatError {
        FormatError::Field { path: self.mapped.path().into(), key: key.into(), problem }
    }
}

struct Entry {
    at: usize,
    name: String,
    dtype: TensorType,
    shape: Vec<usize>,
    offset: usize,
}

struct Reader<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn broken(&self, problem: impl Into<String>) -> FormatError {
        FormatError::broken(self.path, self.at, problem)
    }

    fn header(&mut self) -> Result<(usize, usize), FormatError> {
        if self.take(4)? != b"GGUF" {
            self.at = 0;
            return Err(self.broken("not a GGUF file; check the path and download it again"));
        }
        match self.u32()? {
            2 | 3 => {}
            1 => return Err(self.broken("GGUF version 1 is no longer in use; convert the model again")),
            version if version.swap_bytes() <= 3 => {
                return Err(self.broken("the file is big-endian; convert it again with little-endian byte order"));
            }
            version => return Err(self.broken(format!("GGUF version {version} is not known"))),
        }
        let (tensors, metadata) = (self.u64()?, self.u64()?);
        // An entry has at least 24 and 13 bytes.
        let room = (self.bytes.len() - self.at) as u64;
        if tensors > room / 24 || metadata > room / 13 {
            let problem = format!(
                "{tensors} tensors and {metadata} metadata entries do not fit the file: it is cut short, download it again"
            );
            return Err(self.broken(problem));
        }
        Ok((tensors as usize, metadata as usize))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| {
            self.broken(format!("{count} bytes are wanted and the file ends: it is cut short, download it again"))
        })?;
        let part = &self.bytes[self.at..end];
        self.at = end;
        Ok(part)
    }

    fn u32(&mut self) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes")))
    }

    fn u64(&mut self) -> Result<u64, FormatError> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes")))
    }

    fn text(&mut self) -> Result<&'a str, FormatError> {
        let length = self.u64()?;
        let length = usize::try_from(length).map_err(|_| self.broken("a string of absurd length"))?;
        let start = self.at;
        let text = self.take(length)?;
        std::str::from_utf8(text).map_err(|_| {
            self.at = start;
            self.broken("a string is not UTF-8")
        })
    }

    fn string(&mut self) -> Result<String, FormatError> {
        self.text().map(str::to_string)
    }

    fn value(&mut self, kind: u32, key: &str) -> Result<Value, FormatError> {
        match kind {
            8 => self.string().map(Value::String),
            9 => self.array(key),
            _ => self.number(kind, key),
        }
    }

    fn number(&mut self, kind: u32, key: &str) -> Result<Value, FormatError> {
        Ok(match kind {
            0 => Value::Unsigned(self.take(1)?[0].into()),
            1 => Value::Signed((self.take(1)?[0] as i8).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.take(2)?.try_into().expect("two bytes")).into()),
            3 => Value::Signed(i16::from_le_bytes(self.take(2)?.try_into().expect("two bytes")).into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => Value::Signed((self.u32()? as i32).into()),
            6 => Value::Float(f32::from_bits(self.u32()?).into()),
            7 => match self.take(1)?[0] {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                other => return Err(self.broken(format!("metadata `{key}`: {other} is not a truth value"))),
            },
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(self.u64()? as i64),
            12 => Value::Float(f64::from_bits(self.u64()?)),
            other => return Err(self.broken(format!("metadata `{key}`: value type {other} is not known"))),
        })
    }

    fn array(&mut self, key: &str) -> Result<Value, FormatError> {
        let kind = self.u32()?;
        let count = self.u64()?;
        let size = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            9 => return Err(self.broken(format!("metadata `{key}`: lists of lists are not supported"))),
            other => return Err(self.broken(format!("metadata `{key}`: value type {other} is not known"))),
        };
        if count > ((self.bytes.len() - self.at) / size) as u64 {
            let problem =
                format!("metadata `{key}`: {count} entries do not fit the file: it is cut short, download it again");
            return Err(self.broken(problem));
        }
        if kind == 8 {
            let start = self.at;
            for _ in 0..count {
                self.text()?;
            }
            return Ok(Value::Strings { count: count as usize, start });
        }
        let number = |reader: &mut Self| {
            let value = reader.number(kind, key)?;
            Ok(match value {
                Value::Bool(b) => f64::from(u8::from(b)),
                other => other.as_f64().unwrap_or(0.0),
            })
        };
        Ok(Value::Numbers((0..count).map(|_| number(self)).collect::<Result<_, FormatError>>()?))
    }

    fn tensor(&mut self) -> Result<Entry, FormatError> {
        let at = self.at;
        let name = self.string()?;
        let dims = self.u32()?;
        if dims > 8 {
            return Err(self.broken(format!("tensor `{name}` has {dims} dimensions")));
        }
        let mut shape = Vec::with_capacity(dims as usize);
        for _ in 0..dims {
            let dim = self.u64()?;
            shape.push(usize::try_from(dim).map_err(|_| self.broken(format!("tensor `{name}`: dimension {dim}")))?);
        }
        shape.reverse();
        let id = self.u32()?;
        let dtype = TensorType::from_gguf(id);
        let dtype = dtype.ok_or_else(|| self.broken(format!("tensor `{name}`: type number {id} is not known")))?;
        let offset = self.u64()?;
        let offset = usize::try_from(offset).map_err(|_| self.broken(format!("tensor `{name}`: offset {offset}")))?;
        Ok(Entry { at, name, dtype, shape, offset })
    }
}
