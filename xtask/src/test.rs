// SPDX-License-Identifier: Apache-2.0
//! Sets up, builds insula as users get it, and runs the tests against it.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::Outcome;
use crate::setup;
use crate::shell::{cargo, host, is_root, root, run as execute, succeeds, target};

/// The programs without a test harness: they have no standard library.
pub(crate) const PROGRAMS: [&str; 3] = ["insula", "insula-init", "insula-start"];

/// The group of all tests that need neither root nor a built insula.
const UNIT: &str = "unit";

/// `cargo xtask test [NAME...] [-- FILTER...]`: everything, or the unit tests (`unit`) and the named files of
/// tests/tests. What follows `--` goes to the test programs. `--weak` alone: shows that the tests of attacks bite.
pub(crate) fn run(args: &[String]) -> Outcome {
    if args.first().is_some_and(|arg| arg == "--weak") {
        return crate::weak::run();
    }
    let split = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let (groups, filter) = (&args[..split], args.get(split + 1..).unwrap_or_default());
    let known = groups_of(&root().join("tests/tests"))?;
    if let Some(odd) = groups.iter().find(|group| !known.contains(group)) {
        return Err(format!("no tests called {odd:?}; there are {}", known.join(", ")));
    }
    setup::ensure()?;
    execute(&mut cargo(["build", "--release", "--package", "insula"]))?;
    let insula = target().join("release/insula");
    let skips = target().join("skipped-tests.txt");
    // A report of the run before would count twice.
    std::fs::write(&skips, "").map_err(|error| format!("{}: {error}", skips.display()))?;
    let mut passed = true;
    for selection in selections(groups) {
        let mut test = cargo(["test", "--no-fail-fast"]);
        test.args(selection).env("INSULA", &insula).env("INSULA_SKIPS", &skips);
        privileged(&mut test, &insula, &skips)?;
        passed &= succeeds(test.arg("--").args(filter))?;
    }
    let report = std::fs::read_to_string(&skips).map_err(|error| format!("{}: {error}", skips.display()))?;
    let allowed = include_str!("../skips-allowed.txt");
    let unexpected = unexpected(&report, allowed);
    if !unexpected.is_empty() {
        return Err(format!("skipped, but not in xtask/skips-allowed.txt:\n{}", unexpected.join("\n")));
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `unit` and the names of the files in tests/tests.
fn groups_of(dir: &Path) -> Result<Vec<String>, String> {
    let fail = |error| format!("{}: {error}", dir.display());
    let mut names = vec![UNIT.to_string()];
    for entry in std::fs::read_dir(dir).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let is_test = path.extension().is_some_and(|extension| extension == "rs") || path.join("main.rs").exists();
        names.extend(path.file_stem().filter(|_| is_test).map(|stem| stem.to_string_lossy().into_owned()));
    }
    names[1..].sort();
    Ok(names)
}

/// The arguments of each `cargo test`: one for everything, else one for the unit tests and one for the rest.
fn selections(groups: &[String]) -> Vec<Vec<String>> {
    let text = |args: &[&str]| args.iter().map(ToString::to_string).collect::<Vec<_>>();
    let exclude = |names: &[&str]| {
        let mut args = text(&["--workspace"]);
        args.extend(names.iter().flat_map(|name| text(&["--exclude", name])));
        args
    };
    // The only test that needs a C library, so a feature keeps it out of a plain `cargo test`.
    let libseccomp = text(&["--package", "insula-seccomp", "--features", "differential", "--test", "differential"]);
    if groups.is_empty() {
        return vec![exclude(&PROGRAMS), libseccomp];
    }
    let mut selections = Vec::new();
    if groups.iter().any(|group| group == UNIT) {
        selections.push(exclude(&[&PROGRAMS[..], &["insula-tests"]].concat()));
    }
    let files: Vec<String> =
        groups.iter().filter(|group| *group != UNIT).flat_map(|group| text(&["--test", group])).collect();
    if !files.is_empty() {
        selections.push([text(&["--package", "insula-tests"]), files].concat());
    }
    selections
}

/// Makes cargo start the test programs as root: they make containers.
fn privileged(test: &mut Command, insula: &Path, skips: &Path) -> Result<(), String> {
    if is_root()? {
        return Ok(());
    }
    let host = host()?;
    let path = std::env::var("PATH").unwrap_or_default();
    let words = [
        "sudo".into(),
        "env".into(),
        format!("PATH={path}"),
        format!("INSULA={}", insula.display()),
        format!("INSULA_SKIPS={}", skips.display()),
    ];
    test.arg("--config").arg(format!("target.{host}.runner={words:?}"));
    Ok(())
}

/// The lines of the report whose test may not be skipped. A line is `skipped: reason (test, …)`.
pub(crate) fn unexpected<'a>(report: &'a str, allowed: &str) -> Vec<&'a str> {
    let test = |line: &'a str| line.rsplit_once(" (").and_then(|(_, end)| end.split(',').next()).unwrap_or(line);
    let names: Vec<&str> = allowed.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).collect();
    report.lines().filter(|line| !names.contains(&test(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_one_run_without_the_programs() {
        let all = selections(&[]);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].join(" "), "--workspace --exclude insula --exclude insula-init --exclude insula-start");
    }

    #[test]
    fn groups_are_selected() {
        let picked = selections(&["unit".into(), "lifecycle".into(), "namespaces".into()]);
        assert!(picked[0].join(" ").ends_with("--exclude insula-tests"));
        assert_eq!(picked[1].join(" "), "--package insula-tests --test lifecycle --test namespaces");
        assert_eq!(selections(&["lifecycle".into()]).len(), 1);
    }

    #[test]
    fn the_programs_are_members() {
        for name in PROGRAMS {
            assert!(root().join("crates").join(name).join("Cargo.toml").exists(), "{name}");
        }
    }

    #[test]
    fn every_file_of_tests_is_a_group() {
        let groups = groups_of(&root().join("tests/tests")).unwrap();
        assert_eq!(groups[0], UNIT);
        assert!(groups.len() > 1, "{groups:?}");
    }

    #[test]
    fn skips_must_be_allowed() {
        let report = "skipped: no cgroup v2 (a (nested) reason) (limits::memory, number 1 in this binary)\n\
                      skipped: no podman (pods, number 2 in this binary)\n";
        assert_eq!(unexpected(report, "# none\npods # why\nlimits::memory\n"), [""; 0]);
        assert_eq!(unexpected(report, "pods\n").len(), 1);
        assert_eq!(unexpected("", "").len(), 0);
    }
}
