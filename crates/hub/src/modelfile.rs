//! Modelfiles: what a model is made from, its template, its system message, its parameters.
//!
//! A line is an instruction and its value; a value that begins with `"""` or `"` goes on to the line that ends with
//! the same. Nothing inside is escaped. Invariant: what is printed reads back as the same Modelfile. Read `create` for
//! what is done with it.

use std::fmt;
use std::path::Path;

use crate::HubError;

/// A Modelfile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modelfile {
    /// `FROM`: names, files, folders. The first is the model; there may be several files of one model.
    pub from: Vec<String>,
    /// `ADAPTER`.
    pub adapters: Vec<String>,
    /// `TEMPLATE`.
    pub template: Option<String>,
    /// `SYSTEM`.
    pub system: Option<String>,
    /// `PARAMETER`.
    pub parameters: Vec<(String, String)>,
    /// `MESSAGE`: role and content.
    pub messages: Vec<(String, String)>,
    /// `LICENSE`.
    pub licenses: Vec<String>,
    /// `RENDERER`: a name of Ollama's own code for prompts.
    pub renderer: Option<String>,
    /// `PARSER`: a name of Ollama's own code for answers.
    pub parser: Option<String>,
    /// `REQUIRES`: the oldest version of Ollama that knows the model.
    pub requires: Option<String>,
}

impl Modelfile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Modelfile, HubError> {
        let bytes = std::fs::read(path).map_err(HubError::io(path))?;
        let file = path.display().to_string();
        Modelfile::parse(&file, &decode(&file, &bytes)?)
    }

    /// Reads a text; `file` is for messages.
    pub fn parse(file: &str, text: &str) -> Result<Modelfile, HubError> {
        let mut modelfile = Modelfile::default();
        let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).enumerate();
        while let Some((index, line)) = lines.next() {
            let wrong = |reason: String| HubError::Modelfile { file: file.into(), line: index + 1, reason };
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let (word, rest) = split(trimmed);
            let instruction = word.to_ascii_uppercase();
            let (head, rest) = match instruction.as_str() {
                "PARAMETER" | "MESSAGE" => split(rest),
                _ => ("", rest),
            };
            if rest.is_empty() {
                return Err(wrong(format!("{instruction} wants a value")));
            }
            let value = value(rest, &mut lines).ok_or_else(|| wrong("the closing quotes are missing".into()))?;
            modelfile.take(&instruction, head, value).map_err(wrong)?;
        }
        if modelfile.from.is_empty() {
            let line = text.lines().count().max(1);
            return Err(HubError::Modelfile { file: file.into(), line, reason: "no FROM line".into() });
        }
        Ok(modelfile)
    }

    fn take(&mut self, instruction: &str, head: &str, value: String) -> Result<(), String> {
        match instruction {
            "FROM" => self.from.push(value),
            "ADAPTER" => self.adapters.push(value),
            "TEMPLATE" => self.template = Some(value),
            "SYSTEM" => self.system = Some(value),
            "LICENSE" => self.licenses.push(value),
            "RENDERER" => self.renderer = Some(value),
            "PARSER" => self.parser = Some(value),
            "REQUIRES" => self.requires = Some(value),
            "PARAMETER" => self.parameters.push((head.to_lowercase(), value)),
            "MESSAGE" => {
                let role = head.to_lowercase();
                if !["system", "user", "assistant"].contains(&role.as_str()) {
                    return Err(format!(
                        "message role must be one of \"system\", \"user\", or \"assistant\", not `{head}`"
                    ));
                }
                self.messages.push((role, value));
            }
            other => {
                return Err(format!(
                    "`{other}` is not known; FROM, PARAMETER, TEMPLATE, SYSTEM, ADAPTER, LICENSE and MESSAGE are"
                ));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Modelfile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.from.iter().try_for_each(|from| writeln!(out, "FROM {}", quoted(from)))?;
        self.adapters.iter().try_for_each(|adapter| writeln!(out, "ADAPTER {}", quoted(adapter)))?;
        let single = [
            ("TEMPLATE", &self.template),
            ("SYSTEM", &self.system),
            ("RENDERER", &self.renderer),
            ("PARSER", &self.parser),
            ("REQUIRES", &self.requires),
        ];
        for (name, value) in single {
            value.iter().try_for_each(|value| writeln!(out, "{name} {}", quoted(value)))?;
        }
        self.parameters.iter().try_for_each(|(name, value)| writeln!(out, "PARAMETER {name} {}", quoted(value)))?;
        self.messages.iter().try_for_each(|(role, content)| writeln!(out, "MESSAGE {role} {}", quoted(content)))?;
        self.licenses.iter().try_for_each(|license| writeln!(out, "LICENSE {}", quoted(license)))
    }
}

/// UTF-8, or UTF-16 with its mark, as some editors write.
fn decode(file: &str, bytes: &[u8]) -> Result<String, HubError> {
    let wide = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
        String::from_utf16(&units).ok()
    };
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        bytes => String::from_utf8(bytes.to_vec()).ok(),
    };
    text.ok_or_else(|| HubError::Modelfile { file: file.into(), line: 1, reason: "this is no text".into() })
}

