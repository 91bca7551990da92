//! The shape most syntaxes share: reasoning between two markers, text, and calls behind opening markers.
//!
//! Invariant: a syntax is a table (`Outline`); what is special about the inside of its calls is a `Body`. Read `bodies`
//! for those and any syntax file for an example.

use crate::parsers::core::{Body, Find, Input, Machine, Match, Output, ParserOptions, Step};

/// A marker that begins a block of calls.
pub(crate) struct Opener {
    pub(crate) marker: &'static str,
    pub(crate) body: fn() -> Box<dyn Body>,
    /// The marker belongs to the inside of the call.
    pub(crate) keep: bool,
    /// Only at the very start of the answer; whitespace may precede.
    pub(crate) at_start: bool,
    /// Only where the request has tools: the marker alone proves nothing.
    pub(crate) needs_tools: bool,
}

impl Opener {
    /// A marker that nothing else begins with.
    pub(crate) const fn new(marker: &'static str, body: fn() -> Box<dyn Body>) -> Opener {
        Opener { marker, body, keep: false, at_start: false, needs_tools: false }
    }

    /// A marker that is part of the call itself.
    pub(crate) const fn inside(marker: &'static str, body: fn() -> Box<dyn Body>) -> Opener {
        Opener { keep: true, ..Opener::new(marker, body) }
    }

    /// A call without a marker of its own; it counts only with tools.
    pub(crate) const fn bare(marker: &'static str, body: fn() -> Box<dyn Body>) -> Opener {
        Opener { keep: true, needs_tools: true, ..Opener::new(marker, body) }
    }

    /// As `bare`, where the answer is nothing but calls.
    pub(crate) const fn bare_at_start(marker: &'static str, body: fn() -> Box<dyn Body>) -> Opener {
        Opener { at_start: true, ..Opener::bare(marker, body) }
    }
}

/// A syntax as a table.
pub(crate) struct Outline {
    /// Where reasoning begins and ends.
    pub(crate) thinking: &'static [(&'static str, &'static str)],
    /// Reasoning may begin anywhere, not at the start of the answer alone.
    pub(crate) thinking_anywhere: bool,
    pub(crate) calls: &'static [Opener],
    /// Markers that are never text.
    pub(crate) dropped: &'static [&'static str],
    /// Whitespace around calls and at the start of reasoning is the template's.
    pub(crate) trim: Trim,
}

/// Where whitespace is the template's and not the answer's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trim {
    /// Around reasoning and around calls.
    Calls,
    /// Around reasoning; text keeps its own beside calls.
    Thinking,
    /// Behind reasoning alone.
    BehindThinking,
    /// Around reasoning, calls and the answer.
    All,
}

/// Nothing special: a start for tables.
pub(crate) const PLAIN: Outline = Outline {
    thinking: &[("<think>", "</think>")],
    thinking_anywhere: false,
    calls: &[],
    dropped: &[],
    trim: Trim::Calls,
};

impl Outline {
    /// The syntax at work on one answer.
    pub(crate) fn machine(&'static self, options: &ParserOptions) -> Box<dyn Machine> {
        let prompt = options.prompt_end.trim_end();
        let open = self.thinking.iter().position(|(open, _)| prompt.ends_with(open));
        let state = open.map_or(State::Content, |which| State::Thinking { which, fresh: true });
        let has_tools = options.tools.and_then(|tools| tools.as_array()).is_some_and(|list| !list.is_empty());
        Box::new(OutlineMachine { outline: self, state, has_tools, fresh: true, begun: false, has_called: false })
    }
}

enum State {
    Content,
    /// `fresh`: nothing of it was read; the opening marker may be repeated.
    Thinking {
        which: usize,
        fresh: bool,
    },
    Call {
        body: Box<dyn Body>,
        opener: usize,
        from: Option<usize>,
    },
}

struct OutlineMachine {
    outline: &'static Outline,
    state: State,
    has_tools: bool,
    /// Nothing was looked at.
    fresh: bool,
    /// Something other than whitespace was read.
    begun: bool,
    has_called: bool,
}

/// What a marker found in content or reasoning means.
#[derive(Clone, Copy)]
enum Meaning {
    OpenThinking(usize),
    CloseThinking,
    Call(usize),
    Dropped,
}

