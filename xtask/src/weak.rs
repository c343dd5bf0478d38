// SPDX-License-Identifier: Apache-2.0
//! Shows that the tests of attacks bite: in a build that can leave protections out, each attack succeeds once its
//! protection is gone. Which test is to fail without which protection stands in docs/security-tests.md and
//! docs/reliability.md.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::Outcome;
use crate::setup;
use crate::shell::{cargo, is_root, root, run as execute, target};

/// A protection, and the test that must fail without it.
#[derive(Debug, PartialEq, Eq)]
struct Bite<'a> {
    weakness: &'a str,
    file: &'a str,
    test: &'a str,
}

/// The pages whose tables say so.
const PAGES: [&str; 2] = ["security-tests.md", "reliability.md"];

/// Seconds that a command may take: a weakness may be that it hangs.
const PATIENCE: &str = "12";

/// `cargo xtask test --weak`
pub(crate) fn run() -> Outcome {
    if !is_root()? {
        return Err("these tests start containers: run them as root".into());
    }
    setup::ensure()?;
    let mut tables = String::new();
    for page in PAGES {
        let path = root().join("docs").join(page);
        tables += &std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let bites = bites(&tables);
    // Beside the build that users get, so that neither is ever taken for the other.
    let directory = target().join("weak");
    let mut build = cargo(["build", "--package", "insula", "--features", "weak", "--target-dir"]);
    execute(build.arg(&directory))?;
    let insula = directory.join("debug/insula");
    execute(&mut cargo(["test", "--package", "insula-tests", "--tests", "--no-run"]))?;
    let mut wrong = Vec::new();
    // With all protections in, the same build passes.
    for file in files(&bites) {
        let tests = bites.iter().filter(|bite| bite.file == file).map(|bite| bite.test);
        if !one(&insula, file, tests).status().map_err(|error| format!("cargo: {error}"))?.success() {
            wrong.push(format!("{file} fails with all protections in"));
        }
    }
    for bite in &bites {
        let mut test = one(&insula, bite.file, [bite.test]);
        let output = test.env("INSULA_WEAK", bite.weakness).output().map_err(|error| format!("cargo: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let noticed = said.contains("test result: FAILED. 0 passed; 1 failed");
        eprintln!(
            "without {:<18} {}::{} {}",
            bite.weakness,
            bite.file,
            bite.test,
            if noticed { "fails" } else { "PASSES" }
        );
        if !noticed {
            wrong.push(format!("{} is not noticed by {}::{}", bite.weakness, bite.file, bite.test));
        }
    }
    if wrong.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(wrong.join("\n")) }
}

/// `cargo test` of the named tests of one file, against the weak build.
fn one<'a>(insula: &Path, file: &str, tests: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = cargo(["test", "--quiet", "--package", "insula-tests", "--test", file, "--", "--exact"]);
    command.args(tests).env("INSULA", insula).env("INSULA_PATIENCE", PATIENCE).env_remove("INSULA_WEAK");
    command
}

/// Each file once, in the table's order.
fn files<'a>(bites: &[Bite<'a>]) -> Vec<&'a str> {
    let mut files: Vec<&str> = Vec::new();
    for bite in bites {
        if !files.contains(&bite.file) {
            files.push(bite.file);
        }
    }
    files
}

/// The last cells of the table that name a weakness and a test.
fn bites(table: &str) -> Vec<Bite<'_>> {
    let mut bites = Vec::new();
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let cell = line.trim_matches('|').rsplit(" | ").next().unwrap_or_default();
        let words: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        if let [weakness, test] = words[..]
            && let Some((file, test)) = test.split_once("::")
        {
            let bite = Bite { weakness, file, test };
            if !bites.contains(&bite) {
                bites.push(bite);
            }
        }
    }
    bites
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weaknesses_and_their_tests_are_read_from_the_table() {
        let table = "| case | what | tests | shown to bite |\n|---|---|---|---|\n\
                     | A1 | x | `f::a` `f::b` | `weak` `f::b` |\n| A2 | y | `g::c` | nothing to leave out |\n";
        assert_eq!(bites(table), [Bite { weakness: "weak", file: "f", test: "b" }]);
        let whole = include_str!("../../docs/security-tests.md");
        assert!(bites(whole).len() > 15);
    }
}
