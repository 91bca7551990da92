//! Broken input gives one line that names the cause and the fix, and exit code 1; wrong usage gives 2.

mod common;

use common::{Folder, fails_in_one_line, mica_without, output, tiny, write_tiny_gguf};

#[test]
fn missing_models_are_named() {
    fails_in_one_line(&["run", "qwen3", "hi"], &["qwen3", "no such model", "quotes"]);
    fails_in_one_line(&["run", "qwen3:0.6b"], &["qwen3:0.6b", "no such model"]);
    for command in ["run", "inspect", "bench"] {
        let words = ["nowhere/model.gguf", "no such model", "give a model folder"];
        fails_in_one_line(&[command, "nowhere/model.gguf"], &words);
    }
    fails_in_one_line(&["perplexity", "mica", "nowhere.txt"], &["nowhere.txt", "No such file", "give a text file"]);
    fails_in_one_line(&["quantize", "nowhere", "target"], &["nowhere", "no such file or folder"]);
}

#[test]
fn a_gguf_file_that_was_cut_short() {
    let folder = Folder::new("short");
    let path = folder.join("short.gguf");
    write_tiny_gguf("qwen3", &path);
    let bytes = std::fs::read(&path).expect("it was written above");
    for length in [10, 200, bytes.len() * 6 / 10, bytes.len() - 1] {
        let name = folder.write("short.gguf", &bytes[..length]);
        for command in [&["run", &name, "hi"][..], &["inspect", &name]] {
            fails_in_one_line(command, &["short.gguf", "cut short", "download it again"]);
        }
    }
    let empty = folder.write("empty.gguf", b"");
    fails_in_one_line(&["run", &empty, "hi"], &["empty.gguf", "empty", "download it again"]);
    let text = folder.write("text.gguf", b"this is no model at all, just some text");
    fails_in_one_line(&["run", &text, "hi"], &["text.gguf", "not a GGUF file", "check the path"]);
}

#[test]
fn a_safetensors_file_that_was_cut_short() {
    let folder = Folder::new("short-folder");
    tiny("qwen3").write_folder(&folder.join("model"));
    let weights = folder.join("model/model.safetensors");
    let bytes = std::fs::read(&weights).expect("it was written above");
    folder.write("model/tokenizer.json", b"{}");
    for length in [200, bytes.len() * 6 / 10] {
        folder.write("model/model.safetensors", &bytes[..length]);
        let model = folder.join("model").display().to_string();
        fails_in_one_line(&["run", &model, "hi"], &["model.safetensors", "cut short", "download"]);
    }
}

#[test]
fn a_tensor_that_is_missing_and_one_of_another_shape() {
    let folder = Folder::new("tensor");
    let model = folder.path();
    let mut spoilt = tiny("qwen3");
    spoilt.tensors.retain(|tensor| tensor.name != "model.layers.1.mlp.up_proj.weight");
    spoilt.write_folder(&folder.join(""));
    folder.write("tokenizer.json", b"{}");
    let words = ["model.layers.1.mlp.up_proj.weight", "is missing", "the download is not complete"];
    fails_in_one_line(&["run", &model, "hi"], &words);
    let mut spoilt = tiny("qwen3");
    spoilt.config["intermediate_size"] = 128.into();
    spoilt.write_folder(&folder.join(""));
    let words = ["model.layers.0.mlp.gate_proj.weight", "[96, 64]", "config.json asks for [128, 64]", "other weights"];
    fails_in_one_line(&["run", &model, "hi"], &words);
}

