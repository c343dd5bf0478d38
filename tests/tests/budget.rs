// SPDX-License-Identifier: Apache-2.0
//! What the commands take, compared with a budget, so that a change that costs some is seen: system calls, all processes
//! together, up to the user's program; instructions; memory. Times are asserted nowhere. docs/performance.md lists the calls.

use insula_tests::{Lab, is_insula};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

/// On a host with cgroup version 2 alone and Linux 6.18, in which a copied mount is changed at once (open_tree_attr(2)) and
/// namespaces have handles.
const BUDGET: &[(&str, usize)] = &[("run", 238), ("start", 30), ("delete", 30)];
/// What a container that waits for its start may take of the machine's memory, in KiB (PSS of its first process).
const WAITING: u64 = 40;
/// The largest resident set that a command may have, in KiB.
const PEAK: u64 = 1088;
/// Instructions that the command itself executes in user mode. An environment or a path that is longer makes some more.
const INSTRUCTIONS: &[(&str, u64)] = &[("run", 600_000), ("start", 110_000)];
/// What older kernels need more.
const OLDER: usize = 40;

/// Calls of a trace of strace(1): of each process those before it became another program than insula or its init.
fn count(path: &Path, insula: &str) -> usize {
    let text = fs::read_to_string(path).expect("strace writes its file");
    let mut others = HashSet::new();
    let mut calls: HashMap<&str, usize> = HashMap::new();
    for line in text.lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if others.contains(pid) || ["<...", "---", "+++"].iter().any(|mark| call.starts_with(mark)) {
            continue;
        }
        *calls.entry(pid).or_default() += 1;
        if call.starts_with("execve(") && !call.contains(insula) {
            others.insert(pid);
        }
    }
    calls.values().sum()
}

fn is_old() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("read the release");
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) < (Some(6), Some(18))
}

#[test]
fn no_command_makes_more_calls_than_its_budget() {
    if !is_insula() {
        insula_tests::skip!("peers have no budget");
    }
    if !std::process::Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success()) {
        insula_tests::skip!("strace is not installed");
    }
    let mut lab = Lab::new();
    lab.only_cgroup2();
    let insula = insula_tests::runtime();
    let name = insula.to_str().expect("a plain path");
    let trace = lab.path("trace");
    let traced = |words: &[&str]| {
        let strace = lab.command("strace").args(["-f", "-qq", "-o"]).arg(&trace).arg(insula);
        strace.arg("--root").arg(lab.state_root()).args(words).ok();
        count(&trace, name)
    };
    let mut bundle = lab.bundle();
    bundle.args(&["true"]);
    let path = bundle.path().to_str().expect("a plain path").to_owned();
    let waiting = lab.container(&bundle).created();
    let found = [
        ("run", traced(&["run", "--bundle", &path, &lab.fresh_id()])),
        ("start", traced(&["start", waiting.id()])),
        ("delete", {
            waiting.await_status("stopped");
            traced(&["delete", waiting.id()])
        }),
    ];
    let more = if is_old() { OLDER } else { 0 };
    for (command, budget) in BUDGET {
        let calls = found.iter().find(|(name, _)| name == command).map_or(0, |found| found.1);
        println!("{command}: {calls} system calls, budget {budget}");
        assert!(
            calls > 0 && calls <= budget + more,
            "{command} makes {calls} system calls, and its budget is {budget}"
        );
    }
}

fn kib(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)).and_then(|rest| rest.split_whitespace().next());
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[test]
fn a_waiting_container_is_small() {
    if !is_insula() {
        insula_tests::skip!("peers have no budget");
    }
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sh", "-c", "echo it runs"]);
    let container = lab.container(&bundle).created();
    let path = format!("/proc/{}/smaps_rollup", container.pid());
    // `create` ends when init is about to wait.
    let pss = insula_tests::eventually("init to wait in little memory", || {
        let rollup = fs::read_to_string(&path).expect("read smaps_rollup");
        Some(kib(&rollup, "Pss:")).filter(|pss| *pss <= WAITING)
    });
    println!("PSS of a waiting container: {pss} KiB, budget {WAITING} KiB");
    // What it has let go it finds again.
    container.start().assert_code(0);
    container.await_stdout("it runs");
}

/// Runs a command with ptrace(2), to its end, and gives its peak resident set in KiB and, if they are counted, the
/// instructions of the process itself.
#[expect(clippy::zombie_processes, reason = "waitpid(2) waits for it")]
#[allow(unsafe_code)] // what is between fork and execve
fn traced(words: &[&str], count: bool) -> (u64, u64) {
    use nix::sys::ptrace;
    use nix::sys::wait::{WaitStatus, waitpid};
    use std::os::unix::process::CommandExt as _;
    let mut command = std::process::Command::new(words[0]);
    let null = || std::process::Stdio::null();
    command.args(&words[1..]).env_clear().stdin(null()).stdout(null()).stderr(null());
    // SAFETY: one system call between fork and execve.
    unsafe { command.pre_exec(|| ptrace::traceme().map_err(std::io::Error::from)) };
    let child = command.spawn().expect("start the command");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("process ids fit"));
    let (mut peak, mut instructions) = (0, 0);
    let mut status = waitpid(pid, None).expect("wait for the command");
    ptrace::setoptions(pid, ptrace::Options::PTRACE_O_TRACEEXIT).expect("see its end");
    loop {
        let signal = match status {
            WaitStatus::Stopped(_, nix::sys::signal::Signal::SIGTRAP) => None,
            WaitStatus::Stopped(_, signal) => Some(signal),
            WaitStatus::PtraceEvent(..) => {
                let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("read its status");
                peak = kib(&text, "VmHWM:");
                None
            }
            WaitStatus::Exited(_, code) => {
                assert_eq!(code, 0, "{words:?}");
                return (peak, instructions);
            }
            other => panic!("{words:?}: {other:?}"),
        };
        if count && peak == 0 {
            instructions += 1;
            ptrace::step(pid, signal).expect("one instruction");
        } else {
            ptrace::cont(pid, signal).expect("go on");
        }
        status = waitpid(pid, None).expect("wait for the command");
    }
}

#[test]
fn no_command_grows() {
    if !is_insula() {
        insula_tests::skip!("peers have no budget");
    }
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["true"]);
    let insula = insula_tests::runtime();
    let root = lab.state_root();
    let (insula, root) = (insula.to_str().expect("a plain path"), root.to_str().expect("a plain path"));
    let path = bundle.path().to_str().expect("a plain path").to_owned();
    let (run, other) = (lab.fresh_id(), lab.fresh_id());
    let lines: &[(&str, &[&str])] = &[
        ("run", &["run", "--bundle", &path, &run]),
        ("create", &["create", "--bundle", &path, &other]),
        ("start", &["start", &other]),
        ("delete", &["delete", "--force", &other]),
    ];
    for (name, words) in lines {
        // Each takes a stop: half a million of them only where time is no matter.
        let counted = *name == "start" || std::env::var_os("INSULA_LONG").is_some();
        let budget = INSTRUCTIONS.iter().find(|(command, _)| counted && command == name).map(|(_, budget)| *budget);
        let words: Vec<&str> = [insula, "--root", root].iter().chain(*words).copied().collect();
        let (peak, instructions) = traced(&words, budget.is_some());
        println!("{name}: peak {peak} KiB, budget {PEAK} KiB; {instructions} instructions, budget {budget:?}");
        assert!(peak > 0 && peak <= PEAK, "{name} has {peak} KiB resident");
        assert!(budget.is_none_or(|budget| instructions <= budget), "{name} executes {instructions} instructions");
    }
}
