//! npy and npz: files that NumPy wrote, files that we wrote, and files that nobody should have written.

mod common;

use std::path::Path;

use common::{Folder, pattern};
use olivine_formats::npy::{self, NpyArray, NpyData};
use olivine_formats::npz::{self, Npz};
use olivine_formats::{Bytes, FormatError, Mapped, TensorType};

/// A file of version 1 with this header and data.
fn npy_file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn parse(bytes: Vec<u8>) -> Result<NpyArray, FormatError> {
    NpyArray::parse(Path::new("x.npy"), Bytes::from_vec("x.npy", bytes), 0)
}

fn assert_refused<T: std::fmt::Debug>(result: Result<T, FormatError>, words: &[&str]) {
    let line = result.expect_err("this file is broken").to_string();
    assert!(line.starts_with("x.np") && !line.contains('\n') && line.chars().count() < 700, "{line}");
    words.iter().for_each(|word| assert!(line.contains(word), "{word:?} is not in: {line}"));
}

#[test]
fn headers_as_numpy_writes_them() {
    let file = |descr: &str, order: &str, shape: &str, data: &[u8]| {
        parse(npy_file(&format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}    \n"), data))
    };
    let array = file("<f4", "False", "(2, 3)", &pattern(24, 1)).expect("a sound file");
    assert_eq!((array.dtype, &array.shape[..], array.fortran_order), (TensorType::F32, &[2, 3][..], false));
    assert_eq!(array.data.as_slice(), pattern(24, 1));
    assert!(file("<i8", "True", "(3,)", &[0; 24]).expect("a sound file").fortran_order);
    assert_eq!(file("|b1", "False", "()", &[1]).expect("a sound file").shape, [0usize; 0]);
    assert_eq!(file("|u1", "False", "(0, 5)", &[]).expect("a sound file").shape, [0, 5]);
    for (descr, dtype, size) in [
        ("|i1", TensorType::I8, 1),
        ("<u2", TensorType::U16, 2),
        ("<i2", TensorType::I16, 2),
        ("<f2", TensorType::F16, 2),
        ("<V2", TensorType::Bf16, 2),
        ("|V2", TensorType::Bf16, 2),
        ("bfloat16", TensorType::Bf16, 2),
        ("<u4", TensorType::U32, 4),
        ("=i4", TensorType::I32, 4),
        ("<u8", TensorType::U64, 8),
        ("<f8", TensorType::F64, 8),
        ("<c8", TensorType::C64, 8),
    ] {
        assert_eq!(file(descr, "False", "(2L,)", &vec![0; 2 * size]).expect("a sound file").dtype, dtype, "{descr}");
    }
    // Keys in another order, other quotes, no comma at the end.
    let other = parse(npy_file(r#"{"shape": (1,), "fortran_order": False, "descr": "<u2"}"#, &[1, 2]));
    assert_eq!(other.expect("a sound file").data.as_slice(), [1, 2]);
}

#[test]
fn big_endian_elements_are_turned() {
    let file = |descr: &str, data: &[u8]| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}\n");
        parse(npy_file(&header, data)).expect("a sound file").data.as_slice().to_vec()
    };
    assert_eq!(file(">u2", &[1, 2, 3, 4]), [2, 1, 4, 3]);
    assert_eq!(file(">f8", &(0..16).collect::<Vec<_>>()), [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8]);
    let parts = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12];
    assert_eq!(file(">c8", &(0..16).collect::<Vec<_>>()), parts, "real and imaginary part by themselves");
}

#[test]
fn what_is_written_is_read() {
    let folder = Folder::new("npy-round");
    let path = folder.path().join("x.npy");
    for (dtype, shape) in
        [(TensorType::Bf16, &[3, 5][..]), (TensorType::U8, &[7]), (TensorType::C64, &[]), (TensorType::F64, &[0, 2])]
    {
        let data = pattern(dtype.bytes(shape).expect("small"), 9);
        npy::write(&path, NpyData { dtype, shape, data: &data }).expect("it is written");
        let bytes = std::fs::read(&path).expect("it is there");
        assert!((bytes.len() - data.len()).is_multiple_of(64), "data begin at a round place");
        let array = NpyArray::open(&path).expect("it is read");
        assert_eq!((array.dtype, &array.shape[..], array.data.as_slice()), (dtype, shape, &data[..]));
    }
    // A header beyond 65,535 bytes takes version 2.
    let shape = vec![1; 64];
    npy::write(&path, NpyData { dtype: TensorType::U8, shape: &shape, data: &[5] }).expect("it is written");
    assert_eq!(NpyArray::open(&path).expect("it is read").shape, shape);
    let wrong = npy::write(&path, NpyData { dtype: TensorType::F32, shape: &[2], data: &[0; 7] });
    assert_refused(wrong.map_err(|error| relative(&folder, error)), &["7 bytes", "[2]"]);
    let unknown = npy::write(&path, NpyData { dtype: TensorType::Q4_0, shape: &[32], data: &[0; 18] });
    assert_refused(unknown.map_err(|error| relative(&folder, error)), &["q4_0"]);
}

