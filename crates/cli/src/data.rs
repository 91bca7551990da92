//! The data folder: cached prefixes and what is remembered of files lie there, nothing that cannot be made anew.

use std::path::PathBuf;

/// `OLIVINE_DATA`, or where programs keep data on this system; none without a home folder.
pub fn folder() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let usual = || {
        let home = named("HOME").or_else(|| named("USERPROFILE"))?;
        let folder = if std::env::consts::OS == "macos" { "Library/Application Support" } else { ".local/share" };
        Some(named("XDG_DATA_HOME").unwrap_or_else(|| home.join(folder)).join("olivine"))
    };
    named("OLIVINE_DATA").or_else(usual)
}
