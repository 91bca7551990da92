//! A registry and a Hugging Face hub on loopback that misbehave as they are told; folders that go away.

#![allow(dead_code)] // Each test program uses some of it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use olivine_hub::http::Credentials;
use olivine_hub::{Description, Digest, Hub, ModelName, Store, Workshop};

/// The public half of the key in `KEY_FILE`.
pub const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIGqZVbAKl9+l7lKB1Qclz3YOevlGoyiP1ojaDjAUvzP8";

/// A key that `ssh-keygen` made for these tests alone, without its first and last line.
pub const KEY_FILE: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQyNTUxOQAAACBqmVWwCpff\
    pe5SgdUHJc92Dnr5RqMoj9aI2g4wFL8z/AAAAIheyNpdXsjaXQAAAAtzc2gtZWQyNTUxOQAAACBqmVWwCpffpe5SgdUHJc92Dnr5RqMoj9aI2g4wFL8z/A\
    AAAEAwsdwb6QSxL6J+40PoHmt9INvzb4oc507U597kFKHNiGqZVbAKl9+l7lKB1Qclz3YOevlGoyiP1ojaDjAUvzP8AAAABHRlc3QB";

/// What the server does wrong.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The next so many answers with a blob break off after so many bytes.
    pub break_after: Option<(usize, usize)>,
    /// Ranges are ignored: 200 with everything.
    pub no_ranges: bool,
    /// The next so many answers with a blob have one wrong byte.
    pub wrong_bytes: usize,
    /// Before each 64 KiB.
    pub delay: Duration,
    /// The next so many pieces of an upload are not taken.
    pub refuse_pieces: usize,
    /// A token is wanted.
    pub wants_token: bool,
}

#[derive(Default)]
pub struct State {
    pub blobs: HashMap<String, Vec<u8>>,
    /// `library/model/tag` → bytes.
    pub manifests: HashMap<String, Vec<u8>>,
    /// `org/repo/path` → bytes, and whether it is listed with its SHA-256.
    pub files: HashMap<String, (Vec<u8>, bool)>,
    pub uploads: HashMap<String, Vec<u8>>,
    pub faults: Faults,
    /// Methods and paths.
    pub requests: Vec<String>,
    /// Bytes of blobs that were sent.
    pub sent: usize,
}

