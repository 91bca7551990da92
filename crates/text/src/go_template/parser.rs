//! Parts → a tree.
//!
//! Invariant: every function that the tree names is known, so that a template that was accepted fails only on its
//! data. Read `eval` for what a tree does.

use std::collections::HashMap;

use super::functions;
use super::lexer::{Kind, Part, Token, parts};
use super::{MOST_NESTED, Problem};

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    Print(Pipe),
    If(Pipe, Vec<Node>, Vec<Node>),
    With(Pipe, Vec<Node>, Vec<Node>),
    Range(Pipe, Vec<Node>, Vec<Node>),
    Call(String, Option<Pipe>, usize),
    Break,
    Continue,
}

/// Commands, each given the result of the one before it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pipe {
    /// Variables that take the result.
    pub variables: Vec<String>,
    /// They are new.
    pub declares: bool,
    pub commands: Vec<Vec<Operand>>,
    pub line: usize,
}

/// A word of a command.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Dot,
    Nil,
    Bool(bool),
    Text(String),
    Whole(i64),
    Decimal(f64),
    Function(String),
    Variable(String),
    Group(Box<Pipe>),
    /// Fields of another operand.
    Fields(Box<Operand>, Vec<String>),
}

/// A parsed template with those that it defines.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub nodes: Vec<Node>,
    pub defined: HashMap<String, Vec<Node>>,
}

/// Parses a template.
pub(super) fn parse(source: &str) -> Result<Tree, Problem> {
    let mut parser = Parser { parts: parts(source)?.into_iter(), defined: HashMap::new(), depth: 0, chain: 0 };
    let (nodes, end) = parser.list()?;
    match end {
        End::Nothing => Ok(Tree { nodes, defined: parser.defined }),
        End::Closed(line) => Err(problem(line, "`end` without a beginning")),
        End::Else(_, line) => Err(problem(line, "`else` without a beginning")),
    }
}

struct Parser {
    parts: std::vec::IntoIter<Part>,
    defined: HashMap<String, Vec<Node>>,
    depth: usize,
    /// Length of the chain of `else if` that is being read.
    chain: usize,
}

/// What ended a list of nodes.
enum End {
    Nothing,
    Closed(usize),
    /// With the tokens behind `else`.
    Else(Vec<Token>, usize),
}

fn problem(line: usize, reason: impl Into<String>) -> Problem {
    Problem { line, reason: reason.into() }
}

impl Parser {
    /// Nodes up to `end`, `else` or the end of the text.
    fn list(&mut self) -> Result<(Vec<Node>, End), Problem> {
        self.depth += 1;
        if self.depth > MOST_NESTED {
            return Err(problem(0, "it is nested too deeply"));
        }
        let mut nodes = Vec::new();
        while let Some(part) = self.parts.next() {
            let (tokens, line) = match part {
                Part::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Part::Action(tokens, line) => (tokens, line),
            };
            let word = match tokens.first().map(|token| &token.kind) {
                Some(Kind::Word(word)) => word.clone(),
                Some(_) => String::new(),
                None => return Err(problem(line, "an action is empty")),
            };
            let rest = tokens[1..].to_vec();
            match word.as_str() {
                "end" | "else" => {
                    self.depth -= 1;
                    let end = if word == "end" { End::Closed(line) } else { End::Else(rest, line) };
                    return Ok((nodes, end));
                }
                "if" | "with" | "range" => nodes.push(self.branch(&word, rest, line)?),
                "define" => {
                    let name = one_text(&rest, line)?;
                    let body = self.body(line)?;
                    self.defined.insert(name, body);
                }
                "block" => {
                    let name = one_text(&rest[..rest.len().min(1)], line)?;
                    let pipe = pipe(&rest[1..], line, false)?;
                    let body = self.body(line)?;
                    self.defined.entry(name.clone()).or_insert(body);
                    nodes.push(Node::Call(name, Some(pipe), line));
                }
                "template" => {
                    let name = one_text(&rest[..rest.len().min(1)], line)?;
                    let pipe = if rest.len() > 1 { Some(pipe(&rest[1..], line, false)?) } else { None };
                    nodes.push(Node::Call(name, pipe, line));
                }
                "break" if rest.is_empty() => nodes.push(Node::Break),
                "continue" if rest.is_empty() => nodes.push(Node::Continue),
                _ => nodes.push(Node::Print(pipe(&tokens, line, false)?)),
            }
        }
        self.depth -= 1;
        Ok((nodes, End::Nothing))
    }

    /// Nodes up to `end`.
    fn body(&mut self, line: usize) -> Result<Vec<Node>, Problem> {
        match self.list()? {
            (nodes, End::Closed(_)) => Ok(nodes),
            _ => Err(problem(line, "this has no `end`")),
        }
    }

