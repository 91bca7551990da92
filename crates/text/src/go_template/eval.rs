//! A tree with data → text.
//!
//! Invariant: the output and the depth of calls are bounded, so that no template of a stranger takes all memory. Read
//! `value` for the data.

use super::parser::{Node, Operand, Pipe, Tree};
use super::value::Value;
use super::{MOST_NESTED, Problem, functions};

/// Longest text that a template may make.
const MOST_BYTES: usize = 256 << 20;

/// Runs nodes of a tree.
pub(super) fn run(tree: &Tree, nodes: &[Node], data: &Value, now_seconds: u64) -> Result<String, Problem> {
    let variables = vec![(String::new(), data.clone())];
    let mut run = Run { tree, variables, out: String::new(), depth: 0, now_seconds };
    run.list(nodes, data)?;
    Ok(run.out)
}

struct Run<'a> {
    tree: &'a Tree,
    /// The innermost last; `$` is the one without a name.
    variables: Vec<(String, Value)>,
    out: String,
    depth: usize,
    now_seconds: u64,
}

/// Whether a loop goes on.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

impl Run<'_> {
    fn list(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Problem> {
        for node in nodes {
            if self.out.len() > MOST_BYTES {
                return Err(Problem { line: 0, reason: "the text becomes too long".into() });
            }
            let flow = self.node(node, dot)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, Problem> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Print(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    self.out.push_str(&value.print());
                }
            }
            Node::If(pipe, body, otherwise) | Node::With(pipe, body, otherwise) => {
                let before = self.variables.len();
                let value = self.pipe(pipe, dot)?;
                let is_with = matches!(node, Node::With(..));
                let flow = match value.is_true() {
                    true => self.list(body, if is_with { &value } else { dot }),
                    false => self.list(otherwise, dot),
                };
                self.variables.truncate(before);
                return flow;
            }
            Node::Range(pipe, body, otherwise) => return self.range(pipe, body, otherwise, dot),
            Node::Call(name, pipe, line) => self.call(name, pipe.as_ref(), *line, dot)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn range(&mut self, pipe: &Pipe, body: &[Node], otherwise: &[Node], dot: &Value) -> Result<Flow, Problem> {
        let value = self.commands(pipe, dot)?;
        let entries: Vec<(Value, Value)> = match &value {
            Value::List(list) => {
                list.iter().enumerate().map(|(at, value)| (Value::Whole(at as i64), value.clone())).collect()
            }
            Value::Map(map) => {
                let mut entries: Vec<(Value, Value)> =
                    map.iter().map(|(key, value)| (Value::text(key), value.clone())).collect();
                entries.sort_by_key(|(key, _)| key.print());
                entries
            }
            Value::Whole(count) => {
                (0..(*count).clamp(0, 1 << 20)).map(|at| (Value::Whole(at), Value::Whole(at))).collect()
            }
            Value::Nil => Vec::new(),
            other => {
                return Err(Problem { line: pipe.line, reason: format!("range can't iterate over {}", other.kind()) });
            }
        };
        let before = self.variables.len();
        if entries.is_empty() {
            let flow = self.list(otherwise, dot);
            self.variables.truncate(before);
            return flow;
        }
        for (key, value) in entries {
            match &pipe.variables[..] {
                [] => {}
                [name] => self.set(pipe, name, value.clone())?,
                [first, second, ..] => {
                    self.set(pipe, first, key)?;
                    self.set(pipe, second, value.clone())?;
                }
            }
            let flow = self.list(body, &value)?;
            self.variables.truncate(before);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn call(&mut self, name: &str, pipe: Option<&Pipe>, line: usize, dot: &Value) -> Result<(), Problem> {
        let tree = self.tree;
        let nodes = tree.defined.get(name);
        let nodes = nodes.ok_or_else(|| Problem { line, reason: format!("template {name:?} not defined") })?;
        let data = pipe.map_or(Ok(Value::Nil), |pipe| self.pipe(pipe, dot))?;
        self.depth += 1;
        if self.depth > MOST_NESTED {
            return Err(Problem { line, reason: "templates call each other without an end".into() });
        }
        // A template sees its own data as `$` and no variables of its caller.
        let outer = std::mem::replace(&mut self.variables, vec![(String::new(), data.clone())]);
        let done = self.list(nodes, &data);
        self.variables = outer;
        self.depth -= 1;
        done.map(|_| ())
    }

    /// A pipe's value, which its variables take.
    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, Problem> {
        let value = self.commands(pipe, dot)?;
        for name in &pipe.variables {
            self.set(pipe, name, value.clone())?;
        }
        Ok(value)
    }

    fn set(&mut self, pipe: &Pipe, name: &str, value: Value) -> Result<(), Problem> {
        if pipe.declares {
            self.variables.push((name.to_string(), value));
            return Ok(());
        }
        match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            Some((_, place)) => *place = value,
            None => return Err(undefined(name, pipe.line)),
        }
        Ok(())
    }

    fn commands(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, Problem> {
        let mut last: Option<Value> = None;
        for command in &pipe.commands {
            last = Some(match &command[0] {
                Operand::Function(name) => self.function(name, &command[1..], last, pipe.line, dot)?,
                operand => self.operand(operand, pipe.line, dot)?,
            });
        }
        Ok(last.unwrap_or(Value::Nil))
    }

    fn function(
        &mut self,
        name: &str,
        operands: &[Operand],
        last: Option<Value>,
        line: usize,
        dot: &Value,
    ) -> Result<Value, Problem> {
        let wrong = |reason: String| Problem { line, reason };
        if name == "and" || name == "or" {
            // What decides ends it: later arguments may make no sense then.
            let mut value = None;
            for operand in operands {
                let next = self.operand(operand, line, dot)?;
                if next.is_true() == (name == "or") {
                    return Ok(next);
                }
                value = Some(next);
            }
            return last.or(value).ok_or_else(|| wrong(format!("{name} wants arguments")));
        }
        let mut arguments = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            arguments.push(self.operand(operand, line, dot)?);
        }
        arguments.extend(last);
        functions::call(name, &arguments, self.now_seconds)
            .map_err(|reason| wrong(format!("error calling {name}: {reason}")))
    }

    fn operand(&mut self, operand: &Operand, line: usize, dot: &Value) -> Result<Value, Problem> {
        Ok(match operand {
            Operand::Dot => dot.clone(),
            Operand::Nil => Value::Nil,
            Operand::Bool(value) => Value::Bool(*value),
            Operand::Text(text) => Value::text(text),
            Operand::Whole(number) => Value::Whole(*number),
            Operand::Decimal(number) => Value::Decimal(*number),
            Operand::Function(name) => self.function(name, &[], None, line, dot)?,
            Operand::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                found.map(|(_, value)| value.clone()).ok_or_else(|| undefined(name, line))?
            }
            Operand::Group(pipe) => self.pipe(pipe, dot)?,
            Operand::Fields(of, names) => {
                let mut value = self.operand(of, line, dot)?;
                for name in names {
                    value = value.field(name).map_err(|reason| Problem { line, reason })?;
                }
                value
            }
        })
    }
}

fn undefined(name: &str, line: usize) -> Problem {
    Problem { line, reason: format!("undefined variable \"${name}\"") }
}
