//! What lies in a segment file: a header, then records, then (once it is full) a table of all records.
//!
//! A record is a fixed head, the block's tokens, the payload. Heads and tokens have a checksum of their own, so that a
//! file without a table is understood without reading payloads. All numbers are little-endian. Invariant: whatever a
//! file holds, decoding gives a record that was written as it is, or nothing. Read next: `mod.rs`.

use crate::prefix::Kind;

/// Bytes in front of a record's tokens.
pub(super) const HEAD_BYTES: usize = 56;
/// First bytes of a segment file: a magic number and a version.
pub(super) const SEGMENT_MAGIC: [u8; 16] = *b"olivine-kv-0001\n";
/// Last bytes of a segment with a table: its length, its checksum, this.
pub(super) const TABLE_MAGIC: u64 = 0x656c_6261_7420_766c;
/// Bytes behind a table.
pub(super) const TRAILER_BYTES: usize = 24;

const RECORD_MAGIC: u32 = 0x7263_766f;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// An identity: the parent of first blocks. The payload is its text.
    Root,
    /// A part of a block.
    Block(Kind),
}

/// A record without its payload.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub what: What,
    /// The block's number; the same for all kinds.
    pub id: u64,
    /// The number of the block or root before it.
    pub parent: u64,
    pub tokens: Vec<u32>,
    pub payload_bytes: u64,
    pub payload_sum: u64,
}

impl Head {
    /// Bytes of the head with its tokens.
    pub fn bytes(&self) -> usize {
        HEAD_BYTES + 4 * self.tokens.len()
    }

    /// Bytes of the whole record.
    pub fn record_bytes(&self) -> u64 {
        self.bytes() as u64 + self.payload_bytes
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let what = match self.what {
            What::Root => 0u16,
            What::Block(kind) => 1 + kind as u16,
        };
        out.extend(RECORD_MAGIC.to_le_bytes());
        out.extend(what.to_le_bytes());
        out.extend((self.tokens.len() as u16).to_le_bytes());
        for number in [self.id, self.parent, self.payload_bytes, self.payload_sum] {
            out.extend(number.to_le_bytes());
        }
        let tokens: Vec<u8> = self.tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
        for sum in [checksum(&tokens), checksum(&out[start..])] {
            out.extend(sum.to_le_bytes());
        }
        out.extend(tokens);
    }

    /// The number of tokens of a head, if it is one.
    pub fn token_count(head: &[u8]) -> Option<usize> {
        let magic = head.len() >= HEAD_BYTES && head[..4] == RECORD_MAGIC.to_le_bytes();
        magic.then(|| u16::from_le_bytes([head[6], head[7]]) as usize)
    }

    /// A head with its tokens from the start of `bytes`.
    pub fn decode(bytes: &[u8]) -> Option<Head> {
        let count = Head::token_count(bytes)?;
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let tokens = bytes.get(HEAD_BYTES..HEAD_BYTES + 4 * count)?;
        if checksum(tokens) != number(40) || checksum(&bytes[..40]) != number(48) {
            return None;
        }
        let what = match u16::from_le_bytes([bytes[4], bytes[5]]) {
            0 => What::Root,
            1 => What::Block(Kind::Full),
            2 => What::Block(Kind::Window),
            3 => What::Block(Kind::State),
            _ => return None,
        };
        let tokens = tokens.as_chunks::<4>().0.iter().map(|token| u32::from_le_bytes(*token)).collect();
        Some(Head {
            what,
            id: number(8),
            parent: number(16),
            tokens,
            payload_bytes: number(24),
            payload_sum: number(32),
        })
    }
}

/// The table of a segment, with what follows it: for each record its offset, its head and, for roots, its text.
pub(super) fn encode_table(records: &[(u64, Head, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (offset, head, text) in records {
        out.extend(offset.to_le_bytes());
        head.encode(&mut out);
        if head.what == What::Root {
            out.extend(text.as_bytes());
        }
    }
    let (bytes, sum) = (out.len() as u64, checksum(&out));
    for number in [bytes, sum, TABLE_MAGIC] {
        out.extend(number.to_le_bytes());
    }
    out
}

/// The records of a table without its trailer.
pub(super) fn decode_table(mut bytes: &[u8]) -> Option<Vec<(u64, Head, String)>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let offset = u64::from_le_bytes(bytes.get(..8)?.try_into().expect("eight bytes"));
        let head = Head::decode(&bytes[8..])?;
        bytes = &bytes[8 + head.bytes()..];
        let mut text = String::new();
        if head.what == What::Root {
            let length = head.payload_bytes as usize;
            text = String::from_utf8(bytes.get(..length)?.to_vec()).ok()?;
            bytes = &bytes[length..];
        }
        records.push((offset, head, text));
    }
    Some(records)
}

/// A checksum against damage, not against intent: eight lanes of 64 bits, so that it keeps up with memory.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x9e37_79b1_85eb_ca87;
    let mut lanes: [u64; 8] = std::array::from_fn(|lane| PRIME.wrapping_mul(lane as u64 + 1));
    let (blocks, rest) = bytes.as_chunks::<64>();
    let mut last = [0; 64];
    last[..rest.len()].copy_from_slice(rest);
    for block in blocks.iter().chain([&last]) {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
            *lane = (*lane ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME);
            *lane ^= *lane >> 32;
        }
    }
    let mix = |sum: u64, value: u64| (sum ^ value).wrapping_mul(PRIME).rotate_left(31);
    lanes.into_iter().chain([bytes.len() as u64]).fold(PRIME, mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            what: What::Block(Kind::Window),
            id: 9,
            parent: 4,
            tokens: vec![1, 70_000, 3],
            payload_bytes: 1 << 33,
            payload_sum: 77,
        }
    }

    #[test]
    fn a_damaged_bit_anywhere_is_noticed() {
        let mut bytes = Vec::new();
        head().encode(&mut bytes);
        assert_eq!(bytes.len(), head().bytes());
        assert_eq!(Head::decode(&bytes), Some(head()));
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::decode(&damaged), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Head::decode(&bytes[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn tables_come_back() {
        let root = Head { what: What::Root, tokens: vec![], payload_bytes: 5, ..head() };
        let records = vec![(16, root, "a\0salt"[..5].to_string()), (99, head(), String::new())];
        let bytes = encode_table(&records);
        assert_eq!(decode_table(&bytes[..bytes.len() - TRAILER_BYTES]), Some(records));
        assert_eq!(decode_table(&bytes[..bytes.len() - TRAILER_BYTES - 1]), None);
    }

    #[test]
    fn checksums_differ_for_any_flipped_bit_and_length() {
        let data: Vec<u8> = (0..200u32).map(|x| (x * 7) as u8).collect();
        let mut seen = std::collections::HashSet::new();
        for length in 0..data.len() {
            assert!(seen.insert(checksum(&data[..length])));
        }
        for bit in 0..8 * data.len() {
            let mut flipped = data.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(checksum(&flipped)), "bit {bit}");
        }
    }
}
