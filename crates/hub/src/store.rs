//! The store on disk: `manifests/REGISTRY/NAMESPACE/MODEL/TAG` and `blobs/sha256-…`, as Ollama lays it out, so that
//! both programs can share one folder.
//!
//! Invariant: a file under a digest is whole: it is written beside and renamed. Manifests are written and blobs are
//! removed under the store's lock, so that no blob goes while another process writes a manifest that names it. Folders
//! of links (`folders/…`, for models of several files) can be made anew from the blobs at any time. Read `model`.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::digest::Hasher;
use crate::manifest::{Layer, Manifest};
use crate::{Digest, HubError, ModelName, StoredModel};

/// What is left of an interrupted download for so long is given up.
const PARTIAL_DAYS: u64 = 14;

/// Ends the names of blobs that are not whole yet.
pub(crate) const PARTIAL: &str = "-partial";

/// A store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
}

/// Holds the store's lock.
pub struct Lock {
    _file: File,
}

impl Store {
    /// The store in a folder, which need not exist yet.
    pub fn at(root: impl Into<PathBuf>) -> Store {
        Store { root: root.into() }
    }

    /// The user's store: `OLIVINE_MODELS`, `OLLAMA_MODELS`, Ollama's own folder where it exists, else ours.
    pub fn of_user() -> Store {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = set("HOME").or_else(|| set("USERPROFILE")).unwrap_or_default();
        Store::at(set("OLIVINE_MODELS").or_else(|| set("OLLAMA_MODELS")).unwrap_or_else(|| {
            let ollama = home.join(".ollama").join("models");
            if ollama.is_dir() { ollama } else { home.join(".olivine").join("models") }
        }))
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a blob lies.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.file_name())
    }

    /// Whether a blob is here, whole.
    pub fn has(&self, digest: &Digest) -> bool {
        self.blob(digest).is_file()
    }

    /// Keeps bytes.
    pub fn add_bytes(&self, media_type: &str, bytes: &[u8]) -> Result<Layer, HubError> {
        let digest = Digest::of(bytes);
        let path = self.blob(&digest);
        if !path.is_file() {
            write_atomically(&path, bytes)?;
        }
        Ok(Layer::new(media_type, digest, bytes.len() as u64))
    }

    /// Keeps a copy of a file. `progress` hears how many bytes were read; false ends it.
    pub fn add_file(
        &self,
        media_type: &str,
        path: &Path,
        progress: impl FnMut(u64) -> bool,
    ) -> Result<Layer, HubError> {
        let digest = Digest::of_file(path, progress)?;
        if !self.has(&digest) {
            let mut file = File::open(path).map_err(HubError::io(path))?;
            self.receive(&digest, &mut file, path)?;
        }
        let size = std::fs::metadata(self.blob(&digest)).map_err(HubError::io(self.blob(&digest)))?.len();
        Ok(Layer::new(media_type, digest, size))
    }

    /// Keeps what comes from a reader as the blob `digest`, if it is that. `source` is for messages.
    pub fn receive(&self, digest: &Digest, reader: &mut dyn Read, source: &Path) -> Result<(), HubError> {
        let mut incoming = self.incoming()?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match reader.read(&mut buffer).map_err(HubError::io(source))? {
                0 => break,
                count => incoming.write(&buffer[..count])?,
            }
        }
        incoming.keep(Some(digest)).map(|_| ())
    }

    /// A blob that comes in pieces and whose digest may not be known yet.
    pub fn incoming(&self) -> Result<Incoming, HubError> {
        let path = temporary(&self.root.join("blobs"))?;
        let file = File::create_new(&path).map_err(HubError::io(&path))?;
        Ok(Incoming { store: self.clone(), file, path, hasher: Hasher::default(), size: 0, kept: false })
    }

    /// A small blob's bytes.
    pub fn read(&self, layer: &Layer) -> Result<Vec<u8>, HubError> {
        let path = self.blob(&layer.digest);
        let file = File::open(&path).map_err(HubError::io(&path))?;
        let mut bytes = Vec::new();
        file.take(64 << 20).read_to_end(&mut bytes).map_err(HubError::io(&path))?;
        Ok(bytes)
    }

    /// The model with this name, in any case.
    pub fn find(&self, name: &ModelName) -> Result<Option<StoredModel>, HubError> {
        let Some(name) = self.spelling(name)? else { return Ok(None) };
        let path = self.manifest_path(&name);
        match std::fs::read(&path) {
            Ok(bytes) => StoredModel::open(self, name, &path, &bytes).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(HubError::io(&path)(error)),
        }
    }

    /// The model with this name, or the error that clients know.
    pub fn get(&self, name: &ModelName) -> Result<StoredModel, HubError> {
        self.find(name)?.ok_or_else(|| HubError::NotFound(name.short()))
    }

    /// All models, those changed last first; what cannot be read is left out.
    pub fn list(&self) -> Result<Vec<StoredModel>, HubError> {
        let names = self.names()?;
        let mut models: Vec<StoredModel> = names.iter().filter_map(|name| self.find(name).ok().flatten()).collect();
        models.sort_by(|a, b| b.modified.cmp(&a.modified).then_with(|| a.name.to_string().cmp(&b.name.to_string())));
        Ok(models)
    }

    /// Makes `name` mean these layers. All of them must be here.
    pub fn write(&self, name: &ModelName, bytes: &[u8]) -> Result<(), HubError> {
        let manifest = Manifest::parse(&name.short(), bytes)?;
        let lock = self.lock()?;
        if let Some(missing) = manifest.blobs().into_iter().find(|layer| !self.has(&layer.digest)) {
            return Err(HubError::form(name.short(), format!("the blob {} is not here", missing.digest)));
        }
        let name = self.spelling(name)?.unwrap_or_else(|| name.clone());
        let before = self.find(&name).ok().flatten();
        write_atomically(&self.manifest_path(&name), bytes)?;
        if let Some(before) = before {
            self.drop_unused(&before.manifest, &lock)?;
        }
        Ok(())
    }

    /// Gives a model a second name; no blob is copied.
    pub fn copy(&self, source: &ModelName, target: &ModelName) -> Result<(), HubError> {
        let source = self.get(source)?;
        let path = self.manifest_path(&source.name);
        let bytes = std::fs::read(&path).map_err(HubError::io(&path))?;
        self.write(target, &bytes)
    }

    /// Forgets a name, and the blobs that no other name needs.
    pub fn remove(&self, name: &ModelName) -> Result<(), HubError> {
        let lock = self.lock()?;
        let spelling = self.spelling(name)?.ok_or_else(|| HubError::NotFound(name.short()))?;
        let path = self.manifest_path(&spelling);
        let manifest = std::fs::read(&path).map_err(HubError::io(&path))?;
        std::fs::remove_file(&path).map_err(HubError::io(&path))?;
        let mut folder = path.as_path();
        // Folders of this name that are empty now.
        for _ in 0..3 {
            folder = folder.parent().unwrap_or(folder);
            if std::fs::remove_dir(folder).is_err() {
                break;
            }
        }
        match Manifest::parse(&spelling.short(), &manifest) {
            Ok(manifest) => self.drop_unused(&manifest, &lock),
            // Nobody can tell what a broken manifest named; `prune` finds it.
            Err(_) => Ok(()),
        }
    }

    /// Removes blobs that no manifest names; returns the bytes freed. Left alone are those of the last hour, which may
    /// be waiting for their manifest.
    pub fn prune(&self) -> Result<u64, HubError> {
        let _lock = self.lock()?;
        let used = self.used()?;
        let mut freed = 0;
        for entry in entries(&self.root.join("blobs"))? {
            let (Ok(metadata), name) = (entry.metadata(), entry.file_name().to_string_lossy().into_owned()) else {
                continue;
            };
            let age = metadata.modified().ok().and_then(|time| time.elapsed().ok()).unwrap_or_default();
            let given_up = age > Duration::from_secs(PARTIAL_DAYS * 86_400);
            let goes = match Digest::parse(&name) {
                Ok(digest) => !used.contains(&digest) && age > Duration::from_secs(3600),
                Err(_) => given_up && (name.contains(PARTIAL) || name.starts_with(".tmp-")),
            };
            if goes && std::fs::remove_file(entry.path()).is_ok() {
                freed += metadata.len();
            }
        }
        Ok(freed)
    }

    /// Waits for other processes that write manifests or remove blobs.
    pub fn lock(&self) -> Result<Lock, HubError> {
        let path = self.root.join(".olivine-lock");
        std::fs::create_dir_all(&self.root).map_err(HubError::io(&self.root))?;
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(HubError::io(&path))?;
        file.lock().map_err(HubError::io(&path))?;
        Ok(Lock { _file: file })
    }

    pub(crate) fn manifest_path(&self, name: &ModelName) -> PathBuf {
        self.root.join("manifests").join(name.path())
    }

    /// The folder of links of a model with several files.
    pub(crate) fn folder(&self, manifest: &Digest) -> PathBuf {
        self.root.join("folders").join(manifest.file_name())
    }

    fn names(&self) -> Result<Vec<ModelName>, HubError> {
        let mut names = Vec::new();
        let text = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        for registry in entries(&self.root.join("manifests"))? {
            for namespace in entries(&registry.path())? {
                for model in entries(&namespace.path())? {
                    for tag in entries(&model.path())? {
                        let [a, b, c, d] = [text(&registry), text(&namespace), text(&model), text(&tag)];
                        names.extend(ModelName::parse(&format!("{a}/{b}/{c}:{d}")).ok());
                    }
                }
            }
        }
        Ok(names)
    }

    /// The name as it is spelt on disk.
    fn spelling(&self, name: &ModelName) -> Result<Option<ModelName>, HubError> {
        if self.manifest_path(name).is_file() {
            return Ok(Some(name.clone()));
        }
        Ok(self.names()?.into_iter().find(|known| known == name))
    }

    /// Digests that manifests name. A manifest that cannot be read is an error: its blobs must not go.
    fn used(&self) -> Result<HashSet<Digest>, HubError> {
        let mut used = HashSet::new();
        for name in self.names()? {
            let path = self.manifest_path(&name);
            let bytes = std::fs::read(&path).map_err(HubError::io(&path))?;
            let manifest = Manifest::parse(&path.display().to_string(), &bytes)?;
            used.extend(manifest.blobs().iter().map(|layer| layer.digest));
        }
        Ok(used)
    }

    fn drop_unused(&self, manifest: &Manifest, _lock: &Lock) -> Result<(), HubError> {
        let used = self.used()?;
        for layer in manifest.blobs() {
            if !used.contains(&layer.digest) {
                let path = self.blob(&layer.digest);
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(HubError::io(path)(error));
                    }
                    _ => {}
                }
            }
        }
        self.drop_folders()
    }

    /// Removes folders of links whose manifest is gone.
    fn drop_folders(&self) -> Result<(), HubError> {
        let folders = entries(&self.root.join("folders"))?;
        if folders.is_empty() {
            return Ok(());
        }
        let mut wanted = HashSet::new();
        for name in self.names()? {
            wanted.extend(std::fs::read(self.manifest_path(&name)).ok().map(|bytes| Digest::of(&bytes).file_name()));
        }
        for folder in folders {
            if !wanted.contains(folder.file_name().to_string_lossy().as_ref()) {
                let _ = std::fs::remove_dir_all(folder.path());
            }
        }
        Ok(())
    }
}

