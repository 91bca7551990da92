//! From the commands of a list to kernels of `crates/gpu/cuda`: which, with what grid and arguments.
//!
//! A command may become several kernels with scratch memory between them. Invariant: the order of every sum depends on
//! the shapes of the operation, never on how many rows there are. Read next: `matmul`, and the sources beside it.

use super::arguments::Arguments;
use super::attention;
use super::cards;
use super::formula;
use super::layers;
use super::left;
use super::matmul;
use super::mixture;
use super::plan::{Call, On, Plan, Step, address};
use super::product::Weights;
use crate::device::{Command, List};
use crate::error::GpuError;

/// The steps of a list. `scratch` gives memory of so many bytes for what the kernels of one command need between them.
pub(super) fn steps(
    on: &On,
    list: &List,
    mut scratch: impl FnMut(u64) -> Result<u64, GpuError>,
) -> Result<Vec<Step>, GpuError> {
    // Only sizes count at first: any address that is aligned will do.
    const NOWHERE: u64 = 1 << 44;
    let mut needed = plan(on, list, NOWHERE)?.most;
    loop {
        let plan = plan(on, list, scratch(needed)?)?;
        // Another thread may have let go of a memory meanwhile, and what stands there goes to scratch memory then.
        if plan.most <= needed {
            return Ok(plan.steps);
        }
        needed = plan.most;
    }
}

fn plan<'a>(on: &'a On, list: &'a List, scratch: u64) -> Result<Plan<'a>, GpuError> {
    let mut plan = Plan::new(on, list, scratch, left::most_bytes(list));
    let mut rest = &list.commands[..];
    while let Some((command, behind)) = rest.split_first() {
        rest = behind;
        plan.begin(Call::of(command).is_some_and(|call| call.kernel.name == "attention_join"));
        match command {
            Command::Copy { from, to } => {
                plan.steps.push(Step::Copy { to: address(to), from: address(from), bytes: from.bytes() });
            }
            Command::Exchange { .. } => return Err(GpuError::one_card()),
            Command::Dispatch { kernel, .. } => {
                let call = Call::of(command).expect("a dispatch");
                // Some kernels do what commands behind theirs ask for, too.
                let done = match kernel.name {
                    "route" => mixture::mixture(&mut plan, &call, rest)?,
                    "heads" => attention::heads(&mut plan, &call, rest)?,
                    "attention" => attention::attention(&mut plan, &call, rest)?,
                    "matmul" => matmul::matmul(&mut plan, &call, rest)?,
                    name if cards::is_exchange(name) => cards::exchange(&mut plan, &call, rest),
                    _ => dispatch(&mut plan, &call).map(|()| 0)?,
                };
                rest = &rest[done..];
            }
        }
    }
    Ok(plan)
}

fn dispatch(plan: &mut Plan, call: &Call) -> Result<(), GpuError> {
    match call.kernel.name {
        "embedding" => embedding(plan, call)?,
        "attention_join" => attention::join(plan, call)?,
        "elementwise" => elementwise(plan, call)?,
        "kv_write" => attention::write(plan, call),
        "kv_write_quantized" => {
            plan.launch(call.kernel.name, [call.groups[0], call.groups[1], 1], 64, 0, attention::cache(call))
        }
        "rotate" => {
            let arguments = Arguments::new().address(call.address(0)).address(call.address(1));
            let arguments = arguments.words(&[call.params[0], call.constant("DIM"), call.constant("BLOCK")]);
            plan.launch("rotate", [call.groups[0], call.groups[1], 1], 64, 0, arguments);
        }
        "gather_rows" => {
            let [columns, rows] = [call.params[0], call.groups[1]];
            take(plan, call, [columns * rows, columns, u32::MAX, 0]);
        }
        "take" => take(plan, call, [call.params[0], call.params[1], call.params[2], call.constant("SCATTER")]),
        "norm" => norm(plan, call),
        "greatest" => greatest(plan, call),
        "rows" => {
            let arguments = Arguments::new().address(call.address(0)).address(call.address(1));
            let arguments = arguments.words(&[call.constant("KIND"), call.params[0], call.params[1], call.params[2]]);
            plan.launch("reduce_rows", [call.groups[0], 1, 1], 256, 0, arguments);
        }
        "gated" => {
            let arguments = Arguments::new().address(call.address(0)).address(call.address(1));
            let arguments = arguments.words(&[call.constant("GATE")]).words(&call.params[..6]);
            plan.launch("gated", [call.params[0].div_ceil(256), 1, 1], 256, 0, arguments);
        }
        "copy" => {
            let p = call.params;
            let arguments = Arguments::new().address(call.address(0)).address(call.address(1));
            let arguments = arguments.words(&[call.constant("SOURCE"), call.constant("TARGET"), p[0]]).words(&p[1..4]);
            let arguments = arguments.words(&p[4..8]).words(&p[9..13]).words(&[p[8], p[13]]);
            plan.launch("copy", [p[0].div_ceil(256), 1, 1], 256, 0, arguments);
        }
        "sort_pairs" => layers::sort_pairs(plan, call),
        "mix" => layers::mix(plan, call, None),
        "convolution" => layers::convolution(plan, call),
        "delta" => layers::delta(plan, call),
        "sort" => layers::sort(plan, call),
        "scan" => layers::scan(plan, call),
        "random" => layers::random(plan, call),
        _ => return Err(call.error("there is no such kernel for CUDA")),
    }
    Ok(())
}

