//! Requests of each dialect to Mica on loopback, as transcripts; and what must not happen.

mod common;

use std::io::Read;
use std::time::{Duration, Instant};

use common::transcript::{check, transcript};
use common::{Server, options};
use olivine_engine::EngineOptions;
use olivine_server::{KeepAlive, RegistryOptions, ServerOptions};
use serde_json::{Value, json};

fn weather() -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!({"type": "function", "function": {"name": "get_weather", "description": "Get the weather", "parameters": parameters}})
}

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

const FRANCE: &str = "What is the capital of France?";
const PARIS: &str = "What's the weather in Paris?";

#[test]
fn openai() {
    let server = Server::plain();
    let chat = |more: Value| {
        let mut body = json!({"model": "mica", "messages": user(FRANCE), "temperature": 0, "max_tokens": 30});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("POST", "/v1/chat/completions", body)
    };
    let cases = [
        ("GET", "/v1/models", Value::Null),
        ("GET", "/v1/models/mica", Value::Null),
        ("GET", "/v1/models/nothing", Value::Null),
        chat(json!({})),
        chat(json!({"stream": true, "stream_options": {"include_usage": true}})),
        chat(json!({"stop": [" France"], "n": 2})),
        chat(json!({"stop": "Paris", "stream": true})),
        chat(json!({"max_tokens": 3})),
        chat(json!({"messages": user(PARIS), "tools": [weather()]})),
        chat(json!({"messages": user(PARIS), "tools": [weather()], "stream": true})),
        chat(json!({"messages": user(PARIS), "tools": [weather()], "tool_choice": "none"})),
        chat(json!({"messages": user("Hello!"), "tools": [weather()], "tool_choice": "required"})),
        chat(
            json!({"messages": user(PARIS), "tools": [weather()], "tool_choice": {"type": "function", "function": {"name": "nothing"}}}),
        ),
        chat(
            json!({"messages": user("Anna is 31."), "response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": {
            "type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"], "additionalProperties": false}}}}),
        ),
        chat(json!({"messages": []})),
        chat(json!({"messages": [{"role": "wizard", "content": "x"}]})),
        chat(json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]})),
        chat(json!({"magic": 1})),
        chat(json!({"temperature": 3})),
        chat(json!({"n": 0})),
        chat(json!({"top_logprobs": 3})),
        chat(json!({"model": "nothing"})),
        chat(json!({"model": "broken"})),
        chat(json!({"messages": user(&"word ".repeat(3000))})),
        (
            "POST",
            "/v1/completions",
            json!({"model": "mica", "prompt": ["The river Nile is the longest", "1, 2, 3, 4, 5,"], "max_tokens": 4, "temperature": 0, "echo": true}),
        ),
        (
            "POST",
            "/v1/completions",
            json!({"model": "mica", "prompt": [440, 3397, 456, 554, 325, 260, 10439], "max_tokens": 2, "temperature": 0, "stream": true}),
        ),
        ("POST", "/v1/completions", json!({"model": "mica", "prompt": "x", "suffix": "y"})),
        ("GET", "/v1/chat/completions", Value::Null),
        ("GET", "/v1/nothing", Value::Null),
    ];
    check("openai", &transcript(&server, &cases));
}

