//! Fields that say something about the answer are honoured or refused, in every dialect: none is dropped in silence.

mod common;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Server, options};
use olivine_engine::{EngineOptions, SchedulerOptions};
use olivine_server::ServerOptions;
use serde_json::{Value, json};

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

fn with(body: &Value, field: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[field] = value;
    body
}

fn parsed(answer: &(u16, String)) -> Value {
    serde_json::from_str(&answer.1).unwrap_or_else(|_| panic!("{} {}", answer.0, answer.1))
}

/// The requests that the tests change: one for each endpoint that makes answers.
fn requests() -> Vec<(&'static str, Value)> {
    vec![
        ("/v1/chat/completions", json!({"model": "mica", "messages": user("Hi"), "max_tokens": 1})),
        ("/v1/completions", json!({"model": "mica", "prompt": "Hi", "max_tokens": 1})),
        ("/v1/responses", json!({"model": "mica", "input": "Hi", "max_output_tokens": 1})),
        ("/v1/messages", json!({"model": "mica", "messages": user("Hi"), "max_tokens": 1})),
        ("/api/chat", json!({"model": "mica", "messages": user("Hi"), "stream": false, "options": {"num_predict": 1}})),
        ("/api/generate", json!({"model": "mica", "prompt": "Hi", "stream": false, "options": {"num_predict": 1}})),
    ]
}

#[test]
fn what_is_not_known_is_named_and_refused() {
    let server = Server::plain();
    // Fields of other servers that would change an answer, and a slip of the pen.
    let others = [
        "min_tokens",
        "stop_token_ids",
        "guided_json",
        "repeat_penalty",
        "dry_multiplier",
        "xtc_probability",
        "mirostat",
        "length_penalty",
        "bad_words",
        "temprature",
    ];
    for (path, body) in requests() {
        assert_eq!(server.post(path, &body).0, 200, "{path}");
        for field in others {
            let (status, answer) = server.post(path, &with(&body, field, json!(1)));
            assert!(status == 400 && answer.contains(field), "{path} {field}: {status} {answer}");
        }
    }
    for (path, body) in requests().into_iter().filter(|(path, _)| path.starts_with("/api/")) {
        for field in ["temprature", "max_tokens", "stop_sequences", "mirostat"] {
            let (status, answer) = server.post(path, &with(&body, "options", json!({field: 1})));
            assert!(status == 400 && answer.contains(field), "{path} options.{field}: {status} {answer}");
        }
        // What is an option there is none beside the options.
        assert_eq!(server.post(path, &with(&body, "temperature", json!(1))).0, 400);
    }
    for field in ["seed", "min_p", "presence_penalty", "logit_bias", "n", "response_format"] {
        let (path, body) = &requests()[3];
        assert_eq!(server.post(path, &with(body, field, json!(1))).0, 400, "{field}");
    }
}

#[test]
fn what_is_known_and_cannot_be_is_refused() {
    let server = Server::plain();
    let refused = [
        (0, "audio", json!({"voice": "x"})),
        (0, "functions", json!([{"name": "f"}])),
        (0, "web_search_options", json!({})),
        (0, "modalities", json!(["audio"])),
        (1, "best_of", json!(3)),
        (1, "suffix", json!("end")),
        (2, "background", json!(true)),
        (2, "conversation", json!("conv_1")),
        (2, "prompt", json!({"id": "x"})),
        (3, "mcp_servers", json!([{"url": "x"}])),
        (3, "container", json!("x")),
        (3, "system", json!([{"type": "image"}])),
        (3, "thinking", json!({"type": "enabled"})),
        (3, "thinking", json!({"type": "enabled", "budget_tokens": 1024})),
        (3, "output_config", json!({"effort": "huge"})),
        (4, "format", json!("yaml")),
        (5, "suffix", json!("end")),
        (5, "images", json!(["aGk="])),
    ];
    for (index, field, value) in refused {
        let (path, body) = &requests()[index];
        let (status, answer) = server.post(path, &with(body, field, value));
        assert_eq!(status, 400, "{path} {field}: {answer}");
    }
    let both = json!({"model": "mica", "prompt": "Hi", "max_tokens": 1, "echo": true, "logprobs": 1});
    assert_eq!(server.post("/v1/completions", &both).0, 400);
    let tokens = json!({"model": "mica", "prompt": [440, 3397], "max_tokens": 1, "echo": true, "temperature": 0});
    let text = parsed(&server.post("/v1/completions", &tokens))["choices"][0]["text"].as_str().unwrap().to_string();
    assert!(text.starts_with("The river"), "{text}");
}

