//! The table of tokens: id → raw piece, id → the bytes it stands for in text, piece → id.
//!
//! Invariant: ids are dense in `0..len()`; holes of the definition are empty tokens of kind [`TokenKind::Unused`].
//! [`TextRule`] says how raw pieces spell bytes. Read `stream` next for how bytes become text.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TokenKind {
    /// An ordinary piece of text.
    Normal,
    /// Added to the vocabulary and matched whole, but part of the text (`<tool_call>`, `<think>`).
    Added,
    /// A control token (`<|im_end|>`); skipped when special tokens are.
    Special,
    /// Stands for a single byte (`<0x0A>`).
    Byte,
    /// A hole.
    Unused,
}

/// How raw pieces spell text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextRule {
    /// Each character of a piece stands for one byte (GPT-2's table).
    ByteLevel,
    /// `▁` is a space, `<0xAB>` a byte; the first space of a text may be an artefact of encoding.
    SentencePiece {
        /// Drop the space that starts a text.
        strip_first_space: bool,
    },
    /// A piece continues the word before when it starts with `##`, else a space comes before it.
    WordPiece,
    /// `▁` starts a word, other pieces continue it (as GGUF stores WordPiece vocabularies).
    PhantomSpace,
    /// Pieces are text.
    Plain,
}

/// All tokens of a tokenizer.
pub struct Vocabulary {
    rule: TextRule,
    pieces: Arena,
    texts: Arena,
    kinds: Vec<TokenKind>,
    ids: IdTable,
    has_twins: bool,
}

/// Byte strings stored end to end.
struct Arena {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Arena {
    fn with_capacity(tokens: usize) -> Arena {
        Arena { bytes: Vec::with_capacity(tokens * 7), ends: Vec::with_capacity(tokens) }
    }

    fn close(&mut self) {
        self.ends.push(self.bytes.len() as u32);
    }

    fn get(&self, id: u32) -> Option<&[u8]> {
        Some(&self.bytes[self.range(id)?])
    }

    fn range(&self, id: u32) -> Option<Range<usize>> {
        let end = *self.ends.get(id as usize)? as usize;
        let start = if id == 0 { 0 } else { self.ends[id as usize - 1] as usize };
        Some(start..end)
    }
}

/// Piece → id: open addressing over ids with a part of the hash, pieces compared in their arena where that agrees.
struct IdTable {
    slots: Vec<(u32, u32)>,
    mask: usize,
}

const NO_ID: u32 = u32::MAX;

impl IdTable {
    fn with_capacity(tokens: usize) -> IdTable {
        let size = (tokens * 2).next_power_of_two().max(16);
        IdTable { slots: vec![(NO_ID, 0); size], mask: size - 1 }
    }

    /// The slot of a piece or the empty one where it belongs, and the tag to store there.
    fn slot(&self, pieces: &Arena, piece: &[u8]) -> (usize, u32) {
        let hash = hash(piece);
        let (mut index, tag) = (hash as usize & self.mask, (hash >> 32) as u32);
        loop {
            let (id, other) = self.slots[index];
            if id == NO_ID || other == tag && pieces.get(id) == Some(piece) {
                return (index, tag);
            }
            index = (index + 1) & self.mask;
        }
    }

    /// Whether the piece was not there before.
    fn insert(&mut self, pieces: &Arena, piece: &[u8], id: u32) -> bool {
        let (slot, tag) = self.slot(pieces, piece);
        let is_new = self.slots[slot].0 == NO_ID;
        if is_new {
            self.slots[slot] = (id, tag);
        }
        is_new
    }

    /// [`IdTable::get`] of many pieces, step by step for all of them, so that their cache misses overlap.
    fn get_all<const N: usize>(&self, pieces: &Arena, wanted: &[&[u8]; N]) -> [Option<u32>; N] {
        let hashes = wanted.map(hash);
        let slots = hashes.map(|hash| self.slots[hash as usize & self.mask]);
        let ranges = slots.map(|(id, _)| pieces.range(id).unwrap_or(0..0));
        std::array::from_fn(|i| {
            let ((id, tag), range) = (slots[i], ranges[i].clone());
            match id {
                NO_ID => None,
                id if tag == (hashes[i] >> 32) as u32 && &pieces.bytes[range] == wanted[i] => Some(id),
                _ => self.get(pieces, wanted[i]),
            }
        })
    }

