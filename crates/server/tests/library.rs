//! The store behind `/api`: made, listed, shown, copied, answered by and deleted; blobs; what is refused.

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use common::{Server, catalog, folder as mica, options};
use olivine_engine::EngineOptions;
use olivine_hub::http::Credentials;
use olivine_hub::{Description, Digest, Hub, ModelName, Store, Workshop};
use olivine_server::state::App;
use olivine_server::{Catalog, Details, Library, ModelCard};
use serde_json::{Value, json};

struct Plain;

impl Workshop for Plain {
    fn describe(&self, _path: &std::path::Path) -> Result<Description, String> {
        let text = |text: &str| text.to_string();
        let (format, family) = (text("safetensors"), text("qwen3"));
        Ok(Description { format, family, parameter_size: text("32.0M"), quantization: text("affine8") })
    }

    fn quantize(
        &self,
        _source: &std::path::Path,
        _target: &std::path::Path,
        _format: &str,
        _progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<(), String> {
        Err("nothing is quantized here".into())
    }

    fn makes_gguf(&self, format: &str) -> Option<bool> {
        (format == "q4_0").then_some(true)
    }
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The names of the test catalog, and those of a store whose models all are Mica.
fn start(name: &str) -> (Server, Folder) {
    let path = std::env::temp_dir().join(format!("olivine-server-{name}-{}", std::process::id()));
    let store = Store::at(&path);
    let hub = Hub::new(store.clone(), Credentials::default(), Arc::new(Plain));
    let plain = catalog(EngineOptions::default());
    let (find, load, list) = (plain.find.clone(), plain.load.clone(), plain.list.clone());
    let of_store = move |wanted: &str| {
        let model = store.find(&ModelName::parse(wanted).ok()?).ok()??;
        let mica = (plain.find)("mica")?;
        Some(ModelCard {
            name: model.name.short(),
            digest: model.digest.hex(),
            license: model.licenses().ok()?.join("\n"),
            modelfile: model.modelfile().ok()?.to_string(),
            system: model.system().ok()?.unwrap_or_default(),
            messages: model.messages().ok()?,
            options: model.parameters().ok()?,
            stored: true,
            ..mica
        })
    };
    let stored = hub.store().clone();
    let known = of_store.clone();
    let catalog = Catalog {
        find: Arc::new(move |wanted: &str| find(wanted).or_else(|| of_store(wanted))),
        list: Arc::new(move || {
            let names = stored.list().unwrap().into_iter().map(|model| model.name.short());
            list().into_iter().chain(names.filter_map(|name| known(&name))).collect()
        }),
        load: Arc::new(move |card: &ModelCard| load(card)),
    };
    let details = Details {
        info: json!({"general.name": "Mica"}).as_object().unwrap().clone(),
        tensors: vec![("a.weight".into(), "BF16".into(), vec![2, 3])],
    };
    let inspect = move |_: &ModelCard, verbose: bool| {
        Ok(if verbose { details.clone() } else { Details { tensors: Vec::new(), ..details.clone() } })
    };
    let library = Library { hub, inspect: Arc::new(inspect), device: "CPU".into() };
    let app = App::with_library(options(), catalog, Some(library));
    (Server::of(app), Folder(path))
}

fn upload(server: &Server, bytes: &str) -> String {
    let digest = Digest::of(bytes.as_bytes()).to_string();
    let path = format!("/api/blobs/{digest}");
    assert_eq!(server.ask("HEAD", &path, "", "").0, 404);
    assert_eq!(server.ask("POST", &path, "", bytes), (201, String::new()));
    assert_eq!(server.ask("HEAD", &path, "", "").0, 200);
    digest
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A model of Mica's configuration and a few bytes.
fn create(server: &Server, name: &str, rest: Value) -> Vec<Value> {
    let config = std::fs::read_to_string(mica().join("config.json")).unwrap();
    let digests = ["weights", "tokens", config.as_str()].map(|bytes| {
        let digest = Digest::of(bytes.as_bytes()).to_string();
        if server.ask("HEAD", &format!("/api/blobs/{digest}"), "", "").0 == 404 {
            upload(server, bytes);
        }
        digest
    });
    let files = json!({"model.safetensors": digests[0], "tokenizer.json": digests[1], "config.json": digests[2]});
    let mut request = json!({"model": name, "files": files});
    request.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    let (status, text) = server.post("/api/create", &request);
    assert_eq!(status, 200, "{text}");
    lines(&text)
}

#[test]
fn a_model_is_created_answers_and_is_deleted() {
    let (server, _folder) = start("life");
    let rest = json!({
        "system": "Answer in one word.",
        "parameters": {"temperature": 0, "num_predict": 4, "stop": ["Paris"]},
        "license": ["MIT", "and more"],
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
    });
    let told = create(&server, "small", rest);
    assert_eq!(told.last().unwrap(), &json!({"status": "success"}));
    assert!(told.contains(&json!({"status": "writing manifest"})), "{told:?}");

    let (_, tags) = server.ask("GET", "/api/tags", "", "");
    let tags: Value = serde_json::from_str(&tags).unwrap();
    let names: Vec<&str> = tags["models"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"small:latest"), "{names:?}");
    let (_, shown) = server.post("/api/show", &json!({"model": "small", "verbose": true}));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["license"], "MIT\nand more");
    assert_eq!(shown["system"], "Answer in one word.");
    assert_eq!(shown["messages"][1]["content"], "b");
    let parameters = shown["parameters"].as_str().unwrap();
    assert!(parameters.contains("stop                           \"Paris\""), "{parameters}");
    assert!(shown["modelfile"].as_str().unwrap().contains("SYSTEM Answer in one word."));
    assert_eq!(shown["model_info"]["general.name"], "Mica");
    assert_eq!(shown["tensors"], json!([{"name": "a.weight", "type": "BF16", "shape": [2, 3]}]));
    let (_, brief) = server.post("/api/show", &json!({"model": "mica"}));
    let brief: Value = serde_json::from_str(&brief).unwrap();
    assert_eq!((brief.get("tensors"), brief.get("system"), brief.get("messages")), (None, None, None));

    // The manifest holds in every dialect: its messages are in the prompt, its limit and its stop string in the answer.
    let question = json!([{"role": "user", "content": "What is the capital of France?"}]);
    let greedy = json!({"temperature": 0});
    let request = json!({"model": "small", "messages": question, "stream": false, "options": greedy});
    let (status, answer) = server.post("/api/chat", &request);
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(answer["eval_count"].as_u64().unwrap() <= 4, "{answer}");
    assert!(!answer["message"]["content"].as_str().unwrap().contains("Paris"), "{answer}");
    let whole = json!([
        {"role": "system", "content": "Answer in one word."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "What is the capital of France?"},
    ]);
    let by_hand = json!({"model": "mica", "messages": whole, "max_tokens": 4, "temperature": 0});
    let (_, by_hand) = server.post("/v1/chat/completions", &by_hand);
    let by_hand: Value = serde_json::from_str(&by_hand).unwrap();
    assert_eq!(answer["prompt_eval_count"], by_hand["usage"]["prompt_tokens"]);
    let openai = json!({"model": "small", "messages": question, "temperature": 0});
    let (_, openai) = server.post("/v1/chat/completions", &openai);
    let openai: Value = serde_json::from_str(&openai).unwrap();
    assert_eq!(openai["choices"][0]["message"]["content"], answer["message"]["content"]);

    // A second version of the name is another model, though the first is in memory.
    create(&server, "small", json!({"system": "Shout.", "parameters": {"num_predict": 1}}));
    let (_, again) = server.post("/api/chat", &request);
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["eval_count"], 1, "{again}");

