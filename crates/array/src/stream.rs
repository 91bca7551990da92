//! [`Stream`]: a queue with a thread that evaluates in the background, in order.
//!
//! Invariant: what was handed to one stream is evaluated in the order of the calls; the CPU itself is one device, so
//! streams take turns. A failed evaluation leaves its arrays without a value, and reading them says so.
//! Read next: [`crate::eval`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::array::Array;

enum Job {
    Eval(Vec<Array>),
    Report(Sender<()>),
}

/// An in-order background queue of evaluations. Dropping it lets the queued work finish.
#[derive(Clone)]
pub struct Stream {
    jobs: Sender<Job>,
}

impl Default for Stream {
    fn default() -> Stream {
        Stream::new()
    }
}

impl Stream {
    /// A new queue with its own thread.
    pub fn new() -> Stream {
        let (jobs, queue) = channel::<Job>();
        let work = move || {
            for job in queue {
                match job {
                    // The panic was reported on this thread; whoever reads the arrays meets it again.
                    Job::Eval(arrays) => drop(catch_unwind(AssertUnwindSafe(|| crate::eval::eval(&arrays)))),
                    Job::Report(done) => drop(done.send(())),
                }
            }
        };
        thread::Builder::new().name("olivine-stream".into()).spawn(work).expect("[stream] the system refused a thread");
        Stream { jobs }
    }

    /// Evaluate `arrays` in the background. Reading one of them waits for it.
    pub fn async_eval<'a>(&self, arrays: impl IntoIterator<Item = &'a Array>) {
        let arrays = arrays.into_iter().cloned().collect();
        self.jobs.send(Job::Eval(arrays)).expect("[stream] the thread lives as long as its queue");
    }

    /// Wait until everything handed in so far is done.
    pub fn synchronize(&self) {
        let (done, wait) = channel();
        self.jobs.send(Job::Report(done)).expect("[stream] the thread lives as long as its queue");
        wait.recv().expect("[stream] the thread answers every report");
    }
}

/// The stream that [`async_eval`] uses, started on first use.
pub fn default_stream() -> &'static Stream {
    static DEFAULT: OnceLock<Stream> = OnceLock::new();
    DEFAULT.get_or_init(Stream::new)
}

/// Evaluate `arrays` in the background on the default stream. Reading one of them waits for it.
pub fn async_eval<'a>(arrays: impl IntoIterator<Item = &'a Array>) {
    default_stream().async_eval(arrays);
}
