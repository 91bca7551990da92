//! The insides of calls: JSON objects, a name with JSON behind it, tags with values, Python calls, brace calls.
//!
//! Invariant: a body hands out a call's name once it is certain and its arguments as they complete, always as JSON.
//! Read `json` first; `xml` turns tagged values into JSON by the types of the tool's schema.

pub(crate) mod brace;
pub(crate) mod json;
pub(crate) mod json_stream;
pub(crate) mod named;
pub(crate) mod python;
pub(crate) mod tool_call;
pub(crate) mod values;
pub(crate) mod xml;
