//! npy: one array behind a header that is a Python literal.
//!
//! Format: NumPy documentation, `numpy.lib.format`, versions 1.0 to 3.0. bf16 is what ml_dtypes and MLX write: two
//! bytes of kind `V`. Invariant: a view lies in its file and has the size of its type and shape; nothing is reserved by
//! a number that the file states. Read next: `npz.rs`.

use std::path::Path;

use crate::output::Output;
use crate::{Bytes, FormatError, Mapped, TensorType};

/// What every file begins with.
const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Data begins at a multiple of this.
const ALIGNMENT: usize = 64;
/// More dimensions than any array library has.
const DIMENSIONS_LIMIT: usize = 64;

/// Array element types and their names, byte order aside.
const TYPES: &[(TensorType, &str)] = &[
    (TensorType::Bool, "b1"),
    (TensorType::U8, "u1"),
    (TensorType::I8, "i1"),
    (TensorType::U16, "u2"),
    (TensorType::I16, "i2"),
    (TensorType::F16, "f2"),
    (TensorType::Bf16, "V2"),
    (TensorType::U32, "u4"),
    (TensorType::I32, "i4"),
    (TensorType::F32, "f4"),
    (TensorType::U64, "u8"),
    (TensorType::I64, "i8"),
    (TensorType::F64, "f8"),
    (TensorType::C64, "c8"),
];

/// An array in a file.
#[derive(Clone, Debug)]
pub struct NpyArray {
    /// Type of the elements.
    pub dtype: TensorType,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// The first dimension varies fastest instead of the last.
    pub fortran_order: bool,
    /// The elements in little-endian byte order.
    pub data: Bytes,
}

/// An array to be written: row-major, little-endian.
#[derive(Clone, Copy, Debug)]
pub struct NpyData<'a> {
    /// Type of the elements.
    pub dtype: TensorType,
    /// Dimensions, outermost first.
    pub shape: &'a [usize],
    /// The elements.
    pub data: &'a [u8],
}

impl NpyArray {
    /// Map a file.
    pub fn open(path: &Path) -> Result<NpyArray, FormatError> {
        let mapped = Mapped::open(path)?;
        let length = mapped.as_slice().len();
        NpyArray::parse(path, Bytes::new(mapped, 0..length), 0)
    }

    /// The array in `bytes`. `path` and `at`, the place of the bytes in the file, are for messages.
    pub fn parse(path: &Path, bytes: Bytes, at: usize) -> Result<NpyArray, FormatError> {
        let broken = |place: usize, problem: String| FormatError::broken(path, at + place, problem);
        let (start, end) = header_place(bytes.as_slice()).map_err(|(place, problem)| broken(place, problem))?;
        let text = std::str::from_utf8(&bytes.as_slice()[start..end]);
        let text = text.map_err(|e| broken(start + e.valid_up_to(), "the header is not text; save it again".into()))?;
        let mut literal = Literal { text, at: 0 };
        let header = literal.header();
        let header = header.map_err(|problem| broken(start + literal.at, format!("the header {problem}")))?;
        let (big_endian, dtype) = element_type(&header.descr).map_err(|problem| broken(start, problem))?;
        let size = dtype.bytes(&header.shape);
        let size = size.ok_or_else(|| broken(start, format!("{dtype} cannot have the shape {:?}", header.shape)))?;
        let available = bytes.len() - end;
        if size > available {
            let problem = format!("cut short: the array has {size} bytes, {available} are there; copy the file again");
            return Err(broken(end, problem));
        }
        if size < available {
            let problem = format!("{} bytes follow the array; files with several arrays end in .npz", available - size);
            return Err(broken(end + size, problem));
        }
        let mut data = bytes.slice(end..end + size);
        if big_endian {
            data = swapped(path, &data, dtype);
        }
        Ok(NpyArray { dtype, shape: header.shape, fortran_order: header.fortran_order, data })
    }
}

/// Write a file. It appears under its name when complete.
pub fn write(path: &Path, array: NpyData<'_>) -> Result<(), FormatError> {
    let header = header(path, array)?;
    let mut output = Output::create(path, &header, vec![("array".into(), array.data.len())], 1)?;
    output.write("array", array.data)?;
    output.finish()
}

/// Everything in front of the data.
pub(crate) fn header(path: &Path, array: NpyData<'_>) -> Result<Vec<u8>, FormatError> {
    let NpyData { dtype, shape, data } = array;
    let known = TYPES.iter().find(|(of, _)| *of == dtype);
    let name = known.ok_or_else(|| FormatError::broken(path, 0, format!("npy has no name for {dtype}")))?.1;
    if dtype.bytes(shape) != Some(data.len()) {
        let problem = format!("{} bytes are no array of {dtype} with the shape {shape:?}", data.len());
        return Err(FormatError::broken(path, 0, problem));
    }
    let order = if dtype.block_bytes() == 1 { '|' } else { '<' };
    let dims: Vec<_> = shape.iter().map(usize::to_string).collect();
    let dims = if let [only] = &dims[..] { format!("{only},") } else { dims.join(", ") };
    let mut text = format!("{{'descr': '{order}{name}', 'fortran_order': False, 'shape': ({dims}), }}").into_bytes();
    // Magic, version and length are ten bytes in version 1, twelve in version 2.
    let version = if text.len() + ALIGNMENT < usize::from(u16::MAX) { 1 } else { 2 };
    let front = if version == 1 { 10 } else { 12 };
    let whole = (front + text.len() + 1).next_multiple_of(ALIGNMENT);
    text.resize(whole - front - 1, b' ');
    text.push(b'\n');
    let mut out = MAGIC.to_vec();
    out.extend([version, 0]);
    match version {
        1 => out.extend((text.len() as u16).to_le_bytes()),
        _ => out.extend((text.len() as u32).to_le_bytes()),
    }
    out.extend(text);
    Ok(out)
}

