// SPDX-License-Identifier: Apache-2.0
//! Builds the program that attacks containers from inside, with the C compiler that Rust links with.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=hostile/hostile.c");
    println!("cargo:rerun-if-changed=build.rs");
    let program = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("hostile");
    let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    let status = compiler.args(["-static", "-O1", "-o"]).arg(&program).arg("hostile/hostile.c").status();
    assert!(status.expect("the C compiler that Rust links with").success(), "hostile.c is not compiled");
    println!("cargo:rustc-env=INSULA_HOSTILE={}", program.display());
}
