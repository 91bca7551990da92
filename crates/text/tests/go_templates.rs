//! Go templates of Modelfiles: conversations, turns, tools, thinking, Go's rules, and what is refused.

use olivine_text::{ChatTemplate, RenderInput, SpecialStrings, TextError};
use serde_json::{Value, json};

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::of_modelfile("TEMPLATE", source, SpecialStrings::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn render(source: &str, messages: &Value) -> String {
    template(source).render(RenderInput::new(messages)).unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// What a template makes of one message that says `x`.
fn one(source: &str) -> String {
    render(&format!("{{{{ range .Messages }}}}{source}{{{{ end }}}}"), &json!([{"role": "user", "content": "x"}]))
}

fn chat() -> Value {
    json!([
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": "Who are you?"},
    ])
}

const WHOLE: &str = "{{- range $i, $_ := .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n\
                     {{ end }}<|im_start|>assistant\n";

#[test]
fn a_template_of_turns_is_one_of_the_conversation() {
    let expected = "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n\
                    <|im_start|>assistant\nHi!<|im_end|>\n<|im_start|>user\nWho are you?<|im_end|>\n\
                    <|im_start|>assistant\n";
    assert_eq!(render(WHOLE, &chat()), expected);
    let turns = "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}{{ if .Prompt }}<|im_start|>user\n\
                 {{ .Prompt }}<|im_end|>\n{{ end }}<|im_start|>assistant\n{{ .Response }}<|im_end|>\n";
    assert_eq!(render(turns, &chat()), expected, "what is behind the last .Response is left out");
    // Without .Response the answer follows the template.
    let bare = "{{ if .System }}{{ .System }} {{ end }}[{{ .Prompt }}] ";
    assert_eq!(render(bare, &chat()), "Be kind. [Hello] Hi![Who are you?] ");
    // An answer that was begun goes on, in both forms.
    let begun = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]);
    assert_eq!(
        template("[{{ .Prompt }}] {{ .Response }}<end>").render_begun(RenderInput::new(&begun)).unwrap(),
        "[a] b"
    );
    let whole = "{{ range $i, $m := .Messages }}{{ if eq .Role \"user\" }}[{{ .Content }}]{{ else }}{{ .Content }}\
                 {{ if not (eq (len (slice $.Messages $i)) 1) }}<end>{{ end }}{{ end }}{{ end }}";
    assert_eq!(template(whole).render_begun(RenderInput::new(&begun)).unwrap(), "[a]b");
}

#[test]
fn neighbours_of_one_role_are_one_message() {
    let messages = json!([
        {"role": "system", "content": "a"},
        {"role": "system", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "user", "content": [{"type": "text", "text": "d"}]},
        {"role": "tool", "content": "1"},
        {"role": "tool", "content": "2"},
    ]);
    let source = "{{ .System }}{{ range .Messages }}<{{ .Role }} {{ .Content }}>{{ end }}";
    assert_eq!(render(source, &messages), "a\n\nb<system a\n\nb><user c\n\nd><tool 1><tool 2>");
}

#[test]
fn tools_and_calls_are_written_as_json() {
    let tools = json!([{"type": "function", "function": {
        "name": "weather",
        "parameters": {"type": "object", "required": ["city"], "properties": {
            "unit": {"enum": ["C", "F"], "type": ["string"], "description": "a <unit>"},
            "city": {"type": "string"},
        }},
        "description": "tells it",
    }}]);
    let messages = json!([
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": [
            {"id": "c1", "function": {"name": "weather", "arguments": {"unit": "C", "city": "Rome"}}},
            {"id": "c2", "function": {"name": "weather", "arguments": {}}},
        ]},
        {"role": "tool", "name": "weather", "tool_call_id": "c1", "content": "22"},
    ]);
    let source = "{{ range .Tools }}{{ . }}\n{{ .Function.Name }}({{ range $name, $p := .Function.Parameters.Properties }}\
                  {{ $name }}: {{ $p.Type }} {{ toTypeScriptType $p }} {{ $p.Enum }}, {{ end }})\n{{ end }}\
                  {{ range .Messages }}{{ .Thinking }}{{ range .ToolCalls }}{{ .Function.Index }} {{ .ID }} \
                  {{ .Function.Name }} {{ .Function.Arguments }}{{ range $k, $v := .Function.Arguments }} {{ $k }}={{ $v }}\
                  {{ end }}\n{{ end }}{{ if eq .Role \"tool\" }}{{ .ToolName }} {{ .ToolCallID }}{{ end }}{{ end }}";
    let text = template(source).render(RenderInput { tools: Some(&tools), ..RenderInput::new(&messages) }).unwrap();
    let expected = "{\"type\":\"function\",\"function\":{\"name\":\"weather\",\"description\":\"tells it\",\"parameters\":\
                    {\"type\":\"object\",\"required\":[\"city\"],\"properties\":{\"city\":{\"type\":\"string\"},\"unit\":\
                    {\"type\":\"string\",\"description\":\"a \\u003cunit\\u003e\",\"enum\":[\"C\",\"F\"]}}}}}\n\
                    weather(city: string string [], unit: string string [C F], )\n\
                    hm0 c1 weather {\"city\":\"Rome\",\"unit\":\"C\"} city=Rome unit=C\n1 c2 weather {}\nweather c1";
    assert_eq!(text, expected);
    let source = "{{ range .Messages }}{{ .Role }}{{ end }}{{ if .Tools }} {{ .Tools }}{{ json .Tools }}{{ end }}";
    assert_eq!(render(source, &json!([{"role": "user", "content": ""}])), "user");
}