    assert_eq!(server.post("/api/copy", &json!({"source": "small", "destination": "me/other"})), (200, String::new()));
    assert_eq!(server.ask("DELETE", "/api/delete", "", r#"{"model":"small"}"#), (200, String::new()));
    assert_eq!(server.post("/api/show", &json!({"model": "small"})).0, 404);
    let (_, loaded) = server.ask("GET", "/api/ps", "", "");
    assert!(!loaded.contains("small"), "{loaded}");
    assert_eq!(server.post("/api/show", &json!({"model": "me/other"})).0, 200);
}

#[test]
fn what_is_wrong_is_said_in_ollamas_words() {
    let (server, folder) = start("wrong");
    let error = |(status, text): (u16, String)| {
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        (status, value["error"].as_str().unwrap().to_string())
    };
    let post = |path: &str, body: Value| error(server.post(path, &body));
    let is = |(status, text): (u16, String), code: u16, words: &str| {
        assert_eq!((status, text.as_str()), (code, words));
    };
    is(post("/api/pull", json!({"model": "../x"})), 400, "invalid model name");
    is(post("/api/push", json!({"model": ""})), 400, "invalid model name");
    is(post("/api/create", json!({"model": "x"})), 400, "neither 'from' or 'files' was specified");
    is(post("/api/create", json!({"model": "x", "from": "/etc/passwd"})), 400, "invalid model name");
    is(post("/api/create", json!({"model": "x", "from": "./folder"})), 400, "invalid model name");
    let digest = Digest::of(b"x").to_string();
    let escape = json!({"model": "x", "files": {"../../x": digest}});
    is(post("/api/create", escape), 400, "invalid file name");
    is(post("/api/copy", json!({"source": "none", "destination": "y"})), 404, "model \"none\" not found");
    is(post("/api/copy", json!({"source": "..", "destination": "y"})), 400, "source \"..\" is invalid");
    is(error(server.ask("DELETE", "/api/delete", "", r#"{"name":"none"}"#)), 404, "model 'none' not found");
    is(error(server.ask("POST", "/api/blobs/sha256:12", "", "x")), 400, "invalid digest format");
    assert_eq!(server.ask("HEAD", "/api/blobs/..%2F..%2Fetc%2Fpasswd", "", "").0, 400);
    let (status, text) = error(server.ask("POST", &format!("/api/blobs/{digest}"), "", "y"));
    assert_eq!(status, 400);
    assert!(text.starts_with(&format!("digest mismatch, expected \"{digest}\", got \"sha256:")), "{text}");
    // A registry that nobody answers for: an error in the stream, and as a status without one.
    let (status, text) = server.post("/api/pull", &json!({"model": "127.0.0.1:9/a/b"}));
    assert_eq!(status, 200);
    assert_eq!(lines(&text)[0], json!({"status": "pulling manifest"}));
    assert!(lines(&text).last().unwrap()["error"].as_str().unwrap().starts_with("pull model manifest: "), "{text}");
    assert_eq!(post("/api/pull", json!({"model": "127.0.0.1:9/a/b", "stream": false})).0, 500);
    let told = lines(&server.post("/api/create", &json!({"model": "x", "files": {"m.gguf": digest}})).1);
    assert!(told.last().unwrap()["error"].as_str().unwrap().contains("is not here"), "{told:?}");
    let files = std::fs::read_dir(folder.0.join("blobs")).into_iter().flatten().count();
    assert_eq!(files, 0, "nothing is left of what was refused");
}

#[test]
fn a_server_without_a_store_says_so() {
    let server = Server::plain();
    let (status, text) = server.post("/api/pull", &json!({"model": "x"}));
    assert_eq!((status, text.contains("without a store")), (503, true), "{text}");
}
