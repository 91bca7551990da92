//! Models of the Hugging Face hub: which files of a repository make a model, and how they come into the store.
//!
//! A GGUF model becomes one layer, as when Ollama pulls it; a folder (safetensors, MLX) becomes a layer for each file.
//! Invariant: large files have the SHA-256 that the hub lists, small ones the object id of git. Read `quants` for tags.

use serde_json::Value;

use crate::create::{Description, Workshop, is_model_file};
use crate::digest::{Digest, git_object_id};
use crate::download::{self, Wanted};
use crate::http::{Ask, Client, encode};
use crate::manifest::{self, Config, Layer, Manifest, RootFs};
use crate::name::{DEFAULT_TAG, FileName, hugging_face};
use crate::{HubError, ModelName, Progress, Reporter, Store, quants};

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RemoteFile {
    name: FileName,
    size: u64,
    /// Of large files.
    sha256: Option<Digest>,
    /// Git's name of small ones.
    object: String,
}

/// What is pulled of a repository.
enum Selection {
    Gguf(Vec<RemoteFile>),
    Folder(Vec<RemoteFile>),
}

/// Brings a model into the store.
pub(crate) fn pull(
    store: &Store,
    client: &Client,
    workshop: &dyn Workshop,
    name: &ModelName,
    report: Reporter,
) -> Result<(), HubError> {
    report.status("pulling manifest")?;
    let repository = Repository { client, endpoint: hugging_face(), name };
    let (revision, files) = repository.files()?;
    let porter = Porter { store, client, report, repository: &repository, revision: &revision };
    let (selection, description) = match select(&files, name)? {
        Selection::Gguf(parts) => {
            let single = parts.len() == 1;
            let mut layers = Vec::new();
            for part in &parts {
                let layer = porter.fetch(part, if single { manifest::MODEL } else { manifest::FILE })?;
                let last = part.name.as_str().rsplit('/').next().unwrap_or_default().to_string();
                layers.push(Layer { name: (!single).then_some(last), ..layer });
            }
            let description = describe(store, workshop, &layers)?;
            for (file, media_type) in
                [("template", manifest::TEMPLATE), ("system", manifest::SYSTEM), ("params", manifest::PARAMS)]
            {
                if let Some(file) = files.iter().find(|known| known.name.as_str() == file) {
                    layers.push(Layer { name: None, ..porter.fetch(file, media_type)? });
                }
            }
            (layers, description)
        }
        Selection::Folder(parts) => {
            let layers = parts.iter().map(|part| porter.fetch(part, manifest::FILE));
            let layers = layers.collect::<Result<Vec<Layer>, HubError>>()?;
            let description = describe(store, workshop, &layers)?;
            (layers, description)
        }
    };
    let config = config(&description, &selection);
    let bytes = serde_json::to_vec(&config).map_err(|error| HubError::form(name.short(), error))?;
    let manifest = Manifest::new(store.add_bytes(manifest::CONFIG, &bytes)?, selection);
    report.status("verifying sha256 digest")?;
    report.status("writing manifest")?;
    let bytes = serde_json::to_vec(&manifest).map_err(|error| HubError::form(name.short(), error))?;
    store.write(name, &bytes)?;
    report.status("success")
}

struct Repository<'a> {
    client: &'a Client,
    endpoint: String,
    name: &'a ModelName,
}

impl Repository<'_> {
    /// The revision, and its files. A tag that is no quantization may name a branch.
    fn files(&self) -> Result<(String, Vec<RemoteFile>), HubError> {
        let main = self.tree("main");
        let is_folder = |files: &[RemoteFile]| !files.iter().any(|file| file.name.as_str().ends_with(".gguf"));
        match main {
            Ok(files) if self.name.tag == DEFAULT_TAG || !is_folder(&files) => Ok(("main".into(), files)),
            Ok(_) => {
                let tag = self.name.tag.clone();
                let missing =
                    || HubError::Refused(format!("{}: there is no GGUF file and no branch `{tag}`", self.name));
                let files =
                    self.tree(&tag).map_err(|error| if error.status() == Some(404) { missing() } else { error })?;
                Ok((tag, files))
            }
            Err(error) => match error.status() {
                // The hub does not tell strangers whether a repository exists.
                Some(401 | 404) => Err(HubError::Refused(format!(
                    "pull model manifest: {} does not exist, or needs a token of somebody who may read it (HF_TOKEN)",
                    self.name.repository()
                ))),
                _ => Err(HubError::Refused(format!("pull model manifest: {error}"))),
            },
        }
    }

    fn tree(&self, revision: &str) -> Result<Vec<RemoteFile>, HubError> {
        let repository = self.name.repository();
        let path = format!("{}/api/models/{repository}/tree/{}", self.endpoint, encode(revision));
        let mut url = format!("{path}?recursive=true");
        let mut files = Vec::new();
        // Long lists come in pages.
        for _ in 0..100 {
            let (value, headers) = self.client.json(&Ask::new(&url))?;
            let list = value.as_array().ok_or_else(|| HubError::form(&url, "this is no list of files"))?;
            files.extend(list.iter().filter(|entry| entry["type"] == "file").filter_map(remote_file));
            let next = headers.get("link").and_then(|link| link.to_str().ok()).and_then(next_page);
            match next {
                Some(next) if next.starts_with(&self.endpoint) => url = next,
                Some(next) if next.starts_with('/') => url = format!("{}{next}", self.endpoint),
                _ => return Ok(files),
            }
        }
        Err(HubError::form(path, "the list of files has no end"))
    }

    fn address(&self, revision: &str, file: &FileName) -> String {
        format!("{}/{}/resolve/{}/{}", self.endpoint, self.name.repository(), encode(revision), encode(file.as_str()))
    }
}

