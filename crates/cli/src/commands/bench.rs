//! `olivine bench MODEL`: tokens a second, beside what the machine could do at most in the same minute.
//!
//! Prefill and decode run through `Model::step` as an answer does, on random tokens, without sampling.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use olivine_lm::cache::Sequence;
use olivine_lm::limits::Limits;
use olivine_lm::logits::Ask;
use olivine_lm::model::PREFILL_ROWS;
use olivine_lm::model::{Model, Outputs, Work};
use olivine_lm::sampling_options::SamplingOptions;
use serde_json::{Value, json};

use crate::model::{ModelOptions, check_exists};

/// Fields of `--json`.
const JSON: &str = "\
Fields of --json (speeds in tokens, bytes or operations a second; a multiplication and its addition are two operations):
  model, family, device, threads, rows, depth, load_seconds
  parameters, parameters_per_token   all weights, and those that one token reads
  weight_bytes                       the weights in memory
  read_bytes_per_second              what this machine reads, measured in the same minute
  peaks[]                            operands (int8, bf16, f32), instruction, operations_per_second
  tests[]                            test (ppN, tgN), tokens_per_second (mean), deviation, best, repetitions[],
                                     limit (its name), limit_tokens_per_second, share (mean / limit; these are null on a GPU), and
                                     operations_per_token or bytes_per_token, by which the limit was divided";

/// Measure speed: tokens a second of prompt and of answer, and their share of the machine's limit.
#[derive(Args)]
#[command(after_long_help = JSON)]
pub struct Bench {
    /// A model folder, a .gguf file, a name of `olivine list`, or `mica` (built in)
    model: String,
    /// Tokens of the prompt (0: no such test)
    #[arg(short = 'p', long, default_value_t = 512)]
    prompt: usize,
    /// Tokens of the answer (0: no such test)
    #[arg(short = 'n', long, default_value_t = 128)]
    generate: usize,
    /// How often each test is repeated
    #[arg(short = 'r', long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    /// Sequences that run at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    rows: u32,
    /// Tokens that are in the context already
    #[arg(short = 'd', long, default_value_t = 0)]
    depth: usize,
    /// Print JSON; its fields are below
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: ModelOptions,
}

/// One test: its name, the speed of every repetition, and the limit that it is held against.
struct Outcome {
    name: String,
    /// Tokens a second of all sequences together.
    speeds: Vec<f64>,
    /// Bytes or operations that a token needs.
    per_token: f64,
    limit: LimitKind,
}

#[derive(Clone, Copy, PartialEq)]
enum LimitKind {
    Reading,
    Arithmetic,
}

