//! `olivine serve` as a process of its own: prefixes that outlive it, bounds of memory, options that make no sense.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};

use common::{Folder, MICA, fails_in_one_line, program, stdout, write_adapter};
use serde_json::{Value, json};

/// A server that is told to end when it is dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(data: &Folder, options: &[&str]) -> Server {
        let data = data.path();
        let fixed = ["serve", "--listen", "127.0.0.1:0", "--threads", "2", "--data", &data];
        let mut child = program(&[&fixed, options].concat()).spawn().expect("the program starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("it is a pipe");
        BufReader::new(output).read_line(&mut line).expect("it says where it is");
        let address = line.trim().rsplit("http://").next().unwrap_or_default().to_string();
        if address.is_empty() {
            let mut errors = String::new();
            let _ = child.stderr.take().expect("it is a pipe").read_to_string(&mut errors);
            panic!("no address: {errors}");
        }
        Server { child, address }
    }

    /// Status and body.
    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// Text and cached tokens.
    fn complete(&self, prompt: &str) -> (String, u64) {
        let body = json!({"model": "mica", "prompt": prompt, "max_tokens": 12, "temperature": 0});
        let (status, answer) = self.ask("POST", "/v1/completions", &body);
        assert_eq!(status, 200, "{answer}");
        let text = answer["choices"][0]["text"].as_str().expect("a text").to_string();
        (text, answer["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or(0))
    }

    /// Ask it to end and wait for that.
    fn end(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
        assert!(self.child.wait().expect("it ends").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn long_prompt() -> String {
    (0..60).map(|day| format!("On day {day} the river rose and {} boats came home. ", day * 7 % 13)).collect()
}

#[test]
fn a_prefix_outlives_the_server() {
    let (data, prompt) = (Folder::new("serve-disk"), long_prompt());
    let server = Server::start(&data, &[]);
    let (text, cached) = server.complete(&prompt);
    assert_eq!(cached, 0);
    let again = server.complete(&prompt);
    assert!(again.0 == text && again.1 > 500, "{again:?}");
    server.end();

    let server = Server::start(&data, &[]);
    let warm = server.complete(&prompt);
    assert!(warm.0 == text && warm.1 > 500, "{warm:?}");
    let (_, stats) = server.ask("GET", "/v1/cache/stats", &Value::Null);
    assert!(stats["models"][0]["disk_blocks"].as_u64() > Some(5), "{stats}");
    assert!(stats["models"][0]["disk_error"].is_null(), "{stats}");
    server.end();

    // Other arithmetic gives other bits: what was cached is not used.
    let server = Server::start(&data, &["--precision", "f32"]);
    assert_eq!(server.complete(&prompt).1, 0);
    server.end();

    let none = Folder::new("serve-no-disk");
    let server = Server::start(&none, &["--kv-disk", "0"]);
    assert_eq!(server.complete(&prompt).0, text);
    server.end();
    assert!(!none.join("kv").exists());
}

#[test]
fn a_model_that_guesses_for_itself_changes_no_text() {
    let data = Folder::new("serve-draft");
    let prompt = long_prompt();
    let plain = Server::start(&data, &["--kv-disk", "0"]);
    let (text, _) = plain.complete(&prompt);
    plain.end();
    let server = Server::start(&data, &["--kv-disk", "0", "--draft", MICA, "--lookup", "--decode-share", "0.5"]);
    assert_eq!(server.complete(&prompt).0, text);
    let (_, status) = server.ask("GET", "/v1/status", &Value::Null);
    assert!(status["models"][0]["accepted_tokens"].as_u64() >= Some(2), "{status}");
    server.end();
}

#[test]
fn adapters_are_chosen_by_name_and_loaded_when_they_are_asked_for() {
    let data = Folder::new("serve-adapters");
    write_adapter(&data.join("one"), 1);
    write_adapter(&data.join("many/two"), 2);
    let (one, many) = (format!("one={}", data.join("one").display()), data.join("many").display().to_string());
    let server = Server::start(&data, &["--kv-disk", "0", "--adapter", &one, "--adapters-in", &many]);
    let ask = |model: &str, adapter: Value| {
        let body = json!({"model": model, "adapter": adapter, "prompt": long_prompt(), "max_tokens": 8,
            "temperature": 0, "ignore_eos": true});
        let (status, answer) = server.ask("POST", "/v1/completions", &body);
        (status, answer["choices"][0]["text"].as_str().unwrap_or_default().to_string(), answer)
    };
    let (_, plain, _) = ask("mica", Value::Null);
    let (status, first, _) = ask("mica:one", Value::Null);
    assert!(status == 200 && first != plain, "{first:?}");
    let (_, second, _) = ask("mica", json!("two"));
    assert!(second != plain && second != first, "{second:?}");
    assert_eq!(ask("mica", json!("one")).1, first);
    assert_eq!(ask("mica", Value::Null).1, plain);
    for (model, adapter) in [("mica:three", Value::Null), ("mica", json!("three")), ("mica", json!("../one"))] {
        let (status, _, answer) = ask(model, adapter);
        assert!(status == 404 && answer.to_string().contains("not found"), "{status} {answer}");
    }
    let (_, list) = server.ask("GET", "/v1/models", &Value::Null);
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
    assert_eq!(ids, ["mica", "mica:one", "mica:two"]);
    let (status, shown) = server.ask("GET", "/v1/models/mica:one", &Value::Null);
    assert!(status == 200 && shown["id"] == "mica:one" && shown["parent"] == "mica", "{shown}");
    assert_eq!(server.ask("GET", "/v1/models/mica:three", &Value::Null).0, 404);
    // Ollama's and Anthropic's clients choose by the model's name.
    let body = json!({"model": "mica:one", "prompt": long_prompt(), "raw": true, "stream": false,
        "options": {"num_predict": 8, "temperature": 0}});
    let (_, answer) = server.ask("POST", "/api/generate", &body);
    assert!(first.starts_with(answer["response"].as_str().expect("a text")), "{answer}");
    let message = json!([{"role": "user", "content": "Hello"}]);
    let body = json!({"model": "mica:two", "messages": message, "max_tokens": 2});
    assert_eq!(server.ask("POST", "/v1/messages", &body).0, 200);

    let names = |server: &Server| {
        let (_, list) = server.ask("GET", "/v1/adapters", &Value::Null);
        let one =
            |one: &Value| format!("{}:{}", one["name"].as_str().unwrap(), one["loaded"].as_array().unwrap().len());
        list["adapters"].as_array().unwrap().iter().map(one).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&server), "one:1 two:1");
    let both = json!({"model": "mica", "name": "two"});
    assert_eq!(server.ask("DELETE", "/v1/adapters", &both).0, 200);
    assert_eq!(server.ask("DELETE", "/v1/adapters", &both).0, 404);
    assert_eq!(names(&server), "one:1 two:0");
    let (status, info) = server.ask("POST", "/v1/adapters", &both);
    assert!(status == 200 && info["rank"] == 4 && info["digest"].as_str().map(str::len) == Some(64), "{info}");
    assert_eq!(server.ask("POST", "/v1/adapters", &json!({"model": "mica", "name": "/etc"})).0, 404);
    assert_eq!(ask("mica:two", Value::Null).1, second);
    server.end();

    // The same text without a server.
    let (folder, prompt) = (data.join("one").display().to_string(), long_prompt());
    let options = ["--raw", "--temperature", "0", "-n", "8", "--threads", "2", "mica", &prompt];
    let text = stdout(&[&["run", "--adapter", &folder], &options[..]].concat());
    assert!(first.starts_with(text.trim_end_matches('\n')), "{text:?} {first:?}");
    assert_ne!(text, stdout(&[&["run"], &options[..]].concat()));
    fails_in_one_line(&["run", "--adapter", "/nowhere", "mica", "x"], &["/nowhere", "adapter_config.json"]);
}

#[test]
fn what_does_not_fit_the_memory_is_refused_in_each_dialect() {
    let data = Folder::new("serve-memory");
    // Room for the weights and little more than 500 tokens.
    let server = Server::start(&data, &["--kv-disk", "0", "--kv-memory", "6M", "--memory", "200M"]);
    server.complete("The river");
    let message = json!([{"role": "user", "content": long_prompt()}]);
    for (path, kind) in [
        ("/v1/chat/completions", "/error/message"),
        ("/v1/messages", "/error/message"),
        ("/api/chat", "/error"),
        ("/v1/responses", "/error/message"),
    ] {
        let body = match path {
            "/v1/responses" => json!({"model": "mica", "input": long_prompt()}),
            _ => json!({"model": "mica", "messages": message, "max_tokens": 8, "stream": false}),
        };
        let body =
            if path == "/api/chat" { json!({"model": "mica", "messages": message, "stream": false}) } else { body };
        let (status, answer) = server.ask("POST", path, &body);
        let words = answer.pointer(kind).and_then(Value::as_str).unwrap_or_default();
        assert!(status == 400 && words.contains("bytes of cache memory"), "{path}: {status} {answer}");
    }
    // And what does fit is served still.
    server.complete("The river");
    server.end();

    let server = Server::start(&data, &["--kv-disk", "0", "--memory", "20M"]);
    for (path, kind) in
        [("/v1/completions", "/error/message"), ("/v1/messages", "/error/message"), ("/api/generate", "/error")]
    {
        let body = match path {
            "/v1/messages" => json!({"model": "mica", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}),
            _ => json!({"model": "mica", "prompt": "x"}),
        };
        let (status, answer) = server.ask("POST", path, &body);
        let words = answer.pointer(kind).and_then(Value::as_str).unwrap_or_default();
        assert!(status >= 500 && words.contains("bytes"), "{path}: {status} {answer}");
    }
    server.end();
}

#[test]
fn options_without_sense_are_refused() {
    fails_in_one_line(&["serve", "--draft", "/nowhere/model"], &["/nowhere/model", "no such model"]);
    for (option, value) in
        [("--decode-share", "0"), ("--decode-share", "1.5"), ("--memory", "much"), ("--kv-disk", "-1")]
    {
        let output = common::output(&["serve", &format!("{option}={value}")]);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && words.contains(option), "{words}");
    }
}
