//! `olivine serve [MODEL]…`: models behind one address for clients of OpenAI, Anthropic and Ollama.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use olivine_engine::{EngineOptions, MemoryBudget, SchedulerOptions, SpeculationOptions, available_bytes};
use olivine_server::state::App;
use olivine_server::{KeepAlive, RegistryOptions, ServerOptions};

use crate::catalog::Sources;
use crate::data;
use crate::model::{ModelOptions, check_exists, path_of};
use crate::signals;

/// Serve models over HTTP.
#[derive(Args)]
pub struct Serve {
    /// Model folders, .gguf files and names to serve beside `mica` (built in) and the models of the store
    models: Vec<String>,
    /// A folder of models; all that lie in it are served (may be given several times)
    #[arg(long, value_name = "FOLDER")]
    models_in: Vec<PathBuf>,
    /// Address to listen at
    #[arg(long, default_value = "127.0.0.1:11434", env = "OLIVINE_HOST")]
    listen: SocketAddr,
    /// A key that clients must show (may be given several times)
    #[arg(long, value_name = "KEY")]
    api_key: Vec<String>,
    /// A file of such keys, one a line
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Origin of web pages that may call, beside those of this machine; `*`: all
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,
    /// Name under which the server may be called, beside those of this machine; `*`: all
    #[arg(long, value_name = "NAME")]
    host_name: Vec<String>,
    /// How long a model stays when nobody uses it: 5m, 1h, 0, -1 (forever)
    #[arg(long, default_value = "5m", value_parser = keep_alive, allow_negative_numbers = true)]
    keep_alive: KeepAlive,
    /// Bytes for everything: weights, activations and caches of all loaded models [default: nine tenths of what the
    /// machine or the container has free]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory: Option<u64>,
    /// Bytes for keys, values and states of each model [default: half of what is free when it is loaded]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    kv_memory: Option<u64>,
    /// Bytes on disk for cached prefixes of each model; 0: none
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "8G")]
    kv_disk: u64,
    /// The same for all models together: those of models that are not loaded give way
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "32G")]
    kv_disk_total: u64,
    /// Folder for cached prefixes [default: the system's for data of programs, or OLIVINE_DATA]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// A small model that guesses tokens for the models named here (for `mica` when none is): answers come faster and
    /// stay the same
    #[arg(long, value_name = "MODEL")]
    draft: Option<String>,
    /// Guess tokens by what followed the last ones earlier in the prompt: answers come faster and stay the same
    #[arg(long)]
    lookup: bool,
    /// A low-rank adapter (a folder of PEFT or mlx-lm) that requests may choose: as the model `base:NAME`, or in the field
    /// `adapter` (may be given several times)
    #[arg(long, value_name = "NAME=FOLDER", value_parser = adapter)]
    adapter: Vec<(String, PathBuf)>,
    /// A folder of adapters; all that lie in it may be chosen (may be given several times)
    #[arg(long, value_name = "FOLDER")]
    adapters_in: Vec<PathBuf>,
    /// Share of its speed that an answer keeps while prompts of others are read, above 0 up to 1
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0.75")]
    decode_share: f64,
    /// Most requests that run at once, for each model
    #[arg(long, default_value_t = 64)]
    max_running: usize,
    /// Most requests that wait, for each model; more are told to come back
    #[arg(long, default_value_t = 64)]
    max_waiting: usize,
    /// Largest request in bytes
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "64M")]
    max_body: u64,
    /// Load these models at once
    #[arg(long)]
    preload: bool,
    /// Load this model at once and keep it, whoever needs the room (may be given several times)
    #[arg(long, value_name = "MODEL")]
    pin: Vec<String>,
    #[command(flatten)]
    options: ModelOptions,
}

impl Serve {
    pub fn run(self) -> Result<ExitCode> {
        for name in &self.models {
            check_exists(name)?;
        }
        if let Some(draft) = &self.draft {
            check_exists(draft)?;
        }
        let api_keys = self.keys()?;
        let memory = self.memory.map_or_else(detected, |bytes| bytes as usize);
        let sources = self.sources(memory)?;
        let options = ServerOptions {
            version: env!("CARGO_PKG_VERSION").into(),
            api_keys,
            origins: self.origin.clone(),
            hosts: self.host_name.clone(),
            body_bytes: self.max_body as usize,
            heartbeat: Duration::from_secs(5),
            registry: RegistryOptions { keep_alive: self.keep_alive, memory_bytes: Some(memory as u64) },
        };
        let library = sources.library();
        let app = App::with_library(options, sources.catalog(), library);
        self.adapter.iter().for_each(|(name, folder)| app.adapters.add(name, folder.clone()));
        self.adapters_in.iter().for_each(|folder| app.adapters.add_all_in(folder.clone()));
        // One worker: with two, each token of an answer would wake both, and what they take is taken from the model.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        runtime.block_on(self.serve(app))?;
        Ok(ExitCode::SUCCESS)
    }

