//! `olivine launch APP`: another program, pointed at our server. What an app needs is in `launch/apps.rs`, how its files
//! are edited in `launch/edit.rs`, who answers in `launch/server.rs`.
//!
//! Invariant: before a file of the user's is changed for the first time, it lies beside itself as
//! `NAME.before-olivine`; `--restore` takes our settings out again and leaves what was changed since.

mod apps;
mod edit;
mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;

use self::apps::{APPS, App, File, Recipe, Target};
use self::server::Server;

/// Start another program with our models
#[derive(Args)]
pub struct Launch {
    /// claude, codex, opencode, openclaw, copilot, qwen, cline, droid, pi, goose or aider; none: list them
    app: Option<String>,
    /// The model to use [default: the first that the server lists besides mica]
    #[arg(long, short)]
    model: Option<String>,
    /// Where the server listens; one is started there when nobody answers
    #[arg(long, default_value = "127.0.0.1:11434", env = "OLIVINE_HOST")]
    host: String,
    /// The server's key, when it wants one
    #[arg(long, env = "OLIVINE_API_KEY", default_value = "olivine", hide_default_value = true)]
    api_key: String,
    /// Print what would be written and run; change and start nothing
    #[arg(long)]
    config: bool,
    /// Take our settings out of the app's files again
    #[arg(long, conflicts_with = "config")]
    restore: bool,
    /// For the app, behind `--`
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Launch {
    pub fn run(self) -> Result<ExitCode> {
        let Some(name) = &self.app else {
            list();
            return Ok(ExitCode::SUCCESS);
        };
        let Some(app) = APPS.iter().find(|app| app.name == name.to_lowercase()) else {
            let names: Vec<&str> = APPS.iter().map(|app| app.name).collect();
            bail!("no app `{name}` is known; there are {}", names.join(", "));
        };
        let home = home()?;
        if self.restore {
            return restore(app, &home);
        }
        if self.config {
            let target = self.target_without_server();
            print(app, &(app.recipe)(&target), &home)?;
            return Ok(ExitCode::SUCCESS);
        }
        let program = find_program(app.program).with_context(|| {
            format!("{} is not installed: no `{}` in PATH; {}", app.title, app.program, app.install)
        })?;
        let server = Server::find_or_start(&self.host, &self.api_key, self.model.as_deref())?;
        let model = server.model(self.model.as_deref())?;
        let target = self.target(server.base(), model.name, model.context_tokens);
        let recipe = (app.recipe)(&target);
        for file in &recipe.files {
            write(file, &home)?;
        }
        eprintln!("{} with {} at {}", app.title, target.model, target.base);
        start(&program, &recipe, &self.arguments)
    }

    fn target(&self, base: String, model: String, context_tokens: Option<u64>) -> Target {
        Target { base, key: self.api_key.clone(), model, context_tokens }
    }

    /// For `--config`: what the server says where one answers, what the command line says where none does.
    fn target_without_server(&self) -> Target {
        let model = Server::find(&self.host, &self.api_key).and_then(|server| {
            let model = server.model(self.model.as_deref()).ok()?;
            Some((model.name, model.context_tokens))
        });
        let (model, context) = model.unwrap_or_else(|| (self.model.clone().unwrap_or_else(|| "mica".into()), None));
        self.target(server::base(&self.host), model, context)
    }
}

fn list() {
    for app in APPS {
        let there = if find_program(app.program).is_some() { "installed" } else { "not installed" };
        println!("{:<10} {:<20} {there}", app.name, app.title);
    }
}

fn home() -> Result<PathBuf> {
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"));
    home.map(PathBuf::from).context("there is no home folder (HOME)")
}

/// A program of that name in PATH.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = [name.to_string(), format!("{name}.exe"), format!("{name}.cmd")];
    let here = |folder: PathBuf| names.iter().map(|name| folder.join(name)).find(|file| file.is_file());
    std::env::split_paths(&path).find_map(here)
}

fn print(app: &App, recipe: &Recipe, home: &Path) -> Result<()> {
    for file in &recipe.files {
        let path = file.path(home);
        println!("# {}\n{}", path.display(), file.edits.apply(&read(&path)?).with_context(|| in_file(&path))?);
    }
    for (name, value) in &recipe.environment {
        println!("{name}={value}");
    }
    let words = std::iter::once(app.program).chain(recipe.arguments.iter().map(String::as_str));
    println!("{}", words.collect::<Vec<_>>().join(" "));
    Ok(())
}

/// A file's text; nothing where there is no file.
fn read(path: &Path) -> Result<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| in_file(path)),
    }
}

fn in_file(path: &Path) -> String {
    path.display().to_string()
}

/// Where a file lies while ours is in its place. An empty one says that there was none.
fn backup(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}.before-olivine"))
}

fn write(file: &File, home: &Path) -> Result<()> {
    let path = file.path(home);
    let before = read(&path)?;
    let after = file.edits.apply(&before).with_context(|| format!("{} was left as it is", path.display()))?;
    if after == before {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| in_file(folder))?;
    }
    let backup = backup(&path);
    if !backup.exists() {
        replace(&backup, &before, &path)?;
    }
    replace(&path, &after, &path)?;
    eprintln!("wrote {} (before: {})", path.display(), backup.display());
    Ok(())
}

/// Writes a file at once or not at all; it may be read by whom `like` may be.
fn replace(path: &Path, text: &str, like: &Path) -> Result<()> {
    // A link stays one: what it leads to is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let write = || {
        std::fs::write(&part, text)?;
        if let Ok(known) = std::fs::metadata(like) {
            std::fs::set_permissions(&part, known.permissions())?;
        }
        std::fs::rename(&part, &path)
    };
    write().with_context(|| in_file(&path))
}

fn restore(app: &App, home: &Path) -> Result<ExitCode> {
    let recipe = (app.recipe)(&Target::default());
    let mut restored = 0;
    for file in &recipe.files {
        let path = file.path(home);
        let backup = backup(&path);
        if !backup.exists() {
            continue;
        }
        let (now, before) = (read(&path)?, read(&backup)?);
        match file.edits.undo(&now, &before).with_context(|| in_file(&path))? {
            Some(text) => replace(&path, &text, &path)?,
            None if path.exists() => std::fs::remove_file(&path).with_context(|| in_file(&path))?,
            None => {}
        }
        std::fs::remove_file(&backup).with_context(|| in_file(&backup))?;
        println!("restored {}", path.display());
        restored += 1;
    }
    if restored == 0 {
        println!("{}: nothing to restore", app.title);
    }
    Ok(ExitCode::SUCCESS)
}

fn start(program: &Path, recipe: &Recipe, arguments: &[String]) -> Result<ExitCode> {
    // Ctrl-C is the app's; a server of ours ends with it.
    let _ = ctrlc::set_handler(|| {});
    let environment = recipe.environment.iter().map(|(name, value)| (name, value));
    let status = Command::new(program).args(&recipe.arguments).args(arguments).envs(environment).status();
    let status = status.with_context(|| format!("{} cannot be started", program.display()))?;
    Ok(status.code().map_or(ExitCode::FAILURE, |code| ExitCode::from(code as u8)))
}