/// The kinds of the blocks of an answer, the reasoning, and the text.
fn blocks(answer: &Value) -> (Vec<String>, String, String) {
    let (mut kinds, mut thinking, mut text) = (Vec::new(), String::new(), String::new());
    for block in answer["content"].as_array().unwrap() {
        kinds.push(block["type"].as_str().unwrap().to_string());
        thinking += block["thinking"].as_str().unwrap_or_default();
        text += block["text"].as_str().unwrap_or_default();
    }
    (kinds, thinking, text)
}

#[test]
fn reasoning_is_switched_and_ends_with_its_budget() {
    let server = Server::plain();
    let body = json!({"model": "thinker", "messages": user("What is the capital of France?"), "temperature": 0, "max_tokens": 60});
    let ask = |thinking: Value| parsed(&server.post("/v1/messages", &with(&body, "thinking", thinking)));
    let tokens = |text: &str| {
        parsed(&server.post("/v1/tokenize", &json!({"model": "mica", "prompt": text})))["count"].as_u64().unwrap()
    };
    let (kinds, ..) = blocks(&ask(json!({"type": "disabled"})));
    assert_eq!(kinds, ["text"]);
    for budget in [1, 3, 5] {
        let answer = ask(json!({"type": "enabled", "budget_tokens": budget}));
        let (kinds, thinking, text) = blocks(&answer);
        assert_eq!(kinds, ["thinking", "text"], "{answer}");
        assert!((1..=budget).contains(&tokens(&thinking)), "{budget}: {thinking:?}");
        assert!(!text.is_empty(), "{answer}");
        let asked = with(&body, "stream", json!(true));
        let (_, stream) =
            server.post("/v1/messages", &with(&asked, "thinking", json!({"type": "enabled", "budget_tokens": budget})));
        let deltas = |kind: &str, field: &str| -> String {
            let data =
                stream.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
            data.filter(|event| event["delta"]["type"] == kind)
                .map(|event| event["delta"][field].as_str().unwrap().to_string())
                .collect()
        };
        assert_eq!((deltas("thinking_delta", "thinking"), deltas("text_delta", "text")), (thinking, text));
    }
    // Without a budget it goes on as long as the model likes; left out of the answer it is there all the same.
    let (kinds, thinking, _) = blocks(&ask(json!({"type": "adaptive", "display": "omitted"})));
    assert_eq!((kinds[0].as_str(), thinking.as_str()), ("thinking", ""));
    // A model that cannot reason answers, for clients ask every model.
    let (status, _) = server.post(
        "/v1/messages",
        &with(&with(&body, "model", json!("mica")), "thinking", json!({"type": "enabled", "budget_tokens": 9})),
    );
    assert_eq!(status, 200);
    // A format begins behind the reasoning.
    let format = json!({"type": "json_schema", "schema": {"enum": ["yes", "no"]}});
    let asked = with(&with(&body, "output_format", format), "thinking", json!({"type": "enabled", "budget_tokens": 4}));
    let (kinds, _, text) = blocks(&parsed(&server.post("/v1/messages", &asked)));
    assert_eq!(kinds, ["thinking", "text"]);
    assert!(["\"yes\"", "\"no\""].contains(&text.as_str()), "{text}");
    // The same in OpenAI's words.
    let chat = json!({"model": "thinker", "messages": user("Hi"), "temperature": 0, "max_tokens": 20, "reasoning_effort": "high", "thinking_budget": 3});
    let message = parsed(&server.post("/v1/chat/completions", &chat))["choices"][0]["message"].clone();
    assert!((1..=3).contains(&tokens(message["reasoning_content"].as_str().unwrap())), "{message}");
}

