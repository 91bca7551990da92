//! `GET /healthz`, `/readyz`, `/metrics`, `/v1/status`.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use olivine_engine::available_bytes;
use serde_json::{Value, json};

use crate::registry::Resident;
use crate::respond;
use crate::state::App;

/// The process runs.
pub async fn healthz() -> Response {
    respond::json(StatusCode::OK, &json!({"status": "ok"}))
}

/// Requests are taken.
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    respond::json(StatusCode::OK, &json!({"status": "ready", "models": app.registry.residents().len()}))
}

/// Prometheus' text form.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut text = String::new();
    let m = &app.metrics;
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let counters = [
        ("http_requests_total", "HTTP requests.", read(&m.requests)),
        ("http_errors_total", "HTTP answers with a status of 400 or more.", read(&m.errors)),
        ("answers_total", "Answers that ended.", read(&m.finished)),
        ("answers_failed_total", "Answers that failed.", read(&m.failed)),
        ("prompt_tokens_total", "Prompt tokens of answers that ended.", read(&m.prompt_tokens)),
        ("cached_tokens_total", "Prompt tokens that were cached.", read(&m.cached_tokens)),
        ("answer_tokens_total", "Tokens of answers.", read(&m.answer_tokens)),
        ("prefill_microseconds_total", "Time spent on prompts, over all answers.", read(&m.prefill_us)),
        ("decode_microseconds_total", "Time spent on answers, over all answers.", read(&m.decode_us)),
    ];
    for (name, help, value) in counters {
        let _ = write!(text, "# HELP olivine_{name} {help}\n# TYPE olivine_{name} counter\nolivine_{name} {value}\n");
    }
    let residents = app.registry.residents();
    let mut gauge = |name: &str, help: &str, value: &dyn Fn(&Resident) -> f64| {
        let _ = write!(text, "# HELP olivine_{name} {help}\n# TYPE olivine_{name} gauge\n");
        for resident in &residents {
            let model = resident.model.card.name.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(text, "olivine_{name}{{model=\"{model}\"}} {}", value(resident));
        }
    };
    let status = |resident: &Resident| resident.model.parts.engine.status();
    gauge("requests_running", "Requests that run.", &|r| status(r).running as f64);
    gauge("requests_waiting", "Requests that wait.", &|r| status(r).waiting as f64);
    gauge("kv_bytes_used", "Bytes of keys, values and states in use.", &|r| status(r).kv_bytes_used as f64);
    gauge("kv_bytes_budget", "Bytes of them that may be in use.", &|r| status(r).kv_bytes_budget as f64);
    gauge("tokens_per_second", "Tokens of answers a second.", &|r| status(r).tokens_per_second);
    gauge("weight_bytes", "Bytes of weights.", &|r| r.model.parts.weight_bytes as f64);
    let mut response = Response::new(text.into());
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What the server is doing.
pub async fn status(State(app): State<Arc<App>>) -> Response {
    let mut models: Vec<Value> = app.registry.residents().iter().map(model).collect();
    for model in models.iter_mut().filter(|model| model["device"].is_null()) {
        model["device"] = json!(app.library.as_ref().map_or("CPU", |library| &library.device));
    }
    let document = json!({
        "version": app.options.version,
        "uptime_seconds": app.started.elapsed().as_secs(),
        "requests": app.metrics.requests.load(Ordering::Relaxed),
        "memory": {"resident_bytes": resident_bytes(), "available_bytes": available_bytes()},
        "models": models,
    });
    respond::json(StatusCode::OK, &document)
}

/// What the process holds in memory; none where the system does not tell.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn model(resident: &Resident) -> Value {
    let card = &resident.model.card;
    let status = resident.model.parts.engine.status();
    let share = status.cached_tokens as f64 / status.prompt_tokens.max(1) as f64;
    json!({
        "name": card.name,
        "device": status.device,
        "device_bytes_used": status.device_bytes_used,
        "device_bytes": status.device_bytes,
        "device_layers": status.device_layers,
        "format": card.format,
        "quantization": card.quantization,
        "weight_bytes": resident.model.parts.weight_bytes,
        "context_tokens": resident.model.parts.engine.context_tokens(),
        "load_seconds": resident.model.load.as_secs_f64(),
        "expires_in_seconds": resident.expires_in.map(|time| time.as_secs()),
        "requests": resident.leases,
        "adapters": resident.model.parts.engine.adapters().into_iter().map(|info| info.name).collect::<Vec<_>>(),
        "running": status.running,
        "waiting": status.waiting,
        "kv_bytes_used": status.kv_bytes_used,
        "kv_bytes_cached": status.kv_bytes_cached,
        "kv_bytes_budget": status.kv_bytes_budget,
        "disk_bytes": status.disk_bytes,
        "memory_bytes": resident.model.parts.engine.memory_bytes(),
        "tokens_per_second": status.tokens_per_second,
        "prompt_tokens": status.prompt_tokens,
        "cached_tokens": status.cached_tokens,
        "cached_share": share,
        "answer_tokens": status.answer_tokens,
        "drafted_tokens": status.drafted_tokens,
        "accepted_tokens": status.accepted_tokens,
        "preempted": status.preempted,
        "panics": status.panics,
    })
}
