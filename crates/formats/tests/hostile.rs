//! Broken and hostile files: each gives one line that names the file, the cause and, where there is one, the fix.

mod common;

use std::path::Path;

use common::{Folder, small_gguf, small_safetensors};
use olivine_formats::gguf::Gguf;
use olivine_formats::gguf_writer::{Field, GgufWriter};
use olivine_formats::safetensors::Safetensors;
use olivine_formats::{Declaration, FormatError, Mapped, TensorType};

/// The error's line: it names the file and holds every word.
fn check<T: std::fmt::Debug>(path: &Path, result: Result<T, FormatError>, words: &[&str]) {
    let line = result.expect_err("this file is broken").to_string();
    assert!(!line.contains('\n') && line.chars().count() < 700, "{line}");
    assert!(line.contains(&*path.file_name().expect("a name").to_string_lossy()), "{line}");
    for word in words {
        assert!(line.contains(word), "{word:?} is not in: {line}");
    }
}

fn safetensors(folder: &Folder, header: &str, data: usize, words: &[&str]) {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    let path = folder.file("x.safetensors", &bytes);
    check(&path, Safetensors::open(&path), words);
}

fn entry(name: &str, dtype: &str, shape: &str, first: u64, end: u64) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{first},{end}]}}"#)
}

#[test]
fn safetensors_headers() {
    let folder = Folder::new("hostile-st");
    let f32 = |name: &str, first, end| entry(name, "F32", "[2]", first, end);
    let cases: &[(String, usize, &[&str])] = &[
        (format!("{{{}}}", f32("a", 0, 8)), 4, &["\"a\"", "cut short"]),
        (format!("{{{}}}", f32("a", 0, 8)), 9, &["last 1 bytes", "no tensor"]),
        (format!("{{{}}}", f32("a", 4, 12)), 12, &["\"a\"", "4 bytes before it"]),
        (format!("{{{},{}}}", f32("a", 0, 8), f32("b", 4, 12)), 12, &["\"b\"", "overlaps \"a\""]),
        (format!("{{{},{}}}", f32("a", 0, 8), f32("a", 8, 16)), 16, &["\"a\"", "occurs twice"]),
        (format!("{{{}}}", f32("a", 8, 0)), 8, &["\"a\"", "8..0"]),
        (format!("{{{}}}", f32("a", 0, 4)), 4, &["\"a\"", "has 8 bytes"]),
        (format!("{{{}}}", entry("a", "F33", "[2]", 0, 8)), 8, &["\"F33\"", "not known"]),
        (format!("{{{}}}", entry("a", "F4", "[3]", 0, 1)), 1, &["f4", "[3]"]),
        (
            format!("{{{}}}", entry("a", "F32", "[4294967296,4294967296,4294967296]", 0, 8)),
            8,
            &["\"a\"", "cannot have the shape"],
        ),
        (format!("{{{}}}", entry("a", "U8", "[18446744073709551615]", 0, u64::MAX)), 8, &["\"a\""]),
        (format!("{{{}}}", entry("a", "U8", "[-1]", 0, 1)), 1, &["not valid"]),
        (format!("{{{}}}", entry("a", "U8", &format!("{:?}", [1; 65]), 0, 1)), 1, &["65 dimensions"]),
        (r#"{"a":{"dtype":"U8","shape":[1]}}"#.into(), 1, &["data_offsets"]),
        (r#"{"__metadata__":{"a":1}}"#.into(), 0, &["not valid", "string"]),
        (r#"{"__metadata__":{"a":"1","a":"2"}}"#.into(), 0, &["\"a\"", "twice"]),
        (format!("{{{}", "\"a\":[".repeat(100_000)), 0, &["not valid"]),
        ("[]".into(), 0, &["not a safetensors file"]),
        ("{".into(), 0, &["not valid"]),
        (String::new(), 0, &["x.safetensors"]),
    ];
    for (header, data, words) in cases {
        safetensors(&folder, header, *data, words);
    }
    let path = folder.file("x.safetensors", b"1234");
    check(&path, Safetensors::open(&path), &["4 bytes"]);
    let path = folder.file("x.safetensors", b"");
    check(&path, Safetensors::open(&path), &["empty"]);
    let path = folder.file("x.safetensors", b"\x09\0\0\0\0\0\0\0{\"\xff\":1}  ");
    check(&path, Safetensors::open(&path), &["byte 10", "UTF-8"]);
    let path = folder.file("x.safetensors", b"version https://git-lfs.github.com/spec/v1\n");
    check(&path, Safetensors::open(&path), &["git lfs pull"]);
    let path = folder.file("x.safetensors", &u64::MAX.to_le_bytes());
    check(&path, Safetensors::open(&path), &["not a safetensors file"]);
    check(Path::new("/no/such.safetensors"), Safetensors::open(Path::new("/no/such.safetensors")), &[]);
}

#[test]
fn folders_and_indexes() {
    let folder = Folder::new("hostile-index");
    check(folder.path(), Safetensors::open(folder.path()), &["no *.safetensors"]);
    small_safetensors(&folder.path().join("s.safetensors"));
    let index = |text: &str, words: &[&str], at: &str| {
        folder.file("model.safetensors.index.json", text.as_bytes());
        check(&folder.path().join(at), Safetensors::open(folder.path()), words);
    };
    let name = "model.safetensors.index.json";
    for outside in ["../s.safetensors", "/etc/passwd", "..", ".", "a/b", "a\\\\b", "C:x", "", "./s.safetensors"] {
        index(&format!(r#"{{"weight_map":{{"t":"{outside}"}}}}"#), &["\"t\"", "outside the folder"], name);
    }
    index(r#"{"weight_map":{"t":"none.safetensors"}}"#, &["none.safetensors", "missing"], name);
    index(r#"{"weight_map":{"t":"s.safetensors"}}"#, &["\"t\"", "not in the shard"], "s.safetensors");
    index(r#"{"weight_map":{"a.weight":"s.safetensors","a.weight":"s.safetensors"}}"#, &["twice"], name);
    index(r#"{"weight_map":{"t":1}}"#, &["not a valid index"], name);
    index(r#"{}"#, &["weight_map"], name);
    index("nonsense", &["not a valid index"], name);
    folder.file(name, br#"{"weight_map":{"a.weight":"s.safetensors"}}"#);
    let set = Safetensors::open(folder.path()).expect("a sound index");
    assert_eq!(set.tensors().map(|t| &t.name[..]).collect::<Vec<_>>(), ["a.weight"], "the index decides");
}

/// A GGUF header with one tensor record or pair that the test makes.
fn gguf(version: u32, tensors: u64, pairs: u64, rest: &[u8]) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend(tensors.to_le_bytes());
    bytes.extend(pairs.to_le_bytes());
    bytes.extend(rest);
    bytes
}

fn text(value: &str) -> Vec<u8> {
    [&(value.len() as u64).to_le_bytes(), value.as_bytes()].concat()
}

fn record(name: &str, shape: &[u64], id: u32, offset: u64) -> Vec<u8> {
    let shape_bytes: Vec<u8> = shape.iter().flat_map(|n| n.to_le_bytes()).collect();
    let dims = (shape.len() as u32).to_le_bytes();
    [&text(name), &dims[..], &shape_bytes, &id.to_le_bytes(), &offset.to_le_bytes()].concat()
}

fn pair(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&text(key), &kind.to_le_bytes()[..], value].concat()
}

#[test]
fn gguf_headers() {
    let folder = Folder::new("hostile-gguf");
    let le32 = |n: u32| n.to_le_bytes();
    let le64 = |n: u64| n.to_le_bytes();
    let array = |element: u32, count: u64| [&le32(element)[..], &le64(count)].concat();
    let room = [0u8; 4096];
    let with = |records: &[Vec<u8>]| [&records.concat()[..], &room].concat();
    let cases: Vec<(Vec<u8>, &[&str])> = vec![
        (b"GGML....".to_vec(), &["not a GGUF file"]),
        (b"GG".to_vec(), &["cut short"]),
        (gguf(3u32.swap_bytes(), 0, 0, &[]), &["big-endian"]),
        (gguf(1, 0, 0, &[]), &["version 1"]),
        (gguf(77, 0, 0, &[]), &["version 77"]),
        (gguf(3, u64::MAX, 0, &room), &["do not fit"]),
        (gguf(3, 0, u64::MAX, &room), &["do not fit"]),
        (gguf(3, 0, 1, &[&le64(u64::MAX)[..], &room].concat()), &["cut short"]),
        (gguf(3, 0, 1, &[&le64(1 << 40)[..], &room].concat()), &["cut short"]),
        (gguf(3, 0, 1, &[&le64(1)[..], b"\xff", &room].concat()), &["UTF-8"]),
        (gguf(3, 0, 1, &with(&[pair("k", 13, &[0])])), &["`k`", "type 13"]),
        (gguf(3, 0, 1, &with(&[pair("k", 7, &[2])])), &["`k`", "2 is not a truth value"]),
        (gguf(3, 0, 1, &with(&[pair("k", 9, &array(9, 1))])), &["`k`", "lists of lists"]),
        (gguf(3, 0, 1, &with(&[pair("k", 9, &array(4, u64::MAX))])), &["`k`", "do not fit"]),
        (gguf(3, 0, 1, &with(&[pair("k", 9, &array(8, 1 << 60))])), &["`k`", "do not fit"]),
        (gguf(3, 0, 2, &with(&[pair("k", 0, &[1]), pair("k", 0, &[1])])), &["`k`", "twice"]),
        (gguf(3, 0, 1, &with(&[pair("general.alignment", 4, &le32(24))])), &["alignment"]),
        (gguf(3, 0, 1, &with(&[pair("general.alignment", 4, &le32(0))])), &["alignment"]),
        (gguf(3, 1, 0, &with(&[record("t", &[4], 0, 1 << 40)])), &["`t`", "cut short"]),
        (gguf(3, 1, 0, &with(&[record("t", &[4], 0, u64::MAX - 31)])), &["`t`", "cut short"]),
        (gguf(3, 1, 0, &with(&[record("t", &[1 << 20], 0, 0)])), &["`t`", "cut short"]),
        (gguf(3, 1, 0, &with(&[record("t", &[4], 0, 4)])), &["`t`", "not a multiple of 32"]),
        (gguf(3, 1, 0, &with(&[record("t", &[1 << 40, 1 << 40], 0, 0)])), &["`t`", "cannot have the shape"]),
        (gguf(3, 1, 0, &with(&[record("t", &[33], 2, 0)])), &["`t`", "q4_0"]),
        (gguf(3, 1, 0, &with(&[record("t", &[4], 5, 0)])), &["`t`", "type number 5"]),
        (gguf(3, 1, 0, &with(&[record("t", &[1; 9], 0, 0)])), &["`t`", "9 dimensions"]),
        (gguf(3, 2, 0, &with(&[record("t", &[4], 0, 0), record("t", &[4], 0, 32)])), &["`t`", "twice"]),
        (gguf(3, 2, 0, &with(&[record("t", &[16], 0, 0), record("u", &[4], 0, 32)])), &["`t`", "`u`", "overlap"]),
    ];
    for (bytes, words) in &cases {
        let path = folder.file("x.gguf", bytes);
        check(&path, Gguf::open(&path), words);
    }
    check(folder.path(), Gguf::open(folder.path()), &["folder"]);
}

#[test]
fn split_gguf() {
    let folder = Folder::new("split");
    let part = |number: u16, count: u16, file: &str, name: &str| {
        let path = folder.path().join(file);
        let fields = [
            ("general.architecture".to_string(), Field::String("llama".into())),
            ("split.no".to_string(), Field::U16(number)),
            ("split.count".to_string(), Field::U16(count)),
        ];
        let tensor = [Declaration::new(name, TensorType::F32, [1])];
        let mut writer = GgufWriter::create(&path, &fields, &tensor).expect("a plan");
        writer.write(name, &f32::from(number).to_le_bytes()).expect("in order");
        writer.finish().expect("complete");
        path
    };
    let first = part(0, 2, "m-00001-of-00002.gguf", "a");
    check(&first, Gguf::open(&first), &["m-00002-of-00002.gguf", "missing"]);
    let second = part(1, 2, "m-00002-of-00002.gguf", "b");
    for path in [&first, &second] {
        let whole = Gguf::open(path).expect("both parts");
        let tensors: Vec<_> = whole.tensors().map(|t| (&t.name[..], t.data.as_slice().to_vec())).collect();
        assert_eq!(tensors, [("a", 0f32.to_le_bytes().to_vec()), ("b", 1f32.to_le_bytes().to_vec())]);
    }
    part(1, 2, "m-00002-of-00002.gguf", "a");
    check(&second, Gguf::open(&first), &["`a`", "earlier part"]);
    part(0, 2, "m-00002-of-00002.gguf", "b");
    check(&second, Gguf::open(&first), &["split.no", "different models"]);
    let renamed = part(0, 2, "renamed.gguf", "a");
    check(&renamed, Gguf::open(&renamed), &["split.count", "restore the names"]);
}

#[test]
fn every_truncation_is_an_error() {
    let folder = Folder::new("truncated");
    let (gguf_path, st_path) = (folder.path().join("s.gguf"), folder.path().join("s.safetensors"));
    small_gguf(&gguf_path);
    small_safetensors(&st_path);
    let (gguf_bytes, st_bytes) = (std::fs::read(&gguf_path).expect("read"), std::fs::read(&st_path).expect("read"));
    // The last tensor of the GGUF has 28 bytes, followed by 4 of padding that may be absent.
    for length in 0..gguf_bytes.len() - 4 {
        let mapped = Mapped::of_vec("cut.gguf", gguf_bytes[..length].to_vec());
        check(Path::new("cut.gguf"), Gguf::from_mapped(mapped), &[]);
    }
    for length in 0..st_bytes.len() {
        let mapped = Mapped::of_vec("cut.safetensors", st_bytes[..length].to_vec());
        check(Path::new("cut.safetensors"), Safetensors::from_mapped(mapped), &[]);
    }
}