#[test]
fn thinking_is_asked_for() {
    let source = "{{ range .Messages }}{{ .Content }}{{ end }}{{ if .IsThinkSet }}{{ if .Think }}/think {{ .ThinkLevel }}\
                  {{ else }}/no_think{{ end }}{{ end }}";
    let messages = json!([{"role": "user", "content": "x"}]);
    let with = |extra: Value| {
        let extra = extra.as_object().unwrap().clone();
        template(source).render(RenderInput { extra: Some(&extra), ..RenderInput::new(&messages) }).unwrap()
    };
    assert_eq!(with(json!({})), "x");
    assert_eq!(with(json!({"enable_thinking": false})), "x/no_think");
    assert_eq!(with(json!({"enable_thinking": true, "reasoning_effort": "high"})), "x/think high");
}

#[test]
fn gos_rules_hold() {
    for (source, expected) in [
        (
            "{{ 1 }}{{ -2 }}{{ 1.50 }}{{ 1e21 }}{{ true }}{{ \"a\\n\\u00e9\" }}{{ `r\\n` }}{{ 'a' }}",
            "1-21.51e+21truea\nér\\n97",
        ),
        ("a {{- 1 -}} b", "a1b"),
        ("a {{- /* no */ -}} b{{/* none */}}", "ab"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ $x }}{{ end }}{{ $x }}", "32"),
        ("{{ and 1 0 2 }}{{ or 0 \"\" \"z\" }}{{ not 0 }}{{ and true (eq .Role \"user\") }}", "0ztruetrue"),
        ("{{ or true .Nothing }}{{ if and false (index $.Messages 9) }}no{{ end }}", "true"),
        (
            "{{ eq 1 2 1 }}{{ ne \"a\" \"b\" }}{{ lt 1 2 }}{{ le 2 2 }}{{ gt 1 2.5 }}{{ ge \"b\" \"a\" }}",
            "truetruetruetruefalsetrue",
        ),
        ("{{ len \"abc\" }}{{ len $.Messages }}{{ (index $.Messages 0).Content }}{{ slice \"abcd\" 1 3 }}", "31xbc"),
        (
            "{{ print 1 2 \"a\" 3 }}|{{ printf \"%s-%d-%v-%q-%5.1f|%-3s|\" \"a\" 7 true \"q\" 2.55 \"l\" }}",
            "1 2a3|a-7-true-\"q\"-  2.5|l  |",
        ),
        ("{{ \"x\" | printf \"%s%s\" \"a\" }}{{ .Content | len }}", "ax1"),
        (
            "{{ with .Content }}{{ . }}{{ $.System }}{{ end }}{{ with .Thinking }}t{{ else with .Role }}{{ . }}{{ else }}n{{ end }}",
            "xuser",
        ),
        ("{{ if .Thinking }}1{{ else if .Content }}2{{ else }}3{{ end }}", "2"),
        ("{{ range $i, $e := 3 }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ $i }}{{ end }}", "02"),
        (
            "{{ range .ToolCalls }}c{{ else }}none{{ end }}{{ range 5 }}{{ . }}{{ if eq . 2 }}{{ break }}{{ end }}{{ end }}",
            "none012",
        ),
        (
            "{{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" .Role }}{{ block \"b\" 1 }}{{ . }}{{ end }}",
            "<user>1",
        ),
        ("{{ $.Missing }}{{ json .Content }}{{ json \"<&>\" }}", "<no value>\"x\"\"\\u003c\\u0026\\u003e\""),
        ("{{ .Content }}}", "x}"),
    ] {
        assert_eq!(one(source), expected, "{source}");
    }
    let day = RenderInput { now_seconds: Some(951_827_696), ..RenderInput::new(&Value::Null) };
    let text = template("{{ range .Messages }}{{ end }}{{ currentDate }} {{ yesterdayDate }}").render(day).unwrap();
    assert_eq!(text, "2000-02-29 2000-02-28");
}

