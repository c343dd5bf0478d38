// SPDX-License-Identifier: Apache-2.0
//! How long the seccomp section of a document takes a fresh process, as each command is one: prints the nanoseconds of
//! compiling it and of installing the filter, and its instructions. `cargo xtask bench` runs it.

use insula_sys::credentials::install_filter;
use insula_sys::process::{PrctlOp, prctl};
use std::time::Instant;

fn main() {
    let path = std::env::args().nth(1).expect("the path of a config.json");
    let text = std::fs::read(path).expect("read the document");
    let spec = insula_spec::load(&text).expect("a valid document");
    let seccomp = spec.linux.seccomp.as_ref().expect("a seccomp section");
    prctl(PrctlOp::SetNoNewPrivs, 1, 0).expect("PR_SET_NO_NEW_PRIVS");
    let begun = Instant::now();
    let filter = insula_seccomp::compile(seccomp).expect("compile").expect("a filter");
    let bytes = filter.bytes();
    let compiled = Instant::now();
    let installed = install_filter(&bytes, filter.flags).map(|_| Instant::now());
    let installed = installed.expect("install");
    println!("{} {} {}", (compiled - begun).as_nanos(), (installed - compiled).as_nanos(), bytes.len() / 8);
}
