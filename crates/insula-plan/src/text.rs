// SPDX-License-Identifier: Apache-2.0
//! Text that lives as long as the command.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;
use insula_steps::Strings;

/// `text` as a C string that lives as long as the command. A plan is made once and executed once; its texts are part of
/// it to the end, so they are leaked rather than carried through every type as a lifetime.
///
/// Cut at a NUL: the document's strings have none (insula-spec refuses them).
pub fn c_str(text: &str) -> &'static CStr {
    let mut bytes = Vec::with_capacity(text.len() + 1);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    CStr::from_bytes_until_nul(Box::leak(bytes.into_boxed_slice())).unwrap_or_default()
}

/// `bytes` that live as long as the command.
pub(crate) fn bytes(bytes: &[u8]) -> &'static [u8] {
    Box::leak(Box::from(bytes))
}

/// A list of strings that lives as long as the command.
pub(crate) fn strings<'s>(list: impl IntoIterator<Item = &'s str>) -> Strings<'static> {
    Strings::pack(list, Box::leak(Box::new(Vec::with_capacity(256))))
}