#[test]
fn what_is_not_understood_is_an_error_with_its_line() {
    for (source, line, part) in [
        ("a\n{{ nonsense .Prompt }}", 2, "function \"nonsense\" not defined"),
        ("{{ if .Prompt }}\n{{ .Prompt }}", 1, "`if` has no `end`"),
        ("{{ .Prompt }}\n{{ end }}", 2, "`end` without a beginning"),
        ("\n{{ .Prompt", 2, "`{{` is not closed"),
        ("{{ \"abc }}", 1, "not closed"),
        ("{{ (.Prompt }}", 1, "`(` is not closed"),
        ("{{ .Prompt | }}", 1, "a value is missing"),
        ("{{ .Prompt .System }}", 1, "only a function takes arguments"),
        ("{{ }}", 1, "empty"),
        ("{{ if }}{{ end }}", 1, "a value is missing"),
        ("{{ 1abc }}", 1, "is no number"),
        ("{{ .Prompt % 2 }}", 1, "'%' has no meaning"),
    ] {
        match ChatTemplate::of_modelfile("TEMPLATE", source, SpecialStrings::default()) {
            Err(TextError::Template { line: at, reason, .. }) => {
                assert!(at == line && reason.contains(part), "{source}: line {at}: {reason}");
            }
            Err(other) => panic!("{source}: {other}"),
            Ok(_) => panic!("{source} is accepted"),
        }
    }
    let fails = |source: &str| {
        let messages = json!([{"role": "user", "content": "x"}]);
        template(source).render(RenderInput::new(&messages)).unwrap_err().to_string()
    };
    for (source, part) in [
        ("{{ range .Messages }}{{ .Nothing }}{{ end }}", "can't evaluate field Nothing in type Message"),
        ("{{ range .Messages }}{{ $x }}{{ end }}", "undefined variable \"$x\""),
        ("{{ index .Messages 5 }}", "index out of range: 5"),
        ("{{ range .Messages }}{{ printf \"%x\" 1 }}{{ end }}", "printf: %x"),
        ("{{ range .Messages }}{{ template \"none\" }}{{ end }}", "template \"none\" not defined"),
        (
            "{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ range .Messages }}{{ template \"t\" }}{{ end }}",
            "without an end",
        ),
    ] {
        assert!(fails(source).contains(part), "{source}: {}", fails(source));
    }
    for deep in [
        "{{ if true }}".repeat(5_000),
        format!("{{{{ if 1 }}}}{}{{{{ end }}}}", "{{ else if 1 }}".repeat(5_000)),
        format!("{{{{ {}1 }}}}", "(".repeat(5_000)),
    ] {
        assert!(ChatTemplate::of_modelfile("TEMPLATE", &deep, SpecialStrings::default()).is_err());
    }
    let tool = json!([{"role": "user", "content": "x"}, {"role": "tool", "content": "y"}]);
    assert!(template("{{ .Prompt }}").render(RenderInput::new(&tool)).is_err());
}

#[test]
fn jinja_may_stand_in_a_modelfile() {
    let source = "{% for message in messages %}[{{ message.content }}]{% endfor %}";
    assert_eq!(render(source, &json!([{"role": "user", "content": "x"}])), "[x]");
}

#[test]
fn the_syntax_of_answers_is_told_from_the_template() {
    let hermes = "{{ range .Messages }}{{ if .ToolCalls }}<tool_call>\n{{ range .ToolCalls }}{\"name\": \"{{ .Function.Name }}\"\
                  , \"arguments\": {{ .Function.Arguments }}}{{ end }}\n</tool_call>{{ end }}{{ end }}";
    assert_eq!(template(hermes).syntax().name, "hermes");
    let bare = "{{ range .Messages }}{{ range .ToolCalls }}{{ .Function.Arguments }}{{ end }}{{ end }}";
    assert_eq!(template(bare).syntax().name, "json");
    assert_eq!(template("{{ .Prompt }}").syntax().name, "plain");
}
