// SPDX-License-Identifier: Apache-2.0
//! The developers' door: `cargo xtask TASK`.

use std::process::ExitCode;

mod bench;
mod book;
mod cross;
mod demo;
mod dist;
mod docs;
mod fuzz;
mod hot;
mod lint;
mod man;
mod setup;
mod shell;
mod soak;
mod test;
mod timeline;
mod vm;
mod weak;

/// A task: its name, what follows it, what it does, and the function.
type Task = (&'static str, &'static str, &'static str, fn(&[String]) -> Outcome);

/// What a task ends with: an exit code, or why it could not go on.
type Outcome = Result<ExitCode, String>;

const TASKS: &[Task] = &[
    ("demo", "", "show what insula does, on this machine", demo::run),
    ("setup", "", "install what tests and benchmarks need (packages.apt)", setup::run),
    ("vm-test", "[LANE] [NAME...] [-- FILTER...]", "run tests inside a virtual machine", vm::test),
    ("vm-run", "[LANE] SCRIPT [FILE...]", "run a script of yours inside it", vm::run),
    (
        "test",
        "[--weak | NAME...] [-- FILTER...]",
        "set up, build and run all tests, or those of the named groups",
        test::run,
    ),
    ("book", "", "write docs/ as a book to target/book, and follow its links (mdBook)", book::run),
    ("cross", "", "build for aarch64, run what an emulator can", cross::run),
    ("lint", "", "formatting, clippy, house rules, licences", lint::run),
    ("bench", "[--rounds N] [--write]", "measure insula beside its peers", bench::run),
    ("hot", "", "write which functions the commands of a container's life execute", hot::run),
    ("fuzz", "[TARGET...] [--seconds N] [--at-once N]", "feed random input to what parses", fuzz::run),
    ("timeline", "", "draw the system calls of one `run` (docs/pictures/timeline.svg)", timeline::run),
    ("soak", "[--faults] [--races] [--kills] [--load]", "all faults, races, kills and load; takes hours", soak::run),
    ("completions", "", "write shell completions to target/dist", docs::completions),
    ("man", "", "write man pages to target/dist", docs::man_pages),
    ("dist", "[--check]", "write tarball, Debian package, bill of materials and checksums to target/dist", dist::run),
    ("reference", "", "write docs/reference.md", docs::reference),
    ("dist-docs", "", "both of them", docs::all),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let task = args.first().and_then(|name| TASKS.iter().find(|task| task.0 == name));
    let Some((name, _, _, function)) = task else {
        return usage(args.first().map(String::as_str));
    };
    match function(&args[1..]) {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("cargo xtask {name}: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Lists the tasks; an error if something else was asked for.
fn usage(asked: Option<&str>) -> ExitCode {
    let help = matches!(asked, None | Some("help" | "-h" | "--help"));
    let mut text = String::from("usage: cargo xtask TASK\n\n");
    for (name, arguments, summary, _) in TASKS {
        let call = [*name, *arguments].join(" ");
        text.extend([&format!("  {call:<32} "), *summary, "\n"]);
    }
    if help {
        print!("{text}");
        return ExitCode::SUCCESS;
    }
    eprint!("cargo xtask: no task {:?}\n{text}", asked.unwrap_or_default());
    ExitCode::from(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_names_are_unique() {
        for (index, task) in TASKS.iter().enumerate() {
            assert!(TASKS[index + 1..].iter().all(|other| other.0 != task.0), "{} twice", task.0);
        }
    }
}
