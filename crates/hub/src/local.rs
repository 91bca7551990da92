//! Models that other programs have put on this disk: the cache folders of the Hugging Face libraries, used in place.
//!
//! Invariant: nothing here is written. Read `huggingface` for what the names of repositories mean.

use std::path::{Path, PathBuf};

use crate::ModelName;
use crate::quants;

/// The cache of the Hugging Face libraries: `HF_HUB_CACHE`, `HF_HOME/hub`, or where they put it by themselves.
pub fn hugging_face_cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("HF_HUB_CACHE").or_else(|| set("HUGGINGFACE_HUB_CACHE")) {
        return folder;
    }
    let home = set("HOME").or_else(|| set("USERPROFILE")).unwrap_or_default();
    let cache = set("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache"));
    set("HF_HOME").unwrap_or_else(|| cache.join("huggingface")).join("hub")
}

/// What a name means in that cache: the folder of its newest snapshot, or a GGUF file in it.
pub fn in_hugging_face_cache(cache: &Path, name: &ModelName) -> Option<PathBuf> {
    let repository = cache.join(format!("models--{}--{}", name.namespace, name.model));
    let snapshots = repository.join("snapshots");
    let hash = std::fs::read_to_string(repository.join("refs").join("main")).ok();
    // A commit is letters and digits; anything else could lead out of the folder.
    let is_commit = |hash: &str| !hash.is_empty() && hash.chars().all(|c| c.is_ascii_alphanumeric());
    let hash = hash.filter(|hash| is_commit(hash.trim()));
    let named = hash.map(|hash| snapshots.join(hash.trim())).filter(|path| path.is_dir());
    let snapshot = named.or_else(|| newest(&snapshots))?;
    let files: Vec<String> = gguf_files(&snapshot);
    if !files.is_empty()
        && let Ok(chosen) = quants::choose(&files, &name.tag)
    {
        return Some(snapshot.join(&chosen[0]));
    }
    (snapshot.join("config.json").is_file() && name.tag == crate::name::DEFAULT_TAG).then_some(snapshot)
}

/// All models in that cache: `namespace/model` and the folder of their snapshot.
pub fn list_hugging_face_cache(cache: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
    let mut models: Vec<(String, PathBuf)> = entries
        .filter_map(|entry| {
            let folder = entry.file_name().to_string_lossy().into_owned();
            let (namespace, model) = folder.strip_prefix("models--")?.split_once("--")?;
            let name = ModelName::parse(&format!("{namespace}/{model}")).ok()?;
            Some((name.repository(), in_hugging_face_cache(cache, &name)?))
        })
        .collect();
    models.sort();
    models
}

fn newest(snapshots: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(snapshots).ok()?.flatten().filter(|entry| entry.path().is_dir());
    entries.max_by_key(|entry| entry.metadata().and_then(|metadata| metadata.modified()).ok()).map(|entry| entry.path())
}

fn gguf_files(snapshot: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![(snapshot.to_path_buf(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() && prefix.is_empty() {
                folders.push((entry.path(), format!("{name}/")));
            } else if name.ends_with(".gguf") {
                files.push(name);
            }
        }
    }
    files.sort();
    files
}
