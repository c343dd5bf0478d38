// SPDX-License-Identifier: Apache-2.0
//! Durations and sizes as Go programs write them.

use alloc::format;

use insula_error::{Error, Result};

/// Nanoseconds of a duration such as `5s`, `1m30s`, `1.5h`, `250ms` (units ns, us, µs, ms, s, m, h; Go's
/// time.ParseDuration), more than zero.
///
/// # Errors
/// [`Kind::Usage`](insula_error::Kind::Usage), also for zero, negative ones and more than 2^63 ns (292 years).
pub fn duration(text: &str) -> Result<u64> {
    nanoseconds(text)
        .filter(|total| *total > 0 && i64::try_from(*total).is_ok())
        .ok_or_else(|| Error::usage(format!("{text:?} is not a duration above zero, such as 500ms, 5s or 1m30s")))
}

/// Longer units first: `m` is the beginning of `ms`.
const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

fn nanoseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, after) = rest.split_at(digits);
        let (unit, length) = UNITS.iter().find(|(unit, _)| after.starts_with(unit)).map(|(u, n)| (u.len(), *n))?;
        total = total.checked_add(times(number, length)?)?;
        rest = &after[unit..];
    }
    (!text.is_empty()).then_some(total)
}

/// Bytes of a size such as `1048576`, `64m`, `1.5GiB`, `512 kB` (powers of 1024 whatever the spelling, as Docker and
/// runc have it), or -1 for no limit.
///
/// # Errors
/// [`Kind::Usage`](insula_error::Kind::Usage), also for other negative ones and more than 2^63 - 1.
pub fn bytes(text: &str) -> Result<i64> {
    if text == "-1" {
        return Ok(-1);
    }
    size(text).ok_or_else(|| Error::usage(format!("{text:?} is not a size, such as 67108864, 64m or 1.5g")))
}

fn size(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (number, suffix) = text.split_at(digits);
    let suffix = suffix.strip_prefix(' ').unwrap_or(suffix).to_ascii_lowercase();
    let prefix = match suffix.strip_suffix("ib") {
        Some("") => return None,
        Some(prefix) => prefix,
        None => suffix.strip_suffix('b').unwrap_or(&suffix),
    };
    let power = match prefix {
        "" => 0,
        letter => 1 + ["k", "m", "g", "t", "p"].iter().position(|known| *known == letter)?,
    };
    i64::try_from(times(number, 1 << (10 * power))?).ok()
}

/// `number` (decimal, perhaps with a fraction) times `unit`, rounded down. No floating point: 18 decimals are exact.
fn times(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || fraction.len() > 18 {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let scale = 10u128.pow(fraction.len() as u32);
    let part: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let part = u64::try_from(u128::from(part) * u128::from(unit) / scale).ok()?;
    whole.checked_mul(unit)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("5s", 5_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("250ms", 250_000_000),
            ("1us2µs3μs4ns", 6_004),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
        ] {
            assert_eq!(duration(text).unwrap(), expected, "{text}");
        }
        for text in ["", "5", "s", "-5s", "+5s", "0s", "0.1ns", "5 s", "1..5s", ".s", "5x", "9999999h", "5s ", "1e3s"] {
            assert!(duration(text).expect_err(text).to_string().contains("is not a duration above zero"), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("-1", -1),
            ("0", 0),
            ("67108864", 67_108_864),
            ("64m", 64 << 20),
            ("64M", 64 << 20),
            ("64MB", 64 << 20),
            ("64MiB", 64 << 20),
            ("1.5g", 3 << 29),
            ("512 kB", 512 << 10),
            ("2t", 2 << 40),
            ("100b", 100),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(bytes(text).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "m",
            "-2",
            "-1m",
            "1x",
            "1mm",
            "1ib",
            "1  m",
            "9223372036854775808",
            "9999999p",
            "0x10",
            "1e3",
            "1.2.3",
        ] {
            assert!(bytes(text).expect_err(text).to_string().contains("is not a size"), "{text}");
        }
    }
}
