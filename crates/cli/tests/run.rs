//! `olivine run` on pipes: what joins the prompt, what goes where, and how it ends.

mod common;

use std::io::{Read, Write};
use std::process::Stdio;

use common::{Folder, output, program, stdout};

const GREEDY: [&str; 2] = ["--temperature", "0"];

fn run(arguments: &[&str]) -> String {
    stdout(&[&["run"], arguments, &GREEDY].concat())
}

/// As [`run`] with a text on standard input.
fn run_with_input(arguments: &[&str], input: &str) -> String {
    let mut child = program(&[&["run"], arguments, &GREEDY].concat()).stdin(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_built_in_model_answers() {
    let answer = run(&["What is the capital of France?"]);
    assert!(answer.contains("Paris") && answer.ends_with('\n') && !answer.contains('\x1b'), "{answer:?}");
    assert_eq!(run(&["mica", "What is the capital of France?"]), answer);
    assert_eq!(run(&["mica", "What", "is the capital", "of France?"]), answer, "words are one prompt");
}

#[test]
fn standard_input_joins_the_prompt() {
    let whole = run(&["mica", "Repeat this:\n\nThe sky is blue."]);
    assert_eq!(run_with_input(&["mica", "Repeat this:"], "The sky is blue.\n"), whole);
    assert_eq!(run_with_input(&["mica"], "Repeat this:\n\nThe sky is blue.\n"), whole);
    let output = output(&["run", "mica"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no prompt: give one"));
}

#[test]
fn timings_go_to_standard_error() {
    let output = output(&["run", "mica", "Say hello.", "--temperature", "0", "--verbose"]);
    let (answer, timings) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(answer, run(&["mica", "Say hello."]));
    for line in
        ["total duration:", "load duration:", "prompt eval count:", "prompt eval rate:", "eval count:", "eval rate:"]
    {
        assert!(timings.lines().any(|found| found.starts_with(line)), "{line} in {timings}");
    }
    assert!(!timings.contains('\x1b'), "{timings:?}");
}

#[test]
fn options_reach_the_model() {
    let seeded = |seed: &str| stdout(&["run", "mica", "Tell me a story.", "--temperature", "1.5", "--seed", seed]);
    assert_eq!(seeded("7"), seeded("7"));
    assert_ne!(seeded("7"), seeded("8"));
    let story = run(&["mica", "Tell me a story."]);
    let short = run(&["mica", "Tell me a story.", "-n", "5"]);
    assert!(story.starts_with(short.trim_end()) && short.len() < story.len(), "{short}");
    let word = story.split_whitespace().nth(3).expect("a story has words");
    let stopped = run(&["mica", "Tell me a story.", "--stop", word]);
    assert_eq!(stopped.trim_end(), story[..story.find(word).expect("it is there")].trim_end());
    let prompt_tokens = |more: &[&str]| {
        let output = output(&[&["run", "mica", "Who are you?", "--verbose", "-n", "1"], more].concat());
        let timings = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = timings.lines().find(|line| line.starts_with("prompt eval count:")).expect("a line").to_string();
        line.split_whitespace().nth(3).and_then(|count| count.parse::<usize>().ok()).expect("a count")
    };
    assert!(prompt_tokens(&["--system", "You are a pirate."]) > prompt_tokens(&[]) + 3);
    assert_ne!(run(&["mica", "--raw", "Who are you?", "-n", "20"]), run(&["mica", "Who are you?", "-n", "20"]));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let mut child = program(&["run", "mica", "Tell me a story.", "--temperature", "0"]).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Ctrl-C while an answer comes: what was written stays, the exit code is that of an interrupt.
#[test]
fn an_interrupt_ends_a_single_answer_with_130() {
    if std::env::consts::FAMILY != "unix" {
        println!("SKIPPED: interrupts are sent by `kill`");
        return;
    }
    // A penalty below 1 favours what was said already: the text would fill the context.
    let arguments = ["run", "mica", "--raw", "Tell me a story.", "--repeat-penalty", "0.7", "--temperature", "0"];
    let mut child = program(&arguments).spawn().expect("it starts");
    let mut out = child.stdout.take().expect("a pipe");
    let mut first = [0; 16];
    out.read_exact(&mut first).expect("an answer begins");
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("text");
    assert!(rest.ends_with('\n'), "the line is ended: {rest:?}");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(stdout(&["completions", shell]).contains("olivine"), "{shell}");
    }
}

#[test]
fn a_quantized_copy_runs() {
    let folder = Folder::new("quantized");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/mica");
    let target = folder.join("copy").display().to_string();
    let refused = output(&["quantize", source, &target, "--format", "affine4"]);
    assert_eq!(refused.status.code(), Some(1), "the built-in model is quantized already");
    assert!(!folder.join("copy").exists(), "nothing is left behind");
}
