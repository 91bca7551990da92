//! What this machine can do at most, measured now: bytes read from memory and arithmetic kept in registers.
//!
//! A speed means little without its limit, and limits change from minute to minute on shared machines, so the one is
//! measured beside the other. Only instructions that the chosen tier uses are listed; a processor without int8 or
//! bf16 products has its f32 peak alone. Read next: `olivine bench`.

use std::time::{Duration, Instant};

use crate::cpu::{Tier, tier};
use crate::pool::Pool;

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

/// Upper bounds of this machine with the threads of one pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Bytes read from memory in a second.
    pub read_bytes_per_second: f64,
    /// What the arithmetic units do, fastest first.
    pub peaks: Vec<Peak>,
}

/// The peak of one kind of arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub struct Peak {
    /// What is multiplied.
    pub operands: Operands,
    /// The instruction that did it.
    pub instruction: &'static str,
    /// Operations in a second; a multiplication and its addition are two.
    pub operations_per_second: f64,
}

/// What is multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operands {
    /// Eight-bit integers, summed in 32 bits.
    Int8,
    /// bf16, summed in f32.
    Bf16,
    /// f32.
    F32,
}

impl Operands {
    /// A name for tables.
    pub fn name(self) -> &'static str {
        match self {
            Operands::Int8 => "int8",
            Operands::Bf16 => "bf16",
            Operands::F32 => "f32",
        }
    }
}

impl Limits {
    /// Measure on all threads of `pool`; takes about half a second and 256 MiB.
    pub fn measure(pool: &Pool) -> Limits {
        Limits {
            read_bytes_per_second: read_bandwidth(pool),
            peaks: bursts(tier()).iter().map(|burst| burst.measure(pool)).collect(),
        }
    }

    /// The larger of both measurements, figure by figure.
    pub fn max(mut self, other: &Limits) -> Limits {
        self.read_bytes_per_second = self.read_bytes_per_second.max(other.read_bytes_per_second);
        for (peak, other) in self.peaks.iter_mut().zip(&other.peaks) {
            peak.operations_per_second = peak.operations_per_second.max(other.operations_per_second);
        }
        self
    }

    /// The peak of `operands`, or of f32 where the tier has none of its own.
    pub fn peak(&self, operands: Operands) -> &Peak {
        let found = self.peaks.iter().find(|peak| peak.operands == operands);
        found.or(self.peaks.last()).expect("every tier has an f32 peak")
    }
}

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u64; 8]);

/// Lines of one of the four streams of a part. No power of two: streams at such distances meet in the same banks.
const STREAM_LINES: usize = 244 * 64;
const PART_LINES: usize = 4 * STREAM_LINES;
const PARTS: usize = 67;
const SWEEPS_TIME: Duration = Duration::from_millis(200);
const FEWEST_SWEEPS: usize = 5;

/// Reads all lines and returns something that depends on every one.
type Reader = fn(&[Line]) -> u64;

/// Best sweep over memory that no cache holds.
fn read_bandwidth(pool: &Pool) -> f64 {
    let mut lines = Vec::with_capacity(PARTS * PART_LINES);
    in_huge_pages(&mut lines);
    lines.resize(PARTS * PART_LINES, Line([1; 8]));
    let mut best = f64::MAX;
    for reader in readers(tier()) {
        let started = Instant::now();
        let mut sweeps = 0;
        while sweeps < FEWEST_SWEEPS || started.elapsed() < SWEEPS_TIME {
            let sweep = Instant::now();
            pool.run(PARTS, &|part| {
                std::hint::black_box(reader(&lines[part * PART_LINES..(part + 1) * PART_LINES]));
            });
            best = best.min(sweep.elapsed().as_secs_f64());
            sweeps += 1;
        }
    }
    (PARTS * PART_LINES * size_of::<Line>()) as f64 / best
}

