//! How the hidden states of a text become one vector, as the model's own files say.
//!
//! Sources: `modules.json` and `1_Pooling/config.json` of sentence-transformers, `pooling_type` of GGUF files.
//! Read next: `encoder.rs`.

use std::path::Path;

use olivine_formats::gguf::Gguf;
use serde_json::Value;

use crate::ModelError;

/// Which hidden states an embedding is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// All, averaged.
    Mean,
    /// The last token's.
    Last,
    /// The first token's.
    First,
}

impl Pooling {
    /// By name: `mean`, `last`, `cls` (or `first`).
    pub fn named(name: &str) -> Option<Pooling> {
        match name {
            "mean" => Some(Pooling::Mean),
            "last" => Some(Pooling::Last),
            "cls" | "first" => Some(Pooling::First),
            _ => None,
        }
    }

    /// Of a model folder; none where it does not say.
    pub fn of_folder(folder: &Path) -> Result<Option<Pooling>, ModelError> {
        let modules = read(&folder.join("modules.json"))?;
        for module in modules.as_array().into_iter().flatten() {
            let kind = module["type"].as_str().unwrap_or_default();
            let known = ["Transformer", "Pooling", "Normalize"].iter().any(|name| kind.ends_with(name));
            if !known {
                let (file, feature) = (folder.join("modules.json").display().to_string(), format!("a module `{kind}`"));
                return Err(ModelError::Unsupported { file, feature, hint: String::new() });
            }
        }
        let path = folder.join("1_Pooling").join("config.json");
        let config = read(&path)?;
        let modes = [
            ("pooling_mode_mean_tokens", Pooling::Mean),
            ("pooling_mode_lasttoken", Pooling::Last),
            ("pooling_mode_cls_token", Pooling::First),
        ];
        let on: Vec<Pooling> = modes.iter().filter(|(name, _)| config[*name] == true).map(|(_, mode)| *mode).collect();
        let others = config.as_object().into_iter().flatten().any(|(name, value)| {
            name.starts_with("pooling_mode_") && *value == true && !modes.iter().any(|(known, _)| known == name)
        });
        match (&on[..], others || on.len() > 1) {
            (_, true) => Err(ModelError::Field {
                file: path.display().to_string(),
                field: "pooling_mode".into(),
                problem: "is not one of mean, cls and the last token".into(),
            }),
            ([one], false) => Ok(Some(*one)),
            _ => Ok(config["pooling_mode"].as_str().and_then(Pooling::named)),
        }
    }

    /// Of a GGUF file; none where it does not say.
    pub fn of_gguf(gguf: &Gguf) -> Option<Pooling> {
        let key = format!("{}.pooling_type", gguf.architecture().ok()?);
        match gguf.u32(&key).ok()? {
            1 => Some(Pooling::Mean),
            2 => Some(Pooling::First),
            3 => Some(Pooling::Last),
            _ => None,
        }
    }

    /// Of a folder or a file.
    pub fn of_path(path: &Path) -> Result<Option<Pooling>, ModelError> {
        match path.is_dir() {
            true => Pooling::of_folder(path),
            false => Ok(Pooling::of_gguf(&Gguf::open(path)?)),
        }
    }
}

fn read(path: &Path) -> Result<Value, ModelError> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| ModelError::Field {
            file: path.display().to_string(),
            field: "(whole file)".into(),
            problem: format!("not valid JSON: {error}"),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Value::Null),
        Err(source) => Err(ModelError::Io { path: path.into(), source }),
    }
}
