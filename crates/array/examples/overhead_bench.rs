//! What a node costs beside its kernel: building it, evaluating it, replaying it in a plan.
//!
//! Chains of additions, negations and views on tiny arrays, so that the kernels themselves take next to nothing. CPU time
//! of the thread would hide waiting, so wall time is measured and the best of 20 rounds counts. Run with
//! `cargo run --release -p olivine-array --example overhead_bench`.

use std::time::{Duration, Instant};

use olivine_array::*;

const NODES: usize = 1000;
const ROUNDS: usize = 20;

type Step = fn(&Array, &Array) -> Array;

fn chain(x: &Array, other: &Array, step: Step) -> Array {
    let mut x = x.clone();
    for _ in 0..NODES {
        x = step(&x, other);
    }
    x
}

fn nanoseconds(best: Duration) -> f64 {
    best.as_nanos() as f64 / NODES as f64
}

fn measure(name: &str, step: Step) {
    let x = Array::from_slice(&[0.5f32; 8], &[2, 4]);
    let other = Array::from_slice(&[0.25f32; 8], &[2, 4]);
    let (mut build, mut run, mut replay) = (Duration::MAX, Duration::MAX, Duration::MAX);
    let mut plan = Plan::trace(&[&x, &other], |inputs| vec![chain(&inputs[0], &inputs[1], step)]);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let end = chain(&x, &other, step);
        build = build.min(start.elapsed());
        let start = Instant::now();
        end.eval();
        run = run.min(start.elapsed());
        let start = Instant::now();
        let outputs = plan.run(&[&x, &other]);
        replay = replay.min(start.elapsed());
        assert_eq!(outputs[0].to_vec::<f32>(), end.to_vec::<f32>());
    }
    let (build, run, replay) = (nanoseconds(build), nanoseconds(run), nanoseconds(replay));
    println!("{name:<24}{build:>10.0}{run:>10.0}{replay:>10.0}");
}

fn main() {
    set_threads(1);
    println!("{:<24}{:>10}{:>10}{:>10}   (ns a node, 8 elements)", "node", "build", "eval", "replay");
    measure("add", |x, other| x + other);
    measure("negative", |x, _| x.negative());
    measure("transpose (view)", |x, _| x.swapaxes(0, 1));
    measure("custom, empty kernel", |x, other| Array::apply(Empty, &[x, other]));
}

/// A primitive that does nothing but fill its output, to see the cost of the graph alone.
#[derive(Debug)]
struct Empty;

impl Primitive for Empty {
    fn name(&self) -> &'static str {
        "empty"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        one(inputs[0].shape(), inputs[0].dtype())
    }

    fn eval_cpu(&self, _: &EvalContext, _: &[Tensor], outputs: &mut [Tensor]) {
        outputs[0].slice_mut::<f32>().fill(1.0);
    }
}
