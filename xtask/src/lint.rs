// SPDX-License-Identifier: Apache-2.0
//! Formatting, clippy, the house rules that no tool knows, licences and advisories.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::Outcome;
use crate::shell::{cargo, output, root, run as execute};
use crate::test::PROGRAMS;

const SPDX: &str = "// SPDX-License-Identifier: Apache-2.0";

/// The crates that may say `unsafe`: system calls, and the start of a program without C library.
const UNSAFE: [&str; 4] = ["insula-sys", "insula-start", "insula-init", "insula"];

/// `cargo xtask lint`
pub(crate) fn run(_args: &[String]) -> Outcome {
    execute(&mut cargo(["fmt", "--all", "--", "--check"]))?;
    house_rules()?;
    let mut clippy = cargo(["clippy", "--workspace", "--all-targets"]);
    clippy.args(PROGRAMS.iter().flat_map(|name| ["--exclude", name]));
    execute(clippy.args(["--", "--deny", "warnings"]))?;
    // Without --all-targets: there is no test harness without the standard library.
    let mut clippy = cargo(["clippy"]);
    clippy.args(PROGRAMS.iter().flat_map(|name| ["--package", name]));
    execute(clippy.args(["--", "--deny", "warnings"]))?;
    if output(&mut cargo(["deny", "--version"])).is_ok() {
        execute(&mut cargo(["deny", "check"]))?;
    } else {
        eprintln!("licences and advisories not checked: cargo-deny is not installed");
    }
    Ok(ExitCode::SUCCESS)
}

fn house_rules() -> Result<(), String> {
    let mut broken = Vec::new();
    for file in sources()? {
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.strip_prefix(root()).unwrap_or(&file).display().to_string();
        broken.extend(faults(&name, &text).into_iter().map(|fault| format!("{name}: {fault}")));
    }
    if broken.is_empty() { Ok(()) } else { Err(format!("house rules:\n{}", broken.join("\n"))) }
}

/// What is wrong with a source file. `name` is its path in the repository.
fn faults(name: &str, text: &str) -> Vec<&'static str> {
    let mut faults = Vec::new();
    if !text.starts_with(SPDX) {
        faults.push("the first line must be the SPDX identifier");
    }
    if let Some(rest) = name.strip_prefix("crates/")
        && let Some((package, "src/lib.rs")) = rest.split_once('/')
        && !UNSAFE.contains(&package)
        && !text.contains("#![forbid(unsafe_code)]")
    {
        faults.push("the crate must forbid unsafe code");
    }
    faults
}

/// All Rust files of the repository.
fn sources() -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for dir in ["crates", "xtask", "tests"] {
        collect(&root().join(dir), &mut files).map_err(|error| format!("{dir}: {error}"))?;
    }
    Ok(files)
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_find_what_they_are_for() {
        let good = format!("{SPDX}\n#![forbid(unsafe_code)]\n");
        assert!(faults("crates/insula-plan/src/lib.rs", &good).is_empty());
        assert_eq!(faults("crates/insula-plan/src/lib.rs", SPDX).len(), 1);
        assert!(faults("crates/insula-sys/src/lib.rs", SPDX).is_empty());
        assert!(faults("crates/insula-plan/src/step.rs", SPDX).is_empty());
        assert_eq!(faults("xtask/src/main.rs", "fn main() {}").len(), 1);
    }

    #[test]
    fn this_file_is_among_the_sources() {
        assert!(sources().unwrap().iter().any(|file| file.ends_with("xtask/src/lint.rs")));
    }
}
