//! Arrays go into files and come back, whatever their dtype, shape and strides.

use std::path::PathBuf;

use olivine_array::{
    Array, Dtype, IoError, arange, load, load_all, save, save_safetensors, savez, savez_compressed, zeros,
};

/// A fresh folder, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("olivine-array-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary folder is writable");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One array of every dtype, and odd shapes.
fn arrays() -> Vec<(String, Array)> {
    let values = arange(0.0, 24.0, 1.0, Dtype::F32).reshape(&[2, 3, 4]) - 5.0f32;
    let mut arrays: Vec<_> =
        Dtype::ALL.iter().map(|dtype| (format!("of {dtype}"), values.abs().astype(*dtype))).collect();
    arrays.push(("transposed".into(), values.transpose(&[2, 0, 1])));
    arrays.push(("scalar".into(), Array::scalar(7i32)));
    arrays.push(("empty".into(), zeros(&[0, 3], Dtype::F16)));
    arrays.push(("wide".into(), zeros(&[1; 9], Dtype::U8)));
    arrays
}

fn assert_same(name: &str, found: &Array, expected: &Array) {
    assert_eq!((found.dtype(), found.shape()), (expected.dtype(), expected.shape()), "{name}");
    let bytes = |array: &Array| array.tensor().contiguous().bytes().to_vec();
    assert_eq!(bytes(found), bytes(expected), "{name}");
}

#[test]
fn npy_keeps_every_array() {
    let folder = Folder::new("npy");
    for (name, array) in arrays() {
        let path = folder.0.join(format!("{name}.npy"));
        save(&path, &array).expect("it is written");
        assert_same(&name, &load(&path).expect("it is read"), &array);
    }
}

#[test]
fn files_of_several_arrays_keep_every_one() {
    let folder = Folder::new("several");
    let arrays = arrays();
    let named: Vec<_> = arrays.iter().map(|(name, array)| (&name[..], array)).collect();
    let path = |name: &str| folder.0.join(name);
    savez(path("a.npz"), &named).expect("it is written");
    savez_compressed(path("b.npz"), &named).expect("it is written");
    save_safetensors(path("c.safetensors"), &named, &[("format", "mlx")]).expect("it is written");
    for file in ["a.npz", "b.npz", "c.safetensors"] {
        let found = load_all(path(file)).expect("it is read");
        assert_eq!(found.len(), arrays.len(), "{file}");
        for (name, expected) in &arrays {
            let (_, array) = found.iter().find(|(other, _)| other == name).expect("the name is there");
            assert_same(&format!("{file}: {name}"), array, expected);
        }
    }
    let size = |file: &str| std::fs::metadata(path(file)).expect("it is there").len();
    assert!(size("b.npz") < size("a.npz"));
}

#[test]
fn what_is_no_array_is_refused() {
    let folder = Folder::new("refused");
    let path = folder.0.join("x.txt");
    assert!(matches!(save(&path, &Array::scalar(1f32)), Err(IoError::Name { .. })));
    let message = load(&path).expect_err("no format").to_string();
    assert!(message.contains("x.txt") && message.contains(".npy"), "{message}");
    let missing = load_all(folder.0.join("missing.npz")).expect_err("not there").to_string();
    assert!(missing.contains("missing.npz"), "{missing}");
    let twice = savez(folder.0.join("t.npz"), &[("a", &Array::scalar(1f32)), ("a", &Array::scalar(2f32))]);
    assert!(twice.expect_err("twice").to_string().contains("twice"));
}
