// SPDX-License-Identifier: Apache-2.0
//! Understanding what containers and the runtime print.

use serde_json::Value;
use std::collections::BTreeMap;

/// One line of `/proc/mounts`.
#[derive(Debug)]
pub struct MountEntry {
    /// The type of the file system.
    pub kind: String,
    options: Vec<String>,
}

impl MountEntry {
    /// Whether it is mounted with `option`.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|one| one == option)
    }
}

/// `/proc/mounts` by mount point; the last mount on a point is the one that shows. Lines of another form are passed
/// over.
pub fn parse_mounts(text: &str) -> BTreeMap<String, MountEntry> {
    let parse = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (point, kind, options) = (words.next()?, words.next()?, words.next()?);
        let options = options.split(',').map(String::from).collect();
        Some((point.to_owned(), MountEntry { kind: kind.to_owned(), options }))
    };
    text.lines().filter_map(parse).collect()
}

/// Asserts that `value` is a time like `2026-01-31T10:20:30.123456789Z`: RFC 3339, with or without a fraction, with a
/// zone by letter or by offset.
#[track_caller]
pub fn assert_rfc3339(value: &Value) {
    let text = value.as_str().expect("a time is text");
    let digits =
        |range: std::ops::Range<usize>| text.get(range).is_some_and(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let shape = digits(0..4) && digits(5..7) && digits(8..10) && digits(11..13) && digits(14..16) && digits(17..19);
    assert!(shape && text.as_bytes()[10] == b'T', "{text:?} is no RFC 3339 time");
    assert!(text.ends_with('Z') || text[19..].contains(['+', '-']), "{text:?} names no zone");
}
