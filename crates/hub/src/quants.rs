//! Which GGUF file of a repository is meant by a tag such as `Q4_K_M`.
//!
//! Invariant: a file in parts is chosen with all its parts, in order, or not at all.

use crate::HubError;

/// What is taken when the tag says nothing, the first that is there.
const PREFERRED: &[&str] = &["Q4_K_M", "Q4_K_S", "Q4_0", "Q5_K_M", "Q8_0", "Q6_K", "MXFP4", "IQ4_XS", "BF16", "F16"];

/// The files of the model that `tag` means.
pub(crate) fn choose(files: &[String], tag: &str) -> Result<Vec<String>, HubError> {
    let models = groups(files);
    let found = match tag == crate::name::DEFAULT_TAG {
        false => models.iter().find(|(stem, _)| says(stem, tag)),
        true => {
            let preferred = PREFERRED.iter().find_map(|quant| models.iter().find(|(stem, _)| says(stem, quant)));
            preferred.or_else(|| models.first())
        }
    };
    let Some((stem, parts)) = found else {
        let known: Vec<&str> = models.iter().map(|(stem, _)| stem.rsplit('/').next().unwrap_or(stem)).collect();
        let reason = match known.is_empty() {
            true => "there is no GGUF file of a model".to_string(),
            false => format!("there is no `{tag}`; there are: {}", known.join(", ")),
        };
        return Err(HubError::Refused(reason));
    };
    if parts.iter().any(Option::is_none) {
        return Err(HubError::Refused(format!("{stem}: some of its {} parts are missing", parts.len())));
    }
    Ok(parts.iter().flatten().cloned().collect())
}

/// Names without `.gguf` and the number of their part → the files.
fn groups(files: &[String]) -> Vec<(String, Vec<Option<String>>)> {
    let mut groups: Vec<(String, Vec<Option<String>>)> = Vec::new();
    for file in files {
        let Some(stem) = file.strip_suffix(".gguf") else { continue };
        let last = stem.rsplit('/').next().unwrap_or(stem).to_ascii_lowercase();
        // Vision towers and tables of importance are no models.
        if last.starts_with("mmproj") || last.contains("imatrix") {
            continue;
        }
        let (stem, part, count) = part(stem).unwrap_or((stem, 1, 1));
        let at = match groups.iter().position(|(known, parts)| known == stem && parts.len() == count) {
            Some(at) => at,
            None => {
                groups.push((stem.to_string(), vec![None; count]));
                groups.len() - 1
            }
        };
        groups[at].1[part - 1] = Some(file.clone());
    }
    groups
}

/// `model-00002-of-00003` → `model`, 2, 3.
fn part(stem: &str) -> Option<(&str, usize, usize)> {
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (stem, part) = rest.rsplit_once('-')?;
    let number = |text: &str| text.parse::<usize>().ok().filter(|_| text.len() == 5);
    let (part, count) = (number(part)?, number(count)?);
    (1 <= part && part <= count && count < 10_000).then_some((stem, part, count))
}

/// Whether a file's name says this quantization, or is this name.
fn says(stem: &str, tag: &str) -> bool {
    let stem = stem.to_ascii_lowercase();
    let tag = tag.to_ascii_lowercase();
    let tag = tag.strip_suffix(".gguf").unwrap_or(&tag);
    let last = stem.rsplit('/').next().unwrap_or(&stem);
    if last == tag {
        return true;
    }
    let bytes = last.as_bytes();
    let bounded = |at: usize, end: usize| {
        let before = at == 0 || b"-._".contains(&bytes[at - 1]);
        // `UD-Q4_K_XL` is another one than `Q4_K_XL`.
        let other = at >= 4 && last[..at].ends_with("-ud-");
        let after = end == bytes.len() || b"-.".contains(&bytes[end]);
        before && after && !other
    };
    last.match_indices(tag).any(|(at, found)| bounded(at, at + found.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn tags_choose_files() {
        let list = files(&[
            "mmproj-F16.gguf",
            "Model-8B-BF16.gguf",
            "Model-8B-Q4_K_M.gguf",
            "Model-8B-Q4_K_S.gguf",
            "Model-8B-UD-Q4_K_XL.gguf",
            "Model-8B-Q4_K_XL.gguf",
            "Q8_0/Model-8B-Q8_0-00002-of-00002.gguf",
            "Q8_0/Model-8B-Q8_0-00001-of-00002.gguf",
            "README.md",
        ]);
        for (tag, expected) in [
            ("latest", "Model-8B-Q4_K_M.gguf"),
            ("q4_k_s", "Model-8B-Q4_K_S.gguf"),
            ("BF16", "Model-8B-BF16.gguf"),
            ("UD-Q4_K_XL", "Model-8B-UD-Q4_K_XL.gguf"),
            ("Q4_K_XL", "Model-8B-Q4_K_XL.gguf"),
            ("Model-8B-BF16.gguf", "Model-8B-BF16.gguf"),
        ] {
            assert_eq!(choose(&list, tag).unwrap(), [expected], "{tag}");
        }
        let parts = choose(&list, "Q8_0").unwrap();
        assert_eq!(parts, ["Q8_0/Model-8B-Q8_0-00001-of-00002.gguf", "Q8_0/Model-8B-Q8_0-00002-of-00002.gguf"]);
        let error = choose(&list, "Q2_K").unwrap_err().to_string();
        assert!(error.contains("no `Q2_K`") && error.contains("Model-8B-Q4_K_S"), "{error}");
        assert!(choose(&list[6..7], "Q8_0").unwrap_err().to_string().contains("parts are missing"));
        assert!(choose(&list[..1], "latest").unwrap_err().to_string().contains("no GGUF file"));
    }
}
