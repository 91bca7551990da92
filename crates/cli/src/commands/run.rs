//! `olivine run [MODEL] [PROMPT]`: one answer, or a chat on a terminal.
//!
//! What comes on standard input joins the prompt. A server that is already there answers, so that a model is loaded
//! once; without one the model is loaded here. Read next: `chat.rs`, `talker.rs`.

mod chat;
mod editor;
mod output;
mod remote;
mod settings;
mod talker;
mod thinking;

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use olivine_lm::generate::{GenerateOptions, Session};
use olivine_lm::language_model::LanguageModel;
use olivine_lm::sampling_options::SamplingOptions;
use serde_json::json;

use crate::built_in;
use crate::library::{self, Overlay};
use crate::model::{ModelOptions, names_model};
use output::{Spinner, Style, print_timings};
use remote::Remote;
use settings::{Settings, thinking_variables};
use talker::Talker;

/// Answer a prompt, or chat when there is none and this is a terminal.
#[derive(Args)]
pub struct Run {
    /// A model folder, a .gguf file, a name of `olivine list`, or `mica` (built in); then the prompt
    #[arg(value_name = "[MODEL] [PROMPT]")]
    words: Vec<String>,
    #[command(flatten)]
    model: ModelOptions,
    /// A low-rank adapter of the model: a folder as PEFT or mlx-lm writes it
    #[arg(long, value_name = "FOLDER")]
    adapter: Option<PathBuf>,
    /// A system message
    #[arg(long)]
    system: Option<String>,
    /// Complete the prompt as it is, without the chat template
    #[arg(long, conflicts_with_all = ["system", "think"])]
    raw: bool,
    /// Let a thinking model think, or not (true, false)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    think: Option<bool>,
    /// Show the answer without the thinking before it
    #[arg(long)]
    hide_thinking: bool,
    /// Longest answer in tokens
    #[arg(short = 'n', long, value_name = "TOKENS")]
    max_tokens: Option<usize>,
    /// 0: always the most likely token [default: what the model's makers recommend]
    #[arg(long, allow_negative_numbers = true, value_parser = not_negative)]
    temperature: Option<f32>,
    /// Choose among the k most likely tokens (0: all)
    #[arg(long)]
    top_k: Option<usize>,
    /// Choose among the most likely tokens up to this sum
    #[arg(long)]
    top_p: Option<f32>,
    /// Leave out tokens below this share of the most likely one
    #[arg(long)]
    min_p: Option<f32>,
    /// Locally typical sampling up to this sum
    #[arg(long)]
    typical_p: Option<f32>,
    /// Make tokens seen lately less likely (1: off)
    #[arg(long)]
    repeat_penalty: Option<f32>,
    /// Subtract from logits of tokens seen lately
    #[arg(long)]
    presence_penalty: Option<f32>,
    /// Subtract for each time that a token was seen lately
    #[arg(long)]
    frequency_penalty: Option<f32>,
    /// Same seed, same text [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,
    /// End the answer at this string (may be given several times)
    #[arg(long)]
    stop: Vec<String>,
    /// Print timings
    #[arg(long)]
    verbose: bool,
    /// Load the model here, even where a server has it
    #[arg(long)]
    local: bool,
}

impl Run {
    pub fn run(self) -> Result<ExitCode> {
        let (model, mut prompt) = self.split_words();
        let terminal = std::io::stdin().is_terminal();
        if !terminal {
            let mut input = String::new();
            std::io::stdin().read_to_string(&mut input).context("standard input")?;
            if !input.trim().is_empty() {
                prompt = [prompt, input.trim_end().to_string()]
                    .into_iter()
                    .filter(|s| !s.is_empty())
                    .collect::<Vec<_>>()
                    .join("\n\n");
            }
        }
        let style = Style::of_stdout(self.hide_thinking);
        if prompt.is_empty() && !(terminal && style.terminal) {
            // A name that means nothing may be the whole prompt: say that first.
            let name = model.as_deref().unwrap_or(built_in::NAME);
            if Remote::find(name, Arc::default()).is_none() {
                library::get(name)?;
            }
            bail!("no prompt: give one on the command line or on standard input");
        }
        let stop = interrupt_flag()?;
        let (mut talker, settings, load) = self.open(model.as_deref(), &stop)?;
        if prompt.is_empty() {
            return chat::chat(&mut talker, settings, style, &stop);
        }
        let message = json!({"role": "user", "content": prompt});
        let mut shown = talker.answer(&[message], &settings, self.raw, style)?;
        shown.timings.load += load;
        if self.verbose {
            print_timings(&shown.timings);
        }
        Ok(if stop.load(Ordering::Relaxed) { ExitCode::from(130) } else { ExitCode::SUCCESS })
    }

