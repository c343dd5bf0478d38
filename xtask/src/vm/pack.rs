// SPDX-License-Identifier: Apache-2.0
//! What goes into the machine: the runtime, the test programs, and the script that runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::archive;
use super::lane::program_name;
use crate::shell::{cargo, output, program, root, target};

/// The test program that installs the Debian package.
const PACKAGED: &str = "engines_machine";

/// What the same program makes a book of.
const BOOK: [&str; 4] = ["book.toml", "docs", "dist", "SECURITY.md"];

/// The packages that have the test programs.
const PACKAGES: [&str; 3] = ["insula-tests", "insula-cgroup", "insula-ns"];

/// Builds the test programs with these names; where they are, in that order.
pub(super) fn test_programs(names: &[&str]) -> Result<Vec<PathBuf>, String> {
    let mut build = cargo(["test", "--no-run", "--message-format=json-render-diagnostics"]);
    build.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    build.args(names.iter().flat_map(|name| ["--test", name]));
    let built = executables(&output(build.stderr(Stdio::inherit()))?);
    let of = |name: &&str| built.iter().find(|path| program_name(path) == **name).cloned();
    names.iter().map(|name| of(name).ok_or_else(|| format!("cargo built no test program called {name:?}"))).collect()
}

/// The test programs that cargo's messages name, one JSON object a line.
fn executables(messages: &str) -> Vec<PathBuf> {
    let of = |line: &str| {
        let (_, rest) = line.split_once("\"executable\":\"")?;
        (line.contains("\"test\":true")).then(|| PathBuf::from(rest.split('"').next().unwrap_or_default()))
    };
    messages.lines().filter_map(of).collect()
}

/// Puts the suite into `dir`, and that into an archive beside it.
pub(super) fn suite(dir: &Path, programs: &[PathBuf], filter: &[String], limit: u32) -> Result<PathBuf, String> {
    let tests = dir.join("tests");
    fs::create_dir_all(&tests).map_err(|error| format!("{}: {error}", tests.display()))?;
    let mut names = String::new();
    for path in programs {
        let name = program_name(path);
        // Symbols are nine tenths of it.
        output(program("strip").arg("-o").arg(tests.join(&name)).arg(path))?;
        names.extend([&name, "\n"]);
    }
    let lines = |words: &[String]| words.iter().map(|word| format!("{word}\n")).collect::<String>();
    write(dir, "programs", &names)?;
    write(dir, "filter", &lines(filter))?;
    write(dir, "suite.sh", include_str!("suite.sh"))?;
    if names.lines().any(|name| name == PACKAGED) {
        copy(&crate::dist::package_with(&target().join("release/insula"))?, &dir.join("insula.deb"))?;
        let sources = dir.join("sources");
        fs::create_dir_all(&sources).map_err(|error| format!("{}: {error}", sources.display()))?;
        output(program("cp").arg("--recursive").args(BOOK.map(|name| root().join(name))).arg(&sources))?;
    }
    write(dir, "run", &format!("LIMIT={limit} exec bash ./suite.sh\n"))?;
    finish(dir)
}

/// Puts a script, files of the user's and the runtime into `dir`, and that into an archive beside it.
pub(super) fn script(dir: &Path, script: &Path, files: &[String]) -> Result<PathBuf, String> {
    copy(script, &dir.join("script"))?;
    for file in files {
        output(program("cp").args(["--recursive", "--dereference", "--preserve=mode"]).arg(file).arg(dir))?;
    }
    write(dir, "run", "chmod 755 script; exec ./script\n")?;
    finish(dir)
}

fn finish(dir: &Path) -> Result<PathBuf, String> {
    write(dir, "boot.sh", include_str!("boot.sh"))?;
    copy(&target().join("release/insula"), &dir.join("insula"))?;
    let file = dir.with_extension("tar");
    archive(dir, &file)?;
    Ok(file)
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map_err(|error| format!("copy {} to {}: {error}", from.display(), to.display()))?;
    Ok(())
}

fn write(dir: &Path, name: &str, text: &str) -> Result<(), String> {
    let path = dir.join(name);
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_messages_name_the_test_programs() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","profile":{"test":false},"executable":"/t/debug/xtask"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","profile":{"test":true},"executable":"/t/deps/pause-0a"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","profile":{"test":true},"executable":null}"#,
        );
        assert_eq!(executables(messages), [PathBuf::from("/t/deps/pause-0a")]);
    }
}
