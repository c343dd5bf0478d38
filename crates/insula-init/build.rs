// SPDX-License-Identifier: Apache-2.0
//! Links init without a C library and without start files: one static executable of a few pages.
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
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/link.ld");
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{script}");
    println!("cargo:rerun-if-changed=link.ld");
    println!("cargo:rerun-if-changed=build.rs");
}
