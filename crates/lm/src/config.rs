//! One view of a model's hyper-parameters, whether they come from config.json or from GGUF metadata.
//!
//! GGUF keys are translated to the names of config.json once, here, so that a family reads one vocabulary.
//! Every getter's error names the file and the field.

use crate::ModelError;
use crate::spec::{RopeScaling, RopeSpec};
use serde_json::{Map, Value};
use std::path::Path;

/// Hyper-parameters by their config.json names.
#[derive(Clone, Debug)]
pub struct Config {
    file: String,
    values: Map<String, Value>,
    gguf: bool,
}

impl Config {
    /// Read a config.json. Fields of a nested `text_config` (multimodal wrappers) win over the outer ones.
    pub fn from_json_file(path: &Path) -> Result<Config, ModelError> {
        let text = std::fs::read_to_string(path).map_err(|source| ModelError::Io { path: path.into(), source })?;
        Config::from_json(&path.display().to_string(), &text)
    }

    /// The same from a text; `file` is for error messages.
    pub fn from_json(file: &str, text: &str) -> Result<Config, ModelError> {
        let problem = |problem: String| ModelError::Field { file: file.into(), field: "(whole file)".into(), problem };
        let value: Value = serde_json::from_str(text).map_err(|e| problem(format!("not valid JSON: {e}")))?;
        let Value::Object(mut values) = value else { return Err(problem("not a JSON object".into())) };
        if let Some(Value::Object(inner)) = values.remove("text_config") {
            let outer_type = values.get("model_type").cloned();
            values.extend(inner);
            if let Some(outer_type) = outer_type {
                values.insert("outer_model_type".into(), outer_type);
            }
        }
        Ok(Config { file: file.into(), values, gguf: false })
    }

    /// Hyper-parameters under config.json names, made from GGUF metadata.
    pub fn from_gguf_values(file: &str, values: Map<String, Value>) -> Config {
        Config { file: file.into(), values, gguf: true }
    }

    /// The file, for error messages.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whether the weights follow GGUF's conventions (norm offsets folded in, rope pairs as written there).
    pub fn is_gguf(&self) -> bool {
        self.gguf
    }

