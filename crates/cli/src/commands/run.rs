//! `olivine run [MODEL] [PROMPT]`: one answer, or a chat on a terminal.
//!
//! What comes on standard input joins the prompt. Read next: `chat.rs`.

mod chat;

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use olivine_lm::generate::{Answer, GenerateOptions, Session};
use olivine_lm::language_model::LanguageModel;
use serde_json::{Map, Value, json};

use crate::model::{ModelOptions, check_exists, names_model};

/// Answer a prompt, or chat when there is none and this is a terminal.
#[derive(Args)]
pub struct Run {
    /// A model folder, a .gguf file, or `mica` (built in); then the prompt
    #[arg(value_name = "[MODEL] [PROMPT]")]
    words: Vec<String>,
    #[command(flatten)]
    model: ModelOptions,
    /// A system message
    #[arg(long)]
    system: Option<String>,
    /// Complete the prompt as it is, without the chat template
    #[arg(long)]
    raw: bool,
    /// Let a thinking model think, or not (true, false)
    #[arg(long)]
    think: Option<bool>,
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
}

impl Run {
    pub fn run(self) -> Result<ExitCode> {
        let (model, mut prompt) = self.split_words();
        if let Some(name) = &model {
            check_exists(name)?;
        }
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
        if prompt.is_empty() && !terminal {
            bail!("no prompt: give one on the command line or on standard input");
        }
        let started = Instant::now();
        let mut language_model = self.model.open(model.as_deref())?;
        let load = started.elapsed();
        let options = self.options(&language_model)?;
        let stop = interrupt_flag()?;
        if prompt.is_empty() {
            let extra = self.template_variables();
            return chat::chat(&mut language_model, options, self.system.clone(), extra, self.verbose, &stop);
        }
        let text = self.prompt_text(&language_model, &prompt)?;
        let ids = language_model.encode(&text, !self.raw)?;
        let answer = print_answer(&mut language_model, &mut Session::default(), &ids, &options, &stop)?;
        // A reader that has seen enough (`| head -1`) is no error.
        let _ = writeln!(std::io::stdout());
        if self.verbose {
            print_timings(&answer, load);
        }
        Ok(if stop.load(Ordering::Relaxed) { ExitCode::from(130) } else { ExitCode::SUCCESS })
    }

    /// The first word is the model where it names one; the rest is the prompt.
    fn split_words(&self) -> (Option<String>, String) {
        match self.words.split_first() {
            Some((first, rest)) if names_model(first, rest.len()) => (Some(first.clone()), rest.join(" ")),
            _ => (None, self.words.join(" ")),
        }
    }

    fn options(&self, model: &LanguageModel) -> Result<GenerateOptions> {
        let mut sampling = model.sampling.clone();
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
        Ok(GenerateOptions { sampling, max_tokens: self.max_tokens, stop: self.stop.clone(), ignore_end: false })
    }

    fn template_variables(&self) -> Map<String, Value> {
        self.think.map(|think| ("enable_thinking".to_string(), Value::Bool(think))).into_iter().collect()
    }

    fn prompt_text(&self, model: &LanguageModel, prompt: &str) -> Result<String> {
        if self.raw || model.template.is_none() {
            return Ok(prompt.into());
        }
        let mut messages = Vec::new();
        messages.extend(self.system.as_ref().map(|text| json!({"role": "system", "content": text})));
        messages.push(json!({"role": "user", "content": prompt}));
        Ok(model.render(&messages.into(), None, Some(&self.template_variables()))?)
    }
}

/// Generate and print as it comes, until the end or until `stop` is set.
fn print_answer(
    model: &mut LanguageModel,
    session: &mut Session,
    prompt: &[u32],
    options: &GenerateOptions,
    stop: &AtomicBool,
) -> Result<Answer> {
    let mut out = std::io::stdout();
    Ok(model.generate(session, prompt, options, |text, _| {
        // A closed pipe ends the answer as Ctrl-C does.
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.is_ok() && !stop.load(Ordering::Relaxed)
    })?)
}

/// The lines of `ollama run --verbose`.
fn print_timings(answer: &Answer, load: Duration) {
    let rate = |tokens: usize, time: Duration| tokens as f64 / time.as_secs_f64().max(1e-9);
    let computed = answer.prompt_tokens - answer.cached_tokens;
    let total = load + answer.prefill + answer.decode;
    eprintln!();
    eprintln!("total duration:       {total:?}");
    eprintln!("load duration:        {load:?}");
    eprintln!("prompt eval count:    {} token(s)", answer.prompt_tokens);
    if answer.cached_tokens > 0 {
        eprintln!("prompt from cache:    {} token(s)", answer.cached_tokens);
    }
    eprintln!("prompt eval duration: {:?}", answer.prefill);
    eprintln!("prompt eval rate:     {:.2} tokens/s", rate(computed, answer.prefill));
    eprintln!("eval count:           {} token(s)", answer.tokens.len());
    eprintln!("eval duration:        {:?}", answer.decode);
    eprintln!("eval rate:            {:.2} tokens/s", rate(answer.tokens.len(), answer.decode));
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
