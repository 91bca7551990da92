//! A server whose model `script` says what a file of lines says, beside the real `mica`: for trying clients and the page
//! with answers that think, call tools and go on, which no small model gives.
//!
//! `cargo run --release -p olivine-server --example scripted -- FILE [PORT] [MILLISECONDS]`; a line of the file is
//! `{"when": "a part of the last turn", "say": "<think>…</think>text<tool_call>…"}`. Read `tests/common` for how.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Duration;

use olivine_server::ServerOptions;
use olivine_server::state::App;
use serde_json::Value;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("a file of lines is wanted");
    let port: u16 = arguments.next().map_or(11434, |text| text.parse().expect("a port is a number"));
    let pace_ms: u64 = arguments.next().map_or(0, |text| text.parse().expect("milliseconds are a number"));
    let text = std::fs::read_to_string(&file).expect("the file can be read");
    let line = |line: &str| {
        let value: Value = serde_json::from_str(line).expect("a line is JSON");
        let field = |name: &str| value[name].as_str().unwrap_or_default().to_string();
        (field("when"), field("say"))
    };
    let lines = text.lines().filter(|line| !line.trim().is_empty()).map(line).collect();
    let options = ServerOptions { body_bytes: 64 << 20, heartbeat: Duration::from_secs(5), ..common::options() };
    let app = App::new(options, common::scripted_catalog(lines, Duration::from_millis(pace_ms)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
        println!("http://{}", listener.local_addr().unwrap());
        olivine_server::serve(listener, app, std::future::pending()).await.unwrap();
    });
}
