// SPDX-License-Identifier: Apache-2.0
//! The names of system calls: one table per family of ABIs, laid out by the build script for few touched pages.

use crate::hash;

/// Stands in for the number of a call that an ABI does not have.
pub(crate) const NONE: u16 = u16::MAX;

/// What a name means.
#[derive(Debug)]
pub(crate) struct Entry {
    start: u16,
    length: u8,
    /// The call of a multiplexing call that this is on ABIs that have those, 0 if none: see `Abi::multiplexed`.
    pub(crate) call: u8,
    /// Slot per ABI of the family, in the order of `Family::abis`; [`NONE`] where the ABI lacks the call.
    pub(crate) numbers: [u16; 3],
}

/// A hash table with linear probing.
#[derive(Debug)]
pub(crate) struct Names {
    seed: u32,
    bits: u32,
    /// All names, in order, with nothing between them.
    text: &'static [u8],
    /// One per name, in order.
    entries: &'static [Entry],
    /// Index of an entry plus one; 0 is empty.
    slots: &'static [u16],
}

#[cfg(any(target_arch = "x86_64", test))]
pub(crate) static X86: Names = include!(concat!(env!("OUT_DIR"), "/x86.rs"));

#[cfg(any(target_arch = "aarch64", test))]
pub(crate) static ARM: Names = include!(concat!(env!("OUT_DIR"), "/arm.rs"));

impl Names {
    /// What `name` means; `None` if no ABI of the family has it.
    pub(crate) fn find(&self, name: &str) -> Option<&'static Entry> {
        let mut slot = hash::slot(name.as_bytes(), self.seed, self.bits);
        loop {
            let entry = &self.entries[usize::from(self.slots[slot]).checked_sub(1)?];
            if self.name(entry) == name.as_bytes() {
                return Some(entry);
            }
            slot = (slot + 1) % self.slots.len();
        }
    }

    fn name(&self, entry: &Entry) -> &'static [u8] {
        &self.text[usize::from(entry.start)..][..usize::from(entry.length)]
    }
}

/// All names, sorted.
pub(crate) fn all(names: &'static Names) -> impl Iterator<Item = &'static str> {
    // The build script wrote ASCII only, so none is lost.
    names.entries.iter().filter_map(|entry| core::str::from_utf8(names.name(entry)).ok())
}
