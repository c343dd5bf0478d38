// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask fuzz`: libFuzzer on the targets of tests/fuzz-targets. What CI runs instead is their replay.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use crate::Outcome;
use crate::shell::{output, program, root, run as execute, target};

const SECONDS: u64 = 60;

/// `cargo xtask fuzz [TARGET...] [--seconds N]`: those targets, or all, each for so long.
pub(crate) fn run(args: &[String]) -> Outcome {
    let mut wanted = Vec::new();
    let mut seconds = SECONDS;
    let mut words = args.iter();
    while let Some(word) = words.next() {
        if word == "--seconds" {
            let number = words.next().ok_or("--seconds needs a number")?;
            seconds = number.parse().map_err(|_| format!("--seconds {number:?}: not a number"))?;
        } else {
            wanted.push(word.clone());
        }
    }
    let known = targets(&root().join("fuzz/fuzz_targets"))?;
    if let Some(odd) = wanted.iter().find(|name| !known.contains(name)) {
        return Err(format!("no target {odd:?}; there are {}", known.join(", ")));
    }
    if output(program("cargo").args(["+nightly", "fuzz", "--version"])).is_err() {
        return Err("needs `rustup toolchain install nightly` and `cargo install cargo-fuzz`".into());
    }
    for name in if wanted.is_empty() { known } else { wanted } {
        // What is found on the way stays outside the repository.
        let found = target().join("fuzz-corpus").join(&name);
        fs::create_dir_all(&found).map_err(|error| format!("{}: {error}", found.display()))?;
        let mut fuzz = program("cargo");
        fuzz.args(["+nightly", "fuzz", "run", "--sanitizer", "none", &name]);
        fuzz.arg(&found).arg(root().join("fuzz/corpus").join(&name));
        // The runtime never frees, so each process is given up after a while.
        fuzz.args(["--", "-fork=1", "-ignore_ooms=1", "-rss_limit_mb=1500", "-max_len=8192", "-timeout=20"]);
        execute(fuzz.arg(format!("-max_total_time={seconds}")))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn targets(dir: &Path) -> Result<Vec<String>, String> {
    let fail = |error: std::io::Error| format!("{}: {error}", dir.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_has_a_corpus() {
        let names = targets(&root().join("fuzz/fuzz_targets")).unwrap();
        assert!(names.len() >= 5, "{names:?}");
        for name in names {
            assert!(fs::read_dir(root().join("fuzz/corpus").join(&name)).unwrap().next().is_some(), "{name}");
        }
    }
}
