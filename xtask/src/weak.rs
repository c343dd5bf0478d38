// SPDX-License-Identifier: Apache-2.0
//! Shows that the tests of attacks bite: in a build that can leave protections out, each attack succeeds once its
//! protection is gone. Which test is to fail without which protection stands in docs/security-tests.md and
//! docs/reliability.md.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Outcome;
use crate::setup;
use crate::shell::{cargo, is_root, output, program, root, run as execute, target};

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

/// Where the weakness `plain-init` keeps init's program; one of another build would be taken for it.
const PLAIN_INIT: &str = "/run/insula-weak-init";

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
    let lab = Weakened { insula: directory.join("debug/insula"), programs: programs(&files(&bites))? };
    let _ = std::fs::remove_file(PLAIN_INIT);
    // With all protections in, the same build passes.
    let mut wrong = side_by_side(&files(&bites), |file| {
        let tests: Vec<_> = bites.iter().filter(|bite| bite.file == *file).map(|bite| bite.test).collect();
        let said = lab.test(file, &tests, None)?;
        let passes = said.contains("test result: ok.") && !said.contains("skipped:");
        Ok((!passes).then(|| format!("{file} fails with all protections in:\n{said}")))
    })?;
    wrong.extend(side_by_side(&bites, |bite| {
        let said = lab.test(bite.file, &[bite.test], Some(bite.weakness))?;
        let fails = said.contains("test result: FAILED. 0 passed; 1 failed");
        let Bite { weakness, file, test } = bite;
        eprintln!("without {weakness:<18} {file}::{test} {}", if fails { "fails" } else { "PASSES" });
        Ok((!fails).then(|| format!("{weakness} is not noticed by {file}::{test}")))
    })?);
    let _ = std::fs::remove_file(PLAIN_INIT);
    println!("{} weaknesses and tests, {} not as they should be", bites.len(), wrong.len());
    if wrong.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(wrong.join("\n")) }
}

/// Looks at all `things` on as many threads as there are processors; what is wrong with them.
fn side_by_side<T: Sync>(
    things: &[T],
    look: impl Fn(&T) -> Result<Option<String>, String> + Sync,
) -> Result<Vec<String>, String> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut wrong = Vec::new();
        while let Some(thing) = things.get(next.fetch_add(1, Ordering::Relaxed)) {
            wrong.extend(look(thing)?);
        }
        Ok(wrong)
    };
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let found: Vec<Result<Vec<String>, String>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("no worker panics")).collect()
    });
    Ok(found.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
}

/// The build that can leave protections out, and the test programs.
struct Weakened {
    insula: PathBuf,
    programs: BTreeMap<String, PathBuf>,
}

impl Weakened {
    /// What the named tests of one file say.
    fn test(&self, file: &str, tests: &[&str], weakness: Option<&str>) -> Result<String, String> {
        // Mounts that a weakness lets out end with this mount namespace.
        let mut command = program("unshare");
        command.args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            "mount --make-rshared / && exec \"$@\"",
            "sh",
        ]);
        command.arg(&self.programs[file]).arg("--exact").args(tests).current_dir(root().join("tests"));
        command.env("INSULA", &self.insula).env("INSULA_PATIENCE", PATIENCE).env_remove("INSULA_WEAK");
        command.env_remove("INSULA_SKIPS").envs(weakness.map(|name| ("INSULA_WEAK", name)));
        let output = command.output().map_err(|error| format!("unshare: {error}"))?;
        Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }
}

/// Builds the files of tests, and says where their programs lie.
fn programs(files: &[&str]) -> Result<BTreeMap<String, PathBuf>, String> {
    let mut build = cargo(["test", "--package", "insula-tests", "--no-run", "--message-format", "json"]);
    build.args(files.iter().flat_map(|file| ["--test", file]));
    let messages = output(&mut build)?;
    let mut programs = BTreeMap::new();
    for message in messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        if let (Some(name), Some(path)) = (message["target"]["name"].as_str(), message["executable"].as_str())
            && files.contains(&name)
        {
            programs.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    match files.iter().find(|file| !programs.contains_key(**file)) {
        None => Ok(programs),
        Some(missing) => Err(format!("cargo has built no program of {missing}")),
    }
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

/// The last cells of the table: pairs of a weakness and a test, or words.
fn bites(table: &str) -> Vec<Bite<'_>> {
    let mut bites = Vec::new();
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let cell = line.trim_matches('|').rsplit(" | ").next().unwrap_or_default();
        let words: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        for pair in words.chunks_exact(2) {
            if let Some((file, test)) = pair[1].split_once("::") {
                let bite = Bite { weakness: pair[0], file, test };
                if !bites.contains(&bite) {
                    bites.push(bite);
                }
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
                     | A1 | x | `f::a` `f::b` | `weak` `f::b`, `bad` `g::c` |\n| A2 | y | `g::c` | nothing to leave out |\n";
        assert_eq!(
            bites(table),
            [Bite { weakness: "weak", file: "f", test: "b" }, Bite { weakness: "bad", file: "g", test: "c" }]
        );
        let whole = include_str!("../../docs/security-tests.md");
        assert!(bites(whole).len() > 40);
    }
}
