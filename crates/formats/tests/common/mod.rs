//! What the tests of this crate share: a folder that goes away, and small valid files.

#![allow(dead_code)] // each test file uses its part

use std::path::{Path, PathBuf};

use olivine_formats::gguf_writer::{Field, GgufWriter};
use olivine_formats::safetensors_writer::SafetensorsWriter;
use olivine_formats::{Declaration, TensorType};

/// A fresh folder, removed at the end.
pub struct Folder(PathBuf);

impl Folder {
    /// `name` must differ between tests: they run side by side.
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("olivine-formats-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("the temporary folder is writable");
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and gives its path.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("the temporary folder is writable");
        path
    }

    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("the folder exists");
        let mut names: Vec<String> =
            entries.map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Bytes that differ from tensor to tensor and from place to place.
pub fn pattern(bytes: usize, seed: u8) -> Vec<u8> {
    (0..bytes).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

pub fn declarations() -> Vec<Declaration> {
    vec![
        Declaration::new("a.weight", TensorType::F32, [2, 3]),
        Declaration::new("empty", TensorType::F32, [0, 5]),
        Declaration::new("b.weight", TensorType::Bf16, [4, 2]),
        Declaration::new("scalar", TensorType::U8, []),
        Declaration::new("c.weight", TensorType::U32, [5]),
    ]
}

/// A safetensors file with a few tensors and metadata.
pub fn small_safetensors(path: &Path) {
    let tensors = declarations();
    let mut writer = SafetensorsWriter::create(path, &[("format", "mlx")], tensors.clone()).expect("a sound plan");
    for (seed, t) in tensors.iter().enumerate() {
        writer.write(&t.name, &pattern(t.dtype.bytes(&t.shape).expect("small"), seed as u8)).expect("in order");
    }
    writer.finish().expect("complete");
}

pub fn fields() -> Vec<(String, Field)> {
    let pair = |key: &str, value| (key.to_string(), value);
    vec![
        pair("general.architecture", Field::String("llama".into())),
        pair("llama.block_count", Field::U32(2)),
        pair("llama.scale", Field::F32(0.5)),
        pair("small", Field::I8(-3)),
        pair("wide", Field::U64(1 << 40)),
        pair("flag", Field::Bool(true)),
        pair("tokens", Field::Strings(vec!["a".into(), String::new(), "日本".into()])),
        pair("types", Field::I32s(vec![1, -2, 3])),
        pair("scores", Field::F32s(vec![0.25, -1.5])),
    ]
}

pub fn gguf_declarations() -> Vec<Declaration> {
    vec![
        Declaration::new("token_embd.weight", TensorType::F16, [3, 2]),
        Declaration::new("blk.0.attn_q.weight", TensorType::Q4_0, [2, 64]),
        Declaration::new("blk.0.ffn_up.weight", TensorType::Q6K, [1, 256]),
        Declaration::new("norm", TensorType::F32, [7]),
    ]
}

/// A GGUF file with every kind of value that we write and a few tensors.
pub fn small_gguf(path: &Path) {
    let tensors = gguf_declarations();
    let mut writer = GgufWriter::create(path, &fields(), &tensors).expect("a sound plan");
    for (seed, t) in tensors.iter().enumerate() {
        writer.write(&t.name, &pattern(t.dtype.bytes(&t.shape).expect("small"), seed as u8)).expect("in order");
    }
    writer.finish().expect("complete");
}
