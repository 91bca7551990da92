//! A model folder that lies in memory, as the built-in model does.
//!
//! Read next: [`crate::language_model`].

/// The files of a model folder in memory.
#[derive(Clone, Copy, Debug)]
pub struct ModelFiles {
    /// Name for messages.
    pub name: &'static str,
    /// config.json.
    pub config: &'static str,
    /// generation_config.json.
    pub generation_config: &'static str,
    /// tokenizer.json.
    pub tokenizer: &'static [u8],
    /// tokenizer_config.json.
    pub tokenizer_config: &'static str,
    /// chat_template.jinja.
    pub chat_template: &'static str,
    /// model.safetensors.
    pub weights: &'static [u8],
}
