//! [`Plan`]: a graph traced once and replayed with new inputs of the same shapes, without building or allocating.
//!
//! Invariants: steps run in the order in which evaluation would run them; views cost nothing at run time; a slot of memory
//! is shared by values whose lifetimes do not overlap; a slot that the caller still holds is replaced, never overwritten.
//! Read next: [`crate::eval`].

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use olivine_gpu::Recording;
use smallvec::SmallVec;

use crate::array::{Array, Node, Source};
use crate::buffer::Buffer;
use crate::dtype::Dtype;
use crate::eval;
use crate::gpu::{self, Gpu};
use crate::ops::copy::{copy_into, copy_to_output};
use crate::primitive::{EvalContext, Primitive, Reuse, Spec};
use crate::shape::{Layout, element_count};
use crate::tensor::Tensor;

/// An input of so few bytes is compared with the last one.
const LITTLE_BYTES: usize = 4096;

/// A traced computation that can be run again and again.
pub struct Plan {
    /// How often it ran on one GPU without a change, and its commands once they are worth keeping.
    kept: Kept,
    inputs: Vec<Spec>,
    steps: Vec<Step>,
    slots: Vec<Slot>,
    outputs: Vec<Place>,
}

/// What a plan knows of its last runs on a GPU.
#[derive(Default)]
struct Kept {
    /// [`Gpu::epoch`] of the last run that took place on the GPU altogether; 0 for none.
    epoch: u64,
    recording: Option<Recording>,
}

struct Step {
    primitive: Arc<dyn Primitive>,
    /// Templates without a buffer, and the slot of each; a donated input has none.
    inputs: SmallVec<[Tensor; 3]>,
    input_slots: SmallVec<[Option<usize>; 3]>,
    outputs: SmallVec<[Tensor; 1]>,
    output_slots: SmallVec<[usize; 1]>,
    /// Copy this input into output 0 first (an update whose donor is still needed).
    copy_first: Option<(usize, Layout)>,
}

/// Memory of a plan. `bytes` is 0 for inputs and constants, which bring their own.
struct Slot {
    buffer: Option<Arc<Buffer>>,
    bytes: usize,
    /// What an input's memory on a GPU has, if that is little: what is there need not be brought again.
    brought: Vec<u8>,
}

/// Where a value lies.
#[derive(Clone)]
struct Place {
    slot: usize,
    layout: Layout,
    dtype: Dtype,
}

impl Plan {
    /// Trace `body` on stand-ins for `examples` (only their shapes and dtypes matter).
    ///
    /// Arrays that `body` captures become constants of the plan: they are evaluated now and kept. `body` must not look
    /// at values. Primitives with handles run at every replay, in the same order.
    #[track_caller]
    pub fn trace(examples: &[&Array], body: impl FnOnce(&[Array]) -> Vec<Array>) -> Plan {
        let inputs: Vec<Spec> = examples.iter().map(|example| Spec::of(example)).collect();
        let stand_ins: Vec<Array> = inputs.iter().map(Array::placeholder).collect();
        let outputs = body(&stand_ins);
        evaluate_constants(&outputs, &stand_ins);
        let mut tracer = Tracer::default();
        for stand_in in &stand_ins {
            let place = tracer.bring(stand_in.shape(), stand_in.dtype(), None);
            tracer.places.insert(Arc::as_ptr(&stand_in.0), vec![place]);
        }
        for array in eval::order(outputs.clone()) {
            tracer.node(&array);
        }
        let outputs: Vec<Place> = outputs.iter().map(|array| tracer.place(array)).collect();
        tracer.finish(inputs, outputs)
    }

