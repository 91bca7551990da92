//! The apps: where each keeps its settings, and which of them point it at us.
//!
//! Invariant: a recipe names the same files and keys whatever the model, so that `--restore` finds them. Settings are
//! taken where an app has no variables or options of the same meaning.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::edit::{Edits, JsonEdit};

/// Whom an app shall ask.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// `http://127.0.0.1:11434`.
    pub base: String,
    /// A key; apps want one even where the server does not.
    pub key: String,
    /// The model's name.
    pub model: String,
    /// Longest conversation, where known.
    pub context_tokens: Option<u64>,
}

/// A program that can be pointed at us.
pub struct App {
    /// Its name here.
    pub name: &'static str,
    /// Its name elsewhere.
    pub title: &'static str,
    /// Its program.
    pub program: &'static str,
    /// How to get it.
    pub install: &'static str,
    /// What points it at a server.
    pub recipe: fn(&Target) -> Recipe,
}

/// What points an app at a server.
#[derive(Default)]
pub struct Recipe {
    /// Settings to write.
    pub files: Vec<File>,
    /// Variables to set for the app alone.
    pub environment: Vec<(&'static str, String)>,
    /// Options before those of the user.
    pub arguments: Vec<String>,
}

/// A file of settings.
pub struct File {
    /// A variable that names its folder.
    variable: Option<&'static str>,
    /// Its folder otherwise, in the home folder.
    folder: &'static str,
    /// Its name in that folder.
    name: &'static str,
    /// What we set in it.
    pub edits: Edits,
}

impl File {
    /// Where it is.
    pub fn path(&self, home: &Path) -> PathBuf {
        let named = self.variable.and_then(std::env::var_os).filter(|folder| !folder.is_empty());
        named.map_or_else(|| home.join(self.folder), PathBuf::from).join(self.name)
    }
}

/// All of them.
pub const APPS: &[App] = &[
    App {
        name: "claude",
        title: "Claude Code",
        program: "claude",
        install: "npm install -g @anthropic-ai/claude-code",
        recipe: claude,
    },
    App { name: "codex", title: "Codex", program: "codex", install: "npm install -g @openai/codex", recipe: codex },
    App {
        name: "opencode",
        title: "OpenCode",
        program: "opencode",
        install: "npm install -g opencode-ai",
        recipe: opencode,
    },
    App {
        name: "openclaw",
        title: "OpenClaw",
        program: "openclaw",
        install: "npm install -g openclaw",
        recipe: openclaw,
    },
    App {
        name: "copilot",
        title: "GitHub Copilot CLI",
        program: "copilot",
        install: "npm install -g @github/copilot",
        recipe: copilot,
    },
    App {
        name: "qwen",
        title: "Qwen Code",
        program: "qwen",
        install: "npm install -g @qwen-code/qwen-code",
        recipe: qwen,
    },
    App { name: "cline", title: "Cline", program: "cline", install: "npm install -g cline", recipe: cline },
    App { name: "droid", title: "Droid", program: "droid", install: "npm install -g droid", recipe: droid },
    App { name: "pi", title: "Pi", program: "pi", install: "npm install -g @mariozechner/pi-coding-agent", recipe: pi },
    App {
        name: "goose",
        title: "Goose",
        program: "goose",
        install: "its installer is on the project's releases page (block/goose)",
        recipe: goose,
    },
    App { name: "aider", title: "Aider", program: "aider", install: "python -m pip install aider-chat", recipe: aider },
];

impl Target {
    fn openai(&self) -> String {
        format!("{}/v1", self.base)
    }

    /// Room for one answer: a quarter of the context, where apps want to know it.
    fn answer_tokens(&self) -> Option<u64> {
        self.context_tokens.map(|tokens| tokens / 4)
    }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| word.to_string()).collect()
}

/// Without what is unknown.
fn known(mut value: Value) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    value
}