#[test]
fn text_in_the_middle() {
    let server = Server::plain();
    let options = json!({"temperature": 0, "num_predict": 4});
    let ask = |model: &str| {
        server.post(
            "/api/generate",
            &json!({"model": model, "prompt": "def f(", "suffix": "return a", "options": options, "stream": false}),
        )
    };
    let (status, error) = ask("mica");
    assert_eq!((status, error.as_str()), (400, r#"{"error":"\"mica\" does not support insert"}"#));
    let answer = parsed(&ask("coder"));
    let token = |text: &str| {
        let asked = json!({"model": "coder", "prompt": text});
        parsed(&server.post("/v1/tokenize", &asked))["tokens"].as_array().unwrap().clone()
    };
    let prompt = token("<|fim_prefix|>def f(<|fim_suffix|>return a<|fim_middle|>");
    assert_eq!(answer["prompt_eval_count"], prompt.len());
    assert_eq!(answer["context"].as_array().unwrap()[..prompt.len()], prompt);
    let completed =
        json!({"model": "coder", "prompt": "def f(", "suffix": "return a", "max_tokens": 4, "temperature": 0});
    let completed = parsed(&server.post("/v1/completions", &completed));
    assert_eq!(completed["choices"][0]["text"], answer["response"]);
}

#[test]
fn context_goes_on_from_an_earlier_answer() {
    let server = Server::plain();
    let options = json!({"temperature": 0, "num_predict": 20});
    let ask = |prompt: &str, more: Value| {
        let mut body = json!({"model": "mica", "prompt": prompt, "options": options, "stream": false});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        parsed(&server.post("/api/generate", &body))
    };
    let first = ask("What is the capital of France?", json!({}));
    let context = first["context"].as_array().unwrap();
    let count = |answer: &Value| answer["prompt_eval_count"].as_u64().unwrap() as usize;
    assert_eq!(context.len(), count(&first) + first["eval_count"].as_u64().unwrap() as usize);
    let alone = ask("And of Italy?", json!({}));
    let second = ask("And of Italy?", json!({"context": context}));
    assert_eq!(count(&second), context.len() + count(&alone));
    assert_eq!(second["context"].as_array().unwrap()[..context.len()], context[..]);
    // Raw answers tell none, for they come without a template.
    assert_eq!(ask("The river", json!({"raw": true}))["context"], Value::Null);
}

/// An engine that takes `step` for each small piece of a prompt.
fn slow(step: Duration, chunk_tokens: usize) -> EngineOptions {
    EngineOptions {
        on_step: Some(Arc::new(move |_| std::thread::sleep(step))),
        scheduler: SchedulerOptions { max_rows: chunk_tokens, ..SchedulerOptions::default() },
        ..EngineOptions::default()
    }
}

#[test]
fn long_prompts_are_waited_for_with_data() {
    let options = ServerOptions { heartbeat: Duration::from_millis(60), ..options() };
    let server = Server::start(options, slow(Duration::from_millis(25), 64));
    let long = |seed: &str| format!("{seed} word ").repeat(300);
    let first = |path: &str, body: Value, beat: &dyn Fn(&str) -> bool, answer: &dyn Fn(&str) -> bool| {
        let (status, stream) = server.post(path, &body);
        assert_eq!(status, 200, "{path}: {stream}");
        let lines: Vec<&str> = stream.lines().filter(|line| !line.is_empty()).collect();
        assert!(lines.iter().all(|line| !line.starts_with(':')), "{path}: comments are not counted by all clients");
        let begin = lines.iter().position(|line| answer(line)).unwrap_or_else(|| panic!("{path}: {stream}"));
        let beats = lines[..begin].iter().filter(|line| beat(line)).count();
        assert!(beats >= 2, "{path}: {beats} heartbeats before the answer: {stream}");
    };
    let has = |what: &'static str| move |line: &str| line.contains(what);
    first(
        "/v1/chat/completions",
        json!({"model": "mica", "messages": user(&long("a")), "max_tokens": 2, "stream": true}),
        &has(r#""delta":{"content":"""#),
        &|line| line.contains(r#""finish_reason":"length""#),
    );
    first(
        "/v1/completions",
        json!({"model": "mica", "prompt": long("b"), "max_tokens": 2, "stream": true, "ignore_eos": true}),
        &has(r#""text":"","#),
        &|line| line.contains("\"text\":\"") && !line.contains("\"text\":\"\""),
    );
    first(
        "/v1/responses",
        json!({"model": "mica", "input": long("c"), "max_output_tokens": 2, "stream": true}),
        &has("event: response.in_progress"),
        &has("event: response.output_item.added"),
    );
    first(
        "/v1/messages",
        json!({"model": "mica", "messages": user(&long("d")), "max_tokens": 2, "stream": true}),
        &has("event: ping"),
        &has("event: content_block_start"),
    );
    let two = json!({"num_predict": 2});
    let empty_message = has(r#""content":"""#);
    first(
        "/api/chat",
        json!({"model": "mica", "messages": user(&long("e")), "options": two}),
        &empty_message,
        &has(r#""done":true"#),
    );
    first(
        "/api/generate",
        json!({"model": "mica", "prompt": long("f"), "options": two}),
        &has(r#""response":"""#),
        &has(r#""done":true"#),
    );
}

fn running(server: &Server) -> usize {
    server.app.registry.residents().iter().map(|one| one.model.parts.engine.status().running).sum()
}

fn until(what: impl Fn() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(started.elapsed() < Duration::from_secs(120), "it does not come to pass");
        std::thread::sleep(Duration::from_millis(3));
    }
}

#[test]
fn answers_are_cancelled_by_id() {
    let server = Server::plain();
    let long = |body: Value| {
        let mut body = body;
        body["model"] = json!("mica");
        body
    };
    let tell = "Tell me a long story.";
    let endless = json!({"num_predict": 1900, "temperature": 1, "seed": 1});
    // Mica ends its stories soon: these go on behind end tokens, or are long enough to be met.
    let cases = [
        (
            "/v1/completions",
            long(json!({"prompt": tell, "max_tokens": 1900, "ignore_eos": true, "stream": true})),
            r#""code":"cancelled""#,
        ),
        (
            "/v1/chat/completions",
            long(json!({"messages": user(tell), "max_tokens": 1900, "ignore_eos": true, "stream": true})),
            r#""code":"cancelled""#,
        ),
        ("/v1/completions", long(json!({"prompt": tell, "max_tokens": 1900, "ignore_eos": true})), "499"),
        (
            "/api/generate",
            long(
                json!({"prompt": tell, "raw": true, "options": endless, "format": {"type": "string", "minLength": 4000}}),
            ),
            r#"{"error":"the request was cancelled"}"#,
        ),
    ];
    for (index, (path, body, wanted)) in cases.into_iter().enumerate() {
        let (id, body) = (format!("mine-{index}"), body.to_string());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {id}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = server.connect(&request);
        until(|| running(&server) == 1);
        let (_, list) = server.ask("GET", "/v1/requests", "", "");
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list["requests"][0]["ids"][0], id, "{list}");
        let (status, answer) = server.ask("POST", &format!("/v1/requests/{id}/cancel"), "", "");
        assert_eq!(status, 200, "{answer}");
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert!(rest.to_lowercase().contains(&format!("x-request-id: {id}")), "{rest}");
        assert!(rest.contains(wanted), "{path}: {rest}");
        until(|| running(&server) == 0);
        assert_eq!(server.ask("DELETE", &format!("/v1/requests/{id}"), "", "").0, 404);
    }
    assert_eq!(server.app.running.list(), []);
}

#[test]
fn an_answer_in_one_piece_is_not_made_for_nobody() {
    let server = Server::plain();
    let body = json!({"model": "mica", "prompt": "The river", "max_tokens": 1900, "ignore_eos": true}).to_string();
    let request =
        format!("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut stream = server.connect(&request);
    stream.flush().unwrap();
    until(|| running(&server) == 1);
    drop(stream);
    until(|| running(&server) == 0);
    assert_eq!(server.app.metrics.finished.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn what_is_inside_of_fields_is_known_or_refused() {
    let server = Server::plain();
    let message = |more: Value| {
        let mut message = json!({"role": "user", "content": "Hi"});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([message])
    };
    let block = |block: Value| json!([{"role": "user", "content": [block]}]);
    let text = json!({"type": "text", "data": "The river is long."});
    let tool = |more: Value| {
        let mut tool = json!({"name": "f", "input_schema": {"type": "object"}});
        tool.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([tool])
    };
    let refused = [
        (0, "messages", message(json!({"temperature": 1})), "temperature"),
        (0, "messages", message(json!({"audio": {"id": "x"}})), "audio"),
        (0, "messages", message(json!({"prefix": true})), "the assistant's"),
        (0, "response_format", json!({"type": "regex"}), "pattern"),
        (0, "response_format", json!({"type": "grammar"}), "grammar"),
        (0, "stream_options", json!({"continuous_usage_stats": true}), "continuous_usage_stats"),
        (1, "stream_options", json!({"chunk_size": 3}), "chunk_size"),
        (2, "truncation", json!("middle"), "auto or disabled"),
        (2, "text", json!({"format": {"type": "text"}, "voice": "x"}), "voice"),
        (2, "reasoning", json!({"budget": 3}), "budget"),
        (3, "messages", message(json!({"name": "x"})), "name"),
        (3, "thinking", json!({"type": "disabled", "effort": "low"}), "effort"),
        (3, "output_config", json!({"task_budget": {"type": "tokens", "total": 9}}), "task_budget"),
        (3, "output_config", json!({"format": {"type": "json_schema"}}), "schema"),
        (3, "tools", json!([{"name": "f"}]), "input_schema"),
        (3, "tools", tool(json!({"defer_loading": true})), "defer_loading"),
        (3, "tools", tool(json!({"allowed_callers": ["code_execution_20250825"]})), "allowed_callers"),
        (3, "tools", tool(json!({"timeout": 3})), "timeout"),
        (3, "messages", block(json!({"type": "document", "source": {"type": "base64", "data": "aGk="}})), "base64"),
        (
            3,
            "messages",
            block(json!({"type": "document", "source": text, "citations": {"enabled": true}})),
            "citations",
        ),
        (4, "messages", message(json!({"weight": 1})), "weight"),
        (4, "top_logprobs", json!(3), "logprobs"),
    ];
    for (index, field, value, part) in refused {
        let (path, body) = &requests()[index];
        let (status, answer) = server.post(path, &with(body, field, value));
        assert!(status == 400 && answer.contains(part), "{path} {field} {part}: {status} {answer}");
    }
    let raw = json!({"model": "mica", "prompt": "Hi", "raw": true, "stream": false});
    for (field, value) in [("system", json!("Be kind.")), ("template", json!("{{ .Prompt }}")), ("think", json!(true))]
    {
        let (status, answer) = server.post("/api/generate", &with(&raw, field, value));
        assert!(status == 400 && answer.contains("raw"), "{field}: {status} {answer}");
    }
    let (status, answer) =
        server.post("/api/generate", &with(&with(&raw, "logprobs", json!(true)), "top_logprobs", json!(21)));
    assert!(status == 400 && answer.contains("between 0 and 20"), "{answer}");
}

#[test]
fn what_is_inside_of_fields_reaches_the_model() {
    let server = Server::plain();
    let content = |path: &str, body: Value| parsed(&server.post(path, &body));
    // The beginning of an answer, in the words of two dialects.
    let begun = |more: Value| {
        let mut message = json!({"role": "assistant", "content": "The capital of France is"});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([{"role": "user", "content": "What is the capital of France?"}, message])
    };
    let chat = |messages: Value| {
        let body = json!({"model": "mica", "messages": messages, "max_tokens": 6, "temperature": 0});
        content("/v1/chat/completions", body)["choices"][0]["message"]["content"].clone()
    };
    let body = json!({"model": "mica", "messages": begun(json!({})), "stream": false, "options": {"num_predict": 6, "temperature": 0}});
    let wanted = content("/api/chat", body)["message"]["content"].clone();
    assert_eq!(chat(begun(json!({"prefix": true}))), wanted);
    assert_eq!(chat(begun(json!({"partial": true}))), wanted);
    assert_ne!(chat(begun(json!({}))), wanted);
    // Calls of the older kind are calls.
    let prompt_tokens = |messages: Value| {
        let body = json!({"model": "mica", "messages": messages, "max_tokens": 1});
        content("/v1/chat/completions", body)["usage"]["prompt_tokens"].as_u64().unwrap()
    };
    let function = json!({"name": "weather", "arguments": "{\"city\": \"Rome\"}"});
    let asked = json!({"role": "user", "content": "How is it?"});
    let older = json!([asked, {"role": "assistant", "content": null, "function_call": function},
        {"role": "function", "name": "weather", "content": "18 degrees"}]);
    let newer = json!([asked, {"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "a", "content": "18 degrees"}]);
    assert_eq!(prompt_tokens(older), prompt_tokens(newer));
    let refused = json!([asked, {"role": "assistant", "content": null, "refusal": "I would rather not."}, asked]);
    let said = json!([asked, {"role": "assistant", "content": "I would rather not."}, asked]);
    assert_eq!(prompt_tokens(refused), prompt_tokens(said));
    // A document's title and what is said of it are read with it.
    let count = |blocks: Value| {
        let body = json!({"model": "mica", "messages": [{"role": "user", "content": blocks}]});
        content("/v1/messages/count_tokens", body)["input_tokens"].as_u64().unwrap()
    };
    let text = json!({"type": "text", "text": "The Nile\nOf a book.\nIt is long."});
    let source = json!({"type": "text", "media_type": "text/plain", "data": "It is long."});
    let document = json!({"type": "document", "source": source, "title": "The Nile", "context": "Of a book."});
    assert_eq!(count(json!([document])), count(json!([text])));
    let source = json!({"type": "content", "content": [{"type": "text", "text": "It is long."}]});
    let document = json!({"type": "document", "source": source, "title": "The Nile", "context": "Of a book."});
    assert_eq!(count(json!([document])), count(json!([text])));
    // A limit of nothing: the prompt is read and cached.
    let long = "The river is long and old. ".repeat(40);
    let ask =
        |most: usize| content("/v1/messages", json!({"model": "mica", "messages": user(&long), "max_tokens": most}));
    let first = ask(0);
    assert_eq!((&first["content"], &first["usage"]["output_tokens"]), (&json!([]), &json!(0)), "{first}");
    assert!(ask(1)["usage"]["cache_read_input_tokens"].as_u64().unwrap() > 200);
    // A template in the place of the model's.
    let generate = |body: Value| {
        let mut whole = json!({"model": "mica", "stream": false, "options": {"num_predict": 8, "temperature": 0}});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        content("/api/generate", whole)
    };
    let template = "{{ .System }}: {{ .Prompt }}";
    let own = generate(json!({"prompt": "the river Nile is", "system": "Long ago", "template": template}));
    let raw = generate(json!({"prompt": "Long ago: the river Nile is", "raw": true}));
    assert_eq!((&own["response"], &own["prompt_eval_count"]), (&raw["response"], &raw["prompt_eval_count"]));
    let broken = json!({"model": "mica", "prompt": "Hi", "template": "{{ .Prompt"});
    assert_eq!(server.post("/api/generate", &broken).0, 400);
}

#[test]
fn strict_tools_are_called_by_their_schema() {
    let server = Server::plain();
    let city = json!({"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"], "additionalProperties": false});
    // A model that wants to call.
    let bias = json!({"16371": 100});
    let openai = |strict: bool| {
        let tool = json!({"type": "function", "function": {"name": "weather", "parameters": city, "strict": strict}});
        let body = json!({"model": "mica", "messages": user("Weather?"), "tools": [tool], "logit_bias": bias,
            "max_tokens": 120, "temperature": 0, "parallel_tool_calls": false});
        parsed(&server.post("/v1/chat/completions", &body))["choices"][0]["message"].clone()
    };
    let message = openai(true);
    let call = &message["tool_calls"][0]["function"];
    assert_eq!(call["name"], "weather", "{message}");
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert!(["Paris", "Rome"].contains(&arguments["city"].as_str().unwrap()), "{message}");
    // Without the promise it writes what it likes.
    let loose = openai(false);
    assert!(
        loose["tool_calls"].as_array().is_none_or(|calls| calls[0]["function"]["arguments"] != call["arguments"]),
        "{loose}"
    );
    let tool = json!({"type": "function", "name": "weather", "parameters": city, "strict": true});
    let body = json!({"model": "mica", "input": "Weather?", "tools": [tool], "logit_bias": bias, "max_output_tokens": 120, "temperature": 0});
    let answer = parsed(&server.post("/v1/responses", &body));
    let mut items = answer["output"].as_array().unwrap().iter();
    let call = items.find(|item| item["type"] == "function_call").expect("a call");
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert!(["Paris", "Rome"].contains(&arguments["city"].as_str().unwrap()), "{answer}");
}
