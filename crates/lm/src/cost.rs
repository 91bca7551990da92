//! What a token costs: bytes that must be read and operations that must be done, from the spec and the weights.
//!
//! Divided by the limits of the machine these give the fastest possible speed. Read next: `inspect.rs`; `olivine bench`.

use olivine_kernels::attention::KvDtype;
use olivine_kernels::limits::Operands;

use crate::Precision;
use crate::load::WeightSizes;
use crate::model::Model;
use crate::spec::{Ffn, LayerSpec, Mixer, ModelSpec};

impl ModelSpec {
    /// Operations of a prompt of `rows` tokens behind `first` cached ones, logits for the last row alone.
    /// A multiplication and its addition are two.
    pub fn prefill_operations(&self, first: usize, rows: usize) -> f64 {
        let once = self.vocabulary * self.hidden + self.last_parameters();
        let matrices = self.parameters().1 - once;
        let mixing = self.layers.iter().map(|layer| layer.mixer.mixing_operations(first, rows)).sum::<f64>();
        2.0 * matrices as f64 * rows as f64 + 2.0 * once as f64 + mixing
    }

    /// Bytes read by a decode step of `rows` sequences that have `context` tokens each. Rows share the weights;
    /// experts count as often as different ones are expected when each row chooses evenly.
    pub fn step_bytes(&self, weights: &WeightSizes, context: usize, rows: usize, dtype: KvDtype) -> f64 {
        let unread = if self.head.tied { 0 } else { weights.embedding };
        let read = (weights.matrices - unread) as f64 + weights.experts as f64 * self.expert_share(rows);
        read + (rows * self.cache_bytes(context, dtype)) as f64
    }

    /// Bytes of what lies between the layers in a step of `rows` rows: the residual stream and its update, the widest
    /// projection and what is made of it, and the logits of a few rows.
    pub fn activation_bytes(&self, rows: usize) -> usize {
        const LOGIT_ROWS: usize = 16;
        let widest = |layer: &LayerSpec| {
            let mixer = layer.mixer.width();
            let ffn = match &layer.ffn {
                Ffn::Dense { width, .. } => 3 * width,
                Ffn::Moe(moe) => moe.active * (3 * moe.width + self.hidden),
            };
            mixer.max(ffn)
        };
        let widest = self.layers.iter().map(widest).max().unwrap_or(0);
        4 * (rows * (4 * self.hidden + 2 * widest) + 2 * LOGIT_ROWS.min(rows) * self.vocabulary)
    }

    /// The share of all experts that `rows` tokens are expected to reach together.
    pub fn expert_share(&self, rows: usize) -> f64 {
        let moe = self.layers.iter().find_map(|layer| match &layer.ffn {
            Ffn::Moe(moe) => Some(moe),
            Ffn::Dense { .. } => None,
        });
        moe.map_or(1.0, |moe| 1.0 - (1.0 - moe.active as f64 / moe.experts as f64).powi(rows as i32))
    }
}

impl Mixer {
    /// Numbers of a row's projections.
    fn width(&self) -> usize {
        match self {
            Mixer::Attention(a) => (3 * a.heads + 2 * a.kv_heads) * a.head_dim,
            Mixer::Latent(l) => l.heads * (l.nope_dim + 2 * (l.latent + l.rope_dim)),
            Mixer::GatedDelta(d) => d.conv_channels() + 2 * d.value_heads * (d.value_dim + 1),
        }
    }

    /// Operations between tokens: scores and sums of attention, updates of a state.
    fn mixing_operations(&self, first: usize, rows: usize) -> f64 {
        let seen = |window: Option<usize>| {
            let window = window.unwrap_or(usize::MAX);
            (first + 1..=first + rows).map(|tokens| tokens.min(window) as f64).sum::<f64>()
        };
        match self {
            Mixer::Attention(a) => 4.0 * (a.heads * a.head_dim) as f64 * seen(a.window),
            Mixer::Latent(l) => 2.0 * (l.heads * (2 * l.latent + l.rope_dim)) as f64 * seen(None),
            // Decay, recall, correct, read: a multiplication and an addition or less for each number of the state.
            Mixer::GatedDelta(d) => 7.0 * (d.value_heads * d.key_dim * d.value_dim) as f64 * rows as f64,
        }
    }
}

