// SPDX-License-Identifier: Apache-2.0
//! Command lines, ids, and what else is text from outside.

use crate::check;
use core::ffi::CStr;
use insula_cli::{amount, exec, parse, signal, validate_id};
use insula_error::Error;

/// Arguments end with zeros. Each is also tried as every kind of value.
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut ended = bytes.to_vec();
    ended.push(0);
    let arguments: Vec<&CStr> =
        ended.split_inclusive(|byte| *byte == 0).filter_map(|word| CStr::from_bytes_with_nul(word).ok()).collect();
    match parse(arguments.iter().copied()) {
        Ok(parsed) => {
            // What was parsed is what stands there.
            let count = (0..).map_while(|index| parsed.positional(index)).count() + parsed.rest().len();
            assert!(count <= arguments.len(), "more words than arguments");
        }
        Err(error) => check(&error),
    }
    for text in arguments.iter().filter_map(|word| word.to_str().ok()) {
        value(text);
    }
}

fn value(text: &str) {
    if judge(validate_id(text)) {
        let good = |c: char| c.is_ascii_alphanumeric() || "_+.-".contains(c);
        assert!(!text.is_empty() && text.len() <= 1024 && text.chars().all(good), "id {text:?}");
        assert!(text != "." && text != "..", "id {text:?}");
    }
    if judge(exec::user(text)) {
        assert!(exec::user(text).is_ok_and(|(user, group)| user != u32::MAX && group != Some(u32::MAX)), "{text:?}");
    }
    if judge(exec::group(text)) {
        assert_ne!(exec::group(text).ok(), Some(u32::MAX), "{text:?}");
    }
    judge(amount::duration(text));
    judge(amount::bytes(text));
    judge(exec::capability(text));
    judge(exec::variable(text));
    judge(exec::sub_cgroups([text].into_iter()));
    if judge(signal::parse(text)) {
        assert!(signal::parse(text).is_ok_and(|signal| (0..=64).contains(&signal)), "{text:?}");
    }
    if let Ok(list) = insula_spec::ranges(text) {
        assert!(list.iter().all(|(first, last)| first <= last), "{text:?}");
    }
    if let Ok(path) = insula_spec::sysctl_path(text) {
        let parts = || path.split('/');
        assert!(parts().all(|part| !part.is_empty() && part != "." && part != ".."), "{text:?} is {path:?}");
    }
}

fn judge<T>(result: Result<T, Error>) -> bool {
    result.map_err(|error| check(&error)).is_ok()
}
