//! What a MODEL on the command line means: the built-in model, a folder or file, a name in the store, a repository in
//! the cache of the Hugging Face libraries; and what a name's manifest adds to its files.
//!
//! Invariant: files on disk come before names, so that a path always means itself. Read next: `workshop.rs`,
//! `catalog.rs`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::ValueEnum;
use olivine_hub::{ModelName, Store, StoredModel, local, parameters};
use olivine_lm::language_model::LanguageModel;
use olivine_lm::model::{Checkpoint, LoadOptions, Model};
use olivine_lm::sampling_options::SamplingOptions;
use olivine_lm::spec::{LayerSpec, Mixer, ModelSpec};
use serde_json::{Map, Value};

use crate::built_in;
use crate::kv_type::KvType;

/// A model that is here.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is called.
    pub name: String,
    /// The file or folder; none: the built-in model.
    pub path: Option<PathBuf>,
    /// What the store knows of it.
    pub stored: Option<StoredModel>,
}

/// What a manifest adds to the files of a model.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// The chat template.
    pub template: Option<String>,
    /// The system message.
    pub system: Option<String>,
    /// Parameters.
    pub parameters: Map<String, Value>,
    /// Messages that every conversation begins with.
    pub messages: Vec<Value>,
}

/// What a word means; none: nothing that is here.
pub fn find(word: &str) -> Result<Option<Found>> {
    let path = PathBuf::from(word);
    if path.exists() {
        return Ok(Some(Found { name: word.to_string(), path: Some(path), stored: None }));
    }
    if is_built_in(word) {
        return Ok(Some(Found { name: built_in::NAME.to_string(), path: None, stored: None }));
    }
    let Ok(name) = ModelName::parse(word) else { return Ok(None) };
    Ok(match of_store(&Store::of_user(), &name)? {
        Some(found) => Some(found),
        None => of_cache(&name),
    })
}

/// The same, or an error that helps.
pub fn get(word: &str) -> Result<Found> {
    match find(word)? {
        Some(found) => Ok(found),
        None => bail!(
            "{word}: no such model; give a model folder (config.json and *.safetensors), a .gguf file, a name of \
             `olivine list`, or `{name}` (built in); `olivine pull {word}` gets it where it exists; a prompt of several \
             words wants quotes: olivine run \"Why is the sky blue?\"",
            name = built_in::NAME
        ),
    }
}

/// Whether a name means the model in the binary.
pub fn is_built_in(word: &str) -> bool {
    word.strip_suffix(":latest").unwrap_or(word).eq_ignore_ascii_case(built_in::NAME)
}

/// The model of the store with this name.
pub fn of_store(store: &Store, name: &ModelName) -> Result<Option<Found>> {
    let Some(stored) = store.find(name)? else { return Ok(None) };
    let path = stored.weights()?.path().to_path_buf();
    Ok(Some(Found { name: stored.name.short(), path: Some(path), stored: Some(stored) }))
}

/// The model of the Hugging Face libraries' cache with this name.
pub fn of_cache(name: &ModelName) -> Option<Found> {
    let path = local::in_hugging_face_cache(&local::hugging_face_cache(), name)?;
    Some(Found { name: name.repository(), path: Some(path), stored: None })
}

impl Found {
    /// What the manifest adds. A model without one has nothing.
    pub fn overlay(&self) -> Result<Overlay> {
        let Some(stored) = &self.stored else { return Ok(Overlay::default()) };
        Ok(Overlay {
            template: stored.template()?.filter(|template| !is_placeholder(template)),
            system: stored.system()?.filter(|system| !system.is_empty()),
            parameters: stored.parameters()?,
            messages: stored.messages()?,
        })
    }

