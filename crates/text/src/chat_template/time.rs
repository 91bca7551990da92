//! `strftime` of the present moment, in UTC, for templates that state the date.
//!
//! Invariant: no locale and no time zone: the same moment gives the same text on every machine.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The present moment in `strftime`'s notation.
pub fn format_now(format: &str) -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    strftime(format, seconds)
}

/// A moment, in seconds since 1970, in `strftime`'s notation.
pub fn strftime(format: &str, seconds: u64) -> String {
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let weekday = ((seconds / 86_400 + 4) % 7) as usize;
    let year_day = seconds / 86_400 - days_before(year) + 1;
    let month_name = MONTHS[month as usize - 1];
    let half_day = if hour % 12 == 0 { 12 } else { hour % 12 };
    let mut out = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let mut code = characters.next().unwrap_or('%');
        let padded = code != '-';
        if !padded {
            code = characters.next().unwrap_or('%');
        }
        let mut number = |value: u64, width: usize| {
            let width = if padded { width } else { 1 };
            write!(out, "{value:0width$}").expect("a string takes all");
        };
        match code {
            'Y' => number(year, 4),
            'y' => number(year % 100, 2),
            'm' => number(month, 2),
            'd' => number(day, 2),
            'H' => number(hour, 2),
            'I' => number(half_day, 2),
            'M' => number(minute, 2),
            'S' => number(second, 2),
            'j' => number(year_day, 3),
            'B' => out.push_str(month_name),
            'b' | 'h' => out.push_str(&month_name[..3]),
            'A' => out.push_str(DAYS[weekday]),
            'a' => out.push_str(&DAYS[weekday][..3]),
            'p' => out.push_str(if hour < 12 { "AM" } else { "PM" }),
            'F' => out.push_str(&strftime("%Y-%m-%d", seconds)),
            'T' => out.push_str(&strftime("%H:%M:%S", seconds)),
            'Z' => out.push_str("UTC"),
            'z' => out.push_str("+0000"),
            '%' => out.push('%'),
            other => {
                out.push('%');
                out.push(other);
            }
        }
    }
    out
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days from 1970-01-01 to the first of January of a year.
fn days_before(year: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
}

/// Year, month (1…12) and day (1…31) of a day counted from 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let mut year = 1970 + days / 366;
    while days_before(year + 1) <= days {
        year += 1;
    }
    let mut rest = days - days_before(year);
    let lengths = [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while rest >= lengths[month] {
        rest -= lengths[month];
        month += 1;
    }
    (year, month as u64 + 1, rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_match_strftime() {
        assert_eq!(strftime("%d %b %Y", 1_721_952_000), "26 Jul 2024");
        assert_eq!(strftime("%A, %B %-d, %Y %I:%M %p (%j)", 951_827_696), "Tuesday, February 29, 2000 12:34 PM (060)");
        assert_eq!(strftime("%F %T", 4_102_444_799), "2099-12-31 23:59:59");
        assert_eq!(strftime("%F %a", 0), "1970-01-01 Thu");
    }
}
