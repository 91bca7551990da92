//! The tokenizer: text → ids → text.
//!
//! Invariant: for the same definition the ids are those of the reference implementation, id for id. `json` and `gguf`
//! read definitions, `pipeline` encodes, `vocabulary` is the table of tokens and `stream` decodes.

use crate::error::TextError;
use crate::pipeline::{EncodeOptions, Pipeline};
use crate::stream::StreamDecoder;
use crate::vocabulary::{TokenKind, Vocabulary};
use std::sync::{Arc, OnceLock};

/// The tokens that mean something to the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialIds {
    /// Begins a text.
    pub bos: Option<u32>,
    /// Ends a text.
    pub eos: Option<u32>,
    /// Fills up.
    pub pad: Option<u32>,
    /// Stands for what cannot be encoded.
    pub unknown: Option<u32>,
    /// All tokens that end an answer: the end of the text and of the turn, by name and by definition.
    pub end: Vec<u32>,
}

/// Control tokens that end an answer in one model or another.
const END_NAMES: [&str; 19] = [
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<turn|>",
    "<eos>",
    "</s>",
    "<EOT>",
    "[EOT]",
    "[EOS]",
    "<|eot|>",
    "<end_of_utterance>",
    "<｜end▁of▁sentence｜>",
    "<|END_OF_TURN_TOKEN|>",
];

/// Text → ids → text.
pub struct Tokenizer {
    vocabulary: Arc<Vocabulary>,
    encoder: Encoder,
    pub(crate) special: SpecialIds,
}

/// What encodes.
pub(crate) enum Encoder {
    /// The steps of this crate.
    Own(Box<Pipeline>),
    /// The library, for definitions the pipeline does not cover.
    Library(Box<Library>),
}

/// The library's tokenizer, and its twin that takes special tokens for text (made when first needed).
pub(crate) struct Library {
    pub(crate) parsing: tokenizers::Tokenizer,
    pub(crate) literal: OnceLock<tokenizers::Tokenizer>,
}

impl Tokenizer {
    pub(crate) fn new(vocabulary: Vocabulary, encoder: Encoder, special: SpecialIds) -> Tokenizer {
        let mut tokenizer = Tokenizer { vocabulary: Arc::new(vocabulary), encoder, special: SpecialIds::default() };
        tokenizer.set_special_ids(special);
        tokenizer
    }

    /// Takes special tokens, and adds to those that end an answer the ones known by name.
    pub(crate) fn set_special_ids(&mut self, mut special: SpecialIds) {
        let by_name = END_NAMES.iter().filter_map(|name| self.id_of(name));
        special.end.extend(by_name.filter(|&id| self.is_special(id)));
        special.end.extend(special.eos);
        special.end.sort_unstable();
        special.end.dedup();
        self.special = special;
    }

    /// Text → ids.
    pub fn encode(&self, text: &str, options: EncodeOptions) -> Result<Vec<u32>, TextError> {
        let library = match &self.encoder {
            Encoder::Own(pipeline) => return pipeline.encode(&self.vocabulary, text, options),
            Encoder::Library(library) => library,
        };
        let tokenizer = match options.parse_special {
            true => &library.parsing,
            false => library.literal.get_or_init(|| {
                let mut literal = library.parsing.clone();
                literal.set_encode_special_tokens(true);
                literal
            }),
        };
        let encoding =
            tokenizer.encode_fast(text, options.add_special).map_err(|error| TextError::Encode(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Ids → text.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        let mut decoder = self.stream_decoder(skip_special);
        let mut text = decoder.extend(ids);
        text.push_str(&decoder.finish());
        text
    }

    /// A decoder for ids that come one at a time, from the start of a text.
    pub fn stream_decoder(&self, skip_special: bool) -> StreamDecoder {
        StreamDecoder::new(self.vocabulary.clone(), skip_special)
    }

    /// A decoder for ids that continue another text: a leading space is kept.
    pub fn continuing_decoder(&self, skip_special: bool) -> StreamDecoder {
        StreamDecoder::continuing(self.vocabulary.clone(), skip_special)
    }

    /// The table of tokens.
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    /// The tokens that mean something to the engine.
    pub fn special_ids(&self) -> &SpecialIds {
        &self.special
    }

    /// The bytes an id stands for in running text.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.vocabulary.token_bytes(id)
    }

    /// The id of a token's raw spelling (`<|im_end|>`, `Ġthe`).
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.vocabulary.id_of(token)
    }

    /// Number of ids.
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// Whether an id is a control token.
    pub fn is_special(&self, id: u32) -> bool {
        self.vocabulary.kind(id) == TokenKind::Special
    }

    /// Whether this crate's own pipeline encodes, not the library.
    pub fn is_own_pipeline(&self) -> bool {
        matches!(self.encoder, Encoder::Own(_))
    }
}
