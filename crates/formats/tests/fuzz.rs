//! Thousands of seeded mutations of small valid files: no reader panics, every error is one line, and memory stays small.

mod common;

use std::sync::Arc;

use common::{Folder, small_gguf, small_safetensors};
use olivine_formats::gguf::Gguf;
use olivine_formats::npy::{NpyArray, NpyData};
use olivine_formats::npz::{self, Npz};
use olivine_formats::safetensors::Safetensors;
use olivine_formats::{Bytes, FormatError, Mapped, TensorType};

const MUTANTS: u64 = 20_000;
/// Far above what files of a kilobyte need, far below what a believed count would reserve.
const GROWTH_LIMIT_KIB: u64 = 256 << 10;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// One to four changes: bits, bytes, words of special values, digits, parts that vanish, repeat or move.
fn mutate(original: &[u8], random: &mut Random) -> Vec<u8> {
    const SPECIAL: [u64; 10] = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, i64::MAX as u64, u64::MAX];
    let mut bytes = original.to_vec();
    for _ in 0..1 + random.below(4) {
        // Most of what can go wrong is in the first bytes and the header.
        let reach = if random.below(3) == 0 { 32.min(bytes.len()) } else { bytes.len() };
        let at = random.below(reach);
        match random.below(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = random.next() as u8,
            2 | 3 => {
                let word = SPECIAL[random.below(SPECIAL.len())].wrapping_add(random.below(3) as u64).to_le_bytes();
                let width = [1, 2, 4, 8][random.below(4)].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&word[..width]);
            }
            4 => bytes.truncate(at),
            5 => {
                let end = at + random.below(bytes.len() - at);
                bytes.drain(at..end);
            }
            6 => {
                let end = at + random.below(64.min(bytes.len() - at));
                let part = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, part);
            }
            _ => {
                let digits: Vec<usize> = (0..bytes.len()).filter(|&i| bytes[i].is_ascii_digit()).collect();
                if let Some(&i) = digits.get(random.below(digits.len())) {
                    let number = random.next().to_string();
                    bytes.splice(i..i + 1, number.bytes().take(1 + random.below(20)));
                }
            }
        }
    }
    bytes
}

/// The most address space that this process ever had; 0 where the system does not tell.
fn peak_address_space_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn fuzz(name: &str, original: &[u8], open: impl Fn(Arc<Mapped>) -> Result<usize, FormatError>) {
    let before = peak_address_space_kib();
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..MUTANTS {
        let bytes = mutate(original, &mut Random(seed));
        match open(Mapped::of_vec(name, bytes)) {
            Ok(_) => accepted += 1,
            Err(error) => {
                let line = error.to_string();
                assert!(
                    line.starts_with(name) && !line.contains('\n') && line.chars().count() < 700,
                    "seed {seed}: {line}"
                );
                refused += 1;
            }
        }
    }
    let growth = peak_address_space_kib() - before;
    assert!(growth < GROWTH_LIMIT_KIB, "{growth} KiB for files of {} bytes", original.len());
    // A mutator that only breaks the first check, or none, would test nothing.
    assert!(accepted > MUTANTS / 100 && refused > MUTANTS / 4, "{accepted} accepted, {refused} refused");
}

#[test]
fn gguf() {
    let folder = Folder::new("fuzz-gguf");
    let path = folder.path().join("s.gguf");
    small_gguf(&path);
    fuzz("mutant.gguf", &std::fs::read(&path).expect("readable"), |mapped| {
        let gguf = Gguf::from_mapped(mapped)?;
        let strings: usize = gguf.strings("tokens").map(|s| s.map(str::len).sum()).unwrap_or(0);
        Ok(strings + gguf.tensors().map(|t| t.data.as_slice().len()).sum::<usize>())
    });
}

#[test]
fn safetensors() {
    let folder = Folder::new("fuzz-st");
    let path = folder.path().join("s.safetensors");
    small_safetensors(&path);
    fuzz("mutant.safetensors", &std::fs::read(&path).expect("readable"), |mapped| {
        Ok(Safetensors::from_mapped(mapped)?.tensors().map(|t| t.data.as_slice().len()).sum())
    });
}

#[test]
fn npy() {
    let folder = Folder::new("fuzz-npy");
    let path = folder.path().join("s.npy");
    let array = NpyData { dtype: TensorType::F32, shape: &[2, 3], data: &[7; 24] };
    olivine_formats::npy::write(&path, array).expect("it is written");
    fuzz("mutant.npy", &std::fs::read(&path).expect("readable"), |mapped| {
        let length = mapped.as_slice().len();
        let array = NpyArray::parse(mapped.path(), Bytes::new(mapped.clone(), 0..length), 0)?;
        Ok(array.data.as_slice().len())
    });
}

#[test]
fn npz() {
    let folder = Folder::new("fuzz-npz");
    for compress in [false, true] {
        let path = folder.path().join("s.npz");
        let data = [3; 24];
        let array = NpyData { dtype: TensorType::F32, shape: &[2, 3], data: &data };
        npz::write(&path, &[("first", array), ("second", array)], compress).expect("it is written");
        fuzz("mutant.npz", &std::fs::read(&path).expect("readable"), |mapped| {
            let file = Npz::from_mapped(mapped)?;
            let mut bytes = 0;
            for name in file.names() {
                bytes += file.get(name)?.map_or(0, |array| array.data.as_slice().len());
            }
            Ok(bytes)
        });
        std::fs::remove_file(&path).expect("it was written");
    }
}