/// First and last byte of the header's text, or the place and what is wrong with it.
fn header_place(bytes: &[u8]) -> Result<(usize, usize), (usize, String)> {
    if !bytes.starts_with(MAGIC) {
        let hint =
            if bytes.starts_with(b"PK") { "this is a zip file; give it the ending .npz" } else { "check the path" };
        return Err((0, format!("not an npy file; {hint}")));
    }
    let short = || (bytes.len(), "cut short in the header; copy the file again".to_string());
    let version = *bytes.get(6).ok_or_else(short)?;
    let number = |range: std::ops::Range<usize>| bytes.get(range).ok_or_else(short);
    let (start, length) = match version {
        1 => (10, u32::from(u16::from_le_bytes(number(8..10)?.try_into().expect("two bytes")))),
        2 | 3 => (12, u32::from_le_bytes(number(8..12)?.try_into().expect("four bytes"))),
        other => return Err((6, format!("version {other} of the format is not known; save it again with NumPy"))),
    };
    let end = start + length as usize;
    if end > bytes.len() {
        let problem = format!("cut short: the header has {length} bytes, {} are there", bytes.len() - start);
        return Err((start, format!("{problem}; copy the file again")));
    }
    Ok((start, end))
}

/// Whether the bytes are swapped, and the type.
fn element_type(descr: &str) -> Result<(bool, TensorType), String> {
    let order = descr.chars().next().filter(|c| "<>=|".contains(*c));
    let name = if order.is_some() { &descr[1..] } else { descr };
    // ml_dtypes registers this name.
    let name = if name == "bfloat16" { "V2" } else { name };
    let known = TYPES.iter().find(|(_, known)| *known == name);
    let dtype = known.map(|(dtype, _)| *dtype).ok_or_else(|| {
        let names: Vec<_> = TYPES.iter().map(|(_, name)| *name).collect();
        format!("elements of type {descr:?} are not supported; supported are {}", names.join(", "))
    })?;
    Ok((order == Some('>'), dtype))
}

/// The elements in the other byte order, in memory of their own.
fn swapped(path: &Path, data: &Bytes, dtype: TensorType) -> Bytes {
    // A complex number is two of its parts.
    let width = if dtype == TensorType::C64 { 4 } else { dtype.block_bytes() };
    let mut bytes = data.as_slice().to_vec();
    bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    Bytes::from_vec(&path.display().to_string(), bytes)
}

struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

/// Reads the one kind of Python literal that a header is.
struct Literal<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Literal<'a> {
    fn header(&mut self) -> Result<Header, String> {
        let (mut descr, mut order, mut shape) = (None, None, None);
        self.expect('{')?;
        while !self.accept('}') {
            let key = self.string()?;
            self.expect(':')?;
            let twice = match key {
                "descr" => descr.replace(self.string()?.to_string()).is_some(),
                "fortran_order" => order.replace(self.truth()?).is_some(),
                "shape" => shape.replace(self.tuple()?).is_some(),
                other => return Err(format!("has the key {:?}, which is not known", short(other))),
            };
            if twice {
                return Err(format!("has {key:?} twice"));
            }
            if !self.accept(',') {
                self.expect('}')?;
                break;
            }
        }
        if !self.rest().trim().is_empty() {
            return Err(format!("goes on behind its end: {:?}", short(self.rest().trim())));
        }
        let missing = |key: &str| format!("has no {key:?}");
        Ok(Header {
            descr: descr.ok_or_else(|| missing("descr"))?,
            fortran_order: order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
        })
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn accept(&mut self, wanted: char) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.accept(wanted) { Ok(()) } else { Err(self.unexpected(&format!("`{wanted}`"))) }
    }

    fn unexpected(&self, wanted: &str) -> String {
        format!("has {:?} where {wanted} is wanted", short(self.rest()))
    }

    fn string(&mut self) -> Result<&'a str, String> {
        self.skip_space();
        let quote = self.rest().chars().next().filter(|c| *c == '\'' || *c == '"');
        let quote = quote.ok_or_else(|| self.unexpected("a string"))?;
        let inner = &self.rest()[1..];
        let end = inner.find(quote).ok_or_else(|| self.unexpected("a string that ends"))?;
        self.at += end + 2;
        Ok(&inner[..end])
    }

    fn truth(&mut self) -> Result<bool, String> {
        self.skip_space();
        for (word, value) in [("True", true), ("False", false)] {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.unexpected("True or False"))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut dims = Vec::new();
        self.expect('(')?;
        while !self.accept(')') {
            self.skip_space();
            let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
            let dim = self.rest()[..digits].parse().map_err(|_| self.unexpected("a dimension"))?;
            self.at += digits;
            // Python 2 wrote long integers so.
            self.accept('L');
            dims.push(dim);
            if dims.len() > DIMENSIONS_LIMIT {
                return Err(format!("has more than {DIMENSIONS_LIMIT} dimensions"));
            }
            if !self.accept(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(dims)
    }
}

/// The beginning of a text, for messages.
fn short(text: &str) -> String {
    text.chars().take(32).collect()
}
