//! Broken input gives one line that names the cause and the fix, and exit code 1; wrong usage gives 2.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Exit code, and what was printed on standard error.
fn olivine(arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_olivine"));
    let output = command.args(arguments).stdin(Stdio::null()).output().expect("the program starts");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn fails_in_one_line(arguments: &[&str], parts: &[&str]) {
    let (code, message) = olivine(arguments);
    assert_eq!(code, 1, "{arguments:?}: {message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{arguments:?}: {message}");
    for part in parts {
        assert!(message.contains(part), "{arguments:?}: no {part:?} in {message}");
    }
}

/// A fresh folder, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("olivine-cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary folder is writable");
        Folder(path)
    }

    fn write(&self, file: &str, contents: &[u8]) -> String {
        let path = self.0.join(file);
        std::fs::write(&path, contents).expect("the temporary folder is writable");
        path.display().to_string()
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn missing_models_are_named() {
    fails_in_one_line(&["run", "qwen3", "hi"], &["qwen3", "no such model", "quotes"]);
    fails_in_one_line(&["run", "qwen3:0.6b"], &["qwen3:0.6b", "no such model"]);
    fails_in_one_line(&["run", "nowhere/model.gguf", "hi"], &["nowhere/model.gguf", "no such model"]);
}

#[test]
fn broken_models_are_explained() {
    let empty = Folder::new("empty");
    fails_in_one_line(&["run", &empty.path(), "hi"], &["config.json is missing", "*.safetensors"]);
    let unknown = Folder::new("unknown");
    unknown.write("config.json", br#"{"architectures": ["NewForCausalLM"], "model_type": "new"}"#);
    fails_in_one_line(&["run", &unknown.path(), "hi"], &["unknown architecture", "known are"]);
    let short = Folder::new("short");
    let file = short.write("short.gguf", b"GGUF\x03\0\0\0\x01\0\0\0");
    fails_in_one_line(&["run", &file, "hi"], &["short.gguf"]);
}

#[test]
fn a_prompt_longer_than_the_context_is_refused() {
    let prompt = "word ".repeat(100);
    fails_in_one_line(&["run", "mica", &prompt, "--context", "32"], &["the prompt has", "context 32", "shorten"]);
}

#[test]
fn wrong_usage_is_explained() {
    for (arguments, part) in [
        (&["run", "mica", "hi", "--threads", "0"][..], "--threads"),
        (&["run", "mica", "hi", "--temperature", "-1"], "0 or more"),
        (&["nonsense"], "nonsense"),
    ] {
        let (code, message) = olivine(arguments);
        assert_eq!(code, 2, "{arguments:?}: {message}");
        assert!(message.contains(part), "{arguments:?}: {message}");
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_olivine"));
    command.args(["run", "mica", "Tell me a story.", "--temperature", "0"]).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