impl WeightSizes {
    /// The arithmetic of most products: int8 with quantized weights, bf16 with others, f32 in exact runs.
    pub fn operands(&self, precision: Precision) -> Operands {
        match precision {
            Precision::Exact => Operands::F32,
            Precision::Fast if 2 * self.quantized > self.total() => Operands::Int8,
            Precision::Fast => Operands::Bf16,
        }
    }
}

impl Model {
    /// The arithmetic of most products.
    pub fn operands(&self) -> Operands {
        self.weight_sizes().operands(self.options().precision)
    }

    /// How keys and values are stored.
    pub fn kv_dtype(&self) -> KvDtype {
        self.options().kv_dtype.unwrap_or(KvDtype::Bf16)
    }

    /// Bytes read by a decode step of `rows` sequences that have `context` tokens each.
    pub fn step_bytes(&self, context: usize, rows: usize) -> f64 {
        self.spec().step_bytes(&self.weight_sizes(), context, rows, self.kv_dtype())
    }
}

#[cfg(test)]
mod tests {
    use olivine_kernels::attention::KvDtype;

    use crate::config::Config;
    use crate::families;
    use crate::load::WeightSizes;
    use crate::spec::ModelSpec;

    fn spec(experts: &str) -> ModelSpec {
        let architecture = if experts.is_empty() { "Qwen3ForCausalLM" } else { "Qwen3MoeForCausalLM" };
        let model_type = if experts.is_empty() { "qwen3" } else { "qwen3_moe" };
        let text = format!(
            r#"{{"architectures": ["{architecture}"], "model_type": "{model_type}", "hidden_size": 8,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
            "intermediate_size": 16, "vocab_size": 32, "max_position_embeddings": 64, "rms_norm_eps": 1e-6,
            "tie_word_embeddings": false, "rope_theta": 10000.0 {experts}}}"#
        );
        let config = Config::from_json("config.json", &text).expect("valid JSON");
        (families::of_config(&config).expect("a known family").spec)(&config).expect("a valid configuration")
    }

    #[test]
    fn operations_count_products_and_attention() {
        let spec = spec("");
        // q 8x8, k and v 8x4 each, o 8x8, three matrices 8x16, per layer; those behind the last attention and the head 32x8
        // once.
        let (layer, last) = (64 + 32 + 32 + 64 + 3 * 128, 64 + 3 * 128);
        let attention = |seen: usize| 4 * 2 * 4 * seen;
        assert_eq!(spec.prefill_operations(0, 1), (2 * (2 * layer + 256) + 2 * attention(1)) as f64);
        let rows = 2 * (2 * layer - last) * 3 + 2 * (last + 256) + 2 * attention(11 + 12 + 13);
        assert_eq!(spec.prefill_operations(10, 3), rows as f64);
    }

    #[test]
    fn a_step_reads_weights_once_and_each_cache() {
        let sizes = WeightSizes { matrices: 1000, experts: 0, quantized: 0, embedding: 300 };
        // Two layers, one KV head of 4 numbers for keys and as many for values, 2 bytes each.
        assert_eq!(spec("").step_bytes(&sizes, 5, 3, KvDtype::Bf16), (700 + 3 * 5 * 2 * 8 * 2) as f64);
        // One byte each and two scales of four.
        assert_eq!(spec("").step_bytes(&sizes, 5, 3, KvDtype::Q8), (700 + 3 * 5 * 2 * (8 + 8)) as f64);
    }

    #[test]
    fn activations_grow_with_rows_and_with_the_widest_layer() {
        // Residual stream 4 * 8 and the feed-forward block 2 * 3 * 16 (attention has (3 * 2 + 2) * 4 = 32 a row), and
        // two copies of the logits.
        assert_eq!(spec("").activation_bytes(2), 4 * (2 * (32 + 96) + 2 * 2 * 32));
        assert_eq!(spec("").activation_bytes(100), 4 * (100 * (32 + 96) + 2 * 16 * 32));
    }

    #[test]
    fn experts_are_read_as_often_as_rows_reach_them() {
        let moe = spec(r#", "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8"#);
        assert_eq!(moe.expert_share(1), 0.5);
        assert_eq!(moe.expert_share(2), 0.75);
        let sizes = WeightSizes { matrices: 0, experts: 1000, quantized: 0, embedding: 0 };
        assert_eq!(moe.step_bytes(&sizes, 0, 1, KvDtype::Bf16), 500.0);
    }
}
