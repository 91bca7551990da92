//! Registries that speak the OCI distribution protocol with Ollama's media types: manifests and blobs by digest.
//!
//! Invariant: a manifest is written when all its blobs are here and checked; a manifest is pushed when all its blobs
//! are there. Read `download` for how a blob comes, `http` for tokens.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use crate::download::{self, Wanted};
use crate::http::{Ask, Client, Method, encode, host_of};
use crate::manifest::{self, Layer, Manifest};
use crate::name::DEFAULT_REGISTRY;
use crate::{HubError, ModelName, Progress, Reporter, Store};

/// Bytes that are sent in one request.
const CHUNK_BYTES: u64 = 16 << 20;
/// Attempts at a piece.
const ATTEMPTS: u32 = 4;

/// Where a registry is. Plain HTTP is for this machine, or where the user wants it so.
pub(crate) fn base(name: &ModelName, insecure: bool) -> Result<String, HubError> {
    let host = &name.registry;
    let address = host.rsplit_once(':').map_or(host.as_str(), |(address, _)| address);
    let here = ["localhost", "127.0.0.1"].contains(&address);
    let plain = name.plain_http.unwrap_or(here);
    if plain && !here && !insecure {
        return Err(HubError::Refused("insecure protocol http (--insecure allows it)".into()));
    }
    let scheme = if plain { "http" } else { "https" };
    Ok(format!("{scheme}://{host}/v2/{}", name.repository()))
}

/// Brings a model into the store.
pub(crate) fn pull(
    store: &Store,
    client: &Client,
    name: &ModelName,
    insecure: bool,
    report: Reporter,
) -> Result<(), HubError> {
    report.status("pulling manifest")?;
    let base = base(name, insecure)?;
    let scope = format!("repository:{}:pull", name.repository());
    let url = format!("{base}/manifests/{}", encode(&name.tag));
    let types = format!("{}, application/vnd.oci.image.manifest.v1+json", manifest::MANIFEST);
    let ask = Ask { headers: vec![("Accept", types)], scope: Some(&scope), ..Ask::new(&url) };
    let (bytes, _) = client.document(&ask).map_err(|error| match error.status() {
        Some(404) => HubError::Refused("pull model manifest: file does not exist".into()),
        _ => HubError::Refused(format!("pull model manifest: {error}")),
    })?;
    let manifest = Manifest::parse(&url, &bytes)?;
    for layer in manifest.blobs() {
        let url = format!("{base}/blobs/{}", layer.digest);
        let ask = Ask { scope: Some(&scope), ..Ask::new(&url) };
        let status = format!("pulling {}", layer.digest.short());
        let wanted = Wanted { ask, digest: layer.digest, size: layer.size, status };
        download::fetch(store, client, &wanted, report)?;
    }
    report.status("verifying sha256 digest")?;
    report.status("writing manifest")?;
    store.write(name, &bytes)?;
    report.status("success")
}

/// Sends a model of the store to its registry.
pub(crate) fn push(
    store: &Store,
    client: &Client,
    name: &ModelName,
    insecure: bool,
    report: Reporter,
) -> Result<(), HubError> {
    report.status("retrieving manifest")?;
    if name.is_hugging_face() {
        return Err(HubError::Refused("the Hugging Face hub takes models by git, not by this protocol".into()));
    }
    if name.registry == DEFAULT_REGISTRY && name.namespace == crate::name::DEFAULT_NAMESPACE {
        let advice = "copy it to a name that begins with yours: olivine cp";
        return Err(HubError::Refused(format!("{} belongs to the library; {advice}", name.short())));
    }
    let model = store.get(name)?;
    let bytes = std::fs::read(store.manifest_path(&model.name)).map_err(HubError::io(store.root()))?;
    let base = base(name, insecure)?;
    let scope = format!("repository:{}:pull,push", name.repository());
    let courier = Courier { store, client, base: &base, scope: &scope, report };
    for layer in model.manifest.blobs() {
        courier.blob(layer)?;
    }
    report.status("pushing manifest")?;
    let url = format!("{base}/manifests/{}", encode(&name.tag));
    let headers = vec![("Content-Type", manifest::MANIFEST.to_string())];
    let ask = Ask { headers, scope: Some(&scope), ..Ask::new(&url) };
    client.upload(Method::PUT, &ask, &bytes, &[200, 201, 202])?;
    report.status("success")
}

