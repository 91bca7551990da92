//! The heads of rows: their greatest values, what a softmax over all of them needs, and single values by number.
//!
//! Rows that a GPU made stay there: a few numbers come back instead of a vocabulary. Invariant: a head is the beginning
//! of the row in one order, greatest first, equal ones by number, NaN last, -0 as 0.
//! Read next: `olivine_gpu::ops::greatest`.

use std::sync::{Arc, Mutex, PoisonError};

use olivine_gpu::Memory;
use olivine_gpu::device::ALIGNMENT;
use olivine_gpu::ops::copy::take;
use olivine_gpu::ops::greatest::{MOST, greatest, parts, scratch_bytes};

use crate::array::Array;
use crate::dtype::Dtype;
use crate::gpu::{self, Gpu};

/// Most values that a head has.
pub const MOST_VALUES: usize = MOST;

/// What is asked of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// How many of the greatest values, at most [`MOST_VALUES`].
    pub count: usize,
    /// Also the sum of `exp((x - maximum) * factor)` over the whole row.
    pub factor: Option<f32>,
    /// Numbers of values that are wanted as well.
    pub numbers: Vec<u32>,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    /// Numbers and values, greatest first; at least as many as asked for, or the whole row.
    pub greatest: Vec<(u32, f32)>,
    /// The maximum and the sum that belongs to it.
    pub sum: Option<(f32, f64)>,
    /// The values by number, in the order of the question.
    pub values: Vec<f32>,
}

/// Memory on a GPU that is used again from question to question.
#[derive(Clone, Default)]
pub struct Reader(Arc<Mutex<Room>>);

#[derive(Default)]
struct Room {
    gpu: Option<Arc<Gpu>>,
    scratch: Option<Memory>,
    input: Option<Memory>,
    answer: Option<Memory>,
}

impl Reader {
    /// Heads of `rows` `[questions, dim]` of f32; a question of no values asks nothing. None where the rows are not on a
    /// GPU, or on one without kernels for it: the host then has them at hand.
    #[track_caller]
    pub fn heads(&self, rows: &Array, questions: &[Question]) -> Option<Vec<Head>> {
        let gpu = gpu::gpu()?;
        let tensor = rows.tensor();
        let shape = [questions.len(), tensor.size() / questions.len().max(1)];
        let fits = shape[0] > 0 && shape[1] > 0 && tensor.dtype() == Dtype::F32 && tensor.buffer().is_on_gpu_alone();
        if !fits {
            return None;
        }
        let memory = tensor.on_gpu(&gpu)?;
        assert_eq!(shape[0] * shape[1], tensor.size(), "[heads] {} questions for {:?}", shape[0], tensor.shape());
        let mut room = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !room.gpu.as_ref().is_some_and(|known| Arc::ptr_eq(known, &gpu)) {
            *room = Room { gpu: Some(gpu.clone()), ..Room::default() };
        }
        Some(room.ask(&gpu, &memory, shape, questions))
    }
}

/// Where parts of the answer lie, in bytes.
struct Layout {
    sums: usize,
    values: usize,
    end: usize,
}

