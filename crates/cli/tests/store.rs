//! Models of the store: made, listed, shown, run, served and removed by the program itself.

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;

use common::{Folder, program, write_adapter, write_dense};

fn mica() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mica").canonicalize().expect("the built-in model's files")
}

/// The program with a store of its own.
fn run(folder: &Folder, arguments: &[&str]) -> Output {
    let mut command = program(arguments);
    command.env("OLIVINE_MODELS", folder.join("store")).env("HF_HUB_CACHE", folder.join("cache"));
    command.env("OLIVINE_HOST", "127.0.0.1:9").output().expect("the program starts")
}

fn stdout(folder: &Folder, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn fails(folder: &Folder, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
    // Progress of what was begun may stand above.
    message.trim_end().lines().last().unwrap_or_default().to_string()
}

fn create(folder: &Folder, name: &str, modelfile: &str) {
    let path = folder.write("Modelfile", modelfile.as_bytes());
    stdout(folder, &["create", name, "-f", &path]);
}

#[test]
fn a_model_lives_in_the_store() {
    let folder = Folder::new("store-life");
    let modelfile = format!(
        "FROM {}\nSYSTEM Answer in one word.\nPARAMETER temperature 0\nPARAMETER num_predict 5\n",
        mica().display()
    );
    create(&folder, "small", &modelfile);
    let listed = stdout(&folder, &["list"]);
    assert!(listed.starts_with("NAME ") && listed.contains("small:latest") && listed.contains("just now"), "{listed}");
    let shown = stdout(&folder, &["show", "small"]);
    for part in ["architecture", "qwen3", "num_predict", "Answer in one word."] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let printed = stdout(&folder, &["show", "--modelfile", "small"]);
    assert!(
        printed.contains("SYSTEM Answer in one word.\n") && printed.contains("PARAMETER num_predict 5\n"),
        "{printed}"
    );

    // The manifest's parameters hold: greedy, five tokens, the system message.
    let answer = stdout(&folder, &["run", "small", "What is the capital of France?"]);
    let by_hand = ["run", &mica().display().to_string(), "--system", "Answer in one word.", "--temperature", "0"];
    let by_hand = [&by_hand[..], &["-n", "5", "What is the capital of France?"]].concat();
    assert_eq!(answer, stdout(&folder, &by_hand));
    assert!(answer.split_whitespace().count() <= 6, "{answer}");

    // The built-in model is a base like others, and listed.
    create(
        &folder,
        "builtin",
        "FROM mica\nSYSTEM Answer in one word.\nPARAMETER temperature 0\nPARAMETER num_predict 5\n",
    );
    assert_eq!(stdout(&folder, &["run", "builtin", "What is the capital of France?"]), answer);
    stdout(&folder, &["rm", "builtin"]);
    let listed = stdout(&folder, &["list", "m"]);
    assert!(listed.lines().count() == 2 && listed.contains("mica") && listed.contains("built in"), "{listed}");

    // A second name, one of its own, and the first goes.
    stdout(&folder, &["cp", "small", "me/other:v1"]);
    create(&folder, "loud", "FROM me/other:v1\nSYSTEM Shout.\n");
    stdout(&folder, &["rm", "small"]);
    assert_eq!(stdout(&folder, &["show", "--system", "loud"]), "Shout.\n");
    assert_eq!(stdout(&folder, &["run", "me/other:v1", "What is the capital of France?"]), answer);
    assert!(fails(&folder, &["rm", "small"]).contains("model 'small:latest' not found"));
    stdout(&folder, &["rm", "me/other:v1", "loud"]);
    assert_eq!(std::fs::read_dir(folder.join("store/blobs")).expect("the folder stays").count(), 0);
}

#[test]
fn mistakes_are_named() {
    let folder = Folder::new("store-errors");
    let path = folder.write("Modelfile", b"FROM mica\nFORM x\n");
    let message = fails(&folder, &["create", "x", "-f", &path]);
    assert!(message.contains("line 2") && message.contains("`FORM` is not known"), "{message}");
    let path = folder.write("Modelfile", b"FROM ./nothing.gguf\n");
    assert!(fails(&folder, &["create", "x", "-f", &path]).contains("FROM ./nothing.gguf: no such file"));
    assert!(fails(&folder, &["create", "../x", "-f", &path]).contains("invalid model name"));
    assert!(fails(&folder, &["show", "nothing"]).contains("no such model"));
    assert!(fails(&folder, &["cp", "nothing", "x"]).contains("not found"));
    assert!(fails(&folder, &["push", "nothing"]).contains("belongs to the library"));
    assert!(fails(&folder, &["ps"]).contains("no server answers"));
    assert!(fails(&folder, &["stop", "x"]).contains("no server answers"));
}

#[test]
fn repositories_of_other_programs_are_used_in_place() {
    let folder = Folder::new("store-cache");
    let snapshot = folder.join("cache/models--me--mica/snapshots/abc");
    std::fs::create_dir_all(&snapshot).expect("the temporary folder is writable");
    for entry in std::fs::read_dir(mica()).expect("files") {
        let path = entry.expect("an entry").path();
        let link = snapshot.join(path.file_name().expect("a name"));
        std::fs::hard_link(&path, &link).or_else(|_| std::fs::copy(&path, &link).map(|_| ())).expect("writable");
    }
    std::fs::create_dir_all(folder.join("cache/models--me--mica/refs")).expect("writable");
    folder.write("cache/models--me--mica/refs/main", b"abc");
    let arguments = ["-n", "5", "--temperature", "0", "What is the capital of France?"];
    let answer = stdout(&folder, &[&["run", "me/mica"][..], &arguments].concat());
    assert_eq!(answer, stdout(&folder, &[&["run", "mica"][..], &arguments].concat()));
    assert_eq!(answer, stdout(&folder, &[&["run", "hf.co/me/mica"][..], &arguments].concat()));
    // A hash that would leave the folder is not followed.
    folder.write("cache/models--me--mica/refs/main", b"../../../..");
    assert_eq!(answer, stdout(&folder, &[&["run", "me/mica"][..], &arguments].concat()));
}

/// A server that is told to end when it is dropped.
struct Server {
    child: std::process::Child,
    address: String,
}

impl Server {
    fn start(folder: &Folder) -> Server {
        let data = folder.join("data").display().to_string();
        let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--threads", "2", "--data", &data]);
        command.env("OLIVINE_MODELS", folder.join("store")).env_remove("OLIVINE_HOST");
        let mut child = command.spawn().expect("the program starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).expect("it says where it is");
        let address = line.trim().rsplit("http://").next().expect("an address").to_string();
        Server { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_that_is_there_answers() {
    let folder = Folder::new("store-server");
    let modelfile = format!("FROM {}\nSYSTEM Answer in one word.\nPARAMETER num_predict 6\n", mica().display());
    create(&folder, "small", &modelfile);
    let server = Server::start(&folder);
    let by_server = |arguments: &[&str]| {
        let mut command = program(arguments);
        command.env("OLIVINE_MODELS", folder.join("store")).env("OLIVINE_HOST", &server.address);
        let output = command.output().expect("the program starts");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), String::from_utf8(output.stdout).expect("UTF-8"), errors)
    };
    let question = ["run", "small", "What is the capital of France?", "--temperature", "0"];
    let (_, before, _) = by_server(&["ps"]);
    assert!(before.starts_with("NAME") && !before.contains("small"), "{before}");
    let (done, answer, errors) = by_server(&question);
    assert!(done, "{errors}");
    assert_eq!(answer, stdout(&folder, &question), "the same text as without the server");
    let (_, loaded, _) = by_server(&["ps"]);
    for part in ["small:latest", "CPU", "affine", " of ", "min from now"] {
        assert!(loaded.contains(part), "{part}: {loaded}");
    }
    // In this process when that is asked for, or when a path says so.
    let (_, stopped, _) = by_server(&["stop", "small"]);
    assert_eq!(stopped, "");
    let (done, local, _) = by_server(&[&question[..], &["--local"]].concat());
    assert!(done && local == answer);
    assert!(!by_server(&["ps"]).1.contains("small"), "nothing was loaded there");
    // What the server refuses is said, and raw text goes on.
    let (done, raw, errors) = by_server(&["run", "mica", "--raw", "-n", "4", "--temperature", "0", "Once upon a"]);
    assert!(done, "{errors}");
    assert_eq!(raw, stdout(&folder, &["run", "mica", "--raw", "-n", "4", "--temperature", "0", "Once upon a"]));
    let (done, _, timings) = by_server(&["run", "mica", "-n", "4", "--verbose", "Hello"]);
    assert!(done && timings.contains("eval count:           4 token(s)"), "{timings}");
    assert!(!by_server(&["stop", "nothing"]).0);
}

#[test]
fn a_model_runs_under_the_adapter_of_its_modelfile() {
    let folder = Folder::new("store-adapter");
    write_adapter(&folder.join("lora"), 3);
    let mica = mica().display().to_string();
    create(&folder, "tuned", &format!("FROM {mica}\nADAPTER ./lora\n"));
    let options = ["--raw", "--threads", "2", "--temperature", "0", "-n", "8", "--local"];
    let answer = |before: &[&str], model: &str| stdout(&folder, &[before, &options, &[model, "Once upon a"]].concat());
    let tuned = answer(&["run"], "tuned");
    let lora = folder.join("lora").display().to_string();
    assert_eq!(tuned, answer(&["run", "--adapter", &lora], &mica));
    assert_ne!(tuned, answer(&["run"], &mica));
    // A name made from it keeps the adapter, and a server runs it.
    create(&folder, "again", "FROM tuned\nPARAMETER temperature 0\nPARAMETER num_predict 8\n");
    let server = Server::start(&folder);
    let mut command = program(&["run", "--raw", "again", "Once upon a"]);
    command.env("OLIVINE_MODELS", folder.join("store")).env("OLIVINE_HOST", &server.address);
    let output = command.output().expect("the program starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), tuned, "{}", String::from_utf8_lossy(&output.stderr));
    drop(server);
    // What cannot be is said.
    let text = folder.write("text", b"Once upon a time");
    assert!(fails(&folder, &["perplexity", "tuned", &text]).contains("ADAPTER"));
    folder.write("one.gguf", b"GGUF");
    create(&folder, "file", &format!("FROM {mica}\nADAPTER ./one.gguf\n"));
    assert!(fails(&folder, &["run", "--local", "file", "Hello"]).contains("single file"));
}

#[test]
fn a_smaller_copy_is_made_and_run() {
    let folder = Folder::new("store-quantized");
    write_dense(&folder.join("dense"));
    let dense = folder.join("dense").display().to_string();
    let modelfile = folder.write("Modelfile", b"FROM ./dense\nPARAMETER temperature 0\nPARAMETER num_predict 12\n");
    for (format, named) in [("q8_0", "Q8_0"), ("affine4", "affine4")] {
        let name = format!("small-{format}");
        stdout(&folder, &["create", &name, "-f", &modelfile, "--quantize", format]);
        assert!(stdout(&folder, &["show", &name]).to_lowercase().contains(&named.to_lowercase()), "{format}");
        let own = folder.join(if format == "q8_0" { "own.gguf" } else { "own" }).display().to_string();
        stdout(&folder, &["quantize", &dense, &own, "--format", format]);
        let by_name = stdout(&folder, &["run", "--raw", "--local", &name, "Hello"]);
        let by_path = stdout(&folder, &["run", "--raw", "--temperature", "0", "-n", "12", &own, "Hello"]);
        assert_eq!(by_name, by_path, "{format}");
        assert!(by_name.trim().chars().count() > 2, "{by_name:?}");
        // From a name of the store too.
        let child = folder.write("Child", b"FROM base\n");
        stdout(&folder, &["create", "base", "-f", &modelfile]);
        stdout(&folder, &["create", "child", "-f", &child, "--quantize", format]);
        assert_eq!(stdout(&folder, &["run", "--raw", "--local", "child", "Hello"]), by_name, "{format}");
    }
    assert!(fails(&folder, &["create", "no", "-f", &modelfile, "--quantize", "q9"]).contains("q9"));
    let again = folder.write("Again", b"FROM small-q8_0\n");
    assert!(fails(&folder, &["create", "no", "-f", &again, "--quantize", "q4_0"]).contains("quantized already"));
    assert!(!stdout(&folder, &["list"]).contains("no:latest"));
}

#[test]
fn parameters_that_are_not_about_requests_hold_too() {
    let folder = Folder::new("store-parameters");
    let mica = mica().display().to_string();
    let text = folder.write("text.txt", "The river Nile is long, and the road along it is old. ".repeat(40).as_bytes());
    create(&folder, "small", &format!("FROM {mica}\nPARAMETER kv_type q4\nPARAMETER rope_frequency_base 100000\n"));
    let score = |model: &str, more: &[&str]| {
        stdout(&folder, &[&["perplexity", model, &text, "--window", "200"], more].concat())
    };
    assert_eq!(score("small", &[]), score(&mica, &["--kv-type", "q4"]));
    assert_eq!(score("small", &["--kv-type", "bf16"]), score(&mica, &[]));
    assert_ne!(score("small", &[]), score(&mica, &[]));
    create(&folder, "other", &format!("FROM {mica}\nPARAMETER rope_frequency_base 12345\n"));
    let message = fails(&folder, &["run", "other", "Hello there"]);
    assert!(message.contains("rope_frequency_base 12345") && message.contains("say otherwise"), "{message}");
    for (parameter, part) in [("mirostat 1", "mirostat 1 is not supported"), ("kv_type q3", "bf16, f16, f32, q8, q4")] {
        let path = folder.write("Modelfile", format!("FROM {mica}\nPARAMETER {parameter}\n").as_bytes());
        let message = fails(&folder, &["create", "x", "-f", &path]);
        assert!(message.contains(part), "{message}");
    }
}
