//! `kill -9` at any instant while the disk tier is written: the next start finds whole blocks, gives the same bits, and
//! keeps the bound. `OLIVINE_KILLS` sets how often.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Numbers, answer, bits, request, tiny};
use olivine_engine::{DiskOptions, Engine, EngineOptions, Request};
use olivine_testkit::place::Place;

const CASE: &str = "gemma3";
const FOLDER: &str = "OLIVINE_ENGINE_CHILD";
const MAX_BYTES: u64 = 6 << 20;

fn engine(folder: &Path) -> Engine {
    let disk = DiskOptions { folder: PathBuf::from(folder), max_bytes: MAX_BYTES, total_bytes: None };
    Engine::start(tiny(CASE), EngineOptions { disk: Some(disk), ..EngineOptions::default() })
}

fn ask(seed: u64) -> Request {
    request(Numbers(seed).tokens(100 + 90 * (seed as usize % 9), 120), 12, seed)
}

/// Not a test of its own: what the killed process runs.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let engine = engine(Path::new(&folder));
    for seed in (0..40).cycle() {
        answer(&engine.submit(ask(seed)).expect("it fits"));
    }
}

#[test]
fn a_killed_process_leaves_a_store_that_is_whole_and_within_its_bound() {
    let kills = std::env::var("OLIVINE_KILLS").map_or(12, |count| count.parse().expect("a number"));
    let plain = Engine::start(tiny(CASE), EngineOptions::default());
    let expected: Vec<_> = (0..40).map(|seed| bits(&answer(&plain.submit(ask(seed)).expect("it fits")).0)).collect();
    let folder = Place::new("kill");
    let (mut numbers, mut from_disk) = (Numbers(3), 0);
    for round in 0..kills {
        let mut child = Command::new(std::env::current_exe().expect("the test has a file"))
            .args(["child", "--exact"])
            .env(FOLDER, folder.as_os_str())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        std::thread::sleep(Duration::from_millis(40 + numbers.below(250) as u64));
        child.kill().expect("it runs until it is killed");
        child.wait().expect("it was killed");
        let began = Instant::now();
        let engine = engine(&folder);
        engine.probe(ask(0)).expect("the engine is up");
        let start = began.elapsed();
        for _ in 0..6 {
            let seed = numbers.below(40);
            let (tokens, finished) = answer(&engine.submit(ask(seed as u64)).expect("it fits"));
            assert_eq!(bits(&tokens), expected[seed], "round {round}, request {seed}");
            from_disk += finished.usage.disk_tokens;
        }
        assert_eq!(engine.status().disk_error, None, "round {round}, started in {start:?}");
        drop(engine);
        let bytes: u64 = std::fs::read_dir(&*folder)
            .expect("the folder is there")
            .map(|file| file.expect("an entry").metadata().expect("its size").len())
            .sum();
        assert!(bytes <= MAX_BYTES, "round {round}: {bytes} bytes");
    }
    assert!(from_disk > 0, "nothing was ever read from disk");
}