fn relative(folder: &Folder, error: FormatError) -> FormatError {
    match error {
        FormatError::Broken { path, offset, problem } => {
            let path = path.strip_prefix(folder.path()).expect("a file of the folder").into();
            FormatError::Broken { path, offset, problem }
        }
        other => other,
    }
}

#[test]
fn broken_npy_files() {
    let sound = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
    let header = |text: &str| parse(npy_file(text, &[0; 8]));
    assert_refused(parse(npy_file(sound, &[0; 7])), &["byte 68", "cut short", "8 bytes, 7 are there", "again"]);
    assert_refused(parse(npy_file(sound, &[0; 9])), &["byte 76", "1 bytes follow", ".npz"]);
    assert_refused(parse(npy_file(sound, &[0; 8])[..30].to_vec()), &["cut short", "header"]);
    assert_refused(parse(b"\x93NUMPY".to_vec()), &["cut short"]);
    assert_refused(parse(b"PK\x03\x04".to_vec()), &["zip", ".npz"]);
    assert_refused(parse(b"text".to_vec()), &["not an npy file"]);
    assert_refused(parse(b"\x93NUMPY\x09\x00aaaa".to_vec()), &["byte 6", "version 9"]);
    for (text, words) in [
        ("{'descr': '<f4', 'fortran_order': False}", &["no \"shape\""][..]),
        ("{'descr': '<f4', 'shape': (2,)}", &["no \"fortran_order\""]),
        ("{'fortran_order': False, 'shape': (2,)}", &["no \"descr\""]),
        ("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", &["\"descr\" twice"]),
        ("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,)}", &["True or False", "byte 44"]),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", &["a dimension"]),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2", &["`)`"]),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}", &["a dimension"]),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", &["cannot have the shape"]),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}", &["\"more\"", "not known"]),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", &["a string is wanted"]),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", &["\"|O\"", "supported are"]),
        ("{'descr': '<U5', 'fortran_order': False, 'shape': (2,)}", &["\"<U5\"", "not supported"]),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} import os", &["behind its end", "import os"]),
        ("{'descr': '<f4", &["a string that ends"]),
        ("", &["`{`"]),
    ] {
        assert_refused(header(text), words);
    }
    let many = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({})}}", "1, ".repeat(100));
    assert_refused(header(&many), &["more than 64 dimensions"]);
    let mut bytes = npy_file(sound, &[0; 8]);
    bytes[20] = 0xff;
    assert_refused(parse(bytes), &["byte 20", "not text"]);
}

/// Three small arrays in a file.
fn small_npz(path: &Path, compress: bool) {
    let (a, b) = (pattern(24, 1), vec![0; 4096]);
    let arrays = [
        ("a", NpyData { dtype: TensorType::F32, shape: &[2, 3], data: &a }),
        ("zeros", NpyData { dtype: TensorType::I64, shape: &[512], data: &b }),
        ("naïve name", NpyData { dtype: TensorType::U8, shape: &[], data: &[7] }),
    ];
    npz::write(path, &arrays, compress).expect("it is written");
}

#[test]
fn npz_files_are_written_and_read() {
    let folder = Folder::new("npz-round");
    for compress in [false, true] {
        let path = folder.path().join("x.npz");
        small_npz(&path, compress);
        let file = Npz::open(&path).expect("it is read");
        assert_eq!(file.names().collect::<Vec<_>>(), ["a", "zeros", "naïve name"]);
        let a = file.get("a").expect("it is sound").expect("it is there");
        assert_eq!((a.dtype, &a.shape[..], a.data.as_slice()), (TensorType::F32, &[2, 3][..], &pattern(24, 1)[..]));
        let zeros = file.get("zeros").expect("it is sound").expect("it is there");
        assert_eq!(zeros.data.as_slice(), [0; 4096]);
        let place = zeros.data.as_slice().as_ptr() as usize;
        assert!(compress || place.is_multiple_of(64), "stored data can be used where they lie");
        assert!(file.get("b").expect("no error").is_none());
        let size = std::fs::metadata(&path).expect("it is there").len();
        assert_eq!(size < 1500, compress, "{size}");
    }
    assert_eq!(folder.names(), ["x.npz"]);
}