impl Bench {
    pub fn run(self) -> Result<ExitCode> {
        check_exists(&self.model)?;
        if self.prompt == 0 && self.generate == 0 {
            bail!("-p 0 -n 0: there is nothing to measure; give one of them");
        }
        let longest = self.depth.saturating_add(self.prompt.max(self.generate));
        let started = Instant::now();
        let checkpoint = self.options.checkpoint(Some(&self.model))?;
        let options = self.options.apply()?;
        let context = options.context_tokens.unwrap_or(checkpoint.spec.context_tokens);
        if longest > context {
            bail!("{longest} tokens do not fit the context of {context}; use less, or raise --context");
        }
        let mut model = Model::load(&checkpoint, &options)?;
        while model.pack_one() {}
        let load = started.elapsed();
        let pool = olivine_lm::pool();
        let before = Limits::measure(&pool);
        let mut outcomes = Vec::new();
        if self.prompt > 0 {
            outcomes.push(self.prefill(&mut model));
        }
        if self.generate > 0 {
            outcomes.push(self.decode(&mut model));
        }
        let limits = before.max(&Limits::measure(&pool));
        let report = Report {
            bench: &self,
            model: &model,
            load,
            device: olivine_lm::device(),
            threads: pool.threads(),
            limits,
            outcomes,
        };
        if self.json {
            println!("{:#}", report.json());
        } else {
            report.print();
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The name that other programs give such a test.
    fn name(&self, kind: &str, tokens: usize) -> String {
        let depth = if self.depth > 0 { format!(" @ d{}", self.depth) } else { String::new() };
        let rows = if self.rows > 1 { format!(" x {}", self.rows) } else { String::new() };
        format!("{kind}{tokens}{depth}{rows}")
    }

    fn prefill(&self, model: &mut Model) -> Outcome {
        let speeds = self.repeat(|tokens| {
            let mut sequences = self.sequences(model, tokens);
            let started = Instant::now();
            for sequence in &mut sequences {
                append(model, sequence, tokens, self.prompt, Outputs::Last);
            }
            let elapsed = started.elapsed();
            release(model, sequences);
            elapsed.as_secs_f64() / (self.prompt * self.rows as usize) as f64
        });
        let operations = model.spec().prefill_operations(self.depth, self.prompt);
        Outcome {
            name: self.name("pp", self.prompt),
            speeds,
            per_token: operations / self.prompt as f64,
            limit: LimitKind::Arithmetic,
        }
    }

    fn decode(&self, model: &mut Model) -> Outcome {
        let (rows, greedy) = (self.rows as usize, SamplingOptions::default());
        let speeds = self.repeat(|tokens| {
            let mut sequences = self.sequences(model, tokens);
            let started = Instant::now();
            for _ in 0..self.generate {
                let drawn: Vec<u32> = (0..rows).map(|_| tokens.next(model)).collect();
                let mut work: Vec<Work> = Vec::with_capacity(rows);
                for (sequence, token) in sequences.iter_mut().zip(&drawn) {
                    work.push(Work { sequence, tokens: std::slice::from_ref(token), outputs: Outputs::Last });
                }
                // A token for each row, as an answer takes it: of logits on a GPU, only that comes back.
                let logits = model.logits(&mut work);
                let asks: Vec<Ask> =
                    drawn.chunks(1).map(|history| Ask { sampling: &greedy, history, position: 0 }).collect();
                std::hint::black_box(logits.choose(&asks));
            }
            let elapsed = started.elapsed();
            release(model, sequences);
            elapsed.as_secs_f64() / (self.generate * rows) as f64
        });
        // The cache grows by a token a step; on average half of them are there.
        let bytes = model.step_bytes(self.depth + self.generate.div_ceil(2), rows);
        Outcome {
            name: self.name("tg", self.generate),
            speeds,
            per_token: bytes / rows as f64,
            limit: LimitKind::Reading,
        }
    }

    /// Tokens a second of each repetition; one more in front that does not count. `test` returns seconds a token.
    fn repeat(&self, mut test: impl FnMut(&mut Tokens) -> f64) -> Vec<f64> {
        (0..=self.repetitions).map(|index| 1.0 / test(&mut Tokens(u64::from(index) + 1))).skip(1).collect()
    }

    /// Sequences filled to the depth.
    fn sequences(&self, model: &mut Model, tokens: &mut Tokens) -> Vec<Sequence> {
        let fill = |_| {
            let mut sequence = model.cache().sequence();
            append(model, &mut sequence, tokens, self.depth, Outputs::None);
            sequence
        };
        (0..self.rows).map(fill).collect()
    }
}

/// Random tokens, the same in every run.
struct Tokens(u64);

impl Tokens {
    /// Any token of the vocabulary (splitmix64).
    fn next(&mut self, model: &Model) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % model.spec().vocabulary as u64) as u32
    }
}

/// Append `count` random tokens in pieces; `outputs` of the last piece.
fn append(model: &mut Model, sequence: &mut Sequence, tokens: &mut Tokens, count: usize, outputs: Outputs) {
    let drawn: Vec<u32> = (0..count).map(|_| tokens.next(model)).collect();
    let pieces = drawn.chunks(PREFILL_ROWS);
    let last = pieces.len().saturating_sub(1);
    for (index, piece) in pieces.enumerate() {
        let outputs = if index == last { outputs } else { Outputs::None };
        std::hint::black_box(model.step(&mut [Work { sequence, tokens: piece, outputs }]));
    }
}

fn release(model: &mut Model, sequences: Vec<Sequence>) {
    for sequence in sequences {
        model.cache().release(sequence);
    }
}

/// All that was measured.
struct Report<'a> {
    bench: &'a Bench,
    model: &'a Model,
    load: Duration,
    /// Name of the GPU, where one computes.
    device: Option<String>,
    threads: usize,
    limits: Limits,
    outcomes: Vec<Outcome>,
}

