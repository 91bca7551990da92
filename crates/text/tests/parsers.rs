//! Every recorded case of reasoning and tool calls, whole and cut at every character, and what streams of each syntax.

use olivine_text::parsers::{OutputParser, ParsedOutput, ParserEvent, ParserOptions, Syntax, detect};
use serde_json::{Value, json};

const CASES: &str = include_str!("data/parsers.jsonl");

fn options(case: &Value) -> ParserOptions<'_> {
    ParserOptions {
        tools: case.get("tools"),
        prompt_end: case["prompt_end"].as_str().unwrap_or_default(),
        hide_thinking: case["hide_thinking"] == true,
    }
}

fn parse(case: &Value, pieces: &[&str]) -> ParsedOutput {
    let syntax = Syntax::named(case["syntax"].as_str().unwrap()).unwrap();
    let mut parser = OutputParser::new(syntax, options(case));
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(parser.push(piece));
    }
    events.extend(parser.finish());
    let mut parsed = ParsedOutput::default();
    events.into_iter().for_each(|event| parsed.add(event));
    parsed
}

fn as_json(parsed: &ParsedOutput) -> Value {
    let arguments = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!({ "no JSON": text }));
    let calls: Vec<Value> = parsed.calls.iter().map(|call| json!([call.name, arguments(&call.arguments)])).collect();
    json!({"thinking": parsed.thinking, "content": parsed.content, "calls": calls})
}

fn expected(case: &Value) -> Value {
    json!({"thinking": case["thinking"], "content": case["content"], "calls": case["calls"]})
}

/// A case with `instead` is one where the recorded expectation is not ours; its `reason` says why.
#[test]
fn recorded_cases_whole_and_cut_anywhere() {
    let (mut events, mut passed, mut excepted, mut wrong) = (0, 0, 0, Vec::new());
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = case["text"].as_str().unwrap();
        let count = case["events"].as_u64().unwrap();
        events += count;
        let whole = parse(&case, &[text]);
        let letters: Vec<&str> = text.split_inclusive(|_: char| true).collect();
        assert_eq!(parse(&case, &letters), whole, "letter by letter: {line}");
        for (at, _) in text.char_indices() {
            assert_eq!(parse(&case, &[&text[..at], &text[at..]]), whole, "cut at {at}: {line}");
        }
        let got = as_json(&whole);
        match case.get("instead") {
            None if got == expected(&case) => passed += count,
            Some(instead) if got == *instead => excepted += count,
            _ => wrong.push(format!("{line}\n  got  {got}")),
        }
    }
    println!("{passed} of {events} recorded events equal, {excepted} excepted with a reason");
    assert!(wrong.is_empty(), "{} cases\n{}", wrong.len(), wrong.join("\n"));
}

