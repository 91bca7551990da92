//! What a model's manifest says where a request says nothing: system message, first messages, options.
//!
//! Invariant: applied once to a call, and a request's own word wins; strings that end an answer add up, for those of
//! the manifest mark the end of a turn. Read `conversation` for what becomes of a call.

use serde_json::{Value, json};

use crate::call::{Call, Input};
use crate::registry::ModelCard;

/// The call with the model's defaults.
pub(crate) fn applied(card: &ModelCard, call: &Call) -> Call {
    let mut call = call.clone();
    if std::mem::replace(&mut call.with_defaults, true) {
        return call;
    }
    if let Input::Chat { messages, .. } = &mut call.input {
        add_messages(card, messages);
    }
    let whole = |name: &str| card.options.get(name).and_then(Value::as_i64);
    let positive = |name: &str| whole(name).and_then(|number| usize::try_from(number).ok());
    call.max_tokens = call.max_tokens.or(positive("num_predict"));
    call.context_tokens = call.context_tokens.or(positive("num_ctx"));
    call.sampling.seed = call.sampling.seed.or(whole("seed").and_then(|seed| u64::try_from(seed).ok()));
    let stop = match card.options.get("stop") {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(|text| text.as_str().map(str::to_string)).collect(),
        _ => Vec::new(),
    };
    let new: Vec<String> = stop.into_iter().filter(|text| !call.stop.contains(text)).collect();
    call.stop.extend(new);
    call
}

/// The model's messages come behind the request's system message, or behind the model's own.
fn add_messages(card: &ModelCard, messages: &mut Vec<Value>) {
    let has_system = messages.first().is_some_and(|message| message["role"] == "system");
    if !has_system && !card.system.is_empty() {
        messages.insert(0, json!({"role": "system", "content": card.system}));
    }
    let behind = usize::from(has_system || !card.system.is_empty());
    messages.splice(behind..behind, card.messages.iter().cloned());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(messages: Value) -> Call {
        let messages = messages.as_array().unwrap().clone();
        Call::new("m", Input::Chat { messages, tools: Vec::new(), prefill: false })
    }

    #[test]
    fn a_request_wins_over_the_manifest() {
        let options = json!({"stop": ["a", "b"], "num_predict": 7, "num_ctx": 99, "seed": 5});
        let card = ModelCard {
            system: "kind".into(),
            messages: vec![json!({"role": "user", "content": "x"}), json!({"role": "assistant", "content": "y"})],
            options: options.as_object().unwrap().clone(),
            ..ModelCard::default()
        };
        let roles = |call: &Call| match &call.input {
            Input::Chat { messages, .. } => {
                messages.iter().map(|m| m["content"].as_str().unwrap().to_string()).collect()
            }
            _ => Vec::new(),
        };
        let call = applied(&card, &chat(json!([{"role": "user", "content": "hi"}])));
        assert_eq!(roles(&call), ["kind", "x", "y", "hi"]);
        assert_eq!((call.max_tokens, call.context_tokens, call.sampling.seed), (Some(7), Some(99), Some(5)));
        assert_eq!(call.stop, ["a", "b"]);
        assert_eq!(roles(&applied(&card, &call)), roles(&call), "only once");
        let mut own = chat(json!([{"role": "system", "content": "own"}, {"role": "user", "content": "hi"}]));
        own.stop = vec!["b".into(), "c".into()];
        own.max_tokens = Some(1);
        let own = applied(&card, &own);
        assert_eq!(roles(&own), ["own", "x", "y", "hi"]);
        assert_eq!((own.max_tokens, &own.stop[..]), (Some(1), &["b".to_string(), "c".into(), "a".into()][..]));
    }
}
