// SPDX-License-Identifier: Apache-2.0
//! Lists of CPUs and memory nodes, such as `0-3,7`. Source: cpuset(7), "List format".

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The highest CPU or node number: the kernel has at most 8192 CPUs and 1024 nodes.
const HIGHEST: u32 = 8191;

/// The ranges of a list such as `0-3,7`, both ends included. Spaces around numbers are passed over, and an empty
/// list has no ranges. The error is the reason, for an [`insula_error::Error`].
pub fn ranges(list: &str) -> Result<Vec<(u32, u32)>, String> {
    if list.trim().is_empty() {
        return Ok(Vec::new());
    }
    list.split(',').map(range).collect()
}

fn range(text: &str) -> Result<(u32, u32), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(format!("range {text:?} ends before it starts"));
    }
    Ok((first, last))
}

fn number(text: &str) -> Result<u32, String> {
    let digits = text.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{text:?} is not a number"));
    }
    match digits.parse() {
        Ok(number) if number <= HIGHEST => Ok(number),
        _ => Err(format!("{digits} is above {HIGHEST}, the highest number the kernel can have")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        for (list, expected) in [
            ("", &[] as &[(u32, u32)]),
            (" ", &[]),
            ("0", &[(0, 0)]),
            ("0-3,7", &[(0, 3), (7, 7)]),
            ("1, 2 - 3", &[(1, 1), (2, 3)]),
            ("8191", &[(8191, 8191)]),
        ] {
            assert_eq!(ranges(list).unwrap(), expected, "{list:?}");
        }
        for list in [",", "1,", "-1", "1-", "3-1", "1-2-3", "a", "+1", "1\n2", "8192", "99999999999"] {
            assert!(ranges(list).is_err(), "{list:?}");
        }
    }
}
