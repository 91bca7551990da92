//! The crate's own pipeline against the library on random texts, and decoding that never shows half a character.

use olivine_formats::gguf::Gguf;
use olivine_text::{EncodeOptions, Tokenizer};
use std::path::{Path, PathBuf};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// The built-in model's folder.
fn mica() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mica")
}

fn gguf(name: &str) -> Tokenizer {
    Tokenizer::from_gguf(&Gguf::open(&data().join("vocab").join(name)).unwrap()).unwrap()
}

/// A small generator: the same texts in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    /// Words, digits, white space, punctuation, other scripts, emoji, marks, controls and special tokens, mixed.
    fn text(&mut self) -> String {
        const PARTS: [&str; 44] = [
            "the",
            "Hello",
            " world",
            "ing",
            "don't",
            "I'LL",
            "we've",
            " ",
            "  ",
            "\n",
            "\r\n",
            "\t",
            "   \n\n  ",
            "12",
            "3456789",
            "3.14",
            "!?",
            "...",
            "(x)",
            "`{}`",
            "é",
            "e\u{301}",
            "ß",
            "ÅNGSTRÖM",
            "привет",
            " мир",
            "日本語",
            "한국어",
            "مرحبا",
            "हिन्दी",
            "😀",
            "👩\u{200d}🚀",
            "\u{a0}",
            "\u{3000}",
            "\0",
            "\u{7f}",
            "½",
            "Ⅷ",
            "²",
            "<|im_start|>",
            "<|im_end|>",
            "<tool_call>",
            "<think>",
            "ﬁ",
        ];
        (0..1 + self.below(24)).map(|_| PARTS[self.below(PARTS.len())]).collect()
    }
}

#[test]
fn own_ids_are_the_librarys() {
    let bytes = std::fs::read(mica().join("tokenizer.json")).unwrap();
    let own = Tokenizer::from_json_bytes(&bytes).unwrap();
    let library = Tokenizer::from_json_bytes_by_library(&bytes).unwrap();
    assert!(own.is_own_pipeline() && !library.is_own_pipeline());
    assert_eq!(own.vocab_size(), library.vocab_size());
    for id in 0..own.vocab_size() as u32 {
        assert_eq!(own.token_bytes(id), library.token_bytes(id), "token {id}");
        assert_eq!(own.is_special(id), library.is_special(id), "token {id}");
    }
    let mut random = Random(1);
    for _ in 0..3000 {
        let text = random.text();
        for parse_special in [true, false] {
            let options = EncodeOptions { add_special: true, parse_special };
            assert_eq!(own.encode(&text, options).unwrap(), library.encode(&text, options).unwrap(), "{text:?}");
        }
    }
    // A word long enough to be merged by the heap.
    let long = "abcdefghij".repeat(40);
    assert_eq!(own.encode(&long, EncodeOptions::TEXT).unwrap(), library.encode(&long, EncodeOptions::TEXT).unwrap());
}

#[test]
fn streamed_text_is_the_decoded_text() {
    let mica = Tokenizer::from_json_file(mica().join("tokenizer.json")).unwrap();
    let mut random = Random(2);
    for tokenizer in [mica, gguf("llama-spm.gguf"), gguf("gpt-2.gguf")] {
        for _ in 0..500 {
            let text = random.text();
            let ids = tokenizer.encode(&text, EncodeOptions::LITERAL).unwrap();
            let mut stream = tokenizer.stream_decoder(true);
            let mut streamed = String::new();
            for &id in &ids {
                let piece = stream.push(id);
                assert!(!piece.contains('\u{FFFD}'), "{text:?} gave {piece:?}");
                streamed.push_str(&piece);
            }
            streamed.push_str(&stream.finish());
            assert_eq!(streamed, tokenizer.decode(&ids, true));
        }
    }
}

#[test]
fn characters_wait_for_their_last_byte() {
    let spm = gguf("llama-spm.gguf");
    let byte = |byte: u8| spm.id_of(&format!("<0x{byte:02X}>")).unwrap();
    let mut stream = spm.stream_decoder(true);
    let pushed: Vec<String> = "😀".bytes().map(|value| stream.push(byte(value))).collect();
    assert_eq!(pushed, ["", "", "", "😀"]);
    // A character that is cut off by another one, and one that the end cuts off.
    assert_eq!(stream.push(byte(0xE2)), "");
    assert_eq!(stream.push(byte(b'a')), "\u{FFFD}a");
    assert_eq!(stream.push(byte(0xF0)), "");
    assert_eq!(stream.finish(), "\u{FFFD}");
    assert_eq!(stream.finish(), "");
}

#[test]
fn the_first_space_belongs_to_the_encoding() {
    let spm = gguf("llama-spm.gguf");
    let hello = spm.id_of("▁Hello").unwrap();
    assert_eq!(spm.decode(&[hello, hello], true), "Hello Hello");
    assert_eq!(spm.continuing_decoder(true).push(hello), " Hello");
    let bos = spm.special_ids().bos.unwrap();
    assert_eq!(spm.encode("Hello", EncodeOptions::TEXT).unwrap(), [bos, hello]);
    assert_eq!(spm.decode(&[bos, hello], true), "Hello");
    assert_eq!(spm.decode(&[bos, hello], false), "<s> Hello");
}

#[test]
fn special_tokens_are_parsed_skipped_and_known() {
    let mica = Tokenizer::from_folder(mica()).unwrap();
    let end = mica.id_of("<|im_end|>").unwrap();
    assert!(mica.is_special(end) && mica.special_ids().end.contains(&end));
    assert_eq!(mica.encode("<|im_end|>", EncodeOptions::RENDERED).unwrap(), [end]);
    assert!(!mica.encode("<|im_end|>", EncodeOptions::LITERAL).unwrap().contains(&end));
    assert_eq!(mica.decode(&[end], true), "");
    assert_eq!(mica.decode(&[end], false), "<|im_end|>");
    assert_eq!(mica.decode(&[u32::MAX], false), "");
}

#[test]
fn broken_definitions_are_refused_by_name() {
    let error = Tokenizer::from_json_bytes(b"{\"model\": 3}").err().unwrap().to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
    let error = Tokenizer::from_json_file("no/such/tokenizer.json").err().unwrap().to_string();
    assert!(error.contains("no/such/tokenizer.json"), "{error}");
}
