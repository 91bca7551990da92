//! Measures a tokenizer: `tokenizer_speed TOKENIZER_JSON TEXT_FILE` prints how long loading and encoding take, by the
//! pipeline and by the library, and whether their ids are equal. Of a GGUF file only loading is measured.

use olivine_formats::gguf::Gguf;
use olivine_text::{EncodeOptions, Tokenizer};
use std::path::Path;
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, definition, text] = arguments.as_slice() else { panic!("usage: tokenizer_speed TOKENIZER_JSON TEXT_FILE") };
    let text = std::fs::read_to_string(text).expect("the text is readable");
    let milliseconds = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
    if definition.ends_with(".gguf") {
        for _ in 0..3 {
            let start = Instant::now();
            let file = Gguf::open(Path::new(definition)).expect("the file opens");
            let opened = milliseconds(start);
            let tokenizer = Tokenizer::from_gguf(&file).expect("the vocabulary loads");
            println!("open: {opened:.1} ms, with tokenizer: {:.1} ms", milliseconds(start));
            println!("{} tokens", tokenizer.encode(&text, EncodeOptions::TEXT).expect("encodes").len());
        }
        return;
    }
    for _ in 0..3 {
        let start = Instant::now();
        let own = Tokenizer::from_json_file(definition).expect("the definition loads");
        println!("load: {:.1} ms, own pipeline: {}", milliseconds(start), own.is_own_pipeline());
        let start = Instant::now();
        own.encode("Hello world, how are you?", EncodeOptions::TEXT).expect("encodes");
        println!("first encode: {:.2} ms", milliseconds(start));
    }
    let own = Tokenizer::from_json_file(definition).expect("the definition loads");
    let bytes = std::fs::read(definition).expect("the definition is readable");
    let start = Instant::now();
    let library = Tokenizer::from_json_bytes_by_library(&bytes).expect("the definition loads");
    println!("load by library: {:.1} ms", milliseconds(start));
    let mut ids = Vec::new();
    for (name, tokenizer) in [("own", &own), ("library", &library)] {
        let start = Instant::now();
        let encoded = tokenizer.encode(&text, EncodeOptions::TEXT).expect("encodes");
        let elapsed = milliseconds(start);
        println!("{name}: {} tokens, {elapsed:.1} ms, {:.1} MB/s", encoded.len(), text.len() as f64 / elapsed / 1e3);
        ids.push(encoded);
    }
    println!("ids equal: {}", ids[0] == ids[1]);
    let start = Instant::now();
    let decoded = own.decode(&ids[0], true);
    println!("decode: {:.1} ms, text equal: {}", milliseconds(start), decoded == text);
}
