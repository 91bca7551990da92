//! Names of models: `[registry/][namespace/]model[:tag]`, as Ollama writes them.
//!
//! Invariant: every part of a `ModelName` begins with a letter, a digit or `_` and holds neither separators nor control
//! characters, so that the four of them joined are a path below the folder of manifests. Names are the same in any
//! case. Read `store` for the path.

use std::fmt;
use std::path::PathBuf;

use crate::HubError;

/// The registry that a name without one means.
pub const DEFAULT_REGISTRY: &str = "registry.ollama.ai";
/// The namespace that a name without one means.
pub const DEFAULT_NAMESPACE: &str = "library";
/// The tag that a name without one means.
pub const DEFAULT_TAG: &str = "latest";
/// The Hugging Face hub, as names spell it.
pub const HUGGING_FACE: &str = "hf.co";

/// Other spellings of the hub.
const HUGGING_FACE_HOSTS: &[&str] = &["hf.co", "huggingface.co", "www.huggingface.co", "hub.hf.co"];

/// Where the hub is: `HF_ENDPOINT`, or its own address.
pub fn hugging_face() -> String {
    let set = std::env::var("HF_ENDPOINT").ok().filter(|value| !value.is_empty());
    set.unwrap_or_else(|| "https://huggingface.co".into()).trim_end_matches('/').to_string()
}

/// A name with all its parts.
#[derive(Clone, Debug)]
pub struct ModelName {
    /// Host of the registry, with its port where it has one.
    pub registry: String,
    /// Who it belongs to.
    pub namespace: String,
    /// The model.
    pub model: String,
    /// Its variant.
    pub tag: String,
    /// The name began with `http://` or `https://`; true: without TLS.
    pub plain_http: Option<bool>,
}

impl ModelName {
    /// Reads a name; what is missing is filled in.
    pub fn parse(text: &str) -> Result<ModelName, HubError> {
        let wrong = |reason: &str| HubError::Name { name: text.to_string(), reason: reason.to_string() };
        let (plain_http, rest) = match text.split_once("://") {
            None => (None, text),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Some(false), rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Some(true), rest),
            Some(_) => return Err(wrong("only http:// and https:// may stand in front of a name")),
        };
        if rest.is_empty() {
            return Err(wrong("it is empty"));
        }
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, tag),
            _ => (rest, DEFAULT_TAG),
        };
        let parts: Vec<&str> = path.split('/').collect();
        let (registry, namespace, model) = match parts[..] {
            [model] => (DEFAULT_REGISTRY, DEFAULT_NAMESPACE, model),
            [namespace, model] => (DEFAULT_REGISTRY, namespace, model),
            [registry, namespace, model] => (registry, namespace, model),
            _ => return Err(wrong("registry/namespace/model:tag is the longest form")),
        };
        check_registry(registry).map_err(|reason| wrong(&format!("the registry {reason}")))?;
        for (what, part, most) in [("namespace", namespace, 96), ("model", model, 128), ("tag", tag, 128)] {
            check_part(part, most).map_err(|reason| wrong(&format!("the {what} {reason}")))?;
        }
        let known = HUGGING_FACE_HOSTS.iter().any(|host| host.eq_ignore_ascii_case(registry));
        let registry = if known { HUGGING_FACE } else { registry };
        let owned = |part: &str| part.to_string();
        Ok(ModelName {
            registry: registry.to_ascii_lowercase(),
            namespace: owned(namespace),
            model: owned(model),
            tag: owned(tag),
            plain_http,
        })
    }

    /// With its tag, and without the parts that go without saying.
    pub fn short(&self) -> String {
        let ModelName { registry, namespace, model, tag, .. } = self;
        match (registry == DEFAULT_REGISTRY, namespace == DEFAULT_NAMESPACE) {
            (true, true) => format!("{model}:{tag}"),
            (true, false) => format!("{namespace}/{model}:{tag}"),
            (false, _) => format!("{registry}/{namespace}/{model}:{tag}"),
        }
    }

    /// Where the manifest lies below the folder of manifests.
    pub fn path(&self) -> PathBuf {
        [&self.registry, &self.namespace, &self.model, &self.tag].into_iter().collect()
    }

    /// Whether it is on the Hugging Face hub.
    pub fn is_hugging_face(&self) -> bool {
        self.registry == HUGGING_FACE
    }

    /// `namespace/model`, as registries call it.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.namespace, self.model)
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}:{}", self.registry, self.namespace, self.model, self.tag)
    }
}

