//! The compiled kernels that travel in the binary: `crates/gpu/cuda/kernels.bin`, made by `cargo xtask cuda`.
//!
//! A line with the number of bytes of the table, the table (the hash of the sources, then name, architecture, bytes and
//! compressed bytes of each cubin), the cubins. Invariant: a test compares the hash with the sources beside it.
//! Read next: `runtime`.

static IMAGE: &[u8] = include_bytes!("../../cuda/kernels.bin");

struct Entry<'a> {
    name: &'a str,
    architecture: &'a str,
    bytes: usize,
    packed: &'a [u8],
}

/// What `compile.py` made of the sources that the kernels were compiled from.
pub fn sources_hash() -> &'static str {
    table().0
}

/// The cubin of a source for a device, `None` when there is none.
pub fn cubin(name: &str, major: u32, minor: u32) -> Option<Vec<u8>> {
    let architecture = match (major, minor) {
        (8, _) => "80",
        (9, 0) => "90a",
        (12, _) => "120",
        _ => return None,
    };
    let entry = table().1.into_iter().find(|entry| entry.name == name && entry.architecture == architecture)?;
    let cubin = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(entry.packed, entry.bytes);
    Some(cubin.unwrap_or_else(|error| panic!("[cuda] {name} for {architecture}: {error}")))
}

fn table() -> (&'static str, Vec<Entry<'static>>) {
    let first = IMAGE.iter().position(|&byte| byte == b'\n').expect("kernels.bin begins with a line");
    let text = |bytes: &'static [u8]| std::str::from_utf8(bytes).expect("kernels.bin has a table of text");
    let length: usize = text(&IMAGE[..first]).parse().expect("kernels.bin begins with a number");
    let (table, mut rest) = IMAGE[first + 1..].split_at(length);
    let mut lines = text(table).lines();
    let hash = lines.next().expect("the table begins with a hash");
    let mut entries = vec![];
    for line in lines {
        let mut words = line.split(' ');
        let mut next = || words.next().expect("a line of the table has four words");
        let (name, architecture) = (next(), next());
        let mut number = || next().parse().expect("a line of the table ends with numbers");
        let (bytes, packed_bytes) = (number(), number());
        let (packed, behind) = rest.split_at(packed_bytes);
        entries.push(Entry { name, architecture, bytes, packed });
        rest = behind;
    }
    (hash, entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a over names, lengths and texts, as `compile.py` has it.
    #[test]
    fn kernels_are_compiled_from_the_sources_beside_them() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda");
        let mut paths: Vec<_> =
            std::fs::read_dir(folder).expect("sources").map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "cu" || extension == "cuh"));
        paths.sort();
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for path in paths {
            let text = std::fs::read(&path).expect("a source");
            let head = format!("{} {}\n", path.file_name().unwrap().to_str().unwrap(), text.len());
            for byte in head.into_bytes().into_iter().chain(text) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
        assert_eq!(sources_hash(), format!("{hash:016x}"), "kernels.bin is old: run `cargo xtask cuda`");
    }

    #[test]
    fn every_source_is_there_for_every_architecture() {
        for name in
            ["few", "rows", "unpack", "attention", "plain", "moe", "recurrent", "sequences", "greatest", "cards"]
        {
            for (major, minor) in [(8, 0), (8, 6), (8, 9), (9, 0), (12, 0)] {
                let cubin = cubin(name, major, minor).unwrap_or_else(|| panic!("{name} for {major}.{minor}"));
                assert_eq!(&cubin[..4], b"\x7fELF", "{name} for {major}.{minor}");
            }
        }
        for name in ["gemm", "some", "team", "rows_apart", "attention_step", "attention_prompt"] {
            assert!(cubin(name, 9, 0).is_some() && cubin(name, 8, 0).is_none(), "{name}");
        }
        assert!(cubin("few", 7, 5).is_none());
    }
}
