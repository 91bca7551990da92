//! Gemma 4 and FunctionGemma: `call:f{k:<|"|>v<|"|>}` between call markers; Gemma 4 reasons in a `thought` channel.

use super::bodies::brace::{BraceCall, BraceShape};
use super::outline::{Opener, Outline, PLAIN, Trim};
use super::syntax::Syntax;

/// Gemma 4.
pub(crate) static GEMMA4: Syntax = Syntax {
    name: "gemma4",
    signs: &[&["<|tool_call>"], &["<|channel>"]],
    machine: |options| OUTLINE.machine(options),
};

/// FunctionGemma.
pub(crate) static FUNCTION_GEMMA: Syntax = Syntax {
    name: "functiongemma",
    signs: &[&["<start_function_call>"], &["<start_function_declaration>"]],
    machine: |options| FUNCTION.machine(options),
};

static OUTLINE: Outline = Outline {
    thinking: &[("<|channel>thought", "<channel|>"), ("<|channel>", "<channel|>")],
    thinking_anywhere: true,
    calls: &[Opener::new("<|tool_call>", || BraceCall::boxed(&SHAPE))],
    dropped: &["<tool_call|>", "<|tool_response>", "<turn|>", "<channel|>"],
    ..PLAIN
};

static FUNCTION: Outline = Outline {
    calls: &[Opener::new("<start_function_call>", || BraceCall::boxed(&FUNCTION_SHAPE))],
    dropped: &["<start_function_response>", "<end_of_turn>"],
    trim: Trim::Thinking,
    ..PLAIN
};

static SHAPE: BraceShape = BraceShape { quote: "<|\"|>", close: "<tool_call|>" };
static FUNCTION_SHAPE: BraceShape = BraceShape { quote: "<escape>", close: "<end_function_call>" };
