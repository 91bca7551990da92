//! The core behaves: views, broadcasting, promotion, slices, plans with and without side effects.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use olivine_array::*;

#[test]
fn elementwise_ops_broadcast_and_promote() {
    let x = Array::from_slice(&[1i32, 2, 3], &[3]);
    let y = Array::from_slice(&[0.5f32, 1.5], &[2, 1]);
    let sum = &x + &y;
    assert_eq!((sum.shape(), sum.dtype()), (&[2usize, 3][..], Dtype::F32));
    assert_eq!(sum.to_vec::<f32>(), [1.5, 2.5, 3.5, 2.5, 3.5, 4.5]);
    assert_eq!((&x + 1).to_vec::<i32>(), [2, 3, 4]);
    assert_eq!((&x * 0.5).to_vec::<f32>(), [0.5, 1.0, 1.5]);
    assert_eq!(x.greater(2).to_vec::<bool>(), [false, false, true]);
    let small = Array::from_slice(&[200u8, 100], &[2]);
    assert_eq!((&small + &small).to_vec::<u8>(), [144, 200], "integers wrap");
    assert_eq!(x.negative().floor_divide(2).to_vec::<i32>(), [-1, -1, -2]);
    assert_eq!(x.negative().remainder(2).to_vec::<i32>(), [1, 0, 1]);
}

#[test]
fn views_move_no_byte_and_read_right() {
    let x = arange(0.0, 24.0, 1.0, Dtype::F32).reshape(&[2, 3, 4]);
    let address = x.tensor().buffer().bytes().as_ptr();
    let view =
        x.transpose(&[2, 0, 1]).slice(&[Range::from(1..4), Range::ALL, Range { start: None, stop: None, step: -2 }]);
    assert_eq!(view.shape(), [3, 2, 2]);
    assert_eq!(view.tensor().buffer().bytes().as_ptr(), address);
    assert_eq!(view.to_vec::<f32>(), [9., 1., 21., 13., 10., 2., 22., 14., 11., 3., 23., 15.]);
    assert_eq!(x.flip(&[0, -1]).index_axis(0, 0).index_axis(0, -1).to_vec::<f32>(), [23., 22., 21., 20.]);
    assert_eq!(x.swapaxes(0, 2).reshape(&[-1]).to_vec::<f32>()[..4], [0., 12., 4., 16.]);
    let window = arange(0.0, 5.0, 1.0, Dtype::I32).as_strided(&[3, 3], &[1, 1], 0);
    assert_eq!(window.to_vec::<i32>(), [0, 1, 2, 1, 2, 3, 2, 3, 4]);
}

#[test]
fn shape_ops_agree_with_hand_made_results() {
    let x = Array::from_slice(&[1f32, 2.0, 3.0, 4.0], &[2, 2]);
    assert_eq!(concatenate(&[&x, &x], 1).to_vec::<f32>(), [1., 2., 1., 2., 3., 4., 3., 4.]);
    assert_eq!(stack(&[&x, &x], 2).to_vec::<f32>(), [1., 1., 2., 2., 3., 3., 4., 4.]);
    assert_eq!(x.tile(&[1, 2]).to_vec::<f32>(), [1., 2., 1., 2., 3., 4., 3., 4.]);
    assert_eq!(x.repeat(2, 0).to_vec::<f32>(), [1., 2., 1., 2., 3., 4., 3., 4.]);
    assert_eq!(x.pad(&[(1, 0), (0, 1)], Pad::Constant(9.0)).to_vec::<f32>(), [9., 9., 9., 1., 2., 9., 3., 4., 9.]);
    assert_eq!(x.pad(&[(1, 0), (0, 1)], Pad::Edge).to_vec::<f32>(), [1., 2., 2., 1., 2., 2., 3., 4., 4.]);
    assert_eq!(x.roll(1, 1).to_vec::<f32>(), [2., 1., 4., 3.]);
    assert_eq!(x.tril(0).to_vec::<f32>(), [1., 0., 3., 4.]);
    assert_eq!(x.triu(0).to_vec::<f32>(), [1., 2., 0., 4.]);
    let row = Array::from_slice(&[7f32, 8.0], &[2]);
    assert_eq!(x.slice_update(&row, &[Range::ALL]).to_vec::<f32>(), [7., 8., 7., 8.]);
    let index = Array::from_slice(&[-1i32, 0, 1], &[3]);
    assert_eq!(x.take(&index, 0).to_vec::<f32>(), [3., 4., 1., 2., 3., 4.]);
    assert_eq!(x.take(&index, 1).to_vec::<f32>(), [2., 1., 2., 4., 3., 4.]);
}

#[test]
#[should_panic(expected = "[take] the index 2 is out of range for 2 entries")]
fn an_index_out_of_range_is_refused() {
    Array::from_slice(&[1f32, 2.0], &[2]).take(&Array::scalar(2i32), 0).eval();
}

#[test]
#[should_panic(expected = "[add] the shapes [2] and [3] do not broadcast")]
fn shapes_that_do_not_broadcast_are_refused() {
    let _ = Array::from_slice(&[1f32, 2.0], &[2]) + Array::from_slice(&[1f32, 2.0, 3.0], &[3]);
}

#[derive(Debug)]
struct CountingSplit {
    runs: Arc<AtomicUsize>,
}

impl Primitive for CountingSplit {
    fn name(&self) -> &'static str {
        "counting_split"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        [Spec::of(&inputs[0]), Spec::new(&[], Dtype::F32)].into_iter().collect()
    }

    fn eval_cpu(&self, _: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let input = inputs[0].contiguous();
        let input = input.slice::<f32>();
        outputs[0].slice_mut::<f32>().copy_from_slice(input);
        outputs[1].slice_mut::<f32>()[0] = input.iter().sum();
    }
}

