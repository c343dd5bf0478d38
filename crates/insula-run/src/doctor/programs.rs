// SPDX-License-Identifier: Apache-2.0
//! Programs that some commands call.

use super::ordinary::runs;
use super::{Caller, Check, Seen};
use crate::spawn::Program;
use alloc::format;
use alloc::string::String;

pub(super) static CHECKS: [Check; 1] = [Check {
    name: "CRIU",
    needed: false,
    look: criu,
    stops: "checkpoint and restore",
    remedy: "install the package criu; a kernel needs a release of CRIU that is not older than itself",
}];

/// CRIU looks at the kernel by itself.
fn criu(caller: &Caller<'_>) -> Seen {
    let mut places = caller.path.split(':').filter(|dir| dir.starts_with('/')).map(|dir| format!("{dir}/criu"));
    let path = places.find(|path| runs(path)).ok_or_else(|| String::from("not on PATH"))?;
    let words = |words: &[&str]| words.iter().map(|word| String::from(*word)).collect::<alloc::vec::Vec<_>>();
    let args = words(if rustix::process::geteuid().is_root() {
        &["criu", "check"]
    } else {
        &["criu", "check", "--unprivileged"]
    });
    let check =
        Program { path: &path, args: &args, env: &[], input: &[], timeout: Some(10), note: None, signals: None };
    let ended = check.run(None).map_err(|e| format!("{e}"))?;
    let said = ended.output.lines().find(|line| !line.trim().is_empty()).unwrap_or("").trim();
    if ended.success() { Ok(format!("{path} check: {said}")) } else { Err(format!("{path} check: {said}")) }
}
