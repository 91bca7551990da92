//! The large part of a `tokenizer.json` (vocabulary, merges), read without a copy of what needs no unescaping.
//!
//! Invariant: parsing keeps the order of merges; ids are as written. Read `super` for what is made of it.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// Left and right pieces, by rank.
pub type Merges<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// A `tokenizer.json`.
#[derive(Deserialize)]
pub struct Definition<'a> {
    #[serde(default)]
    pub added_tokens: Value,
    #[serde(default)]
    pub normalizer: Value,
    #[serde(default)]
    pub pre_tokenizer: Value,
    #[serde(default)]
    pub post_processor: Value,
    #[serde(default)]
    pub decoder: Value,
    #[serde(borrow)]
    pub model: ModelDefinition<'a>,
}

/// Its `model`.
#[derive(Deserialize)]
pub struct ModelDefinition<'a> {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    dropout: Option<f64>,
    #[serde(default)]
    pub unk_token: Option<String>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    pub fuse_unk: bool,
    #[serde(default)]
    pub byte_fallback: bool,
    #[serde(default)]
    pub ignore_merges: bool,
    #[serde(borrow, default, rename = "vocab", deserialize_with = "vocabulary")]
    pub vocabulary: Vec<(Cow<'a, str>, u32)>,
    #[serde(borrow, default, deserialize_with = "merges")]
    pub merges: Merges<'a>,
}

impl ModelDefinition<'_> {
    /// Byte-pair encoding with none of the rare settings.
    pub fn is_plain_bpe(&self) -> bool {
        let is_empty = |text: &Option<String>| text.as_deref().is_none_or(str::is_empty);
        let named = match &self.kind {
            Some(kind) => kind == "BPE",
            None => !self.merges.is_empty(),
        };
        named
            && !self.vocabulary.is_empty()
            && self.dropout.is_none_or(|rate| rate == 0.0)
            && is_empty(&self.continuing_subword_prefix)
            && is_empty(&self.end_of_word_suffix)
    }
}

/// A string, borrowed from the input where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'de>, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_string())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// `{piece: id}`; a list (other kinds of model) is skipped.
fn vocabulary<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Cow<'de, str>, u32)>, D::Error> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(Cow<'de, str>, u32)>;
        fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
            out.write_str("a map of tokens to ids, or a list")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::with_capacity(1 << 17);
            while let Some((Text(piece), id)) = map.next_entry()? {
                pairs.push((piece, id));
            }
            Ok(pairs)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Vec::new())
        }
    }
    deserializer.deserialize_any(Pairs)
}

/// `["a b", …]` or `[["a", "b"], …]`.
fn merges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Merges<'de>, D::Error> {
    struct List;
    impl<'de> Visitor<'de> for List {
        type Value = Merges<'de>;
        fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
            out.write_str("a list of merges")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut merges = Vec::with_capacity(1 << 17);
            while let Some(Merge(left, right)) = list.next_element()? {
                merges.push((left, right));
            }
            Ok(merges)
        }
    }
    deserializer.deserialize_seq(List)
}

struct Merge<'a>(Cow<'a, str>, Cow<'a, str>);

impl<'de> Deserialize<'de> for Merge<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Merge<'de>, D::Error> {
        struct MergeVisitor;
        impl<'de> Visitor<'de> for MergeVisitor {
            type Value = Merge<'de>;
            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("a merge: \"left right\" or [\"left\", \"right\"]")
            }
            fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Merge<'de>, E> {
                let (left, right) = text.split_once(' ').ok_or_else(|| E::custom("a merge without a space"))?;
                Ok(Merge(Cow::Borrowed(left), Cow::Borrowed(right)))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Merge<'de>, E> {
                let (left, right) = text.split_once(' ').ok_or_else(|| E::custom("a merge without a space"))?;
                Ok(Merge(Cow::Owned(left.to_string()), Cow::Owned(right.to_string())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Merge<'de>, A::Error> {
                let missing = || serde::de::Error::custom("a merge of fewer than two pieces");
                let Text(left) = pair.next_element()?.ok_or_else(missing)?;
                let Text(right) = pair.next_element()?.ok_or_else(missing)?;
                while pair.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Merge(left, right))
            }
        }
        deserializer.deserialize_any(MergeVisitor)
    }
}