#[test]
fn a_primitive_may_have_several_outputs_and_a_handle() {
    let runs = Arc::new(AtomicUsize::new(0));
    let x = Array::from_slice(&[1f32, 2.0], &[2]);
    let outputs = Array::apply_multi(CountingSplit { runs: runs.clone() }, &[&x]);
    let both = &outputs[0] * &outputs[1];
    assert_eq!(both.to_vec::<f32>(), [3.0, 6.0]);
    assert_eq!(outputs[1].item::<f32>(), 3.0);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[test]
fn a_plan_replays_with_new_inputs() {
    let runs = Arc::new(AtomicUsize::new(0));
    let weight = Array::from_slice(&[10f32, 20.0, 30.0, 40.0], &[2, 2]);
    let body = |inputs: &[Array]| {
        let mut x = &inputs[0] * &weight.t();
        for _ in 0..5 {
            x = (&x + 1.0).abs();
        }
        let outputs = Array::apply_multi(CountingSplit { runs: runs.clone() }, &[&x.slice_axis(0, 1..2)]);
        let updated = inputs[0].slice_update(&outputs[1], &[(0..1).into(), (0..1).into()]);
        vec![&outputs[0] - &outputs[1], x, updated, inputs[0].t()]
    };
    let example = zeros(&[2, 2], Dtype::F32);
    let mut plan = Plan::trace(&[&example], body);
    assert_eq!(runs.load(Ordering::Relaxed), 0, "tracing runs nothing");
    let mut held = Vec::new();
    for round in 0..4 {
        let x = Array::from_slice(&[1f32, 2.0, -3.0 - round as f32, 4.0], &[2, 2]);
        let x = if round == 2 { x.t() } else { x };
        let wanted: Vec<Vec<f32>> = body(std::slice::from_ref(&x)).iter().map(|y| y.to_vec()).collect();
        let got = plan.run(&[&x]);
        held.push((got.clone(), wanted));
        drop(got);
    }
    for (got, wanted) in &held {
        let got: Vec<Vec<f32>> = got.iter().map(|y| y.to_vec()).collect();
        assert_eq!(&got, wanted, "held outputs are never overwritten");
    }
    assert_eq!(runs.load(Ordering::Relaxed), 8);
    assert!(plan.workspace_bytes() <= 5 * 16 + 8, "memory is shared: {}", plan.workspace_bytes());
}

/// Passes its input on and keeps a reference to it.
#[derive(Debug)]
struct Keeper {
    kept: Arc<std::sync::Mutex<Vec<Tensor>>>,
}

impl Primitive for Keeper {
    fn name(&self) -> &'static str {
        "keeper"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        one(&[], inputs[0].dtype())
    }

    fn eval_cpu(&self, _: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        self.kept.lock().unwrap().push(inputs[0].clone());
        outputs[0].slice_mut::<f32>()[0] = 1.0;
    }
}

#[test]
fn what_a_handle_keeps_is_never_overwritten() {
    let kept = Arc::new(std::sync::Mutex::new(Vec::new()));
    let body = |inputs: &[Array]| {
        let x = &inputs[0] + 1.0;
        let one = Array::apply(Keeper { kept: kept.clone() }, &[&x]);
        // The update is the last reader of `x` and would take its memory over.
        vec![x.slice_update(&one, &[(0..1).into()]).negative()]
    };
    let mut plan = Plan::trace(&[&zeros(&[2], Dtype::F32)], body);
    for round in 0..3 {
        let x = Array::from_slice(&[10.0 * round as f32, 5.0], &[2]);
        assert_eq!(plan.run(&[&x])[0].to_vec::<f32>(), [-1.0, -6.0]);
        assert_eq!(body(std::slice::from_ref(&x))[0].to_vec::<f32>(), [-1.0, -6.0]);
    }
    let first: Vec<f32> = kept.lock().unwrap().iter().map(|tensor| tensor.slice::<f32>()[0]).collect();
    assert_eq!(first, [1.0, 1.0, 11.0, 11.0, 21.0, 21.0]);
}

#[test]
fn memory_is_counted_and_reused() {
    // Other tests allocate too, so only differences that they cannot hide are looked at.
    let size = 64 << 20;
    let before = active_bytes();
    let x = zeros(&[size / 4], Dtype::F32).contiguous();
    x.eval();
    assert!(active_bytes() >= before.saturating_sub(1 << 20) + size && peak_bytes() >= size);
    drop(x);
    assert!(active_bytes() < before + size && cache_bytes() >= size);
    let old = set_cache_limit(0);
    assert!(cache_bytes() < size, "a lower limit frees at once");
    set_cache_limit(old);
}

#[test]
fn async_eval_computes_in_the_background() {
    let x = &Array::from_slice(&[1f32, 2.0], &[2]) + 1.0;
    async_eval([&x]);
    assert_eq!(x.to_vec::<f32>(), [2.0, 3.0]);
    let y = &x * &x;
    let stream = Stream::new();
    stream.async_eval([&y]);
    stream.synchronize();
    assert!(y.is_evaluated());
}

#[test]
fn external_memory_is_read_without_a_copy() {
    let owner: Arc<Vec<u8>> = Arc::new([0u8; 4].into_iter().chain(1.5f32.to_ne_bytes()).collect());
    let address = owner.as_ptr() as usize + 4;
    let x = Array::from_owner(owner, 4, &[1], Dtype::F32);
    if address.is_multiple_of(4) {
        assert_eq!(x.tensor().buffer().bytes().as_ptr() as usize, address);
    }
    let y = &x + 1.0;
    drop(x);
    assert_eq!(y.item::<f32>(), 2.5);
}
