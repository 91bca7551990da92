//! DeepSeek V3, R1, V3.1 and Cogito: calls between `<｜tool▁calls▁begin｜>` markers; V3.2 and V4: DSML tags.

use super::bodies::named::{Name, NamedCalls, NamedShape};
use super::bodies::xml::{ValueOpen, XmlCalls, XmlShape};
use super::core::{Body, Find, Input, Match, Output, Step};
use super::outline::{Opener, Outline, PLAIN, Trim};
use super::syntax::Syntax;

/// DeepSeek with call markers.
pub(crate) static DEEPSEEK: Syntax = Syntax {
    name: "deepseek",
    signs: &[&["<｜tool▁calls▁begin｜>"], &["<｜tool▁call▁begin｜>"], &["<｜Assistant｜>"]],
    machine: |options| OUTLINE.machine(options),
};

/// Cogito: the same markers, text beside calls trimmed.
pub(crate) static COGITO: Syntax = Syntax {
    name: "cogito",
    signs: &[&["<｜tool▁calls▁begin｜>", "Deep Cogito"]],
    machine: |options| COGITO_OUTLINE.machine(options),
};

/// DeepSeek with tags.
pub(crate) static DSML: Syntax =
    Syntax { name: "deepseek-dsml", signs: &[&["DSML"]], machine: |options| DSML_OUTLINE.machine(options) };

const OUTPUT_MARKERS: &[&str] = &[
    "<｜tool▁outputs▁begin｜>",
    "<｜tool▁outputs▁end｜>",
    "<｜tool▁output▁begin｜>",
    "<｜tool▁output▁end｜>",
    "<｜end▁of▁sentence｜>",
];

static OUTLINE: Outline = Outline {
    calls: &[Opener::new("<｜tool▁calls▁begin｜>", body), Opener::inside("<｜tool▁call▁begin｜>", body)],
    dropped: OUTPUT_MARKERS,
    trim: Trim::Thinking,
    ..PLAIN
};

static COGITO_OUTLINE: Outline = Outline {
    calls: &[
        Opener::new("<｜tool▁calls▁begin｜>", body),
        Opener::inside("<｜tool▁call▁begin｜>", body),
        Opener::new("<｜tool▁outputs▁begin｜>", || Box::new(Outputs)),
    ],
    dropped: OUTPUT_MARKERS,
    ..PLAIN
};

const SHAPE: NamedShape = NamedShape {
    open: "<｜tool▁call▁begin｜>",
    separators: &["<｜tool▁sep｜>"],
    close: "<｜tool▁call▁end｜>",
    block_close: "<｜tool▁calls▁end｜>",
    name: Name::plain,
};

static PLAIN_CALLS: NamedShape = SHAPE;

/// `function<｜tool▁sep｜>name`, then the arguments in a JSON fence.
static FENCED: NamedShape = NamedShape {
    separators: &["```json\n", "```json", "```"],
    close: "```<｜tool▁call▁end｜>",
    name: |text| Name::plain(text.strip_prefix("function<｜tool▁sep｜>").unwrap_or(text)),
    ..SHAPE
};

fn body() -> Box<dyn Body> {
    Box::new(Calls { inner: None })
}

/// The older form begins each call with `function` and the separator.
struct Calls {
    inner: Option<Box<dyn Body>>,
}

impl Body for Calls {
    fn step(&mut self, input: &mut Input, output: &mut Output) -> Step {
        const OLDER: &str = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>";
        if let Some(inner) = &mut self.inner {
            return inner.step(input, output);
        }
        input.skip_whitespace();
        self.inner = Some(match input.matches(OLDER) {
            Match::Maybe => return Step::More,
            Match::Yes => NamedCalls::boxed(&FENCED),
            Match::No => NamedCalls::boxed(&PLAIN_CALLS),
        });
        Step::Again
    }
}

/// What a tool answered, repeated by the model: no part of the answer.
struct Outputs;

impl Body for Outputs {
    fn step(&mut self, input: &mut Input, _output: &mut Output) -> Step {
        const END: &str = "<｜tool▁outputs▁end｜>";
        match input.find(&[END]) {
            Find::At(at, _) => {
                input.skip(at + END.len());
                Step::Done
            }
            Find::Safe(_) if input.last => Step::Failed,
            Find::Safe(_) => Step::More,
        }
    }
}

static DSML_OUTLINE: Outline = Outline {
    calls: &[
        Opener::new("<｜DSML｜function_calls>", || XmlCalls::boxed(&FUNCTION_CALLS)),
        Opener::new("<｜DSML｜tool_calls>", || XmlCalls::boxed(&TOOL_CALLS)),
    ],
    dropped: &["<｜end▁of▁sentence｜>"],
    ..PLAIN
};

static FUNCTION_CALLS: XmlShape = XmlShape { block_close: "</｜DSML｜function_calls>", ..SHAPE_OF_TAGS };
static TOOL_CALLS: XmlShape = XmlShape { block_close: "</｜DSML｜tool_calls>", ..SHAPE_OF_TAGS };

const SHAPE_OF_TAGS: XmlShape = XmlShape {
    call_open: "<｜DSML｜invoke name=\"",
    name_end: &["\">"],
    key_open: "<｜DSML｜parameter name=\"",
    key_end: "\"",
    value_open: ValueOpen::Attributes,
    value_close: "</｜DSML｜parameter>",
    call_close: "</｜DSML｜invoke>",
    block_close: "",
    trim_value: false,
    known_only: false,
};
