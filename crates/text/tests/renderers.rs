//! Conversations recorded with another renderer: through the chat templates at hand the same prompt comes out, or the
//! case is listed with the reason why it cannot be compared or why what was recorded is not what the template says.

use olivine_text::chat_template::reasoning_variables;
use olivine_text::{ChatTemplate, RenderInput, SpecialStrings};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::Path;

/// The first line holds the lists of tools, then come the cases that are not compared, then those that are.
const CASES: &str = include_str!("data/renderers.jsonl");

/// Cases there are in all.
const RECORDED: usize = 519;

fn template<'a>(known: &'a mut HashMap<String, ChatTemplate>, case: &Value) -> &'a ChatTemplate {
    let (name, bos) = (case["template"].as_str().unwrap(), case["bos"].as_str().unwrap_or_default());
    known.entry(format!("{name} {bos}")).or_insert_with(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/templates");
        let source = std::fs::read_to_string(folder.join(name)).unwrap();
        let special = SpecialStrings {
            bos_token: Some(bos.to_string()),
            eos_token: Some(String::new()),
            ..SpecialStrings::default()
        };
        ChatTemplate::new(name, &source, special).unwrap()
    })
}

fn render(template: &ChatTemplate, case: &Value, tools: &Value) -> Result<String, String> {
    let mut variables = match &case["reasoning"] {
        Value::Bool(on) => reasoning_variables(*on, None),
        Value::String(effort) => reasoning_variables(true, Some(effort)),
        _ => Map::new(),
    };
    variables
        .extend(case["variables"].as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    // Seconds of the two days on which dates were recorded.
    let now_seconds = match case["day"].as_str() {
        Some("2026-07-29") => Some(1_785_283_200),
        Some("2026-11-20") => Some(1_795_132_800),
        _ => None,
    };
    let input = RenderInput {
        tools: case["tools"].as_u64().map(|index| &tools[index as usize]),
        now_seconds,
        extra: Some(&variables),
        add_generation_prompt: case["how"] != "closed",
        ..RenderInput::new(&case["messages"])
    };
    let text = if case["how"] == "begun" { template.render_begun(input) } else { template.render(input) };
    text.map_err(|error| error.to_string())
}

#[test]
fn recorded_conversations_become_the_same_prompts() {
    let lines: Vec<Value> = CASES.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (tools, mut seen, mut templates) = (&lines[0]["tools"], Vec::new(), HashMap::new());
    let (mut passed, mut wrong) = (0, Vec::new());
    for case in &lines[1..] {
        if case.get("reason").is_some() {
            seen.extend(case["cases"].as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as usize));
            continue;
        }
        seen.push(case["case"].as_u64().unwrap() as usize);
        let rendered = render(template(&mut templates, case), case, tools);
        match (case["error"].as_str(), rendered) {
            (None, Ok(text)) if case["out"] == text.as_str() => passed += 1,
            (Some(_), Err(_)) => passed += 1,
            (_, rendered) => wrong.push(format!("{}: expected {}\n  rendered {rendered:?}", case["case"], case["out"])),
        }
    }
    let listed = seen.len() - passed - wrong.len();
    println!("{passed} of {RECORDED} recorded prompts equal, {listed} listed with a reason");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    seen.sort_unstable();
    assert_eq!(seen, (0..RECORDED).collect::<Vec<usize>>(), "every case is compared or listed");
}
