//! Chat templates of real models against what Python's jinja2 renders with Hugging Face's settings: the same text, or an
//! error where Python raises one.

use olivine_text::{ChatTemplate, RenderInput, SpecialStrings};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// 2026-01-02 03:04:05.
const NOW_SECONDS: u64 = 1_767_323_045;

/// Python's `safe` makes a text that turns whatever is joined to it into HTML entities; here text stays text.
const MARKUP: &str = "meetkai-functionary-medium-v3.1.jinja";

fn without_entities(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/templates")
}

fn render(template: &ChatTemplate, conversation: &Value) -> Result<String, String> {
    let extra: Map<String, Value> = conversation
        .as_object()
        .unwrap()
        .iter()
        .filter(|(key, _)| !["messages", "tools", "add_generation_prompt"].contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let input = RenderInput {
        tools: conversation.get("tools"),
        add_generation_prompt: conversation["add_generation_prompt"].as_bool().unwrap(),
        now_seconds: Some(NOW_SECONDS),
        extra: Some(&extra),
        ..RenderInput::new(&conversation["messages"])
    };
    template.render(input).map_err(|error| error.to_string())
}

/// Where two texts part, with what surrounds it.
fn difference(left: &str, right: &str) -> String {
    let same = left.chars().zip(right.chars()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| text.chars().skip(same.saturating_sub(30)).take(80).collect::<String>();
    format!("after {same} characters: expected {:?}, rendered {:?}", around(left), around(right))
}

#[test]
fn templates_render_as_in_python() {
    let golden: Value = serde_json::from_slice(&std::fs::read(folder().join("golden.json")).unwrap()).unwrap();
    let special =
        SpecialStrings { bos_token: Some("<s>".into()), eos_token: Some("</s>".into()), ..SpecialStrings::default() };
    let cases = golden["cases"].as_array().unwrap();
    let mut wrong = Vec::new();
    for case in cases {
        let (name, conversation) = (case["template"].as_str().unwrap(), case["conversation"].as_str().unwrap());
        let source = std::fs::read_to_string(folder().join(name)).unwrap();
        let rendered = ChatTemplate::new(name, &source, special.clone())
            .map_err(|error| error.to_string())
            .and_then(|template| render(&template, &golden["conversations"][conversation]));
        let difference = match (case["text"].as_str(), rendered) {
            (Some(expected), Ok(rendered)) if expected == rendered => continue,
            (Some(expected), Ok(rendered)) if name == MARKUP && without_entities(expected) == rendered => continue,
            (None, Err(_)) => continue,
            // What Python refuses for its types (None in a loop, a generator as JSON) may render; a template's own
            // objection may not be lost.
            (None, Ok(_)) if !case["error"].as_str().unwrap().starts_with("TemplateError") => continue,
            (Some(expected), Ok(rendered)) => difference(expected, &rendered),
            (Some(_), Err(error)) => error,
            (None, Ok(_)) => format!("Python raises {}", case["error"]),
        };
        wrong.push(format!("{name} / {conversation}: {difference}"));
    }
    println!("{} of {} renderings equal", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn errors_name_the_template_and_the_line() {
    let compile =
        ChatTemplate::new("broken.jinja", "a\n{% if %}", SpecialStrings::default()).err().unwrap().to_string();
    assert!(compile.contains("broken.jinja") && compile.contains("line 2"), "{compile}");
    let source = "a\nb{{ raise_exception('no system role') }}";
    let template = ChatTemplate::new("strict.jinja", source, SpecialStrings::default()).unwrap();
    let error = template.render(RenderInput::new(&Value::Array(vec![]))).unwrap_err().to_string();
    assert!(error.contains("strict.jinja") && error.contains("line 2") && error.contains("no system role"), "{error}");
}

#[test]
fn expressions_read_as_in_python() {
    let golden: Value = serde_json::from_slice(&std::fs::read(folder().join("expressions.json")).unwrap()).unwrap();
    let variables = golden["variables"].as_object().unwrap();
    let messages = Value::Array(vec![]);
    let mut wrong = Vec::new();
    for case in golden["cases"].as_array().unwrap() {
        let source = case["source"].as_str().unwrap();
        let input = RenderInput { extra: Some(variables), ..RenderInput::new(&messages) };
        let rendered = ChatTemplate::new("expression", source, SpecialStrings::default())
            .and_then(|template| template.render(input))
            .map_err(|error| error.to_string());
        if let Some(expected) = case["text"].as_str()
            && rendered.as_deref() != Ok(expected)
        {
            wrong.push(format!("{source}\n  expected {expected:?}\n  rendered {rendered:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}