/// Names that would leave their folder are no files of a model.
fn remote_file(entry: &Value) -> Option<RemoteFile> {
    let oid = |value: &Value| value["oid"].as_str().map(str::to_string);
    let sha256 = oid(&entry["lfs"]).and_then(|hex| Digest::of_hex(hex.trim_start_matches("sha256:")));
    Some(RemoteFile {
        name: FileName::parse(entry["path"].as_str()?).ok()?,
        size: entry["lfs"]["size"].as_u64().or_else(|| entry["size"].as_u64())?,
        sha256,
        object: oid(entry).unwrap_or_default(),
    })
}

/// `<ADDRESS>; rel="next"`
fn next_page(link: &str) -> Option<String> {
    let part = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    Some(part.split_once('<')?.1.split_once('>')?.0.to_string())
}

fn select(files: &[RemoteFile], name: &ModelName) -> Result<Selection, HubError> {
    let ggufs: Vec<String> =
        files.iter().map(|file| file.name.as_str().to_string()).filter(|file| file.ends_with(".gguf")).collect();
    let named = |wanted: &[String]| {
        let one = |wanted: &String| files.iter().find(|file| file.name.as_str() == wanted).cloned();
        wanted.iter().filter_map(one).collect::<Vec<_>>()
    };
    if !ggufs.is_empty() {
        let chosen = quants::choose(&ggufs, &name.tag);
        let chosen = chosen.map_err(|error| HubError::Refused(format!("{}: {error}", name.repository())))?;
        return Ok(Selection::Gguf(named(&chosen)));
    }
    let chosen: Vec<RemoteFile> = files.iter().filter(|file| is_model_file(file.name.as_str())).cloned().collect();
    let has = |end: &str| chosen.iter().any(|file| file.name.as_str().ends_with(end));
    if !has("config.json") || !has(".safetensors") {
        let reason = format!("{} holds neither a GGUF file nor config.json and *.safetensors", name.repository());
        return Err(HubError::Refused(reason));
    }
    Ok(Selection::Folder(chosen))
}

struct Porter<'a> {
    store: &'a Store,
    client: &'a Client,
    report: Reporter<'a>,
    repository: &'a Repository<'a>,
    revision: &'a str,
}

impl Porter<'_> {
    fn fetch(&self, file: &RemoteFile, media_type: &str) -> Result<Layer, HubError> {
        let url = self.repository.address(self.revision, &file.name);
        let Some(digest) = file.sha256 else { return self.small(file, &url, media_type) };
        let status = format!("pulling {}", digest.short());
        let wanted = Wanted { ask: Ask::new(&url), digest, size: file.size, status };
        download::fetch(self.store, self.client, &wanted, self.report)?;
        Ok(Layer::file(media_type, digest, file.size, &file.name))
    }

    /// A file that git itself keeps.
    fn small(&self, file: &RemoteFile, url: &str, media_type: &str) -> Result<Layer, HubError> {
        let (bytes, _) = self.client.document(&Ask::new(url))?;
        let object = git_object_id(&bytes);
        if !file.object.is_empty() && object != file.object {
            return Err(HubError::DigestMismatch { want: file.object.clone(), got: object });
        }
        let layer = self.store.add_bytes(media_type, &bytes)?;
        let status = format!("pulling {}", layer.digest.short());
        let (total, completed) = (layer.size, layer.size);
        self.report.tell(Progress { status, digest: Some(layer.digest), total, completed })?;
        Ok(Layer { name: Some(file.name.as_str().into()), ..layer })
    }
}

/// What the files are. They have no manifest yet: the workshop sees links in a folder that goes again.
fn describe(store: &Store, workshop: &dyn Workshop, layers: &[Layer]) -> Result<Description, HubError> {
    if let [layer] = layers
        && layer.name.is_none()
    {
        return workshop.describe(&store.blob(&layer.digest)).map_err(HubError::Refused);
    }
    let files = layers.iter().map(|layer| Ok((layer.file_name()?, layer.digest)));
    let files = files.collect::<Result<Vec<_>, HubError>>()?;
    crate::create::describe_files(store, workshop, &files)
}

fn config(description: &Description, layers: &[Layer]) -> Config {
    let diff_ids = layers.iter().map(|layer| layer.digest.to_string()).collect();
    Config {
        architecture: "amd64".into(),
        os: "linux".into(),
        rootfs: RootFs { kind: "layers".into(), diff_ids },
        ..crate::create::config(description)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pages_are_followed() {
        let link = "<https://hub.example/a?cursor=b>; rel=\"next\"";
        assert_eq!(next_page(link).unwrap(), "https://hub.example/a?cursor=b");
        assert_eq!(next_page("<https://hub.example/a>; rel=\"prev\""), None);
    }

    #[test]
    fn listed_files_are_checked() {
        let large =
            json!({"type": "file", "path": "m.gguf", "size": 1, "oid": "x", "lfs": {"oid": "a".repeat(64), "size": 9}});
        let file = remote_file(&large).unwrap();
        assert_eq!((file.size, file.sha256.unwrap().hex()), (9, "a".repeat(64)));
        for path in ["../../x", "/etc/passwd", ".gitattributes"] {
            assert_eq!(remote_file(&json!({"type": "file", "path": path, "size": 1})), None);
        }
    }
}