/// Written by `numpy.savez_compressed(f, ramp=arange(6).reshape(2, 3))` and `savez` of NumPy 2 (64-bit fields in the
/// local headers): the arrays, and the directory's reading of them.
#[test]
fn files_that_numpy_wrote() {
    for name in ["stored.npz", "deflated.npz"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let file = Npz::open(&path).expect("a sound file");
        assert_eq!(file.names().collect::<Vec<_>>(), ["ramp", "columns", "half"]);
        let array = |name: &str| file.get(name).expect("it is sound").expect("it is there");
        let ramp = array("ramp");
        let expected: Vec<u8> = (0..6i64).flat_map(i64::to_le_bytes).collect();
        assert_eq!((ramp.dtype, &ramp.shape[..]), (TensorType::I64, &[2, 3][..]));
        assert_eq!(ramp.data.as_slice(), expected, "{name}");
        let columns = array("columns");
        let expected: Vec<u8> = [0f32, 3.0, 1.0, 4.0, 2.0, 5.0].into_iter().flat_map(f32::to_le_bytes).collect();
        assert!(columns.fortran_order && columns.shape == [2, 3]);
        assert_eq!(columns.data.as_slice(), expected, "{name}");
        assert_eq!((array("half").dtype, array("half").shape), (TensorType::F16, vec![]));
    }
}

#[test]
fn broken_npz_files() {
    let folder = Folder::new("npz-broken");
    let path = folder.path().join("x.npz");
    small_npz(&path, true);
    let sound = std::fs::read(&path).expect("it is there");
    let open = |bytes: &[u8]| Npz::from_mapped(Mapped::of_vec("x.npz", bytes.to_vec()));
    for length in [sound.len() - 1, sound.len() / 2] {
        assert_refused(open(&sound[..length]), &["no zip directory", "cut short"]);
    }
    assert_refused(open(b"\x93NUMPY\x01\x00"), &[".npy"]);
    assert_refused(open(b"text"), &["no zip directory"]);
    let central = sound.windows(4).position(|window| window == b"PK\x01\x02").expect("a directory");
    let end = sound.windows(4).position(|window| window == b"PK\x05\x06").expect("an end");
    let with = |at: usize, bytes: &[u8]| {
        let mut broken = sound.clone();
        broken[at..at + bytes.len()].copy_from_slice(bytes);
        open(&broken)
    };
    assert_refused(with(central + 8, &[1]), &["\"a.npy\"", "encrypted"]);
    assert_refused(with(central + 10, &[12]), &["\"a.npy\"", "method 12"]);
    assert_refused(with(central + 20, &[0xff, 0xff, 0xff, 0x7f]), &["\"a.npy\"", "ends behind"]);
    assert_refused(with(central + 24, &[0xff, 0xff, 0xff, 0x7f]), &["\"a.npy\"", "cannot unpack to 2147483647"]);
    assert_refused(with(central + 42, &[1]), &["no member where"]);
    assert_refused(with(central + 46, b"zeros.npyy"), &["not an array"]);
    assert_refused(with(central, b"XX"), &["no directory entry"]);
    assert_refused(with(end + 10, &[0xfe, 0xff]), &["65534 members do not fit"]);
    assert_refused(with(end + 16, &[0xff, 0xff, 0xff, 0x7f]), &["behind the file's end"]);
    // Damage inside a member shows when the array is asked for.
    let first = 30 + "a.npy".len() + 4;
    let file = with(first + 8, &[!sound[first + 8]]).expect("the directory is sound");
    assert_refused(file.get("a"), &["\"a\"", "again"]);
    let file = with(central + 16, &[!sound[central + 16]]).expect("the directory is sound");
    assert_refused(file.get("a"), &["\"a\"", "damaged"]);
}

#[test]
fn members_with_64_bit_fields() {
    // The directory's sizes and place stand in an extra field, as for files beyond 4 GiB.
    let npy = npy_file("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }\n", &[1, 2, 3]);
    let mut file = b"PK\x03\x04".to_vec();
    file.extend([45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend([0; 12]);
    file.extend([5, 0, 0, 0]);
    file.extend(b"a.npy");
    file.extend(&npy);
    let start = file.len() as u64;
    file.extend(b"PK\x01\x02");
    file.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend([0; 4]);
    file.extend([0xff; 8]);
    file.extend([5, 0, 28, 0]);
    file.extend([0; 10]);
    file.extend([0xff; 4]);
    file.extend(b"a.npy");
    file.extend([1, 0, 24, 0]);
    for field in [npy.len() as u64, npy.len() as u64, 0] {
        file.extend(field.to_le_bytes());
    }
    let record = file.len() as u64;
    file.extend(b"PK\x06\x06");
    file.extend([0; 28]);
    for field in [1, 0, start] {
        file.extend(u64::to_le_bytes(field));
    }
    file.extend(b"PK\x06\x07\0\0\0\0");
    file.extend(record.to_le_bytes());
    file.extend([1, 0, 0, 0]);
    file.extend(b"PK\x05\x06");
    file.extend([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    file.extend([0xff; 8]);
    file.extend([0, 0]);
    let file = Npz::from_mapped(Mapped::of_vec("x.npz", file)).expect("a sound file");
    assert_eq!(file.get("a").expect("it is sound").expect("it is there").data.as_slice(), [1, 2, 3]);
}
