//! The store: names on disk as Ollama writes them, shared blobs, what goes and what stays.

mod common;

use common::{Folder, PlainWorkshop, noise};
use olivine_hub::create::create;
use olivine_hub::manifest::{MODEL, PARAMS, SYSTEM};
use olivine_hub::{Digest, HubError, ModelName, Modelfile, Recipe, Reporter, Weights};
use serde_json::json;

fn name(text: &str) -> ModelName {
    ModelName::parse(text).unwrap()
}

fn make(folder: &Folder, model: &str, modelfile: &str) -> Result<(), HubError> {
    let modelfile = Modelfile::parse("Modelfile", modelfile)?;
    let recipe = Recipe::of_modelfile(name(model), &modelfile, &folder.0)?;
    create(folder.hub().store(), &recipe, &PlainWorkshop, Reporter::SILENT)
}

#[test]
fn a_model_is_created_shown_copied_and_removed() {
    let folder = Folder::new("life");
    let store = folder.hub().store().clone();
    let weights = noise(5000, 1);
    folder.write("weights.gguf", &weights);
    let modelfile = "FROM ./weights.gguf\nTEMPLATE {{ .Prompt }}\nSYSTEM Be kind.\nPARAMETER stop <end>\n\
                     PARAMETER temperature 0.5\nMESSAGE user hi\nMESSAGE assistant ho\nLICENSE MIT\n";
    make(&folder, "first", modelfile).unwrap();

    let path = folder.0.join("store/manifests/registry.ollama.ai/library/first/latest");
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["layers"][0]["mediaType"], MODEL);
    assert_eq!(manifest["layers"][0]["digest"], Digest::of(&weights).to_string());
    let blob = folder.0.join("store/blobs").join(Digest::of(&weights).file_name());
    assert_eq!(std::fs::read(&blob).unwrap(), weights);

    let model = store.get(&name("FIRST")).unwrap();
    assert_eq!(model.weights().unwrap(), Weights::Gguf(blob.clone()));
    assert_eq!(model.system().unwrap().unwrap(), "Be kind.");
    assert_eq!(serde_json::Value::Object(model.parameters().unwrap()), json!({"stop": ["<end>"], "temperature": 0.5}));
    assert_eq!(model.messages().unwrap()[1], json!({"role": "assistant", "content": "ho"}));
    let printed = model.modelfile().unwrap().to_string();
    assert_eq!(printed, modelfile.replace("./weights.gguf", &blob.display().to_string()));

    let blobs = folder.blobs();
    store.copy(&name("first"), &name("me/second:v1")).unwrap();
    assert_eq!(folder.blobs(), blobs, "a copy has no blobs of its own");
    let listed: Vec<String> = store.list().unwrap().iter().map(|model| model.name.short()).collect();
    assert_eq!(listed.len(), 2, "{listed:?}");
    store.remove(&name("First")).unwrap();
    assert_eq!(folder.blobs(), blobs, "the second name needs them");
    assert!(matches!(store.get(&name("first")), Err(HubError::NotFound(_))));
    assert!(!path.parent().unwrap().exists(), "empty folders go");
    store.remove(&name("me/second:v1")).unwrap();
    assert_eq!(folder.blobs(), Vec::<String>::new());
    assert_eq!(store.remove(&name("first")).unwrap_err().to_string(), "model 'first:latest' not found");
}

#[test]
fn what_a_modelfile_does_not_say_is_taken_over() {
    let folder = Folder::new("inherit");
    let store = folder.hub().store().clone();
    folder.write("weights.gguf", &noise(100, 2));
    make(&folder, "base", "FROM weights.gguf\nSYSTEM old\nPARAMETER top_k 5\nPARAMETER stop a\nLICENSE MIT").unwrap();
    make(&folder, "child", "FROM base\nSYSTEM new\nPARAMETER stop b\nPARAMETER seed 3").unwrap();
    let (base, child) = (store.get(&name("base")).unwrap(), store.get(&name("child")).unwrap());
    assert_eq!(child.system().unwrap().unwrap(), "new");
    assert_eq!(serde_json::Value::Object(child.parameters().unwrap()), json!({"top_k": 5, "stop": ["b"], "seed": 3}));
    assert_eq!(child.licenses().unwrap(), ["MIT"]);
    assert_eq!(child.weights().unwrap(), base.weights().unwrap());
    assert_eq!(child.manifest.of_type(SYSTEM).count(), 1);
    assert_eq!(child.manifest.of_type(PARAMS).count(), 1);
    assert_eq!(child.config.model_family, "test");
    // The old texts go with a new version of the name.
    let before = folder.blobs().len();
    make(&folder, "child", "FROM base\nSYSTEM newer").unwrap();
    assert!(folder.blobs().len() < before);
    assert_eq!(store.get(&name("child")).unwrap().system().unwrap().unwrap(), "newer");
    let error = make(&folder, "x", "FROM ./nothing.gguf").unwrap_err().to_string();
    assert!(error.contains("FROM ./nothing.gguf: no such file"), "{error}");
    let error = make(&folder, "x", "FROM base\nPARAMETER warmth 3").unwrap_err().to_string();
    assert!(error.contains("unknown parameter 'warmth'"), "{error}");
}