struct Courier<'a> {
    store: &'a Store,
    client: &'a Client,
    base: &'a str,
    scope: &'a str,
    report: Reporter<'a>,
}

impl Courier<'_> {
    fn blob(&self, layer: &Layer) -> Result<(), HubError> {
        let tell = |completed| {
            let status = format!("pushing {}", layer.digest.short());
            self.report.tell(Progress { status, digest: Some(layer.digest), total: layer.size, completed })
        };
        let url = format!("{}/blobs/{}", self.base, layer.digest);
        if self.client.exists(&self.ask(&url))? {
            return tell(layer.size);
        }
        tell(0)?;
        let path = self.store.blob(&layer.digest);
        let mut file = File::open(&path).map_err(HubError::io(&path))?;
        let mut place = self.open()?;
        let (mut at, mut failures) = (0, 0);
        while at < layer.size {
            let length = CHUNK_BYTES.min(layer.size - at);
            let mut bytes = vec![0; length as usize];
            file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes)).map_err(HubError::io(&path))?;
            match self.piece(&place, at, &bytes) {
                Ok(next) => {
                    (place, at, failures) = (next, at + length, 0);
                    tell(at)?;
                }
                Err(error) => {
                    failures += 1;
                    if failures == ATTEMPTS || matches!(error, HubError::Cancelled) {
                        return Err(error);
                    }
                    std::thread::sleep(std::time::Duration::from_millis(200 << failures));
                    // Where the other side cannot say how far it came, everything begins anew.
                    (place, at) = match self.came_to(&place) {
                        Some(at) if at <= layer.size => (place, at),
                        _ => (self.open()?, 0),
                    };
                }
            }
        }
        let joint = if place.contains('?') { '&' } else { '?' };
        let url = format!("{place}{joint}digest={}", layer.digest);
        self.client.upload(Method::PUT, &self.ask(&url), &[], &[200, 201, 202, 204])?;
        Ok(())
    }

    /// A place for a blob.
    fn open(&self) -> Result<String, HubError> {
        let url = format!("{}/blobs/uploads/", self.base);
        let headers = self.client.upload(Method::POST, &self.ask(&url), &[], &[200, 201, 202])?;
        self.place(&headers).ok_or_else(|| HubError::form(url, "the answer says not where to send the blob"))
    }

    /// Bytes from `at` on; where the next ones go.
    fn piece(&self, place: &str, at: u64, bytes: &[u8]) -> Result<String, HubError> {
        let mut ask = self.ask(place);
        ask.headers.push(("Content-Type", "application/octet-stream".into()));
        ask.headers.push(("Content-Range", format!("{at}-{}", at + bytes.len() as u64 - 1)));
        let headers = self.client.upload(Method::PATCH, &ask, bytes, &[200, 201, 202, 204])?;
        Ok(self.place(&headers).unwrap_or_else(|| place.to_string()))
    }

    /// How many bytes of an interrupted blob are there.
    fn came_to(&self, place: &str) -> Option<u64> {
        let headers = self.client.upload(Method::GET, &self.ask(place), &[], &[200, 204]).ok()?;
        let (_, last) = headers.get("range")?.to_str().ok()?.rsplit_once('-')?;
        // `0-0` is one byte or none: nobody can tell.
        last.parse::<u64>().ok().filter(|last| *last > 0).map(|last| last + 1)
    }

    fn place(&self, headers: &ureq::http::HeaderMap) -> Option<String> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let place = text("docker-upload-location").or_else(|| text("location"))?;
        if place.contains("://") {
            return Some(place.to_string());
        }
        let scheme = self.base.split("://").next().unwrap_or("https");
        Some(format!("{scheme}://{}{place}", host_of(self.base)))
    }

    fn ask<'b>(&'b self, url: &'b str) -> Ask<'b> {
        Ask { scope: Some(self.scope), ..Ask::new(url) }
    }
}
