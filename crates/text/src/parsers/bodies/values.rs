//! Texts of arguments → JSON, by the types of the tool's schema.

use serde_json::Value;

/// What a tagged value means when the schema allows `types` for it. Without types it is a string.
pub(crate) fn typed(text: &str, types: &[String]) -> Value {
    let allows = |name: &str| types.iter().any(|kind| kind == name);
    let trimmed = text.trim();
    if types.is_empty() {
        return Value::String(text.to_string());
    }
    if trimmed.eq_ignore_ascii_case("null") && (allows("null") || !allows("string")) {
        return Value::Null;
    }
    if allows("boolean") {
        match trimmed.to_ascii_lowercase().as_str() {
            "true" => return Value::Bool(true),
            "false" => return Value::Bool(false),
            _ => {}
        }
    }
    let json = serde_json::from_str::<Value>(trimmed).ok();
    match json {
        Some(Value::Number(number)) if allows("number") || allows("integer") && !number.is_f64() => {
            return Value::Number(number);
        }
        Some(Value::Number(number)) if allows("integer") && number.as_f64().is_some_and(|x| x.fract() == 0.0) => {
            return Value::from(number.as_f64().unwrap_or_default() as i64);
        }
        Some(value @ Value::Array(_)) if allows("array") => return value,
        Some(value @ Value::Object(_)) if allows("object") => return value,
        _ => {}
    }
    if (allows("array") || allows("object"))
        && let Some(value) = super::python::value(trimmed)
        && (value.is_array() && allows("array") || value.is_object() && allows("object"))
    {
        return value;
    }
    Value::String(text.to_string())
}

/// Whether a value of these types is a string and nothing else, so that it may be handed on while it is written.
pub(crate) fn is_text(types: &[String]) -> bool {
    types.iter().all(|kind| kind == "string")
}

/// The characters of a JSON string without its quotes.
pub(crate) fn escaped(text: &str) -> String {
    let quoted = Value::String(text.to_string()).to_string();
    quoted[1..quoted.len() - 1].to_string()
}
