//! `POST /v1/embeddings`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use crate::api::{body, refuse_unknown};
use crate::call::Input;
use crate::embedding::{self, Wanted};
use crate::error::ApiError;
use crate::respond;
use crate::state::App;

/// The body.
#[derive(Clone, Debug, Deserialize)]
pub struct EmbeddingRequest {
    #[serde(default)]
    model: String,
    input: Option<Value>,
    encoding_format: Option<String>,
    dimensions: Option<usize>,
    pooling: Option<String>,
    keep_alive: Option<Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The endpoint.
pub async fn serve(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let request: EmbeddingRequest = body(&bytes)?;
    refuse_unknown(&request.rest, &["user"])?;
    let base64 = match request.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(ApiError::invalid("encoding_format", "`encoding_format` must be float or base64").into()),
    };
    let inputs = inputs(request.input.as_ref())?;
    let wanted = Wanted {
        dimensions: request.dimensions,
        pooling: embedding::pooling(request.pooling.as_deref())?,
        keep_alive: crate::api::ollama::keep_alive(request.keep_alive.as_ref())?,
        ..Wanted::default()
    };
    let made = embedding::embed(&app, &request.model, inputs, wanted).await?;
    let one = |(index, vector): (usize, &Vec<f32>)| {
        let embedding = if base64 { json!(to_base64(vector)) } else { json!(vector) };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let data: Vec<Value> = made.vectors.iter().enumerate().map(one).collect();
    let usage = json!({"prompt_tokens": made.prompt_tokens, "total_tokens": made.prompt_tokens});
    let document = json!({"object": "list", "data": data, "model": request.model, "usage": usage});
    Ok(respond::json(StatusCode::OK, &document))
}

fn inputs(input: Option<&Value>) -> Result<Vec<Input>, ApiError> {
    let wrong = || ApiError::invalid("input", "`input` must be a string, strings, or lists of token ids");
    let tokens = |list: &[Value]| {
        list.iter().map(|id| u32::try_from(id.as_u64()?).ok()).collect::<Option<Vec<u32>>>().map(Input::Tokens)
    };
    let one = |value: &Value| match value {
        Value::String(text) if !text.is_empty() => Some(Input::Text(text.clone())),
        Value::Array(list) => tokens(list),
        _ => None,
    };
    match input {
        Some(Value::Array(list)) if list.first().is_some_and(|first| !first.is_number()) => {
            list.iter().map(one).collect::<Option<Vec<Input>>>().ok_or_else(wrong)
        }
        Some(value) => Ok(vec![one(value).ok_or_else(wrong)?]),
        None => Err(wrong()),
    }
}

/// Little-endian floats in base64.
fn to_base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn floats_become_base64() {
        assert_eq!(super::to_base64(&[1.0, -2.5]), "AACAPwAAIMA=");
        assert_eq!(super::to_base64(&[1.0]), "AACAPw==");
        assert_eq!(super::to_base64(&[1.0, 1.0, 1.0]), "AACAPwAAgD8AAIA/");
    }
}
