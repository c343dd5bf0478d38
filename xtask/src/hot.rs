// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask hot`: writes `crates/insula/hot-functions.txt`, the functions that the commands of a container's life
//! execute. The linker puts them together (crates/insula/link.ld).
//!
//! Every command runs with each instruction stopped at (benches/floor/steps.c), on both versions of cgroups.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::Outcome;
use crate::bench::contest::furnish;
use crate::bench::subject::{Payload, Place, Subject};
use crate::bench::{VIEWS, from_view, yardstick};
use crate::shell::{cargo, output, program, root, run as execute, target};

/// Where the program lies in memory (link.ld), and how finely steps.c looks.
const BASE: usize = 0x0020_0000;
const GRAIN: usize = 4;

/// `cargo xtask hot`
pub(crate) fn run(args: &[String]) -> Outcome {
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {}
        ["--inside", view] => return inside(view),
        _ => return Err("usage: cargo xtask hot".into()),
    }
    // With its symbols, which the one that ships has not.
    let mut build = cargo(["build", "--release", "--package", "insula"]);
    build.env("CARGO_TARGET_DIR", own_target()).env("CARGO_PROFILE_RELEASE_STRIP", "none");
    execute(&mut build)?;
    yardstick::build(&own_target().join("bench"))?;
    let mut addresses = BTreeSet::new();
    for (view, title, prepare) in VIEWS {
        eprintln!("stepping through: {title}");
        let text = from_view(prepare, &["hot", "--inside", view])?;
        addresses.extend(text.lines().filter_map(|line| line.parse::<usize>().ok()));
    }
    let symbols = output(program("nm").args(["--numeric-sort", "--print-size", "--defined-only"]).arg(insula()))?;
    let names = names(&symbols, &addresses);
    let path = root().join("crates/insula/hot-functions.txt");
    let text = names.iter().fold(HEAD.to_owned(), |text, name| text + name + "\n");
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{}: {} functions", path.display(), names.len());
    Ok(ExitCode::SUCCESS)
}

const HEAD: &str =
    "# What the commands of a container's life execute, as patterns of symbols. `cargo xtask hot` writes them.\n";

fn own_target() -> PathBuf {
    target().join("hot")
}

fn insula() -> PathBuf {
    own_target().join("release/insula")
}

/// Steps through the commands in the view that the caller made, and prints the addresses of what they execute.
fn inside(view: &str) -> Outcome {
    let dir = PathBuf::from(format!("/dev/shm/insula-hot-{}", std::process::id()));
    let found = furnish(view, &dir, &own_target()).and_then(|place| step_through(&place));
    let removed = std::fs::remove_dir_all(&dir);
    for address in found? {
        println!("{address}");
    }
    removed.map_err(|error| format!("{}: {error}", dir.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn step_through(place: &Place) -> Result<BTreeSet<usize>, String> {
    let subjects = Subject::all(&own_target());
    let insula = subjects.iter().find(|subject| subject.name == "insula").ok_or("insula is not built")?;
    let id = |name: &str| format!("hot-{}-{name}", std::process::id());
    let (one, two) = (id("one"), id("two"));
    let lines = [
        insula.run(place, &id("run"), Payload::Once),
        insula.create(place, &one, Payload::Waits),
        insula.start(place, &one),
        insula.exec(place, &one),
        insula.list(place),
        insula.delete_force(place, &one),
        insula.create(place, &two, Payload::Once),
        insula.start(place, &two),
        insula.delete(place, &two),
    ];
    let mut addresses = BTreeSet::new();
    for words in lines {
        addresses.extend(steps(&place.dir.join("steps"), &words)?);
    }
    Ok(addresses)
}

/// The addresses that one command executes.
fn steps(file: &Path, words: &[String]) -> Result<Vec<usize>, String> {
    let stepper = own_target().join("bench/steps").display().to_string();
    let mut command = program(&stepper);
    // A started container's program keeps the streams that the command has.
    command.arg(file).args(words).stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    execute(&mut command)?;
    let bits = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let set = |at: &usize| bits[at / 8] >> (at % 8) & 1 != 0;
    Ok((0..bits.len() * 8).filter(set).map(|at| BASE + at * GRAIN).collect())
}

/// Patterns of the symbols, as nm(1) lists them, that lie at `addresses`.
fn names(symbols: &str, addresses: &BTreeSet<usize>) -> BTreeSet<String> {
    let number = |text: &str| usize::from_str_radix(text, 16).ok();
    symbols
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [start, size, kind, name] = words[..] else { return None };
            let (start, size) = (number(start)?, number(size)?);
            // The first bytes of a grain may be another function's.
            let found = addresses.range(start / GRAIN * GRAIN..start + size).next().is_some();
            (found && "tTwW".contains(kind)).then(|| pattern(name))
        })
        .collect()
}

/// A pattern for the linker: without what differs between two builds of the same function.
fn pattern(name: &str) -> String {
    let mut text = name.replace('$', "?");
    // Legacy names end with a hash.
    if let Some(at) = text.rfind("17h").filter(|_| text.ends_with('E')) {
        text.replace_range(at + 3..text.len() - 1, "*");
    }
    // Newer ones have one for each crate: Cs, letters and digits, an underscore.
    let mut rest = text.as_str();
    let mut short = String::new();
    while let Some((before, after)) = rest.split_once("Cs").filter(|_| name.starts_with("_R")) {
        short.extend([before, "Cs*"]);
        rest = after.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
    }
    short + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_outlive_a_build() {
        assert_eq!(pattern("_ZN4core3fmt17h0123456789abcdefE"), "_ZN4core3fmt17h*E");
        assert_eq!(pattern("_ZN4$LT$T$GT$3fmt17h0123456789abcdefE"), "_ZN4?LT?T?GT?3fmt17h*E");
        assert_eq!(pattern("_RNvNtCsgEmfK2I1SDS_4core3fmt"), "_RNvNtCs*_4core3fmt");
        assert_eq!(pattern("memcpy"), "memcpy");
    }

    #[test]
    fn what_was_executed_is_named() {
        let symbols =
            "0000000000200010 0000000000000008 T one\n0000000000200018 0000000000000008 t two\n0000000000200020 B x\n";
        assert_eq!(names(symbols, &BTreeSet::from([0x0020_001c])), BTreeSet::from(["two".to_owned()]));
    }
}
