//! Requests and answers as text that is the same in every run.

use std::path::Path;

use serde_json::{Value, json};

use super::Server;

/// What differs from run to run: ids, times, durations.
pub fn steady(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let (before, document) = match line.find('{') {
            Some(at) => line.split_at(at),
            None => (line, ""),
        };
        match serde_json::from_str::<Value>(document) {
            Ok(mut value) => {
                settle(&mut value);
                out += &format!("{before}{value}\n");
            }
            Err(_) => out += &format!("{line}\n"),
        }
    }
    out
}

fn settle(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                let time = key.ends_with("_duration")
                    || ["created", "created_at", "expires_at", "completed_at"].contains(&key.as_str());
                let id = ["id", "request_id", "item_id", "call_id", "response_id"].contains(&key.as_str());
                if time && !value.is_null() {
                    *value = json!("TIME");
                } else if id && value.is_string() {
                    let prefix = value.as_str().unwrap().split_inclusive(['_', '-']).next().unwrap().to_string();
                    *value = json!(prefix + "ID");
                } else {
                    settle(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(settle),
        _ => {}
    }
}

/// Requests and what came back.
pub fn transcript(server: &Server, cases: &[(&str, &str, Value)]) -> String {
    let mut text = String::new();
    for (method, path, body) in cases {
        let sent = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = server.ask(method, path, "", &sent);
        text += &format!("> {method} {path} {sent}\n< {status}\n{}\n", steady(&answer));
    }
    text
}

/// Compares with the file of that name.
pub fn check(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(format!("{name}.txt"));
    olivine_testkit::snapshot::check(&file, text);
}
