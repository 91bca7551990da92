//! `olivine pull` as a process: killed and taken up again, two at once, one store for both.

mod common;
#[path = "../../hub/tests/common/mod.rs"]
mod remote;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, program};
use olivine_hub::manifest::MODEL;
use olivine_hub::{Digest, ModelName, Store};
use remote::{Remote, noise};

const LARGE: usize = 30_000_001;

fn pull(folder: &Folder, name: &str) -> Command {
    let mut command = program(&["pull", name]);
    command.env("OLIVINE_MODELS", folder.join("store")).stdout(Stdio::null());
    command
}

/// Waits for something that must come, however slow the machine is.
fn wait(what: &str, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(120), "{what} does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_killed_pull_goes_on_where_it_was() {
    let (remote, folder) = (Remote::start(), Folder::new("pull-killed"));
    let weights = noise(LARGE, 1);
    remote.offer("library/m/latest", &[(MODEL, &weights)]);
    let name = format!("{}/library/m", remote.address);
    // Half of it takes seconds, for what the last half second brought may be asked for again.
    remote.state().faults.delay = Duration::from_millis(100);
    let mut child = pull(&folder, &name).spawn().expect("the program starts");
    wait("a half", || remote.state().sent > LARGE / 2);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let store = Store::at(folder.join("store"));
    let parsed = ModelName::parse(&name).expect("a name");
    assert!(store.find(&parsed).expect("a store").is_none() && !store.has(&Digest::of(&weights)));
    remote.state().faults.delay = Duration::ZERO;
    // Threads of the server may still be writing into the dead connections.
    std::thread::sleep(Duration::from_millis(300));
    let before = remote.state().sent;
    let output = pull(&folder, &name).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let again = remote.state().sent - before;
    assert!(again < LARGE * 3 / 4, "{again} of {LARGE} bytes were sent again");
    let model = store.get(&parsed).expect("it is there");
    let path = model.weights().expect("weights").path().to_path_buf();
    assert_eq!(Digest::of_file(&path, |_| true).expect("readable"), Digest::of(&weights));
}

#[test]
fn two_processes_download_once() {
    let (remote, folder) = (Remote::start(), Folder::new("pull-two"));
    let weights = noise(LARGE, 2);
    remote.offer("library/m/latest", &[(MODEL, &weights)]);
    let name = format!("{}/library/m", remote.address);
    remote.state().faults.delay = Duration::from_millis(4);
    let children: Vec<_> = (0..2).map(|_| pull(&folder, &name).spawn().expect("the program starts")).collect();
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(remote.state().sent < LARGE + 100_000, "{} of {LARGE} bytes were sent", remote.state().sent);
    let errors = pull(&folder, &format!("{}/library/none", remote.address)).output().expect("the program starts");
    let text = String::from_utf8_lossy(&errors.stderr);
    assert!(!errors.status.success() && text.contains("pull model manifest: file does not exist"), "{text}");
}
