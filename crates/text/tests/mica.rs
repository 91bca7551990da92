//! Mica's tokenizer and template: prompts equal the reference's ids, text, chat and tools, and its answers decode.

use olivine_text::{ChatTemplate, EncodeOptions, RenderInput, Tokenizer};
use serde_json::Value;
use std::path::PathBuf;

/// The built-in model's folder.
fn model() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/mica")
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

#[test]
fn prompts_are_equal_id_for_id() {
    let tokenizer = Tokenizer::from_json_file(model().join("tokenizer.json")).unwrap();
    let template = ChatTemplate::from_folder(model()).unwrap().expect("Mica has a template");
    let prompts = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/mica/prompts.json");
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(prompts).unwrap()).unwrap();
    assert_eq!(cases.len(), 13);
    for case in &cases {
        let source = &case["source"];
        let prompt = match case["kind"].as_str().unwrap() {
            "text" => source.as_str().unwrap().to_string(),
            "chat" => template.render(RenderInput::new(source)).unwrap(),
            "tools" => {
                let input = RenderInput { tools: Some(&source["tools"]), ..RenderInput::new(&source["messages"]) };
                template.render(input).unwrap()
            }
            kind => panic!("unknown kind {kind}"),
        };
        let encoded = tokenizer.encode(&prompt, EncodeOptions::RENDERED).unwrap();
        assert_eq!(encoded, ids(&case["prompt_ids"]), "{prompt}");
        assert_eq!(tokenizer.decode(&encoded, false), prompt);
        let greedy = ids(&case["greedy_ids"]);
        let mut stream = tokenizer.stream_decoder(false);
        let mut text: String = greedy.iter().map(|&id| stream.push(id)).collect();
        text.push_str(&stream.finish());
        assert_eq!(text, tokenizer.decode(&greedy, false));
        assert_eq!(tokenizer.decode(&greedy, false), case["text"].as_str().unwrap());
    }
}

#[test]
fn text_in_the_middle_needs_markers_in_the_vocabulary() {
    let tokenizer = Tokenizer::from_json_file(model().join("tokenizer.json")).unwrap();
    assert_eq!(tokenizer.fill("a", "b").unwrap(), None);
    let mut json = std::fs::read_to_string(model().join("tokenizer.json")).unwrap();
    for (index, name) in ["prefix", "suffix", "middle", "pad"].iter().enumerate() {
        json = json.replace(&format!("<|reserved_{index}|>"), &format!("<|fim_{name}|>"));
    }
    let tokenizer = Tokenizer::from_json_bytes(json.as_bytes()).unwrap();
    let id = |name: &str| tokenizer.id_of(name).unwrap();
    let literal = |text: &str| tokenizer.encode(text, EncodeOptions::LITERAL).unwrap();
    let fill = tokenizer.fill("def f(", "<|fim_middle|>)").unwrap().expect("it has markers");
    let wanted = [
        vec![id("<|fim_prefix|>")],
        literal("def f("),
        vec![id("<|fim_suffix|>")],
        literal("<|fim_middle|>)"),
        vec![id("<|fim_middle|>")],
    ];
    assert_eq!(fill.tokens, wanted.concat());
    assert_eq!(fill.tokens.iter().filter(|&&token| token == id("<|fim_middle|>")).count(), 1, "text is no marker");
    assert_eq!(fill.end, [id("<|fim_pad|>")]);
}
