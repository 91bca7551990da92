//! Many clients, and such as behave badly: what the others notice of it is nothing.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Server, options};
use olivine_engine::{EngineOptions, Status};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(120);

/// How the only model's engine fares.
fn status(server: &Server) -> Status {
    server.app.registry.residents()[0].model.parts.engine.status()
}

fn until(what: impl Fn() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(started.elapsed() < PATIENCE, "it did not come to that");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn completion(more: Value) -> Value {
    let mut body = json!({"model": "mica", "prompt": "The river", "temperature": 0, "max_tokens": 24});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// The text of a completion that must succeed.
fn text(server: &Server) -> String {
    let (status, body) = server.post("/v1/completions", &completion(json!({})));
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["choices"][0]["text"].as_str().unwrap().to_string()
}

/// A value of this process that the system tells in kilobytes; none elsewhere than on Linux.
fn of_process(file: &str, name: &str) -> Option<usize> {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Every client has a socket here and one in the server: as many at a time as this process may have.
fn clients_at_a_time(most: usize) -> usize {
    let files = of_process("limits", "Max open files").unwrap_or(256);
    most.min(files.saturating_sub(100) / 2)
}

fn together(count: usize, client: impl Fn(usize) + Send + Sync + 'static) {
    let client = Arc::new(client);
    let threads: Vec<_> = (0..count)
        .map(|number| {
            let client = client.clone();
            std::thread::Builder::new().stack_size(256 << 10).spawn(move || client(number)).unwrap()
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_thousand_clients_against_a_queue_of_64() {
    let engine = EngineOptions { max_running: 16, max_waiting: 64, ..EngineOptions::default() };
    let server = Arc::new(Server::start(options(), engine));
    let expected = text(&server);
    let before = of_process("status", "VmRSS:").unwrap_or(0);
    let counts = Arc::new(std::sync::Mutex::new([0; 2]));
    let mut left = 1000;
    while left > 0 {
        let now = clients_at_a_time(left);
        assert!(now > 0, "this process may not open files");
        left -= now;
        let (server, expected, counts) = (server.clone(), expected.clone(), counts.clone());
        together(now, move |_| {
            let (head, body) = server.raw("POST", "/v1/completions", "", &completion(json!({})).to_string());
            let answer: Value = serde_json::from_str(&body).unwrap();
            let refused = head.starts_with("HTTP/1.1 429");
            if refused {
                let after = head.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
                assert!((1..=60).contains(&after.parse().unwrap()), "{head}");
                assert_eq!(answer["error"]["code"], "queue_full", "{body}");
            } else {
                assert!(head.starts_with("HTTP/1.1 200"), "{head} {body}");
                assert_eq!(answer["choices"][0]["text"], expected.as_str());
            }
            counts.lock().unwrap()[usize::from(refused)] += 1;
        });
    }
    let [answered, refused] = *counts.lock().unwrap();
    assert_eq!(answered + refused, 1000);
    // 16 and 64 can always be served; how many more depends on how fast they come.
    assert!(answered >= 80, "{answered} answered");
    until(|| status(&server).running + status(&server).waiting == 0);
    assert_eq!(text(&server), expected);
    let after = of_process("status", "VmRSS:").unwrap_or(0);
    assert!(after < before + 300_000, "memory grew from {before} to {after} KB");
}

#[test]
fn more_clients_than_there_is_room_for_are_refused() {
    // Slow steps: all of these come while the first are being answered.
    let on_step = Arc::new(|_: &[(olivine_engine::RequestId, usize)]| std::thread::sleep(Duration::from_millis(20)));
    let engine = EngineOptions { max_running: 4, max_waiting: 8, on_step: Some(on_step), ..EngineOptions::default() };
    let server = Arc::new(Server::start(options(), engine));
    text(&server);
    let refused = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (asked, counted) = (server.clone(), refused.clone());
    together(100, move |_| {
        let (status, _) = asked.post("/v1/completions", &completion(json!({"max_tokens": 60, "ignore_eos": true})));
        assert!([200, 429].contains(&status), "{status}");
        counted.fetch_add(usize::from(status == 429), std::sync::atomic::Ordering::Relaxed);
    });
    let refused = refused.load(std::sync::atomic::Ordering::Relaxed);
    // Whether the first four are running already when the queue is full depends on how fast the others come.
    assert!((1..=92).contains(&refused), "{refused} of 100 were refused");
}

#[test]
fn who_reads_nothing_holds_nobody_up() {
    let server = Server::plain();
    let expected = text(&server);
    // Far more than buffers of the system hold.
    let body = completion(
        json!({"max_tokens": 800, "ignore_eos": true, "logprobs": 5, "n": 8, "stream": true, "temperature": 1, "seed": 1}),
    );
    let body = body.to_string();
    let request =
        format!("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut deaf = server.connect(&request);
    until(|| status(&server).running == 8);
    for _ in 0..5 {
        assert_eq!(text(&server), expected, "beside one that does not read");
    }
    until(|| status(&server).running == 0);
    // All of it is kept for the client that comes to itself.
    let mut answer = String::new();
    deaf.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut piece = [0; 65536];
    while !answer.contains("data: [DONE]") {
        let count = deaf.read(&mut piece).unwrap();
        assert!(count > 0, "the answer broke off after {} bytes", answer.len());
        answer += std::str::from_utf8(&piece[..count]).unwrap_or_default();
    }
    assert_eq!(answer.matches("\"finish_reason\":\"length\"").count(), 8);
}

#[test]
fn who_goes_away_at_any_time_leaves_nothing_behind() {
    let server = Arc::new(Server::plain());
    let expected = text(&server);
    let address = server.address;
    together(60, move |number| {
        let paths = ["/v1/completions", "/v1/chat/completions", "/api/generate", "/v1/messages"];
        let body = json!({
            "model": "mica", "prompt": "The river", "max_tokens": 1500, "stream": true,
            "messages": [{"role": "user", "content": "Count to a thousand."}],
        });
        let fields: &[&str] = match number % 4 {
            0 => &["model", "prompt", "max_tokens", "stream"],
            2 => &["model", "prompt", "stream"],
            _ => &["model", "messages", "max_tokens", "stream"],
        };
        let body: serde_json::Map<String, Value> =
            fields.iter().map(|name| (name.to_string(), body[*name].clone())).collect();
        let body = Value::Object(body).to_string();
        let path = paths[number % 4];
        let length = body.len();
        let request = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}");
        // Some leave in the middle of their request, some after it, some in the middle of the answer.
        let sent = if number < 20 { request.len() * number / 20 } else { request.len() };
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&request.as_bytes()[..sent]).unwrap();
        if number >= 40 {
            let mut some = vec![0; (number - 39) * 20];
            let _ = stream.read(&mut some);
        }
    });
    until(|| status(&server).running + status(&server).waiting == 0);
    until(|| server.app.registry.residents()[0].leases == 0);
    assert_eq!(text(&server), expected);
}

#[test]
fn what_memory_does_not_hold_is_refused_at_once_and_the_rest_goes_on() {
    // Room for a few hundred tokens of Mica.
    let engine = EngineOptions { kv_bytes: Some(3 << 20), ..EngineOptions::default() };
    let server = Arc::new(Server::start(options(), engine));
    let expected = text(&server);
    let long = "word ".repeat(1200);
    let chat = |name: &str| json!({"model": "mica", name: 1500, "messages": [{"role": "user", "content": long}]});
    let refusals = [
        ("/v1/completions", json!({"model": "mica", "prompt": long})),
        ("/v1/chat/completions", chat("max_tokens")),
        ("/v1/messages", chat("max_tokens")),
        ("/v1/responses", json!({"model": "mica", "input": long})),
        ("/api/generate", json!({"model": "mica", "prompt": long, "raw": true})),
    ];
    for (path, body) in &refusals {
        let (status, answer) = server.post(path, body);
        assert_eq!(status, 400, "{path}: {answer}");
        assert!(answer.contains("bytes"), "{path} does not say what is missing: {answer}");
    }
    // More than fit at once, but each by itself does: they wait for each other.
    let (asked, told) = (server.clone(), expected.clone());
    together(24, move |_| assert_eq!(text(&asked), told));
    assert!(status(&server).kv_bytes_used <= 3 << 20);
}
