//! `cargo xtask golden`: makes the golden data of the tiny models again.
//!
//! Runs the scripts of `crates/testkit/golden/`, which need a Python with torch and transformers (`--python`, by default
//! `python3`) and, for the GGUF recipes, a source tree of llama.cpp (`--llama-cpp`). The result is part of the repository:
//! what changed shows in `git diff`. Next: `crates/testkit/src/tiny.rs`.

use std::path::Path;
use std::process::{Command, ExitCode};

const USAGE: &str = "cargo xtask golden [--python PROGRAM] [--llama-cpp SOURCE_TREE [--probe PROGRAM]]";

/// What to run the scripts with.
#[derive(Debug, PartialEq)]
struct Options {
    python: String,
    llama_cpp: Option<String>,
    probe: Option<String>,
}

/// Runs the scripts; fails with the first one that fails.
pub fn run(arguments: &[String]) -> ExitCode {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}\nusage: {USAGE}");
            return ExitCode::from(2);
        }
    };
    for command in options.commands() {
        match Command::new(&command[0]).args(&command[1..]).status() {
            Ok(status) if status.success() => {}
            Ok(status) => {
                eprintln!("{}: {status}", command.join(" "));
                return ExitCode::FAILURE;
            }
            Err(error) => {
                eprintln!("{}: {error}", command[0]);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self { python: "python3".to_owned(), llama_cpp: None, probe: None };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().cloned().ok_or_else(|| format!("{name} needs a value"));
            match name.as_str() {
                "--python" => options.python = value?,
                "--llama-cpp" => options.llama_cpp = Some(value?),
                "--probe" => options.probe = Some(value?),
                other => return Err(format!("unknown option {other}")),
            }
        }
        Ok(options)
    }

    /// The command lines, logits first: the GGUF recipes are compared with them.
    fn commands(&self) -> Vec<Vec<String>> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/golden");
        let script = |name: &str| scripts.join(name).display().to_string();
        let makers = ["make_family_goldens.py", "make_encoder_goldens.py"];
        let mut commands: Vec<Vec<String>> =
            makers.iter().map(|name| vec![self.python.clone(), script(name)]).collect();
        if let Some(llama_cpp) = &self.llama_cpp {
            let mut command = vec![self.python.clone(), script("make_family_ggufs.py"), "--llama-cpp".to_owned()];
            command.push(llama_cpp.clone());
            if let Some(probe) = &self.probe {
                command.extend(["--probe".to_owned(), probe.clone()]);
            }
            commands.push(command);
            let encoders = script("make_encoder_ggufs.py");
            commands.push(vec![self.python.clone(), encoders, "--llama-cpp".to_owned(), llama_cpp.clone()]);
        }
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_choose_the_scripts_that_run() {
        let plain = parse("").unwrap().commands();
        assert_eq!(plain.len(), 2);
        assert!(plain.iter().all(|command| Path::new(&command[1]).is_file()), "{plain:?}");
        let all = parse("--python py --llama-cpp tree --probe p").unwrap().commands();
        assert!(Path::new(&all[2][1]).is_file(), "{}", all[2][1]);
        assert_eq!((all[2][0].as_str(), all[2][2..].join(" ").as_str()), ("py", "--llama-cpp tree --probe p"));
    }

    #[test]
    fn a_wrong_option_is_refused_by_name() {
        assert_eq!(parse("--pyton x").unwrap_err(), "unknown option --pyton");
        assert_eq!(parse("--python").unwrap_err(), "--python needs a value");
    }
}
