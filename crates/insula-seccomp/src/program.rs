// SPDX-License-Identifier: Apache-2.0
//! The result: a classic BPF program for seccomp(2).

use alloc::vec::Vec;

/// One instruction, laid out as the kernel's `struct sock_filter` (linux/filter.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip if the comparison holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// A filter and how to install it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The filter, at most [`Self::MAX_LENGTH`] instructions.
    pub instructions: Vec<Instruction>,
    /// `SECCOMP_FILTER_FLAG_*` for seccomp(2) with `SECCOMP_SET_MODE_FILTER`, including the one for a new listener if
    /// [`Self::uses_notify`]. The thread-synchronisation flag is never set: the filter is installed by a process
    /// with one thread.
    pub flags: u32,
    /// Whether a rule notifies an agent: installing the filter then returns the listener's descriptor, which goes to
    /// `linux.seccomp.listenerPath`.
    pub uses_notify: bool,
}

impl Program {
    /// Most instructions that the kernel takes (`BPF_MAXINSNS`, linux/bpf_common.h).
    pub const MAX_LENGTH: usize = 4096;

    /// The instructions as the bytes of an array of `struct sock_filter` in this machine's byte order.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.instructions.len() * 8);
        for Instruction { code, jt, jf, k } in &self.instructions {
            bytes.extend_from_slice(&code.to_ne_bytes());
            bytes.extend_from_slice(&[*jt, *jf]);
            bytes.extend_from_slice(&k.to_ne_bytes());
        }
        bytes
    }
}
