//! What a model's files contain, as one digest: caches on disk belong to weights, not to names.
//!
//! Every byte of the weights and of config.json counts. That takes as long as reading them once, so digests are
//! remembered in a small file, under the size, the times and the inode that each file had. Read next: `model.rs`.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::ModelError;
use crate::files::ModelFiles;

/// Bytes that one thread hashes at a time. A part of the digest: another number, another digest.
const CHUNK_BYTES: u64 = 16 << 20;

/// The files that decide what a model computes: a GGUF file, or the configuration and the weights of a folder.
pub fn model_files(path: &Path) -> Result<Vec<PathBuf>, ModelError> {
    if path.is_file() {
        return Ok(vec![path.into()]);
    }
    let io = |source| ModelError::Io { path: path.into(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        let is_weights = file.extension().is_some_and(|ending| ending == "safetensors");
        if is_weights || file.file_name().is_some_and(|name| name == "config.json" || name == "adapter_config.json") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Digest of a model's files in hex; `remembered` is a file of digests that are known.
pub fn of_model(path: &Path, remembered: Option<&Path>) -> Result<String, ModelError> {
    let mut known = remembered.map(read_known).unwrap_or_default();
    let (mut parts, mut learned) = (Vec::new(), false);
    for file in model_files(path)? {
        let io = |source| ModelError::Io { path: file.clone(), source };
        // The name in the folder counts: two files that changed places are another model.
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = file.canonicalize().map_err(io)?;
        let (key, stamp) = (file.display().to_string(), stamp(&file.metadata().map_err(io)?));
        let digest = match known.get(&key).filter(|(then, _)| *then == stamp) {
            Some((_, digest)) => digest.clone(),
            None => {
                let digest = of_file(&file)?;
                known.insert(key, (stamp, digest.clone()));
                learned = true;
                digest
            }
        };
        parts.push(format!("{name} {digest}\n"));
    }
    if let Some(file) = remembered.filter(|_| learned) {
        // Whoever cannot write it computes the digests again next time.
        let _ = write_known(file, &known);
    }
    // A GGUF file is the model whatever it is called.
    let text =
        if path.is_file() { parts[0].rsplit(' ').next().unwrap_or_default().to_string() } else { parts.concat() };
    Ok(of_text(&text))
}

/// Digest of files that lie in memory.
pub fn of_memory(files: &ModelFiles) -> String {
    let mut hasher = Sha256::new();
    hasher.update(files.config);
    hasher.update(files.weights);
    hex(&hasher.finalize())
}

/// Digest of a text.
pub fn of_text(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// Digest of a file: that of its chunks' digests, which threads take one by one.
fn of_file(path: &Path) -> Result<String, ModelError> {
    let io = |source| ModelError::Io { path: path.into(), source };
    let bytes = path.metadata().map_err(io)?.len();
    let chunks = bytes.div_ceil(CHUNK_BYTES) as usize;
    let digests = Mutex::new(vec![[0u8; 32]; chunks]);
    let next = AtomicUsize::new(0);
    let work = || -> std::io::Result<()> {
        let (mut file, mut buffer) = (File::open(path)?, vec![0; 1 << 20]);
        loop {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            if chunk >= chunks {
                return Ok(());
            }
            let start = chunk as u64 * CHUNK_BYTES;
            let mut left = CHUNK_BYTES.min(bytes - start) as usize;
            file.seek(SeekFrom::Start(start))?;
            let mut hasher = Sha256::new();
            while left > 0 {
                let piece = left.min(buffer.len());
                file.read_exact(&mut buffer[..piece])?;
                hasher.update(&buffer[..piece]);
                left -= piece;
            }
            digests.lock().unwrap_or_else(PoisonError::into_inner)[chunk] = hasher.finalize().into();
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(chunks).max(1);
    let results: Vec<_> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        readers
            .into_iter()
            .map(|reader| reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    results.into_iter().collect::<std::io::Result<()>>().map_err(io)?;
    let digests = digests.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(hex(&Sha256::digest(digests.concat())))
}

/// Stamps and digests by path.
type Known = BTreeMap<String, (String, String)>;

fn read_known(path: &Path) -> Known {
    let text = std::fs::read(path).unwrap_or_default();
    let Ok(Value::Object(entries)) = serde_json::from_slice(&text) else { return Known::new() };
    let entry = |(path, entry): (String, Value)| {
        let text = |key: &str| entry[key].as_str().map(str::to_string);
        Some((path, (text("stamp")?, text("sha256")?)))
    };
    entries.into_iter().filter_map(entry).collect()
}

fn write_known(path: &Path, known: &Known) -> std::io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let entry = |(path, (stamp, digest)): (&String, &(String, String))| {
        (path.clone(), json!({"stamp": stamp, "sha256": digest}))
    };
    // Files that are gone need not be remembered.
    let here = known.iter().filter(|(path, _)| Path::new(path).exists());
    let entries: Map<String, Value> = here.map(entry).collect();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let fresh = path.with_extension(format!("{}-{number}.new", std::process::id()));
    std::fs::write(&fresh, Value::Object(entries).to_string())?;
    std::fs::rename(&fresh, path)
}

/// What changes when a file does.
fn stamp(metadata: &Metadata) -> String {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("{} {} {}", metadata.len(), modified.unwrap_or_default().as_nanos(), inode(metadata))
}

/// The inode and when it changed, which no program can set back.
#[cfg(unix)]
fn inode(metadata: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("{}:{} {}.{:09}", metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> String {
    String::new()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn scratch(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("olivine-digest-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary folder can be written");
        Scratch(path)
    }

    #[test]
    fn every_byte_counts_and_names_of_gguf_files_do_not() {
        let scratch = scratch("bytes");
        let path = scratch.0.join("a.gguf");
        let mut bytes = vec![7u8; 2 * CHUNK_BYTES as usize + 5];
        std::fs::write(&path, &bytes).expect("written");
        let first = of_model(&path, None).expect("readable");
        assert_eq!(first.len(), 64);
        let copy = scratch.0.join("b.gguf");
        std::fs::copy(&path, &copy).expect("copied");
        assert_eq!(of_model(&copy, None).expect("readable"), first);
        for at in [0, CHUNK_BYTES as usize, 2 * CHUNK_BYTES as usize + 4] {
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).expect("written");
            assert_ne!(of_model(&path, None).expect("readable"), first, "byte {at}");
            bytes[at] ^= 1;
        }
    }

    #[test]
    fn a_folder_is_its_weights_and_its_configuration() {
        let scratch = scratch("folder");
        let write = |name: &str, text: &str| std::fs::write(scratch.0.join(name), text).expect("written");
        write("config.json", "{}");
        write("a.safetensors", "one");
        write("b.safetensors", "two");
        write("README.md", "words");
        let digest = || of_model(&scratch.0, None).expect("readable");
        let first = digest();
        write("README.md", "other words");
        assert_eq!(digest(), first);
        write("config.json", "{ }");
        assert_ne!(digest(), first);
        write("config.json", "{}");
        write("a.safetensors", "two");
        write("b.safetensors", "one");
        assert_ne!(digest(), first, "files that changed places");
        assert!(of_model(&scratch.0.join("none"), None).is_err());
    }

    #[test]
    fn a_digest_is_remembered_until_the_file_changes() {
        let scratch = scratch("known");
        let (path, known) = (scratch.0.join("m.gguf"), scratch.0.join("data/digests.json"));
        std::fs::write(&path, "weights").expect("written");
        let first = of_model(&path, Some(&known)).expect("readable");
        // What is remembered is believed, so a wrong memory shows that the file was not read again.
        let text = std::fs::read_to_string(&known).expect("it was written");
        let digest = hex(&Sha256::digest(Sha256::digest("weights")));
        assert!(text.contains(&digest), "{text}");
        std::fs::write(&known, text.replace(&digest, &"0".repeat(64))).expect("written");
        assert_ne!(of_model(&path, Some(&known)).expect("readable"), first);
        std::fs::write(&path, "Weights").expect("written");
        std::fs::write(&path, "weights").expect("written");
        assert_eq!(of_model(&path, Some(&known)).expect("readable"), first, "changed files are read");
        std::fs::write(&known, "not JSON").expect("written");
        assert_eq!(of_model(&path, Some(&known)).expect("readable"), first);
    }
}
