//! What a token costs on its way through the engine and HTTP: tokens a second at a client on loopback, beside
//! `Model::step` alone, in turns of a fraction of a second, for a machine's speed drifts more than the difference.
//!
//! `cargo run --release -p olivine-server --example overhead -- MODEL [ROUNDS] [TOKENS]`. Prints the median of the ratios
//! and the quartiles around it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use olivine_engine::{Engine, EngineOptions};
use olivine_lm::language_model::LanguageModel;
use olivine_lm::model::{LoadOptions, Model, Outputs, Work};
use olivine_server::state::App;
use olivine_server::{Catalog, KeepAlive, ModelCard, ModelParts, RegistryOptions, ServerOptions};
use serde_json::json;

const PROMPT_TOKENS: usize = 128;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual| arguments.get(at).map_or(usual, |text| text.parse().expect("a number"));
    let (rounds, tokens) = (number(1, 60), number(2, 128));
    let path = PathBuf::from(arguments.first().expect("a model"));
    let options = || LoadOptions { context_tokens: Some(2048), ..LoadOptions::default() };
    let mut model = Model::open(&path, &options()).expect("a model");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let app = App::new(server_options(), catalog(path, options()));
    runtime.spawn(async move { olivine_server::serve(listener, app, std::future::pending()).await });
    let (mut ratios, mut served, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let one = at_the_client(address, round, tokens);
        // What the engine does behind an answer is not the other's burden.
        std::thread::sleep(Duration::from_millis(100));
        let other = by_itself(&mut model, tokens);
        // The first round warms up.
        if round > 0 {
            ratios.push(one / other);
            served.push(one);
            alone.push(other);
        }
    }
    let at = |values: &mut Vec<f64>, share: f64| {
        values.sort_by(f64::total_cmp);
        values[((values.len() - 1) as f64 * share) as usize]
    };
    println!(
        "{rounds} rounds of {tokens} tokens: {:.1} tokens/s at the client, {:.1} of the model alone (medians); ratio {:.3} ({:.3} to \
         {:.3})",
        at(&mut served, 0.5),
        at(&mut alone, 0.5),
        at(&mut ratios, 0.5),
        at(&mut ratios, 0.25),
        at(&mut ratios, 0.75),
    );
    std::process::exit(0);
}

fn server_options() -> ServerOptions {
    ServerOptions {
        version: "0".into(),
        api_keys: Vec::new(),
        origins: Vec::new(),
        hosts: Vec::new(),
        body_bytes: 1 << 20,
        heartbeat: Duration::from_secs(5),
        registry: RegistryOptions { keep_alive: KeepAlive::Forever, memory_bytes: None },
    }
}

fn catalog(path: PathBuf, options: LoadOptions) -> Catalog {
    let card = || ModelCard { name: "model".into(), ..ModelCard::default() };
    let load = move |_: &ModelCard| parts(&path, &options);
    Catalog {
        list: Arc::new(move || vec![card()]),
        find: Arc::new(move |name| (name == "model").then(card)),
        load: Arc::new(load),
    }
}

fn parts(path: &Path, options: &LoadOptions) -> Result<ModelParts, String> {
    let model = LanguageModel::open(path, options).map_err(|error| error.to_string())?;
    Ok(ModelParts {
        tokenizer: model.tokenizer,
        template: model.template,
        end_tokens: model.end_tokens,
        sampling: model.sampling,
        weight_bytes: 1,
        engine: Engine::start(model.model, EngineOptions::default()),
    })
}

fn prompt(round: usize) -> Vec<u32> {
    (0..PROMPT_TOKENS).map(|at| ((at * 31 + round * 7) % 1000 + 100) as u32).collect()
}

/// Tokens a second from the first to the last frame of a stream.
fn at_the_client(address: SocketAddr, round: usize, tokens: usize) -> f64 {
    let body =
        json!({"model": "model", "prompt": prompt(round), "max_tokens": tokens, "temperature": 0, "ignore_eos": true,
        "stream": true})
        .to_string();
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = format!(
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}",
        body.len()
    );
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).expect("it reads");
    let (mut buffer, mut tail) = (vec![0; 1 << 16], Vec::new());
    let (mut first, mut last) = (None::<Instant>, Instant::now());
    loop {
        let count = stream.read(&mut buffer).expect("it answers");
        if count == 0 {
            let answer = String::from_utf8_lossy(&tail);
            assert!(answer.contains("[DONE]"), "{answer}");
            return (tokens - 1) as f64 / (last - first.expect("a frame")).as_secs_f64();
        }
        let now = Instant::now();
        // The last frame with data comes with the end.
        if buffer[..count].windows(6).any(|bytes| bytes == b"data: ") {
            first.get_or_insert(now);
            last = now;
        }
        tail = buffer[count.saturating_sub(64)..count].to_vec();
    }
}

/// Tokens a second of the same steps without anything around them.
fn by_itself(model: &mut Model, tokens: usize) -> f64 {
    let mut sequence = model.cache().sequence();
    model.step(&mut [Work { sequence: &mut sequence, tokens: &prompt(0), outputs: Outputs::Last }]);
    let began = Instant::now();
    for token in 1..tokens as u32 {
        let logits = model.step(&mut [Work { sequence: &mut sequence, tokens: &[token], outputs: Outputs::Last }]);
        std::hint::black_box(logits);
    }
    let seconds = began.elapsed().as_secs_f64();
    model.cache().release(sequence);
    (tokens - 1) as f64 / seconds
}
