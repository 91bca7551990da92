//! `options`, `format` and `think`.

use olivine_engine::Grammar;
use serde_json::{Map, Value};

use crate::call::{Call, NO_LIMIT, Thinking};
use crate::conversation::clock_seed;
use crate::error::ApiError;

/// Options that say how a runner works, not what it answers; the engine decides these by itself.
const HINTS: &[&str] = &[
    "num_batch",
    "num_gpu",
    "main_gpu",
    "num_thread",
    "use_mmap",
    "use_mlock",
    "numa",
    "low_vram",
    "f16_kv",
    "vocab_only",
    "num_keep",
    "logits_all",
    "embedding_only",
];

/// `options` → the call.
pub(crate) fn apply(options: Option<&Map<String, Value>>, call: &mut Call) -> Result<(), ApiError> {
    for (name, value) in options.into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        let wrong = || ApiError::invalid(name, format!("option \"{name}\" must not be {value}"));
        let number = || value.as_f64().map(|x| x as f32).ok_or_else(wrong);
        let whole = || value.as_i64().or_else(|| value.as_f64().map(|x| x as i64)).ok_or_else(wrong);
        let sampling = &mut call.sampling;
        match name.as_str() {
            "temperature" => sampling.temperature = Some(number()?),
            "top_k" => sampling.top_k = Some(whole()?.max(0) as usize),
            "top_p" => sampling.top_p = Some(number()?),
            "min_p" => sampling.min_p = Some(number()?),
            "typical_p" => sampling.typical_p = Some(number()?),
            "repeat_penalty" => sampling.repetition_penalty = Some(number()?),
            "repeat_last_n" => {
                let tokens = whole()?;
                sampling.penalty_tokens = Some(if tokens < 0 { usize::MAX } else { tokens as usize });
            }
            "presence_penalty" => sampling.presence_penalty = Some(number()?),
            "frequency_penalty" => sampling.frequency_penalty = Some(number()?),
            // Below zero: another text each time.
            "seed" => sampling.seed = Some(u64::try_from(whole()?).unwrap_or_else(|_| clock_seed())),
            // Below zero: to the end of the context, whatever the model's manifest says.
            "num_predict" => call.max_tokens = Some(usize::try_from(whole()?).unwrap_or(NO_LIMIT)),
            "num_ctx" => call.context_tokens = Some(usize::try_from(whole()?).map_err(|_| wrong())?),
            "stop" => call.stop = stop(value).ok_or_else(wrong)?,
            "mirostat" if whole()? == 0 => {}
            "mirostat" => return Err(ApiError::unsupported(name, "use temperature, top_p or min_p")),
            "mirostat_tau" | "mirostat_eta" => {}
            "tfs_z" if number()? == 1.0 => {}
            "tfs_z" => return Err(ApiError::unsupported(name, "use top_p or min_p")),
            "penalize_newline" if value == &Value::Bool(true) => {}
            "penalize_newline" => return Err(ApiError::unsupported(name, "line breaks are tokens like others")),
            hint if HINTS.contains(&hint) => {}
            _ => return Err(ApiError::invalid(name, format!("unknown option \"{name}\""))),
        }
    }
    Ok(())
}

fn stop(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(list) => list.iter().map(|text| text.as_str().map(str::to_string)).collect(),
        _ => None,
    }
}

/// `logprobs` and `top_logprobs`.
pub(crate) fn logprobs(asked: Option<bool>, top: Option<usize>) -> Result<Option<usize>, ApiError> {
    let top = top.unwrap_or(0);
    if top > 20 {
        return Err(ApiError::invalid("top_logprobs", "top_logprobs must be between 0 and 20"));
    }
    if top > 0 && asked != Some(true) {
        return Err(ApiError::invalid("top_logprobs", "top_logprobs wants logprobs: true"));
    }
    Ok((asked == Some(true)).then_some(top))
}

/// `format`: `json`, or a schema.
pub(crate) fn format(value: Option<&Value>) -> Result<Option<Grammar>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text == "json" => Ok(Some(Grammar::JsonObject)),
        Some(schema @ Value::Object(_)) => Ok(Some(Grammar::JsonSchema(schema.to_string()))),
        Some(other) => {
            let message = format!("invalid format: {other}; expected \"json\" or a valid JSON Schema object");
            Err(ApiError::invalid("format", message))
        }
    }
}

/// `think`: whether, or how much.
pub(crate) fn think(value: Option<&Value>) -> Result<Option<Thinking>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(true)) => Ok(Some(Thinking::On)),
        Some(Value::Bool(false)) => Ok(Some(Thinking::Off)),
        Some(Value::String(word)) if ["low", "medium", "high", "max"].contains(&word.as_str()) => {
            Ok(Some(Thinking::Effort(word.clone())))
        }
        Some(other) => {
            let message =
                format!("invalid think value: {other} (must be \"high\", \"medium\", \"low\", true, or false)");
            Err(ApiError::invalid("think", message))
        }
    }
}