impl Report<'_> {
    /// What the machine could do at most for an outcome: the name of the limit, and tokens a second.
    /// None on a GPU, whose limits are not measured.
    fn limit(&self, outcome: &Outcome) -> Option<(String, f64)> {
        if self.device.is_some() {
            return None;
        }
        Some(match outcome.limit {
            LimitKind::Reading => ("read bandwidth".into(), self.limits.read_bytes_per_second / outcome.per_token),
            LimitKind::Arithmetic => {
                let peak = self.limits.peak(self.model.operands());
                (format!("{} peak", peak.operands.name()), peak.operations_per_second / outcome.per_token)
            }
        })
    }

    fn print(&self) {
        let (all, active) = self.model.spec().parameters();
        let sizes = self.model.weight_sizes();
        println!("model    {}: {}, {:.1} M parameters", self.bench.model, self.model.spec().family, all as f64 / 1e6);
        println!(
            "weights  {:.1} MB in memory ({:.2} bits each), {:.1} M read per token",
            sizes.total() as f64 / 1e6,
            8.0 * sizes.total() as f64 / all as f64,
            active as f64 / 1e6
        );
        println!("threads  {}, loaded in {:.0} ms", self.threads, 1e3 * self.load.as_secs_f64());
        if let Some(device) = &self.device {
            println!("device   {device}");
        }
        print!("limits   of the processor: read {:.1} GB/s", self.limits.read_bytes_per_second / 1e9);
        for peak in &self.limits.peaks {
            let speed = peak.operations_per_second / 1e9;
            print!(", {} {speed:.0} Gop/s ({})", peak.operands.name(), peak.instruction);
        }
        println!("\n\n{:<18} {:>12} {:>9} {:>12}   of the limit", "test", "tokens/s", "±", "best");
        for outcome in &self.outcomes {
            let (mean, deviation, best) = statistics(&outcome.speeds);
            let share = match (self.limit(outcome), outcome.limit) {
                (Some((name, limit)), _) => format!("{:.1} % of {limit:.1} ({name})", 100.0 * mean / limit),
                (None, LimitKind::Reading) => format!("{:.1} GB/s", mean * outcome.per_token / 1e9),
                (None, LimitKind::Arithmetic) => format!("{:.2} Top/s", mean * outcome.per_token / 1e12),
            };
            println!("{:<18} {mean:>12.2} {deviation:>9.2} {best:>12.2}   {share}", outcome.name);
        }
    }

    fn json(&self) -> Value {
        let tests = self.outcomes.iter().map(|outcome| {
            let (mean, deviation, best) = statistics(&outcome.speeds);
            let (name, limit) = self.limit(outcome).unzip();
            let unit = if outcome.limit == LimitKind::Reading { "bytes_per_token" } else { "operations_per_token" };
            json!({
                "test": outcome.name,
                "tokens_per_second": mean,
                "deviation": deviation,
                "best": best,
                "repetitions": outcome.speeds,
                "limit": name,
                "limit_tokens_per_second": limit,
                "share": limit.map(|limit| mean / limit),
                unit: outcome.per_token,
            })
        });
        let peaks = self.limits.peaks.iter().map(|peak| {
            json!({
                "operands": peak.operands.name(),
                "instruction": peak.instruction,
                "operations_per_second": peak.operations_per_second,
            })
        });
        let sizes = self.model.weight_sizes();
        json!({
            "model": self.bench.model,
            "family": self.model.spec().family,
            "parameters": self.model.spec().parameters().0,
            "parameters_per_token": self.model.spec().parameters().1,
            "weight_bytes": sizes.total(),
            "device": self.device.as_deref().unwrap_or("cpu"),
            "threads": self.threads,
            "rows": self.bench.rows,
            "depth": self.bench.depth,
            "load_seconds": self.load.as_secs_f64(),
            "read_bytes_per_second": self.limits.read_bytes_per_second,
            "peaks": peaks.collect::<Vec<_>>(),
            "tests": tests.collect::<Vec<_>>(),
        })
    }
}

/// Mean, standard deviation of the sample, best.
fn statistics(speeds: &[f64]) -> (f64, f64, f64) {
    let count = speeds.len() as f64;
    let mean = speeds.iter().sum::<f64>() / count;
    let squares = speeds.iter().map(|speed| (speed - mean).powi(2)).sum::<f64>();
    let deviation = if speeds.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 };
    (mean, deviation, speeds.iter().copied().fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    use super::statistics;

    #[test]
    fn statistics_are_those_of_the_sample() {
        assert_eq!(statistics(&[4.0]), (4.0, 0.0, 4.0));
        assert_eq!(statistics(&[1.0, 3.0]), (2.0, 2f64.sqrt(), 3.0));
    }
}
