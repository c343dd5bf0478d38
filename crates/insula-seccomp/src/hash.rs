// SPDX-License-Identifier: Apache-2.0
//! The hash of a system call's name. The build script includes this file too: it lays the table out with it.

/// FNV-1a started from `seed`, in the range of a table of 2^`bits` slots.
pub(crate) fn slot(name: &[u8], seed: u32, bits: u32) -> usize {
    let hash = name.iter().fold(seed, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    // The high bits of a product depend on all bits of its factors.
    (hash >> (32 - bits)) as usize
}
