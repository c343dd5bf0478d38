// SPDX-License-Identifier: Apache-2.0
//! Container ids.

use alloc::format;

use insula_error::{Error, Result};

/// Whether `id` may name a container: letters, digits, `_`, `+`, `-` and `.`; not `.` or `..`, at most 255 bytes, since
/// it becomes the name of a directory.
///
/// # Errors
/// [`Kind::Usage`](insula_error::Kind::Usage), beginning with runc's words `invalid container ID format`.
pub fn validate_id(id: &str) -> Result<()> {
    let reason = if id.is_empty() {
        "it is empty"
    } else if id.len() > 255 {
        "it is longer than 255 bytes"
    } else if id == "." || id == ".." {
        "it would mean another directory"
    } else if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-.".contains(&b)) {
        "only letters, digits and _ + - . are allowed"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("invalid container ID format: {id:?}: {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runcs_alphabet() {
        let long = "x".repeat(255);
        for id in ["a", "0", "web-1_2+3.4", "...", ".a", "-", "_", long.as_str()] {
            assert!(validate_id(id).is_ok(), "{id}");
        }
        let longer = "x".repeat(256);
        for id in ["", ".", "..", "a/b", "../a", "/", "a b", "a\n", "ä", "a:b", "a\0", "a@b", longer.as_str()] {
            let error = validate_id(id).expect_err(id);
            assert!(error.to_string().starts_with(&format!("invalid container ID format: {id:?}: ")), "{error}");
        }
    }
}
