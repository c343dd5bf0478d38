// SPDX-License-Identifier: Apache-2.0
//! What of seccomp is known, for `insula features` (runtime-spec, features-linux.md, "seccomp"). All lists are sorted.

use crate::words::{ACTIONS, ARCHITECTURES, FLAGS, OPERATORS, Words};
use crate::{abi, names};

/// Names of actions.
pub fn actions() -> impl Iterator<Item = &'static str> {
    words(ACTIONS)
}

/// The names of [`actions`], each with what a filter returns for it (linux/seccomp.h).
pub fn action_values() -> impl Iterator<Item = (&'static str, u32)> {
    ACTIONS.iter().map(|(word, action)| (*word, action.value(Some(0))))
}

/// Names of comparisons of arguments.
pub fn operators() -> impl Iterator<Item = &'static str> {
    words(OPERATORS)
}

/// Names of architectures that a profile may list. Those that this machine cannot run have no effect.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    words(ARCHITECTURES)
}

/// Names of flags, each with its bit for seccomp(2): one flag is without effect and has none. Whether the running
/// kernel has a flag: seccomp(2) with the bit and no filter gives `EFAULT` if so, `EINVAL` if not.
pub fn flags() -> impl Iterator<Item = (&'static str, u32)> {
    FLAGS.iter().copied()
}

/// Names of system calls that this machine's ABIs have. A rule for any other name is passed over.
pub fn system_calls() -> impl Iterator<Item = &'static str> {
    names::all(abi::NATIVE.names)
}

fn words<T>(table: &'static Words<T>) -> impl Iterator<Item = &'static str> {
    table.iter().map(|(word, _)| *word)
}
