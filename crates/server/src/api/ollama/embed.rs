//! `POST /api/embed` and its older form `/api/embeddings`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Failure, keep_alive, options};
use crate::api::{body, refuse_unknown};
use crate::call::{Call, Input};
use crate::embedding::{self, Wanted};
use crate::error::ApiError;
use crate::respond;
use crate::state::App;

/// The body of both.
#[derive(Clone, Debug, Deserialize)]
pub struct EmbedRequest {
    #[serde(default)]
    model: String,
    input: Option<Value>,
    prompt: Option<String>,
    truncate: Option<bool>,
    dimensions: Option<usize>,
    pooling: Option<String>,
    keep_alive: Option<Value>,
    options: Option<Map<String, Value>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl EmbedRequest {
    fn wanted(&self) -> Result<Wanted, ApiError> {
        refuse_unknown(&self.rest, &[])?;
        let mut call = Call::new(&self.model, Input::Text(String::new()));
        options::apply(self.options.as_ref(), &mut call)?;
        Ok(Wanted {
            dimensions: self.dimensions,
            pooling: embedding::pooling(self.pooling.as_deref())?,
            truncate: self.truncate.unwrap_or(true),
            context_tokens: call.context_tokens,
            keep_alive: keep_alive(self.keep_alive.as_ref())?,
        })
    }
}

/// `/api/embed`
pub async fn embed(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let request: EmbedRequest = body(&bytes)?;
    let wanted = request.wanted()?;
    let inputs = match &request.input {
        Some(Value::String(text)) if text.is_empty() => Vec::new(),
        Some(Value::String(text)) => vec![Input::Text(text.clone())],
        Some(Value::Array(list)) => {
            let text = |value: &Value| value.as_str().map(|text| Input::Text(text.to_string()));
            let wrong = || ApiError::invalid("input", "invalid input type");
            list.iter().map(text).collect::<Option<Vec<Input>>>().ok_or_else(wrong)?
        }
        None => Vec::new(),
        Some(_) => return Err(ApiError::invalid("input", "invalid input type").into()),
    };
    let made = embedding::embed(&app, &request.model, inputs, wanted).await?;
    let document = json!({
        "model": request.model,
        "embeddings": made.vectors,
        "total_duration": made.total.as_nanos() as u64,
        "load_duration": made.load.as_nanos() as u64,
        "prompt_eval_count": made.prompt_tokens,
    });
    Ok(respond::json(StatusCode::OK, &document))
}

/// `/api/embeddings`
pub async fn embeddings(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let request: EmbedRequest = body(&bytes)?;
    let wanted = request.wanted()?;
    let input = request.prompt.clone().filter(|text| !text.is_empty()).map(Input::Text);
    let made = embedding::embed(&app, &request.model, input.into_iter().collect(), wanted).await?;
    let vector = made.vectors.into_iter().next().unwrap_or_default();
    Ok(respond::json(StatusCode::OK, &json!({"embedding": vector})))
}