impl Room {
    fn ask(&mut self, gpu: &Gpu, memory: &Memory, [rows, dim]: [usize; 2], questions: &[Question]) -> Vec<Head> {
        let most = questions.iter().map(|question| question.count).max().unwrap_or(1);
        let count = most.clamp(1, MOST_VALUES).next_power_of_two();
        let has_sums = questions.iter().any(|question| question.factor.is_some());
        let factors: Vec<f32> = questions.iter().map(|question| question.factor.unwrap_or(0.0)).collect();
        let in_row = |(row, question): (usize, &Question)| {
            let place = |&number: &u32| (row * dim) as u32 + number.min(dim as u32 - 1);
            question.numbers.iter().map(place).collect::<Vec<_>>()
        };
        let numbers: Vec<u32> = questions.iter().enumerate().flat_map(in_row).collect();
        let step = ALIGNMENT as usize;
        let sums = (rows * count * 8).next_multiple_of(step);
        let values = sums + if has_sums { (rows * parts(dim) * 8).next_multiple_of(step) } else { 0 };
        let end = match (numbers.len(), has_sums) {
            (0, false) => rows * count * 8,
            (0, true) => sums + rows * parts(dim) * 8,
            (count, _) => values + 4 * count,
        };
        let layout = Layout { sums, values, end };
        let scratch = Self::at_least(&mut self.scratch, gpu, scratch_bytes([rows, dim], count) as usize);
        let answer = Self::at_least(&mut self.answer, gpu, layout.end);
        let first_number = (4 * rows).next_multiple_of(step);
        let input = Self::at_least(&mut self.input, gpu, first_number + 4 * numbers.len());
        if has_sums || !numbers.is_empty() {
            let mut bytes = bytemuck::cast_slice(&factors).to_vec();
            bytes.resize(first_number, 0);
            bytes.extend_from_slice(bytemuck::cast_slice(&numbers));
            gpu.write(&input, 0, &bytes);
        }
        let at = |first: usize, bytes: usize| answer.slice(first as u64, bytes as u64);
        gpu.record(|list| {
            let of_parts = has_sums.then(|| (input.slice(0, 4 * rows as u64), at(layout.sums, rows * parts(dim) * 8)));
            let of_parts = of_parts.as_ref().map(|(factors, sums)| (factors, sums));
            greatest(list, memory, [rows, dim], count, of_parts, &scratch, &at(0, rows * count * 8));
            if !numbers.is_empty() {
                let places = input.slice(first_number as u64, 4 * numbers.len() as u64);
                take(list, memory, [rows * dim, 1], &places, numbers.len(), &at(layout.values, 4 * numbers.len()));
            }
        });
        let mut words = vec![0u32; layout.end.div_ceil(4)];
        gpu.download(&answer, 0, bytemuck::cast_slice_mut(&mut words));
        heads(&words, &layout, count, dim, questions)
    }

    fn at_least(slot: &mut Option<Memory>, gpu: &Gpu, bytes: usize) -> Memory {
        let known = slot.take().filter(|memory| memory.bytes() >= bytes as u64);
        let memory = known.unwrap_or_else(|| gpu.allocate(bytes.next_power_of_two().max(4096)));
        slot.insert(memory).clone()
    }
}

/// Read the answer's words.
fn heads(words: &[u32], layout: &Layout, count: usize, dim: usize, questions: &[Question]) -> Vec<Head> {
    let mut values = words.get(layout.values / 4..).unwrap_or_default().iter().map(|&bits| f32::from_bits(bits));
    let head = |(row, question): (usize, &Question)| {
        let pairs = words[row * count * 2..][..count * 2].chunks_exact(2);
        let pairs = pairs.filter(|pair| pair[1] != u32::MAX).map(|pair| (pair[1], f32::from_bits(pair[0])));
        let sum = question.factor.map(|factor| {
            let parts = parts(dim);
            let of_row = &words[layout.sums / 4 + row * parts * 2..][..parts * 2];
            merge(of_row.chunks_exact(2).map(|part| (f32::from_bits(part[0]), f32::from_bits(part[1]))), factor)
        });
        Head { greatest: pairs.collect(), sum, values: values.by_ref().take(question.numbers.len()).collect() }
    };
    questions.iter().enumerate().map(head).collect()
}

/// One maximum and one sum of those of the parts.
fn merge(parts: impl Iterator<Item = (f32, f32)> + Clone, factor: f32) -> (f32, f64) {
    let most = parts.clone().map(|(most, _)| most).fold(f32::MIN, f32::max);
    let sum = parts.map(|(own, sum)| f64::from(sum) * (f64::from(own - most) * f64::from(factor)).exp()).sum();
    (most, sum)
}

/// Row `index` of rows of `dim` values of f32. Of those on a GPU, only this one comes back.
#[track_caller]
pub fn row(rows: &Array, index: usize, dim: usize) -> Vec<f32> {
    let tensor = rows.tensor();
    if let Some(gpu) = gpu::gpu().filter(|_| tensor.buffer().is_on_gpu_alone())
        && let Some(memory) = tensor.on_gpu(&gpu)
    {
        let mut values = vec![0.0; dim];
        gpu.download(&memory, 4 * index * dim, bytemuck::cast_slice_mut(&mut values));
        return values;
    }
    tensor.contiguous().slice::<f32>()[index * dim..(index + 1) * dim].to_vec()
}
