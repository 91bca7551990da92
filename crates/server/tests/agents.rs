//! What agents do, in each dialect and from a script: the model thinks, calls a tool, reads its result, answers; whole
//! and as streams. The shapes are those that the clients named in `docs/server.md` send.

mod common;

use std::time::Duration;

use common::transcript::{check, transcript};
use common::{Line, Server, options, scripted_catalog};
use serde_json::{Value, json};

const ASK: &str = "What is in notes.txt?";
const RESULT: &str = "hello olive";

fn server() -> Server {
    let line = |when: &str, say: &str| -> Line { (when.into(), say.into()) };
    let call = r#"<tool_call>
{"name": "read", "arguments": {"path": "notes.txt", "lines": [1, 2]}}
</tool_call>"#;
    let lines = vec![
        line(RESULT, "It says: *hello olive*."),
        line("notes.txt", &format!("<think>\nThe file must be read.\n</think>\n\nI look.\n{call}\n{call}")),
        line("broken", "<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": oops\n</tool_call>"),
        line("", "Yes."),
    ];
    Server::with(options(), scripted_catalog(lines, Duration::ZERO))
}

fn parameters() -> Value {
    json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]})
}

#[test]
fn openai() {
    let tools = json!([{"type": "function", "function": {"name": "read", "parameters": parameters()}}]);
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "read", "arguments": "{\"path\": \"notes.txt\"}"}});
    let ask = json!({"role": "user", "content": [{"type": "text", "text": ASK}]});
    let answered = json!([
        {"role": "developer", "content": "You are an agent."},
        ask,
        {"role": "assistant", "content": "", "reasoning_content": "The file must be read.", "tool_calls": [call("call_1"), call("call_2")]},
        {"role": "tool", "tool_call_id": "call_1", "content": RESULT},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": RESULT}]},
    ]);
    let body = |messages: &Value, more: Value| {
        let mut body = json!({"model": "script", "messages": messages, "tools": tools});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("POST", "/v1/chat/completions", body)
    };
    let cases = [
        body(&json!([ask]), json!({})),
        body(&json!([ask]), json!({"stream": true, "stream_options": {"include_usage": true}})),
        body(&json!([ask]), json!({"parallel_tool_calls": false})),
        body(&answered, json!({"stream": true})),
        body(&json!([{"role": "user", "content": "broken"}]), json!({})),
    ];
    check("agents-openai", &transcript(&server(), &cases));
}

#[test]
fn responses() {
    let tools = json!([
        {"type": "function", "name": "read", "parameters": parameters(), "strict": false},
        {"type": "web_search"},
    ]);
    let message = |role: &str, text: &str| json!({"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]});
    let answered = json!([
        message("developer", "You are an agent."),
        message("user", ASK),
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "The file must be read."}], "encrypted_content": null},
        {"type": "function_call", "name": "read", "arguments": "{\"path\": \"notes.txt\"}", "call_id": "call_1"},
        {"type": "function_call_output", "call_id": "call_1", "output": RESULT},
    ]);
    let body = |input: Value, stream: bool| {
        let body = json!({
            "model": "script", "instructions": "Be short.", "input": input, "tools": tools, "tool_choice": "auto",
            "parallel_tool_calls": true, "reasoning": null, "store": false, "stream": stream, "include": [],
            "prompt_cache_key": "key",
        });
        ("POST", "/v1/responses", body)
    };
    let cases = [body(json!([message("user", ASK)]), true), body(answered.clone(), true), body(answered, false)];
    check("agents-responses", &transcript(&server(), &cases));
}

#[test]
fn anthropic() {
    let tools = json!([{"name": "read", "description": "Reads.", "input_schema": parameters()}]);
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "read", "input": {"path": "notes.txt"}});
    let result =
        |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": RESULT}]});
    let ask =
        json!({"role": "user", "content": [{"type": "text", "text": ASK, "cache_control": {"type": "ephemeral"}}]});
    let thought = json!({"type": "thinking", "thinking": "The file must be read.", "signature": ""});
    let answered = json!([
        ask,
        {"role": "assistant", "content": [thought, call("toolu_1"), call("toolu_2")]},
        {"role": "user", "content": [result("toolu_1"), result("toolu_2")]},
    ]);
    let body = |messages: &Value, stream: bool| {
        let body = json!({
            "model": "script", "max_tokens": 1000, "messages": messages, "tools": tools, "stream": stream,
            "system": [{"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}}],
            "metadata": {"user_id": "u"},
        });
        ("POST", "/v1/messages?beta=true", body)
    };
    let cases = [body(&json!([ask]), false), body(&json!([ask]), true), body(&answered, true)];
    check("agents-anthropic", &transcript(&server(), &cases));
}

#[test]
fn ollama() {
    let tools = json!([{"type": "function", "function": {"name": "read", "parameters": parameters()}}]);
    let ask = json!({"role": "user", "content": ASK});
    let call = json!({"function": {"name": "read", "arguments": {"path": "notes.txt"}}});
    let answered = json!([
        ask,
        {"role": "assistant", "content": "", "thinking": "The file must be read.", "tool_calls": [call]},
        {"role": "tool", "tool_name": "read", "content": RESULT},
    ]);
    let body = |messages: &Value, stream: bool| {
        ("POST", "/api/chat", json!({"model": "script", "messages": messages, "tools": tools, "stream": stream}))
    };
    let cases = [body(&json!([ask]), false), body(&json!([ask]), true), body(&answered, true)];
    check("agents-ollama", &transcript(&server(), &cases));
}