/// All sizes of model are this one; a line about billing at the head of each prompt would spoil the prefix cache.
fn claude(target: &Target) -> Recipe {
    let mut environment = vec![
        ("ANTHROPIC_BASE_URL", target.base.clone()),
        ("ANTHROPIC_AUTH_TOKEN", target.key.clone()),
        ("ANTHROPIC_API_KEY", String::new()),
        ("ANTHROPIC_MODEL", target.model.clone()),
        ("ANTHROPIC_DEFAULT_OPUS_MODEL", target.model.clone()),
        ("ANTHROPIC_DEFAULT_SONNET_MODEL", target.model.clone()),
        ("ANTHROPIC_DEFAULT_HAIKU_MODEL", target.model.clone()),
        ("CLAUDE_CODE_SUBAGENT_MODEL", target.model.clone()),
        ("CLAUDE_CODE_ATTRIBUTION_HEADER", "0".into()),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
    ];
    if let Some(tokens) = target.context_tokens {
        environment.push(("CLAUDE_CODE_AUTO_COMPACT_WINDOW", tokens.to_string()));
    }
    Recipe { environment, ..Recipe::default() }
}

fn codex(target: &Target) -> Recipe {
    let provider =
        json!({"name": "Olivine", "base_url": target.openai(), "env_key": "OLIVINE_KEY", "wire_api": "responses"});
    let file = File {
        variable: Some("CODEX_HOME"),
        folder: ".codex",
        name: "config.toml",
        edits: Edits::Toml(vec![(&["model_providers", "olivine"], provider)]),
    };
    let mut arguments = words(&["-c", "model_provider=\"olivine\"", "-c"]);
    arguments.push(format!("model={}", json!(target.model)));
    if let Some(tokens) = target.context_tokens {
        arguments.extend(["-c".into(), format!("model_context_window={tokens}")]);
    }
    Recipe { files: vec![file], environment: vec![("OLIVINE_KEY", target.key.clone())], arguments }
}

fn opencode(target: &Target) -> Recipe {
    let limit = target.context_tokens.map(|context| json!({"context": context, "output": target.answer_tokens()}));
    let models = json!({target.model.clone(): known(json!({"name": target.model, "limit": limit}))});
    let provider = json!({
        "npm": "@ai-sdk/openai-compatible",
        "name": "Olivine",
        "options": {"baseURL": target.openai(), "apiKey": target.key},
        "models": models,
    });
    let edits = vec![
        JsonEdit::Set(&["provider", "olivine"], provider),
        JsonEdit::Set(&["model"], json!(format!("olivine/{}", target.model))),
    ];
    let file = File {
        variable: Some("XDG_CONFIG_HOME"),
        folder: ".config",
        name: "opencode/opencode.json",
        edits: Edits::Json(edits),
    };
    Recipe { files: vec![file], ..Recipe::default() }
}

fn openclaw(target: &Target) -> Recipe {
    let model = known(json!({
        "id": target.model,
        "name": target.model,
        "input": ["text"],
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        "contextWindow": target.context_tokens,
        "maxTokens": target.answer_tokens(),
    }));
    let provider =
        json!({"baseUrl": target.openai(), "apiKey": target.key, "api": "openai-completions", "models": [model]});
    let edits = vec![
        JsonEdit::Set(&["models", "providers", "olivine"], provider),
        JsonEdit::Set(&["agents", "defaults", "model", "primary"], json!(format!("olivine/{}", target.model))),
    ];
    let file = File {
        variable: Some("OPENCLAW_STATE_DIR"),
        folder: ".openclaw",
        name: "openclaw.json",
        edits: Edits::Json(edits),
    };
    Recipe { files: vec![file], ..Recipe::default() }
}

fn copilot(target: &Target) -> Recipe {
    let mut environment = vec![
        ("COPILOT_PROVIDER_BASE_URL", target.openai()),
        ("COPILOT_PROVIDER_TYPE", "openai".into()),
        ("COPILOT_PROVIDER_API_KEY", target.key.clone()),
        ("COPILOT_MODEL", target.model.clone()),
    ];
    if let (Some(context), Some(answer)) = (target.context_tokens, target.answer_tokens()) {
        environment.push(("COPILOT_PROVIDER_MAX_PROMPT_TOKENS", (context - answer).to_string()));
        environment.push(("COPILOT_PROVIDER_MAX_OUTPUT_TOKENS", answer.to_string()));
    }
    Recipe { environment, ..Recipe::default() }
}