impl OutlineMachine {
    /// The markers that count now.
    fn markers(&self) -> (Vec<&'static str>, Vec<Meaning>) {
        let outline = self.outline;
        let mut list: Vec<(&'static str, Meaning)> = Vec::new();
        let thinking = matches!(self.state, State::Thinking { .. });
        if let State::Thinking { which, .. } = self.state {
            list.push((outline.thinking[which].1, Meaning::CloseThinking));
        } else if outline.thinking_anywhere || !self.begun {
            list.extend(
                outline.thinking.iter().enumerate().map(|(which, pair)| (pair.0, Meaning::OpenThinking(which))),
            );
        }
        for (which, opener) in outline.calls.iter().enumerate() {
            let allowed = !opener.needs_tools || self.has_tools && !thinking;
            if allowed && !(opener.at_start && (self.begun || thinking)) {
                list.push((opener.marker, Meaning::Call(which)));
            }
        }
        list.extend(outline.dropped.iter().map(|marker| (*marker, Meaning::Dropped)));
        list.into_iter().unzip()
    }

    fn thinking_which(&self) -> Option<usize> {
        match self.state {
            State::Thinking { which, .. } => Some(which),
            _ => None,
        }
    }

    /// Text up to the next marker.
    fn text(&mut self, input: &mut Input, output: &mut Output) -> bool {
        if input.is_empty() {
            return false;
        }
        let (markers, meanings) = self.markers();
        let (length, marker) = match input.find(&markers) {
            Find::At(at, which) => (at, Some((markers[which], meanings[which]))),
            Find::Safe(length) => (length, None),
        };
        if length > 0 {
            let text = input.take(length);
            let blank = text.trim().is_empty();
            match &self.state {
                State::Thinking { .. } => output.thinking(&text),
                _ => output.content(&text),
            }
            let was_begun = self.begun;
            if !blank {
                self.begun = true;
                if let State::Thinking { fresh, .. } = &mut self.state {
                    *fresh = false;
                }
            }
            // What counts only at the start counts no longer: look again.
            return was_begun == self.begun || marker.is_none() || self.at_marker(input, output, marker);
        }
        self.at_marker(input, output, marker)
    }

    fn at_marker(&mut self, input: &mut Input, output: &mut Output, marker: Option<(&'static str, Meaning)>) -> bool {
        let Some((marker, meaning)) = marker else { return false };
        if self.begun && !self.markers().0.contains(&marker) {
            return true;
        }
        match meaning {
            Meaning::Dropped => input.skip(marker.len()),
            Meaning::OpenThinking(which) => {
                input.skip(marker.len());
                self.begun = true;
                self.open_thinking(output, which);
            }
            Meaning::CloseThinking => {
                input.skip(marker.len());
                self.close_thinking(output);
                self.begun = false;
                self.state = State::Content;
            }
            Meaning::Call(opener) => self.open_call(input, output, opener),
        }
        true
    }

    fn open_thinking(&mut self, output: &mut Output, which: usize) {
        if self.outline.trim != Trim::BehindThinking {
            output.trim_thinking();
        }
        self.state = State::Thinking { which, fresh: false };
    }

    fn close_thinking(&mut self, output: &mut Output) {
        output.trim_thinking();
        output.trim_content();
    }

    fn open_call(&mut self, input: &mut Input, output: &mut Output, which: usize) {
        let opener = &self.outline.calls[which];
        let from = self.thinking_which();
        input.take_record();
        if !opener.keep {
            input.skip(opener.marker.len());
        }
        if from.is_none() && !self.trims_calls() {
            output.flush_content();
        }
        self.state = State::Call { body: (opener.body)(), opener: which, from };
    }

    fn trims_calls(&self) -> bool {
        matches!(self.outline.trim, Trim::Calls | Trim::All)
    }

    /// A block of calls is over: what follows is content.
    fn close_call(&mut self, input: &mut Input, output: &mut Output) {
        input.take_record();
        self.begun = true;
        self.has_called = true;
        if self.trims_calls() {
            output.trim_content();
        }
        output.trim_thinking();
        self.state = State::Content;
    }

    /// What looked like a call is text, or reasoning that speaks of calls.
    fn fail_call(&mut self, input: &mut Input, output: &mut Output, opener: usize, from: Option<usize>) {
        let opener = &self.outline.calls[opener];
        if input.record_is_empty() {
            // The marker itself must not be found again.
            let length = opener.marker.len().min(input.rest().len());
            input.skip(length);
        }
        self.begun = true;
        match from {
            Some(which) if !output.is_open() => {
                let text = input.take_record();
                output.thinking(&text);
                self.state = State::Thinking { which, fresh: false };
            }
            _ => {
                output.broken(input);
                self.state = State::Content;
            }
        }
    }
}

impl Machine for OutlineMachine {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> bool {
        if std::mem::take(&mut self.fresh) && self.outline.trim == Trim::All {
            output.trim_content();
        }
        if let State::Thinking { which, fresh: true } = self.state {
            // A model may repeat the marker that the prompt ends with.
            let leading = input.rest().len() - input.rest().trim_start().len();
            if leading > 0 && self.outline.trim != Trim::BehindThinking {
                input.skip(leading);
            }
            let open = self.outline.thinking[which].0;
            match input.matches(open) {
                Match::Maybe => return false,
                Match::Yes => {
                    input.skip(open.len());
                    self.begun = true;
                    self.open_thinking(output, which);
                    return true;
                }
                Match::No => {
                    self.state = State::Thinking { which, fresh: false };
                    if self.outline.trim != Trim::BehindThinking {
                        output.trim_thinking();
                    }
                    return true;
                }
            }
        }
        let State::Call { body, opener, from } = &mut self.state else { return self.text(input, output) };
        match body.step(input, output) {
            Step::Again => true,
            Step::More => false,
            Step::Done => {
                self.close_call(input, output);
                true
            }
            Step::Failed => {
                let (opener, from) = (*opener, *from);
                self.fail_call(input, output, opener, from);
                true
            }
        }
    }

    fn finish(&mut self, input: &mut Input, output: &mut Output) {
        if let State::Call { opener, from, .. } = self.state {
            let length = input.rest().len();
            input.skip(length);
            if input.record_is_blank() {
                input.take_record();
            } else {
                self.fail_call(input, output, opener, from);
            }
        }
        output.flush_thinking();
        match self.outline.trim {
            Trim::All => output.trim_content(),
            Trim::Calls if self.has_called => output.trim_content(),
            _ => output.flush_content(),
        }
    }
}
