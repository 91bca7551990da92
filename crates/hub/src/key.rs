//! The key by which Ollama's registry knows its users: an Ed25519 key in a file of OpenSSH's form, which signs the
//! request for a token.
//!
//! Invariant: the private half is read and never leaves; what is signed names the address that it is for, so that nobody
//! else can use it. Form of the file: PROTOCOL.key of OpenSSH. Read `http` for where it is asked for.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::Ed25519KeyPair;
use sha2::{Digest as _, Sha256};

use crate::HubError;

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";

/// A key of a user.
pub struct Key {
    pair: Ed25519KeyPair,
    /// As files of public keys hold it, behind the name of the kind.
    public: String,
}

/// Where the user's key lies.
pub fn path_of_user() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    Some(set("HOME").or_else(|| set("USERPROFILE"))?.join(".ollama").join("id_ed25519"))
}

impl Key {
    /// Reads a file; none where there is no such file.
    pub fn open(path: &Path) -> Result<Option<Key>, HubError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Key::parse(&text).map(Some).map_err(|problem| HubError::form(path.display(), problem)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(HubError::io(path)(error)),
        }
    }

    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Key, &'static str> {
        let inner = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
        let bytes = inner.and_then(from_base64).ok_or("it is no private key of OpenSSH")?;
        let mut rest = bytes.strip_prefix(MAGIC).ok_or("it is no private key of OpenSSH")?;
        let cut = "the key is cut off";
        let (cipher, derivation) = (string(&mut rest).ok_or(cut)?, string(&mut rest).ok_or(cut)?);
        if cipher != b"none" || derivation != b"none" {
            return Err("the key has a passphrase, which is not supported");
        }
        string(&mut rest).ok_or(cut)?;
        if number(&mut rest) != Some(1) {
            return Err("a file of several keys is not supported");
        }
        let public = string(&mut rest).ok_or(cut)?;
        let mut secret = string(&mut rest).ok_or(cut)?;
        if number(&mut secret) != number(&mut secret) || string(&mut secret) != Some(b"ssh-ed25519") {
            return Err("it is no Ed25519 key");
        }
        let (half, both) = (string(&mut secret).ok_or(cut)?, string(&mut secret).ok_or(cut)?);
        let seed = both.get(..32).ok_or(cut)?;
        let pair =
            Ed25519KeyPair::from_seed_and_public_key(seed, half).map_err(|_| "its halves do not belong together")?;
        Ok(Key { pair, public: base64(public) })
    }

    /// The address at which a registry gives a token, and the header that goes with it.
    pub(crate) fn token_request(&self, realm: &str, service: &str, scope: &str) -> Result<(String, String), HubError> {
        let mut nonce = [0; 16];
        SystemRandom::new().fill(&mut nonce).map_err(|_| HubError::Refused("there are no random numbers".into()))?;
        let nonce = base64(&nonce).trim_end_matches('=').replace('+', "-").replace('/', "_");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let scopes = scope.split(' ').map(|scope| format!("&scope={}", form(scope)));
        let query = format!("nonce={nonce}{}&service={}&ts={now}", scopes.collect::<String>(), form(service));
        let url = format!("{realm}{}{query}", if realm.contains('?') { '&' } else { '?' });
        let signature = self.pair.sign(signed("GET", &url).as_bytes());
        Ok((url, format!("{}:{}", self.public, base64(signature.as_ref()))))
    }
}

/// What is signed of a request without a body.
fn signed(method: &str, url: &str) -> String {
    let nothing: String = Sha256::digest([]).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{method},{url},{}", base64(nothing.as_bytes()))
}

/// As forms encode: the other side may put the query together anew before it looks at the signature.
fn form(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Four bytes, the highest first.
fn number(bytes: &mut &[u8]) -> Option<u32> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(u32::from_be_bytes(*number))
}

/// Bytes behind their number.
fn string<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let count = number(bytes)? as usize;
    let (string, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(string)
}

/// Padding may be there or not: keys have it, signatures of other programs may not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.split_whitespace().collect::<String>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ED25519, UnparsedPublicKey};

    /// What `ssh-keygen -t ed25519` made for this test alone.
    const INNER: [&str; 5] = [
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW",
        "QyNTUxOQAAACBqmVWwCpffpe5SgdUHJc92Dnr5RqMoj9aI2g4wFL8z/AAAAIheyNpdXsja",
        "XQAAAAtzc2gtZWQyNTUxOQAAACBqmVWwCpffpe5SgdUHJc92Dnr5RqMoj9aI2g4wFL8z/A",
        "AAAEAwsdwb6QSxL6J+40PoHmt9INvzb4oc507U597kFKHNiGqZVbAKl9+l7lKB1Qclz3YO",
        "evlGoyiP1ojaDjAUvzP8AAAABHRlc3QB",
    ];
    const PUBLIC: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIGqZVbAKl9+l7lKB1Qclz3YOevlGoyiP1ojaDjAUvzP8";

    fn file(lines: &[&str]) -> String {
        format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))
    }

    #[test]
    fn what_is_signed_can_be_checked_with_the_public_half() {
        let key = Key::parse(&file(&INNER)).unwrap();
        assert_eq!(key.public, PUBLIC);
        let (url, header) = key.token_request("https://a.b/token", "a.b", "repository:me/m:pull,push").unwrap();
        let query = url.strip_prefix("https://a.b/token?nonce=").unwrap();
        assert!(query.contains("&scope=repository%3Ame%2Fm%3Apull%2Cpush&service=a.b&ts="), "{query}");
        let (public, signature) = header.split_once(':').unwrap();
        let blob = from_base64(public).unwrap();
        let check = |text: &str| {
            let public = UnparsedPublicKey::new(&ED25519, &blob[blob.len() - 32..]);
            public.verify(text.as_bytes(), &from_base64(signature).unwrap()).is_ok()
        };
        // The middle is the SHA-256 of nothing in hex, in base64.
        let nothing = "ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ==";
        assert!(check(&format!("GET,{url},{nothing}")));
        assert!(!check(&format!("GET,{},{nothing}", url.replace("a.b", "c.d"))));
        let other = key.token_request("https://a.b/token", "a.b", "x").unwrap();
        assert_ne!(other.0, key.token_request("https://a.b/token", "a.b", "x").unwrap().0, "a nonce each time");
    }

    #[test]
    fn files_that_are_no_keys_say_why() {
        for (text, part) in
            [(String::new(), "no private key"), (file(&["AAAA"]), "no private key"), (file(&INNER[..3]), "cut off")]
        {
            assert!(Key::parse(&text).err().unwrap().contains(part), "{text}");
        }
        let missing = Path::new("/nowhere/id_ed25519");
        assert!(Key::open(missing).unwrap().is_none());
    }
}
