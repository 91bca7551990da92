//! Which type each tensor of a GGUF file gets: one base type, and more bits where errors cost most.
//!
//! Names, numbers and choices are those of llama.cpp's quantizer, so that a name means the same file everywhere.

use olivine_formats::TensorType;
use olivine_formats::TensorType::*;

/// A named choice of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Its name.
    pub name: &'static str,
    /// The type of most matrices.
    pub base: TensorType,
    /// `general.file_type`.
    pub file_type: u32,
}

/// Every mix that can be written.
pub const MIXES: &[Mix] = &[
    mix("f32", F32, 0),
    mix("f16", F16, 1),
    mix("bf16", Bf16, 32),
    mix("q8_0", Q8_0, 7),
    mix("q6_k", Q6K, 18),
    mix("q5_k_m", Q5K, 17),
    mix("q5_k_s", Q5K, 16),
    mix("q5_1", Q5_1, 9),
    mix("q5_0", Q5_0, 8),
    mix("q4_k_m", Q4K, 15),
    mix("q4_k_s", Q4K, 14),
    mix("q4_1", Q4_1, 3),
    mix("q4_0", Q4_0, 2),
    mix("q3_k_l", Q3K, 13),
    mix("q3_k_m", Q3K, 12),
    mix("q3_k_s", Q3K, 11),
    mix("q2_k", Q2K, 10),
];

const fn mix(name: &'static str, base: TensorType, file_type: u32) -> Mix {
    Mix { name, base, file_type }
}

/// What the choice depends on beside the tensor.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Layers of the model.
    pub layers: usize,
    /// Query heads of a key head.
    pub group_heads: usize,
    /// Experts of a layer; 0 without.
    pub experts: usize,
    /// Whether the embedding is the output matrix as well.
    pub tied: bool,
    /// Layers that have a tensor of values, in order.
    pub value_layers: Vec<usize>,
}

impl Mix {
    /// The mix of a name, in any case. `q4_k` means `q4_k_m`, and so for 3 and 5 bits.
    pub fn parse(name: &str) -> Option<Mix> {
        let name = name.to_ascii_lowercase();
        let full = match &name[..] {
            "q3_k" | "q4_k" | "q5_k" => format!("{name}_m"),
            _ => name,
        };
        MIXES.iter().copied().find(|mix| mix.name == full)
    }

    /// The type of a tensor that has the type `stored` in the source.
    pub fn choose(&self, name: &str, shape: &[usize], stored: TensorType, facts: &Facts) -> TensorType {
        // What is stored in blocks already would only lose.
        if !is_quantizable(name, shape) || stored.block_elements() > 1 {
            return stored;
        }
        if matches!(self.base, F32 | F16 | Bf16) {
            return self.base;
        }
        fallback(self.preferred(name, shape, facts), shape)
    }

    fn preferred(&self, name: &str, shape: &[usize], facts: &Facts) -> TensorType {
        if name == "output.weight" || (facts.tied && name == "token_embd.weight") {
            let whole = shape.last().is_some_and(|columns| columns.is_multiple_of(self.base.block_elements()));
            return if self.base == Q8_0 || !whole { Q8_0 } else { Q6K };
        }
        let Some((layer, module)) = layer_and_module(name) else { return self.base };
        match module {
            "attn_v" | "attn_qkv" | "attn_kv_b" => self.values(module, layer, facts),
            "attn_k" if facts.experts == 8 => Q8_0,
            "ffn_down" | "ffn_down_exps" | "ffn_down_shexp" => self.down(layer, facts),
            "attn_output" => self.attention_output(facts),
            _ => self.base,
        }
    }

    fn values(&self, module: &str, layer: usize, facts: &Facts) -> TensorType {
        let (index, count) =
            (facts.value_layers.iter().position(|&l| l == layer).unwrap_or(layer), facts.value_layers.len());
        let mut chosen = match self.name {
            "q2_k" => {
                if facts.group_heads >= 4 {
                    Q4K
                } else {
                    Q3K
                }
            }
            "q3_k_m" => {
                if index < 2 {
                    Q5K
                } else {
                    Q4K
                }
            }
            "q3_k_l" => Q5K,
            "q4_k_m" | "q5_k_m" if more_bits(index, count) => Q6K,
            "q4_k_s" if index < 4 => Q5K,
            _ => self.base,
        };
        // In 80 layers with grouped heads the values are so small that more bits cost next to nothing.
        if facts.layers == 80 && facts.group_heads > 1 && matches!(chosen, Q3K | Q4K) && module == "attn_v" {
            chosen = Q5K;
        }
        if facts.experts == 8 { Q8_0 } else { chosen }
    }

