//! Constrained answers: grammars become masks over the vocabulary, token by token (llguidance does the parsing).
//!
//! Grammars are compiled where the request is submitted, masks are made while the model computes the logits that they
//! are for. Invariant: an answer that ends by itself matches its grammar. Read next: `worker/mod.rs`.

use std::sync::{Arc, OnceLock};

use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};
use toktrie::{ApproximateTokEnv, SimpleVob, TokEnv, TokRxInfo, TokTrie};

use crate::types::{Constraint, Grammar};

/// What the tokens spell: needed for constraints.
#[derive(Clone)]
pub struct Vocabulary(Arc<Inner>);

struct Inner {
    tokens: Vec<Vec<u8>>,
    end_token: u32,
    factory: OnceLock<Result<ParserFactory, String>>,
}

impl Vocabulary {
    /// Of the bytes of every token and whether it is a control token (those never spell text), and a token that ends
    /// texts.
    pub fn new(tokens: impl IntoIterator<Item = (Vec<u8>, bool)>, end_token: u32) -> Vocabulary {
        let spelled = |(index, (bytes, control)): (usize, (Vec<u8>, bool))| match control {
            // How toktrie keeps control tokens apart: a byte that no text has.
            true => [&[TokTrie::SPECIAL_TOKEN_MARKER], format!("<{index}>").as_bytes()].concat(),
            false => bytes,
        };
        let tokens = tokens.into_iter().enumerate().map(spelled).collect();
        Vocabulary(Arc::new(Inner { tokens, end_token, factory: OnceLock::new() }))
    }

    fn factory(&self) -> Result<&ParserFactory, String> {
        let make = || {
            let inner = &self.0;
            let end_token = inner.end_token.min(inner.tokens.len().saturating_sub(1) as u32);
            let info = TokRxInfo::new(inner.tokens.len() as u32, end_token);
            let env: TokEnv = Arc::new(ApproximateTokEnv::new(TokTrie::from(&info, &inner.tokens)));
            let mut factory = ParserFactory::new_simple(&env).map_err(|error| error.to_string())?;
            factory.quiet();
            Ok(factory)
        };
        self.0.factory.get_or_init(make).as_ref().map_err(String::clone)
    }

