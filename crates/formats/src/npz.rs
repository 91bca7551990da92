//! npz: a zip file of npy files, stored or deflated.
//!
//! Format: NumPy documentation, `numpy.savez`; zip: PKWARE's APPNOTE 6.3, with 64-bit fields on reading. Stored members
//! are views of the map; deflated ones are unpacked when they are asked for and checked by their sum.
//! Invariant: members lie in the file and do not overlap, and no member unpacks to more than deflate can make of it.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use crate::npy::{self, NpyArray, NpyData};
use crate::output::Output;
use crate::{Bytes, FormatError, Mapped};

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const END: &[u8; 4] = b"PK\x05\x06";
const END64: &[u8; 4] = b"PK\x06\x06";
const LOCATOR64: &[u8; 4] = b"PK\x06\x07";
const LOCAL_BYTES: usize = 30;
const CENTRAL_BYTES: usize = 46;
const END_BYTES: usize = 22;
/// A field of this value stands in the 64-bit extra field.
const WIDE: u32 = u32::MAX;
/// Deflate makes at most 1,032 bytes of one.
const LARGEST_RATIO: usize = 1032;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Data of stored members begins at a multiple of this.
const ALIGNMENT: usize = 64;
/// Level of deflate that NumPy takes.
const LEVEL: u8 = 6;

/// An opened file.
#[derive(Debug)]
pub struct Npz {
    mapped: Arc<Mapped>,
    members: Vec<Member>,
    by_name: HashMap<String, usize>,
}

#[derive(Debug)]
struct Member {
    /// Without `.npy`.
    name: String,
    method: u16,
    checksum: u32,
    place: Range<usize>,
    size: usize,
}

impl Npz {
    /// Map a file and check its directory.
    pub fn open(path: &Path) -> Result<Npz, FormatError> {
        Npz::from_mapped(Mapped::open(path)?)
    }

    /// The same from bytes in memory.
    pub fn from_mapped(mapped: Arc<Mapped>) -> Result<Npz, FormatError> {
        let reader = Reader { path: mapped.path(), bytes: mapped.as_slice() };
        let members = reader.members()?;
        let mut by_name = HashMap::new();
        for (index, member) in members.iter().enumerate() {
            if by_name.insert(member.name.clone(), index).is_some() {
                return Err(reader.broken(member.place.start, format!("array {:?} occurs twice", member.name)));
            }
        }
        let mut places: Vec<_> = members.iter().map(|m| (m.place.start, m.place.end, &m.name)).collect();
        places.sort_unstable();
        if let Some(pair) = places.windows(2).find(|pair| pair[1].0 < pair[0].1) {
            return Err(reader.broken(pair[1].0, format!("arrays {:?} and {:?} overlap", pair[0].2, pair[1].2)));
        }
        Ok(Npz { mapped: mapped.clone(), members, by_name })
    }

    /// Names of the arrays in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| &member.name[..])
    }

    /// An array by name; none when there is no such name.
    pub fn get(&self, name: &str) -> Result<Option<NpyArray>, FormatError> {
        let Some(&index) = self.by_name.get(name) else { return Ok(None) };
        let member = &self.members[index];
        let (path, start) = (self.mapped.path(), member.place.start);
        let raw = Bytes::new(self.mapped.clone(), member.place.clone());
        let named = |error| in_member(error, name);
        if member.method == STORED {
            return NpyArray::parse(path, raw, start).map(Some).map_err(named);
        }
        let broken = |problem: String| Err(FormatError::broken(path, start, format!("array {name:?}: {problem}")));
        let unpacked = match decompress_to_vec_with_limit(raw.as_slice(), member.size) {
            Ok(unpacked) if unpacked.len() == member.size => unpacked,
            Ok(unpacked) => {
                return broken(format!("unpacks to {} bytes instead of {}", unpacked.len(), member.size));
            }
            Err(error) => return broken(format!("cannot be unpacked ({error}); copy the file again")),
        };
        if checksum(&unpacked) != member.checksum {
            return broken("the sum of its bytes is wrong: the file is damaged, copy it again".into());
        }
        let bytes = Bytes::from_vec(&path.display().to_string(), unpacked);
        NpyArray::parse(path, bytes, start).map(Some).map_err(named)
    }
}

