// SPDX-License-Identifier: Apache-2.0
//! What is fuzzed. Each target is a function of bytes; it panics when something that must hold does not.
//!
//! `cargo xtask fuzz` drives them with libFuzzer (fuzz/), `tests/replay.rs` with the committed corpus and a few seconds
//! of mutations on stable Rust. Start reading at [`TARGETS`].
// Only a C library needs any.
#![cfg_attr(not(feature = "libseccomp"), forbid(unsafe_code))]
// A target fails by panicking.
#![allow(clippy::missing_panics_doc)]

mod annotations;
mod answers;
mod command_line;
mod config;
mod entropy;
mod record;
mod steps;

#[cfg(target_arch = "x86_64")]
mod seccomp;

#[cfg(target_arch = "x86_64")]
#[path = "../../../crates/insula-seccomp/tests/interpreter/mod.rs"]
mod interpreter;
#[cfg(target_arch = "x86_64")]
#[path = "../../../crates/insula-seccomp/tests/meaning/mod.rs"]
#[allow(dead_code)] // the comparison with libseccomp asks more
mod meaning;

#[cfg(all(target_arch = "x86_64", feature = "libseccomp"))]
mod libseccomp;
#[cfg(all(target_arch = "x86_64", feature = "libseccomp"))]
#[path = "../../../crates/insula-seccomp/tests/libseccomp/mod.rs"]
#[allow(dead_code)] // the comparison of tables asks more
mod reference;

/// A target's name, and the target.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("config", config::fuzz),
    ("record", record::fuzz),
    ("steps", steps::fuzz),
    ("command_line", command_line::fuzz),
    ("annotations", annotations::fuzz),
    ("answers", answers::fuzz),
    #[cfg(target_arch = "x86_64")]
    ("seccomp", seccomp::fuzz),
    #[cfg(all(target_arch = "x86_64", feature = "libseccomp"))]
    ("libseccomp", libseccomp::fuzz),
];

/// The target with this name.
pub fn target(name: &str) -> fn(&[u8]) {
    TARGETS.iter().find(|target| target.0 == name).unwrap_or_else(|| panic!("no target {name}")).1
}

/// What holds of every error: it prints as one line, and its place in the document is a JSON pointer.
fn check(error: &insula_error::Error) {
    let text = insula_cli::log::printable(&error.to_string());
    assert!(!text.is_empty() && !text.contains('\n'), "no single line: {text:?}");
    let pointer = error.pointer().unwrap_or_default();
    assert!(pointer.is_empty() || pointer.starts_with('/'), "no JSON pointer: {pointer:?}");
}