    /// Compute the outputs for `inputs`, which have the shapes and dtypes of the examples.
    #[track_caller]
    pub fn run(&mut self, inputs: &[&Array]) -> Vec<Array> {
        assert_eq!(inputs.len(), self.inputs.len(), "[plan] number of inputs");
        eval::eval(inputs.iter().copied());
        for (index, (input, spec)) in inputs.iter().zip(&self.inputs).enumerate() {
            let fits = input.shape() == &spec.shape[..] && input.dtype() == spec.dtype;
            assert!(fits, "[plan] input {index} is {:?} {}, not {spec:?}", input.shape(), input.dtype());
        }
        self.bring_inputs(inputs);
        let _device = eval::device();
        let context = eval::context();
        match context.gpu.clone() {
            Some(gpu) => self.run_on_gpu(&context, &gpu),
            None => self.steps.iter_mut().for_each(|step| {
                step.run(&context, &mut self.slots);
            }),
        }
        let outputs = self.outputs.iter().map(|place| {
            let buffer = self.slots[place.slot].buffer.clone();
            Array::from_tensor(Tensor { buffer, layout: place.layout.clone(), dtype: place.dtype })
        });
        let outputs = outputs.collect();
        if context.gpu.is_none() {
            self.slots[..self.inputs.len()].iter_mut().for_each(|slot| slot.buffer = None);
        }
        outputs
    }

    /// Record the steps' commands and send them. A plan that runs again with nothing changed keeps its commands, and from
    /// then on a run sends them as they are.
    fn run_on_gpu(&mut self, context: &EvalContext, gpu: &Arc<Gpu>) {
        if let (Some(recording), true) = (&self.kept.recording, self.kept.epoch == gpu.epoch())
            && own_outputs(&self.outputs, &mut self.slots, gpu)
        {
            return gpu.replay(recording);
        }
        gpu.submit();
        let (epoch, sent) = (gpu.epoch(), gpu.sent());
        let mut whole = true;
        for step in &mut self.steps {
            whole &= step.run(context, &mut self.slots);
        }
        // What was sent in between, to bring something, is not among the commands.
        whole &= gpu.sent() == sent;
        if !whole || self.kept.epoch != epoch {
            self.kept = Kept { epoch, recording: None };
            return gpu.submit();
        }
        let recording = gpu.keep(gpu.take());
        gpu.replay(&recording);
        self.kept.recording = Some(recording);
    }

    /// Put the values of the inputs where the steps read them. On a GPU that is always the same memory.
    fn bring_inputs(&mut self, inputs: &[&Array]) {
        let gpu = gpu::gpu();
        for (slot, input) in self.slots.iter_mut().zip(inputs) {
            let tensor = input.tensor();
            let plain = tensor.layout.offset == 0 && tensor.is_contiguous();
            let tensor = if plain { tensor.clone() } else { dense_copy(tensor) };
            let Some(gpu) = &gpu else {
                slot.buffer = tensor.buffer;
                continue;
            };
            let length = tensor.buffer().len();
            let own = slot.buffer.as_mut().and_then(Arc::get_mut).filter(|own| own.len() == length);
            match own {
                Some(own) => {
                    let (memory, bytes) = (own.on_gpu_fresh(gpu).clone(), tensor.buffer().bytes());
                    if slot.brought.is_empty() || slot.brought != bytes {
                        gpu.write(&memory, 0, bytes);
                    }
                    slot.brought.clear();
                    if bytes.len() <= LITTLE_BYTES {
                        slot.brought.extend_from_slice(bytes);
                    }
                }
                None => {
                    let mut own = Buffer::new(length);
                    own.bytes_mut().copy_from_slice(tensor.buffer().bytes());
                    own.on_gpu_mut(gpu);
                    slot.buffer = Some(Arc::new(own));
                    slot.brought.clear();
                    self.kept = Kept::default();
                }
            }
        }
    }

    /// How many primitives a replay runs.
    pub fn step_count(&self) -> usize {
        self.steps.len()
    }

    /// Bytes of intermediate memory that the plan keeps.
    pub fn workspace_bytes(&self) -> usize {
        self.slots.iter().map(|slot| slot.bytes).sum()
    }

