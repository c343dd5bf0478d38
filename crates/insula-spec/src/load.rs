// SPDX-License-Identifier: Apache-2.0
//! From text to document, with limits, and with the place of whatever is wrong.

use crate::object::{TOO_DEEP, too_deep};
use crate::pointer::{pointer, walk};
use crate::{Process, Resources, Spec};
use alloc::format;
use alloc::string::String;
use insula_error::Error;
use serde::Deserialize;

/// The largest document, in bytes. Engines write some 10 KB; 5000 mounts take 1 MB.
pub const MAX_DOCUMENT: usize = 16 << 20;

/// Reads a `config.json`. Nothing is checked but its form; [`crate::validate`] checks what it says.
pub fn load(bytes: &[u8]) -> Result<Spec<'_>, Error> {
    read(bytes, "read config.json")
}

/// Reads a `process` object, as `exec --process` has it.
pub fn load_process(bytes: &[u8]) -> Result<Process<'_>, Error> {
    read(bytes, "read the process document")
}

/// Reads a `linux.resources` object, as `update --resources` has it.
pub fn load_resources(bytes: &[u8]) -> Result<Resources<'_>, Error> {
    read(bytes, "read the resources document")
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8], attempted: &'static str) -> Result<T, Error> {
    text(bytes)
        .and_then(|text| serde_json::from_str(text).map_err(|error| Fault::of(text, &error)))
        .map_err(|fault| Error::invalid(fault.pointer, attempted, fault.reason))
}

/// What is wrong with a text, and where.
struct Fault {
    pointer: String,
    reason: String,
}

impl Fault {
    /// A fault at byte `end` of `text`, all of whose text up to there is JSON.
    fn at(text: &str, end: usize, reason: &str) -> Self {
        let line_start = text[..end].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[..end].bytes().filter(|&byte| byte == b'\n').count() + 1;
        let reason = format!("line {line}, column {}: {reason}", end - line_start);
        Self { pointer: pointer(&walk(text, end, |_| {})), reason }
    }

    #[cold]
    fn of(text: &str, error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let mut starts = core::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        let start = starts.nth(line.saturating_sub(1)).unwrap_or(text.len());
        let end = (start + column).min(text.len());
        // A syntax error counts the byte at fault as read; the path must not.
        let end = if error.is_syntax() { end.saturating_sub(1) } else { end };
        let message = format!("{error}");
        if message.starts_with(TOO_DEEP) {
            return Self::at(text, too_deep(text).unwrap_or(end), TOO_DEEP);
        }
        let message = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
        let reason = format!("line {line}, column {column}: {}", plain(message));
        Self { pointer: pointer(&walk(text, floor(text, end), |_| {})), reason }
    }
}

/// The last place at or before `end` that starts a character.
fn floor(text: &str, mut end: usize) -> usize {
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// The text of a document, if it is one that can be JSON at all.
fn text(bytes: &[u8]) -> Result<&str, Fault> {
    if bytes.len() > MAX_DOCUMENT {
        let reason = format!("the document has {} bytes; the limit is {MAX_DOCUMENT}", bytes.len());
        return Err(Fault { pointer: String::new(), reason });
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(Fault::at("", 0, "the document starts with a byte order mark, which JSON does not allow"));
    }
    core::str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.split_at(error.valid_up_to()).0;
        let reason = format!("byte 0x{:02x} is not UTF-8", bytes[valid.len()]);
        Fault::at(core::str::from_utf8(valid).unwrap_or_default(), valid.len(), &reason)
    })
}

/// serde's words for what it found and what it expected, and JSON's.
const FOUND: &[(&str, &str)] =
    &[("invalid type: sequence, ", "invalid type: array, "), ("invalid type: map, ", "invalid type: object, ")];
const EXPECTED: &[(&str, &str)] = &[
    ("recursion limit exceeded", TOO_DEEP),
    ("expected a sequence", "expected an array"),
    ("expected a boolean", "expected true or false"),
    ("expected u16", "expected an integer from 0 to 65535"),
    ("expected u32", "expected an integer from 0 to 4294967295"),
    ("expected u64", "expected an integer from 0 to 18446744073709551615"),
    ("expected i32", "expected an integer from -2147483648 to 2147483647"),
    ("expected i64", "expected an integer from -9223372036854775808 to 9223372036854775807"),
];

/// serde's message in the words of JSON.
fn plain(message: &str) -> String {
    let found = FOUND.iter().find_map(|(serde, json)| message.strip_prefix(serde).map(|rest| (*json, rest)));
    let (start, rest) = found.unwrap_or(("", message));
    let expected = EXPECTED.iter().find_map(|(serde, json)| rest.strip_suffix(serde).map(|rest| (rest, *json)));
    let (rest, end) = expected.unwrap_or((rest, ""));
    [start, rest, end].concat()
}

#[cfg(test)]
mod tests;
