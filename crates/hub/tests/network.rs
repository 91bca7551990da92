//! Pulling and pushing on loopback: broken connections, wrong bytes, servers without ranges, two at once.

mod common;

use std::sync::Mutex;
use std::time::Duration;

use common::{Faults, Folder, KEY_FILE, Remote, noise};
use olivine_hub::http::Credentials;
use olivine_hub::key::Key;
use olivine_hub::manifest::{FILE, MODEL, TEMPLATE};
use olivine_hub::{Digest, HubError, ModelName, Progress, Reporter, Weights};

const LARGE: usize = 21_000_001;

fn pull(folder: &Folder, name: &ModelName) -> Result<Vec<Progress>, HubError> {
    let told = Mutex::new(Vec::new());
    let report = |progress| {
        told.lock().unwrap().push(progress);
        true
    };
    folder.hub().pull(name, false, Reporter(&report))?;
    Ok(told.into_inner().unwrap())
}

#[test]
fn a_model_is_pulled_in_ranges_and_a_second_time_costs_nothing() {
    let (remote, folder) = (Remote::start(), Folder::new("pull"));
    let weights = noise(LARGE, 1);
    remote.offer("library/m/latest", &[(MODEL, &weights), (TEMPLATE, b"{{ .Prompt }}")]);
    let name = remote.name("library/m");
    let told = pull(&folder, &name).unwrap();
    let statuses: Vec<&str> = told.iter().map(|progress| progress.status.as_str()).collect();
    assert_eq!(statuses[0], "pulling manifest");
    assert_eq!(statuses[statuses.len() - 3..], ["verifying sha256 digest", "writing manifest", "success"]);
    let digest = Digest::of(&weights);
    let of_weights: Vec<&Progress> = told.iter().filter(|progress| progress.digest == Some(digest)).collect();
    assert_eq!(of_weights[0].status, format!("pulling {}", digest.short()));
    assert!(of_weights.iter().all(|progress| progress.total == LARGE as u64));
    assert_eq!(of_weights.last().unwrap().completed, LARGE as u64);
    let model = folder.hub().store().get(&name).unwrap();
    let path = model.weights().unwrap().path().to_path_buf();
    assert_eq!(Digest::of_file(&path, |_| true).unwrap(), digest);
    assert_eq!(model.template().unwrap().unwrap(), "{{ .Prompt }}");
    assert!(folder.blobs().iter().all(|blob| !blob.contains("partial")), "{:?}", folder.blobs());
    let ranges = remote.state().requests.iter().filter(|request| request.contains(&digest.hex())).count();
    assert!(ranges > 1, "one request for all of it");
    let sent = remote.state().sent;
    pull(&folder, &name).unwrap();
    assert_eq!(remote.state().sent, sent);
}

#[test]
fn broken_connections_are_taken_up_where_they_broke() {
    let (remote, folder) = (Remote::start(), Folder::new("broken"));
    let weights = noise(LARGE, 2);
    remote.offer("library/m/latest", &[(MODEL, &weights)]);
    remote.state().faults = Faults { break_after: Some((12, 1_000_000)), ..Faults::default() };
    let name = remote.name("library/m");
    pull(&folder, &name).unwrap();
    let path = folder.hub().store().blob(&Digest::of(&weights));
    assert_eq!(Digest::of_file(&path, |_| true).unwrap(), Digest::of(&weights));
    // What had come is not sent again; what a broken connection swallowed on its way is.
    assert!(remote.state().sent < LARGE + 13_000_000, "{} bytes sent", remote.state().sent);
}

#[test]
fn a_cancelled_pull_goes_on_where_it_stopped() {
    let (remote, folder) = (Remote::start(), Folder::new("cancel"));
    let weights = noise(LARGE, 3);
    remote.offer("library/m/latest", &[(MODEL, &weights)]);
    remote.state().faults.delay = Duration::from_millis(5);
    let name = remote.name("library/m");
    let stop = |progress: Progress| progress.completed < LARGE as u64 / 2;
    let error = folder.hub().pull(&name, false, Reporter(&stop)).unwrap_err();
    assert!(matches!(error, HubError::Cancelled), "{error}");
    assert!(folder.hub().store().find(&name).unwrap().is_none());
    remote.state().faults.delay = Duration::ZERO;
    // Threads of the server may still be writing into closed connections.
    std::thread::sleep(Duration::from_millis(200));
    let before = remote.state().sent;
    let told = pull(&folder, &name).unwrap();
    let first = told.iter().find(|progress| progress.total > 1_000_000).unwrap();
    assert!(first.completed >= LARGE as u64 / 2, "it begins at {}", first.completed);
    let sent = remote.state().sent - before;
    assert!(sent < LARGE * 6 / 10, "{sent} bytes sent again");
}