    /// The model in a server that is there, else here; what was asked for; how long loading took.
    fn open(&self, model: Option<&str>, stop: &Arc<AtomicBool>) -> Result<(Talker, Settings, Duration)> {
        let name = model.unwrap_or(built_in::NAME);
        // How a model is loaded is up to who loads it; a path of this machine says nothing to a server.
        let own = self.local || self.model.is_set() || self.adapter.is_some() || Path::new(name).exists();
        if let Some(remote) = (!own).then(|| Remote::find(name, stop.clone())).flatten() {
            let talker = Talker::There(Box::new(remote));
            let settings = self.settings(&talker, SamplingOptions::default(), &Overlay::default(), stop)?;
            return Ok((talker, settings, Duration::ZERO));
        }
        let found = library::get(name)?;
        let started = Instant::now();
        let spinner = Spinner::start("loading the model");
        let mut model = found.open(&self.model.apply()?)?;
        if let Some(folder) = self.adapter.clone().map_or_else(|| found.adapter(), |folder| Ok(Some(folder)))? {
            model.adapter = Some(model.model.adapters().load(&folder)?.adapter);
        }
        drop(spinner);
        let (load, sampling) = (started.elapsed(), model.sampling.clone());
        let talker = Talker::Here(Box::new(model), Session::default());
        let settings = self.settings(&talker, sampling, &found.overlay()?, stop)?;
        Ok((talker, settings, load))
    }

    /// The first word is the model where it names one; the rest is the prompt.
    fn split_words(&self) -> (Option<String>, String) {
        match self.words.split_first() {
            Some((first, rest)) if names_model(first, rest.len()) => (Some(first.clone()), rest.join(" ")),
            _ => (None, self.words.join(" ")),
        }
    }

    /// What was asked for, checked against what the model can do.
    fn settings(
        &self,
        talker: &Talker,
        sampling: SamplingOptions,
        overlay: &Overlay,
        stop: &Arc<AtomicBool>,
    ) -> Result<Settings> {
        let template = talker.has_template();
        if self.system.is_some() && !template {
            bail!("--system: this model has no chat template; leave it out, and the model continues your text");
        }
        let mut options = GenerateOptions { cancel: Some(stop.clone()), ..self.options(sampling)? };
        options.max_tokens = options.max_tokens.or(overlay.max_tokens());
        options.stop.extend(overlay.stop());
        // Without a template there is no place for a system message.
        let system = self.system.clone().or_else(|| overlay.system.clone().filter(|_| template));
        let settings = Settings {
            options,
            system,
            first_messages: overlay.messages.clone(),
            changed: self.changed(),
            think: self.think,
            verbose: self.verbose,
            keep_history: true,
        };
        talker.supports(&settings).context("--think")?;
        Ok(settings)
    }

    fn options(&self, mut sampling: SamplingOptions) -> Result<GenerateOptions> {
        let set = |to: &mut f32, from: Option<f32>| *to = from.unwrap_or(*to);
        set(&mut sampling.temperature, self.temperature);
        set(&mut sampling.top_p, self.top_p);
        set(&mut sampling.min_p, self.min_p);
        set(&mut sampling.typical_p, self.typical_p);
        set(&mut sampling.repetition_penalty, self.repeat_penalty);
        set(&mut sampling.presence_penalty, self.presence_penalty);
        set(&mut sampling.frequency_penalty, self.frequency_penalty);
        sampling.top_k = self.top_k.unwrap_or(sampling.top_k);
        sampling.seed = self.seed.unwrap_or_else(clock_seed);
        sampling.check().map_err(anyhow::Error::msg)?;
        let (max_tokens, stop) = (self.max_tokens, self.stop.clone());
        Ok(GenerateOptions { sampling, max_tokens, stop, ..GenerateOptions::default() })
    }

    /// Names of the parameters that were given.
    fn changed(&self) -> Vec<String> {
        let given = [
            ("temperature", self.temperature.is_some()),
            ("top_k", self.top_k.is_some()),
            ("top_p", self.top_p.is_some()),
            ("min_p", self.min_p.is_some()),
            ("typical_p", self.typical_p.is_some()),
            ("repeat_penalty", self.repeat_penalty.is_some()),
            ("presence_penalty", self.presence_penalty.is_some()),
            ("frequency_penalty", self.frequency_penalty.is_some()),
            ("seed", self.seed.is_some()),
            ("num_predict", self.max_tokens.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_string()).collect()
    }
}

/// An error if the model's template has no switch for what is asked.
fn check_thinking(model: &LanguageModel, think: Option<bool>) -> Result<()> {
    if think.is_none() {
        return Ok(());
    }
    let probe = json!([{"role": "user", "content": "?"}]);
    let render = |think| model.render(&probe, None, Some(&thinking_variables(Some(think))));
    if model.template.is_none() || render(true)? == render(false)? {
        bail!("this model's chat template has no switch for thinking");
    }
    Ok(())
}

/// Set by Ctrl-C; a second one before anybody looked ends the program.
fn interrupt_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let setter = flag.clone();
    ctrlc::set_handler(move || {
        if setter.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .context("Ctrl-C")?;
    Ok(flag)
}

fn not_negative(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value >= 0.0 && value.is_finite() => Ok(value),
        _ => Err("a number of 0 or more is wanted".into()),
    }
}

fn clock_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64
}