    fn down(&self, layer: usize, facts: &Facts) -> TensorType {
        match self.name {
            "q2_k" => Q3K,
            "q3_k_m" => {
                if layer < facts.layers / 16 {
                    Q5K
                } else {
                    Q4K
                }
            }
            "q3_k_l" => Q5K,
            "q4_k_m" | "q5_k_m" if more_bits(layer, facts.layers) => Q6K,
            "q4_k_s" if layer < facts.layers / 8 => Q5K,
            _ => self.base,
        }
    }

    fn attention_output(&self, facts: &Facts) -> TensorType {
        match (self.name, facts.experts == 8) {
            ("q2_k" | "q3_k_s" | "q3_k_m" | "q4_k_s" | "q4_k_m", true) => Q5K,
            ("q2_k", false) => Q3K,
            ("q3_k_m", false) => Q4K,
            ("q3_k_l", false) => Q5K,
            _ => self.base,
        }
    }
}

/// The first and last eighth of the layers, and every third between them.
fn more_bits(layer: usize, layers: usize) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}

/// Matrices but for norms, routers and convolutions.
fn is_quantizable(name: &str, shape: &[usize]) -> bool {
    shape.len() >= 2
        && name.ends_with("weight")
        && !["_norm.weight", "ffn_gate_inp", "ssm_conv1d"].iter().any(|part| name.contains(part))
}

/// Another type where rows are not whole blocks.
fn fallback(chosen: TensorType, shape: &[usize]) -> TensorType {
    let columns = shape.last().copied().unwrap_or(1);
    let fits = |dtype: TensorType| columns.is_multiple_of(dtype.block_elements());
    let smaller = match chosen {
        _ if fits(chosen) => chosen,
        Q2K | Q3K => Q4_0,
        Q4K => Q5_0,
        Q5K => Q5_1,
        Q6K => Q8_0,
        other => other,
    };
    if fits(smaller) { smaller } else { F16 }
}

/// `blk.7.attn_v.weight` as 7 and `attn_v`.
pub fn layer_and_module(name: &str) -> Option<(usize, &str)> {
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    Some((layer.parse().ok()?, rest.rsplit_once('.')?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(layers: usize) -> Facts {
        Facts { layers, group_heads: 2, experts: 0, tied: true, value_layers: (0..layers).collect() }
    }

    #[test]
    fn the_first_and_last_layers_and_every_third_get_more_bits() {
        let mix = Mix::parse("Q4_K").unwrap();
        assert_eq!((mix.name, mix.file_type), ("q4_k_m", 15));
        let is_more = |layer: usize| {
            let value = mix.choose(&format!("blk.{layer}.attn_v.weight"), &[1024, 1024], Bf16, &facts(28));
            let down = mix.choose(&format!("blk.{layer}.ffn_down.weight"), &[1024, 3072], Bf16, &facts(28));
            assert_eq!(value, down);
            value == Q6K
        };
        let more: Vec<_> = (0..28).filter(|&layer| is_more(layer)).collect();
        assert_eq!(more, [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 24, 25, 26, 27]);
        assert_eq!(mix.choose("blk.0.attn_q.weight", &[2048, 1024], Bf16, &facts(28)), Q4K);
    }

    #[test]
    fn norms_and_routers_stay_and_odd_widths_fall_back() {
        let mix = Mix::parse("q4_k_m").unwrap();
        assert_eq!(mix.choose("blk.0.attn_norm.weight", &[64], F32, &facts(4)), F32);
        assert_eq!(mix.choose("blk.0.ffn_gate_inp.weight", &[8, 256], F32, &facts(4)), F32);
        assert_eq!(mix.choose("token_embd.weight", &[100, 256], Bf16, &facts(4)), Q6K);
        assert_eq!(mix.choose("token_embd.weight", &[100, 96], Bf16, &facts(4)), Q8_0);
        assert_eq!(mix.choose("blk.1.ffn_up.weight", &[100, 96], Bf16, &facts(4)), Q5_0);
        assert_eq!(mix.choose("blk.1.ffn_up.weight", &[100, 40], Bf16, &facts(4)), F16);
        assert_eq!(Mix::parse("q4_x"), None);
    }
}