#[test]
fn wrong_bytes_are_not_kept() {
    let (remote, folder) = (Remote::start(), Folder::new("wrong"));
    let weights = noise(LARGE, 4);
    remote.offer("library/m/latest", &[(MODEL, &weights)]);
    remote.state().faults.wrong_bytes = 1;
    let name = remote.name("library/m");
    let error = pull(&folder, &name).unwrap_err();
    let text = format!("digest mismatch, file must be downloaded again: want {}", Digest::of(&weights));
    assert!(error.to_string().starts_with(&text), "{error}");
    assert!(folder.hub().store().find(&name).unwrap().is_none());
    assert!(!folder.hub().store().has(&Digest::of(&weights)));
    // The next one begins anew and is right.
    pull(&folder, &name).unwrap();
    assert!(folder.hub().store().has(&Digest::of(&weights)));
}

#[test]
fn a_server_without_ranges_will_do() {
    let (remote, folder) = (Remote::start(), Folder::new("whole"));
    let weights = noise(LARGE, 5);
    remote.offer("library/m/latest", &[(MODEL, &weights)]);
    remote.state().faults = Faults { no_ranges: true, break_after: Some((1, 300_000)), ..Faults::default() };
    pull(&folder, &remote.name("library/m")).unwrap();
    assert!(folder.hub().store().has(&Digest::of(&weights)));
}

#[test]
fn two_pulls_at_once_get_each_byte_once() {
    let (remote, folder) = (Remote::start(), Folder::new("two"));
    let weights = noise(LARGE, 6);
    remote.offer("library/m/latest", &[(MODEL, &weights)]);
    remote.offer("library/other/latest", &[(MODEL, &weights), (TEMPLATE, b"x")]);
    remote.state().faults.delay = Duration::from_millis(2);
    std::thread::scope(|scope| {
        for model in ["library/m", "library/m", "library/other"] {
            let (folder, name) = (&folder, remote.name(model));
            scope.spawn(move || pull(folder, &name).unwrap());
        }
    });
    assert!(remote.state().sent < LARGE + 10_000, "{} bytes sent", remote.state().sent);
    assert_eq!(folder.hub().store().list().unwrap().len(), 2);
}

#[test]
fn errors_say_what_clients_know() {
    let (remote, folder) = (Remote::start(), Folder::new("errors"));
    let error = pull(&folder, &remote.name("library/none")).unwrap_err().to_string();
    assert_eq!(error, "pull model manifest: file does not exist");
    let far = ModelName::parse("http://example.com/a/b").unwrap();
    assert!(pull(&folder, &far).unwrap_err().to_string().contains("insecure protocol http"));
    // A blob that the registry has lost.
    remote.offer("library/m/latest", &[(MODEL, b"weights")]);
    remote.state().blobs.remove(&Digest::of(b"weights").to_string());
    let error = pull(&folder, &remote.name("library/m")).unwrap_err().to_string();
    assert!(error.contains("status 404"), "{error}");
    assert!(!error.contains('?'), "{error}");
}

#[test]
fn a_token_is_got_where_one_is_wanted() {
    let (remote, folder) = (Remote::start(), Folder::new("token"));
    remote.offer("library/m/latest", &[(MODEL, b"weights")]);
    remote.state().faults.wants_token = true;
    let name = remote.name("library/m");
    let error = pull(&folder, &name).unwrap_err().to_string();
    assert!(error.contains("a token is wanted"), "{error}");
    let hub = folder.hub_with(&format!("{}=user:secret", remote.address));
    hub.pull(&name, false, Reporter::SILENT).unwrap();
    assert!(hub.store().has(&Digest::of(b"weights")));
}

#[test]
fn a_token_is_got_by_a_signature_where_the_registry_knows_the_key() {
    let (remote, folder) = (Remote::start(), Folder::new("key"));
    remote.offer("library/m/latest", &[(MODEL, b"weights")]);
    remote.state().faults.wants_token = true;
    let (begin, end) = ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----");
    let key = || Key::parse(&format!("{begin}\n{KEY_FILE}\n{end}\n")).unwrap();
    let with = |host: &str| folder.hub_of(Credentials::default().with_key(host, key()));
    let name = remote.name("library/m");
    let error = with("other.example").pull(&name, false, Reporter::SILENT).unwrap_err().to_string();
    assert!(error.contains("a token is wanted"), "{error}");
    with(&remote.address.to_string()).pull(&name, false, Reporter::SILENT).unwrap();
    assert!(folder.hub().store().has(&Digest::of(b"weights")));
}

