// SPDX-License-Identifier: Apache-2.0
//! The other architecture: insula is built for aarch64 by the linker that comes with Rust, and run as far as an emulator of
//! user programs goes, which makes no containers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::Outcome;
use crate::shell::{cargo, output, program, root, run as execute, target};

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// The emulator, of Debian's package `qemu-user-static`.
const EMULATOR: &str = "qemu-aarch64-static";

/// `cargo xtask cross`
pub(crate) fn run(_args: &[String]) -> Outcome {
    check()?;
    Ok(ExitCode::SUCCESS)
}

/// Builds, and runs what can be run. Says aloud what cannot be done here, which is no failure.
pub(crate) fn check() -> Result<(), String> {
    if let Err(reason) = library() {
        eprintln!("aarch64: SKIPPED, not even type-checked: {reason}");
        return Ok(());
    }
    let mut build = cargo(["build", "--package", "insula", "--target", TARGET]);
    let linker = root().join("xtask/src/aarch64-ld.sh");
    execute(build.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", linker))?;
    let insula = target().join(TARGET).join("debug/insula");
    if output(program(EMULATOR).arg("--version")).is_err() {
        eprintln!("aarch64: built, not run: {EMULATOR} is not installed");
        return Ok(());
    }
    answers(&insula)?;
    println!("aarch64: built, and it answers under emulation; containers there are untested");
    Ok(())
}

/// Makes sure that Rust's `core` and `alloc` are there for the target.
fn library() -> Result<(), String> {
    let sysroot = PathBuf::from(output(program("rustc").args(["--print", "sysroot"]))?.trim());
    if sysroot.join("lib/rustlib").join(TARGET).exists() {
        return Ok(());
    }
    output(program("rustup").args(["target", "add", TARGET])).map(drop)
}

/// Commands that read and compile documents, and what their answers contain.
const ANSWERS: [(&[&str], &str); 5] = [
    (&["--version"], env!("CARGO_PKG_VERSION")),
    (&["help", "run"], "insula run"),
    (&["features"], "SCMP_ARCH_AARCH64"),
    (&["spec"], ""),
    (&["plan", "--bundle", "."], "/linux/namespaces/0"),
];

fn answers(insula: &Path) -> Result<(), String> {
    let place = target().join("aarch64-answers");
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir_all(place.join("rootfs")).map_err(|error| format!("{}: {error}", place.display()))?;
    for (words, expected) in ANSWERS {
        let said = output(program(EMULATOR).arg(insula).args(words).current_dir(&place))?;
        if !said.contains(expected) {
            return Err(format!("insula {} for aarch64 said: {said}", words.join(" ")));
        }
    }
    Ok(())
}
