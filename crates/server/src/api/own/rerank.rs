//! `POST /v1/rerank` (also `/v2/rerank`, `/rerank`): the shape that Cohere, Jina and their clients share.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::openai::failure::Failure;
use crate::api::{body, new_id, refuse_unknown};
use crate::error::ApiError;
use crate::ranking::{self, Ranking};
use crate::respond;
use crate::state::App;

/// The body.
#[derive(Clone, Debug, Deserialize)]
pub struct RerankRequest {
    #[serde(default)]
    model: String,
    query: Option<String>,
    documents: Option<Vec<Value>>,
    #[serde(alias = "top_k")]
    top_n: Option<usize>,
    return_documents: Option<bool>,
    max_tokens_per_doc: Option<usize>,
    instruction: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Fields that say who asks and how soon.
const HINTS: &[&str] = &["user", "priority"];

/// Most documents of a request.
const DOCUMENTS: usize = 10_000;

impl RerankRequest {
    fn ranking(&self) -> Result<Ranking, ApiError> {
        refuse_unknown(&self.rest, HINTS)?;
        let query = self.query.clone().filter(|query| !query.is_empty());
        let documents = self.documents.as_ref().filter(|list| (1..=DOCUMENTS).contains(&list.len()));
        let wanted = || ApiError::invalid("documents", format!("`documents` must be 1 to {DOCUMENTS} texts"));
        let text = |(index, document): (usize, &Value)| {
            let text = document.as_str().or_else(|| document["text"].as_str());
            let param = format!("documents[{index}]");
            text.map(str::to_string).ok_or_else(|| ApiError::invalid(&param, "must be a text, or an object with one"))
        };
        Ok(Ranking {
            model: self.model.clone(),
            query: query.ok_or_else(|| ApiError::invalid("query", "`query` must be a text"))?,
            documents: documents.ok_or_else(wanted)?.iter().enumerate().map(text).collect::<Result<_, _>>()?,
            instruction: self.instruction.clone(),
            document_tokens: self.max_tokens_per_doc,
        })
    }
}

/// The endpoint.
pub async fn serve(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Response, Failure> {
    let request: RerankRequest = body(&bytes)?;
    let ranking = request.ranking()?;
    let documents = ranking.documents.clone();
    let ranked = ranking::rank(&app, ranking).await?;
    let mut order: Vec<(usize, f32)> = ranked.scores.into_iter().enumerate().collect();
    // Equal scores stay in the order in which the documents came.
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    order.truncate(request.top_n.unwrap_or(usize::MAX));
    let result = |&(index, score): &(usize, f32)| {
        let mut result = json!({"index": index, "relevance_score": score});
        if request.return_documents == Some(true) {
            result["document"] = json!({"text": documents[index]});
        }
        result
    };
    let results: Vec<Value> = order.iter().map(result).collect();
    let usage = json!({"prompt_tokens": ranked.tokens, "total_tokens": ranked.tokens});
    let document = json!({
        "id": new_id("rerank-"),
        "object": "list",
        "model": request.model,
        "results": results,
        "usage": usage,
        "meta": {"billed_units": {"search_units": 0}, "tokens": {"input_tokens": ranked.tokens}},
    });
    Ok(respond::json(StatusCode::OK, &document))
}
