// SPDX-License-Identifier: Apache-2.0
//! Seccomp: compiles the OCI seccomp section to a small BPF program with runc's semantics.
//!
//! runc hands `linux.seccomp` to libseccomp and puts a few instructions of its own before the result. This crate
//! gives the same answer to every call, from a program a third the size, in a hundredth of the time: it works out the
//! answer for every number of every ABI, merges neighbours that have the same answer, and emits a search tree over
//! the ranges. What the answer is, and why, is in `rules`; how it becomes instructions, in `tree` and `emit`.
//!
//! Source: runtime-spec, config-linux.md, "Seccomp"; seccomp(2); kernel, Documentation/userspace-api/seccomp_filter.rst.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;
// The interpreter of the tests names the crate as the integration tests do.
#[cfg(test)]
extern crate self as insula_seccomp;

mod abi;
mod condition;
mod emit;
pub mod features;
mod hash;
mod names;
mod program;
mod rules;
#[cfg(test)]
mod tests;
mod tree;
mod words;

pub use program::{Instruction, Program};

use insula_error::{Error, Kind};
use insula_spec::Seccomp;

/// What all errors of this crate say was attempted.
const ATTEMPTED: &str = "compile the seccomp filter";

/// Compiles `linux.seccomp` for this machine's architecture; `None` if it asks for nothing (no default action, no rules).
///
/// # Errors
/// `InvalidConfig` with the field's JSON pointer for unknown names of actions, operators, architectures and flags,
/// for notifications that would stop the runtime itself, for contradicting rules, and for a filter of more than
/// [`Program::MAX_LENGTH`] instructions.
pub fn compile(seccomp: &Seccomp<'_>) -> Result<Option<Program>, Error> {
    compile_for(&abi::NATIVE, seccomp)
}

fn compile_for(family: &'static abi::Family, seccomp: &Seccomp<'_>) -> Result<Option<Program>, Error> {
    if seccomp.default_action.is_empty() && seccomp.syscalls.is_empty() {
        return Ok(None);
    }
    let filter = rules::Filter::new(family, seccomp)?;
    let flags = rules::flags(seccomp, filter.uses_notify)?;
    let instructions = tree::program(&filter);
    if instructions.len() > Program::MAX_LENGTH {
        let reason = alloc::format!(
            "the filter comes to {} instructions, the kernel takes {} (BPF_MAXINSNS)",
            instructions.len(),
            Program::MAX_LENGTH
        );
        return Err(Error::new(Kind::InvalidConfig, ATTEMPTED)
            .field("/linux/seccomp/syscalls")
            .reason(reason)
            .advice("use fewer conditions on arguments"));
    }
    Ok(Some(Program { instructions, flags, uses_notify: filter.uses_notify }))
}