fn in_member(error: FormatError, name: &str) -> FormatError {
    match error {
        FormatError::Broken { path, offset, problem } => {
            FormatError::Broken { path, offset, problem: format!("array {name:?}: {problem}") }
        }
        other => other,
    }
}

struct Reader<'a> {
    path: &'a Path,
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn broken(&self, at: usize, problem: impl Into<String>) -> FormatError {
        FormatError::broken(self.path, at, problem)
    }

    /// `N` bytes at `at`.
    fn take<const N: usize>(&self, at: usize) -> Result<[u8; N], FormatError> {
        let part = at.checked_add(N).and_then(|end| self.bytes.get(at..end)).and_then(|part| part.try_into().ok());
        part.ok_or_else(|| self.broken(at.min(self.bytes.len()), "the zip directory points behind the file's end"))
    }

    fn u16(&self, at: usize) -> Result<u16, FormatError> {
        self.take(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> Result<u32, FormatError> {
        self.take(at).map(u32::from_le_bytes)
    }

    fn u64(&self, at: usize) -> Result<usize, FormatError> {
        let number = u64::from_le_bytes(self.take(at)?);
        usize::try_from(number).map_err(|_| self.broken(at, format!("the zip directory has the number {number}")))
    }

    fn members(&self) -> Result<Vec<Member>, FormatError> {
        if self.bytes.starts_with(b"\x93NUMPY") {
            return Err(self.broken(0, "this is an npy file; give it the ending .npy"));
        }
        let (mut at, count) = self.directory()?;
        if count > self.bytes.len() / CENTRAL_BYTES {
            return Err(self.broken(at, format!("{count} members do not fit the file")));
        }
        let mut members = Vec::with_capacity(count);
        for _ in 0..count {
            let (member, next) = self.member(at)?;
            members.push(member);
            at = next;
        }
        Ok(members)
    }

    /// Where the directory begins, and how many members it has.
    fn directory(&self) -> Result<(usize, usize), FormatError> {
        // A comment of up to 65,535 bytes may follow the end record.
        let reach = self.bytes.len().saturating_sub(END_BYTES + usize::from(u16::MAX));
        let tail = &self.bytes[reach..];
        let last = tail.windows(END.len()).rposition(|window| window == END);
        let whole = |end: &usize| end + END_BYTES <= self.bytes.len();
        let Some(end) = last.map(|at| reach + at).filter(whole) else {
            return Err(self.broken(self.bytes.len(), "no zip directory at the end: it is cut short, copy it again"));
        };
        let (count, start) = (self.u16(end + 10)?, self.u32(end + 16)?);
        if count != u16::MAX && start != WIDE {
            return Ok((start as usize, usize::from(count)));
        }
        let locator = end.checked_sub(20).filter(|&at| self.bytes[at..].starts_with(LOCATOR64));
        let Some(locator) = locator else { return Ok((start as usize, usize::from(count))) };
        let record = self.u64(locator + 8)?;
        if &self.take::<4>(record)? != END64 {
            return Err(self.broken(record, "no 64-bit end record where the file says so"));
        }
        Ok((self.u64(record.saturating_add(48))?, self.u64(record.saturating_add(32))?))
    }

    /// The member that the directory describes at `at`, and where its next entry begins.
    fn member(&self, at: usize) -> Result<(Member, usize), FormatError> {
        if &self.take::<4>(at)? != CENTRAL {
            return Err(self.broken(at, "no directory entry where the file says so"));
        }
        let lengths = [self.u16(at + 28)?, self.u16(at + 30)?, self.u16(at + 32)?].map(usize::from);
        let name_at = at + CENTRAL_BYTES;
        let next = name_at + lengths.iter().sum::<usize>();
        let name = self.bytes.get(name_at..name_at + lengths[0]).filter(|_| next <= self.bytes.len());
        let name = name.ok_or_else(|| self.broken(at, "the directory ends in the middle: copy the file again"))?;
        let name = String::from_utf8_lossy(name).into_owned();
        let broken = |problem: &str| Err(self.broken(at, format!("member {name:?}: {problem}")));
        let (flags, method) = (self.u16(at + 8)?, self.u16(at + 10)?);
        if flags & 1 != 0 {
            return broken("encrypted files are not supported");
        }
        if method != STORED && method != DEFLATED {
            return broken(&format!("compression method {method} is not supported; save it with numpy.savez"));
        }
        let extra = name_at + lengths[0]..name_at + lengths[0] + lengths[1];
        let mut wide = self.wide_fields(extra)?.into_iter();
        let mut field = |place: usize| -> Result<usize, FormatError> {
            let narrow = self.u32(place)?;
            if narrow != WIDE { Ok(narrow as usize) } else { Ok(wide.next().unwrap_or(narrow as usize)) }
        };
        let (size, packed, local) = (field(at + 24)?, field(at + 20)?, field(at + 42)?);
        let place = self.data_place(local, packed);
        let place = place?.ok_or_else(|| self.broken(local, format!("member {name:?} ends behind the file's end")))?;
        if method == STORED && size != packed {
            return broken(&format!("{packed} stored bytes are said to be {size}"));
        }
        if size / LARGEST_RATIO > packed {
            return broken(&format!("{packed} bytes cannot unpack to {size}"));
        }
        let Some(stem) = name.strip_suffix(".npy") else { return broken("not an array; an npz file holds .npy files") };
        Ok((Member { name: stem.into(), method, checksum: self.u32(at + 16)?, place, size }, next))
    }

    /// The numbers of the 64-bit extra field, in their order.
    fn wide_fields(&self, mut extra: Range<usize>) -> Result<Vec<usize>, FormatError> {
        while extra.len() >= 4 {
            let (id, length) = (self.u16(extra.start)?, usize::from(self.u16(extra.start + 2)?));
            let body = extra.start + 4;
            if id == 1 {
                let count = length.min(extra.end.saturating_sub(body)) / 8;
                return (0..count.min(3)).map(|index| self.u64(body + 8 * index)).collect();
            }
            extra.start = body.saturating_add(length).min(extra.end);
        }
        Ok(Vec::new())
    }

    /// Where a member's data lie; none when that is not in the file.
    fn data_place(&self, local: usize, packed: usize) -> Result<Option<Range<usize>>, FormatError> {
        if &self.take::<4>(local)? != LOCAL {
            return Err(self.broken(local, "no member where the directory says so"));
        }
        let skipped = usize::from(self.u16(local + 26)?) + usize::from(self.u16(local + 28)?);
        let start = local + LOCAL_BYTES + skipped;
        Ok(start.checked_add(packed).filter(|&end| end <= self.bytes.len()).map(|end| start..end))
    }
}

/// Write arrays under their names, deflated if `compress`. The file appears under its name when complete.
pub fn write(path: &Path, arrays: &[(&str, NpyData<'_>)], compress: bool) -> Result<(), FormatError> {
    let mut names = std::collections::HashSet::new();
    if let Some((twice, _)) = arrays.iter().find(|(name, _)| !names.insert(name)) {
        return Err(FormatError::broken(path, 0, format!("array {twice:?} is given twice")));
    }
    let mut at = 0;
    let mut planned = Vec::new();
    for (name, array) in arrays {
        let member = Planned::new(path, name, *array, compress, at)?;
        at += member.front.len() + member.data.len();
        planned.push(member);
    }
    let directory = directory(&planned, at);
    if at + directory.len() > WIDE as usize || planned.len() >= usize::from(u16::MAX) {
        let problem = format!("{} arrays of {at} bytes are too much for an npz file; write safetensors", planned.len());
        return Err(FormatError::broken(path, 0, problem));
    }
    let mut parts: Vec<_> = planned.iter().map(|m| (m.name.clone(), m.front.len() + m.data.len())).collect();
    // No member has this name: theirs end in .npy.
    parts.push(("directory".into(), directory.len()));
    let mut output = Output::create(path, &[], parts, 1)?;
    for member in &planned {
        output.write(&member.name, &member.front)?;
        // The front of an empty array completes the member.
        if member.data.len() > 0 {
            output.write(&member.name, member.data.as_slice())?;
        }
    }
    output.write("directory", &directory)?;
    output.finish()
}

/// A member of the file that is being written.
struct Planned<'a> {
    name: String,
    /// Local header and, where the array is stored, the npy header.
    front: Vec<u8>,
    data: Data<'a>,
    /// Fields that local header and directory share: version, flags, method, time, date, sum, sizes.
    shared: Vec<u8>,
    local: usize,
}

enum Data<'a> {
    Stored(&'a [u8]),
    Packed(Vec<u8>),
}

impl Data<'_> {
    fn as_slice(&self) -> &[u8] {
        match self {
            Data::Stored(bytes) => bytes,
            Data::Packed(bytes) => bytes,
        }
    }

    fn len(&self) -> usize {
        self.as_slice().len()
    }
}

impl<'a> Planned<'a> {
    /// `local`: where the member begins.
    fn new(
        path: &Path,
        name: &str,
        array: NpyData<'a>,
        compress: bool,
        local: usize,
    ) -> Result<Planned<'a>, FormatError> {
        let header = npy::header(path, array)?;
        let size = header.len() + array.data.len();
        let name = format!("{name}.npy");
        if size >= WIDE as usize || name.len() > 60_000 {
            let problem = format!("array {name:?} of {size} bytes is too much for an npz file; write safetensors");
            return Err(FormatError::broken(path, 0, problem));
        }
        let sum = !extended(extended(u32::MAX, &header), array.data);
        let (method, data) = if compress {
            let whole = [&header[..], array.data].concat();
            (DEFLATED, Data::Packed(compress_to_vec(&whole, LEVEL)))
        } else {
            (STORED, Data::Stored(array.data))
        };
        let packed = if compress { data.len() } else { size };
        // Version 2.0; names are UTF-8; the first day that the format can tell.
        let mut shared = Vec::new();
        for field in [20, 1 << 11, method, 0, 0x21] {
            shared.extend(field.to_le_bytes());
        }
        for field in [sum, packed as u32, size as u32] {
            shared.extend(field.to_le_bytes());
        }
        // An extra field that readers skip moves stored data to a round place.
        let unpadded = local + LOCAL_BYTES + name.len() + 4;
        let padding = if compress { 0 } else { unpadded.next_multiple_of(ALIGNMENT) - unpadded };
        let mut front = LOCAL.to_vec();
        front.extend(&shared);
        front.extend((name.len() as u16).to_le_bytes());
        front.extend((4 + padding as u16).to_le_bytes());
        front.extend(name.as_bytes());
        front.extend(0x4c4fu16.to_le_bytes());
        front.extend((padding as u16).to_le_bytes());
        front.resize(front.len() + padding, 0);
        if !compress {
            front.extend(header);
        }
        Ok(Planned { name, front, data, shared, local })
    }
}