fn qwen(target: &Target) -> Recipe {
    let environment = vec![
        ("OPENAI_BASE_URL", target.openai()),
        ("OPENAI_API_KEY", target.key.clone()),
        ("OPENAI_MODEL", target.model.clone()),
    ];
    let arguments = words(&["--auth-type", "openai", "--model", &target.model]);
    Recipe { environment, arguments, ..Recipe::default() }
}

fn cline(target: &Target) -> Recipe {
    let settings = json!({
        "provider": "openai-compatible",
        "apiKey": target.key,
        "model": target.model,
        "baseUrl": target.openai(),
    });
    let edits = vec![
        JsonEdit::Default(&["version"], json!(1)),
        JsonEdit::Set(&["lastUsedProvider"], json!("openai-compatible")),
        JsonEdit::Set(&["providers", "openai-compatible", "settings"], settings),
        // When nobody knows: the file wants a time of each provider.
        JsonEdit::Default(&["providers", "openai-compatible", "updatedAt"], json!("2026-01-01T00:00:00.000Z")),
        JsonEdit::Default(&["providers", "openai-compatible", "tokenSource"], json!("manual")),
    ];
    let file =
        File { variable: None, folder: ".cline/data/settings", name: "providers.json", edits: Edits::Json(edits) };
    let arguments = words(&["--provider", "openai-compatible", "--model", &target.model]);
    Recipe { files: vec![file], arguments, ..Recipe::default() }
}

fn droid(target: &Target) -> Recipe {
    let model = known(json!({
        "id": "custom:olivine-0",
        "model": target.model,
        "displayName": format!("{} (Olivine)", target.model),
        "baseUrl": target.openai(),
        "apiKey": target.key,
        "provider": "generic-chat-completion-api",
        "maxOutputTokens": target.answer_tokens(),
    }));
    let edits = vec![
        JsonEdit::Item { list: &["customModels"], key: "id", value: model },
        JsonEdit::Set(&["sessionDefaultSettings", "model"], json!("custom:olivine-0")),
    ];
    let file = File { variable: None, folder: ".factory", name: "settings.json", edits: Edits::Json(edits) };
    Recipe { files: vec![file], ..Recipe::default() }
}

fn pi(target: &Target) -> Recipe {
    let model = known(json!({
        "id": target.model,
        "contextWindow": target.context_tokens,
        "maxTokens": target.answer_tokens(),
    }));
    let provider =
        json!({"baseUrl": target.openai(), "api": "openai-completions", "apiKey": target.key, "models": [model]});
    let file = File {
        variable: Some("PI_CODING_AGENT_DIR"),
        folder: ".pi/agent",
        name: "models.json",
        edits: Edits::Json(vec![JsonEdit::Set(&["providers", "olivine"], provider)]),
    };
    let arguments = words(&["--provider", "olivine", "--model", &target.model]);
    Recipe { files: vec![file], arguments, ..Recipe::default() }
}

fn goose(target: &Target) -> Recipe {
    let mut environment = vec![
        ("GOOSE_PROVIDER", "openai".into()),
        ("GOOSE_MODEL", target.model.clone()),
        ("OPENAI_HOST", target.base.clone()),
        ("OPENAI_BASE_PATH", "v1/chat/completions".into()),
        ("OPENAI_API_KEY", target.key.clone()),
    ];
    if let Some(tokens) = target.context_tokens {
        environment.push(("GOOSE_CONTEXT_LIMIT", tokens.to_string()));
    }
    Recipe { environment, ..Recipe::default() }
}

fn aider(target: &Target) -> Recipe {
    let environment = vec![("OPENAI_API_BASE", target.openai()), ("OPENAI_API_KEY", target.key.clone())];
    let model = format!("openai/{}", target.model);
    let arguments = words(&["--model", &model, "--weak-model", &model, "--no-show-model-warnings"]);
    Recipe { environment, arguments, ..Recipe::default() }
}
