//! The model in the binary: Mica, 32 M parameters, affine 8-bit. Licence and sources: `models/mica/README.md`.

use olivine_lm::language_model::ModelFiles;

/// Its name on the command line.
pub const NAME: &str = "mica";

/// Its files.
pub static FILES: ModelFiles = ModelFiles {
    name: "built-in model mica",
    config: include_str!("../../../models/mica/config.json"),
    generation_config: include_str!("../../../models/mica/generation_config.json"),
    tokenizer: include_bytes!("../../../models/mica/tokenizer.json"),
    tokenizer_config: include_str!("../../../models/mica/tokenizer_config.json"),
    chat_template: include_str!("../../../models/mica/chat_template.jinja"),
    weights: include_bytes!("../../../models/mica/model.safetensors"),
};