fn take(plan: &mut Plan, call: &Call, words: [u32; 4]) {
    let arguments = (0..3).fold(Arguments::new(), |arguments, index| arguments.address(call.address(index)));
    plan.launch("take", [words[0].div_ceil(256), 1, 1], 256, 0, arguments.words(&words));
}

fn norm(plan: &mut Plan, call: &Call) {
    let there = |name, index| call.address_if(call.constant(name) == 1, index);
    let arguments = Arguments::new().address(call.address(0)).address(there("WEIGHT", 1)).address(there("BIAS", 2));
    let arguments = arguments.address(there("ADD", 3)).address(call.address(4));
    let arguments = arguments.words(&[call.constant("KIND")]).words(&call.params[..4]);
    plan.launch("norm_rows", [call.groups[0], 1, 1], 256, 0, arguments);
}

fn greatest(plan: &mut Plan, call: &Call) {
    let has_sums = call.constant("SUMS") == 1;
    let arguments = Arguments::new().address(call.address(0)).address(call.address(1));
    let arguments = arguments.address(call.address_if(has_sums, 2)).address(call.address_if(has_sums, 3));
    let arguments = arguments.words(&[call.constant("COUNT"), call.constant("FIRST")]).words(&call.params[..2]);
    plan.launch("greatest", [call.groups[0], call.groups[1], 1], 256, 0, arguments);
}

fn embedding(plan: &mut Plan, call: &Call) -> Result<(), GpuError> {
    let columns = call.params[0];
    let factor = call.float(1);
    let weights = Weights::of(call, 1, columns, factor, 1.0)?;
    let arguments = Arguments::new().inner(weights.arguments()).address(call.address(0)).address(call.address(5));
    let arguments = arguments.words(&[columns, weights.code]).floats(&[factor * call.float(2)]);
    plan.launch("embed", [columns.div_ceil(256), call.groups[1], 1], 256, 0, arguments);
    Ok(())
}

fn elementwise(plan: &mut Plan, call: &Call) -> Result<(), GpuError> {
    let expression = call.kernel.expression.as_ref().ok_or_else(|| call.error("a formula is missing"))?;
    let (length, code) = formula::encode(expression).ok_or_else(|| call.error("the formula is too long"))?;
    let (inputs, extras) = (call.constant("INPUTS") as usize, call.constant("EXTRA") as usize);
    if extras > 8 {
        return Err(call.error(format!("{extras} extra parameters")));
    }
    let address = |index: usize| call.address(index.min(inputs.saturating_sub(1)));
    let arguments = (0..4).fold(Arguments::new(), |arguments, index| arguments.address(address(index)));
    let operand = |index: usize, field: usize| if index < inputs { call.params[1 + 2 * index + field] } else { 1 };
    let mut values = [0; 8];
    values[..extras].copy_from_slice(&call.params[1 + 2 * inputs..][..extras]);
    let arguments = arguments.address(call.address(inputs));
    let arguments = arguments.words(&[0, 1, 2, 3].map(|index| operand(index, 0)));
    let arguments = arguments.words(&[0, 1, 2, 3].map(|index| operand(index, 1))).words(&values);
    let arguments = arguments.words(&[call.params[0], length]).words(&code);
    plan.launch("formula", [call.params[0].div_ceil(256), 1, 1], 256, 0, arguments);
    Ok(())
}
