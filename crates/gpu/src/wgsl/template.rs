//! The specialiser: conditions, loops, includes and integer expressions over WGSL text.

use std::collections::HashMap;

/// What has been written so far.
pub struct Output<'a> {
    pub text: String,
    pub writes: Vec<bool>,
    pub also_written: &'a [bool],
}

type Values = HashMap<String, i64>;
type Sources<'a> = &'a dyn Fn(&str) -> Option<&'static str>;

/// Expand `source` with `values` at the end of `output`.
pub fn expand(source: &str, values: &mut Values, sources: Sources, output: &mut Output) -> Result<(), String> {
    let lines: Vec<&str> = source.lines().collect();
    expand_lines(&lines, values, sources, output)
}

fn expand_lines(lines: &[&str], values: &mut Values, sources: Sources, output: &mut Output) -> Result<(), String> {
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at].trim_start();
        let Some(directive) = line.strip_prefix('#') else {
            substitute(lines[at], values, &mut output.text)?;
            output.text.push('\n');
            at += 1;
            continue;
        };
        let (word, rest) = directive.split_once(' ').unwrap_or((directive, ""));
        match word {
            "if" => {
                let branches = branches(lines, at)?;
                for pair in branches.windows(2) {
                    let (word, condition) = split(lines[pair[0]]);
                    if word == "else" || evaluate(condition, values)? != 0 {
                        expand_lines(&lines[pair[0] + 1..pair[1]], values, sources, output)?;
                        break;
                    }
                }
                at = branches[branches.len() - 1] + 1;
            }
            "for" => {
                let end = branches(lines, at)?;
                let end = end[end.len() - 1];
                let (name, range) = rest.split_once(" in ").ok_or_else(|| format!("`{line}`"))?;
                let (from, to) = range.split_once("..").ok_or_else(|| format!("`{line}`"))?;
                let shadowed = values.get(name).copied();
                for value in evaluate(from, values)?..evaluate(to, values)? {
                    values.insert(name.to_string(), value);
                    expand_lines(&lines[at + 1..end], values, sources, output)?;
                }
                match shadowed {
                    Some(value) => values.insert(name.to_string(), value),
                    None => values.remove(name),
                };
                at = end + 1;
            }
            "include" => {
                let source = sources(rest.trim()).ok_or_else(|| format!("no source `{rest}` to include"))?;
                expand(source, values, sources, output)?;
                at += 1;
            }
            "set" => {
                let (name, value) = rest.split_once('=').ok_or_else(|| format!("`{line}`"))?;
                let value = evaluate(value, values)?;
                values.insert(name.trim().to_string(), value);
                at += 1;
            }
            "buffer" => {
                let mut declared = String::new();
                substitute(rest, values, &mut declared)?;
                buffer(&declared, output)?;
                at += 1;
            }
            _ => return Err(format!("unknown directive `{line}`")),
        }
    }
    Ok(())
}

/// Declare the next binding.
fn buffer(rest: &str, output: &mut Output) -> Result<(), String> {
    let mut parts = rest.splitn(3, ' ');
    let (Some(name), Some(access), Some(kind)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(format!("`#buffer {rest}`"));
    };
    let index = output.writes.len();
    let writes = match access {
        "read" => false,
        "write" | "update" => true,
        _ => return Err(format!("`#buffer {rest}`: access `{access}`")),
    };
    let declared = writes || output.also_written.get(index).copied().unwrap_or(false);
    let access = if declared { "read_write" } else { "read" };
    output.text.push_str(&format!("@group(0) @binding({index}) var<storage, {access}> {name}: {kind};\n"));
    output.writes.push(writes);
    Ok(())
}

/// The lines of an `#if`'s or `#for`'s own `#elif`, `#else` and `#end`, its own first.
fn branches(lines: &[&str], start: usize) -> Result<Vec<usize>, String> {
    let mut found = vec![start];
    let mut depth = 0;
    for (at, line) in lines.iter().enumerate().skip(start + 1) {
        match split(line).0 {
            "if" | "for" => depth += 1,
            "elif" | "else" if depth == 0 => found.push(at),
            "end" if depth == 0 => {
                found.push(at);
                return Ok(found);
            }
            "end" => depth -= 1,
            _ => {}
        }
    }
    Err(format!("`{}` has no #end", lines[start].trim()))
}

/// A directive and its argument; two empty strings for a line of WGSL.
fn split(line: &str) -> (&str, &str) {
    let Some(directive) = line.trim_start().strip_prefix('#') else { return ("", "") };
    directive.split_once(' ').unwrap_or((directive, ""))
}