    /// `if`, `with` or `range` with its `else`.
    fn branch(&mut self, word: &str, tokens: Vec<Token>, line: usize) -> Result<Node, Problem> {
        let pipe = pipe(&tokens, line, word == "range")?;
        let (body, end) = self.list()?;
        let otherwise = match end {
            End::Closed(_) => Vec::new(),
            End::Nothing => return Err(problem(line, format!("`{word}` has no `end`"))),
            End::Else(rest, _) if rest.is_empty() => self.body(line)?,
            End::Else(rest, line) => match rest.first().map(|token| &token.kind) {
                // One `end` closes all of the chain.
                Some(Kind::Word(next)) if next == "if" || next == "with" => {
                    let next = next.clone();
                    self.chain += 1;
                    if self.chain > 2 * MOST_NESTED {
                        return Err(problem(line, "the chain of `else if` is too long"));
                    }
                    let node = self.branch(&next, rest[1..].to_vec(), line)?;
                    self.chain -= 1;
                    vec![node]
                }
                _ => return Err(problem(line, "behind `else` only `if` or `with` may stand")),
            },
        };
        Ok(match word {
            "if" => Node::If(pipe, body, otherwise),
            "with" => Node::With(pipe, body, otherwise),
            _ => Node::Range(pipe, body, otherwise),
        })
    }
}

fn one_text(tokens: &[Token], line: usize) -> Result<String, Problem> {
    match tokens {
        [Token { kind: Kind::Text(text), .. }] => Ok(text.clone()),
        _ => Err(problem(line, "a name in quotes is wanted")),
    }
}

/// A whole pipe; two variables are for `range` alone.
fn pipe(tokens: &[Token], line: usize, range: bool) -> Result<Pipe, Problem> {
    let sign = |at: usize| match tokens.get(at).map(|token| &token.kind) {
        Some(Kind::Sign(sign)) => *sign,
        _ => "",
    };
    let variable = |at: usize| match tokens.get(at).map(|token| &token.kind) {
        Some(Kind::Variable(name)) if !name.is_empty() => Some(name.clone()),
        _ => None,
    };
    let (mut variables, mut declares, mut from) = (Vec::new(), false, 0);
    if let Some(first) = variable(0) {
        if [":=", "="].contains(&sign(1)) {
            (variables, declares, from) = (vec![first], sign(1) == ":=", 2);
        } else if let (",", Some(second), true) = (sign(1), variable(2), range)
            && [":=", "="].contains(&sign(3))
        {
            (variables, declares, from) = (vec![first, second], sign(3) == ":=", 4);
        }
    }
    let mut reader = Reader { tokens, at: from, line, depth: 0 };
    let commands = reader.commands(false)?;
    Ok(Pipe { variables, declares, commands, line })
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    line: usize,
    depth: usize,
}

impl Reader<'_> {
    /// Commands with `|` between them, up to the end or to `)`.
    fn commands(&mut self, in_group: bool) -> Result<Vec<Vec<Operand>>, Problem> {
        let mut commands = vec![Vec::new()];
        loop {
            match self.tokens.get(self.at).map(|token| &token.kind) {
                None if in_group => return Err(problem(self.line, "`(` is not closed")),
                None => break,
                Some(Kind::Sign(")")) if in_group => {
                    self.at += 1;
                    break;
                }
                Some(Kind::Sign("|")) => {
                    self.at += 1;
                    commands.push(Vec::new());
                }
                Some(_) => {
                    let operand = self.operand()?;
                    if let Some(last) = commands.last_mut() {
                        last.push(operand);
                    }
                }
            }
        }
        for (index, command) in commands.iter().enumerate() {
            match command.first() {
                None => return Err(problem(self.line, "a value is missing")),
                Some(Operand::Function(_)) => {}
                Some(_) if index > 0 => return Err(problem(self.line, "behind `|` a function is wanted")),
                Some(_) if command.len() > 1 => {
                    return Err(problem(self.line, "only a function takes arguments"));
                }
                Some(_) => {}
            }
        }
        Ok(commands)
    }

    fn operand(&mut self) -> Result<Operand, Problem> {
        let token = &self.tokens[self.at];
        self.at += 1;
        let operand = match &token.kind {
            Kind::Dot => Operand::Dot,
            Kind::Text(text) => Operand::Text(text.clone()),
            Kind::Whole(number) => Operand::Whole(*number),
            Kind::Decimal(number) => Operand::Decimal(*number),
            Kind::Variable(name) => Operand::Variable(name.clone()),
            Kind::Field(name) => {
                let mut names = vec![name.clone()];
                names.extend(self.fields());
                return Ok(Operand::Fields(Box::new(Operand::Dot), names));
            }
            Kind::Word(word) => match word.as_str() {
                "true" => Operand::Bool(true),
                "false" => Operand::Bool(false),
                "nil" => Operand::Nil,
                name if functions::is_known(name) => Operand::Function(name.to_string()),
                name => return Err(problem(self.line, format!("function \"{name}\" not defined"))),
            },
            Kind::Sign("(") => {
                self.depth += 1;
                if self.depth > MOST_NESTED {
                    return Err(problem(self.line, "it is nested too deeply"));
                }
                let commands = self.commands(true)?;
                self.depth -= 1;
                Operand::Group(Box::new(Pipe { variables: Vec::new(), declares: false, commands, line: self.line }))
            }
            Kind::Sign(sign) => return Err(problem(self.line, format!("`{sign}` cannot stand here"))),
        };
        let names = self.fields();
        match (&operand, names.is_empty()) {
            (_, true) => Ok(operand),
            (Operand::Variable(_) | Operand::Group(_), false) => Ok(Operand::Fields(Box::new(operand), names)),
            (_, false) => Err(problem(self.line, format!("this has no field `{}`", names[0]))),
        }
    }

    /// Fields that follow without white space.
    fn fields(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(Token { kind: Kind::Field(name), spaced: false }) = self.tokens.get(self.at) {
            names.push(name.clone());
            self.at += 1;
        }
        names
    }
}
