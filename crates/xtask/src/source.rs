//! Just enough of Rust's lexical structure: what is code, what is a comment, what is a literal; and where functions end.
//!
//! Invariant: every view has the same lines as the source, so that a place in one is a place in the other.

/// A source file in views of equal length; what does not belong to a view is blank there.
#[derive(Debug)]
pub struct Source {
    /// Code without comments and without the content of string and character literals.
    pub code: String,
    /// Code with literals, without comments.
    pub code_and_literals: String,
    /// Comments only.
    pub comments: String,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// 1-based line of `fn`.
    pub line: usize,
    /// Lines from `fn` to the closing brace, both included.
    pub lines: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Source {
    /// Splits a source text.
    pub fn new(text: &str) -> Source {
        let kinds = kinds(text.as_bytes());
        let view = |wanted: &[Kind]| {
            let shown = text.bytes().zip(&kinds);
            let bytes = shown.map(|(byte, kind)| if byte == b'\n' || wanted.contains(kind) { byte } else { b' ' });
            // Parts of a character share a kind; replacing a whole character by blanks keeps UTF-8.
            String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
        };
        Source {
            code: view(&[Kind::Code]),
            code_and_literals: view(&[Kind::Code, Kind::Literal]),
            comments: view(&[Kind::Comment]),
        }
    }

    /// All functions with a body, in order.
    pub fn functions(&self) -> Vec<Function> {
        words(&self.code).filter(|&(_, word)| word == "fn").filter_map(|(at, _)| function(&self.code, at)).collect()
    }
}

/// Every identifier or keyword with its byte position.
pub fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + code[rest..].find(is_word)?;
        let end = code[start..].find(|c| !is_word(c)).map_or(code.len(), |length| start + length);
        rest = end;
        Some((start, &code[start..end]))
    })
}

/// 1-based line of a byte position.
pub fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count()
}

fn function(code: &str, at: usize) -> Option<Function> {
    let after = code[at + 2..].trim_start();
    let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        return None; // a function pointer's type
    }
    let (mut parentheses, mut braces) = (0i32, 0i32);
    for (i, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => parentheses += 1,
            b')' | b']' => parentheses -= 1,
            b';' if parentheses == 0 && braces == 0 => return None,
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces == 0 && parentheses == 0 {
                    let line = line_of(code, at);
                    return Some(Function { name, line, lines: line_of(code, i) - line + 1 });
                }
            }
            _ => {}
        }
    }
    None
}

fn kinds(bytes: &[u8]) -> Vec<Kind> {
    let mut kinds = vec![Kind::Code; bytes.len()];
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let word_before = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let (length, kind) = if rest.starts_with(b"//") {
            (rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len()), Kind::Comment)
        } else if rest.starts_with(b"/*") {
            (block_comment(rest), Kind::Comment)
        } else if let Some(length) = raw_string(rest).filter(|_| !word_before) {
            (length, Kind::Literal)
        } else if rest[0] == b'"' {
            (quoted(rest, b'"'), Kind::Literal)
        } else if rest[0] == b'\'' && is_character(rest) {
            (quoted(rest, b'\''), Kind::Literal)
        } else {
            (1, Kind::Code)
        };
        kinds[at..at + length].fill(kind);
        at += length;
    }
    kinds
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Length of `r"…"`, `r#"…"#`, `br"…"` or `cr"…"` at the start.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let prefix = if rest.starts_with(b"r") {
        1
    } else if rest.starts_with(b"br") || rest.starts_with(b"cr") {
        2
    } else {
        return None;
    };
    let hashes = rest[prefix..].iter().take_while(|&&b| b == b'#').count();
    let start = prefix + hashes;
    if rest.get(start) != Some(&b'"') {
        return None; // an identifier such as r#type
    }
    let end: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let content = &rest[start + 1..];
    let found = content.windows(end.len()).position(|window| window == end);
    Some(found.map_or(rest.len(), |at| start + 1 + at + end.len()))
}

/// A quote that begins a character and not a lifetime.
fn is_character(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        Some(byte) if byte.is_ascii() => rest.get(2) == Some(&b'\''),
        Some(_) => rest[1..].iter().take(5).any(|&b| b == b'\''),
        None => false,
    }
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}
