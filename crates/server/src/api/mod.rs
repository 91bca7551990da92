//! The dialects: one folder each, one file an endpoint, each a pure pair of parse and encode.
//!
//! Invariant: every field of a request is honoured, or refused in the dialect's own words; nothing is dropped in
//! silence. Fields that are listed as hints say nothing about the answer. Read `openai::chat` for the pattern.

pub mod anthropic;
pub mod ollama;
pub mod openai;
pub mod own;

use axum::body::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::ApiError;

const LARGE_BODY: usize = 1 << 17;

/// Reads a body.
pub(crate) fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, ApiError> {
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { bytes };
    let read = || serde_json::from_slice(text);
    // A large body takes milliseconds, in which no other client would be served.
    let value = if text.len() > LARGE_BODY { tokio::task::block_in_place(read) } else { read() };
    value.map_err(|error| ApiError::new(crate::error::Kind::Invalid, format!("invalid JSON body: {error}")))
}

/// Refuses fields that nobody knows. `hints` are known to say nothing about the answer; null is as good as nothing.
pub(crate) fn refuse_unknown(rest: &Map<String, Value>, hints: &[&str]) -> Result<(), ApiError> {
    let unknown = rest.iter().find(|(name, value)| !value.is_null() && !hints.contains(&name.as_str()));
    match unknown {
        Some((name, _)) => Err(ApiError::invalid(name, format!("unknown field `{name}`"))),
        None => Ok(()),
    }
}

/// Refuses what nobody knows inside of a field, in the same way.
pub(crate) fn only(value: &Value, known: &[&str], param: &str) -> Result<(), ApiError> {
    let fields = value.as_object().into_iter().flatten();
    match fields.clone().find(|(name, value)| !value.is_null() && !known.contains(&name.as_str())) {
        Some((name, _)) => Err(ApiError::invalid(param, format!("unknown field `{name}` in `{param}`"))),
        None => Ok(()),
    }
}

/// Seconds since 1970.
pub(crate) fn now_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A new id: a prefix and 24 letters that no other answer of this process has.
pub(crate) fn new_id(prefix: &str) -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(count);
    format!("{prefix}{:016x}{count:08x}", hasher.finish())
}

/// 2026-01-02T03:04:05.123456789Z
pub(crate) fn timestamp(time: std::time::SystemTime) -> String {
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Civil from days: the algorithm counts years from March of year 0 in cycles of 400 years.
    let shifted = days as i64 + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second, nanos) = (second / 3_600, second / 60 % 60, second % 60, since.subsec_nanos());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn timestamps_are_dates() {
        let at = |seconds| timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(at(951_827_696), "2000-02-29T12:34:56.000000000Z");
        assert_eq!(at(1_767_323_045), "2026-01-02T03:04:05.000000000Z");
    }
}
