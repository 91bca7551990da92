//! A model with everything that stands between it and text: tokenizer, chat template, end tokens, defaults.
//!
//! Sources: a Hugging Face or MLX folder, a GGUF file, or the same files in memory (the built-in model).
//! Read next: `generate.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use olivine_array::fast::adapter::Adapter;
use olivine_formats::gguf::Gguf;
use olivine_text::{ChatTemplate, EncodeOptions, RenderInput, SpecialStrings, Tokenizer};
use serde_json::{Map, Value};

use crate::ModelError;
use crate::files::ModelFiles;
use crate::model::{Checkpoint, LoadOptions, Model};
use crate::sampling_options::SamplingOptions;

/// A model that talks.
pub struct LanguageModel {
    /// The model.
    pub model: Model,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Its chat template, if it has one.
    pub template: Option<ChatTemplate>,
    /// Tokens that end an answer.
    pub end_tokens: Vec<u32>,
    /// What its makers recommend.
    pub sampling: SamplingOptions,
    /// What corrects it when it generates; sessions begin anew after a change.
    pub adapter: Option<Arc<Adapter>>,
}

impl LanguageModel {
    /// Open a folder or a GGUF file.
    pub fn open(path: &Path, options: &LoadOptions) -> Result<LanguageModel, ModelError> {
        // Before the weights are loaded: that may take a while.
        if path.is_dir() && path.join("config.json").is_file() {
            tokenizer_file(path)?;
        }
        // The tokenizer and the weights do not wait for each other: both take most of the time to the first token.
        let checkpoint = Checkpoint::open(path, options.context_tokens)?;
        std::thread::scope(|scope| {
            let text = scope.spawn(|| match checkpoint.weights.gguf() {
                Some(gguf) => TextParts::of_gguf(gguf),
                None => TextParts::of_folder(path),
            });
            let model = Model::load(&checkpoint, options);
            let text = text.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let model = model?;
            Ok(text?.with(model, &checkpoint))
        })
    }

    /// Open files that lie in memory.
    pub fn from_memory(files: &ModelFiles, options: &LoadOptions) -> Result<LanguageModel, ModelError> {
        let checkpoint = Checkpoint::from_memory(files, options.context_tokens)?;
        let model = Model::load(&checkpoint, options)?;
        let tokenizer_config = parse(files.name, files.tokenizer_config)?;
        let special = SpecialStrings::from_config(&tokenizer_config);
        let parts = TextParts {
            tokenizer: Tokenizer::from_json_bytes(files.tokenizer)?,
            template: Some(ChatTemplate::new("chat_template.jinja", files.chat_template, special)?),
            tokenizer_config,
            generation_config: parse(files.name, files.generation_config)?,
            end_tokens: Vec::new(),
        };
        Ok(parts.with(model, &checkpoint))
    }

    /// Render messages (`[{role, content, …}]`) as the prompt of an answer. `extra` are further template variables.
    pub fn render(
        &self,
        messages: &Value,
        tools: Option<&Value>,
        extra: Option<&Map<String, Value>>,
    ) -> Result<String, ModelError> {
        let template = self.template.as_ref().ok_or_else(|| ModelError::Missing {
            path: self.model.spec().family.into(),
            what: "a chat template".into(),
            fix: "this model completes text only; use --raw".into(),
        })?;
        let input = RenderInput { tools, extra, add_generation_prompt: true, ..RenderInput::new(messages) };
        Ok(template.render(input)?)
    }

    /// For each row of the head: the bytes that the token stands for, and whether it is a control token or none at all.
    pub fn spelling(&self) -> Vec<(Vec<u8>, bool)> {
        let known = self.tokenizer.vocab_size();
        let spell = |id: u32| match (id as usize) < known {
            true => (self.tokenizer.token_bytes(id).to_vec(), self.tokenizer.is_special(id)),
            false => (Vec::new(), true),
        };
        (0..self.model.spec().vocabulary as u32).map(spell).collect()
    }

    /// Token ids of a rendered conversation, or of plain text.
    pub fn encode(&self, text: &str, rendered: bool) -> Result<Vec<u32>, ModelError> {
        let options = if rendered { EncodeOptions::RENDERED } else { EncodeOptions::TEXT };
        Ok(self.tokenizer.encode(text, options)?)
    }
}

