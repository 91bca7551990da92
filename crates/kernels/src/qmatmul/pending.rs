//! What is not packed yet: the sources of a matrix, and which of its parts were used.
//!
//! A part is packed when it is used for the second time. The first time its panels go to memory of the thread that needs
//! them, which is in its caches: so the first token waits for no fresh memory, which may cost more than packing, and
//! experts that nobody asks for are never packed. Invariant: sources are let go as their parts are packed, a stretch of
//! parts at a time, so that a matrix is in memory once.
//! Read next: [`super::panels`].

use crate::quant::Stored;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A matrix as it lies in a file, which this keeps; it is gone once it is packed.
pub trait Source: Send + Sync {
    /// The matrix, each time the same.
    fn stored(&self) -> Stored<'_>;

    /// These rows are packed: they need no memory any more, though they may be read again.
    fn release(&self, rows: Range<usize>);
}

/// Sources of a matrix, one below the other.
pub type Sources = Arc<[Box<dyn Source>]>;

/// What is left of a matrix.
pub struct Pending {
    sources: Mutex<Option<Sources>>,
    /// Of each part; none where all was packed at once.
    states: Box<[AtomicU8]>,
    /// Parts of a stretch.
    stretch: usize,
    /// How many parts of each stretch are not packed.
    left: Box<[AtomicUsize]>,
    /// How many stretches there are of which this is true.
    stretches: AtomicUsize,
}

const UNUSED: u8 = 0;
const USED: u8 = 1;
const BEING_PACKED: u8 = 2;
const PACKED: u8 = 3;

/// Where a part that is not packed goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To memory of the thread.
    Spare,
    /// To the memory of the matrix; [`Pending::packed`] follows.
    Own,
}

impl Pending {
    /// Nothing.
    pub fn none() -> Pending {
        Pending::new(Vec::new(), 0, 1)
    }

    /// All of so many parts, of which sources are let go so many at a time.
    pub fn new(sources: Vec<Box<dyn Source>>, parts: usize, stretch: usize) -> Pending {
        let states = (0..parts).map(|_| AtomicU8::new(UNUSED)).collect();
        let left: Box<[_]> =
            (0..parts).step_by(stretch).map(|first| AtomicUsize::new(stretch.min(parts - first))).collect();
        let stretches = AtomicUsize::new(left.len());
        Pending { sources: Mutex::new(Some(sources.into())), states, stretch, left, stretches }
    }

    /// Whether all is packed.
    pub fn is_over(&self) -> bool {
        self.stretches.load(Ordering::Acquire) == 0
    }

    /// A part is used: what to pack and where, unless it is packed.
    pub fn claim(&self, part: usize) -> Option<(Sources, Place)> {
        let own = match self.begin(part, UNUSED, USED)? {
            USED => self.begin(part, USED, BEING_PACKED)? == USED,
            _ => false,
        };
        Some((self.all()?, if own { Place::Own } else { Place::Spare }))
    }

    /// A part that is to be packed to the memory of the matrix, unless it is or another thread is at it.
    pub fn claim_rest(&self, part: usize) -> Option<Sources> {
        let mine = self.begin(part, UNUSED, BEING_PACKED)? == UNUSED || self.begin(part, USED, BEING_PACKED)? == USED;
        if mine { self.all() } else { None }
    }

    /// The sources, if a part is not packed.
    pub fn sources(&self, part: usize) -> Option<Sources> {
        self.begin(part, PACKED, PACKED)?;
        self.all()
    }

    /// A claimed part is in the memory of the matrix. The parts whose sources may go now.
    pub fn packed(&self, part: usize) -> Option<Range<usize>> {
        self.states[part].store(PACKED, Ordering::Release);
        let stretch = part / self.stretch;
        if self.left[stretch].fetch_sub(1, Ordering::AcqRel) > 1 {
            return None;
        }
        if self.stretches.fetch_sub(1, Ordering::AcqRel) == 1 {
            *self.sources.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Some(stretch * self.stretch..((stretch + 1) * self.stretch).min(self.states.len()))
    }

    /// Goes from one state to another. The state before; none if the part is packed.
    fn begin(&self, part: usize, from: u8, to: u8) -> Option<u8> {
        let state = self.states.get(part)?;
        let before = match state.load(Ordering::Acquire) {
            PACKED => PACKED,
            _ => state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).unwrap_or_else(|found| found),
        };
        (before != PACKED).then_some(before)
    }

    /// None: all was packed meanwhile.
    fn all(&self) -> Option<Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