    /// Get ready to follow a constraint, or say what is wrong with its grammar.
    pub(crate) fn compile(&self, constraint: &Constraint) -> Result<Guide, String> {
        let (tag, text) = match &constraint.grammar {
            Grammar::JsonObject => ("json_schema", bounded_space(r#"{"type":"object"}"#)?),
            Grammar::JsonSchema(schema) => ("json_schema", bounded_space(schema)?),
            Grammar::Closed { schema, close } => {
                ("lark", format!("start: \"\\n\"? json \"\\n\"? <[{close}]>\njson: %json {}\n", bounded_space(schema)?))
            }
            Grammar::Regex(regex) => ("regex", regex.clone()),
            Grammar::Lark(grammar) => ("lark", grammar.clone()),
            Grammar::Choice(choices) if choices.is_empty() => return Err("a choice among no strings".into()),
            Grammar::Choice(choices) => ("lark", choice_grammar(choices)),
        };
        let grammar = TopLevelGrammar::from_tagged_str(tag, &text).map_err(|error| error.to_string())?;
        let parser = self.factory()?.create_parser(grammar).map_err(|error| error.to_string())?;
        let matcher = Matcher::new(Ok(parser));
        Ok(Guide {
            fresh: constraint.again.then(|| matcher.clone()),
            matcher,
            after: constraint.after.clone(),
            active: constraint.after.is_empty(),
            mask: None,
        })
    }
}

/// Follows one answer.
pub(crate) struct Guide {
    matcher: Matcher,
    after: Vec<u32>,
    active: bool,
    /// At the beginning, where the form may come again.
    fresh: Option<Matcher>,
    mask: Option<Result<SimpleVob, String>>,
}

impl Guide {
    /// Make the mask of the next token; to be called on any thread, before [`Guide::take_mask`].
    pub fn prepare(&mut self, stop_tokens: &[u32]) {
        if !self.active {
            return;
        }
        let mask = self.matcher.compute_mask().map(|mut mask| {
            let complete = self.matcher.is_accepting().unwrap_or(false);
            let known = mask.len();
            for &token in stop_tokens.iter().filter(|&&token| (token as usize) < known) {
                mask.set(token as usize, complete);
            }
            mask
        });
        self.mask = Some(mask.map_err(|error| error.to_string()));
    }

    /// Bits of the tokens that may come next; none when all may. An error when none may.
    pub fn take_mask(&mut self) -> Result<Option<Vec<u32>>, String> {
        match self.mask.take() {
            None => Ok(None),
            Some(Err(error)) => Err(error),
            Some(Ok(mask)) if mask.is_zero() => Err("no token of the vocabulary goes on with the grammar".into()),
            Some(Ok(mask)) => Ok(Some(mask.as_slice().to_vec())),
        }
    }

    /// Take a token of the answer, all of which is `answer`. True when the grammar's text is complete and nothing can
    /// follow.
    pub fn accept(&mut self, answer: &[u32]) -> Result<bool, String> {
        let token = *answer.last().expect("[constraint] an answer with a token");
        if !self.active {
            self.active = answer.ends_with(&self.after);
            return Ok(false);
        }
        self.matcher.consume_token(token).map_err(|error| error.to_string())?;
        let stopped = self.matcher.is_stopped();
        match &self.fresh {
            Some(fresh) if stopped => {
                (self.matcher, self.active) = (fresh.clone(), false);
                Ok(false)
            }
            _ => Ok(stopped),
        }
    }
}

/// White space between the parts of JSON: a line break and an indentation. A model that is not sure of the next part would
/// write blanks until its tokens run out.
const JSON_SPACE: &str = r"[ ]?|\r?\n[ \t]{0,32}";

/// A schema with the option that says so, unless it brings options of its own.
fn bounded_space(schema: &str) -> Result<String, String> {
    let mut schema: Value = serde_json::from_str(schema).map_err(|error| error.to_string())?;
    if schema == Value::Bool(true) {
        schema = json!({});
    }
    if let Some(schema) = schema.as_object_mut() {
        let options = schema.entry("x-guidance").or_insert_with(|| json!({}));
        if let Some(options) = options.as_object_mut().filter(|options| !options.contains_key("whitespace_flexible")) {
            options.entry("whitespace_pattern").or_insert_with(|| json!(JSON_SPACE));
        }
    }
    Ok(schema.to_string())
}

/// The strings as a Lark grammar.
fn choice_grammar(choices: &[String]) -> String {
    let quoted: Vec<String> = choices.iter().map(|choice| quote(choice)).collect();
    format!("start: {}", quoted.join(" | "))
}

/// A Lark string.
fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens 0 to 255 are bytes, 256 is the end, then a few longer ones.
    fn vocabulary() -> Vocabulary {
        let bytes = (0..=255u8).map(|byte| (vec![byte], false));
        let longer = ["true", "\":", "name", "{\"", "ja"].map(|text| (text.as_bytes().to_vec(), false));
        Vocabulary::new(bytes.chain([(Vec::new(), true)]).chain(longer), 256)
    }

    fn constraint(grammar: Grammar) -> Constraint {
        Constraint { grammar, after: Vec::new(), again: false }
    }

    /// Tokens that are allowed first, then after each byte of `text`; whether it is complete at the end.
    fn follow(grammar: Grammar, text: &str) -> Result<(Vec<Vec<u32>>, bool), String> {
        let mut guide = vocabulary().compile(&constraint(grammar))?;
        let (mut allowed, mut answer, mut done) = (Vec::new(), Vec::new(), false);
        for byte in text.bytes() {
            guide.prepare(&[256]);
            let mask = guide.take_mask()?.expect("active");
            allowed.push((0..262).filter(|&t| mask[t as usize / 32] >> (t % 32) & 1 == 1).collect());
            if mask[byte as usize / 32] >> (byte % 32) & 1 == 0 {
                return Err(format!("{:?} at {}", byte as char, answer.len()));
            }
            answer.push(u32::from(byte));
            done = guide.accept(&answer)?;
        }
        if !done {
            guide.prepare(&[256]);
            done = guide.take_mask()?.is_some_and(|mask| mask[8] & 1 == 1);
        }
        Ok((allowed, done))
    }

    #[test]
    fn choices_are_spelled_to_the_end() {
        let choice = || Grammar::Choice(vec!["ja".into(), "nein \"\\\n".into()]);
        let (allowed, done) = follow(choice(), "ja").expect("a choice");
        assert_eq!(allowed[0], [u32::from(b'j'), u32::from(b'n'), 261]);
        assert!(done);
        assert!(follow(choice(), "nein \"\\\n").expect("the other").1);
        assert!(follow(choice(), "jein").is_err());
        assert!(!follow(choice(), "nei").expect("a beginning").1);
    }

    #[test]
    fn schemas_regexes_and_grammars_are_kept() {
        let schema = r#"{"type":"object","properties":{"name":{"type":"string"},"old":{"type":"boolean"}},
            "required":["name","old"],"additionalProperties":false}"#;
        let schema = || Grammar::JsonSchema(schema.into());
        assert!(follow(schema(), r#"{"name":"Eva","old":true}"#).expect("it matches").1);
        assert!(follow(schema(), r#"{"name":7"#).is_err());
        assert!(follow(Grammar::JsonObject, r#"{"a":[1,{"b":null}]}"#).expect("an object").1);
        assert!(follow(Grammar::JsonObject, "[1]").is_err());
        assert!(follow(Grammar::Regex("[0-9]{4}-[0-9]{2}".into()), "2026-11").expect("it matches").1);
        assert!(follow(Grammar::Regex("[0-9]{4}".into()), "20x").is_err());
        let sum = "start: number (\"+\" number)*\nnumber: /[0-9]+/";
        assert!(follow(Grammar::Lark(sum.into()), "12+3").expect("it matches").1);
        assert!(!follow(Grammar::Lark(sum.into()), "12+").expect("a beginning").1);
    }

    #[test]
    fn blanks_between_the_parts_of_json_come_to_an_end() {
        let schema =
            r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"integer"}}},"required":["a"]}"#;
        for grammar in [Grammar::JsonSchema(schema.into()), Grammar::JsonObject] {
            let pretty = "{\n    \"a\": [\n\t1,\r\n  2, 3\n    ]\n}";
            assert!(follow(grammar.clone(), pretty).expect("it is indented").1, "{grammar:?}");
            for blanks in ["{  ", "{\n\n", "{\"a\":  ", "{\"a\": [1,  "] {
                assert!(follow(grammar.clone(), blanks).is_err(), "{grammar:?} {blanks:?}");
            }
            let long = format!("{{\n{}", " ".repeat(33));
            assert!(follow(grammar, &long).is_err());
        }
    }

    #[test]
    fn wrong_grammars_are_refused_with_their_reason() {
        for (grammar, part) in [
            (Grammar::JsonSchema("{".into()), "EOF"),
            (Grammar::JsonSchema(r#"{"type":"nothing"}"#.into()), "nothing"),
            (Grammar::Regex("(".into()), ""),
            (Grammar::Lark("start: missing".into()), "missing"),
            (Grammar::Choice(vec![]), "no strings"),
        ] {
            let error = vocabulary().compile(&constraint(grammar.clone())).err();
            assert!(error.as_ref().is_some_and(|error| error.contains(part)), "{grammar:?}: {error:?}");
        }
    }

    #[test]
    fn a_constraint_begins_behind_its_marker() {
        let grammar = Grammar::Choice(vec!["ja".into()]);
        let mut guide =
            vocabulary().compile(&Constraint { grammar, after: vec![60, 62], again: false }).expect("it compiles");
        let mut answer = Vec::new();
        for token in [5, 60, 7, 60, 62] {
            guide.prepare(&[256]);
            assert_eq!(guide.take_mask(), Ok(None));
            answer.push(token);
            assert_eq!(guide.accept(&answer), Ok(false));
        }
        guide.prepare(&[256]);
        let mask = guide.take_mask().expect("it goes on").expect("active now");
        assert_eq!(mask.iter().map(|word| word.count_ones()).sum::<u32>(), 2);
    }

    #[test]
    fn a_form_that_may_come_again_leaves_what_is_between_free() {
        let schema =
            r#"{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}"#;
        let bytes = (0..=255u8).map(|byte| (vec![byte], false));
        let vocabulary = Vocabulary::new(bytes.chain([(Vec::new(), true), (b"</call>".to_vec(), true)]), 256);
        for close in [257, b'!'.into()] {
            let grammar = Grammar::Closed { schema: schema.into(), close };
            let mut guide =
                vocabulary.compile(&Constraint { grammar, after: vec![60], again: true }).expect("it compiles");
            let mut answer: Vec<u32> = Vec::new();
            let mut allowed = |guide: &mut Guide, text: &[u32]| -> Result<(), u32> {
                for &token in text {
                    guide.prepare(&[256]);
                    let mask = guide.take_mask().expect("a token");
                    if mask.is_some_and(|mask| mask[token as usize / 32] >> (token % 32) & 1 == 0) {
                        return Err(token);
                    }
                    answer.push(token);
                    assert!(!guide.accept(&answer).expect("it goes on"), "more may follow");
                }
                Ok(())
            };
            let of = |text: &str| -> Vec<u32> { text.bytes().map(u32::from).collect() };
            for text in ["first: {oops} <", "\n{\"a\": 1}\n", "", " then <", "{\"a\":23}", "", "{\"b\": free"] {
                let tokens = if text.is_empty() { vec![close] } else { of(text) };
                assert_eq!(allowed(&mut guide, &tokens), Ok(()), "{text:?}");
            }
            assert_eq!(allowed(&mut guide, &of("<{\"b\"")), Err(b'b'.into()));
        }
    }
}