/// A running server; its threads end with the process.
#[derive(Clone)]
pub struct Remote {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Remote {
    pub fn start() -> Remote {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let remote = Remote { address: listener.local_addr().unwrap(), state: Arc::default() };
        let server = remote.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.answer(stream));
            }
        });
        remote
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|error| error.into_inner())
    }

    pub fn name(&self, rest: &str) -> ModelName {
        ModelName::parse(&format!("{}/{rest}", self.address)).unwrap()
    }

    /// A model with these layers (type, bytes); its manifest.
    pub fn offer(&self, key: &str, layers: &[(&str, &[u8])]) -> String {
        let mut state = self.state();
        let mut layer = |media_type: &str, bytes: &[u8]| {
            let digest = Digest::of(bytes).to_string();
            state.blobs.insert(digest.clone(), bytes.to_vec());
            serde_json::json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
        };
        let config = br#"{"model_format":"gguf","model_family":"qwen3","model_type":"1B","file_type":"Q8_0"}"#;
        let config = layer("application/vnd.docker.container.image.v1+json", config);
        let layers: Vec<_> = layers.iter().map(|(kind, bytes)| layer(kind, bytes)).collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": config,
            "layers": layers,
        });
        state.manifests.insert(key.into(), manifest.to_string().into_bytes());
        manifest.to_string()
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let mut words = line.split_whitespace();
            let (method, path) = (words.next().unwrap().to_string(), words.next().unwrap().to_string());
            let mut headers = HashMap::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let Some((name, value)) = line.trim_end().split_once(": ") else { break };
                headers.insert(name.to_lowercase(), value.to_string());
            }
            let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            self.state().requests.push(format!("{method} {path}"));
            if !self.serve(&mut stream, &method, &path, &headers, &body) {
                return;
            }
        }
    }

    /// Whether the connection goes on.
    fn serve(
        &self,
        stream: &mut TcpStream,
        method: &str,
        path: &str,
        headers: &HashMap<String, String>,
        body: &[u8],
    ) -> bool {
        let text = |stream: &mut TcpStream, status: &str, extra: &str, body: &[u8]| {
            let head = format!("HTTP/1.1 {status}\r\n{extra}Content-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).is_ok() && (method == "HEAD" || stream.write_all(body).is_ok())
        };
        if path.starts_with("/token") {
            let given = headers.get("authorization").map_or("", String::as_str);
            // A key of the user is known by its public half; whether it signed is `hub::key`'s test.
            let by_key = given.strip_prefix(KEY).is_some_and(|rest| rest.starts_with(':') && path.contains("nonce="));
            let fits = given == "Basic dXNlcjpzZWNyZXQ=" || by_key;
            let status = if fits { "200 OK" } else { "401 Unauthorized" };
            return text(stream, status, "", br#"{"token":"granted"}"#);
        }
        let authorized = headers.get("authorization").is_some_and(|value| value == "Bearer granted");
        if self.state().faults.wants_token && !authorized {
            let realm = format!("Bearer realm=\"http://{}/token\",service=\"test\",scope=\"x\"", self.address);
            return text(stream, "401 Unauthorized", &format!("WWW-Authenticate: {realm}\r\n"), b"");
        }
        if let Some(rest) = path.strip_prefix("/api/models/") {
            return self.tree(rest).is_some_and(|list| text(stream, "200 OK", "", list.as_bytes()))
                || text(stream, "404 Not Found", "", b"{\"error\":\"Repository not found\"}");
        }
        if let Some((repository, file)) = path.split_once("/resolve/main/") {
            let key = format!("{}/{file}", repository.trim_start_matches('/'));
            let bytes = self.state().files.get(&key).map(|(bytes, _)| bytes.clone());
            return match bytes {
                Some(bytes) => self.send(stream, method, headers, &bytes),
                None => text(stream, "404 Not Found", "", b""),
            };
        }
        let rest = path.strip_prefix("/v2/").unwrap_or_default();
        if let Some((repository, tag)) = rest.split_once("/manifests/") {
            let key = format!("{repository}/{tag}");
            if method == "PUT" {
                self.state().manifests.insert(key, body.to_vec());
                return text(stream, "201 Created", "", b"");
            }
            let bytes = self.state().manifests.get(&key).cloned();
            return match bytes {
                Some(bytes) => text(stream, "200 OK", "", &bytes),
                None => text(stream, "404 Not Found", "", b"{\"errors\":[{\"message\":\"manifest unknown\"}]}"),
            };
        }
        if rest.contains("/blobs/uploads/") {
            return self.upload(stream, method, path, body);
        }
        let digest = rest.split_once("/blobs/").map_or("", |(_, digest)| digest);
        let bytes = self.state().blobs.get(digest).cloned();
        match bytes {
            Some(bytes) => self.send(stream, method, headers, &bytes),
            None => text(stream, "404 Not Found", "", b""),
        }
    }

    fn tree(&self, rest: &str) -> Option<String> {
        let (repository, _) = rest.split_once("/tree/main")?;
        let state = self.state();
        let prefix = format!("{repository}/");
        let list: Vec<_> = state
            .files
            .iter()
            .filter_map(|(key, (bytes, large))| {
                let mut entry = serde_json::json!({
                    "type": "file",
                    "path": key.strip_prefix(&prefix)?,
                    "size": bytes.len(),
                    "oid": olivine_hub::digest::git_object_id(bytes),
                });
                if *large {
                    entry["lfs"] = serde_json::json!({"oid": Digest::of(bytes).hex(), "size": bytes.len()});
                }
                Some(entry)
            })
            .collect();
        (!list.is_empty()).then(|| serde_json::Value::from(list).to_string())
    }

    fn upload(&self, stream: &mut TcpStream, method: &str, path: &str, body: &[u8]) -> bool {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let mut state = self.state();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let answer = match method {
            "POST" => {
                let place = format!("{path}{}", COUNT.fetch_add(1, Ordering::Relaxed));
                state.uploads.insert(place.clone(), Vec::new());
                format!("202 Accepted\r\nLocation: {place}")
            }
            "PATCH" if state.faults.refuse_pieces > 0 => {
                state.faults.refuse_pieces -= 1;
                "503 Service Unavailable".into()
            }
            "PATCH" => {
                let upload = state.uploads.get_mut(path).unwrap();
                upload.extend(body);
                format!("202 Accepted\r\nLocation: {path}\r\nRange: 0-{}", upload.len() - 1)
            }
            "GET" => {
                let length = state.uploads[path].len();
                format!("204 No Content\r\nRange: 0-{}", length.saturating_sub(1))
            }
            _ => {
                let bytes = state.uploads.remove(path).unwrap();
                let digest = query.split_once("digest=").unwrap().1.to_string();
                match Digest::of(&bytes).to_string() == digest {
                    true => {
                        state.blobs.insert(digest, bytes);
                        "201 Created".into()
                    }
                    false => "400 Bad Request".into(),
                }
            }
        };
        stream.write_all(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").as_bytes()).is_ok()
    }

    /// A blob or a part of it, with the faults of the moment.
    fn send(&self, stream: &mut TcpStream, method: &str, headers: &HashMap<String, String>, bytes: &[u8]) -> bool {
        let faults = self.state().faults.clone();
        let range = headers.get("range").filter(|_| !faults.no_ranges);
        let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let (mut head, part) = match range {
            Some((start, end)) => {
                let start: usize = start.parse().unwrap();
                let end = end.parse::<usize>().map_or(bytes.len(), |end| end + 1).min(bytes.len());
                let said = format!("Content-Range: bytes {start}-{}/{}\r\n", end - 1, bytes.len());
                (format!("HTTP/1.1 206 Partial Content\r\n{said}"), &bytes[start..end])
            }
            None => ("HTTP/1.1 200 OK\r\n".to_string(), bytes),
        };
        head += &format!("Content-Length: {}\r\n\r\n", part.len());
        if stream.write_all(head.as_bytes()).is_err() || method == "HEAD" {
            return method == "HEAD";
        }
        let mut part = part.to_vec();
        let mut most = part.len();
        {
            let mut state = self.state();
            if state.faults.wrong_bytes > 0 && !part.is_empty() {
                state.faults.wrong_bytes -= 1;
                part[0] ^= 1;
            }
            if let Some((times, after)) = &mut state.faults.break_after
                && *times > 0
            {
                *times -= 1;
                most = most.min(*after);
            }
        }
        for chunk in part[..most].chunks(64 << 10) {
            std::thread::sleep(faults.delay);
            if stream.write_all(chunk).is_err() {
                return false;
            }
            self.state().sent += chunk.len();
        }
        most == part.len()
    }
}

/// Knows nothing of formats.
pub struct PlainWorkshop;

impl Workshop for PlainWorkshop {
    fn describe(&self, path: &Path) -> Result<Description, String> {
        let format = if path.is_dir() { "safetensors" } else { "gguf" };
        let text = |text: &str| text.to_string();
        let (family, parameter_size, quantization) = (text("test"), text("1M"), text("F32"));
        Ok(Description { format: format.into(), family, parameter_size, quantization })
    }

    fn quantize(
        &self,
        source: &Path,
        target: &Path,
        format: &str,
        progress: &dyn Fn(u64, u64) -> bool,
    ) -> Result<(), String> {
        progress(1, 1);
        let source = if source.is_dir() { source.join("model.safetensors") } else { source.into() };
        let bytes = std::fs::read(source).map_err(|error| error.to_string())?;
        std::fs::write(target, [format.as_bytes(), &bytes].concat()).map_err(|error| error.to_string())
    }

    fn makes_gguf(&self, format: &str) -> Option<bool> {
        (format == "q4_0").then_some(true)
    }
}

/// A fresh folder, removed when dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("olivine-hub-{name}-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn hub(&self) -> Hub {
        self.hub_with("")
    }

    pub fn hub_with(&self, credentials: &str) -> Hub {
        self.hub_of(Credentials::parse(credentials))
    }

    pub fn hub_of(&self, credentials: Credentials) -> Hub {
        Hub::new(Store::at(self.0.join("store")), credentials, Arc::new(PlainWorkshop))
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Names of the files below `blobs`.
    pub fn blobs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join("store/blobs")).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Bytes that no two places have in common for long.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
