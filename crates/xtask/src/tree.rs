//! The files of the workspace as git sees them: tracked, or new and not ignored.
//!
//! Invariant: paths are relative to the root, with `/`, sorted.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's files.
#[derive(Debug, Default)]
pub struct Tree {
    /// The workspace's folder; a tree of a test has none.
    pub root: PathBuf,
    /// All files.
    pub files: Vec<File>,
}

/// One file.
#[derive(Debug)]
pub struct File {
    /// Relative to the root.
    pub path: String,
    /// Bytes of it.
    pub bytes: u64,
    /// Its text; `None` when it is not UTF-8.
    pub text: Option<String>,
}

impl Tree {
    /// Reads the tree of this workspace. An error when git cannot list it.
    pub fn load() -> Result<Tree, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = root.canonicalize().map_err(|e| format!("{}: {e}", root.display()))?;
        let listing = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&root)
            .output()
            .map_err(|e| format!("git cannot be run ({e}); install it, the rules read the tracked files"))?;
        if !listing.status.success() {
            return Err(format!("git ls-files: {}", String::from_utf8_lossy(&listing.stderr).trim()));
        }
        let mut paths: Vec<String> = String::from_utf8_lossy(&listing.stdout)
            .split('\0')
            .filter(|path| !path.is_empty() && root.join(path).is_file())
            .map(str::to_string)
            .collect();
        paths.sort();
        paths.dedup();
        let files = paths.into_iter().map(|path| {
            let content = std::fs::read(root.join(&path)).map_err(|e| format!("{path}: {e}"))?;
            Ok(File { path, bytes: content.len() as u64, text: String::from_utf8(content).ok() })
        });
        let files = files.collect::<Result<Vec<_>, String>>()?;
        Ok(Tree { root, files })
    }

    /// A tree made of texts, for tests of the rules.
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let file = |(path, text): &(&str, &str)| File {
            path: path.to_string(),
            bytes: text.len() as u64,
            text: Some(text.to_string()),
        };
        Tree { root: PathBuf::new(), files: files.iter().map(file).collect() }
    }

    /// Every Rust file with its text.
    pub fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(|(path, _)| path.ends_with(".rs"))
    }

    /// Every file that is text.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|file| Some((&file.path[..], file.text.as_deref()?)))
    }
}
