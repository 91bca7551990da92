//! The GGUF form of a Hugging Face folder: its hyper-parameters, its tensors, its tokenizer.
//!
//! What the file cannot express for a family is refused, so that no reader computes another model than the folder's.
//! Read next: `hyper.rs`, `tensors.rs`.

use std::path::Path;

use super::{Plan, facts, hyper, tensors, tokenizer, unsupported};
use crate::ModelError;
use crate::model::Checkpoint;
use crate::spec::{Ffn, Mixer};

/// Read the folder and say what its GGUF file holds.
pub fn plan(folder: &Path) -> Result<Plan, ModelError> {
    let checkpoint = Checkpoint::open(folder, None)?;
    let model_type = checkpoint.config.word_or("model_type", "")?;
    let export = checkpoint.family.export;
    let known = export.and_then(|e| e.architectures.iter().find(|(name, _)| *name == model_type));
    let (Some(export), Some((_, architecture))) = (export, known) else {
        let hint = "; write an MLX format (affine4, mxfp4, …) into a folder instead".into();
        return Err(unsupported(folder, format!("writing GGUF files of `{model_type}` models"), hint));
    };
    let mut metadata = hyper::metadata(folder, &checkpoint, architecture)?;
    let mut planned = hyper::rope_tensors(&checkpoint);
    let found = hyper::read_back(folder, &checkpoint, &export, &metadata, &planned)?;
    planned.extend(tensors::tensors(folder, &checkpoint, &export, &found)?);
    metadata.extend(tokenizer::metadata(folder, &checkpoint.config, checkpoint.spec.vocabulary)?);
    let layers = &checkpoint.spec.layers;
    let experts = layers.iter().find_map(|layer| match &layer.ffn {
        Ffn::Moe(moe) => Some(moe.experts),
        Ffn::Dense { .. } => None,
    });
    let group_heads = layers.iter().find_map(|layer| match &layer.mixer {
        Mixer::Attention(attention) => Some(attention.heads / attention.kv_heads),
        Mixer::Latent(latent) => Some(latent.heads),
        Mixer::GatedDelta(_) => None,
    });
    let facts = facts(&planned, layers.len(), group_heads.unwrap_or(1), experts.unwrap_or(0));
    Ok(Plan { metadata, tensors: planned, facts })
}
