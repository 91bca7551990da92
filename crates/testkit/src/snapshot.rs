//! Texts that are part of the repository and compared whole: specs, transcripts, outputs of parsers.
//!
//! `OLIVINE_RENEW=1 cargo test …` writes them anew; what changed then shows in `git diff`.

use std::path::Path;

/// Compare `text` with the file, or write the file when `OLIVINE_RENEW` is set.
///
/// # Panics
/// When they differ: with the first line that does.
pub fn check(file: &Path, text: &str) {
    if std::env::var_os("OLIVINE_RENEW").is_some() {
        std::fs::write(file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        return;
    }
    let renew = "OLIVINE_RENEW=1 writes it anew";
    let kept = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}; {renew}", file.display()));
    if let Some(difference) = difference(&kept, text) {
        panic!("{}: {difference}\n{renew}", file.display());
    }
}

/// The first line that differs.
fn difference(kept: &str, text: &str) -> Option<String> {
    if kept == text {
        return None;
    }
    let (mut kept, mut now) = (kept.lines(), text.lines());
    let mut number = 1;
    loop {
        match (kept.next(), now.next()) {
            (Some(a), Some(b)) if a == b => number += 1,
            (None, None) => return Some("line ends differ".into()),
            (a, b) => {
                let show = |line: Option<&str>| line.unwrap_or("(the end)").to_string();
                return Some(format!("line {number} differs\n  kept: {}\n  now:  {}", show(a), show(b)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_shown() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        let found = difference("a\nb\n", "a\nc\n").expect("they differ");
        assert!(found.contains("line 2") && found.contains("kept: b") && found.contains("now:  c"), "{found}");
        assert!(difference("a\n", "a\nb\n").expect("they differ").contains("(the end)"));
        assert!(difference("a\r\n", "a\n").is_some());
    }

    #[test]
    #[should_panic(expected = "OLIVINE_RENEW")]
    fn a_file_that_is_not_there_is_named() {
        check(Path::new("nowhere/spec.txt"), "text");
    }
}