    /// Loads it, with the template and the sampling that its manifest asks for; its adapter is the caller's.
    pub fn open(&self, options: &LoadOptions) -> Result<LanguageModel> {
        let overlay = self.overlay()?;
        overlay.check(&self.name)?;
        let mut options = options.clone();
        options.kv_dtype = options.kv_dtype.or(overlay.kv_dtype());
        let context = overlay.parameters.get("num_ctx").and_then(Value::as_u64);
        options.context_tokens = options.context_tokens.or(context.map(|tokens| tokens as usize));
        let mut model = match &self.path {
            None => LanguageModel::from_memory(&built_in::FILES, &options)?,
            Some(path) => LanguageModel::open(path, &options)?,
        };
        if let Some(base) = overlay.parameters.get("rope_frequency_base").and_then(Value::as_f64)
            && !thetas(model.model.spec()).contains(&(base as f32))
        {
            bail!("{}: parameter rope_frequency_base {base}: the model's files say otherwise", self.name);
        }
        say_where(&model.model);
        model.template = overlay.chat_template(&self.name, model.template)?;
        overlay.apply_sampling(&mut model.sampling);
        Ok(model)
    }

    /// Opens its files without loading them.
    pub fn checkpoint(&self, context_tokens: Option<usize>) -> Result<Checkpoint> {
        Ok(match &self.path {
            None => Checkpoint::from_memory(&built_in::FILES, context_tokens)?,
            Some(path) => Checkpoint::open(path, context_tokens)?,
        })
    }

    /// The folder of the adapter that the model runs under where nobody names another.
    pub fn adapter(&self) -> Result<Option<PathBuf>> {
        let adapters = self.stored.as_ref().map_or_else(|| Ok(Vec::new()), StoredModel::adapters)?;
        match &adapters[..] {
            [] => Ok(None),
            [folder] if folder.is_dir() => Ok(Some(folder.clone())),
            [_] => {
                bail!("{}: ADAPTER: a single file (GGUF) is not supported; a folder of PEFT or mlx-lm is", self.name)
            }
            several => bail!("{}: ADAPTER: {} of them; a model runs under one", self.name, several.len()),
        }
    }
}

impl Overlay {
    /// Refuses parameters that cannot be honoured.
    fn check(&self, name: &str) -> Result<()> {
        match parameters::refused(&self.parameters) {
            Some(why) => bail!("{name}: {why}"),
            None => Ok(()),
        }
    }

    /// How keys and values are kept, where the manifest says so.
    fn kv_dtype(&self) -> Option<olivine_lm::KvDtype> {
        KvType::from_str(self.parameters.get("kv_type")?.as_str()?, true).ok().map(KvType::dtype)
    }

    /// The manifest's template, or that of the files.
    ///
    /// The manifest's wins, as in Ollama: who gave the model its name chose it, and it is there to replace that of the
    /// files. A placeholder that only repeats the prompt stands for code in Ollama and says nothing.
    pub fn chat_template(
        &self,
        name: &str,
        of_files: Option<olivine_lm::ChatTemplate>,
    ) -> Result<Option<olivine_lm::ChatTemplate>> {
        let Some(source) = &self.template else { return Ok(of_files) };
        let special = of_files.as_ref().map(|template| template.special().clone()).unwrap_or_default();
        let origin = format!("TEMPLATE of {name}");
        Ok(Some(olivine_lm::ChatTemplate::of_modelfile(&origin, source, special)?))
    }

    /// Parameters that are sampling.
    pub fn apply_sampling(&self, sampling: &mut SamplingOptions) {
        let number = |name: &str| self.parameters.get(name).and_then(Value::as_f64);
        for (name, field) in [
            ("temperature", &mut sampling.temperature),
            ("top_p", &mut sampling.top_p),
            ("min_p", &mut sampling.min_p),
            ("typical_p", &mut sampling.typical_p),
            ("repeat_penalty", &mut sampling.repetition_penalty),
            ("presence_penalty", &mut sampling.presence_penalty),
            ("frequency_penalty", &mut sampling.frequency_penalty),
        ] {
            *field = number(name).map_or(*field, |value| value as f32);
        }
        if let Some(tokens) = number("repeat_last_n") {
            sampling.penalty_tokens = if tokens < 0.0 { usize::MAX } else { tokens as usize };
        }
        sampling.top_k = number("top_k").map_or(sampling.top_k, |value| value.max(0.0) as usize);
    }

