// SPDX-License-Identifier: Apache-2.0
//! The files of the state directory.

use crate::check;
use insula_cgroup::Group;
use insula_run::record::Record;
use insula_run::store::{sealed, unsealed};

/// Any bytes are a record or refused with a good error; a record survives being written.
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Ok(text) = core::str::from_utf8(bytes) {
        if let Some(lines) = unsealed(text) {
            assert_eq!(sealed(&lines), text, "another intent with the same sum");
        }
        let lines: Vec<&str> = text.lines().collect();
        match Group::from_record(&lines, false) {
            Ok(group) => assert_eq!(group.record(), lines, "the cgroup's record"),
            Err(error) => check(&error),
        }
    }
    let record = match Record::parse(bytes) {
        Ok(record) => record,
        Err(error) => return check(&error),
    };
    assert!(record.init.pid > 0);
    let text = record.to_json();
    assert_eq!(Record::parse(text.as_bytes()).ok().as_ref(), Some(&record), "{text}");
    // One that is damaged behind the first half is refused, wherever that is.
    let mut torn = text.into_bytes();
    let at = torn.len() / 2 + bytes.len() % (torn.len() / 4);
    torn[at] ^= 4;
    assert!(Record::parse(&torn).is_err(), "byte {at} of {}", String::from_utf8_lossy(&torn));
}