impl PartialEq for ModelName {
    fn eq(&self, other: &ModelName) -> bool {
        self.to_string().eq_ignore_ascii_case(&other.to_string())
    }
}

impl Eq for ModelName {}

fn check_part(part: &str, most: usize) -> Result<(), String> {
    if part.is_empty() {
        return Err("is empty".into());
    }
    if part.len() > most {
        return Err(format!("has more than {most} characters"));
    }
    if !part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!("`{part}` must begin with a letter or a digit"));
    }
    match part.chars().find(|c| !(c.is_ascii_alphanumeric() || "_-.".contains(*c))) {
        Some(c) => Err(format!("must not hold {c:?}")),
        None => Ok(()),
    }
}

/// A host name or an address, and perhaps a port.
fn check_registry(host: &str) -> Result<(), String> {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "0"));
    if port.parse::<u16>().is_err() {
        return Err(format!("has `{port}` for a port"));
    }
    check_part(name, 253)
}

/// A file inside a model, as a repository or a manifest names it: `model.safetensors`, `1_Pooling/config.json`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileName(String);

impl FileName {
    /// Reads a relative path with `/` between its parts.
    pub fn parse(text: &str) -> Result<FileName, HubError> {
        let wrong = |reason: &str| HubError::Name { name: text.to_string(), reason: format!("as a file {reason}") };
        if text.len() > 512 {
            return Err(wrong("it is too long"));
        }
        for part in text.split('/') {
            if part.is_empty() || part.starts_with('.') || part.ends_with(['.', ' ']) {
                return Err(wrong("it would not stay in its folder"));
            }
            if part.chars().any(|c| c.is_control() || "\\:*?\"<>|".contains(c)) {
                return Err(wrong("it holds a character that file names must not have"));
            }
        }
        Ok(FileName(text.to_string()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_filled_in() {
        for (text, full, short) in [
            ("qwen3", "registry.ollama.ai/library/qwen3:latest", "qwen3:latest"),
            ("qwen3:0.6b", "registry.ollama.ai/library/qwen3:0.6b", "qwen3:0.6b"),
            ("me/mine", "registry.ollama.ai/me/mine:latest", "me/mine:latest"),
            ("hf.co/Org/Repo-GGUF:Q4_K_M", "hf.co/Org/Repo-GGUF:Q4_K_M", "hf.co/Org/Repo-GGUF:Q4_K_M"),
            ("https://huggingface.co/o/r", "hf.co/o/r:latest", "hf.co/o/r:latest"),
            ("localhost:5000/a/b:c", "localhost:5000/a/b:c", "localhost:5000/a/b:c"),
            ("http://127.0.0.1:80/a/b", "127.0.0.1:80/a/b:latest", "127.0.0.1:80/a/b:latest"),
        ] {
            let name = ModelName::parse(text).unwrap();
            assert_eq!((name.to_string().as_str(), name.short().as_str()), (full, short), "{text}");
        }
        assert_eq!(ModelName::parse("Qwen3").unwrap(), ModelName::parse("qwen3:LATEST").unwrap());
        assert_eq!(ModelName::parse("http://a.b/c/d").unwrap().plain_http, Some(true));
    }

    #[test]
    fn no_name_leaves_its_folder() {
        for text in [
            "",
            "/",
            "..",
            "../x",
            "a/..",
            "a/../b",
            "x:..",
            "x:a/b",
            ".hidden",
            "a//b",
            "a\\b",
            "a b",
            "x:",
            ":x",
            "a/b/c/d",
            "ftp://a/b/c",
            "a\0b",
            "host:port/a/b",
            "-x",
            "ä",
            "C:\\x",
            "a/b/",
            "~/x",
            "%2e%2e/x",
        ] {
            assert!(ModelName::parse(text).is_err(), "{text:?}");
        }
        let path = ModelName::parse("a/b:c").unwrap().path();
        assert_eq!(path.components().count(), 4);
    }

    #[test]
    fn no_file_leaves_its_folder() {
        for text in ["", "/etc/passwd", "../x", "a/../x", "a//b", ".git/config", "a\\b", "C:x", "a/.", "x\0", "a /b"] {
            assert!(FileName::parse(text).is_err(), "{text:?}");
        }
        for text in ["model-00001-of-00002.safetensors", "1_Pooling/config.json", "a b.json"] {
            assert_eq!(FileName::parse(text).unwrap().as_str(), text);
        }
    }
}