    /// Strings that end an answer.
    pub fn stop(&self) -> Vec<String> {
        match self.parameters.get("stop") {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(list)) => list.iter().filter_map(|text| text.as_str().map(str::to_string)).collect(),
            _ => Vec::new(),
        }
    }

    /// Most tokens of an answer.
    pub fn max_tokens(&self) -> Option<usize> {
        usize::try_from(self.parameters.get("num_predict")?.as_i64()?).ok()
    }
}

/// Bases of the rotary frequencies.
fn thetas(spec: &ModelSpec) -> Vec<f32> {
    let theta = |layer: &LayerSpec| match &layer.mixer {
        Mixer::Attention(attention) => attention.rope.as_ref().map(|rope| rope.theta),
        Mixer::Latent(latent) => Some(latent.rope.theta),
        Mixer::GatedDelta(_) => None,
    };
    spec.layers.iter().filter_map(theta).collect()
}

/// Tells that a model is larger than the memory of the GPU.
fn say_where(model: &Model) {
    let all = model.spec().layers.len();
    if let (Some(layers), Some(device)) = (model.gpu_layers().filter(|layers| *layers < all), olivine_lm::device()) {
        let weights = human_bytes(model.weight_sizes().total() as u64);
        let room = olivine_lm::room_bytes()
            .map_or(String::new(), |room| format!(", {} of it free now", human_bytes(room as u64)));
        eprintln!(
            "olivine: {layers} of {all} layers on {device}, the others on the CPU ({weights} of weights{room}; --device cpu: all on the CPU)"
        );
    }
}

/// `{{ .Prompt }}`
fn is_placeholder(template: &str) -> bool {
    let inner = template.trim().trim_start_matches("{{").trim_end_matches("}}");
    inner.trim_matches(['-', ' ']) == ".Prompt"
}

/// What stands behind a name for people: `4.7 GB`.
pub fn human_bytes(bytes: u64) -> String {
    let units = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "KB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => {
            let value = bytes as f64 / *unit as f64;
            if value >= 10.0 { format!("{value:.0} {name}") } else { format!("{value:.1} {name}") }
        }
        None => format!("{bytes} B"),
    }
}

/// How long ago: `3 days ago`.
pub fn human_age(seconds: u64) -> String {
    let units = [(31_536_000, "year"), (2_592_000, "month"), (604_800, "week"), (86_400, "day"), (3600, "hour")];
    let (count, unit) = match units.iter().chain(&[(60, "minute")]).find(|(length, _)| seconds >= *length) {
        Some((length, unit)) => (seconds / length, *unit),
        None => return "just now".into(),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

/// Whether something is a model folder or file, by its name.
pub fn is_model(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "gguf") || path.join("config.json").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_seen() {
        for text in ["{{ .Prompt }}", "{{.Prompt}}", "{{- .Prompt -}}\n"] {
            assert!(is_placeholder(text), "{text}");
        }
        assert!(!is_placeholder("{{ .System }}{{ .Prompt }}"));
    }

    #[test]
    fn numbers_for_people() {
        let sizes = [(0, "0 B"), (999, "999 B"), (1_500, "1.5 KB"), (4_700_000_000, "4.7 GB"), (31_000_000, "31 MB")];
        for (bytes, text) in sizes {
            assert_eq!(human_bytes(bytes), text);
        }
        for (seconds, text) in [(5, "just now"), (60, "1 minute ago"), (7_300, "2 hours ago"), (172_800, "2 days ago")]
        {
            assert_eq!(human_age(seconds), text);
        }
    }
}
