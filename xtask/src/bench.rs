// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask bench`: insula beside its peers and beside the floor, interleaved in random order, on cgroup v1 and v2.
//!
//! The floor (`benches/floor`) does what the default document demands with the cheapest safe system calls, and parses
//! nothing. Every figure is taken in a private mount namespace that shows one cgroup version only, because crun
//! refuses both at once. The tables go to standard output, and with `--write` between the markers in
//! `docs/performance.md`, where the last three comparisons with what is aimed at are kept.

pub(crate) mod contest;
mod document;
mod engine;
mod engine_document;
mod figures;
mod scale;
mod stopwatch;
pub(crate) mod subject;
pub(crate) mod yardstick;

use std::process::ExitCode;

use crate::Outcome;
use crate::setup;
use crate::shell::{as_root, cargo, output, program, root, run as execute, target};

/// The views of the host's cgroups, and the shell words that make each from whatever the host has.
pub(crate) const VIEWS: &[(&str, &str, &str)] = &[
    (
        "v2",
        "cgroup v2 alone, cgroup namespace",
        "test \"$(stat -fc %T /sys/fs/cgroup)\" = cgroup2fs || \
         { umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup; }",
    ),
    (
        "v1",
        "cgroup v1 hierarchies, the v2 mount of the hybrid layout hidden",
        "test -d /sys/fs/cgroup/memory && { ! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified; }",
    ),
];

/// Rounds of the quick mode: about a minute.
const ROUNDS: usize = 40;

/// `cargo xtask bench [--rounds N] [--write]`
pub(crate) fn run(args: &[String]) -> Outcome {
    let write = args.iter().any(|arg| arg == "--write");
    let rounds = match args.iter().map(String::as_str).filter(|arg| *arg != "--write").collect::<Vec<_>>()[..] {
        [] => ROUNDS,
        ["--rounds", rounds] => rounds.parse().map_err(|_| format!("--rounds {rounds:?}: not a number"))?,
        ["--inside", view, rounds] => return inside(view, rounds.parse().map_err(|_| "not for people")?),
        _ => return Err("usage: cargo xtask bench [--rounds N] [--write]".into()),
    };
    if rounds == 0 {
        return Err("--rounds 0: nothing to measure".into());
    }
    setup::ensure()?;
    execute(&mut cargo(["build", "--release", "--package", "insula"]))?;
    execute(&mut cargo(["build", "--release", "--package", "insula-seccomp", "--example", "first_filter"]))?;
    yardstick::build(&target().join("bench"))?;
    let machine = machine(&format!("bench --rounds {rounds}"))?;
    let (mut text, mut all) = (String::new(), Vec::new());
    for (view, title, prepare) in VIEWS {
        eprintln!("measuring: {title}");
        let tables = from_view(prepare, &["bench", "--inside", view, &rounds.to_string()])
            .unwrap_or_else(|reason| format!("Not measured: {reason}\n"));
        let (tables, figures) = figures::split(&tables);
        all.extend(figures);
        text.extend(["\n### ", *title, "\n\n", &tables]);
    }
    let summary = format!("{machine}\n{}", figures::compare(&all));
    println!("{summary}\n{text}");
    if write {
        document::update(&root().join("docs/performance.md"), &summary, &text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs this program once more, with the task `words`, where the host shows one cgroup version only (`prepare`, of
/// [`VIEWS`]); its standard output.
pub(crate) fn from_view(prepare: &str, words: &[&str]) -> Result<String, String> {
    let me = std::env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
    // Highest priority where that is allowed: other work on the machine disturbs less, and all subjects alike.
    let script = format!("{{ {prepare}; }} && exec nice -n -20 \"$@\" 2>&3 3>&-");
    let mut command = as_root("sh")?;
    command
        .args(["-c", "exec 3>&2; exec unshare --mount --propagation private -- sh -c \"$0\" sh \"$@\""])
        .arg(script)
        .arg(me)
        .args(words)
        .env("CARGO_TARGET_DIR", target())
        .stderr(std::process::Stdio::inherit());
    output(&mut command)
}

/// Measures in the view that the caller made, and prints the tables.
fn inside(view: &str, rounds: usize) -> Outcome {
    let place = std::path::PathBuf::from(format!("/dev/shm/insula-bench-{}", std::process::id()));
    let tables = contest::hold(view, rounds, &place, &target());
    let removed = std::fs::remove_dir_all(&place);
    print!("{}", tables?);
    removed.map_err(|error| format!("{}: {error}", place.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// What the figures were taken on.
pub(crate) fn machine(task: &str) -> Result<String, String> {
    let kernel = output(program("uname").args(["-sr"]))?;
    let cpus = output(&mut program("nproc"))?;
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("", |l| l.1);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let commit = output(program("git").args(["describe", "--always", "--dirty"])).unwrap_or_default();
    Ok(format!(
        "`cargo xtask {task}` at commit {}, {}, {} processors ({model}), load average {} at the start.\n",
        commit.trim(),
        kernel.trim(),
        cpus.trim(),
        load.split(' ').next().unwrap_or_default(),
    ))
}
