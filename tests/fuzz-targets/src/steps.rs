// SPDX-License-Identifier: Apache-2.0
//! Init's list of steps, and the messages between init and the host side.

use insula_steps::message::{Call, Part, Tag};
use insula_steps::{Fd, MAGIC, Reader, Step, Torn, Wire, encode};

/// Any bytes are a list or torn; a list that is written again is the same bytes.
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Some(head) = bytes.first_chunk::<4>() {
        let number = u32::from_le_bytes(*head);
        if let Some(tag) = Tag::from_number(number) {
            assert_eq!(tag as u32, number);
        }
        if let Some(part) = Part::from_number(number) {
            assert_eq!(part as u32, number);
        }
        if let Some(call) = Call::from_number(number) {
            assert!(call as u32 == number && !call.name().is_empty());
        }
    }
    let Ok((socket, steps)) = read_all(bytes) else { return };
    let written = encode(steps.iter(), socket, &|fd| fd);
    assert!(bytes.starts_with(&written), "the same steps, other bytes");
    for step in &steps {
        assert!(!step.name().is_empty());
        if let Step::Mount { options, .. } | Step::Early { options, .. } = step {
            // As many as init will pass to the kernel.
            assert!(options.iter().count() <= options.len());
        }
    }
}

/// Reads a list as init does: the socket and the steps.
pub(crate) fn read_all(bytes: &[u8]) -> Result<(Fd, Vec<Step<'_>>), Torn> {
    let mut reader = Reader::new(bytes);
    if u32::get(&mut reader)? != MAGIC {
        return Err(Torn);
    }
    let count = u32::get(&mut reader)?;
    let socket = Fd::get(&mut reader)?;
    let mut steps = Vec::new();
    for _ in 0..count {
        steps.push(Step::read(&mut reader)?);
    }
    Ok((socket, steps))
}
