//! Arrays from and to files: npy, npz, safetensors, and the plain tensors of GGUF.
//!
//! Loading maps: values are read when they are used, and copied only where the file's order or alignment asks for it.
//! Read next: `olivine-formats`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use olivine_formats::gguf::Gguf;
use olivine_formats::npy::{self, NpyArray, NpyData};
use olivine_formats::npz::{self, Npz};
use olivine_formats::safetensors::Safetensors;
use olivine_formats::safetensors_writer::SafetensorsWriter;
use olivine_formats::{Bytes, Declaration, FormatError, TensorType, TensorView};

use crate::array::Array;
use crate::dtype::Dtype;
use crate::tensor::Tensor;

/// A file that cannot be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum IoError {
    /// The file is broken or cannot be reached.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// An array of a type that arrays do not have.
    #[error("{}: array `{name}`: elements of type {found} are not supported", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The array.
        name: String,
        /// Its type.
        found: TensorType,
    },
    /// A name that says no known format.
    #[error("{}: the name does not end in {expected}", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// What it may end in.
        expected: &'static str,
    },
}

/// The array of an npy file.
pub fn load(path: impl AsRef<Path>) -> Result<Array, IoError> {
    let path = path.as_ref();
    expect_ending(path, &["npy"], ".npy (`load_all` reads files of several arrays)")?;
    array_of_npy(path, "array", NpyArray::open(path)?)
}

/// The arrays of an npz, safetensors or GGUF file with their names, in the order of the file. GGUF's quantized tensors
/// are refused: their blocks are not arrays.
pub fn load_all(path: impl AsRef<Path>) -> Result<Vec<(String, Array)>, IoError> {
    let path = path.as_ref();
    expect_ending(path, &["npz", "safetensors", "gguf"], ".npz, .safetensors or .gguf")?;
    let views = |tensors: Vec<TensorView>| {
        let named = |view: TensorView| {
            let array = array_of(path, &view.name, view.dtype, &view.shape, view.data)?;
            Ok((view.name, array))
        };
        tensors.into_iter().map(named).collect()
    };
    match ending(path).as_str() {
        "safetensors" => views(Safetensors::open(path)?.tensors().cloned().collect()),
        "gguf" => views(Gguf::open(path)?.tensors().cloned().collect()),
        _ => {
            let file = Npz::open(path)?;
            let mut arrays = Vec::new();
            for name in file.names() {
                let array = file.get(name)?.expect("a name of the file");
                arrays.push((name.to_string(), array_of_npy(path, name, array)?));
            }
            Ok(arrays)
        }
    }
}

/// Write an npy file.
pub fn save(path: impl AsRef<Path>, array: &Array) -> Result<(), IoError> {
    let path = path.as_ref();
    expect_ending(path, &["npy"], ".npy")?;
    let tensor = array.tensor().contiguous();
    Ok(npy::write(path, data_of(&tensor))?)
}

/// Write arrays into an npz file.
pub fn savez(path: impl AsRef<Path>, arrays: &[(&str, &Array)]) -> Result<(), IoError> {
    write_npz(path.as_ref(), arrays, false)
}

/// As [`savez`], deflated.
pub fn savez_compressed(path: impl AsRef<Path>, arrays: &[(&str, &Array)]) -> Result<(), IoError> {
    write_npz(path.as_ref(), arrays, true)
}

/// Write a safetensors file with `metadata`.
pub fn save_safetensors(
    path: impl AsRef<Path>,
    arrays: &[(&str, &Array)],
    metadata: &[(&str, &str)],
) -> Result<(), IoError> {
    let path = path.as_ref();
    expect_ending(path, &["safetensors"], ".safetensors")?;
    let declare = |(name, array): &(&str, &Array)| Declaration::new(*name, type_of(array.dtype()), array.shape());
    let mut writer = SafetensorsWriter::create(path, metadata, arrays.iter().map(declare).collect())?;
    for (name, array) in arrays {
        writer.write(name, array.tensor().contiguous().bytes())?;
    }
    Ok(writer.finish()?)
}

fn write_npz(path: &Path, arrays: &[(&str, &Array)], compress: bool) -> Result<(), IoError> {
    expect_ending(path, &["npz"], ".npz")?;
    let tensors: Vec<_> = arrays.iter().map(|(name, array)| (*name, array.tensor().contiguous())).collect();
    let arrays: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, data_of(tensor))).collect();
    Ok(npz::write(path, &arrays, compress)?)
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

fn expect_ending(path: &Path, endings: &[&str], expected: &'static str) -> Result<(), IoError> {
    let known = endings.contains(&ending(path).as_str());
    if known { Ok(()) } else { Err(IoError::Name { path: path.into(), expected }) }
}

fn data_of(tensor: &Tensor) -> NpyData<'_> {
    NpyData { dtype: type_of(tensor.dtype), shape: &tensor.layout.shape, data: tensor.bytes() }
}

fn array_of_npy(path: &Path, name: &str, file: NpyArray) -> Result<Array, IoError> {
    if !file.fortran_order {
        return array_of(path, name, file.dtype, &file.shape, file.data);
    }
    // Columns first is the transpose of rows first: a view.
    let reversed: Vec<usize> = file.shape.iter().rev().copied().collect();
    let axes: Vec<i32> = (0..reversed.len() as i32).rev().collect();
    Ok(array_of(path, name, file.dtype, &reversed, file.data)?.transpose(&axes))
}

fn array_of(path: &Path, name: &str, dtype: TensorType, shape: &[usize], data: Bytes) -> Result<Array, IoError> {
    let found = DTYPES.iter().find(|(of, _)| *of == dtype);
    let (_, own) = found.ok_or_else(|| IoError::Dtype { path: path.into(), name: name.into(), found: dtype })?;
    if *own == Dtype::Bool && data.as_slice().iter().any(|&byte| byte > 1) {
        let truth: Vec<u8> = data.as_slice().iter().map(|&byte| u8::from(byte != 0)).collect();
        return Ok(Array::from_bytes(&truth, shape, *own));
    }
    Ok(Array::from_owner(Arc::new(data), 0, shape, *own))
}

const DTYPES: &[(TensorType, Dtype)] = &[
    (TensorType::Bool, Dtype::Bool),
    (TensorType::U8, Dtype::U8),
    (TensorType::U16, Dtype::U16),
    (TensorType::U32, Dtype::U32),
    (TensorType::U64, Dtype::U64),
    (TensorType::I8, Dtype::I8),
    (TensorType::I16, Dtype::I16),
    (TensorType::I32, Dtype::I32),
    (TensorType::I64, Dtype::I64),
    (TensorType::F16, Dtype::F16),
    (TensorType::Bf16, Dtype::Bf16),
    (TensorType::F32, Dtype::F32),
    (TensorType::F64, Dtype::F64),
    (TensorType::C64, Dtype::C64),
];

fn type_of(dtype: Dtype) -> TensorType {
    DTYPES.iter().find(|(_, own)| *own == dtype).expect("every dtype is in the table").0
}
