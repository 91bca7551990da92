//! Softmax attention of a ragged batch over paged keys and values, with what stands around it in a decoder:
//! head norms, rotary embedding, writing the new keys and values.
//!
//! Oracle: [`crate::fast::attention`] over a contiguous copy of each sequence. Read next: `step.rs`.

use std::sync::Arc;

use olivine_gpu::ops::attention as on_gpu_attention;
use olivine_kernels::attention::{self, AttentionParams, RaggedBatch};
use olivine_kernels::heads::{HeadPass, norm_and_rotate};
use olivine_kernels::norm::Heads;
use olivine_kernels::rope::Pairing;

use crate::array::Array;
use crate::dtype::Dtype;
use crate::fast::step::{KvHandle, KvStore, StepSlot};
use crate::gpu::Gpu;
use crate::primitive::{EvalContext, Primitive, Reuse, Specs, one};
use crate::tensor::Tensor;

/// Where queries and keys lie in a packed row, and what is done to them.
#[derive(Clone, Debug)]
pub struct HeadLayout {
    /// Query heads at the start of the row.
    pub heads: usize,
    /// Key heads behind the queries; as many value heads behind the keys.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Weights `[head_dim]` of the RMS norms of query and key heads.
    pub norms: Option<(Array, Array)>,
    /// Epsilon of the norms.
    pub epsilon: f32,
    /// Index into [`crate::fast::step::Step::angles`], and which elements form a pair.
    pub rope: Option<(usize, Pairing)>,
}

impl HeadLayout {
    fn width(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }
}

/// Norm and rotate the query and key heads of packed rows `[rows, (heads + 2 kv_heads) * head_dim]` of f32.
#[track_caller]
pub fn prepare_heads(qkv: &Array, layout: HeadLayout, step: &StepSlot) -> Array {
    assert_eq!(qkv.shape().last(), Some(&layout.width()), "[prepare_heads] rows {:?} for {layout:?}", qkv.shape());
    Array::apply(PrepareHeads { layout, step: step.clone() }, &[qkv])
}

#[derive(Debug)]
struct PrepareHeads {
    layout: HeadLayout,
    step: StepSlot,
}

impl Primitive for PrepareHeads {
    fn name(&self) -> &'static str {
        "prepare_heads"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        one(inputs[0].shape(), Dtype::F32)
    }

    fn reuse(&self) -> Reuse {
        Reuse::Update(0)
    }

    fn eval_cpu(&self, context: &EvalContext, _: &[Tensor], outputs: &mut [Tensor]) {
        let layout = &self.layout;
        let x = outputs[0].slice_mut::<f32>();
        let row_stride = layout.width();
        let dim = layout.head_dim;
        let queries = Heads { rows: x.len() / row_stride, row_stride, first: 0, heads: layout.heads, dim };
        let keys = Heads { first: layout.heads * dim, heads: layout.kv_heads, ..queries };
        let step = self.step.read();
        let norms = layout.norms.as_ref().map(|(query, key)| (query.tensor(), key.tensor()));
        let pass = HeadPass {
            queries,
            keys,
            norms: norms.as_ref().map(|(query, key)| (query.slice(), key.slice())),
            epsilon: layout.epsilon,
            rope: layout.rope.map(|(kind, pairing)| (&step.angles[kind], pairing)),
        };
        norm_and_rotate(context.pool(), x, &pass);
    }

    fn eval_gpu(&self, gpu: &Arc<Gpu>, _: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let layout = &self.layout;
        let step = self.step.read();
        let Some(on_gpu) = step.on_gpu() else { return false };
        let norm = |weight: &Array| weight.tensor().buffer().on_gpu(gpu).clone();
        let norms = layout.norms.as_ref().map(|(query, key)| (norm(query), norm(key)));
        let pass = on_gpu_attention::Heads {
            heads: layout.heads as u32,
            kv_heads: layout.kv_heads as u32,
            head_dim: layout.head_dim as u32,
            row_stride: layout.width() as u32,
            norms: norms.as_ref().map(|(query, key)| (query, key)),
            epsilon: layout.epsilon,
            rope: layout.rope.map(|(kind, pairing)| {
                let rotated = step.angles[kind].dim() as u32;
                (&on_gpu.angles[kind], rotated, pairing == Pairing::Interleaved)
            }),
        };
        let rows = (outputs[0].size() / layout.width()) as u32;
        let x = outputs[0].on_gpu_mut(gpu);
        gpu.record(|list| on_gpu_attention::heads(list, &pass, rows, &x));
        true
    }
}