    /// Names of the primitives in the order in which they run.
    pub fn step_names(&self) -> Vec<&'static str> {
        self.steps.iter().map(|step| step.primitive.name()).collect()
    }
}

impl Step {
    /// Whether it ran on the GPU.
    fn run(&mut self, context: &EvalContext, slots: &mut [Slot]) -> bool {
        for (tensor, slot) in self.inputs.iter_mut().zip(&self.input_slots) {
            if let Some(slot) = *slot {
                tensor.buffer.clone_from(&slots[slot].buffer);
            }
        }
        let in_place = self.input_slots.contains(&None);
        for (tensor, &slot) in self.outputs.iter_mut().zip(&self.output_slots) {
            let slot = &mut slots[slot];
            let mut buffer = slot.buffer.take();
            // The caller or a handle still holds the last value: leave it to them, with a copy of what is updated in place.
            if buffer.as_mut().and_then(Arc::get_mut).is_none() {
                let mut fresh = Buffer::new(slot.bytes);
                if let (true, Some(held)) = (in_place, &buffer) {
                    fresh.bytes_mut().copy_from_slice(held.bytes());
                }
                buffer = Some(Arc::new(fresh));
            }
            tensor.buffer = buffer;
        }
        if let Some((index, layout)) = &self.copy_first {
            let source = &mut self.inputs[*index];
            let from = Tensor { buffer: source.buffer.take(), layout: layout.clone(), dtype: source.dtype };
            copy_to_output(context, &from, &mut self.outputs[0]);
        }
        let on_gpu = context.run(&*self.primitive, &self.inputs, &mut self.outputs);
        for (tensor, &slot) in self.outputs.iter_mut().zip(&self.output_slots) {
            slots[slot].buffer = tensor.buffer.take();
        }
        for tensor in &mut self.inputs {
            tensor.buffer = None;
        }
        on_gpu
    }
}

/// Make the outputs' memory ready to be written again, if nobody else holds it.
fn own_outputs(outputs: &[Place], slots: &mut [Slot], gpu: &Arc<Gpu>) -> bool {
    outputs.iter().all(|place| {
        let slot = &mut slots[place.slot];
        let own = slot.buffer.as_mut().and_then(Arc::get_mut).filter(|_| slot.bytes > 0);
        own.is_some_and(|buffer| {
            buffer.on_gpu_fresh(gpu);
            true
        })
    })
}

fn dense_copy(tensor: &Tensor) -> Tensor {
    let mut copy = Tensor::new(tensor.shape(), tensor.dtype);
    copy_into(tensor, copy.bytes_mut());
    copy
}

/// Evaluate the parts of the graph that do not depend on the plan's inputs.
#[track_caller]
fn evaluate_constants(outputs: &[Array], stand_ins: &[Array]) {
    let mut variable: HashMap<*const Node, bool> =
        stand_ins.iter().map(|array| (Arc::as_ptr(&array.0), true)).collect();
    let mut constants: Vec<Array> = Vec::new();
    for array in eval::order(outputs.to_vec()) {
        let source = array.0.source.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(source) = &*source else { continue };
        let depends = |input: &Array| variable.get(&Arc::as_ptr(&input.0)).copied().unwrap_or(false);
        let is_variable = source.inputs().iter().any(depends);
        if is_variable {
            constants.extend(source.inputs().iter().filter(|input| !depends(input)).cloned());
        }
        variable.insert(Arc::as_ptr(&array.0), is_variable);
    }
    constants.extend(outputs.iter().filter(|array| !variable.get(&Arc::as_ptr(&array.0)).unwrap_or(&false)).cloned());
    eval::eval(&constants);
}

/// Builds the steps, first with one virtual slot a value, then packed.
#[derive(Default)]
struct Tracer {
    places: HashMap<*const Node, Vec<Place>>,
    /// Constants are kept alive while their address is a key.
    kept: Vec<Array>,
    brought: Vec<(usize, Option<Arc<Buffer>>)>,
    /// Bytes of every virtual slot; 0 for brought ones.
    bytes: Vec<usize>,
    steps: Vec<Step>,
}

