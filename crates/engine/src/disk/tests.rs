//! The store under damage: killed processes, flipped bits, a full disk, another process, another model.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn scratch() -> Scratch {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("olivine-store-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    Scratch(std::env::temp_dir().join(name))
}

fn options(folder: &Path, max_bytes: u64) -> DiskOptions {
    DiskOptions { folder: folder.into(), max_bytes, total_bytes: None }
}

fn payload(id: u64, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at as u64 * 31 + id * 7) as u8).collect()
}

/// Write a root and a chain of `count` blocks; the places of the blocks.
fn fill(store: &mut Store, count: u64, bytes: usize) -> Vec<(u64, Kind, Place)> {
    let mut parent = store.write_root("adapter\0salt").expect("there is room");
    let mut places = Vec::new();
    for _ in 0..count {
        let id = store.new_id();
        let place = store.write_part(Kind::Full, id, parent, &[id as u32; 64], payload(id, bytes)).expect("room");
        places.push((id, Kind::Full, place));
        parent = id;
    }
    places
}

fn disk_bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).expect("the folder is there");
    files.map(|file| file.expect("an entry").metadata().expect("its size").len()).sum()
}

/// What can be read.
fn payloads(store: &Store, wanted: &[(u64, Kind, Place)]) -> Vec<Option<Vec<u8>>> {
    let read = std::sync::Mutex::new(vec![None; wanted.len()]);
    let take = |index: usize, payload: &[u8]| {
        read.lock().expect("nobody panics")[index] = Some(payload.to_vec());
        true
    };
    let good = store.read(wanted, take);
    let read = read.into_inner().expect("nobody panics");
    assert!(read.iter().zip(&good).all(|(payload, good)| payload.is_some() == *good));
    read
}

/// Everything that is found and can be read is what was written.
fn check(store: &Store, found: &[Found], bytes: usize) -> usize {
    let mut good = 0;
    for found in found {
        let Content::Part(kind, place) = found.content else { continue };
        if let Some(read) = payloads(store, &[(found.id, kind, place)]).remove(0) {
            assert_eq!(read, payload(found.id, bytes));
            assert_eq!(found.tokens, [found.id as u32; 64]);
            good += 1;
        }
    }
    good
}

#[test]
fn blocks_come_back_after_a_restart() {
    let folder = scratch();
    let (mut store, found) = Store::open(options(&folder.0, 1 << 20), "model").expect("a new folder");
    assert!(found.is_empty());
    let places = fill(&mut store, 20, 5_000);
    drop(store);
    let (store, found) = Store::open(options(&folder.0, 1 << 20), "model").expect("the same folder");
    assert!(matches!(&found[0].content, Content::Root(text) if text == "adapter\0salt"));
    assert_eq!(found.len(), 21);
    assert_eq!(check(&store, &found, 5_000), 20);
    assert!(payloads(&store, &places).iter().all(Option::is_some));
    let error = Store::open(options(&folder.0, 1 << 20), "model").err().expect("it is locked");
    assert!(error.to_string().contains("another process"), "{error}");
    drop(store);
    let (_, found) = Store::open(options(&folder.0, 1 << 20), "another model").expect("the same folder");
    assert!(found.is_empty(), "a model that changed finds nothing");
}

#[test]
fn a_process_that_is_killed_leaves_whole_blocks() {
    let folder = scratch();
    let (mut store, _) = Store::open(options(&folder.0, 1 << 22), "model").expect("a new folder");
    fill(&mut store, 30, 3_000);
    // Killed: no table is written. The queue is empty when the writer has written all.
    while store.queued_bytes.load(Ordering::Acquire) > 0 {
        std::thread::yield_now();
    }
    let whole = std::fs::read(segment_path(&folder.0, 0)).expect("the first segment");
    drop(store);
    let record = HEAD_BYTES + 4 * 64 + 3_000;
    for cut in (0..whole.len()).step_by(997).chain([whole.len()]) {
        std::fs::write(segment_path(&folder.0, 0), &whole[..cut]).expect("written");
        let (store, found) = Store::open(options(&folder.0, 1 << 22), "model").expect("it opens");
        let root = SEGMENT_MAGIC.len() + HEAD_BYTES + "adapter\0salt".len();
        let expected = cut.saturating_sub(root) / record;
        assert_eq!(check(&store, &found, 3_000), expected, "cut at {cut}");
        drop(store);
        let (store, found) = Store::open(options(&folder.0, 1 << 22), "model").expect("it opens again");
        assert_eq!(check(&store, &found, 3_000), expected, "cut at {cut}");
    }
}

#[test]
fn damage_anywhere_gives_no_wrong_bytes() {
    let folder = scratch();
    let (mut store, _) = Store::open(options(&folder.0, 1 << 20), "model").expect("a new folder");
    fill(&mut store, 12, 700);
    drop(store);
    let whole = std::fs::read(segment_path(&folder.0, 0)).expect("the first segment");
    let records = SEGMENT_MAGIC.len() + HEAD_BYTES + "adapter\0salt".len() + 12 * (HEAD_BYTES + 4 * 64 + 700);
    for at in (SEGMENT_MAGIC.len()..whole.len()).step_by(61) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        std::fs::write(segment_path(&folder.0, 0), &damaged).expect("written");
        let (store, found) = Store::open(options(&folder.0, 1 << 20), "model").expect("it opens");
        let good = check(&store, &found, 700);
        // The root is in the table too, and the table is not needed when the heads are good.
        let spare = at < SEGMENT_MAGIC.len() + HEAD_BYTES + "adapter\0salt".len() || at >= records;
        assert!(good < 12 || spare, "byte {at} matters");
    }
}

