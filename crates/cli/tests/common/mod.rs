//! What the tests of the program share: running it, folders that go away, tiny models.

#![allow(dead_code)] // Each test program uses some of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use olivine_lm::model::Checkpoint;
use olivine_testkit::tiny::TinyModel;
use olivine_testkit::tiny_adapter::TinyAdapter;
use olivine_testkit::tiny_gguf::TinyGguf;
use serde_json::{Map, Value, json};

pub const MICA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/mica");

/// The program, with nothing on standard input.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_olivine"));
    // Nothing of this machine's own takes part: no server that happens to run, no models of its user.
    command.env("OLIVINE_HOST", "127.0.0.1:9").env("OLIVINE_MODELS", std::env::temp_dir().join("olivine-no-models"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it wrote and how it ended.
pub fn output(arguments: &[&str]) -> Output {
    program(arguments).output().expect("the program starts")
}

/// Standard output of a run that must succeed.
pub fn stdout(arguments: &[&str]) -> String {
    let output = output(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A run must end with exit code 1 and one line that has all `parts`.
pub fn fails_in_one_line(arguments: &[&str], parts: &[&str]) {
    let output = output(arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{arguments:?}: {message}");
    assert!(message.starts_with("olivine: "), "{arguments:?}: {message}");
    for part in parts {
        assert!(message.contains(part), "{arguments:?}: no {part:?} in {message}");
    }
}

/// A fresh folder, removed when dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("olivine-cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary folder is writable");
        Folder(path)
    }

    pub fn write(&self, file: &str, contents: &[u8]) -> String {
        let path = self.0.join(file);
        std::fs::write(&path, contents).expect("the temporary folder is writable");
        path.display().to_string()
    }

    pub fn join(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    pub fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn golden(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/tests/golden").join(case)
}

/// A tiny model with random weights and without a tokenizer.
pub fn tiny(case: &str) -> TinyModel {
    TinyModel::load(&golden(case))
}

/// The same as a GGUF file.
pub fn write_tiny_gguf(case: &str, path: &Path) {
    TinyGguf::load(&golden(case)).expect("the case has a GGUF form").write(&tiny(case), path);
}

/// A tiny dense model with a tokenizer of single letters: a folder that can be quantized, and run.
pub fn write_dense(folder: &Path) {
    tiny("qwen3").write_folder(folder);
    let definition = std::fs::read(Path::new(MICA).join("tokenizer.json")).expect("the built-in model's files");
    let mut definition: Value = serde_json::from_slice(&definition).expect("JSON");
    let letters = ('!'..='~')
        .chain(['Ġ', 'Ċ'])
        .map(String::from)
        .chain(["ab".into()])
        .chain((97..127).map(|id| format!("Ġ{id}")));
    definition["model"]["vocab"] =
        letters.enumerate().map(|(id, piece)| (piece, json!(id))).collect::<Map<_, _>>().into();
    definition["model"]["merges"] = json!([["a", "b"]]);
    definition["added_tokens"] = json!([{"id": 127, "content": "<|endoftext|>", "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false, "special": true}]);
    std::fs::write(folder.join("tokenizer.json"), definition.to_string()).expect("the folder is writable");
}

/// A random adapter of Mica in a folder.
pub fn write_adapter(folder: &Path, seed: u64) {
    let weights = Checkpoint::open(Path::new(MICA), None).expect("a model").weights;
    let module = |(tensor, ..): (String, String, Vec<usize>, usize)| {
        let name = tensor.strip_suffix(".weight").filter(|name| name.ends_with("o_proj"))?.to_string();
        let (_, shape, _) = weights.quantized_form(&tensor, &name)?;
        Some((name, [shape[0], shape[1]]))
    };
    let modules = weights.listing().into_iter().filter_map(module).collect();
    TinyAdapter { modules, rank: 4, alpha: 8.0, seed }.write_peft(folder);
}

/// Mica's folder with some files left out; those that stay are links.
pub fn mica_without(folder: &Folder, left_out: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mica");
    for entry in std::fs::read_dir(source).expect("the built-in model's files") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        if left_out.contains(&&name[..]) {
            continue;
        }
        let target = folder.join(&name);
        // Links do not cross file systems.
        std::fs::hard_link(entry.path(), &target)
            .or_else(|_| std::fs::copy(entry.path(), &target).map(|_| ()))
            .expect("the temporary folder is writable");
    }
}
