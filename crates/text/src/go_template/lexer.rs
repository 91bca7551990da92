//! Text of a template → texts and actions with their tokens.
//!
//! Invariant: every token knows whether white space came before it, for `.a.b` is a field of a field and `.a .b` are
//! two arguments. Read `parser` next.

use super::Problem;

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    /// Outside of actions, trimmed as the actions beside it ask.
    Text(String),
    /// Between `{{` and `}}`, with its line.
    Action(Vec<Token>, usize),
}

/// A token, and whether white space came before it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub kind: Kind,
    pub spaced: bool,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// `range`, `eq`, `true`.
    Word(String),
    /// `.Name`, without the dot.
    Field(String),
    /// `$x`; empty for `$` alone.
    Variable(String),
    /// `.`
    Dot,
    Text(String),
    Whole(i64),
    Decimal(f64),
    /// `|`, `(`, `)`, `,`, `:=`, `=`
    Sign(&'static str),
}

/// Cuts a template into parts.
pub(super) fn parts(source: &str) -> Result<Vec<Part>, Problem> {
    let (mut parts, mut rest, mut line) = (Vec::new(), source, 1);
    let mut trim_next = false;
    loop {
        let (text, after) = rest.split_once("{{").map_or((rest, None), |(text, after)| (text, Some(after)));
        line += text.matches('\n').count();
        let trim = after.is_some_and(|after| after.starts_with('-') && after[1..].starts_with(char::is_whitespace));
        let mut shown = if trim_next { text.trim_start() } else { text };
        if trim {
            shown = shown.trim_end();
        }
        if !shown.is_empty() {
            parts.push(Part::Text(shown.to_string()));
        }
        let Some(mut after) = after else { return Ok(parts) };
        if trim {
            after = &after[1..];
        }
        let (tokens, length) = action(after, line)?;
        let inside = &after[..length];
        trim_next = inside.ends_with('-') && inside[..inside.len() - 1].ends_with(char::is_whitespace);
        if let Some(tokens) = tokens {
            parts.push(Part::Action(tokens, line));
        }
        line += inside.matches('\n').count();
        rest = &after[length + 2..];
    }
}

/// The tokens up to `}}`, none for a comment, and the bytes before `}}`.
fn action(text: &str, line: usize) -> Result<(Option<Vec<Token>>, usize), Problem> {
    let wrong = |reason: &str| Problem { line, reason: reason.to_string() };
    let begin = text.len() - text.trim_start().len();
    if text[begin..].starts_with("/*") {
        let end = text[begin..].find("*/").ok_or_else(|| wrong("a comment is not closed"))? + begin + 2;
        let close = text[end..].find("}}").ok_or_else(|| wrong("`{{` is not closed"))? + end;
        let between = text[end..close].trim();
        return match between.is_empty() || between == "-" {
            true => Ok((None, close)),
            false => Err(wrong("a comment must stand alone in its action")),
        };
    }
    let (mut tokens, mut at) = (Vec::new(), 0);
    loop {
        let spaces = text[at..].len() - text[at..].trim_start().len();
        let spaced = spaces > 0;
        at += spaces;
        let rest = &text[at..];
        if rest.starts_with("}}") {
            return Ok((Some(tokens), at));
        }
        if spaced && rest.starts_with("-}}") {
            return Ok((Some(tokens), at + 1));
        }
        let (kind, length) = token(rest).map_err(|reason| {
            let line = line + text[..at].matches('\n').count();
            Problem { line, reason }
        })?;
        tokens.push(Token { kind, spaced });
        at += length;
    }
}

fn token(rest: &str) -> Result<(Kind, usize), String> {
    let first = rest.chars().next().ok_or("`{{` is not closed")?;
    let word_length = |text: &str| text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    match first {
        '"' => quoted(rest),
        '`' => {
            let end = rest[1..].find('`').ok_or("a text in backquotes is not closed")?;
            Ok((Kind::Text(rest[1..=end].to_string()), end + 2))
        }
        '\'' => {
            let end = rest[1..].find('\'').ok_or("a character in quotes is not closed")? + 1;
            let (kind, _) = quoted(&format!("\"{}\"", &rest[1..end]))?;
            match kind {
                Kind::Text(text) if text.chars().count() == 1 => {
                    Ok((Kind::Whole(text.chars().next().map_or(0, |c| i64::from(u32::from(c)))), end + 1))
                }
                _ => Err("one character is wanted between single quotes".into()),
            }
        }
        '.' => match word_length(&rest[1..]) {
            0 => Ok((Kind::Dot, 1)),
            _ if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest),
            length => Ok((Kind::Field(rest[1..=length].to_string()), length + 1)),
        },
        '$' => {
            let length = word_length(&rest[1..]);
            Ok((Kind::Variable(rest[1..=length].to_string()), length + 1))
        }
        ':' if rest.starts_with(":=") => Ok((Kind::Sign(":="), 2)),
        '=' => Ok((Kind::Sign("="), 1)),
        '|' => Ok((Kind::Sign("|"), 1)),
        '(' => Ok((Kind::Sign("("), 1)),
        ')' => Ok((Kind::Sign(")"), 1)),
        ',' => Ok((Kind::Sign(","), 1)),
        c if c.is_ascii_digit() || "+-".contains(c) => number(rest),
        c if c.is_alphabetic() || c == '_' => {
            let length = word_length(rest);
            Ok((Kind::Word(rest[..length].to_string()), length))
        }
        other => Err(format!("{other:?} has no meaning in an action")),
    }
}

fn number(rest: &str) -> Result<(Kind, usize), String> {
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-._".contains(c))).unwrap_or(rest.len());
    let text = rest[..end].replace('_', "");
    if let Ok(number) = text.parse::<i64>() {
        return Ok((Kind::Whole(number), end));
    }
    if let Some(number) = text.strip_prefix("0x").and_then(|digits| i64::from_str_radix(digits, 16).ok()) {
        return Ok((Kind::Whole(number), end));
    }
    text.parse::<f64>().map(|number| (Kind::Decimal(number), end)).map_err(|_| format!("`{text}` is no number"))
}

/// A text in double quotes with Go's escapes.
fn quoted(rest: &str) -> Result<(Kind, usize), String> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Kind::Text(text), at + 1)),
            '\n' => break,
            '\\' => {
                let (_, escape) = chars.next().ok_or("a text in quotes is not closed")?;
                let mut code = |digits: usize| {
                    let hex: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                    u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32)
                };
                let wrong = || format!("\\{escape} is no escape");
                text.push(match escape {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'a' => '\u{7}',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'v' => '\u{b}',
                    '\\' | '"' | '\'' => escape,
                    'x' => code(2).filter(char::is_ascii).ok_or_else(wrong)?,
                    'u' => code(4).ok_or_else(wrong)?,
                    'U' => code(8).ok_or_else(wrong)?,
                    _ => return Err(wrong()),
                });
            }
            c => text.push(c),
        }
    }
    Err("a text in quotes is not closed".into())
}
