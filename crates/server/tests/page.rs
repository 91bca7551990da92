//! The page: who gets it, with which headers, and that it loads nothing from elsewhere.

mod common;

use common::{Server, options};
use olivine_engine::EngineOptions;
use olivine_server::ServerOptions;

const BROWSER: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";

/// What `src="…"`, `href="…"` and `from "…"` in a text name, but for places in the text itself.
fn addresses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for sign in ["src=\"", "href=\"", "from \"./"] {
        let parts = text.split(sign).skip(1).filter_map(|rest| rest.split('"').next());
        let prefix = if sign.starts_with("from") { "/web/" } else { "" };
        found.extend(parts.filter(|part| !part.starts_with('#')).map(|part| format!("{prefix}{part}")));
    }
    found
}

#[test]
fn browsers_get_the_page_and_clients_the_words_they_look_for() {
    let server = Server::plain();
    let (head, body) = server.raw("GET", "/", BROWSER, "");
    assert!(head.starts_with("HTTP/1.1 200") && body.starts_with("<!doctype html>"), "{head}");
    for accept in ["", "Accept: */*\r\n", "Accept: application/json\r\n"] {
        assert_eq!(server.ask("GET", "/", accept, ""), (200, "Ollama is running".into()));
    }
    assert_eq!(server.ask("HEAD", "/", "", ""), (200, String::new()));
    assert_eq!(server.ask("GET", "/web/../lib.rs", "", "").0, 404);
    assert_eq!(server.ask("GET", "/web/nothing.js", "", "").0, 404);
}

#[test]
fn the_page_is_whole_and_trusts_only_its_own_files() {
    let server = Server::plain();
    let mut seen: Vec<String> = Vec::new();
    let mut todo = vec!["/".to_string()];
    while let Some(path) = todo.pop() {
        let (head, body) = server.raw("GET", &path, BROWSER, "");
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        let head = head.to_lowercase();
        let policy = head.lines().find_map(|line| line.strip_prefix("content-security-policy: ")).unwrap_or_default();
        for rule in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(rule), "{path}: {rule} in {policy:?}");
        }
        assert!(!policy.contains("unsafe") && head.contains("x-content-type-options: nosniff"), "{path}: {head}");
        for way in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser"]
        {
            assert!(!body.contains(way), "{path} uses {way}");
        }
        assert!(!body.contains(" style=") && !body.contains("<script>") && !body.contains("@import"), "{path}");
        for address in addresses(&body) {
            assert!(address.starts_with("/web/"), "{path} names {address}");
            if !seen.contains(&address) {
                seen.push(address.clone());
                todo.push(address);
            }
        }
    }
    assert!(seen.len() >= 8, "{seen:?}");
}

#[test]
fn the_page_comes_without_a_key_and_what_it_asks_for_does_not() {
    let options = ServerOptions { api_keys: vec!["secret".into()], hosts: vec!["olive.example".into()], ..options() };
    let server = Server::start(options, EngineOptions::default());
    assert_eq!(server.ask("GET", "/", BROWSER, "").0, 200);
    assert_eq!(server.ask("GET", "/web/app.js", "", "").0, 200);
    assert_eq!(server.ask("GET", "/v1/status", "", "").0, 401);
    assert_eq!(server.ask("GET", "/v1/status", "Authorization: Bearer secret\r\n", "").0, 200);
    // The page under a name of the server's: its own origin may ask, another's may not.
    let from = |origin: &str| {
        let headers = format!("Host: olive.example:80\r\nOrigin: {origin}\r\nAuthorization: Bearer secret\r\n");
        server.ask("GET", "/v1/status", &headers, "").0
    };
    assert_eq!(from("http://olive.example:80"), 200);
    assert_eq!(from("http://olive.example:81"), 403);
    assert_eq!(from("http://evil.example"), 403);
}