impl Tracer {
    fn bring(&mut self, shape: &[usize], dtype: Dtype, buffer: Option<Arc<Buffer>>) -> Place {
        let slot = self.bytes.len();
        self.bytes.push(0);
        self.brought.push((slot, buffer));
        Place { slot, layout: Layout::contiguous(shape), dtype }
    }

    #[track_caller]
    fn place(&mut self, array: &Array) -> Place {
        if let Some(places) = self.places.get(&Arc::as_ptr(&array.0)) {
            return places[0].clone();
        }
        let tensor = array.value_tensor().expect("[plan] a captured array was evaluated before").clone();
        let mut place = self.bring(&[], tensor.dtype, tensor.buffer);
        place.layout = tensor.layout;
        self.places.insert(Arc::as_ptr(&array.0), vec![place.clone()]);
        self.kept.push(array.clone());
        place
    }

    fn node(&mut self, array: &Array) {
        if self.places.contains_key(&Arc::as_ptr(&array.0)) {
            return;
        }
        let source = array.0.source.lock().unwrap_or_else(PoisonError::into_inner);
        let places = match source.as_ref().expect("[plan] a node in order has a source") {
            Source::Output { tuple, index } => vec![self.places[&Arc::as_ptr(&tuple.0)][*index].clone()],
            Source::Compute { primitive, inputs, specs } => {
                let inputs: SmallVec<[Place; 3]> = inputs.iter().map(|input| self.place(input)).collect();
                let view = if specs.is_empty() { inputs.first() } else { None };
                if let Some(layout) = view.and_then(|first| primitive.view(&first.layout)) {
                    vec![Place { slot: inputs[0].slot, layout, dtype: array.dtype() }]
                } else if specs.is_empty() {
                    self.step(primitive, &inputs, &[Spec::of(array)])
                } else {
                    self.step(primitive, &inputs, specs)
                }
            }
        };
        self.places.insert(Arc::as_ptr(&array.0), places);
        self.kept.push(array.clone());
    }

    fn step(&mut self, primitive: &Arc<dyn Primitive>, inputs: &[Place], specs: &[Spec]) -> Vec<Place> {
        let first = self.bytes.len();
        self.bytes.extend(specs.iter().map(|spec| spec.bytes().max(1)));
        let places: Vec<Place> = specs
            .iter()
            .enumerate()
            .map(|(i, spec)| Place { slot: first + i, layout: Layout::contiguous(&spec.shape), dtype: spec.dtype })
            .collect();
        let template = |place: &Place| Tensor { buffer: None, layout: place.layout.clone(), dtype: place.dtype };
        self.steps.push(Step {
            primitive: primitive.clone(),
            inputs: inputs.iter().map(template).collect(),
            input_slots: inputs.iter().map(|place| Some(place.slot)).collect(),
            outputs: places.iter().map(template).collect(),
            output_slots: places.iter().map(|place| place.slot).collect(),
            copy_first: None,
        });
        places
    }

    /// Give virtual slots their memory by lifetime, and decide donations.
    fn finish(mut self, inputs: Vec<Spec>, mut outputs: Vec<Place>) -> Plan {
        let mut last_use = vec![0; self.bytes.len()];
        for (index, step) in self.steps.iter().enumerate() {
            for slot in step.output_slots.iter().chain(step.input_slots.iter().flatten()) {
                last_use[*slot] = index;
            }
        }
        for place in &outputs {
            last_use[place.slot] = usize::MAX;
        }
        let mut packer = Packer { physical: vec![None; self.bytes.len()], slots: Vec::new(), free: Vec::new() };
        for (slot, buffer) in std::mem::take(&mut self.brought) {
            packer.physical[slot] = Some(packer.slots.len());
            packer.slots.push(Slot { buffer, bytes: 0, brought: Vec::new() });
        }
        for (index, step) in self.steps.iter_mut().enumerate() {
            packer.place_step(index, step, &self.bytes, &last_use);
        }
        for place in &mut outputs {
            place.slot = packer.physical[place.slot].expect("every value was placed");
        }
        Plan { kept: Kept::default(), inputs, steps: self.steps, slots: packer.slots, outputs }
    }
}

