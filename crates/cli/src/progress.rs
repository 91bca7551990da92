//! Progress of pulls, pushes and creations: bars on a terminal, a line for each step otherwise.
//!
//! Invariant: bars go to standard error; Ctrl-C stops the work, which can be taken up again. Read
//! `olivine_hub::progress` for what is told.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use olivine_hub::{HubError, Progress, Reporter};

/// Does work that reports, and shows its progress.
pub fn shown(work: impl FnOnce(Reporter) -> Result<(), HubError>) -> Result<()> {
    let stopped = Arc::new(AtomicBool::new(false));
    let setter = stopped.clone();
    ctrlc::set_handler(move || {
        if setter.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .context("Ctrl-C")?;
    let screen = Screen::new();
    let told = |progress: Progress| {
        screen.show(&progress);
        !stopped.load(Ordering::Relaxed)
    };
    let done = work(Reporter(&told));
    screen.end();
    match done {
        Err(HubError::Cancelled) => bail!("stopped; the same command goes on where this one was"),
        done => Ok(done?),
    }
}

struct Screen {
    terminal: bool,
    bars: MultiProgress,
    known: Mutex<HashMap<String, ProgressBar>>,
}

impl Screen {
    fn new() -> Screen {
        let terminal = std::io::stderr().is_terminal();
        Screen { terminal, bars: MultiProgress::new(), known: Mutex::default() }
    }

    fn show(&self, progress: &Progress) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !known.contains_key(&progress.status);
        if !self.terminal {
            if is_new {
                eprintln!("{}", progress.status);
                known.insert(progress.status.clone(), ProgressBar::hidden());
            }
            return;
        }
        let bar = known.entry(progress.status.clone()).or_insert_with(|| self.bars.add(bar(progress)));
        if progress.total > 0 {
            bar.set_length(progress.total);
            if is_new {
                // What is here already is not this command's speed.
                bar.set_position(progress.completed);
                bar.reset_eta();
            }
            bar.set_position(progress.completed);
            if progress.completed >= progress.total && !bar.is_finished() {
                bar.finish();
            }
        }
    }

    /// What is still moving stays as it is.
    fn end(&self) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().filter(|bar| !bar.is_finished()).for_each(ProgressBar::abandon);
    }
}

fn bar(progress: &Progress) -> ProgressBar {
    let (template, bar) = match progress.total {
        0 => ("{msg}", ProgressBar::new_spinner()),
        total => (
            "{msg} {percent:>3}% {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}",
            ProgressBar::new(total),
        ),
    };
    let style = ProgressStyle::with_template(template).expect("a valid template");
    let bar = bar.with_style(style).with_message(progress.status.clone());
    bar.tick();
    bar
}