#[test]
fn responses() {
    let server = Server::plain();
    let ask = |more: Value| {
        let mut body = json!({"model": "mica", "input": FRANCE, "temperature": 0, "max_output_tokens": 30});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("POST", "/v1/responses", body)
    };
    let tool = json!({"type": "function", "name": "get_weather", "description": "Get the weather", "parameters": weather()["function"]["parameters"], "strict": true});
    let tools = json!([tool, {"type": "web_search"}, {"type": "custom", "name": "apply_patch"}]);
    let turns = json!([
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": PARIS}]},
        {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{\"city\": \"Paris\"}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "Sunny, 20 degrees"},
    ]);
    let cases = [
        ask(json!({})),
        ask(json!({"stream": true, "instructions": "Be short."})),
        ask(json!({"input": PARIS, "tools": tools, "stream": true})),
        ask(json!({"input": turns, "tools": tools})),
        ask(json!({"max_output_tokens": 2})),
        ask(json!({"previous_response_id": "resp_nothing"})),
        ask(json!({"background": true})),
        ask(json!({"input": [{"type": "item_reference", "id": "x"}]})),
    ];
    check("responses", &transcript(&server, &cases));
    // The second turn sees the first.
    let whole = |body: Value| serde_json::from_str::<Value>(&server.post("/v1/responses", &body).1).unwrap();
    let first = whole(json!({"model": "mica", "input": FRANCE, "temperature": 0}));
    let second =
        whole(json!({"model": "mica", "input": "Thanks!", "previous_response_id": first["id"], "temperature": 0}));
    let tokens = |response: &Value| response["usage"]["input_tokens"].as_u64().unwrap();
    let alone = whole(json!({"model": "mica", "input": "Thanks!", "temperature": 0}));
    assert_eq!(tokens(&second), tokens(&first) + 9 + tokens(&alone));
    let id = first["id"].as_str().unwrap();
    assert_eq!(server.ask("GET", &format!("/v1/responses/{id}"), "", "").0, 200);
    assert_eq!(server.ask("DELETE", &format!("/v1/responses/{id}"), "", "").0, 200);
    assert_eq!(server.ask("GET", &format!("/v1/responses/{id}"), "", "").0, 404);
    let unstored = whole(json!({"model": "mica", "input": FRANCE, "store": false, "max_output_tokens": 1}));
    assert_eq!(server.ask("GET", &format!("/v1/responses/{}", unstored["id"].as_str().unwrap()), "", "").0, 404);
}

#[test]
fn ollama() {
    let server = Server::plain();
    let greedy = json!({"temperature": 0, "num_predict": 20});
    let cases = [
        ("GET", "/", Value::Null),
        ("GET", "/api/version", Value::Null),
        ("GET", "/api/ps", Value::Null),
        ("POST", "/api/generate", json!({"model": "mica"})),
        ("GET", "/api/tags", Value::Null),
        ("POST", "/api/generate", json!({"model": "mica", "prompt": FRANCE, "options": greedy})),
        (
            "POST",
            "/api/generate",
            json!({"model": "mica", "prompt": FRANCE, "options": greedy, "stream": false, "system": "Be short."}),
        ),
        (
            "POST",
            "/api/generate",
            json!({"model": "mica", "prompt": "The river Nile is the longest", "raw": true, "stream": false, "options": {"temperature": 0, "num_predict": 3}}),
        ),
        ("POST", "/api/chat", json!({"model": "mica", "messages": user(FRANCE), "options": greedy})),
        (
            "POST",
            "/api/chat",
            json!({"model": "mica", "messages": user(FRANCE), "options": {"temperature": 0, "stop": ["France"]}, "stream": false}),
        ),
        (
            "POST",
            "/api/chat",
            json!({"model": "mica", "messages": [{"role": "user", "content": FRANCE}, {"role": "assistant", "content": "The capital of"}], "options": greedy, "stream": false}),
        ),
        (
            "POST",
            "/api/chat",
            json!({"model": "mica", "messages": user(PARIS), "tools": [weather()], "options": {"temperature": 0}}),
        ),
        ("POST", "/api/chat", json!({"model": "mica", "messages": []})),
        ("POST", "/api/chat", json!({"model": "mica", "messages": user("x"), "options": {"mirostat": 1}})),
        ("POST", "/api/chat", json!({"model": "mica", "messages": user("x"), "options": {"wonder": 1}})),
        ("POST", "/api/chat", json!({"model": "mica", "messages": user("x"), "format": "xml"})),
        ("POST", "/api/chat", json!({"model": "mica", "messages": user("x"), "think": "very"})),
        ("POST", "/api/chat", json!({"model": "nothing", "messages": user("x")})),
        ("POST", "/api/chat", json!({"messages": user("x")})),
        ("POST", "/api/show", json!({"model": "nothing"})),
        ("POST", "/api/generate", json!({"model": "mica", "keep_alive": 0})),
        ("GET", "/api/ps", Value::Null),
    ];
    check("ollama", &transcript(&server, &cases));
}

#[test]
fn anthropic() {
    let server = Server::plain();
    let tool = json!({"name": "get_weather", "description": "Get the weather", "input_schema": weather()["function"]["parameters"]});
    let message = |more: Value| {
        let mut body = json!({"model": "mica", "messages": user(FRANCE), "temperature": 0, "max_tokens": 30});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("POST", "/v1/messages", body)
    };
    let result = json!([
        {"role": "user", "content": PARIS},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "Sunny, 20 degrees"}]}]},
    ]);
    let cases = [
        message(json!({})),
        message(json!({"stream": true})),
        message(json!({"stop_sequences": ["Paris"]})),
        message(json!({"max_tokens": 2})),
        message(json!({"messages": user(PARIS), "tools": [tool]})),
        message(json!({"messages": user(PARIS), "tools": [tool], "stream": true})),
        message(json!({"messages": result, "tools": [tool]})),
        (
            "POST",
            "/v1/messages/count_tokens",
            json!({"model": "mica", "messages": user(FRANCE), "system": "Be short."}),
        ),
        (
            "POST",
            "/v1/messages/count_tokens",
            json!({"model": "mica", "messages": user(FRANCE), "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=1a2b3;"}, {"type": "text", "text": "Be short."}]}),
        ),
        message(json!({"max_tokens": null})),
        message(json!({"messages": [{"role": "user", "content": [{"type": "image"}]}]})),
        message(json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]})),
        message(json!({"tools": [tool], "tool_choice": {"type": "any"}})),
        message(json!({"model": "nothing"})),
        message(json!({"magic": true})),
    ];
    check("anthropic", &transcript(&server, &cases));
}