#[test]
fn a_folder_is_a_model_of_links() {
    let folder = Folder::new("folder");
    let store = folder.hub().store().clone();
    for (file, bytes) in [
        ("model/config.json", &b"{}"[..]),
        ("model/model.safetensors", b"weights"),
        ("model/tokenizer.json", b"tokens"),
        ("model/1_Pooling/config.json", b"pool"),
        ("model/README.md", b"not a part"),
        ("model/.git/config", b"not a part"),
    ] {
        folder.write(file, bytes);
    }
    make(&folder, "m", "FROM ./model").unwrap();
    let model = store.get(&name("m")).unwrap();
    let Weights::Files(path) = model.weights().unwrap() else { panic!("a folder") };
    assert_eq!(std::fs::read(path.join("model.safetensors")).unwrap(), b"weights");
    assert_eq!(std::fs::read(path.join("1_Pooling/config.json")).unwrap(), b"pool");
    assert!(!path.join("README.md").exists());
    assert_eq!(model.config.model_format, "safetensors");
    // It can be made from its own Modelfile, and quantized.
    make(&folder, "again", &model.modelfile().unwrap().to_string()).unwrap();
    let modelfile = Modelfile::parse("m", "FROM m").unwrap();
    let recipe = Recipe::of_modelfile(name("small"), &modelfile, &folder.0).unwrap();
    let recipe = Recipe { quantize: Some("q4_0".into()), ..recipe };
    create(&store, &recipe, &PlainWorkshop, Reporter::SILENT).unwrap();
    let small = store.get(&name("small")).unwrap();
    assert_eq!(std::fs::read(small.weights().unwrap().path()).unwrap(), b"q4_0weights");
    let error = create(&store, &Recipe { quantize: Some("q0".into()), ..recipe }, &PlainWorkshop, Reporter::SILENT);
    assert_eq!(error.unwrap_err().to_string(), "unsupported quantization type q0");
    for model in ["m", "again", "small"] {
        store.remove(&name(model)).unwrap();
    }
    assert_eq!(folder.blobs(), Vec::<String>::new());
    assert!(!path.exists(), "the links go with the model");
    assert!(!folder.0.join("store/scratch").exists());
}

#[test]
fn blobs_must_be_what_they_are_called() {
    let folder = Folder::new("blobs");
    let store = folder.hub().store().clone();
    let digest = Digest::of(b"right");
    let error = store.receive(&digest, &mut &b"wrong"[..], "a client".as_ref()).unwrap_err();
    assert!(matches!(error, HubError::DigestMismatch { .. }));
    assert_eq!(folder.blobs(), Vec::<String>::new(), "nothing is left");
    store.receive(&digest, &mut &b"right"[..], "a client".as_ref()).unwrap();
    assert!(store.has(&digest));
    // Without a manifest a blob stays for an hour.
    assert_eq!(store.prune().unwrap(), 0);
    assert!(store.has(&digest));
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(4000);
    std::fs::File::open(store.blob(&digest)).unwrap().set_modified(hour_ago).unwrap();
    assert_eq!(store.prune().unwrap(), 5);
    assert!(!store.has(&digest));
}

#[test]
fn a_manifest_is_not_trusted() {
    let folder = Folder::new("hostile");
    let store = folder.hub().store().clone();
    let config = store.add_bytes("c", b"{}").unwrap();
    let file = store.add_bytes("f", b"x").unwrap();
    for path in ["../../escaped", "/tmp/escaped", "a/../../escaped", ""] {
        let manifest = json!({
            "schemaVersion": 2,
            "config": config,
            "layers": [{"mediaType": olivine_hub::manifest::FILE, "digest": file.digest, "size": 1, "name": path}],
        });
        store.write(&name("evil"), manifest.to_string().as_bytes()).unwrap();
        assert!(store.get(&name("evil")).unwrap().weights().is_err(), "{path}");
    }
    for digest in ["sha256:../../../etc/passwd", "", "sha256:00"] {
        let layer = json!({"mediaType": MODEL, "digest": digest, "size": 1});
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
        assert!(store.write(&name("evil"), manifest.to_string().as_bytes()).is_err(), "{digest}");
    }
    let missing = json!({"mediaType": MODEL, "digest": Digest::of(b"missing"), "size": 7});
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [missing]});
    let error = store.write(&name("gone"), manifest.to_string().as_bytes()).unwrap_err().to_string();
    assert!(error.contains("is not here"), "{error}");
}
