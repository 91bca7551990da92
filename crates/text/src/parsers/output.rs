//! A model's output on its way through the machine of its syntax.
//!
//! Read next: `core`, `detect`.

use super::core::{Input, Machine, Output, ParsedOutput, ParserEvent, ParserOptions};
use super::syntax::Syntax;

/// Turns the text of one answer into events.
pub struct OutputParser {
    input: Input,
    output: Output,
    machine: Box<dyn Machine>,
}

impl OutputParser {
    /// A parser for the answer to one prompt.
    pub fn new(syntax: &Syntax, options: ParserOptions) -> OutputParser {
        let output = Output::new(&options);
        OutputParser { input: Input::default(), output, machine: (syntax.machine)(&options) }
    }

    /// Takes more of the answer; returns what is certain now.
    pub fn push(&mut self, text: &str) -> Vec<ParserEvent> {
        self.input.push(text);
        self.run()
    }

    /// Ends the answer; returns what was held back.
    pub fn finish(&mut self) -> Vec<ParserEvent> {
        self.input.last = true;
        let mut events = self.run();
        self.machine.finish(&mut self.input, &mut self.output);
        events.append(&mut self.output.take_events());
        events
    }

    /// Reads a whole answer.
    pub fn parse(syntax: &Syntax, options: ParserOptions, text: &str) -> ParsedOutput {
        let mut parser = OutputParser::new(syntax, options);
        let mut parsed = ParsedOutput::default();
        for event in parser.push(text).into_iter().chain(parser.finish()) {
            parsed.add(event);
        }
        parsed
    }

    fn run(&mut self) -> Vec<ParserEvent> {
        while self.machine.step(&mut self.input, &mut self.output) {}
        self.output.take_events()
    }
}