#[test]
fn our_own() {
    let server = Server::plain();
    let (_, tokens) = server.post("/v1/tokenize", &json!({"model": "mica", "prompt": "The river Nile is"}));
    assert_eq!(tokens, r#"{"tokens":[440,3397,456,554,325],"count":5,"max_model_len":2048}"#);
    let (_, text) = server.post("/v1/detokenize", &json!({"model": "mica", "tokens": [440, 3397, 456, 554, 325]}));
    assert_eq!(text, r#"{"prompt":"The river Nile is"}"#);
    let long = "The river Nile is long. ".repeat(30);
    let ask = json!({"model": "mica", "prompt": long, "max_tokens": 1, "temperature": 0});
    let probe = json!({"model": "mica", "prompt": long});
    let probed = |server: &Server| serde_json::from_str::<Value>(&server.post("/v1/cache/probe", &probe).1).unwrap();
    assert_eq!(probed(&server)["resumable_tokens"], 0);
    server.post("/v1/completions", &ask);
    let prompt_tokens = probed(&server)["prompt_tokens"].as_u64().unwrap();
    assert_eq!(probed(&server)["resumable_tokens"], prompt_tokens - 1);
    let (_, second) = server.post("/v1/completions", &ask);
    let second: Value = serde_json::from_str(&second).unwrap();
    assert_eq!(second["usage"]["prompt_tokens_details"]["cached_tokens"], prompt_tokens - 1);
    let (status, freed) = server.ask("DELETE", "/v1/cache", "", "");
    assert!(status == 200 && !freed.contains(":0}"), "{freed}");
    assert_eq!(probed(&server)["resumable_tokens"], 0);
    let (_, metrics) = server.ask("GET", "/metrics", "", "");
    assert!(
        metrics.contains("olivine_answers_total 2\n")
            && metrics.contains("olivine_requests_running{model=\"mica\"} 0\n"),
        "{metrics}"
    );
    for path in ["/healthz", "/readyz", "/v1/status", "/v1/cache/stats"] {
        let (status, body) = server.ask("GET", path, "", "");
        assert!(status == 200 && serde_json::from_str::<Value>(&body).is_ok(), "{path}: {body}");
    }
}

#[test]
fn strangers_are_refused() {
    let options = ServerOptions { api_keys: vec!["first".into(), "second".into()], ..options() };
    let server = Server::start(options, EngineOptions::default());
    let status = |headers: &str| server.ask("GET", "/v1/models", headers, "").0;
    assert_eq!(status(""), 401);
    assert_eq!(status("Authorization: Bearer wrong\r\n"), 401);
    assert_eq!(status("Authorization: Bearer second\r\n"), 200);
    assert_eq!(status("x-api-key: first\r\n"), 200);
    assert_eq!(status("Authorization: Bearer first\r\nHost: evil.com\r\n"), 403);
    assert_eq!(status("Authorization: Bearer first\r\nOrigin: https://evil.com\r\n"), 403);
    assert_eq!(status("Authorization: Bearer first\r\nOrigin: http://localhost:3000\r\n"), 200);
    assert_eq!(server.ask("GET", "/healthz", "", "").0, 200);
    let (head, _) = server.raw("OPTIONS", "/v1/models", "Origin: http://localhost:3000\r\n", "");
    assert!(
        head.starts_with("HTTP/1.1 204") && head.contains("access-control-allow-origin: http://localhost:3000"),
        "{head}"
    );
    let large = "x".repeat(2 << 20);
    let key = "Authorization: Bearer first\r\n";
    assert_eq!(server.ask("POST", "/v1/chat/completions", key, &large).0, 413);
}

#[test]
fn who_goes_away_is_not_waited_for() {
    let server = Server::plain();
    let running =
        || server.app.registry.residents().iter().map(|one| one.model.parts.engine.status().running).sum::<usize>();
    let body = json!({"model": "mica", "prompt": "The river", "max_tokens": 2000, "ignore_eos": true, "stream": true});
    let body = body.to_string();
    let request =
        format!("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut stream = server.connect(&request);
    let mut some = [0; 400];
    stream.read_exact(&mut some).unwrap();
    let started = Instant::now();
    while running() == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "the request does not run");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(stream);
    while running() > 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "the request still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
    let cancelled = server.app.metrics.finished.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(cancelled, 0, "nobody was there to be told the end");
}

#[test]
fn more_than_the_queue_holds_are_told_to_come_back() {
    let engine = EngineOptions { max_running: 1, max_waiting: 1, ..EngineOptions::default() };
    let server = Server::start(options(), engine);
    server.post("/api/generate", &json!({"model": "mica"}));
    let body = json!({"model": "mica", "prompt": "The river", "max_tokens": 1500, "ignore_eos": true}).to_string();
    let request =
        format!("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let (waiting, running) = (
        |server: &Server| server.app.registry.residents()[0].model.parts.engine.status().waiting,
        |server: &Server| server.app.registry.residents()[0].model.parts.engine.status().running,
    );
    let started = Instant::now();
    let until = |what: &dyn Fn() -> bool| {
        while !what() {
            assert!(started.elapsed() < Duration::from_secs(120));
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    let first = server.connect(&request);
    until(&|| running(&server) == 1);
    let second = server.connect(&request);
    until(&|| waiting(&server) == 1);
    let ask = json!({"model": "mica", "prompt": "x", "max_tokens": 1});
    let (head, body) = server.raw("POST", "/v1/completions", "", &ask.to_string());
    assert!(head.starts_with("HTTP/1.1 429") && head.contains("retry-after: "), "{head} {body}");
    let (status, body) = server.post("/api/generate", &json!({"model": "mica", "prompt": "x"}));
    assert_eq!(
        (status, body.as_str()),
        (503, r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#)
    );
    let (status, _) = server.post("/v1/messages", &json!({"model": "mica", "max_tokens": 1, "messages": user("x")}));
    assert_eq!(status, 529);
    drop((first, second));
}

#[test]
fn models_come_and_go() {
    // Room for one: the second model takes the place of the first.
    let registry = RegistryOptions { keep_alive: KeepAlive::Forever, memory_bytes: Some(40_000_000) };
    let server = Server::start(ServerOptions { registry, ..options() }, EngineOptions::default());
    let names = |server: &Server| -> Vec<String> {
        server.app.registry.residents().iter().map(|one| one.model.card.name.clone()).collect()
    };
    let ask = |model: &str| server.post("/v1/completions", &json!({"model": model, "prompt": "x", "max_tokens": 1}));
    assert_eq!(ask("mica").0, 200);
    assert_eq!(names(&server), ["mica"]);
    assert_eq!(ask("other").0, 200);
    assert_eq!(names(&server), ["other"]);
    assert_eq!(ask("broken").0, 500);
    assert_eq!(server.post("/api/generate", &json!({"model": "mica", "keep_alive": "1h"})).0, 200);
    assert_eq!(names(&server), ["mica"]);
    assert_eq!(server.post("/api/generate", &json!({"model": "mica", "keep_alive": 0})).0, 200);
    assert!(names(&server).is_empty());
}

#[test]
fn an_end_lets_answers_end() {
    let mut server = Server::plain();
    server.post("/api/generate", &json!({"model": "mica"}));
    let body = json!({"model": "mica", "prompt": "The river", "max_tokens": 200, "ignore_eos": true, "stream": true})
        .to_string();
    let request = format!(
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = server.connect(&request);
    let mut some = [0; 400];
    stream.read_exact(&mut some).unwrap();
    server.end();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("data: [DONE]"), "{rest}");
}

#[test]
fn responses_tell_probabilities_of_their_text() {
    let server = Server::plain();
    let base = json!({"model": "mica", "input": "What is the capital of France?", "temperature": 0,
        "max_output_tokens": 20, "include": ["message.output_text.logprobs"], "top_logprobs": 2});
    let (status, answer) = server.post("/v1/responses", &base);
    assert_eq!(status, 200, "{answer}");
    let whole: Value = serde_json::from_str(&answer).unwrap();
    let part = &whole["output"][0]["content"][0];
    let list = part["logprobs"].as_array().expect("a list");
    let text: String = list.iter().filter_map(|token| token["token"].as_str()).collect();
    assert!(part["text"].as_str().unwrap().starts_with(text.trim_start()) && list.len() > 3, "{part}");
    assert!(
        list.iter().all(|token| token["top_logprobs"].as_array().map(Vec::len) == Some(2)
            && token["logprob"].as_f64().unwrap() <= 0.0),
        "{part}"
    );
    // The same in a stream: with each delta, and all together at the end.
    let mut streamed = base.clone();
    streamed["stream"] = json!(true);
    let events = server.post("/v1/responses", &streamed).1;
    let documents: Vec<Value> =
        events.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let of = |kind: &str| documents.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
    let deltas: Vec<Value> = of("response.output_text.delta")
        .iter()
        .flat_map(|event| event["logprobs"].as_array().cloned().unwrap_or_default())
        .collect();
    assert_eq!(&deltas, list);
    assert_eq!(of("response.output_text.done")[0]["logprobs"], part["logprobs"]);
    assert_eq!(
        of("response.completed").iter().chain(&of("response.incomplete")).next().unwrap()["response"]["output"][0]["content"]
            [0]["logprobs"],
        part["logprobs"]
    );
    // Nobody asked: none. Only the count: they come too.
    let mut plain = base.clone();
    plain.as_object_mut().unwrap().remove("include");
    let asked: Value = serde_json::from_str(&server.post("/v1/responses", &plain).1).unwrap();
    assert_eq!(asked["output"][0]["content"][0]["logprobs"], part["logprobs"]);
    plain.as_object_mut().unwrap().remove("top_logprobs");
    let silent: Value = serde_json::from_str(&server.post("/v1/responses", &plain).1).unwrap();
    assert_eq!(silent["output"][0]["content"][0]["logprobs"], json!([]));
    plain["top_logprobs"] = json!(21);
    assert_eq!(server.post("/v1/responses", &plain).0, 400);
}