#[test]
fn a_folder_that_is_no_model() {
    let empty = Folder::new("empty");
    fails_in_one_line(&["run", &empty.path(), "hi"], &["config.json is missing", "*.safetensors"]);
    let unknown = Folder::new("unknown");
    unknown.write("config.json", br#"{"architectures": ["NewForCausalLM"], "model_type": "new"}"#);
    unknown.write("tokenizer.json", b"{}");
    fails_in_one_line(&["run", &unknown.path(), "hi"], &["unknown architecture `new`", "known are"]);
    fails_in_one_line(&["inspect", &unknown.path()], &["unknown architecture `new`", "known are"]);
    unknown.write("config.json", b"{ not json");
    fails_in_one_line(&["run", &unknown.path(), "hi"], &["config.json", "not valid JSON"]);
}

#[test]
fn a_folder_without_tokenizer() {
    let folder = Folder::new("tokenizer");
    tiny("qwen3").write_folder(&folder.join(""));
    fails_in_one_line(&["run", &folder.path(), "hi"], &["tokenizer.json is missing", "copy it from"]);
    folder.write("tokenizer.json", b"{}");
    fails_in_one_line(&["run", &folder.path(), "hi"], &["tokenizer.json"]);
    // What needs no text needs no tokenizer.
    assert!(output(&["inspect", &folder.path()]).status.success());
}

#[test]
fn a_folder_without_chat_template_continues_the_text() {
    let folder = Folder::new("template");
    mica_without(&folder, &["chat_template.jinja", "tokenizer_config.json"]);
    let model = folder.path();
    let run = |arguments: &[&str]| {
        let output =
            output(&[&["run", &model, "One, two, three,", "-n", "8", "--temperature", "0"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    assert_eq!(run(&[]), run(&["--raw"]));
    fails_in_one_line(&["run", &model, "hi", "--system", "Be brief."], &["--system", "no chat template"]);
    fails_in_one_line(&["run", &model, "hi", "--think=false"], &["--think", "no switch"]);
}

#[test]
fn a_file_that_may_not_be_read() {
    let folder = Folder::new("permission");
    let path = folder.join("secret.gguf");
    write_tiny_gguf("qwen3", &path);
    // Without the program the file stays readable, and the second check is made.
    let _ = std::process::Command::new("chmod").arg("0").arg(&path).status();
    let name = path.display().to_string();
    match std::fs::File::open(&path) {
        Err(_) => fails_in_one_line(&["run", &name, "hi"], &["secret.gguf", "denied", "check the permissions"]),
        // The administrator may read everything, but finds nothing below a file.
        Ok(_) => fails_in_one_line(&["run", &format!("{name}/model"), "hi"], &["secret.gguf/model", "no such model"]),
    }
}

#[test]
fn a_prompt_longer_than_the_context_is_refused() {
    let prompt = "word ".repeat(100);
    fails_in_one_line(&["run", "mica", &prompt, "--context", "32"], &["the prompt has", "context 32", "shorten"]);
    let long = ["bench", "mica", "-p", "100000", "-n", "0", "-r", "1"];
    fails_in_one_line(&long, &["100000 tokens", "context of 2048", "--context"]);
    let folder = Folder::new("window");
    let text = folder.write("text.txt", b"Not much text.");
    fails_in_one_line(&["perplexity", "mica", &text], &["less than one window of 512", "smaller window"]);
}

#[test]
fn options_that_a_model_cannot_honour_are_refused() {
    let layers = ["run", "--device", "cpu", "--gpu-layers", "3", "hi"];
    fails_in_one_line(&layers, &["--gpu-layers 3", "--device cpu", "no GPU"]);
    fails_in_one_line(&["run", "mica", "hi", "--top-p", "3"], &["top_p must be from 0 to 1"]);
    fails_in_one_line(&["bench", "mica", "-p", "0", "-n", "0"], &["nothing to measure"]);
    fails_in_one_line(&["quantize", env!("CARGO_MANIFEST_DIR"), "x", "--format", "q9"], &["q9", "known are", "q8_0"]);
}

#[test]
fn wrong_usage_is_explained() {
    for (arguments, part) in [
        (&["run", "mica", "hi", "--threads", "0"][..], "--threads"),
        (&["run", "mica", "hi", "--temperature", "-1"], "0 or more"),
        (&["run", "mica", "hi", "--raw", "--system", "x"], "--system"),
        (&["nonsense"], "nonsense"),
    ] {
        let output = output(arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(part), "{arguments:?}: {message}");
    }
}