/// A blob on its way into the store. Dropped before it is kept, it leaves nothing.
pub struct Incoming {
    store: Store,
    file: File,
    path: PathBuf,
    hasher: Hasher,
    size: u64,
    kept: bool,
}

impl Incoming {
    /// More bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        self.file.write_all(bytes).map_err(HubError::io(&self.path))?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Makes it a blob; with the digest that it must have, where that is known.
    pub fn keep(mut self, want: Option<&Digest>) -> Result<(Digest, u64), HubError> {
        let digest = std::mem::take(&mut self.hasher).finish();
        if let Some(want) = want.filter(|want| **want != digest) {
            return Err(HubError::DigestMismatch { want: want.to_string(), got: digest.to_string() });
        }
        self.file.sync_all().map_err(HubError::io(&self.path))?;
        let target = self.store.blob(&digest);
        std::fs::rename(&self.path, &target).map_err(HubError::io(&target))?;
        self.kept = true;
        Ok((digest, self.size))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Entries of a folder, in order; none where there is no folder.
fn entries(folder: &Path) -> Result<Vec<std::fs::DirEntry>, HubError> {
    let list = match std::fs::read_dir(folder) {
        Ok(list) => list,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(HubError::io(folder)(error)),
    };
    let mut entries: Vec<std::fs::DirEntry> = list.flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    Ok(entries)
}

/// A name in `folder` that nobody else uses.
fn temporary(folder: &Path) -> Result<PathBuf, HubError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    std::fs::create_dir_all(folder).map_err(HubError::io(folder))?;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    Ok(folder.join(format!(".tmp-{}-{count}-{nanos}", std::process::id())))
}

/// Writes a file so that it is there whole or not at all.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), HubError> {
    let temporary = temporary(path.parent().unwrap_or(Path::new(".")))?;
    let write = || {
        let mut file = File::create_new(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        let _ = std::fs::remove_file(&temporary);
        HubError::io(path)(error)
    })
}

/// A second name of a file, where it is not there yet. Two processes may do it at once.
pub(crate) fn link(file: &Path, link: &Path) -> Result<(), HubError> {
    if link.exists() {
        return Ok(());
    }
    if let Some(parent) = link.parent() {
        std::fs::create_dir_all(parent).map_err(HubError::io(parent))?;
    }
    let linked = std::fs::hard_link(file, link);
    if linked.is_ok() || link.exists() {
        return Ok(());
    }
    // Some file systems have no links.
    std::fs::copy(file, link).map(|_| ()).map_err(HubError::io(file))
}
