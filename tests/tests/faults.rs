// SPDX-License-Identifier: Apache-2.0
//! Killed anywhere: SIGKILL right before each system call of a command, one after the other (strace(1), `inject`). One
//! `delete --force` must then leave nothing, and within seconds.
//!
//! Every seventh point of `create` by default, fewer of the others; `INSULA_SWEEP=1` takes all of them, and prints how many there were.

use insula_tests::{Bundle, Container, Lab, Snapshot, eventually, json, runtime, skip};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long `delete --force` may take after a kill.
const PROMPT: Duration = Duration::from_secs(5);

/// A place in a command's trace: the n-th call of that name.
type Point = (String, u32);

fn has_strace() -> bool {
    Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success())
}

/// All points of a trace that strace wrote without `-f`.
fn points(trace: &Path) -> Vec<Point> {
    let text = fs::read_to_string(trace).expect("read the trace");
    let mut counts = BTreeMap::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let Some((name, _)) = line.split_once('(') else { continue };
        // Killing execve(2) is killing strace's own child before it is the command.
        if name == "execve" || name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            continue;
        }
        let count = counts.entry(name.to_owned()).or_insert(0);
        *count += 1;
        found.push((name.to_owned(), *count));
    }
    assert!(found.len() > 15, "a trace of a whole command: {text}");
    found
}

/// The points to try: every `step`-th, or all.
fn chosen(all: Vec<Point>, step: usize) -> Vec<Point> {
    let step = if std::env::var_os("INSULA_SWEEP").is_some() { 1 } else { step };
    all.into_iter().step_by(step).collect()
}

/// `strace <options> insula --root … <words>`.
fn traced(lab: &Lab, options: &[&str], words: &[&str]) -> insula_tests::Invocation {
    lab.command("strace").args(options).arg(runtime()).arg("--root").arg(lab.state_root()).args(words)
}

/// Runs `words` and kills it at `point`.
fn killed(lab: &Lab, point: &Point, words: &[&str]) {
    let inject = format!("inject={}:signal=SIGKILL:when={}", point.0, point.1);
    let trace = format!("trace={}", point.0);
    let output = traced(lab, &["-o", "/dev/null", "-e", &trace, "-e", &inject], words).run();
    // Traces differ by a call now and then; then the command has simply succeeded.
    assert!([0, 137].contains(&output.code()), "{point:?}: {output}");
}

/// Deletes and reports what is wrong afterwards.
fn leaks(lab: &Lab, container: &Container<'_>, before: &Snapshot, point: &Point) -> Option<String> {
    let started = Instant::now();
    let deleted = container.delete_force();
    let clean = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| before.assert_clean(lab)));
    let took = started.elapsed();
    let wrong = if deleted.code() != 0 {
        format!("delete fails: {deleted}")
    } else if let Err(panic) = clean {
        panic.downcast_ref::<String>().cloned().unwrap_or_default()
    } else if took > PROMPT {
        format!("took {took:?}")
    } else {
        return None;
    };
    Some(format!("{point:?}: {wrong}"))
}

fn report(command: &str, tried: usize, wrong: &[String]) {
    use std::io::Write as _;
    let line = format!("killed {command} at {tried} points: {} leaks\n", wrong.len());
    std::io::stderr().write_all(line.as_bytes()).expect("write to standard error");
    assert!(wrong.is_empty(), "{line}{}", wrong.join("\n"));
}