/// One call of each syntax that no recorded case covers: what the model writes, reasoning, text and calls.
const SAMPLES: &[(&str, &str, &str, &str, &str)] = &[
    ("hermes", "Hm.</think>Yes.", "", "Hm.</think>Yes.", "[]"),
    ("llama", "{\"name\": \"f\", \"parameters\": {\"a\": \"1\"}}", "", "", r#"[["f",{"a":"1"}]]"#),
    ("llama", "{\"name\": \"other\", \"parameters\": {}}", "", "{\"name\": \"other\", \"parameters\": {}}", "[]"),
    ("llama", "{\"answer\": 42}", "", "{\"answer\": 42}", "[]"),
    ("llama", "<|python_tag|>brave_search.call(query=\"x\")", "", "", r#"[["brave_search.call",{"query":"x"}]]"#),
    (
        "llama",
        "<|python_tag|>{\"name\":\"f\",\"parameters\":{}}; {\"name\":\"g\",\"parameters\":{}}",
        "",
        "",
        r#"[["f",{}],["g",{}]]"#,
    ),
    ("pythonic", "[f(a=1), g(b=['x', None])]", "", "", r#"[["f",{"a":1}],["g",{"b":["x",null]}]]"#),
    ("pythonic", "[1, 2, 3]", "", "[1, 2, 3]", "[]"),
    (
        "mistral",
        "[THINK]Hm.[/THINK]Yes.[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": 1}, \"id\": \"x\"}]",
        "Hm.",
        "Yes.",
        r#"[["f",{"a":1}]]"#,
    ),
    ("mistral", "[TOOL_CALLS]f[CALL_ID]abc[ARGS]{\"a\": 1}", "", "", r#"[["f",{"a":1}]]"#),
    (
        "harmony",
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
        "Hm.",
        "Yes.",
        "[]",
    ),
    (
        "harmony",
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}<|call|>",
        "Hm.",
        "",
        r#"[["f",{"a":1}]]"#,
    ),
    (
        "harmony",
        "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant to=functions.f<|channel|>commentary json<|message|>{}<|call|>",
        "",
        "I look.",
        r#"[["f",{}]]"#,
    ),
    (
        "kimi",
        "Yes.<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"a\": 1}<|tool_call_end|><|tool_call_begin|>functions.g:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
        "",
        "Yes.",
        r#"[["f",{"a":1}],["g",{}]]"#,
    ),
    (
        "minimax",
        "<think>Hm.</think>Yes.\n<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"a\">1</parameter>\n<parameter name=\"b\">x</parameter>\n</invoke>\n</minimax:tool_call>",
        "Hm.",
        "Yes.",
        r#"[["f",{"a":1,"b":"x"}]]"#,
    ),
    (
        "minimax-m1",
        "<tool_calls>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n{\"name\": \"g\", \"arguments\": {}}\n</tool_calls>",
        "",
        "",
        r#"[["f",{"a":1}],["g",{}]]"#,
    ),
    (
        "nemotron",
        "<TOOLCALL>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"g\", \"arguments\": {}}]</TOOLCALL>",
        "",
        "",
        r#"[["f",{"a":1}],["g",{}]]"#,
    ),
    ("phi", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}]<|/tool_call|>", "", "", r#"[["f",{"a":1}]]"#),
    ("granite", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}]", "", "", r#"[["f",{"a":1}]]"#),
    ("granite", "<think>Hm.</think><response>Yes.</response>", "Hm.", "Yes.", "[]"),
    (
        "apertus",
        "<|inner_prefix|>Hm.<|inner_suffix|><|tools_prefix|>[{\"f\": {\"a\": 1}}, {\"g\": {}}]<|tools_suffix|>",
        "Hm.",
        "",
        r#"[["f",{"a":1}],["g",{}]]"#,
    ),
    (
        "apriel",
        "Yes.\n<tool_calls>[{\"name\": \"f\", \"arguments\": {\"a\": 1}, \"id\": \"1\"}]</tool_calls>",
        "",
        "Yes.",
        r#"[["f",{"a":1}]]"#,
    ),
    (
        "hunyuan",
        "<tool_calls:opensource>\n<tool_call:opensource>f<tool_sep:opensource>\n<arg_key:opensource>a</arg_key:opensource>\n<arg_value:opensource>1</arg_value:opensource>\n</tool_call:opensource>\n</tool_calls:opensource>",
        "",
        "",
        r#"[["f",{"a":1}]]"#,
    ),
    (
        "seed",
        "<seed:think>Hm.</seed:think>\n<seed:tool_call>\n<function=f>\n<parameter=a>1</parameter>\n</function>\n</seed:tool_call>",
        "Hm.",
        "",
        r#"[["f",{"a":1}]]"#,
    ),
    (
        "solar",
        "<|think|>Hm.<|end|><|begin|>assistant<|tool_calls|><|tool_call:begin|>id1<|tool_call:name|>f<|tool_call:args|>{\"a\": 1}<|tool_call:end|><|calls|>",
        "Hm.",
        "",
        r#"[["f",{"a":1}]]"#,
    ),
    ("minicpm", "<function name=\"f\"><param name=\"a\">1</param></function>", "", "", r#"[["f",{"a":1}]]"#),
    (
        "gigachat",
        "function call<|role_sep|>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}",
        "",
        "",
        r#"[["f",{"a":1}]]"#,
    ),
    ("functionary-3.1", "<function=f>{\"a\": 1}</function>", "", "", r#"[["f",{"a":1}]]"#),
    ("functools", " functools[{\"name\": \"f\", \"arguments\": {\"a\": 1}}]", "", "", r#"[["f",{"a":1}]]"#),
    (
        "deepseek-dsml",
        "Yes.\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"a\" string=\"false\">1</｜DSML｜parameter>\n<｜DSML｜parameter name=\"b\" string=\"true\">2</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
        "",
        "Yes.",
        r#"[["f",{"a":1,"b":"2"}]]"#,
    ),
    (
        "hermes",
        "<tool_call>\n{\"arguments\": \"{\\\"a\\\": 1}\", \"name\": \"f\"}\n</tool_call>",
        "",
        "",
        r#"[["f",{"a":1}]]"#,
    ),
    (
        "minimax-m3",
        "<mm:think>Hm.</mm:think>Yes.]<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name=\"f\">]<]minimax[>[<a>1]<]minimax[>[</a>]<]minimax[>[<b>x < y]<]minimax[>[</b>]<]minimax[>[<c>]<]minimax[>[<item>u]<]minimax[>[</item>]<]minimax[>[<item>]<]minimax[>[<k>v]<]minimax[>[</k>]<]minimax[>[</item>]<]minimax[>[</c>]<]minimax[>[</invoke>\n]<]minimax[>[<invoke name=\"g\">]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>",
        "Hm.",
        "Yes.",
        r#"[["f",{"a":1,"b":"x < y","c":["u",{"k":"v"}]}],["g",{}]]"#,
    ),
    (
        "minimax-m3",
        "]<]minimax[>[<tool_call>]<]minimax[>[<invoke name=\"f\">]<]minimax[>[<a>1",
        "",
        "]<]minimax[>[<tool_call>]<]minimax[>[<invoke name=\"f\">]<]minimax[>[<a>1",
        "[]",
    ),
    (
        "kimi-k3",
        "<|open|>think<|sep|>Hm.<|close|>think<|sep|><|open|>response<|sep|>Yes.<|close|>response<|sep|><|open|>tools<|sep|><|open|>call tool=\"f\" index=\"1\"<|sep|><|open|>argument key=\"a\" type=\"number\"<|sep|>1<|close|>argument<|sep|><|open|>argument key=\"b\" type=\"string\"<|sep|>2<|close|>argument<|sep|><|close|>call<|sep|><|open|>call tool=\"g\" index=\"2\"<|sep|><|close|>call<|sep|><|close|>tools<|sep|><|end_of_msg|>",
        "Hm.",
        "Yes.",
        r#"[["f",{"a":1,"b":"2"}],["g",{}]]"#,
    ),
    (
        "command-r-plus",
        "I look.\nAction:\n```json\n[\n    {\n        \"tool_name\": \"f\",\n        \"parameters\": {\n            \"a\": 1\n        }\n    }\n]\n```",
        "",
        "I look.",
        r#"[["f",{"a":1}]]"#,
    ),
    ("functionary-3.2", "all\nYes.", "", "all\nYes.", "[]"),
    (
        "functionary-3.2",
        ">>>all\nYes, >>> is text.\n>>>f\n{\"a\": 1}>>>g\n{}",
        "",
        "Yes, >>> is text.",
        r#"[["f",{"a":1}],["g",{}]]"#,
    ),
    ("functionary-3.2", ">>>f\n{\"a\": oops", "", "f\n{\"a\": oops", "[]"),
    ("hermes", "I write <tool_call> by hand.", "", "I write <tool_call> by hand.", "[]"),
    (
        "hermes",
        "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": oops}}\n</tool_call>",
        "",
        "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": oops}}\n</tool_call>",
        "[]",
    ),
    (
        "hermes",
        "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"x",
        "",
        "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"x",
        "[]",
    ),
];

