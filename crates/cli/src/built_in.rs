//! The model in the binary: Mica, 32 M parameters, affine 8-bit. Licence and sources: `models/mica/README.md`.

use olivine_lm::files::ModelFiles;

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

/// The same as files of a folder.
pub fn files() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("config.json", FILES.config.as_bytes()),
        ("generation_config.json", FILES.generation_config.as_bytes()),
        ("tokenizer.json", FILES.tokenizer),
        ("tokenizer_config.json", FILES.tokenizer_config.as_bytes()),
        ("chat_template.jinja", FILES.chat_template.as_bytes()),
        ("model.safetensors", FILES.weights),
    ]
}