#[test]
fn a_model_is_pushed_and_pulled_elsewhere() {
    let (remote, folder) = (Remote::start(), Folder::new("push"));
    let weights = noise(40_000_000, 7);
    let path = folder.write("weights.gguf", &weights);
    let name = remote.name("me/mine:v1");
    let modelfile = olivine_hub::Modelfile::parse("m", &format!("FROM {}\nSYSTEM hello", path.display())).unwrap();
    let recipe = olivine_hub::Recipe::of_modelfile(name.clone(), &modelfile, &folder.0).unwrap();
    folder.hub().create(&recipe, Reporter::SILENT).unwrap();
    remote.state().faults = Faults { refuse_pieces: 2, wants_token: true, ..Faults::default() };
    let hub = folder.hub_with(&format!("{}=user:secret", remote.address));
    let told = Mutex::new(Vec::new());
    let report = |progress: Progress| {
        told.lock().unwrap().push(progress.status);
        true
    };
    hub.push(&name, false, Reporter(&report)).unwrap();
    let told = told.into_inner().unwrap();
    assert_eq!(told[0], "retrieving manifest");
    assert!(told.contains(&format!("pushing {}", Digest::of(&weights).short())));
    assert_eq!(told[told.len() - 2..], ["pushing manifest", "success"]);
    // What is there is not sent again.
    let before = remote.state().requests.len();
    hub.push(&name, false, Reporter::SILENT).unwrap();
    assert!(!remote.state().requests[before..].iter().any(|request| request.starts_with("PATCH")));
    remote.state().faults = Faults::default();
    let other = Folder::new("pushed");
    pull(&other, &name).unwrap();
    let model = other.hub().store().get(&name).unwrap();
    assert_eq!(model.system().unwrap().unwrap(), "hello");
    assert_eq!(Digest::of_file(model.weights().unwrap().path(), |_| true).unwrap(), Digest::of(&weights));
}

/// The hub's address is in the environment, so a process of its own asks.
#[test]
fn repositories_of_the_hub_are_pulled() {
    let remote = Remote::start();
    let large = noise(LARGE, 8);
    {
        let mut state = remote.state();
        let mut file = |key: &str, bytes: &[u8], large: bool| {
            state.files.insert(key.into(), (bytes.to_vec(), large));
        };
        file("Org/Repo-GGUF/repo-Q4_K_M.gguf", &large, true);
        file("Org/Repo-GGUF/repo-Q8_0.gguf", b"eight", true);
        file("Org/Repo-GGUF/README.md", b"text", false);
        file("Org/Repo-GGUF/system", b"Be kind.", false);
        file("Org/Parts/q-00001-of-00002.gguf", b"one", true);
        file("Org/Parts/q-00002-of-00002.gguf", b"two", true);
        file("mlx/Small-4bit/config.json", b"{}", false);
        file("mlx/Small-4bit/model.safetensors", b"weights", true);
        file("mlx/Small-4bit/tokenizer.json", b"tokens", true);
        file("mlx/Small-4bit/.gitattributes", b"x", false);
        file("Org/Empty/README.md", b"text", false);
        state.faults.break_after = Some((2, 1_000_000));
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "hub_in_a_process_of_its_own", "--nocapture"])
        .env("HF_ENDPOINT", format!("http://{}", remote.address))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "run by the test above, with the address of a hub"]
fn hub_in_a_process_of_its_own() {
    let folder = Folder::new("hub");
    let name = |text: &str| ModelName::parse(text).unwrap();
    let store = folder.hub().store().clone();
    pull(&folder, &name("hf.co/Org/Repo-GGUF")).unwrap();
    let model = store.get(&name("huggingface.co/org/repo-gguf")).unwrap();
    let digest = Digest::of(&noise(LARGE, 8));
    assert_eq!(Digest::of_file(model.weights().unwrap().path(), |_| true).unwrap(), digest);
    assert_eq!(model.system().unwrap().unwrap(), "Be kind.");
    assert_eq!(model.config.model_format, "gguf");
    pull(&folder, &name("hf.co/Org/Repo-GGUF:q8_0")).unwrap();
    let eight = store.get(&name("hf.co/Org/Repo-GGUF:q8_0")).unwrap().weights().unwrap();
    assert_eq!(std::fs::read(eight.path()).unwrap(), b"eight");

    pull(&folder, &name("hf.co/Org/Parts")).unwrap();
    let Weights::Files(first) = store.get(&name("hf.co/Org/Parts")).unwrap().weights().unwrap() else { panic!() };
    assert!(first.ends_with("q-00001-of-00002.gguf"), "{}", first.display());
    assert_eq!(std::fs::read(first.with_file_name("q-00002-of-00002.gguf")).unwrap(), b"two");

    pull(&folder, &name("hf.co/mlx/Small-4bit")).unwrap();
    let model = store.get(&name("hf.co/mlx/Small-4bit")).unwrap();
    assert_eq!(model.manifest.of_type(FILE).count(), 3);
    let path = model.weights().unwrap().path().to_path_buf();
    assert_eq!(std::fs::read(path.join("model.safetensors")).unwrap(), b"weights");

    for (wrong, part) in [
        ("hf.co/Org/Repo-GGUF:Q2_K", "there is no `Q2_K`; there are: repo-Q"),
        ("hf.co/Org/Nothing", "does not exist, or needs a token"),
        ("hf.co/Org/Empty", "neither a GGUF file nor config.json"),
        ("hf.co/mlx/Small-4bit:other", "no GGUF file and no branch `other`"),
    ] {
        let error = pull(&folder, &name(wrong)).unwrap_err().to_string();
        assert!(error.contains(part), "{wrong}: {error}");
    }
}