#[test]
fn the_bound_holds_and_ranked_blocks_stay() {
    let folder = scratch();
    let bound = 1 << 20;
    let (mut store, _) = Store::open(options(&folder.0, bound), "model").expect("a new folder");
    let first = fill(&mut store, 1, 2_000)[0];
    let (mut first_place, mut dropped) = (first.2, 0);
    for _ in 0..3_000 {
        while store.is_full(4_000) {
            let fates = store.evict(|id, _| u64::from(id == first.0));
            assert!(!fates.is_empty());
            for (id, _, place, fate) in fates {
                match fate {
                    Fate::Moved(new) if id == first.0 && place == first_place => first_place = new,
                    Fate::Moved(_) => panic!("{id} was moved"),
                    Fate::Dropped => dropped += 1,
                }
            }
        }
        let id = store.new_id();
        store.write_part(Kind::Window, id, first.0, &[id as u32; 64], payload(id, 2_000)).expect("there is room");
        assert!(store.bytes() <= bound);
    }
    assert!(dropped > 2_000);
    drop(store);
    assert!(disk_bytes(&folder.0) <= bound, "{}", disk_bytes(&folder.0));
    let (store, found) = Store::open(options(&folder.0, bound), "model").expect("it opens");
    assert_eq!(check(&store, &found, 2_000), found.len() - 1);
    assert!(found.iter().any(|found| found.id == first.0));
    assert!(matches!(found[0].content, Content::Root(_)));
}

#[test]
fn a_disk_that_takes_nothing_more_pauses_the_store() {
    let folder = scratch();
    let (mut store, _) = Store::open(options(&folder.0, 1 << 20), "model").expect("a new folder");
    let places = fill(&mut store, 5, 1_000);
    while store.queued_bytes.load(Ordering::Acquire) > 0 {
        std::thread::yield_now();
    }
    // Somebody else's bytes in the file are an error of the next write, as a full disk is.
    let file = OpenOptions::new().append(true).open(segment_path(&folder.0, 0)).expect("it is there");
    file.set_len(places[4].2.offset + 10).expect("shortened");
    let id = store.new_id();
    let lost = store.write_part(Kind::Full, id, 1, &[1], payload(id, 100)).expect("it is on its way");
    while store.queued_bytes.load(Ordering::Acquire) > 0 {
        std::thread::yield_now();
    }
    assert_eq!(store.failed(), [(id, Kind::Full, lost)]);
    assert!(!store.is_ready(), "writing pauses");
    assert!(store.last_error().is_some_and(|error| error.contains(".kv")));
    let read = payloads(&store, &places);
    assert!(read[..4].iter().all(Option::is_some) && read[4].is_none());
    // Later blocks go to a new segment.
    let id = store.new_id();
    let place = store.write_part(Kind::Full, id, 1, &[1], payload(id, 100)).expect("it is on its way");
    assert_eq!(place.segment, 1);
}

#[test]
fn stores_beside_each_other_share_a_bound() {
    let scratch = scratch();
    let total = 20 << 20;
    let options =
        |name: &str| DiskOptions { folder: scratch.0.join(name), max_bytes: 8 << 20, total_bytes: Some(total) };
    let all = || {
        ["a", "b", "c", "d"]
            .map(|name| scratch.0.join(name))
            .iter()
            .filter(|f| f.is_dir())
            .map(|f| disk_bytes(f))
            .sum::<u64>()
    };
    for name in ["a", "b"] {
        fill(&mut Store::open(options(name), "m").expect("a store").0, 6, 1 << 20);
        // So that files have other times.
        std::thread::sleep(Duration::from_millis(20));
    }
    let (both, first) = (all(), disk_bytes(&scratch.0.join("a")));
    assert!(first > 6 << 20 && both > 12 << 20);
    // A third fits only without the one that nobody used for longest.
    let (mut third, _) = Store::open(options("c"), "m").expect("a store");
    assert!(disk_bytes(&scratch.0.join("a")) < 1000 && disk_bytes(&scratch.0.join("b")) > 6 << 20);
    fill(&mut third, 6, 1 << 20);
    // One in use counts with what it may take.
    let (second, found) = Store::open(options("b"), "m").expect("a store");
    assert_eq!(check(&second, &found, 1 << 20), 6);
    let (fourth, _) = Store::open(options("d"), "m").expect("a store");
    assert_eq!(fourth.options.max_bytes, 4 << 20);
    let error = Store::open(options("a"), "m").err().expect("there is nothing left");
    assert!(error.to_string().contains("other models"), "{error}");
    drop((second, third, fourth));
    assert!(all() <= total);
    // A store that may take less than it has gives up its oldest blocks.
    let (store, found) = Store::open(DiskOptions { max_bytes: 4 << 20, ..options("b") }, "m").expect("a store");
    assert!(disk_bytes(&scratch.0.join("b")) <= 4 << 20);
    assert_eq!(check(&store, &found, 1 << 20), found.len());
}
