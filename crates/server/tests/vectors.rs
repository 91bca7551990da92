//! Vectors and rankings through the server: an encoder, a cross-encoder and a model that judges.

mod common;

use common::Server;
use serde_json::{Value, json};

fn parsed(answer: (u16, String)) -> Value {
    assert_eq!(answer.0, 200, "{}", answer.1);
    serde_json::from_str(&answer.1).unwrap()
}

fn vector(value: &Value) -> Vec<f64> {
    value.as_array().unwrap_or_else(|| panic!("{value}")).iter().map(|x| x.as_f64().unwrap()).collect()
}

fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[test]
fn an_encoder_makes_vectors_in_each_dialect() {
    let server = Server::plain();
    let openai = |more: Value| {
        let mut body = json!({"model": "encoder", "input": ["one text", "another"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        parsed(server.post("/v1/embeddings", &body))
    };
    let plain = openai(json!({}));
    // Seven letters and two special tokens each: neither cut nor filled up as the definition's training batches were.
    assert_eq!(plain["usage"]["prompt_tokens"], 9 + 9);
    let first = vector(&plain["data"][0]["embedding"]);
    assert!(first.len() == 64 && (length(&first) - 1.0).abs() < 1e-5);
    let ollama = parsed(server.post("/api/embed", &json!({"model": "encoder", "input": ["one text", "another"]})));
    assert_eq!(vector(&ollama["embeddings"][0]), first);
    let older = parsed(server.post("/api/embeddings", &json!({"model": "encoder", "prompt": "one text"})));
    assert_eq!(vector(&older["embedding"]), first);
    let short = vector(&openai(json!({"dimensions": 8}))["data"][0]["embedding"]);
    let scale = length(&first[..8]);
    assert!(short.len() == 8 && short.iter().zip(&first).all(|(a, b)| (a - b / scale).abs() < 1e-5), "{short:?}");
    assert_ne!(vector(&openai(json!({"pooling": "cls"}))["data"][0]["embedding"]), first);
    assert_eq!(vector(&openai(json!({"pooling": "mean"}))["data"][0]["embedding"]), first);
    let coded = openai(json!({"encoding_format": "base64"}));
    assert_eq!(coded["data"][0]["embedding"].as_str().unwrap().len(), (64 * 4usize).div_ceil(3) * 4);
    assert_eq!(server.post("/v1/embeddings", &json!({"model": "encoder", "input": "x", "pooling": "max"})).0, 400);
    assert_eq!(server.post("/v1/embeddings", &json!({"model": "encoder", "input": "x", "dimensions": 65})).0, 400);
}

#[test]
fn long_texts_are_cut_or_refused() {
    let server = Server::plain();
    let long = "word ".repeat(40);
    let cut = parsed(server.post("/api/embed", &json!({"model": "encoder", "input": long})));
    assert_eq!(cut["prompt_eval_count"], 64);
    let shorter =
        parsed(server.post("/api/embed", &json!({"model": "encoder", "input": long, "options": {"num_ctx": 10}})));
    assert_eq!(shorter["prompt_eval_count"], 10);
    let (status, answer) = server.post("/api/embed", &json!({"model": "encoder", "input": long, "truncate": false}));
    assert!(status == 400 && answer.contains("162 tokens") && answer.contains("64"), "{answer}");
    assert_eq!(server.post("/v1/embeddings", &json!({"model": "encoder", "input": long})).0, 400);
}

#[test]
fn an_encoder_answers_nothing_else() {
    let server = Server::plain();
    let shown = |model: &str| parsed(server.post("/api/show", &json!({"model": model})))["capabilities"].clone();
    assert_eq!(shown("encoder"), json!(["embedding"]));
    assert_eq!(shown("mica")[0], "completion");
    let user = json!([{"role": "user", "content": "x"}]);
    for (path, body) in [
        ("/v1/chat/completions", json!({"model": "encoder", "messages": user})),
        ("/v1/completions", json!({"model": "encoder", "prompt": "x"})),
        ("/api/generate", json!({"model": "encoder", "prompt": "x", "raw": true})),
        ("/v1/messages", json!({"model": "encoder", "messages": user, "max_tokens": 4})),
    ] {
        let (status, answer) = server.post(path, &body);
        assert!(status == 400 && answer.contains("encoder"), "{path}: {status} {answer}");
    }
}

#[test]
fn documents_are_ranked() {
    let server = Server::plain();
    let documents = json!(["a lake", {"text": "the river nile"}, "a stone"]);
    for model in ["ranker", "mica-reranker"] {
        let ask = |more: Value| {
            let mut body = json!({"model": model, "query": "a long river", "documents": documents});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            parsed(server.post("/v1/rerank", &body))
        };
        let ranked = ask(json!({"return_documents": true}));
        let results = ranked["results"].as_array().unwrap();
        let scores: Vec<f64> = results.iter().map(|one| one["relevance_score"].as_f64().unwrap()).collect();
        assert!(
            scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|score| (0.0..=1.0).contains(score)),
            "{ranked}"
        );
        assert!(scores[0] > scores[2], "documents differ: {ranked}");
        let mut indices: Vec<u64> = results.iter().map(|one| one["index"].as_u64().unwrap()).collect();
        let second = results.iter().find(|one| one["index"] == 1).unwrap();
        assert_eq!(second["document"]["text"], "the river nile");
        indices.sort_unstable();
        assert_eq!(indices, [0, 1, 2]);
        assert!(ranked["usage"]["total_tokens"].as_u64().unwrap() > 20);
        let top = ask(json!({"top_n": 1}));
        assert_eq!(
            top["results"],
            json!([{"index": results[0]["index"], "relevance_score": results[0]["relevance_score"]}])
        );
        // A document alone has the score that it has among others.
        let alone = parsed(
            server.post("/rerank", &json!({"model": model, "query": "a long river", "documents": ["the river nile"]})),
        );
        assert_eq!(alone["results"][0]["relevance_score"], second["relevance_score"]);
        // Documents that begin alike are alike when no more of them is read.
        let same = ask(json!({"documents": ["aa bb", "aa cc"], "max_tokens_per_doc": 1}));
        assert_eq!(same["results"][0]["relevance_score"], same["results"][1]["relevance_score"]);
    }
    let refused = |body: Value, part: &str| {
        let (status, answer) = server.post("/v1/rerank", &body);
        assert!(status == 400 && answer.contains(part), "{status} {answer}");
    };
    refused(json!({"model": "mica", "query": "x", "documents": ["y"]}), "does not rank documents");
    refused(json!({"model": "encoder", "query": "x", "documents": ["y"]}), "does not rank documents");
    refused(json!({"model": "ranker", "query": "x", "documents": []}), "documents");
    refused(json!({"model": "ranker", "query": "", "documents": ["y"]}), "query");
    refused(json!({"model": "ranker", "query": "x", "documents": [5]}), "documents[0]");
    refused(json!({"model": "ranker", "query": "x", "documents": ["y"], "rank_fields": ["a"]}), "rank_fields");
    refused(json!({"model": "ranker", "query": "x", "documents": ["y"], "instruction": "z"}), "instruction");
    refused(json!({"model": "ranker", "query": "a ".repeat(70), "documents": ["y"]}), "leaves no room");
}