/// What a model's files say about text.
struct TextParts {
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    tokenizer_config: Value,
    generation_config: Value,
    end_tokens: Vec<u32>,
}

impl TextParts {
    fn of_folder(folder: &Path) -> Result<TextParts, ModelError> {
        let path = tokenizer_file(folder)?;
        Ok(TextParts {
            tokenizer: Tokenizer::from_json_file(&path)?,
            template: ChatTemplate::from_folder(folder)?,
            tokenizer_config: optional(&folder.join("tokenizer_config.json"))?,
            generation_config: optional(&folder.join("generation_config.json"))?,
            end_tokens: Vec::new(),
        })
    }

    fn of_gguf(gguf: &Gguf) -> Result<TextParts, ModelError> {
        let tokenizer = Tokenizer::from_gguf(gguf)?;
        let id = |key: &str| gguf.u32(&format!("tokenizer.ggml.{key}")).ok();
        let end_tokens = ["eos_token_id", "eot_token_id", "eom_token_id"].into_iter().filter_map(id).collect();
        let template = ChatTemplate::from_gguf(gguf)?;
        gguf.release_metadata();
        Ok(TextParts { tokenizer, template, tokenizer_config: Value::Null, generation_config: Value::Null, end_tokens })
    }

    fn with(self, model: Model, checkpoint: &Checkpoint) -> LanguageModel {
        let mut end_tokens = self.end_tokens;
        for source in [checkpoint.config.get("eos_token_id"), self.generation_config.get("eos_token_id")] {
            match source {
                Some(Value::Array(ids)) => end_tokens.extend(ids.iter().filter_map(Value::as_u64).map(|id| id as u32)),
                Some(id) => end_tokens.extend(id.as_u64().map(|id| id as u32)),
                None => {}
            }
        }
        let named = self.tokenizer_config.get("eos_token");
        let named = named.and_then(|token| token.as_str().or_else(|| token.get("content")?.as_str()));
        end_tokens.extend(named.and_then(|token| self.tokenizer.id_of(token)));
        // Ends of turns that some files forget to declare; only where they are control tokens of this vocabulary.
        for ending in ["<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|return|>", "<|endoftext|>"] {
            end_tokens.extend(
                self.tokenizer.id_of(ending).filter(|&id| self.tokenizer.is_special(id) && ending != "<|end|>"),
            );
        }
        end_tokens.sort_unstable();
        end_tokens.dedup();
        let sampling = sampling_defaults(&self.generation_config);
        LanguageModel { model, tokenizer: self.tokenizer, template: self.template, end_tokens, sampling, adapter: None }
    }
}

/// Sampling as generation_config.json recommends; Ollama's defaults where it is silent.
fn sampling_defaults(config: &Value) -> SamplingOptions {
    let number = |key: &str| config.get(key).and_then(Value::as_f64).map(|x| x as f32);
    let greedy = config.get("do_sample").and_then(Value::as_bool) == Some(false);
    SamplingOptions {
        temperature: if greedy { 0.0 } else { number("temperature").unwrap_or(0.8) },
        top_k: config.get("top_k").and_then(Value::as_u64).unwrap_or(40) as usize,
        top_p: number("top_p").unwrap_or(0.9),
        min_p: number("min_p").unwrap_or(0.0),
        repetition_penalty: number("repetition_penalty").unwrap_or(1.0),
        ..SamplingOptions::default()
    }
}

fn tokenizer_file(folder: &Path) -> Result<PathBuf, ModelError> {
    let path = folder.join("tokenizer.json");
    if path.is_file() {
        return Ok(path);
    }
    let (path, what) = (folder.into(), "tokenizer.json".into());
    Err(ModelError::Missing { path, what, fix: "copy it from where the weights came from".into() })
}

fn optional(path: &Path) -> Result<Value, ModelError> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&path.display().to_string(), &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Value::Null),
        Err(source) => Err(ModelError::Io { path: path.into(), source }),
    }
}

fn parse(file: &str, text: &str) -> Result<Value, ModelError> {
    serde_json::from_str(text).map_err(|error| ModelError::Field {
        file: file.into(),
        field: "(whole file)".into(),
        problem: format!("not valid JSON: {error}"),
    })
}
