// SPDX-License-Identifier: Apache-2.0
//! `org.systemd.property.NAME` annotations: properties of the unit, in GVariant text (runc's docs/systemd.md).

use super::Properties;
use alloc::format;
use alloc::string::{String, ToString};
use insula_dbus::{Value, text};
use insula_error::{Error, Result};

const PREFIX: &str = "org.systemd.property.";
const MICROSECONDS: u64 = 1_000_000;

/// The properties that a document's annotations ask for.
///
/// # Errors
/// `InvalidConfig` for a name that no property has, or a value that is none.
pub(super) fn properties(annotations: &mut dyn Iterator<Item = (&str, &str)>) -> Result<Properties> {
    let mut list = Properties::new();
    for (key, value) in annotations {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        let refused = |reason: String| {
            let pointer = format!("/annotations/{}", key.replace('~', "~0").replace('/', "~1"));
            Error::invalid(pointer, "set a property of the systemd unit", reason)
        };
        check_name(name).map_err(|reason| refused(format!("annotation {key} name incorrect: {reason}")))?;
        let wrong = |reason: String| refused(format!("annotation {key}={value} value parse error: {reason}"));
        let stem = name.strip_suffix("Sec").filter(|stem| stem.ends_with(|c: char| c.is_ascii_lowercase()));
        list.push(match stem {
            // The documented names have seconds, those on the bus microseconds.
            Some(stem) => (format!("{stem}USec"), Value::U64(microseconds(value).map_err(wrong)?)),
            None => (name.to_string(), text::parse(value).map_err(wrong)?),
        });
    }
    Ok(list)
}

fn check_name(name: &str) -> core::result::Result<(), &'static str> {
    if name.len() < 3 {
        return Err("too short");
    }
    if name.bytes().all(|byte| byte.is_ascii_alphabetic()) { Ok(()) } else { Err("contains non-alphabetic character") }
}

/// Seconds, whole or with a fraction.
fn microseconds(value: &str) -> core::result::Result<u64, String> {
    if let Some(fraction) = with_fraction(value.trim()) {
        return Ok(fraction);
    }
    let seconds = match text::parse(value)? {
        Value::Byte(n) => u64::from(n),
        Value::U16(n) => u64::from(n),
        Value::U32(n) => u64::from(n),
        Value::U64(n) => n,
        Value::I16(n) => u64::try_from(n).unwrap_or(u64::MAX),
        Value::I32(n) => u64::try_from(n).unwrap_or(u64::MAX),
        Value::I64(n) => u64::try_from(n).unwrap_or(u64::MAX),
        _ => return Err("not a number".to_string()),
    };
    seconds.checked_mul(MICROSECONDS).ok_or_else(|| "the time is negative or out of range".to_string())
}

/// `12.5` or `double 12.5` as microseconds; more digits than six are cut off.
fn with_fraction(value: &str) -> Option<u64> {
    let (whole, fraction) = value.strip_prefix("double").unwrap_or(value).trim_start().split_once('.')?;
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(MICROSECONDS)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Result<Properties> {
        properties(&mut [("unrelated", "x"), (&*format!("{PREFIX}{name}"), value)].into_iter())
    }

    #[test]
    fn properties_are_read() {
        for (name, value, property, result) in [
            ("TimeoutStopUSec", "uint64 123456789", "TimeoutStopUSec", Value::U64(123_456_789)),
            ("CollectMode", "'inactive-or-failed'", "CollectMode", Value::text("inactive-or-failed")),
            ("TimeoutStopSec", "123", "TimeoutStopUSec", Value::U64(123_000_000)),
            ("TimeoutStopSec", "uint64 1", "TimeoutStopUSec", Value::U64(1_000_000)),
            ("TimeoutStopSec", "1.5", "TimeoutStopUSec", Value::U64(1_500_000)),
            ("TimeoutStopSec", "double 0.0000019", "TimeoutStopUSec", Value::U64(1)),
            ("After", "['a.service']", "After", Value::texts(["a.service"])),
            ("Sec", "1", "Sec", Value::I32(1)),
            ("FOOSec", "1", "FOOSec", Value::I32(1)),
        ] {
            assert_eq!(one(name, value).unwrap(), [(property.to_string(), result)], "{name}={value}");
        }
    }

    #[test]
    fn what_is_no_property_is_refused() {
        for (name, value, part) in [
            ("", "1", "too short"),
            ("ab", "1", "too short"),
            ("a-b", "1", "non-alphabetic"),
            ("Slice/x", "1", "non-alphabetic"),
            ("TimeoutStopSec", "'soon'", "not a number"),
            ("TimeoutStopSec", "-1", "negative"),
            ("TimeoutStopSec", "uint64 18446744073709551615", "out of range"),
            ("CollectMode", "inactive", "quotes"),
        ] {
            let error = one(name, value).unwrap_err();
            assert!(error.to_string().contains(part), "{name}={value}: {error}");
            assert!(error.pointer().unwrap().starts_with("/annotations/org.systemd.property."), "{error}");
        }
    }
}
