//! `olivine inspect MODEL`: what a model is, what it takes, and how fast it could be here, without loading it.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use olivine_lm::inspect::{Entry, MemoryNeed, fold, formats};
use olivine_lm::limits::Limits;
use olivine_lm::load::WeightSizes;
use olivine_lm::model::{Checkpoint, LoadOptions};
use olivine_lm::{KvDtype, Precision};
use serde_json::{Value, json};

use crate::model::{ModelOptions, check_exists};

/// Show what a model is: layers, tensors, memory, and the speed that this machine allows at most.
#[derive(Args)]
pub struct Inspect {
    /// A model folder, a .gguf file, a name of `olivine list`, or `mica` (built in)
    model: String,
    /// List every tensor by itself
    #[arg(long)]
    tensors: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: ModelOptions,
}

/// All that is shown.
struct Report<'a> {
    inspect: &'a Inspect,
    checkpoint: &'a Checkpoint,
    entries: Vec<Entry>,
    sizes: WeightSizes,
    context_tokens: usize,
    memory: MemoryNeed,
    speed: Speed,
}

/// What the machine allows at most.
struct Speed {
    limits: Limits,
    threads: usize,
    /// Bytes read for a token of the answer at the end of the context.
    bytes_per_token: f64,
    /// Tokens of the answer in a second, with an empty and with a full context.
    answer: (f64, f64),
    /// Tokens of a prompt of 512 in a second.
    prompt: f64,
    arithmetic: &'static str,
}

impl Inspect {
    pub fn run(self) -> Result<ExitCode> {
        check_exists(&self.model)?;
        let LoadOptions { precision, kv_dtype, .. } = self.options.apply()?;
        let checkpoint = self.options.checkpoint(Some(&self.model))?;
        let usual = if precision == Precision::Exact { KvDtype::F32 } else { KvDtype::Bf16 };
        let kv_dtype = kv_dtype.unwrap_or(usual);
        let context_tokens = self.options.context.map_or(checkpoint.spec.context_tokens, |tokens| tokens as usize);
        let sizes = checkpoint.weight_sizes();
        let report = Report {
            inspect: &self,
            entries: checkpoint.entries(),
            memory: checkpoint.memory_need(context_tokens, kv_dtype),
            speed: Speed::of(&checkpoint, &sizes, precision, context_tokens, kv_dtype),
            checkpoint: &checkpoint,
            sizes,
            context_tokens,
        };
        if self.json {
            println!("{:#}", report.json());
        } else {
            report.print();
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Speed {
    fn of(
        checkpoint: &Checkpoint,
        sizes: &WeightSizes,
        precision: Precision,
        context_tokens: usize,
        kv_dtype: KvDtype,
    ) -> Speed {
        const PROMPT_TOKENS: usize = 512;
        let pool = olivine_lm::pool();
        let limits = Limits::measure(&pool);
        let spec = &checkpoint.spec;
        let bytes = |tokens| spec.step_bytes(sizes, tokens, 1, kv_dtype);
        let peak = limits.peak(sizes.operands(precision));
        let operations = spec.prefill_operations(0, PROMPT_TOKENS) / PROMPT_TOKENS as f64;
        Speed {
            threads: pool.threads(),
            bytes_per_token: bytes(context_tokens),
            answer: (limits.read_bytes_per_second / bytes(0), limits.read_bytes_per_second / bytes(context_tokens)),
            prompt: peak.operations_per_second / operations,
            arithmetic: peak.operands.name(),
            limits,
        }
    }
}

impl Report<'_> {
    fn print(&self) {
        println!("{}", self.checkpoint.spec);
        println!("formats");
        for (name, count, bytes) in formats(&self.entries) {
            println!("  {name:<12} {:>12}   {count} tensors", megabytes(bytes));
        }
        self.print_tensors();
        println!("\nmemory for one conversation of {} tokens", self.context_tokens);
        println!("  weights         {:>12}", megabytes(self.memory.weights));
        println!("  keys and values {:>12}", megabytes(self.memory.keys_and_values));
        if self.memory.states > 0 {
            println!("  states          {:>12}", megabytes(self.memory.states));
        }
        println!("  together        {:>12}", megabytes(self.memory.total()));
        let (speed, read) = (&self.speed, self.speed.limits.read_bytes_per_second / 1e9);
        println!("\nat most, with {} threads that read {read:.1} GB/s now", speed.threads);
        println!("  answer {:>10.1} tokens/s, {:.1} with a full context", speed.answer.0, speed.answer.1);
        println!("  prompt {:>10.1} tokens/s ({} products, 512 tokens)", speed.prompt, speed.arithmetic);
    }

    fn print_tensors(&self) {
        println!("\ntensors");
        let groups = match self.inspect.tensors {
            false => fold(&self.entries),
            true => self.entries.iter().flat_map(|entry| fold(std::slice::from_ref(entry))).collect(),
        };
        let width = groups.iter().map(|group| group.name.len()).max().unwrap_or(0);
        for group in groups {
            let times = if group.count > 1 { format!("x {}", group.count) } else { String::new() };
            let unused = if group.used { "" } else { "   (not used)" };
            let (name, format, size) = (group.name, group.format, megabytes(group.bytes));
            let shape = format!("{:?}", group.shape);
            println!("  {name:<width$}  {format:<12} {shape:<18} {times:<7} {size:>12}{unused}");
        }
    }

    fn json(&self) -> Value {
        let tensors = self.entries.iter().map(|entry| {
            json!({
                "name": entry.name, "format": entry.format, "shape": entry.shape, "bytes": entry.bytes,
                "used": entry.canonical.is_some(),
            })
        });
        let formats = formats(&self.entries).into_iter();
        let formats = formats.map(|(name, count, bytes)| json!({"format": name, "tensors": count, "bytes": bytes}));
        let (all, active) = self.checkpoint.spec.parameters();
        json!({
            "model": self.inspect.model,
            "family": self.checkpoint.spec.family,
            "parameters": all,
            "parameters_per_token": active,
            "spec": self.checkpoint.spec.to_string(),
            "formats": formats.collect::<Vec<_>>(),
            "tensors": tensors.collect::<Vec<_>>(),
            "context_tokens": self.context_tokens,
            "memory": {
                "weight_bytes": self.memory.weights,
                "key_value_bytes": self.memory.keys_and_values,
                "state_bytes": self.memory.states,
                "bytes": self.memory.total(),
            },
            "quantized_bytes": self.sizes.quantized,
            "threads": self.speed.threads,
            "read_bytes_per_second": self.speed.limits.read_bytes_per_second,
            "bytes_per_token": self.speed.bytes_per_token,
            "answer_tokens_per_second": self.speed.answer.0,
            "answer_tokens_per_second_full_context": self.speed.answer.1,
            "prompt_tokens_per_second": self.speed.prompt,
        })
    }
}

fn megabytes(bytes: usize) -> String {
    let bytes = bytes as f64;
    if bytes >= 1e9 { format!("{:.2} GB", bytes / 1e9) } else { format!("{:.2} MB", bytes / 1e6) }
}
