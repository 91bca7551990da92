//! GLM 4.5 to 4.7, Ling: `<tool_call>f<arg_key>k</arg_key><arg_value>v</arg_value></tool_call>`.

use super::bodies::tool_call;
use super::outline::{Opener, Outline, PLAIN};
use super::syntax::Syntax;

/// The syntax.
pub(crate) static SYNTAX: Syntax =
    Syntax { name: "glm", signs: &[&["<arg_key>", "<arg_value>"]], machine: |options| OUTLINE.machine(options) };

static OUTLINE: Outline = Outline { calls: &[Opener::new("<tool_call>", tool_call::body)], ..PLAIN };
