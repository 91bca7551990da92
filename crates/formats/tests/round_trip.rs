//! What the writers write, the readers read: names, order, shapes, bytes, metadata, shards.

mod common;

use common::{Folder, declarations, fields, gguf_declarations, pattern, small_gguf, small_safetensors};
use olivine_formats::gguf::{Gguf, Value};
use olivine_formats::gguf_writer::{Field, GgufWriter};
use olivine_formats::safetensors::Safetensors;
use olivine_formats::safetensors_writer::SafetensorsWriter;
use olivine_formats::{Declaration, TensorType, TensorView};

fn assert_same<'a>(views: impl Iterator<Item = &'a TensorView>, declared: &[Declaration]) {
    let views: Vec<&TensorView> = views.collect();
    let names = |v: &[&TensorView]| v.iter().map(|t| t.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&views), declared.iter().map(|d| d.name.clone()).collect::<Vec<_>>());
    for (seed, (view, declared)) in views.iter().zip(declared).enumerate() {
        assert_eq!((view.dtype, &view.shape), (declared.dtype, &declared.shape));
        let bytes = declared.dtype.bytes(&declared.shape).expect("small");
        assert_eq!(view.data.as_slice(), pattern(bytes, seed as u8), "{}", view.name);
    }
}

#[test]
fn safetensors_of_one_file() {
    let folder = Folder::new("st-one");
    let path = folder.path().join("model.safetensors");
    small_safetensors(&path);
    let set = Safetensors::open(&path).expect("what we wrote");
    assert_same(set.tensors(), &declarations());
    assert_eq!(set.metadata().get("format").and_then(|v| v.as_str()), Some("mlx"));
    assert_same(Safetensors::open(folder.path()).expect("the folder").tensors(), &declarations());
    assert_eq!(folder.names(), ["model.safetensors"]);
    let bytes = std::fs::read(&path).expect("readable");
    assert_eq!((u64::from_le_bytes(bytes[..8].try_into().expect("eight")) + 8) % 64, 0, "data alignment");
}

#[test]
fn safetensors_of_shards() {
    let folder = Folder::new("st-shards");
    let tensors = declarations();
    let mut writer =
        SafetensorsWriter::create_folder(folder.path(), &[("format", "mlx")], tensors.clone(), 30).expect("a plan");
    for (seed, t) in tensors.iter().enumerate() {
        let bytes = pattern(t.dtype.bytes(&t.shape).expect("small"), seed as u8);
        for piece in bytes.chunks(7) {
            writer.write(&t.name, piece).expect("in order");
        }
    }
    writer.finish().expect("complete");
    let shard = |n: usize| format!("model-0000{n}-of-00003.safetensors");
    assert_eq!(folder.names(), [shard(1), shard(2), shard(3), "model.safetensors.index.json".into()]);
    assert_same(Safetensors::open(folder.path()).expect("the folder").tensors(), &tensors);
    let index = std::fs::read_to_string(folder.path().join("model.safetensors.index.json")).expect("readable");
    let index: serde_json::Value = serde_json::from_str(&index).expect("JSON");
    assert_eq!(index["metadata"]["total_size"], 24 + 16 + 1 + 20);
    assert_eq!(index["weight_map"]["c.weight"], shard(3));
}

#[test]
fn gguf_of_all_kinds() {
    let folder = Folder::new("gguf");
    let path = folder.path().join("m.gguf");
    small_gguf(&path);
    let gguf = Gguf::open(&path).expect("what we wrote");
    assert_same(gguf.tensors(), &gguf_declarations());
    assert!(gguf.tensors().all(|t| (t.data.as_slice().as_ptr() as usize).is_multiple_of(32)), "alignment");
    assert_eq!(gguf.architecture().expect("present"), "llama");
    assert_eq!(gguf.u32("llama.block_count").expect("present"), 2);
    assert_eq!(gguf.value("small"), Some(&Value::Signed(-3)));
    assert_eq!(gguf.value("wide").and_then(Value::as_u64), Some(1 << 40));
    assert_eq!(gguf.value("llama.scale").and_then(Value::as_f64), Some(0.5));
    assert!(gguf.bool("flag").expect("present"));
    assert_eq!(gguf.strings("tokens").expect("present").collect::<Vec<_>>(), ["a", "", "日本"]);
    assert_eq!(gguf.numbers("types").expect("present"), [1.0, -2.0, 3.0]);
    assert_eq!(gguf.numbers("scores").expect("present"), [0.25, -1.5]);
    let keys: Vec<&str> = gguf.metadata().map(|(key, _)| key).collect();
    assert_eq!(keys, fields().iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>());
    let error = gguf.u32("flag").expect_err("a truth value").to_string();
    assert!(error.contains("flag") && error.contains("whole number") && error.contains("truth value"), "{error}");
}

#[test]
fn writers_refuse_disorder_and_leave_nothing() {
    let folder = Folder::new("disorder");
    let path = folder.path().join("x.safetensors");
    let two = || vec![Declaration::new("a", TensorType::F32, [2]), Declaration::new("b", TensorType::F32, [2])];
    let start = || SafetensorsWriter::create(&path, &[], two()).expect("a plan");
    assert!(start().write("b", &[0; 8]).expect_err("a comes first").to_string().contains("`a`"));
    assert!(start().write("a", &[0; 9]).expect_err("too long").to_string().contains("8 bytes"));
    assert!(start().finish().is_err());
    let mut short = start();
    short.write("a", &[0; 8]).expect("in order");
    short.write("b", &[0; 4]).expect("a piece");
    assert!(short.finish().expect_err("half a tensor").to_string().contains("`b`"));
    let q4 = vec![Declaration::new("q", TensorType::Q4_0, [32])];
    assert!(SafetensorsWriter::create(&path, &[], q4).expect_err("no such type").to_string().contains("q4_0"));
    let odd = [Declaration::new("q", TensorType::Q4_0, [31])];
    assert!(GgufWriter::create(&path, &[], &odd).expect_err("partial block").to_string().contains("[31]"));
    let twice = [("k".to_string(), Field::U8(1)), ("k".to_string(), Field::U8(2))];
    assert!(GgufWriter::create(&path, &twice, &[]).expect_err("twice").to_string().contains("twice"));
    assert!(SafetensorsWriter::create(&path, &[], [two(), two()].concat()).is_err());
    assert_eq!(folder.names(), Vec::<String>::new());
}
