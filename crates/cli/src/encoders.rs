//! Encoders for the server: their cards and their loading, beside those of decoders in `catalog.rs`.

use std::path::Path;

use anyhow::Result;
use olivine_engine::{Engine, EngineOptions, SamplingOptions};
use olivine_lm::Precision;
use olivine_lm::encoder::{EncoderFile, TextEncoder};
use olivine_lm::inspect::formats;
use olivine_server::{ModelCard, ModelParts};

/// What is known of the encoder at `path`; none: it is none. Name, digest and times are the caller's.
pub fn card(path: &Path) -> Result<Option<ModelCard>> {
    let Some(file) = EncoderFile::open(path)? else { return Ok(None) };
    let entries = file.entries();
    let largest = formats(&entries).into_iter().max_by_key(|(_, _, bytes)| *bytes);
    Ok(Some(ModelCard {
        bytes: entries.iter().map(|entry| entry.bytes as u64).sum(),
        format: if path.is_file() { "gguf" } else { "safetensors" }.into(),
        family: file.spec.family.to_string(),
        parameters: entries.iter().map(|entry| entry.shape.iter().product::<usize>() as u64).sum(),
        quantization: largest.map_or_else(String::new, |(format, ..)| format),
        context_tokens: file.spec.context_tokens,
        embedding_length: file.spec.hidden,
        embeds: true,
        ..ModelCard::default()
    }))
}

/// Loads the encoder at `path` and starts its engine; none: it is none.
pub fn load(path: &Path, precision: Precision, options: &EngineOptions) -> Result<Option<ModelParts>> {
    let Some(file) = EncoderFile::open(path)? else { return Ok(None) };
    let TextEncoder { encoder, tokenizer, pooling } = TextEncoder::load(path, &file, precision)?;
    let options = EngineOptions { pooling: Some(pooling), ..options.clone() };
    Ok(Some(ModelParts {
        weight_bytes: encoder.weight_sizes().total() as u64,
        tokenizer,
        template: None,
        end_tokens: Vec::new(),
        sampling: SamplingOptions::default(),
        engine: Engine::open_encoder(encoder, options)?,
    }))
}