/// The directory that begins at `start`, and the end record.
fn directory(planned: &[Planned<'_>], start: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for member in planned {
        out.extend(CENTRAL);
        out.extend(20u16.to_le_bytes());
        out.extend(&member.shared);
        out.extend((member.name.len() as u16).to_le_bytes());
        // No extra field, no comment, first disk, no attributes.
        out.extend([0; 12]);
        out.extend((member.local as u32).to_le_bytes());
        out.extend(member.name.as_bytes());
    }
    let (size, count) = (out.len(), planned.len() as u16);
    out.extend(END);
    out.extend([0; 4]);
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend((size as u32).to_le_bytes());
    out.extend((start as u32).to_le_bytes());
    out.extend([0; 2]);
    out
}

/// CRC-32 as zip has it.
fn checksum(bytes: &[u8]) -> u32 {
    !extended(u32::MAX, bytes)
}

/// The running sum behind more bytes; it starts as all ones and is inverted at the end.
fn extended(sum: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let (mut value, mut bit) = (index as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 { (value >> 1) ^ 0xedb8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    bytes.iter().fold(sum, |sum, &byte| TABLE[(sum as u8 ^ byte) as usize] ^ (sum >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_one_of_zip() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
        assert_eq!(checksum(b""), 0);
    }
}
