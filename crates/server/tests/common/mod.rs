//! A server on loopback with Mica, and a client that shows bytes as they are.
#![allow(dead_code, reason = "each test program uses its part of this")]

pub mod transcript;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use olivine_engine::{Engine, EngineOptions, Request, SamplingOptions, ScriptedOptions, Vocabulary};
use olivine_lm::Precision;
use olivine_lm::encoder::{Encoder, EncoderFile};
use olivine_lm::language_model::LanguageModel;
use olivine_lm::model::LoadOptions;
use olivine_server::registry::template_source;
use olivine_server::state::App;
use olivine_server::{Catalog, KeepAlive, ModelCard, ModelParts, RegistryOptions, ServerOptions};
use olivine_testkit::tiny::TinyModel;
use olivine_text::{ChatTemplate, EncodeOptions, SpecialStrings, Tokenizer};

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mica")
}

fn card(name: &str) -> ModelCard {
    ModelCard {
        name: name.into(),
        bytes: 34_000_000,
        digest: "d".repeat(64),
        format: "safetensors".into(),
        family: "qwen3".into(),
        parameter_size: "32.0M".into(),
        parameters: 32_000_000,
        quantization: "affine8".into(),
        context_tokens: 2048,
        embedding_length: 512,
        template: template_source(&folder()).expect("Mica has a template"),
        ..ModelCard::default()
    }
}

fn load(engine: &EngineOptions) -> Result<ModelParts, String> {
    let model = LanguageModel::open(&folder(), &LoadOptions::default()).map_err(|error| error.to_string())?;
    let tokens = &model.tokenizer;
    let spellings = (0..tokens.vocab_size() as u32).map(|id| (tokens.token_bytes(id).to_vec(), tokens.is_special(id)));
    let engine = EngineOptions { vocabulary: Some(Vocabulary::new(spellings, model.end_tokens[0])), ..engine.clone() };
    Ok(ModelParts {
        tokenizer: model.tokenizer,
        template: model.template,
        end_tokens: model.end_tokens,
        sampling: model.sampling,
        weight_bytes: 34_000_000,
        engine: Engine::start(model.model, engine),
    })
}

/// Mica's template, with an open block of reasoning at the end where thinking is switched on.
fn thinking_template() -> String {
    let plain = template_source(&folder()).expect("Mica has a template");
    let end = "{{- '<|im_start|>assistant\\n' }}\n{%- endif %}";
    let at = plain.rfind(end).expect("a template that ends with the generation prompt");
    plain[..at].to_string()
        + "{{- '<|im_start|>assistant\\n' }}{%- if enable_thinking %}{{- '<think>\\n' }}{%- endif %}\n{%- endif %}"
}

/// Mica's tokenizer with the markers of text in the middle in the place of reserved tokens.
fn filling_tokenizer() -> Tokenizer {
    let mut json = std::fs::read_to_string(folder().join("tokenizer.json")).expect("Mica has a tokenizer");
    for (index, name) in ["prefix", "suffix", "middle", "pad"].iter().enumerate() {
        json = json.replace(&format!("<|reserved_{index}|>"), &format!("<|fim_{name}|>"));
    }
    Tokenizer::from_json_bytes(json.as_bytes()).expect("renamed tokens change nothing else")
}

