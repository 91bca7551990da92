//! Running other programs, step by step, with what each step cost.

use std::process::{Command, ExitCode};
use std::time::Instant;

/// Runs the steps of a command until one fails.
#[derive(Default)]
pub struct Steps {
    failed: Option<String>,
}

impl Steps {
    /// One program; skipped when an earlier step failed.
    pub fn run(&mut self, what: &str, program: &str, arguments: &[&str], environment: &[(&str, &str)]) {
        self.step(what, || {
            let mut command = Command::new(program);
            command.args(arguments).envs(environment.iter().copied());
            match command.status() {
                Ok(status) if status.success() => Ok(()),
                Ok(status) => Err(format!("{program} {}: {status}", arguments.join(" "))),
                Err(error) => Err(format!("{program} cannot be run: {error}")),
            }
        });
    }

    /// One step of our own; skipped when an earlier step failed.
    pub fn step(&mut self, what: &str, action: impl FnOnce() -> Result<(), String>) {
        if self.failed.is_some() {
            return;
        }
        println!("== {what}");
        let start = Instant::now();
        match action() {
            Ok(()) => println!("== {what}: passed in {:.1} s", start.elapsed().as_secs_f64()),
            Err(message) => self.failed = Some(format!("{what}: {message}")),
        }
    }

    /// The exit code of all.
    pub fn finish(self) -> ExitCode {
        match self.failed {
            None => ExitCode::SUCCESS,
            Some(message) => {
                eprintln!("== failed: {message}");
                ExitCode::FAILURE
            }
        }
    }
}

/// What a program prints; `None` when it cannot be run or fails.
pub fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
