//! What threads without work ask memory for: the beginning of the weights that the next product will read.
//!
//! Decoding repeats one order of products, so what followed a product last time is what follows it now. A thread that
//! waits for the end of a region, or for the next one, meanwhile asks for the first bytes of its own stretch of them:
//! the bandwidth that it would leave unused. Invariant: a guess changes no bits; a wrong or an old one costs bandwidth
//! alone, since asking for any address is harmless. Read next: [`crate::pool`].

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::simd::{Simd, tiered};

/// Bytes that a waiting thread asks for at most: a part of the second-level cache, which the region's own data need too.
const AHEAD_BYTES: usize = 256 << 10;
/// Lines that are asked for between two looks at what the thread waits for.
const LINES: usize = 8;
/// More products than any model has; beyond it all that was learned is forgotten.
const MOST_PRODUCTS: usize = 1 << 14;

/// What follows each product, and where each thread will begin to read.
pub struct Ahead {
    starts: Vec<AtomicUsize>,
    learned: Mutex<Learned>,
}

#[derive(Default)]
struct Learned {
    /// The product that was seen last, by where its weights begin.
    last: Option<usize>,
    followers: HashMap<usize, Box<[usize]>>,
}

/// How far a thread has come in asking.
#[derive(Default)]
pub struct Cursor {
    start: usize,
    asked: usize,
}

impl Ahead {
    /// For so many threads.
    pub fn new(threads: usize) -> Ahead {
        Ahead { starts: (0..threads).map(|_| AtomicUsize::new(0)).collect(), learned: Mutex::default() }
    }

    /// A product is about to run whose threads begin to read at `starts`: it followed the last one, and threads that
    /// wait from now on ask for what followed it. Without `starts` (experts, which are others each time) nothing is
    /// learned and nothing asked for.
    pub fn product(&self, starts: &[*const u8]) {
        let mut learned = self.learned.lock().expect("[ahead] never held across a panic");
        let starts = || starts.iter().map(|start| *start as usize);
        let this = starts().next();
        let last = std::mem::replace(&mut learned.last, this);
        if learned.followers.len() > MOST_PRODUCTS {
            learned.followers.clear();
        }
        if let (Some(last), Some(_)) = (last, this)
            && !learned.followers.get(&last).is_some_and(|follower| follower.iter().copied().eq(starts()))
        {
            learned.followers.insert(last, starts().collect());
        }
        let next = this.and_then(|this| learned.followers.get(&this)).map_or(&[][..], |next| next);
        for (index, start) in self.starts.iter().enumerate() {
            start.store(next.get(index).copied().unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// Ask for a few more lines on behalf of a thread that waits.
    pub fn ask(&self, thread: usize, cursor: &mut Cursor) {
        let start = self.starts[thread].load(Ordering::Relaxed);
        if start != cursor.start {
            *cursor = Cursor { start, asked: 0 };
        }
        if start != 0 && cursor.asked < AHEAD_BYTES {
            ask_lines((start as *const u8).wrapping_add(cursor.asked));
            cursor.asked += LINES * 64;
        }
    }
}

tiered! { fn ask_lines(at: *const u8) = ask_body; }

#[inline(always)]
fn ask_body<S: Simd>(s: S, at: *const u8) {
    (0..LINES).for_each(|line| s.prefetch_far(at.wrapping_add(line * 64)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learns_what_follows_and_forgets_what_no_longer_does() {
        let ahead = Ahead::new(2);
        let place = |at: usize| at as *const u8;
        let next = || ahead.starts.iter().map(|start| start.load(Ordering::Relaxed)).collect::<Vec<_>>();
        for _ in 0..2 {
            ahead.product(&[place(64), place(640)]);
            ahead.product(&[place(128), place(1280)]);
        }
        assert_eq!(next(), [64, 640], "the first follows the second");
        ahead.product(&[place(64), place(640)]);
        assert_eq!(next(), [128, 1280]);
        ahead.product(&[place(192)]);
        assert_eq!(next(), [0, 0], "nothing has followed it yet");
        ahead.product(&[place(64), place(640)]);
        assert_eq!(next(), [192, 0], "the last follower counts");
        ahead.product(&[]);
        assert_eq!(next(), [0, 0], "experts are others each time");
        ahead.product(&[place(128), place(1280)]);
        ahead.product(&[]);
        assert_eq!(next(), [0, 0], "also the second time");
        ahead.product(&[place(64), place(640)]);
        assert_eq!(next(), [192, 0], "what experts stand between is not learned");
        let mut cursor = Cursor::default();
        for _ in 0..AHEAD_BYTES {
            ahead.ask(0, &mut cursor);
        }
        assert_eq!((cursor.start, cursor.asked), (192, AHEAD_BYTES));
    }
}