    /// A field as it stands; absent and `null` are the same.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.values.get(field).filter(|v| !v.is_null())
    }

    /// Set a field (overrides by the caller).
    pub fn set(&mut self, field: &str, value: Value) {
        self.values.insert(field.into(), value);
    }

    /// An error about a field.
    pub fn error(&self, field: &str, problem: impl Into<String>) -> ModelError {
        ModelError::Field { file: self.file.clone(), field: field.into(), problem: problem.into() }
    }

    /// An error about something that is not supported.
    pub fn unsupported(&self, feature: impl Into<String>) -> ModelError {
        ModelError::Unsupported { file: self.file.clone(), feature: feature.into(), hint: String::new() }
    }

    fn required(&self, field: &str) -> Result<&Value, ModelError> {
        self.get(field).ok_or_else(|| self.error(field, "is missing"))
    }

    /// A whole number above zero and below 2^31: sizes beyond are nonsense and would overflow products.
    pub fn size(&self, field: &str) -> Result<usize, ModelError> {
        match self.required(field)?.as_u64() {
            Some(n) if n > 0 && n < 1 << 31 => Ok(n as usize),
            _ => {
                Err(self.error(field, format!("expected a whole number from 1 to 2^31, found {}", self.values[field])))
            }
        }
    }

    /// A size with a default.
    pub fn size_or(&self, field: &str, default: usize) -> Result<usize, ModelError> {
        if self.get(field).is_some() { self.size(field) } else { Ok(default) }
    }

    /// A count that may be zero, with a default.
    pub fn count_or(&self, field: &str, default: usize) -> Result<usize, ModelError> {
        match self.get(field) {
            None => Ok(default),
            Some(v) if v.as_u64() == Some(0) => Ok(0),
            Some(_) => self.size(field),
        }
    }

    /// A size that may be absent.
    pub fn size_option(&self, field: &str) -> Result<Option<usize>, ModelError> {
        self.get(field).map(|_| self.size(field)).transpose()
    }

    /// A finite number.
    pub fn number(&self, field: &str) -> Result<f32, ModelError> {
        match self.required(field)?.as_f64() {
            Some(x) if x.is_finite() => Ok(x as f32),
            _ => Err(self.error(field, format!("expected a number, found {}", self.values[field]))),
        }
    }

    /// A number with a default.
    pub fn number_or(&self, field: &str, default: f32) -> Result<f32, ModelError> {
        if self.get(field).is_some() { self.number(field) } else { Ok(default) }
    }

    /// A number that may be absent.
    pub fn number_option(&self, field: &str) -> Result<Option<f32>, ModelError> {
        self.get(field).map(|_| self.number(field)).transpose()
    }

    /// A truth value with a default.
    pub fn flag_or(&self, field: &str, default: bool) -> Result<bool, ModelError> {
        match self.get(field) {
            None => Ok(default),
            Some(Value::Bool(b)) => Ok(*b),
            Some(v) => Err(self.error(field, format!("expected true or false, found {v}"))),
        }
    }

    /// A word with a default.
    pub fn word_or<'a>(&'a self, field: &str, default: &'a str) -> Result<&'a str, ModelError> {
        match self.get(field) {
            None => Ok(default),
            Some(Value::String(s)) => Ok(s),
            Some(v) => Err(self.error(field, format!("expected a word, found {v}"))),
        }
    }

    /// A list of words that may be absent.
    pub fn words(&self, field: &str) -> Result<Option<Vec<&str>>, ModelError> {
        self.list(field, |v| v.as_str())
    }

    /// A list of whole numbers that may be absent.
    pub fn numbers(&self, field: &str) -> Result<Option<Vec<usize>>, ModelError> {
        self.list(field, |v| v.as_u64().map(|n| n as usize))
    }

    fn list<'a, T>(&'a self, field: &str, item: impl Fn(&'a Value) -> Option<T>) -> Result<Option<Vec<T>>, ModelError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let items = value.as_array().and_then(|list| list.iter().map(item).collect::<Option<Vec<T>>>());
        items.map(Some).ok_or_else(|| self.error(field, "expected a list of one kind"))
    }

    /// The rotary embedding of `head_dim` wide heads, from the fields of either generation of config.json
    /// (`rope_theta` and `rope_scaling`, or `rope_parameters`, by layer kind where `kind` is given).
    pub fn rope(&self, head_dim: usize, kind: Option<&str>) -> Result<RopeSpec, ModelError> {
        let newer = self.get("rope_parameters").and_then(Value::as_object);
        let newer = match (newer, kind) {
            (Some(map), Some(kind)) => map.get(kind).and_then(Value::as_object).or(Some(map)),
            (map, _) => map,
        };
        let scaling = newer.or_else(|| self.get("rope_scaling").and_then(Value::as_object));
        let field = |name: &str| newer.and_then(|m| m.get(name)).filter(|v| !v.is_null()).and_then(Value::as_f64);
        let theta = match field("rope_theta") {
            Some(theta) => theta as f32,
            None => self.number_or("rope_theta", 10_000.0)?,
        };
        let partial = match field("partial_rotary_factor") {
            Some(part) => part as f32,
            None => self.number_or("partial_rotary_factor", 1.0)?,
        };
        let dims = (head_dim as f32 * partial) as usize;
        let dims = self.size_or("rope_dims", dims)?.min(head_dim) & !1;
        let theta = theta * scaling.map_or(Ok(1.0), |map| self.dynamic_growth(map, dims))?;
        let scaling = match scaling {
            Some(map) => self.rope_scaling(map, dims)?,
            None => RopeScaling::None,
        };
        Ok(RopeSpec { dims, theta, interleaved: self.flag_or("rope_interleave", false)?, scaling })
    }

    /// Growth of the base by dynamic NTK scaling, for the context in use: one value for a whole run, so that a
    /// cached prefix stays valid.
    fn dynamic_growth(&self, map: &Map<String, Value>, dims: usize) -> Result<f32, ModelError> {
        let kind = map.get("rope_type").or_else(|| map.get("type")).and_then(Value::as_str);
        if kind != Some("dynamic") {
            return Ok(1.0);
        }
        let factor = map.get("factor").and_then(Value::as_f64);
        let factor = factor.ok_or_else(|| self.error("rope_scaling.factor", "is missing"))?;
        let trained = self.size_or("max_position_embeddings", 4096)?;
        let in_use = self.size_or("context_in_use", trained)?.max(trained);
        let growth = factor * in_use as f64 / trained as f64 - (factor - 1.0);
        Ok(growth.powf(dims as f64 / (dims as f64 - 2.0)) as f32)
    }

    fn rope_scaling(&self, map: &Map<String, Value>, dims: usize) -> Result<RopeScaling, ModelError> {
        let name = map.get("rope_type").or_else(|| map.get("type")).and_then(Value::as_str).unwrap_or("default");
        let number = |key: &str| map.get(key).filter(|v| !v.is_null()).and_then(Value::as_f64).map(|x| x as f32);
        let need = |key: &str| number(key).ok_or_else(|| self.error(&format!("rope_scaling.{key}"), "is missing"));
        let context = self.size_or("max_position_embeddings", 4096)?;
        let original = self.original_context(map, context)?;
        match name {
            "default" | "none" | "mrope" | "dynamic" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear { factor: need("factor")? }),
            "llama3" => Ok(RopeScaling::Llama3 {
                factor: need("factor")?,
                low_frequency: need("low_freq_factor")?,
                high_frequency: need("high_freq_factor")?,
                original_tokens: original,
            }),
            "yarn" => {
                let factor = need("factor")?;
                let mscale = |scale: f32| if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 };
                let attention_factor = match (number("attention_factor"), number("mscale"), number("mscale_all_dim")) {
                    (Some(given), ..) => given,
                    (None, Some(one), Some(all)) if one != 0.0 && all != 0.0 => mscale(one) / mscale(all),
                    _ => mscale(1.0),
                };
                Ok(RopeScaling::Yarn {
                    factor,
                    beta_fast: number("beta_fast").unwrap_or(32.0),
                    beta_slow: number("beta_slow").unwrap_or(1.0),
                    original_tokens: original,
                    attention_factor,
                    truncate: map.get("truncate").and_then(Value::as_bool).unwrap_or(true),
                })
            }
            "longrope" | "su" => self.longrope(map, dims, context, original, number("attention_factor")),
            "factors" => Ok(RopeScaling::Factors {
                factors: self.divisors(map, "factors", dims)?,
                attention_factor: number("attention_factor").unwrap_or(1.0),
            }),
            other => Err(self.error("rope_scaling.rope_type", format!("`{other}` is not supported"))),
        }
    }

    /// Longest sequence in tokens. With LongRoPE it is the original context unless a longer one is in use: the short
    /// divisors are right up to there, and one set serves a whole run.
    pub fn context_tokens(&self) -> Result<usize, ModelError> {
        let context = self.size_or("max_position_embeddings", 4096)?;
        let maps = ["rope_parameters", "rope_scaling"].into_iter().filter_map(|field| self.get(field)?.as_object());
        let is_longrope = |map: &&Map<String, Value>| {
            let kind = map.get("rope_type").or_else(|| map.get("type")).and_then(Value::as_str);
            matches!(kind, Some("longrope" | "su"))
        };
        let Some(map) = maps.into_iter().find(is_longrope) else { return Ok(context) };
        let original = self.original_context(map, context)?;
        Ok(if self.size_or("context_in_use", original)? > original { context } else { original.min(context) })
    }

    fn original_context(&self, map: &Map<String, Value>, context: usize) -> Result<usize, ModelError> {
        match map.get("original_max_position_embeddings").and_then(Value::as_u64) {
            Some(tokens) => Ok(tokens as usize),
            None => self.size_or("original_max_position_embeddings", context),
        }
    }

    /// LongRoPE (arXiv:2402.13753): the long divisors when the context in use passes the original one. One set for
    /// a whole run, so that a cached prefix stays valid: `context_in_use` (an override) decides, else the original.
    fn longrope(
        &self,
        map: &Map<String, Value>,
        dims: usize,
        context: usize,
        original: usize,
        attention_factor: Option<f32>,
    ) -> Result<RopeScaling, ModelError> {
        let in_use = self.size_or("context_in_use", original)?;
        let key = if in_use > original { "long_factor" } else { "short_factor" };
        let ratio = context as f32 / original as f32;
        let computed = if ratio <= 1.0 { 1.0 } else { (1.0 + ratio.ln() / (original as f32).ln()).sqrt() };
        Ok(RopeScaling::Factors {
            factors: self.divisors(map, key, dims)?,
            attention_factor: attention_factor.unwrap_or(computed),
        })
    }

    fn divisors(&self, map: &Map<String, Value>, key: &str, dims: usize) -> Result<Vec<f32>, ModelError> {
        let field = format!("rope_scaling.{key}");
        let list = map.get(key).and_then(Value::as_array).ok_or_else(|| self.error(&field, "is missing"))?;
        let factors: Vec<f32> = list.iter().filter_map(Value::as_f64).map(|x| x as f32).collect();
        if factors.len() != dims / 2 || factors.len() != list.len() {
            return Err(self.error(&field, format!("expected {} numbers, found {}", dims / 2, list.len())));
        }
        Ok(factors)
    }
}