/// A tiny random encoder with a WordPiece vocabulary of letters.
fn load_encoder(name: &str, engine: &EngineOptions) -> Result<ModelParts, String> {
    let case = if name == "ranker" { "bert-rank" } else { "bert" };
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/tests/golden-encoders");
    let folder = std::env::temp_dir().join(format!("olivine-server-{name}-{}-{:p}", std::process::id(), engine));
    TinyModel::load(&golden.join(case)).write_folder(&folder);
    let file = EncoderFile::open(&folder).map_err(|error| error.to_string())?.ok_or("no encoder")?;
    let encoder = Encoder::load(&file, Precision::Exact).map_err(|error| error.to_string())?;
    std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(str::to_string);
    let letters = ('a'..='z').flat_map(|c| [c.to_string(), format!("##{c}")]);
    let vocabulary: serde_json::Map<String, serde_json::Value> =
        special.iter().cloned().chain(letters).enumerate().map(|(id, piece)| (piece, id.into())).collect();
    let added: Vec<serde_json::Value> = (0..4)
        .map(|id: usize| {
            serde_json::json!({"id": id, "content": special[id], "special": true, "normalized": false,
            "lstrip": false, "rstrip": false, "single_word": false})
        })
        .collect();
    let part = |name: &str| serde_json::json!({"SpecialToken": {"id": name, "type_id": 0}});
    let token = |name: &str, id: u32| serde_json::json!({"id": name, "ids": [id], "tokens": [name]});
    let single = serde_json::json!([part("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, part("[SEP]")]);
    let definition = serde_json::json!({
        "version": "1.0",
        // Definitions of encoders have these; they are not about texts that are asked about.
        "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]", "pad_to_multiple_of": null},
        "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": single, "pair": single,
            "special_tokens": {"[CLS]": token("[CLS]", 2), "[SEP]": token("[SEP]", 3)}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocabulary},
    });
    let tokenizer = Tokenizer::from_json_bytes(definition.to_string().as_bytes()).map_err(|error| error.to_string())?;
    Ok(ModelParts {
        engine: Engine::open_encoder(encoder, engine.clone()).map_err(|error| error.to_string())?,
        tokenizer,
        template: None,
        end_tokens: Vec::new(),
        sampling: SamplingOptions::default(),
        weight_bytes: 1,
    })
}

fn load_as(card: &ModelCard, engine: &EngineOptions) -> Result<ModelParts, String> {
    if ["encoder", "ranker"].contains(&card.name.as_str()) {
        return load_encoder(&card.name, engine);
    }
    let mut parts = load(engine)?;
    match card.name.as_str() {
        "broken" => return Err("weights are torn".into()),
        "thinker" => {
            let template = ChatTemplate::new("thinker", &thinking_template(), SpecialStrings::default());
            parts.template = Some(template.map_err(|error| error.to_string())?);
        }
        "coder" => parts.tokenizer = filling_tokenizer(),
        _ => {}
    }
    Ok(parts)
}

/// `mica` and `other` (the same files); `broken` cannot be loaded. Not listed: `thinker`, whose template switches
/// reasoning, and `coder`, which fills in the middle,
/// `encoder`, `ranker`, and `mica-reranker`, which is Mica by another name.
pub fn catalog(engine: EngineOptions) -> Catalog {
    let names = ["mica", "other", "broken"];
    let known = ["mica", "other", "broken", "thinker", "coder", "encoder", "ranker", "mica-reranker"];
    let find = move |wanted: &str| {
        let wanted = wanted.strip_suffix(":latest").unwrap_or(wanted);
        let card = known.iter().find(|name| **name == wanted).map(|name| card(name));
        card.map(|card| match card.name.as_str() {
            "thinker" => ModelCard { template: thinking_template(), ..card },
            "encoder" | "ranker" => ModelCard { template: String::new(), embeds: true, ..card },
            _ => card,
        })
    };
    let load = move |card: &ModelCard| load_as(card, &engine);
    Catalog {
        list: Arc::new(move || names.iter().map(|name| card(name)).collect()),
        find: Arc::new(find),
        load: Arc::new(load),
    }
}

/// A line of a script: what the last turn of the prompt contains, and what is said then.
pub type Line = (String, String);

/// Mica's template and tokenizer, and answers from a script; an empty condition always holds.
fn load_scripted(lines: &[Line], pace: Duration) -> Result<ModelParts, String> {
    let model = LanguageModel::open(&folder(), &LoadOptions::default()).map_err(|error| error.to_string())?;
    let parts = load(&EngineOptions::default())?;
    let lines = lines.to_vec();
    let vocabulary = parts.tokenizer.vocab_size();
    let (tokenizer, end) = (model.tokenizer, model.end_tokens[0]);
    let script = move |request: &Request| {
        let prompt = tokenizer.decode(&request.tokens, false);
        let turn = prompt.rsplit("<|im_start|>user").next().unwrap_or_default();
        let said = lines.iter().find(|(when, _)| turn.contains(when.as_str())).map_or("", |(_, say)| say);
        let mut tokens = tokenizer.encode(said, EncodeOptions::RENDERED).expect("a script is text");
        tokens.push(end);
        tokens
    };
    let options = ScriptedOptions { script: Arc::new(script), context_tokens: 1 << 20, vocabulary, pace };
    Ok(ModelParts { engine: Engine::scripted(options), ..parts })
}

/// `mica`, and `script`, which says what `lines` say.
pub fn scripted_catalog(lines: Vec<Line>, pace: Duration) -> Catalog {
    let card = |name: &str| match name {
        "script" => ModelCard { context_tokens: 1 << 20, ..card(name) },
        _ => card(name),
    };
    let names = ["mica", "script"];
    let known = move |wanted: &str| {
        let wanted = wanted.strip_suffix(":latest").unwrap_or(wanted);
        names.iter().find(|name| **name == wanted).map(|name| card(name))
    };
    let loaded = move |card: &ModelCard| match card.name.as_str() {
        "script" => load_scripted(&lines, pace),
        _ => load(&EngineOptions::default()),
    };
    Catalog {
        list: Arc::new(move || names.iter().map(|name| card(name)).collect()),
        find: Arc::new(known),
        load: Arc::new(loaded),
    }
}

pub fn options() -> ServerOptions {
    ServerOptions {
        version: "0.0.0".into(),
        api_keys: Vec::new(),
        origins: Vec::new(),
        hosts: Vec::new(),
        body_bytes: 1 << 20,
        heartbeat: Duration::from_secs(60),
        registry: RegistryOptions { keep_alive: KeepAlive::For(Duration::from_secs(300)), memory_bytes: None },
    }
}

/// A running server; it ends with the value.
pub struct Server {
    pub address: SocketAddr,
    pub app: Arc<App>,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub fn start(options: ServerOptions, engine: EngineOptions) -> Server {
        Server::with(options, catalog(engine))
    }

    pub fn with(options: ServerOptions, catalog: Catalog) -> Server {
        Server::of(App::new(options, catalog))
    }

    pub fn of(app: Arc<App>) -> Server {
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let (ready, address) = std::sync::mpsc::channel();
        let served = app.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                let shutdown = async move { drop(ended.await) };
                olivine_server::serve(listener, served, shutdown).await.unwrap();
            });
        });
        Server { address: address.recv().unwrap(), app, end: Some(end), thread: Some(thread) }
    }

    pub fn plain() -> Server {
        Server::start(options(), EngineOptions::default())
    }

    pub fn connect(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// Status and body.
    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let (head, body) = self.raw(method, path, headers, body);
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    /// Head and body, the body without its chunks.
    pub fn raw(&self, method: &str, path: &str, headers: &str, body: &str) -> (String, String) {
        let host = if headers.to_lowercase().contains("host:") { "" } else { "Host: localhost\r\n" };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let mut bytes = Vec::new();
        self.connect(&request).read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        (head.to_string(), if chunked { without_chunks(body) } else { body.to_string() })
    }

    pub fn post(&self, path: &str, body: &serde_json::Value) -> (u16, String) {
        self.ask("POST", path, "", &body.to_string())
    }

    /// Ends the server and waits for it.
    pub fn end(&mut self) {
        self.end.take();
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}

fn without_chunks(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        text += &rest[..length];
        body = rest.get(length + 2..).unwrap_or_default();
    }
    text
}
