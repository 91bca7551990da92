//! `step_speed DEVICE FOLDER [PROMPT [GENERATE [ROWS…]]]`: tokens a second of `Model::step` on a device, without tokenizer,
//! server and sampling: a small program that travels to a machine where a device is lent. `olivine bench` does more.

use std::path::Path;
use std::time::Instant;

use olivine_lm::model::{LoadOptions, Model, Outputs, Work};

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
    for rows in rows {
        println!("decode {rows} rows: {:.1} tokens/s", decode(&mut model, rows, generate));
    }
}

fn fail(problem: &str) -> ! {
    eprintln!("step_speed: {problem}");
    std::process::exit(1)
}

fn tokens(count: usize, seed: usize) -> Vec<u32> {
    (0..count).map(|index| ((index + seed) * 7919 % 10_007) as u32).collect()
}

fn prefill(model: &mut Model, count: usize) -> f64 {
    let mut sequence = model.cache().sequence();
    let tokens = tokens(count, 1);
    let started = Instant::now();
    let outputs = Outputs::Last;
    std::hint::black_box(model.step(&mut [Work { sequence: &mut sequence, tokens: &tokens, outputs }]));
    let speed = count as f64 / started.elapsed().as_secs_f64();
    model.cache().release(sequence);
    speed
}

/// Tokens a second of all rows together; the first steps, which compile and record, are not counted.
fn decode(model: &mut Model, rows: usize, steps: usize) -> f64 {
    let mut sequences: Vec<_> = (0..rows).map(|_| model.cache().sequence()).collect();
    let mut started = Instant::now();
    for step in 0..steps + 8 {
        if step == 8 {
            started = Instant::now();
        }
        let drawn = tokens(rows, step);
        let work = sequences.iter_mut().zip(&drawn);
        let mut work: Vec<Work> = work
            .map(|(sequence, token)| Work { sequence, tokens: std::slice::from_ref(token), outputs: Outputs::Last })
            .collect();
        std::hint::black_box(model.step(&mut work));
    }
    let speed = (rows * steps) as f64 / started.elapsed().as_secs_f64();
    sequences.into_iter().for_each(|sequence| model.cache().release(sequence));
    speed
}
