//! Vocabularies of GGUF files against recorded ids: texts in `NAME.gguf.inp`, their ids line by line in `NAME.gguf.out`.
//! One vocabulary of each kind lies beside; the folder that `OLIVINE_GOLDEN` names is tested too.

use olivine_formats::gguf::Gguf;
use olivine_text::{EncodeOptions, Tokenizer};
use std::path::{Path, PathBuf};

fn vocabularies(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "gguf"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no GGUF in {}", folder.display());
    files
}

/// Compares all texts of a vocabulary; returns how many there are, and the differences.
fn compare(path: &Path) -> (usize, Vec<String>) {
    let beside = |extension: &str| std::fs::read_to_string(path.with_extension(extension)).unwrap();
    let (inputs, outputs) = (beside("gguf.inp"), beside("gguf.out"));
    let tokenizer = Tokenizer::from_gguf(&Gguf::open(path).unwrap()).unwrap();
    let texts: Vec<&str> = inputs.split("\n__ggml_vocab_test__\n").collect();
    let lines: Vec<&str> = outputs.lines().collect();
    // The file may end with a separator, after which there is no text.
    let texts = if texts.len() == lines.len() + 1 && texts.last().unwrap().trim().is_empty() {
        &texts[..lines.len()]
    } else {
        &texts[..]
    };
    assert_eq!(texts.len(), lines.len(), "{}", path.display());
    let mut wrong = Vec::new();
    for (text, line) in texts.iter().zip(lines) {
        let expected: Vec<u32> = line.split_whitespace().map(|id| id.parse().unwrap()).collect();
        let encoded = tokenizer.encode(text, EncodeOptions::LITERAL).unwrap();
        if encoded != expected {
            wrong.push(format!("{}: {text:?}\n  expected {expected:?}\n  encoded  {encoded:?}", path.display()));
        }
    }
    (texts.len(), wrong)
}

fn compare_all(folder: &Path) {
    let mut wrong = Vec::new();
    for path in vocabularies(folder) {
        let (count, differences) = compare(&path);
        println!("{}: {} of {count} texts equal", path.display(), count - differences.len());
        wrong.extend(differences);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn recorded_ids_are_equal() {
    compare_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vocab"));
}

#[test]
fn recorded_ids_of_the_golden_folder_are_equal() {
    match std::env::var_os("OLIVINE_GOLDEN") {
        Some(folder) => compare_all(&Path::new(&folder).join("vocab")),
        None => eprintln!("SKIPPED: OLIVINE_GOLDEN is not set; only the vocabularies in tests/data were compared"),
    }
}