/// How scores are made and limited.
#[derive(Clone, Debug)]
pub struct PagedAttention {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a query and a key head.
    pub key_dim: usize,
    /// Width of a value head.
    pub value_dim: usize,
    /// Which of a span's page lists.
    pub group: usize,
    /// Factor on the scores.
    pub scale: f32,
    /// Positions seen, the own one among them.
    pub window: Option<usize>,
    /// `cap * tanh(score / cap)`.
    pub soft_cap: Option<f32>,
    /// A logit per query head without a value.
    pub sinks: Option<Array>,
    /// The pages.
    pub cache: KvHandle,
    /// The sequences.
    pub step: StepSlot,
}

/// Write the keys and values of packed rows `[rows, heads * key_dim + kv_heads * (key_dim + value_dim)]` into the
/// cache and attend: `[rows, heads * value_dim]` of f32. Rows belong to sequences as the step says.
#[track_caller]
pub fn paged_attention(qkv: &Array, attention: PagedAttention) -> Array {
    Array::apply(attention, &[qkv])
}

impl PagedAttention {
    fn widths(&self) -> (usize, usize, usize) {
        (self.heads * self.key_dim, self.kv_heads * self.key_dim, self.kv_heads * self.value_dim)
    }
}

impl Primitive for PagedAttention {
    fn name(&self) -> &'static str {
        "paged_attention"
    }

    fn infer(&self, inputs: &[Array]) -> Specs {
        let (shape, (q, k, v)) = (inputs[0].shape(), self.widths());
        assert!(shape.len() == 2 && shape[1] == q + k + v, "[paged_attention] rows {shape:?} for {q} + {k} + {v}");
        one(&[shape[0], self.heads * self.value_dim], Dtype::F32)
    }

    fn eval_cpu(&self, context: &EvalContext, inputs: &[Tensor], outputs: &mut [Tensor]) {
        let rows = inputs[0].contiguous();
        let step = self.step.read();
        let sequences = step.sequences(self.group);
        let batch = RaggedBatch { sequences: &sequences };
        let params = AttentionParams {
            heads: self.heads,
            scale: self.scale,
            window: self.window,
            soft_cap: self.soft_cap,
            sinks: self.sinks.as_ref().map(|sinks| sinks.tensor().slice()),
            causal: true,
        };
        let pool = context.pool();
        self.cache.with(|cache| match cache {
            KvStore::Host(cache) => {
                attention::write_and_attend(pool, rows.slice(), cache, &batch, &params, outputs[0].slice_mut());
            }
            KvStore::Gpu(_) => panic!("[paged_attention] a step that the GPU does not know, of {self:?}"),
        });
    }

    fn eval_gpu(&self, gpu: &Arc<Gpu>, inputs: &[Tensor], outputs: &mut [Tensor]) -> bool {
        let step = self.step.read();
        self.cache.with(|cache| {
            let (KvStore::Gpu(kv), Some(on_gpu)) = (cache, step.on_gpu()) else { return false };
            let Some(qkv) = inputs[0].on_gpu_dense(gpu) else { return false };
            let (q, k, v) = self.widths();
            let sinks = self.sinks.as_ref().map(|sinks| sinks.tensor().buffer().on_gpu(gpu).clone());
            let attention = on_gpu_attention::Attention {
                heads: self.heads as u32,
                shape: kv.shape,
                row_stride: (q + k + v) as u32,
                out_stride: (self.heads * self.value_dim) as u32,
                scale: self.scale,
                window: self.window.map(|window| window as u32),
                soft_cap: self.soft_cap,
                sinks: sinks.as_ref(),
            };
            let rows = &on_gpu.groups[self.group];
            let scratch = match attention.scratch_bytes(rows) {
                0 => None,
                bytes => Some(gpu.scratch([bytes as usize])),
            };
            let out = outputs[0].on_gpu_fresh(gpu);
            gpu.record(|list| {
                on_gpu_attention::write(list, &kv.shape, rows, &qkv, attention.row_stride, q as u32, &kv.memory);
                on_gpu_attention::attend(
                    list,
                    &attention,
                    rows,
                    &qkv,
                    &kv.memory,
                    scratch.as_ref().map(|[scratch]| scratch),
                    &out,
                );
            });
            true
        })
    }
}