struct Packer {
    physical: Vec<Option<usize>>,
    slots: Vec<Slot>,
    free: Vec<usize>,
}

impl Packer {
    fn place_step(&mut self, index: usize, step: &mut Step, bytes: &[usize], last_use: &[usize]) {
        let virtual_inputs: SmallVec<[usize; 3]> = step.input_slots.iter().flatten().copied().collect();
        let virtual_outputs = step.output_slots.clone();
        let donor = self.donor(index, step, bytes, last_use);
        for i in 0..step.output_slots.len() {
            let slot = step.output_slots[i];
            let place = match donor {
                Some(input) if i == 0 => self.physical[virtual_inputs[input]].expect("inputs are placed"),
                _ => self.claim(bytes[slot]),
            };
            self.physical[slot] = Some(place);
            step.output_slots[i] = place;
        }
        for (input, slot) in virtual_inputs.iter().enumerate() {
            step.input_slots[input] = if donor == Some(input) { None } else { self.physical[*slot] };
        }
        if let (Reuse::Update(input), None) = (step.primitive.reuse(), donor) {
            step.copy_first = Some((input, step.inputs[input].layout.clone()));
        }
        let slots = virtual_inputs.iter().chain(&virtual_outputs).copied();
        let mut dead: SmallVec<[usize; 4]> = slots.filter(|&slot| last_use[slot] == index).collect();
        dead.sort_unstable();
        dead.dedup();
        if let Some(input) = donor {
            dead.retain(|slot| *slot != virtual_inputs[input]);
        }
        for slot in dead {
            if bytes[slot] > 0 {
                self.free.push(self.physical[slot].expect("placed before its last use"));
            }
        }
    }

    /// The input whose memory output 0 takes over: last used here, used once, dense, and the plan's own.
    fn donor(&self, index: usize, step: &Step, bytes: &[usize], last_use: &[usize]) -> Option<usize> {
        let wanted = element_count(step.outputs[0].shape()) * step.outputs[0].dtype.size();
        let fits = |input: usize| {
            let (tensor, slot) = (&step.inputs[input], step.input_slots[input].expect("not donated yet"));
            bytes[slot] > 0
                && last_use[slot] == index
                && step.input_slots.iter().filter(|other| **other == Some(slot)).count() == 1
                && tensor.layout.offset == 0
                && tensor.layout.is_contiguous()
                && tensor.size() * tensor.dtype.size() == wanted
                && bytes[slot] == wanted.max(1)
        };
        match step.primitive.reuse() {
            Reuse::None => None,
            Reuse::Update(input) => Some(input).filter(|&input| fits(input)),
            Reuse::Elementwise => (0..step.inputs.len())
                .find(|&input| step.inputs[input].dtype.size() == step.outputs[0].dtype.size() && fits(input)),
        }
    }

    /// The smallest free slot that holds `bytes`, else the largest one made larger, else a new one.
    fn claim(&mut self, bytes: usize) -> usize {
        let enough = (0..self.free.len()).filter(|&i| self.slots[self.free[i]].bytes >= bytes);
        let best = enough.min_by_key(|&i| self.slots[self.free[i]].bytes);
        let best = best.or_else(|| (0..self.free.len()).max_by_key(|&i| self.slots[self.free[i]].bytes));
        let slot = match best {
            Some(i) => self.free.swap_remove(i),
            None => {
                self.slots.push(Slot { buffer: None, bytes: 0, brought: Vec::new() });
                self.slots.len() - 1
            }
        };
        self.slots[slot].bytes = self.slots[slot].bytes.max(bytes);
        slot
    }
}
