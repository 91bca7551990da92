//! The server that an app is pointed at: the one that is there, or one of our own for as long as the app runs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// A server that answers.
pub struct Server {
    address: String,
    key: String,
    /// Ended with this value.
    child: Option<Child>,
}

/// A model of a server's.
pub struct Model {
    /// Its name there.
    pub name: String,
    /// Longest conversation.
    pub context_tokens: Option<u64>,
}

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// The address that clients use: a server that listens everywhere is reached here.
fn address(host: &str) -> String {
    let host = host.trim().trim_start_matches("http://").trim_end_matches('/');
    let host = if host.contains(':') { host.to_string() } else { format!("{host}:11434") };
    host.replacen("0.0.0.0:", "127.0.0.1:", 1).replacen("[::]:", "[::1]:", 1)
}

/// `http://…` of a host.
pub fn base(host: &str) -> String {
    format!("http://{}", address(host))
}

impl Server {
    /// The server at `host`, where one answers.
    pub fn find(host: &str, key: &str) -> Option<Server> {
        let server = Server { address: address(host), key: key.into(), child: None };
        server.ask("GET", "/healthz", "").is_ok().then_some(server)
    }

    /// The server at `host`, started where none answers.
    pub fn find_or_start(host: &str, key: &str, model: Option<&str>) -> Result<Server> {
        if let Some(server) = Server::find(host, key) {
            return Ok(server);
        }
        let address = address(host);
        let program = std::env::current_exe().context("where this program lies")?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", &address]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.args(model.filter(|model| *model != crate::built_in::NAME));
        let child = command.spawn().context("a server cannot be started")?;
        let mut server = Server { address, key: key.into(), child: Some(child) };
        server.wait()?;
        Ok(server)
    }

    fn wait(&mut self) -> Result<()> {
        let start = Instant::now();
        while self.ask("GET", "/healthz", "").is_err() {
            let ended = self.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
            if ended || start.elapsed() > PATIENCE {
                bail!("no server at {} and none could be started; `olivine serve --listen {0}` says why", self.address);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// See [`base`].
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The model of this name; without one, the first that is not the built-in toy, or that.
    pub fn model(&self, wanted: Option<&str>) -> Result<Model> {
        let listed = self.ask("GET", "/v1/models", "")?;
        let names: Vec<&str> =
            listed["data"].as_array().into_iter().flatten().filter_map(|one| one["id"].as_str()).collect();
        let stem = wanted.map(|name| std::path::Path::new(name).file_stem().unwrap_or_default().to_string_lossy());
        let same = |name: &&&str| {
            wanted.is_some_and(|wanted| wanted.eq_ignore_ascii_case(name)) || stem.as_deref() == Some(**name)
        };
        let chosen = match wanted {
            Some(_) => names.iter().find(same),
            None => names.iter().find(|name| **name != crate::built_in::NAME).or(names.first()),
        };
        let Some(name) = chosen else {
            bail!("{} has no model `{}`; it has {}", self.base(), wanted.unwrap_or_default(), names.join(", "));
        };
        let shown = self.ask("POST", "/api/show", &json!({"model": name}).to_string())?;
        let mut info = shown["model_info"].as_object().into_iter().flatten();
        let context = info.find(|(key, _)| key.ends_with(".context_length")).and_then(|(_, value)| value.as_u64());
        Ok(Model { name: name.to_string(), context_tokens: context })
    }

    /// A JSON answer.
    fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let mut stream = TcpStream::connect(&self.address).with_context(|| format!("no server at {}", self.address))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let (address, key, length) = (&self.address, &self.key, body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("the answer is no HTTP")?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        let value: Value = serde_json::from_str(body).unwrap_or_default();
        if status != "200" {
            let said = value["error"]["message"].as_str().or(value["error"].as_str()).unwrap_or(body);
            bail!("{}{path}: {status} {said}", self.base());
        }
        Ok(value)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn addresses_can_be_dialled() {
        for (host, dialled) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("0.0.0.0:11434", "127.0.0.1:11434"),
            ("[::]:1", "[::1]:1"),
            ("box", "box:11434"),
            ("http://box:9/", "box:9"),
        ] {
            assert_eq!(address(host), dialled);
        }
    }
}
