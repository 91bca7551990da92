//! `step_speed DEVICE FOLDER [PROMPT [GENERATE [ROWS[@CONTEXT]…]]]`: tokens a second of a model on a device, without
//! tokenizer and server: a small program that travels to a machine where a device is lent. Each token is chosen (greedily,
//! and with temperature 0.7, top-k 20, top-p 0.8) and is the next step's input; beside it stands the same with all logits
//! brought back, and what came back for each step. Behind a context of so many tokens a row, greedily alone. Times
//! between tokens are the median's and that under which 95 of 100 are. `olivine bench` does more.

use std::path::Path;
use std::time::Instant;

use olivine_lm::logits::Ask;
use olivine_lm::model::{LoadOptions, Model, Outputs, Work};
use olivine_lm::sampling_options::SamplingOptions;

/// Tokens of a context that are computed at a time.
const CHUNK: usize = 2048;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |index: usize, default: usize| arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(default);
    let [device, folder, ..] = &arguments[..] else {
        eprintln!("step_speed DEVICE FOLDER [PROMPT [GENERATE [ROWS[@CONTEXT]...]]]");
        std::process::exit(2);
    };
    let name = olivine_lm::use_device(device).unwrap_or_else(|error| fail(&error.to_string()));
    let started = Instant::now();
    let (prompt, generate) = (number(2, 2048), number(3, 64).max(1));
    let mut cases: Vec<Case> = arguments.iter().skip(4).map(|text| Case::parse(text)).collect();
    if cases.is_empty() {
        cases = [1, 16, 64].map(|rows| Case { rows, context: 0 }).to_vec();
    }
    let longest = cases.iter().map(|case| case.context).fold(prompt, usize::max);
    let context_tokens = Some((longest + generate + 64).max(40_000));
    let options = LoadOptions { context_tokens, ..LoadOptions::default() };
    let mut model = Model::open(Path::new(folder), &options).unwrap_or_else(|error| fail(&error.to_string()));
    while model.pack_one() {}
    let sizes = model.weight_sizes().total() as f64 / 1e9;
    let device = name.as_deref().unwrap_or("cpu");
    println!("{folder} on {device}: {sizes:.2} GB, loaded in {:.1} s", started.elapsed().as_secs_f64());
    for _ in 0..3 {
        println!("prefill {prompt}: {:.0} tokens/s", prefill(&mut model, prompt));
    }
    let greedy = SamplingOptions::default();
    let sampled = SamplingOptions { temperature: 0.7, top_k: 20, top_p: 0.8, seed: 1, ..SamplingOptions::default() };
    for case in cases {
        let ways = [("greedy", Some(&greedy)), ("sampled", Some(&sampled)), ("all logits", None)];
        for (what, sampling) in ways.into_iter().take(if case.context > 0 { 1 } else { 3 }) {
            let Decoded { speed, between_ms, read_bytes, dispatches, first } =
                decode(&mut model, case, generate, sampling);
            let Case { rows, context } = case;
            let [median_ms, most_ms] = between_ms;
            println!(
                "decode {rows} rows behind {context} tokens, {what}: {speed:.1} tokens/s, {median_ms:.2} and {most_ms:.2} ms between tokens, {read_bytes:.0} bytes back and {dispatches:.0} dispatches a step, tokens {first:?}"
            );
        }
    }
}

/// Rows that are decoded together, and the tokens that each has before.
#[derive(Clone, Copy)]
struct Case {
    rows: usize,
    context: usize,
}

impl Case {
    fn parse(text: &str) -> Case {
        let (rows, context) = text.split_once('@').unwrap_or((text, "0"));
        match (rows.parse(), context.parse()) {
            (Ok(rows), Ok(context)) => Case { rows, context },
            _ => fail(&format!("`{text}` is not ROWS or ROWS@CONTEXT")),
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
    /// Between tokens of a row: the median, and what 95 of 100 are under.
    between_ms: [f64; 2],
    read_bytes: f64,
    dispatches: f64,
    /// Of the first row, the first few.
    first: Vec<u32>,
}

/// The first steps, which compile and record, are not counted. Without sampling all logits come back, and the tokens are
/// made up.
fn decode(model: &mut Model, case: Case, steps: usize, sampling: Option<&SamplingOptions>) -> Decoded {
    let Case { rows, context } = case;
    let mut sequences: Vec<_> = (0..rows).map(|_| model.cache().sequence()).collect();
    for (row, sequence) in sequences.iter_mut().enumerate() {
        for part in tokens(context, row, model.spec().vocabulary).chunks(CHUNK) {
            std::hint::black_box(model.logits(&mut [Work { sequence, tokens: part, outputs: Outputs::Last }]));
        }
    }
    let counters = || olivine_lm::gpu_counters().unwrap_or_default();
    let mut started = (Instant::now(), counters());
    let mut drawn = tokens(rows, 0, model.spec().vocabulary);
    let mut first = Vec::new();
    let mut times = Vec::with_capacity(steps + 8);
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
        times.push(Instant::now());
    }
    let (seconds, after) = (started.0.elapsed().as_secs_f64(), counters());
    sequences.into_iter().for_each(|sequence| model.cache().release(sequence));
    let mut between: Vec<f64> = times[7..].windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e3).collect();
    between.sort_by(f64::total_cmp);
    Decoded {
        between_ms: [between[steps / 2], between[steps * 95 / 100]],
        speed: (rows * steps) as f64 / seconds,
        read_bytes: (after.read_bytes - started.1.read_bytes) as f64 / steps as f64,
        dispatches: (after.dispatches - started.1.dispatches) as f64 / steps as f64,
        first,
    }
}
