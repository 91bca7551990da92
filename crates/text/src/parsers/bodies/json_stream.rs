//! One JSON value, character by character: how far it is valid, and when it is whole.
//!
//! Invariant: what `feed` appends is a prefix of a valid JSON text. A raw line break or tab inside a string, which
//! models write, is handed on as its escape.

/// What a character did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fed {
    /// It belongs to the value.
    Taken,
    /// It belongs to the value, which is whole now.
    Last,
    /// The value (a number) was whole before it.
    Before,
    /// No JSON.
    Wrong,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Value,
    /// Behind `[`: a value or `]`.
    ValueOrEnd,
    /// Behind `{`: a key or `}`.
    KeyOrEnd,
    Key,
    Colon,
    CommaOrEnd,
    Text,
    Escape,
    Unicode(u8),
    Literal(&'static str),
    Number(String),
}

/// The state of one value.
#[derive(Clone, Debug)]
pub(crate) struct JsonStream {
    /// Open brackets; true: an object.
    stack: Vec<bool>,
    state: State,
    key: bool,
}

impl JsonStream {
    pub(crate) fn new() -> JsonStream {
        JsonStream { stack: Vec::new(), state: State::Value, key: false }
    }

    /// Takes the next character; what the value's text goes on with is appended to `out`.
    pub(crate) fn feed(&mut self, c: char, out: &mut String) -> Fed {
        if let State::Number(digits) = &mut self.state {
            if c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E') {
                digits.push(c);
                out.push(c);
                return Fed::Taken;
            }
            if serde_json::from_str::<f64>(digits).is_err() {
                return Fed::Wrong;
            }
            if self.stack.is_empty() {
                return Fed::Before;
            }
            self.state = State::CommaOrEnd;
        }
        let fed = self.advance(c, out);
        if fed != Fed::Wrong && !matches!(self.state, State::Text) {
            out.push(c);
        }
        fed
    }

    fn advance(&mut self, c: char, out: &mut String) -> Fed {
        match std::mem::replace(&mut self.state, State::Value) {
            State::Text => return self.text(c, out),
            State::Escape => {
                self.state = State::Text;
                match c {
                    'u' => self.state = State::Unicode(4),
                    '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' => out.push(c),
                    _ => return Fed::Wrong,
                }
                return Fed::Taken;
            }
            State::Unicode(left) => {
                if !c.is_ascii_hexdigit() {
                    return Fed::Wrong;
                }
                self.state = if left == 1 { State::Text } else { State::Unicode(left - 1) };
                if left == 1 {
                    out.push(c);
                }
                return Fed::Taken;
            }
            State::Literal(rest) => {
                if !rest.starts_with(c) {
                    return Fed::Wrong;
                }
                return match &rest[1..] {
                    "" => self.close_value(),
                    rest => {
                        self.state = State::Literal(rest);
                        Fed::Taken
                    }
                };
            }
            state if c.is_ascii_whitespace() => {
                self.state = state;
                return Fed::Taken;
            }
            State::Value => return self.value(c, out),
            State::ValueOrEnd if c != ']' => return self.value(c, out),
            State::KeyOrEnd | State::Key if c == '"' => return self.open_text(true, out),
            State::Colon if c == ':' => self.state = State::Value,
            State::CommaOrEnd if c == ',' => {
                self.state = if self.stack.last() == Some(&true) { State::Key } else { State::Value };
            }
            State::ValueOrEnd if c == ']' => return self.close(),
            State::KeyOrEnd if c == '}' => return self.close(),
            State::CommaOrEnd if c == if self.stack.last() == Some(&true) { '}' } else { ']' } => return self.close(),
            _ => return Fed::Wrong,
        }
        Fed::Taken
    }

    fn value(&mut self, c: char, out: &mut String) -> Fed {
        match c {
            '{' => {
                self.stack.push(true);
                self.state = State::KeyOrEnd;
            }
            '[' => {
                self.stack.push(false);
                self.state = State::ValueOrEnd;
            }
            '"' => return self.open_text(false, out),
            't' => self.state = State::Literal("rue"),
            'f' => self.state = State::Literal("alse"),
            'n' => self.state = State::Literal("ull"),
            '-' | '0'..='9' => self.state = State::Number(c.to_string()),
            _ => return Fed::Wrong,
        }
        Fed::Taken
    }

    fn open_text(&mut self, key: bool, out: &mut String) -> Fed {
        self.key = key;
        self.state = State::Text;
        out.push('"');
        Fed::Taken
    }

    fn text(&mut self, c: char, out: &mut String) -> Fed {
        self.state = State::Text;
        match c {
            '"' if self.key => self.state = State::Colon,
            '"' => return self.close_value(),
            '\\' => self.state = State::Escape,
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
        Fed::Taken
    }

    fn close(&mut self) -> Fed {
        self.stack.pop();
        self.close_value()
    }

    fn close_value(&mut self) -> Fed {
        self.state = State::CommaOrEnd;
        if self.stack.is_empty() { Fed::Last } else { Fed::Taken }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<usize>, String) {
        let (mut stream, mut out) = (JsonStream::new(), String::new());
        for (at, c) in text.char_indices() {
            match stream.feed(c, &mut out) {
                Fed::Taken => {}
                Fed::Last => return (Some(at + c.len_utf8()), out),
                Fed::Before => return (Some(at), out),
                Fed::Wrong => return (None, out),
            }
        }
        (None, out)
    }

    #[test]
    fn values_end_where_they_are_whole() {
        for text in [r#"{"a": [1, -2.5e3, {"b": null}], "c\"\u00e9": "x\\"}"#, "[]", "{}", r#""x""#, "true", "[ ]"] {
            assert_eq!(read(text), (Some(text.len()), text.to_string()), "{text}");
            let longer = format!("{text} x");
            assert_eq!(read(&longer).0, Some(text.len()), "{longer}");
        }
    }

    #[test]
    fn line_breaks_in_strings_become_escapes() {
        let (end, out) = read("{\"a\": \"x\n\ty\"}");
        assert_eq!((end, out.as_str()), (Some(13), r#"{"a": "x\n\ty"}"#));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap()["a"], "x\n\ty");
    }

    #[test]
    fn what_is_no_json_is_noticed_at_once() {
        for text in ["{invalid", "{\"a\" 1}", "[1,]", "{\"a\":1,}", "tru ", "{\"a\": 15:30}", "\"\\x\"", "[1}", "1-2 "]
        {
            assert_eq!(read(text).0, None, "{text}");
        }
    }
}
