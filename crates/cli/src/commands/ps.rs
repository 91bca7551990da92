//! `olivine ps`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use olivine_hub::LocalServer;
use serde_json::Value;

use crate::library::human_bytes;
use crate::table;

/// List the models that the server has loaded.
#[derive(Args)]
pub struct Ps {
    /// Print the server's own words, as JSON
    #[arg(long)]
    json: bool,
}

impl Ps {
    pub fn run(self) -> Result<ExitCode> {
        let status = server()?.get("/v1/status")?;
        if self.json {
            println!("{status:#}");
            return Ok(ExitCode::SUCCESS);
        }
        let models = status["models"].as_array().cloned().unwrap_or_default();
        let rows: Vec<Vec<String>> = models.iter().map(row).collect();
        let heads = [
            "NAME",
            "DEVICE",
            "FORMAT",
            "MEMORY",
            "CONTEXT",
            "KV CACHE",
            "REQUESTS",
            "TOKENS/S",
            "CACHE HITS",
            "UNTIL",
        ];
        table::print(&heads, &rows);
        Ok(ExitCode::SUCCESS)
    }
}

/// The server of this machine.
pub fn server() -> Result<LocalServer> {
    LocalServer::find().context("no server answers; `olivine serve` starts one (OLIVINE_HOST says where it is)")
}

fn row(model: &Value) -> Vec<String> {
    let number = |key: &str| model[key].as_u64().unwrap_or(0);
    let text = |key: &str| model[key].as_str().unwrap_or_default().to_string();
    let (used, budget) = (number("kv_bytes_used"), number("kv_bytes_budget"));
    let until = match (model["expires_in_seconds"].as_u64(), number("requests")) {
        (_, 1..) => "in use".into(),
        (None, _) => "forever".into(),
        (Some(seconds), _) => format!("{}:{:02} min from now", seconds / 60, seconds % 60),
    };
    let device = match (model["device_bytes"].as_u64(), model["device_layers"].as_u64()) {
        (None, _) => text("device"),
        (Some(all), None) => {
            format!("{} ({} of {})", text("device"), human_bytes(number("device_bytes_used")), human_bytes(all))
        }
        (Some(all), Some(layers)) => {
            let used = human_bytes(number("device_bytes_used"));
            format!("{} ({used} of {}; {layers} layers, CPU the others)", text("device"), human_bytes(all))
        }
    };
    vec![
        text("name"),
        device,
        text("quantization"),
        human_bytes(number("weight_bytes")),
        number("context_tokens").to_string(),
        format!("{} of {}", human_bytes(used), human_bytes(budget)),
        format!("{} + {} waiting", number("running"), number("waiting")),
        format!("{:.1}", model["tokens_per_second"].as_f64().unwrap_or(0.0)),
        format!("{:.0} %", 100.0 * model["cached_share"].as_f64().unwrap_or(0.0)),
        until,
    ]
}
