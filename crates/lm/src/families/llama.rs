//! Llama 1 to 3.x, Mistral, SmolLM3 (layers without rotary embedding).

use super::*;

pub(super) const FAMILY: Family = Family {
    name: "llama",
    model_types: &["llama", "mistral", "smollm3"],
    gguf_architectures: &["llama", "smollm3", "mistral3"],
    spec,
    names: &[],
    export: Export::plain(&[("llama", "llama"), ("mistral", "llama"), ("smollm3", "smollm3")]),
};

fn spec(config: &Config) -> Result<ModelSpec, ModelError> {
    let every = match no_rope_interval(config.word_or("model_type", "")?) {
        0 => 0,
        usual => config.size_or("no_rope_layer_interval", usual)?,
    };
    let rope_layers = config.numbers("no_rope_layers")?;
    decoder(config, "llama", |layer| {
        let mut attention = attention(config)?;
        let has_rope = match &rope_layers {
            Some(list) if !list.is_empty() => *list.get(layer).unwrap_or(&1) != 0,
            _ => every == 0 || !(layer + 1).is_multiple_of(every),
        };
        if !has_rope {
            attention.rope = None;
        } else if config.is_gguf() {
            // The GGUF converter reorders q and k so that a pair's two halves are neighbours.
            attention.rope.iter_mut().for_each(|rope| rope.interleaved = true);
        }
        let window = config.size_option("sliding_window")?;
        let windowed = config.flag_or("use_sliding_window", true)?;
        if windowed && is_sliding(config, layer, window.is_some())? {
            attention.window = window;
        }
        Ok(plain_layer(attention, dense(config)?))
    })
}

/// One layer of so many has no rotary embedding; 0: all have it.
fn no_rope_interval(model_type: &str) -> usize {
    if model_type == "smollm3" { 4 } else { 0 }
}