    fn get(&self, pieces: &Arena, piece: &[u8]) -> Option<u32> {
        let (id, _) = self.slots[self.slot(pieces, piece).0];
        (id != NO_ID).then_some(id)
    }
}

fn hash(bytes: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut state = bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = (state.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        state = (state.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER);
    }
    let mixed = (state ^ state >> 31).wrapping_mul(MULTIPLIER);
    mixed ^ mixed >> 29
}

impl Vocabulary {
    /// Builds the table from pieces in the order of their ids.
    pub fn new<'a>(rule: TextRule, tokens: impl ExactSizeIterator<Item = (&'a str, TokenKind)>) -> Vocabulary {
        let count = tokens.len();
        let byte_of = byte_level_bytes();
        let mut vocabulary = Vocabulary {
            rule,
            pieces: Arena::with_capacity(count),
            texts: Arena::with_capacity(count),
            kinds: Vec::with_capacity(count),
            ids: IdTable::with_capacity(count),
            has_twins: false,
        };
        for (id, (piece, kind)) in tokens.enumerate() {
            vocabulary.pieces.bytes.extend_from_slice(piece.as_bytes());
            vocabulary.pieces.close();
            let text = &mut vocabulary.texts.bytes;
            let kind = match (rule, kind) {
                (TextRule::SentencePiece { .. }, TokenKind::Normal) if byte_piece(piece).is_some() => TokenKind::Byte,
                _ => kind,
            };
            match kind {
                TokenKind::Normal => push_text(rule, piece, &byte_of, text),
                TokenKind::Byte => match byte_piece(piece) {
                    Some(byte) => text.push(byte),
                    None => push_text(rule, piece, &byte_of, text),
                },
                TokenKind::Added | TokenKind::Special => text.extend_from_slice(piece.as_bytes()),
                TokenKind::Unused => {}
            }
            vocabulary.texts.close();
            vocabulary.kinds.push(kind);
            if !piece.is_empty() {
                vocabulary.has_twins |= !vocabulary.ids.insert(&vocabulary.pieces, piece.as_bytes(), id as u32);
            }
        }
        vocabulary
    }

    /// The ids of the tokens `<0x00>` … `<0xFF>`; `u32::MAX` for those that are missing.
    pub fn byte_tokens(&self) -> Box<[u32; 256]> {
        let mut table = Box::new([u32::MAX; 256]);
        for byte in 0..256 {
            table[byte] = self.id_of(&format!("<0x{byte:02X}>")).unwrap_or(u32::MAX);
        }
        table
    }

    /// The ids of the tokens that stand for single bytes in GPT-2's table; `u32::MAX` for those that are missing.
    pub fn byte_level_tokens(&self) -> Box<[u32; 256]> {
        let mut buffer = [0; 4];
        Box::new(
            byte_level_characters().map(|character| self.id_of(character.encode_utf8(&mut buffer)).unwrap_or(u32::MAX)),
        )
    }

    /// Number of ids, holes included.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// How pieces spell text.
    pub fn rule(&self) -> TextRule {
        self.rule
    }

    /// The id of a raw piece.
    pub fn id_of(&self, piece: &str) -> Option<u32> {
        self.ids.get(&self.pieces, piece.as_bytes())
    }

    /// [`Vocabulary::id_of`] of many pieces, faster than one by one.
    pub fn ids_of<const N: usize>(&self, pieces: &[&str; N]) -> [Option<u32>; N] {
        self.ids.get_all(&self.pieces, &pieces.map(str::as_bytes))
    }

    /// Whether `id` is what [`Vocabulary::id_of`] finds for the two pieces joined. May say no where it is.
    pub fn is_joined(&self, id: u32, left: &str, right: &str) -> bool {
        let rest = self.pieces.get(id).and_then(|piece| piece.strip_prefix(left.as_bytes()));
        !self.has_twins && rest == Some(right.as_bytes())
    }

    /// Whether `id` is the token of a raw piece.
    pub fn piece_is(&self, id: u32, piece: &str) -> bool {
        self.kind(id) != TokenKind::Unused && self.pieces.get(id) == Some(piece.as_bytes())
    }

    /// The raw piece of an id.
    pub fn piece(&self, id: u32) -> Option<&str> {
        std::str::from_utf8(self.pieces.get(id)?).ok()
    }

    /// The bytes an id stands for in running text; empty beyond the vocabulary.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.texts.get(id).unwrap_or(&[])
    }

    /// What an id is; ids beyond the vocabulary are unused.
    pub fn kind(&self, id: u32) -> TokenKind {
        self.kinds.get(id as usize).copied().unwrap_or(TokenKind::Unused)
    }
}

fn push_text(rule: TextRule, piece: &str, byte_of: &[Option<u8>; 324], text: &mut Vec<u8>) {
    match rule {
        TextRule::ByteLevel => {
            let start = text.len();
            for character in piece.chars() {
                match byte_of.get(character as usize).copied().flatten() {
                    Some(byte) => text.push(byte),
                    None => {
                        text.truncate(start);
                        text.extend_from_slice(piece.as_bytes());
                        return;
                    }
                }
            }
        }
        TextRule::SentencePiece { .. } | TextRule::PhantomSpace => {
            let mut rest = piece;
            while let Some(at) = rest.find('▁') {
                text.extend_from_slice(&rest.as_bytes()[..at]);
                text.push(b' ');
                rest = &rest[at + '▁'.len_utf8()..];
            }
            text.extend_from_slice(rest.as_bytes());
        }
        TextRule::WordPiece => match piece.strip_prefix("##") {
            Some(rest) => text.extend_from_slice(rest.as_bytes()),
            None => {
                text.push(b' ');
                text.extend_from_slice(piece.as_bytes());
            }
        },
        TextRule::Plain => text.extend_from_slice(piece.as_bytes()),
    }
}

/// The byte of a piece `<0xAB>`.
pub fn byte_piece(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// GPT-2's table: printable bytes stand for themselves, the others for the characters from U+0100 on.
pub fn byte_level_characters() -> [char; 256] {
    let mut table = ['\0'; 256];
    let mut next = 256u32;
    for byte in 0..=255u8 {
        table[byte as usize] = match byte {
            b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => byte as char,
            _ => {
                next += 1;
                char::from_u32(next - 1).expect("U+0100.. are characters")
            }
        };
    }
    table
}

/// The inverse of [`byte_level_characters`], indexed by code point.
pub fn byte_level_bytes() -> [Option<u8>; 324] {
    let mut bytes = [None; 324];
    for (byte, character) in byte_level_characters().into_iter().enumerate() {
        bytes[character as usize] = Some(byte as u8);
    }
    bytes
}
