// SPDX-License-Identifier: Apache-2.0
//! Builds init, so that `cargo build` alone yields one executable that carries it.
//!
//! init is a program of its own (it must be small and link nothing), and cargo has no stable way to depend on a
//! program, so this asks cargo for it with a target directory of its own.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let crates = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR")).join("..");
    for part in ["insula-init", "insula-steps", "insula-sys", "insula-start"] {
        println!("cargo:rerun-if-changed={}", crates.join(part).display());
    }
    println!("cargo:rerun-if-changed=build.rs");
    let target = out.join("init");
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"));
    cargo
        .args(["build", "--profile", "init", "--package", "insula-init", "--locked", "--manifest-path"])
        .arg(crates.join("insula-init/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .args(["--target", &env::var("TARGET").expect("cargo sets TARGET")])
        // What the outer build was told about the host's code is not about init; lints of init are checked on their own.
        // Nothing unwinds in init, and the tables for it would be a tenth of the image.
        .env("CARGO_ENCODED_RUSTFLAGS", "-Cforce-unwind-tables=no")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_BUILD_TARGET");
    if env::var_os("CARGO_FEATURE_WEAK").is_some() {
        cargo.args(["--features", "weak"]);
    }
    let status = cargo.status().expect("cargo can be run");
    assert!(status.success(), "building insula-init failed");
    let program = target.join(env::var("TARGET").expect("cargo sets TARGET")).join("init/insula-init");
    println!("cargo:rustc-env=INSULA_INIT={}", program.display());
}
