//! Split GGUF models: `NAME-00001-of-00003.gguf` and its neighbours, found by the path of any of them.
//!
//! Invariant: parts come in the order of their numbers, and each says that it belongs to the same count.

use std::path::{Path, PathBuf};

use crate::FormatError;

/// The paths of all parts of the model of which `path` says that it has `count`; none where it is whole.
pub(crate) fn parts(path: &Path, count: u32) -> Result<Option<Vec<PathBuf>>, FormatError> {
    if count <= 1 {
        return Ok(None);
    }
    let field = |problem: String| FormatError::Field { path: path.into(), key: "split.count".into(), problem };
    // The format stores it in 16 bits, and names have five digits.
    if count > 65_535 {
        return Err(field(format!("{count} parts are more than 65535")));
    }
    let stem = stem(path, count).ok_or_else(|| {
        field(format!("{count} parts, but the name does not end in -NNNNN-of-{count:05}.gguf; restore the names"))
    })?;
    let parts = (1..=count).map(|number| path.with_file_name(format!("{stem}-{number:05}-of-{count:05}.gguf")));
    let parts: Vec<PathBuf> = parts
        .map(|part| if part.is_file() { Ok(part) } else { Err(missing(path, &part)) })
        .collect::<Result<_, FormatError>>()?;
    Ok(Some(parts))
}

/// That the field `key` of a part is what its name says.
pub(crate) fn check(path: &Path, key: &str, found: u32, expected: usize) -> Result<(), FormatError> {
    if found as usize == expected {
        return Ok(());
    }
    let problem = format!("{found}, but the file's name says {expected}; the parts are of different models");
    Err(FormatError::Field { path: path.into(), key: key.into(), problem })
}

fn missing(path: &Path, part: &Path) -> FormatError {
    let name = part.file_name().unwrap_or_default().to_string_lossy();
    FormatError::broken(path, 0, format!("part {name} is missing; download it into the same folder"))
}

/// `NAME` of `NAME-00002-of-00003.gguf`.
fn stem(path: &Path, count: u32) -> Option<String> {
    let rest = path.file_name()?.to_str()?.strip_suffix(&format!("-of-{count:05}.gguf"))?;
    let (stem, number) = rest.rsplit_once('-')?;
    (number.len() == 5 && number.bytes().all(|b| b.is_ascii_digit())).then(|| stem.to_string())
}
