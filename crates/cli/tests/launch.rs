//! `olivine launch`: what is written for each app, what comes back, and an app that runs against a server of ours.

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use common::{Folder, program};

const APPS: [&str; 11] =
    ["claude", "codex", "opencode", "openclaw", "copilot", "qwen", "cline", "droid", "pi", "goose", "aider"];

/// Files that users have, and what is in them.
const THEIRS: [(&str, &str); 6] = [
    (
        ".codex/config.toml",
        "# my settings\nmodel = \"gpt-5\" # the usual\n\n[model_providers.theirs]\nname = \"Theirs\"\n\n[tui]\ntheme = \"x\"\n",
    ),
    (
        ".config/opencode/opencode.json",
        "{\n    \"theme\": \"olive\",\n    \"model\": \"theirs/m\",\n    \"provider\": {\"theirs\": {}}\n}\n",
    ),
    (
        ".openclaw/openclaw.json",
        "{\n\t\"gateway\": {\"port\": 1},\n\t\"agents\": {\"defaults\": {\"workspace\": \"w\"}}\n}",
    ),
    (
        ".cline/data/settings/providers.json",
        "{\n  \"version\": 1,\n  \"lastUsedProvider\": \"theirs\",\n  \"providers\": {\"theirs\": {\"settings\": {}}}\n}\n",
    ),
    (".factory/settings.json", "{\"customModels\": [{\"id\": \"custom:theirs-0\"}], \"sound\": \"off\"}"),
    (".pi/agent/models.json", "{\"providers\": {\"theirs\": {\"baseUrl\": \"http://x\"}}}"),
];

fn launch(home: &Path, path: &Path, arguments: &[&str]) -> Output {
    let mut command = program(&["launch"]);
    for name in [
        "CODEX_HOME",
        "OPENCLAW_STATE_DIR",
        "PI_CODING_AGENT_DIR",
        "XDG_CONFIG_HOME",
        "OLIVINE_HOST",
        "OLIVINE_API_KEY",
    ] {
        command.env_remove(name);
    }
    command.args(arguments).env("HOME", home).env("PATH", path);
    command.output().expect("the program starts")
}

fn text(output: &Output) -> String {
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{errors}");
    out.into_owned()
}

/// An address where nobody listens now.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").to_string()
}

#[test]
fn what_is_written_for_each_app() {
    let home = Folder::new("launch-config");
    let mut all = String::new();
    for app in APPS {
        let shown = launch(&home.join("."), Path::new(""), &[app, "--config", "--model", "m", "--host", "127.0.0.1:9"]);
        let shown = text(&shown).replace(&home.join(".").display().to_string(), "~");
        all += &format!("== {app}\n{shown}\n");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/launch.txt");
    olivine_testkit::snapshot::check(&file, &all);
    assert_eq!(fs::read_dir(home.join(".")).expect("it is there").count(), 0, "--config writes nothing");
}

/// The app is a script that tells its variables, its options, and what the server at its address says.
#[test]
fn an_app_runs_against_a_server_of_ours_and_its_settings_come_back() {
    use std::os::unix::fs::PermissionsExt;
    let (home, bin) = (Folder::new("launch-home"), Folder::new("launch-bin"));
    for (file, theirs) in THEIRS {
        let path = home.join(file);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("it can be made");
        fs::write(&path, theirs).expect("it can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    }
    for app in APPS {
        let script = bin.write(app, b"#!/bin/sh\necho \"$ANTHROPIC_BASE_URL|$OPENAI_BASE_URL|$*\"\nexit 7\n");
        fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let address = free_address();
        let path = std::env::join_paths([bin.join("."), "/bin".into(), "/usr/bin".into()]).expect("a path");
        let output = launch(&home.join("."), Path::new(&path), &[app, "--host", &address, "--", "--their-option"]);
        let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(7), "{app}: {out}{errors}");
        assert!(out.trim_end().ends_with("--their-option"), "{app}: {out}");
        assert!(errors.contains(&format!("with mica at http://{address}")), "{app}: {errors}");
        assert!(std::net::TcpStream::connect(&address).is_err(), "{app}: the server ended with the app");
    }
    for (file, theirs) in THEIRS {
        let (path, kept) = (home.join(file), home.join(&format!("{file}.before-olivine")));
        let now = fs::read_to_string(&path).expect("it is there");
        assert!(now.contains("/v1") && now.contains("theirs") || file.contains("openclaw"), "{file}: {now}");
        assert_eq!(fs::read_to_string(&kept).expect("a copy is there"), theirs, "{file}");
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600, "{file}");
        assert_eq!(fs::metadata(&kept).expect("it is there").permissions().mode() & 0o777, 0o600, "{file}");
    }
    for app in APPS {
        text(&launch(&home.join("."), Path::new(""), &[app, "--restore"]));
        let again = text(&launch(&home.join("."), Path::new(""), &[app, "--restore"]));
        assert!(again.ends_with("nothing to restore\n"), "{app}: {again}");
    }
    for (file, theirs) in THEIRS {
        assert_eq!(fs::read_to_string(home.join(file)).expect("it is there"), theirs, "{file}");
        assert!(!home.join(&format!("{file}.before-olivine")).exists(), "{file}");
    }
}

#[test]
fn what_cannot_be_done_is_said_in_a_line() {
    let home = Folder::new("launch-errors");
    let errors = |arguments: &[&str]| {
        let output = launch(&home.join("."), Path::new(""), arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && message.trim_end().lines().count() == 1, "{message}");
        message
    };
    let message = errors(&["claude"]);
    assert!(message.contains("Claude Code is not installed") && message.contains("npm install"), "{message}");
    let message = errors(&["emacs"]);
    assert!(message.contains("no app `emacs`") && message.contains("opencode"), "{message}");
    fs::create_dir_all(home.join(".pi/agent")).expect("it can be made");
    fs::write(home.join(".pi/agent/models.json"), "{ // mine\n}").expect("it can be written");
    let message = errors(&["pi", "--config", "--host", "127.0.0.1:9"]);
    assert!(message.contains("models.json") && message.contains("comments"), "{message}");
    let listed = text(&launch(&home.join("."), Path::new(""), &[]));
    assert_eq!(listed.lines().filter(|line| line.ends_with("not installed")).count(), APPS.len(), "{listed}");
}
