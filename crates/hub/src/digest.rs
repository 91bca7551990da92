//! SHA-256 names of blobs.
//!
//! Invariant: a `Digest` is 32 bytes, so a file name made of it holds nothing but `sha256-` and hexadecimal digits.
//! Read `store` for the files.

use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::HubError;

/// The SHA-256 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of bytes in memory.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// Of a file. `progress` hears how many bytes were read; false ends it.
    pub fn of_file(path: &Path, mut progress: impl FnMut(u64) -> bool) -> Result<Digest, HubError> {
        let mut file = std::fs::File::open(path).map_err(HubError::io(path))?;
        let (mut hasher, mut buffer, mut read) = (Hasher::default(), vec![0; 1 << 20], 0);
        loop {
            let count = file.read(&mut buffer).map_err(HubError::io(path))?;
            if count == 0 {
                return Ok(hasher.finish());
            }
            hasher.update(&buffer[..count]);
            read += count as u64;
            if !progress(read) {
                return Err(HubError::Cancelled);
            }
        }
    }

    /// Reads `sha256:` or `sha256-` and 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Digest, HubError> {
        let wrong = || HubError::DigestForm(text.to_string());
        let digits = text.strip_prefix("sha256:").or_else(|| text.strip_prefix("sha256-")).ok_or_else(wrong)?;
        Digest::of_hex(digits).ok_or_else(wrong)
    }

    /// Reads 64 hexadecimal digits.
    pub fn of_hex(digits: &str) -> Option<Digest> {
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
        }
        Some(Digest(bytes))
    }

    /// 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Twelve digits, for people.
    pub fn short(&self) -> String {
        self.hex()[..12].to_string()
    }

    /// The name of the blob's file.
    pub fn file_name(&self) -> String {
        format!("sha256-{}", self.hex())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        Digest::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Makes a digest of bytes that come in pieces.
#[derive(Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// More bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all of them.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// The name that git gives to a file with these bytes.
pub fn git_object_id(bytes: &[u8]) -> String {
    let mut hasher = sha1::Sha1::new();
    hasher.update(format!("blob {}\0", bytes.len()).as_bytes());
    hasher.update(bytes);
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_and_written() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(Digest::parse(empty).unwrap(), Digest::of(b""));
        assert_eq!(
            Digest::parse(&empty.replace(':', "-").to_uppercase().replace("SHA", "sha")).unwrap(),
            Digest::of(b"")
        );
        assert_eq!(Digest::of(b"").file_name(), empty.replace(':', "-"));
        for wrong in ["", "sha256:", "sha256:../../etc/passwd", &empty[..70], &format!("{empty}0"), "md5:00"] {
            assert!(Digest::parse(wrong).is_err(), "{wrong}");
        }
        let json = serde_json::to_string(&Digest::of(b"")).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), Digest::of(b""));
    }

    #[test]
    fn git_knows_files_by_this_name() {
        // `echo hello | git hash-object --stdin`
        assert_eq!(git_object_id(b"hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