fn split(text: &str) -> (&str, &str) {
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

/// A value that begins with `rest` and may go on in further lines. None: its quotes are not closed.
fn value<'a>(rest: &str, lines: &mut impl Iterator<Item = (usize, &'a str)>) -> Option<String> {
    let quotes = ["\"\"\"", "\""].into_iter().find(|quotes| rest.starts_with(quotes));
    let Some(quotes) = quotes else { return Some(rest.to_string()) };
    let mut text = rest.to_string();
    loop {
        let trimmed = text.trim_end();
        if trimmed.len() >= 2 * quotes.len() && trimmed.ends_with(quotes) {
            return Some(trimmed[quotes.len()..trimmed.len() - quotes.len()].to_string());
        }
        let (_, line) = lines.next()?;
        text.push('\n');
        text.push_str(line);
    }
}

/// A value as it must stand so that it is read back.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && !text.contains('\n') && text.trim() == text && !text.starts_with('"');
    if plain { text.to_string() } else { format!("\"\"\"{text}\"\"\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"
# a comment
FROM ./model.gguf
from qwen3:0.6b
PARAMETER temperature 0.7
PARAMETER stop "<|im_end|>"
parameter stop two words

TEMPLATE """{{ if .System }}{{ .System }}
# no comment
{{ end }}{{ .Prompt }}"""
SYSTEM "You are "kind"."
ADAPTER ./lora
MESSAGE user Hello there
MESSAGE assistant """Hi
you"""
LICENSE """
MIT
"""
"#;

    #[test]
    fn a_modelfile_is_read_and_printed() {
        let modelfile = Modelfile::parse("Modelfile", EXAMPLE).unwrap();
        let text = |text: &str| text.to_string();
        let pair = |a: &str, b: &str| (a.to_string(), b.to_string());
        let expected = Modelfile {
            from: vec![text("./model.gguf"), text("qwen3:0.6b")],
            adapters: vec![text("./lora")],
            template: Some(text("{{ if .System }}{{ .System }}\n# no comment\n{{ end }}{{ .Prompt }}")),
            system: Some(text("You are \"kind\".")),
            parameters: vec![pair("temperature", "0.7"), pair("stop", "<|im_end|>"), pair("stop", "two words")],
            messages: vec![pair("user", "Hello there"), pair("assistant", "Hi\nyou")],
            licenses: vec![text("\nMIT\n")],
            ..Modelfile::default()
        };
        assert_eq!(modelfile, expected);
        assert_eq!(Modelfile::parse("again", &modelfile.to_string()).unwrap(), modelfile);
        let windows = EXAMPLE.replace('\n', "\r\n");
        assert_eq!(Modelfile::parse("Modelfile", &windows).unwrap(), expected);
    }

    #[test]
    fn every_text_reads_back() {
        for text in ["", " x", "x ", "\"", "\"x\"", "a\n", "\n", "x\"", "\"\"", "plain", "a \"\"\" b", "# x"] {
            let modelfile = Modelfile { from: vec!["m".into()], system: Some(text.into()), ..Modelfile::default() };
            let printed = modelfile.to_string();
            assert_eq!(Modelfile::parse("m", &printed).unwrap(), modelfile, "{printed}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        for (text, line, part) in [
            ("", 1, "no FROM"),
            ("FROM a\n\nFORM b", 3, "`FORM` is not known"),
            ("FROM a\nSYSTEM \"\"\"x\ny", 2, "closing quotes"),
            ("FROM", 1, "FROM wants a value"),
            ("FROM a\nPARAMETER stop", 2, "PARAMETER wants a value"),
            ("FROM a\nMESSAGE robot hi", 2, "message role must be one of"),
        ] {
            match Modelfile::parse("M", text).unwrap_err() {
                HubError::Modelfile { line: at, reason, .. } => {
                    assert_eq!(at, line, "{text}");
                    assert!(reason.contains(part), "{text}: {reason}");
                }
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn wide_text_is_read() {
        let wide: Vec<u8> =
            [0xfffe_u16.swap_bytes()].into_iter().chain("FROM a".encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode("m", &wide).unwrap(), "FROM a");
        assert_eq!(decode("m", b"\xef\xbb\xbfFROM a").unwrap(), "FROM a");
        assert!(decode("m", b"\xffnonsense").is_err());
    }
}