    fn sources(&self, memory: usize) -> Result<Sources> {
        let load = self.options.apply()?;
        let data = self.data.clone().or_else(data::folder);
        if self.kv_disk > 0 && data.is_none() {
            bail!("there is no home folder for cached prefixes; name one with --data, or say --kv-disk 0");
        }
        Ok(Sources {
            models: self.models.clone(),
            folders: self.models_in.clone(),
            load,
            engine: EngineOptions {
                kv_bytes: self.kv_memory.map(|bytes| bytes as usize),
                memory: Some(MemoryBudget::new(memory)),
                max_running: self.max_running,
                max_waiting: self.max_waiting,
                speculation: self.lookup.then(SpeculationOptions::default),
                scheduler: SchedulerOptions { decode_share: self.decode_share, ..SchedulerOptions::default() },
                ..EngineOptions::default()
            },
            draft: self.draft.as_deref().map(path_of).transpose()?.flatten(),
            disk_bytes: self.kv_disk,
            disk_total_bytes: Some(self.kv_disk_total),
            data,
            store: Some(olivine_hub::Store::of_user()),
        })
    }

    async fn serve(&self, app: std::sync::Arc<App>) -> Result<()> {
        let listener = tokio::net::TcpListener::bind(self.listen).await;
        let listener = listener.with_context(|| format!("cannot listen at {}", self.listen))?;
        let here = listener.local_addr()?;
        if !here.ip().is_loopback() && app.options.api_keys.is_empty() {
            eprintln!("olivine: {here} can be reached from other machines and asks for no key (--api-key)");
        }
        for name in &self.pin {
            if let Err(error) = app.registry.pin(name).await {
                bail!("--pin {name}: {}", error.message);
            }
        }
        if self.preload {
            // Of the store only what was named here: it may hold more than any machine.
            let cards = app.registry.list().into_iter().filter(|card| !card.stored).map(|card| card.name);
            for name in cards.chain(self.models.iter().cloned()) {
                if let Err(error) = app.registry.lease(&name, Some(KeepAlive::Forever)).await {
                    bail!("{name}: {}", error.message);
                }
            }
        }
        println!("olivine serves at http://{here}");
        olivine_server::serve(listener, app, interrupted()).await?;
        Ok(())
    }

    fn keys(&self) -> Result<Vec<String>> {
        let mut keys = self.api_key.clone();
        if let Some(path) = &self.api_key_file {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            keys.extend(lines.map(str::to_string));
            if keys.is_empty() {
                bail!("{}: no key in it", path.display());
            }
        }
        if keys.iter().any(String::is_empty) {
            bail!("--api-key: an empty key is none");
        }
        Ok(keys)
    }
}

/// Running answers are finished first, unless somebody asks a second time.
async fn interrupted() {
    signals::end_asked().await;
    eprintln!("olivine: ending; running answers are finished first (Ctrl-C: at once)");
    tokio::spawn(async {
        signals::end_asked().await;
        std::process::exit(130);
    });
}

/// Nine tenths of what is free now; where the system does not tell, 8 GiB.
fn detected() -> usize {
    available_bytes().map_or(8 << 30, |bytes| bytes / 10 * 9)
}

/// The folder is looked at now, so that a mistake is not found by a client.
fn adapter(text: &str) -> Result<(String, PathBuf), String> {
    let (name, folder) = text.split_once('=').ok_or("NAME=FOLDER is wanted")?;
    let folder = PathBuf::from(folder);
    if name.is_empty() || !folder.join("adapter_config.json").is_file() {
        return Err(format!("there is no adapter_config.json in `{}`", folder.display()));
    }
    Ok((name.into(), folder))
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| format!("`{text}` is no share above 0 and up to 1"))
}

fn keep_alive(text: &str) -> Result<KeepAlive, String> {
    olivine_server::api::ollama::parse_keep_alive(text)
        .ok_or_else(|| "a number of seconds or a duration such as 5m, 1h30m, -1 (forever) is wanted".into())
}

/// A number with K, M, G or T behind it (powers of 1024).
fn bytes(text: &str) -> Result<u64, String> {
    let upper = text.to_ascii_uppercase();
    let upper = upper.trim_end_matches("IB").trim_end_matches('B');
    let (digits, shift) = match upper.chars().last() {
        Some('K') => (&upper[..upper.len() - 1], 10),
        Some('M') => (&upper[..upper.len() - 1], 20),
        Some('G') => (&upper[..upper.len() - 1], 30),
        Some('T') => (&upper[..upper.len() - 1], 40),
        _ => (upper, 0),
    };
    let number = digits.trim().parse::<f64>().ok().filter(|number| *number >= 0.0 && number.is_finite());
    number
        .map(|number| (number * f64::from(1u32 << shift.min(30)) * if shift == 40 { 1024.0 } else { 1.0 }) as u64)
        .ok_or_else(|| format!("`{text}` is no number of bytes; 512M and 8G are"))
}