/// Kills `command` at points of its trace, each time on a container that `prepare` has brought to where it is expected.
fn sweep(
    step: usize,
    command: &str,
    edit: impl Fn(&mut Bundle),
    prepare: impl Fn(&Container<'_>),
    words: impl Fn(&Bundle, &str) -> Vec<String>,
) {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    edit(&mut bundle);
    let before = Snapshot::take(&lab);
    let trace = lab.path("trace");
    let first = lab.container(&bundle);
    prepare(&first);
    let list = words(&bundle, first.id());
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    traced(&lab, &["-o", trace.to_str().expect("paths are text")], &list).ok();
    first.delete_force().assert_code(0);
    let mut wrong = Vec::new();
    let chosen = chosen(points(&trace), step);
    for point in &chosen {
        let container = lab.container(&bundle);
        prepare(&container);
        let list = words(&bundle, container.id());
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        killed(&lab, point, &list);
        wrong.extend(leaks(&lab, &container, &before, point));
    }
    report(command, chosen.len(), &wrong);
    // The id can be used again.
    let again = lab.container(&bundle);
    killed(&lab, &("clone3".to_owned(), 1), &["create", "--bundle", bundle.path().to_str().expect("text"), again.id()]);
    again.delete_force().assert_code(0);
    again.create().assert_code(0);
}

fn create_words(bundle: &Bundle, id: &str) -> Vec<String> {
    ["create", "--bundle", bundle.path().to_str().expect("paths are text"), id].map(String::from).to_vec()
}

#[test]
fn create_is_killed() {
    if !has_strace() {
        skip!("strace is not installed");
    }
    sweep(7, "create", |_| {}, |_| {}, create_words);
}

#[test]
fn create_with_every_namespace_is_killed() {
    if !has_strace() {
        skip!("strace is not installed");
    }
    let edit = |bundle: &mut Bundle| {
        for kind in ["cgroup", "time"] {
            bundle.namespace(kind);
        }
        bundle.user_namespace().set("/linux/timeOffsets/monotonic", json!({"secs": 5}));
    };
    sweep(31, "create with eight namespaces", edit, |_| {}, create_words);
}

/// Without a pid namespace the end of init takes nobody along.
#[test]
fn create_in_the_hosts_pid_namespace_is_killed() {
    if !has_strace() {
        skip!("strace is not installed");
    }
    let edit = |bundle: &mut Bundle| {
        bundle.inherit("pid");
    };
    sweep(41, "create with the host's processes", edit, |_| {}, create_words);
}

#[test]
fn run_is_killed() {
    if !has_strace() {
        skip!("strace is not installed");
    }
    let words = |bundle: &Bundle, id: &str| {
        ["run", "--detach", "--bundle", bundle.path().to_str().expect("paths are text"), id].map(String::from).to_vec()
    };
    sweep(41, "run", |_| {}, |_| {}, words);
}

#[test]
fn start_is_killed() {
    if !has_strace() {
        skip!("strace is not installed");
    }
    let words = |_: &Bundle, id: &str| ["start", id].map(String::from).to_vec();
    sweep(3, "start", |_| {}, |container| container.create().assert_code(0), words);
}

fn detach(container: &Container<'_>) {
    container.finish(container.launch("run").arg("--detach")).assert_code(0);
}

#[test]
fn exec_is_killed() {
    if !has_strace() {
        skip!("strace is not installed");
    }
    let words = |_: &Bundle, id: &str| ["exec", "--detach", id, "sleep", "60"].map(String::from).to_vec();
    sweep(29, "exec", |_| {}, detach, words);
}

#[test]
fn kill_is_killed() {
    if !has_strace() {
        skip!("strace is not installed");
    }
    let words = |_: &Bundle, id: &str| ["kill", id, "KILL"].map(String::from).to_vec();
    sweep(7, "kill", |_| {}, detach, words);
}

#[test]
fn delete_is_killed() {
    if !has_strace() {
        skip!("strace is not installed");
    }
    let words = |_: &Bundle, id: &str| ["delete", "--force", id].map(String::from).to_vec();
    sweep(17, "delete --force", |_| {}, detach, words);
}

/// The first process is killed at its own system calls: `create` fails by itself and leaves nothing, without any delete.
#[test]
fn init_is_killed() {
    if !has_strace() {
        skip!("strace is not installed");
    }
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let before = Snapshot::take(&lab);
    let trace = lab.path("trace");
    // strace follows init until its end, so init is killed by hand.
    let words = |id: &str| ["create", "--bundle", bundle.path().to_str().expect("text"), id].map(String::from).to_vec();
    let follow = |options: &[&str], container: &Container<'_>| {
        let list = words(container.id());
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        traced(&lab, options, &list).start()
    };
    let first = lab.container(&bundle);
    let prefix = trace.to_str().expect("paths are text");
    let tracing = follow(&["-ff", "-o", prefix], &first);
    eventually("the container to be created", || first.command("state").run().stdout.contains("created").then_some(()));
    let init = first.pid();
    first.delete_force().assert_code(0);
    tracing.wait_quietly();
    let all = points(Path::new(&format!("{prefix}.{init}")));
    // What only init calls is killed in init alone.
    let of_init = [
        "fsopen",
        "fsconfig",
        "fsmount",
        "move_mount",
        "pivot_root",
        "symlinkat",
        "mknodat",
        "prctl",
        "capset",
        "setsid",
        "umask",
        "sethostname",
        "umount2",
        "setresuid",
        "setgroups",
        "chdir",
        "fchdir",
    ];
    let wanted = |point: &Point| of_init.contains(&point.0.as_str());
    let mut wrong = Vec::new();
    let chosen = chosen(all.into_iter().filter(wanted).collect(), 15);
    for point in &chosen {
        let container = lab.container(&bundle);
        let inject = format!("inject={}:signal=SIGKILL:when={}", point.0, point.1);
        let trace = format!("trace={}", point.0);
        let mut tracing = follow(&["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject], &container);
        let deadline = Instant::now() + PROMPT;
        while tracing.is_running() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        if tracing.is_running() {
            // Created after all: mknodat and prctl are also called by the other side, at another count.
            container.delete_force().assert_code(0);
        }
        let code = tracing.wait().code();
        let clean = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| before.assert_clean(&lab)));
        if code != 1 && code != 0 && code != 137 {
            wrong.push(format!("{point:?}: exit code {code}"));
        }
        if clean.is_err() && code != 137 {
            wrong.push(format!("{point:?}: left something"));
        }
        container.delete_force().assert_code(0);
        before.assert_clean(&lab);
    }
    report("init", chosen.len(), &wrong);
}
