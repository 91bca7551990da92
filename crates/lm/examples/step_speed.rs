//! `step_speed DEVICE FOLDER [PROMPT [GENERATE [ROWS…]]]`: tokens a second of a model on a device, without tokenizer and
//! server: a small program that travels to a machine where a device is lent. Each token is chosen (greedily, and with
//! temperature 0.7, top-k 20, top-p 0.8) and is the next step's input; beside it stands the same with all logits brought
//! back, and what came back for each step. `olivine bench` does more.

use std::path::Path;
use std::time::Instant;

use olivine_lm::logits::Ask;
use olivine_lm::model::{LoadOptions, Model, Outputs, Work};
use olivine_lm::sampling::SamplingOptions;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |index: usize, default: usize| arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(default);
    let [device, folder, ..] = &arguments[..] else {
        eprintln!("step_speed DEVICE FOLDER [PROMPT [GENERATE [ROWS...]]]");
        std::process::exit(2);
    };
    let name = olivine_lm::use_device(device).unwrap_or_else(|error| fail(&error.to_string()));
    let started = Instant::now();
    let options = LoadOptions { context_tokens: Some(40_000), ..LoadOptions::default() };
    let mut model = Model::open(Path::new(folder), &options).unwrap_or_else(|error| fail(&error.to_string()));
    let sizes = model.weight_sizes().total() as f64 / 1e9;
    let device = name.as_deref().unwrap_or("cpu");
    println!("{folder} on {device}: {sizes:.2} GB, loaded in {:.1} s", started.elapsed().as_secs_f64());
    let (prompt, generate) = (number(2, 2048), number(3, 64));
    let rows: Vec<usize> = match arguments.get(4..) {
        Some(rows) if !rows.is_empty() => rows.iter().filter_map(|text| text.parse().ok()).collect(),
        _ => vec![1, 16, 64],
    };
    for _ in 0..3 {
        println!("prefill {prompt}: {:.0} tokens/s", prefill(&mut model, prompt));
    }
    let greedy = SamplingOptions::default();
    let sampled = SamplingOptions { temperature: 0.7, top_k: 20, top_p: 0.8, seed: 1, ..SamplingOptions::default() };
    for rows in rows {
        for (what, sampling) in [("greedy", Some(&greedy)), ("sampled", Some(&sampled)), ("all logits", None)] {
            let Decoded { speed, read_bytes, dispatches, first } = decode(&mut model, rows, generate, sampling);
            println!(
                "decode {rows} rows, {what}: {speed:.1} tokens/s, {read_bytes:.0} bytes back and {dispatches:.0} dispatches a step, tokens {first:?}"
            );
        }
    }
}

fn fail(problem: &str) -> ! {
    eprintln!("step_speed: {problem}");
    std::process::exit(1)
}

fn tokens(count: usize, seed: usize, vocabulary: usize) -> Vec<u32> {
    (0..count).map(|index| ((index + seed) * 7919 % vocabulary.min(10_007)) as u32).collect()
}

fn prefill(model: &mut Model, count: usize) -> f64 {
    let mut sequence = model.cache().sequence();
    let tokens = tokens(count, 1, model.spec().vocabulary);
    let started = Instant::now();
    let outputs = Outputs::Last;
    let logits = model.logits(&mut [Work { sequence: &mut sequence, tokens: &tokens, outputs }]);
    std::hint::black_box(logits.choose(&[Ask {
        sampling: &SamplingOptions::default(),
        history: &tokens,
        position: count,
    }]));
    let speed = count as f64 / started.elapsed().as_secs_f64();
    model.cache().release(sequence);
    speed
}

struct Decoded {
    /// Tokens a second of all rows together.
    speed: f64,
    read_bytes: f64,
    dispatches: f64,
    /// Of the first row, the first few.
    first: Vec<u32>,
}

/// The first steps, which compile and record, are not counted. Without sampling all logits come back, and the tokens are
/// made up.
fn decode(model: &mut Model, rows: usize, steps: usize, sampling: Option<&SamplingOptions>) -> Decoded {
    let mut sequences: Vec<_> = (0..rows).map(|_| model.cache().sequence()).collect();
    let counters = || olivine_lm::gpu_counters().unwrap_or_default();
    let mut started = (Instant::now(), counters());
    let mut drawn = tokens(rows, 0, model.spec().vocabulary);
    let mut first = Vec::new();
    for step in 0..steps + 8 {
        if step == 8 {
            started = (Instant::now(), counters());
        }
        let work = sequences.iter_mut().zip(&drawn);
        let mut work: Vec<Work> = work
            .map(|(sequence, token)| Work { sequence, tokens: std::slice::from_ref(token), outputs: Outputs::Last })
            .collect();
        let logits = model.logits(&mut work);
        match sampling {
            Some(sampling) => {
                let asks: Vec<Ask> = drawn
                    .chunks(1)
                    .enumerate()
                    .map(|(row, history)| Ask { sampling, history, position: step * 1000 + row })
                    .collect();
                drawn = logits.choose(&asks).into_iter().map(|choice| choice.token).collect();
                first.extend(drawn.first().filter(|_| step < 8));
            }
            None => {
                std::hint::black_box(logits.all());
                drawn = tokens(rows, step, model.spec().vocabulary);
            }
        }
    }
    let (seconds, after) = (started.0.elapsed().as_secs_f64(), counters());
    sequences.into_iter().for_each(|sequence| model.cache().release(sequence));
    Decoded {
        speed: (rows * steps) as f64 / seconds,
        read_bytes: (after.read_bytes - started.1.read_bytes) as f64 / steps as f64,
        dispatches: (after.dispatches - started.1.dispatches) as f64 / steps as f64,
        first,
    }
}