/// Ask for huge pages, as packed weights do: walks through page tables cost bandwidth.
fn in_huge_pages(lines: &mut Vec<Line>) {
    #[cfg(target_os = "linux")]
    {
        const HUGE_PAGE_BYTES: usize = 2 << 20;
        let (start, bytes) = (lines.as_mut_ptr().cast::<u8>(), lines.capacity() * size_of::<Line>());
        let skipped = start.align_offset(HUGE_PAGE_BYTES);
        let length = bytes.saturating_sub(skipped) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
        // SAFETY: the range lies within memory that the vector owns; the advice changes no contents.
        unsafe { libc::madvise(start.wrapping_add(skipped).cast(), length, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = lines;
}

/// A loop of independent instructions on registers.
struct Burst {
    operands: Operands,
    instruction: &'static str,
    /// Operations of one round.
    operations: usize,
    /// Runs that many rounds; the result depends on all.
    run: fn(usize) -> f32,
}

const ROUNDS: usize = 50_000;
const BURST_TIME: Duration = Duration::from_millis(60);

impl Burst {
    fn measure(&self, pool: &Pool) -> Peak {
        let parts = 4 * pool.threads();
        let (started, mut best) = (Instant::now(), f64::MAX);
        while started.elapsed() < BURST_TIME {
            let burst = Instant::now();
            pool.run(parts, &|_| {
                std::hint::black_box((self.run)(ROUNDS));
            });
            best = best.min(burst.elapsed().as_secs_f64());
        }
        Peak {
            operands: self.operands,
            instruction: self.instruction,
            operations_per_second: (parts * ROUNDS * self.operations) as f64 / best,
        }
    }
}

fn readers(tier: Tier) -> &'static [Reader] {
    match tier {
        #[cfg(target_arch = "x86_64")]
        Tier::Avx512 | Tier::Amx => &x86::AVX512_READERS,
        #[cfg(target_arch = "x86_64")]
        Tier::Avx2 => &x86::AVX2_READERS,
        _ => &portable::READERS,
    }
}

fn bursts(tier: Tier) -> &'static [Burst] {
    match tier {
        #[cfg(target_arch = "x86_64")]
        Tier::Amx => &x86::AMX_BURSTS,
        #[cfg(target_arch = "x86_64")]
        Tier::Avx512 => &x86::AVX512_BURSTS,
        #[cfg(target_arch = "x86_64")]
        Tier::Avx2 => &x86::AVX2_BURSTS,
        #[cfg(target_arch = "aarch64")]
        Tier::Neon => &aarch64::BURSTS,
        _ => &portable::BURSTS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::tests::on_every_tier;

    #[test]
    fn readers_see_every_line() {
        let mut lines = vec![Line([0; 8]); 4 * 64];
        on_every_tier(|tier| {
            for reader in readers(tier) {
                assert_eq!(reader(&lines), 0);
            }
        });
        for at in [0, 1, 63, 64, 100, 4 * 64 - 1] {
            lines[at].0[at % 8] = 5;
            on_every_tier(|tier| {
                for reader in readers(tier) {
                    assert_eq!(reader(&lines), 5, "{tier:?}, line {at}");
                }
            });
            lines[at].0[at % 8] = 0;
        }
    }

    #[test]
    fn every_tier_has_an_f32_peak_and_it_comes_last() {
        on_every_tier(|tier| {
            let bursts = bursts(tier);
            assert_eq!(bursts.last().map(|burst| burst.operands), Some(Operands::F32), "{tier:?}");
            let peak = bursts[0].measure(&Pool::new(1));
            assert!(peak.operations_per_second > 1e7, "{tier:?}: {peak:?}");
        });
    }

    #[test]
    fn the_larger_measurement_wins() {
        let limits = |read, peak| Limits {
            read_bytes_per_second: read,
            peaks: vec![Peak { operands: Operands::F32, instruction: "x", operations_per_second: peak }],
        };
        assert_eq!(limits(1.0, 4.0).max(&limits(2.0, 3.0)), limits(2.0, 4.0));
        assert_eq!(limits(1.0, 4.0).peak(Operands::Int8).operands, Operands::F32);
    }
}