/// Copy a line with its `${…}` replaced.
fn substitute(line: &str, values: &Values, text: &mut String) -> Result<(), String> {
    let mut rest = line;
    while let Some(start) = rest.find("${") {
        let end = rest[start..].find('}').ok_or_else(|| format!("`{line}`"))? + start;
        text.push_str(&rest[..start]);
        text.push_str(&evaluate(&rest[start + 2..end], values)?.to_string());
        rest = &rest[end + 1..];
    }
    text.push_str(rest);
    Ok(())
}

/// The value of an integer expression; comparisons give 0 or 1.
pub fn evaluate(text: &str, values: &Values) -> Result<i64, String> {
    let mut parser = Parser { rest: text.trim(), values };
    let value = parser.binary(0)?;
    if parser.rest.is_empty() { Ok(value) } else { Err(format!("`{text}`: `{}` is left over", parser.rest)) }
}

/// Operators, those that bind loosest first.
const LEVELS: [&[&str]; 6] = [&["||"], &["&&"], &["==", "!="], &["<=", ">=", "<", ">"], &["+", "-"], &["*", "/", "%"]];

struct Parser<'a> {
    rest: &'a str,
    values: &'a Values,
}

impl Parser<'_> {
    fn binary(&mut self, level: usize) -> Result<i64, String> {
        let Some(operators) = LEVELS.get(level) else { return self.atom() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = operators.iter().find(|operator| self.rest.starts_with(**operator)) {
            self.rest = self.rest[operator.len()..].trim_start();
            let right = self.binary(level + 1)?;
            left = match *operator {
                "||" => i64::from(left != 0 || right != 0),
                "&&" => i64::from(left != 0 && right != 0),
                "==" => i64::from(left == right),
                "!=" => i64::from(left != right),
                "<=" => i64::from(left <= right),
                ">=" => i64::from(left >= right),
                "<" => i64::from(left < right),
                ">" => i64::from(left > right),
                "+" => left + right,
                "-" => left - right,
                "*" => left * right,
                _ if right == 0 => return Err("division by zero".to_string()),
                "/" => left / right,
                _ => left % right,
            };
        }
        Ok(left)
    }

    fn atom(&mut self) -> Result<i64, String> {
        if let Some(rest) = self.rest.strip_prefix('(') {
            self.rest = rest.trim_start();
            let value = self.binary(0)?;
            self.rest = self.rest.strip_prefix(')').ok_or("missing `)`")?.trim_start();
            return Ok(value);
        }
        if let Some(rest) = self.rest.strip_prefix('!') {
            self.rest = rest.trim_start();
            return Ok(i64::from(self.atom()? == 0));
        }
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return word.parse().map_err(|_| format!("`{word}` is no number"));
        }
        self.values.get(word).copied().ok_or_else(|| format!("`{word}` is no constant"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(source: &str, values: &[(&str, i64)]) -> Result<String, String> {
        let mut values = values.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        let mut output = Output { text: String::new(), writes: vec![], also_written: &[false, true] };
        expand(source, &mut values, &|name| (name == "other").then_some("o${N}"), &mut output)?;
        Ok(output.text)
    }

    #[test]
    fn directives_choose_repeat_include_and_declare() {
        let source = "#if N == 2 && !(M > 1)\na\n#elif N == 3\n#for i in 0..M + 1\nb${i * N}\n#end\n#else\nc\n#end\n#include other";
        assert_eq!(expanded(source, &[("N", 2), ("M", 1)]).unwrap(), "a\no2\n");
        assert_eq!(expanded(source, &[("N", 3), ("M", 1)]).unwrap(), "b0\nb3\no3\n");
        assert_eq!(expanded(source, &[("N", 4), ("M", 1)]).unwrap(), "c\no4\n");
        let buffers = expanded("#buffer x read array<f32>\n#buffer y read array<u32>\n#buffer z write array<f32>", &[]);
        let lines: Vec<String> = buffers.unwrap().lines().map(str::to_string).collect();
        assert_eq!(lines[0], "@group(0) @binding(0) var<storage, read> x: array<f32>;");
        assert_eq!(lines[1], "@group(0) @binding(1) var<storage, read_write> y: array<u32>;");
        assert_eq!(lines[2], "@group(0) @binding(2) var<storage, read_write> z: array<f32>;");
    }

    #[test]
    fn mistakes_are_named() {
        assert!(expanded("#if N", &[("N", 1)]).unwrap_err().contains("#end"));
        assert!(expanded("${Q}", &[]).unwrap_err().contains('Q'));
        assert!(expanded("#fro", &[]).unwrap_err().contains("#fro"));
    }
}
