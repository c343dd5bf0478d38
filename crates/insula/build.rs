// SPDX-License-Identifier: Apache-2.0
//! Links insula without a C library and without start files: one static executable on every host.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    for arg in ["-nostartfiles", "-nostdlib", "-static", "-no-pie"] {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
    for arg in [
        "--build-id=none",
        "-z,norelro",
        "-z,noseparate-code",
        "-z,max-page-size=4096",
        "--gc-sections",
        "--no-eh-frame-hdr",
    ] {
        println!("cargo:rustc-link-arg-bins=-Wl,{arg}");
    }
    let script = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("link.ld");
    fs::write(&script, script_with(&fs::read_to_string("hot-functions.txt").expect("read the hot functions")))
        .expect("write the linker script");
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
    for file in ["link.ld", "hot-functions.txt", "build.rs"] {
        println!("cargo:rerun-if-changed={file}");
    }
}

/// The linker script with the functions of the list in their place. One that is not there, or is called otherwise by now,
/// lies among the others: slower by a page fault, no worse.
fn script_with(hot: &str) -> String {
    let names = hot.lines().filter(|line| !line.starts_with('#'));
    let sections: String = names.map(|name| format!("        *(.text.{name} .text.unlikely.{name})\n")).collect();
    include_str!("link.ld").replace("\nHOT\n", &format!("\n{sections}"))
}