#[test]
fn a_sample_of_each_other_syntax() {
    let tool = |name: &str| json!({"function": {"name": name, "parameters": {"properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}}});
    let tools = json!([tool("f"), tool("g")]);
    for (syntax, text, thinking, content, calls) in SAMPLES {
        let tools = if *syntax == "hermes" || text.contains("\"a\": \"1\"") {
            json!([{"function": {"name": "f"}}])
        } else {
            tools.clone()
        };
        let case = json!({"syntax": syntax, "tools": tools});
        let whole = parse(&case, &[text]);
        let calls: Value = serde_json::from_str(calls).unwrap();
        assert_eq!(
            as_json(&whole),
            json!({"thinking": thinking, "content": content, "calls": calls}),
            "{syntax}: {text}"
        );
        let letters: Vec<&str> = text.split_inclusive(|_: char| true).collect();
        assert_eq!(parse(&case, &letters), whole, "letter by letter: {text}");
        for (at, _) in text.char_indices() {
            assert_eq!(parse(&case, &[&text[..at], &text[at..]]), whole, "cut at {at}: {text}");
        }
    }
}

/// Nothing waits that needs not: what has come out after each letter.
#[test]
fn arguments_come_as_they_are_written() {
    let cases = [
        ("hermes", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"some long text"),
        ("qwen3-coder", "<tool_call>\n<function=f>\n<parameter=a>\nsome long text"),
        ("glm", "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>some long text"),
        ("deepseek", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": \"some long text"),
        ("harmony", "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": \"some long text"),
    ];
    for (syntax, text) in cases {
        let mut parser = OutputParser::new(Syntax::named(syntax).unwrap(), ParserOptions::default());
        let events: Vec<ParserEvent> =
            text.split_inclusive(|_: char| true).flat_map(|letter| parser.push(letter)).collect();
        let mut parsed = ParsedOutput::default();
        events.into_iter().for_each(|event| parsed.add(event));
        assert!(
            parsed.calls.len() == 1 && parsed.calls[0].arguments.ends_with("some long text"),
            "{syntax}: {parsed:?}"
        );
    }
}

#[test]
fn templates_tell_their_syntax() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/templates");
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let mut found = String::new();
    for path in names.iter().filter(|path| path.extension().is_some_and(|ending| ending == "jinja")) {
        let syntax = detect(&std::fs::read_to_string(path).unwrap());
        found += &format!("{} {}\n", path.file_stem().unwrap().to_string_lossy(), syntax.name);
    }
    let expected = include_str!("data/syntaxes.txt");
    assert_eq!(found, expected, "what templates/*.jinja speak");
}

#[test]
fn syntaxes_know_their_markers_of_reasoning() {
    let of = |name: &str| Syntax::named(name).unwrap().thinking();
    assert_eq!(of("hermes"), Some(("<think>", "</think>")));
    assert_eq!(of("mistral"), Some(("[THINK]", "[/THINK]")));
    assert_eq!(of("gemma4"), Some(("<|channel>thought", "<channel|>")));
    assert_eq!(of("harmony").unwrap().0, "<|channel|>analysis<|message|>");
    assert_eq!(of("cohere").unwrap().1, "<|END_THINKING|>");
    let none: Vec<&str> =
        olivine_text::parsers::SYNTAXES.iter().filter(|one| one.thinking().is_none()).map(|one| one.name).collect();
    assert_eq!(none, ["functionary-3.2"]);
}

#[test]
fn a_prompt_that_ends_with_the_mark_begins_with_a_recipient() {
    let tools = json!([{"function": {"name": "f"}}]);
    for (text, content, calls) in [
        ("all\nYes.", "Yes.", json!([])),
        ("f\n{\"a\": 1}", "", json!([["f", {"a": 1}]])),
        ("nobody at all", "nobody at all", json!([])),
    ] {
        let case = json!({"syntax": "functionary-3.2", "tools": tools, "prompt_end": "assistant\n\n>>>"});
        let whole = parse(&case, &[text]);
        assert_eq!(as_json(&whole), json!({"thinking": "", "content": content, "calls": calls}));
        let letters: Vec<&str> = text.split_inclusive(|_: char| true).collect();
        assert_eq!(parse(&case, &letters), whole);
    }
}
