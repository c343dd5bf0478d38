// SPDX-License-Identifier: Apache-2.0
//! How many system calls the commands make, all their processes together, up to the user's program: compared with a
//! budget, so that a change that costs some is seen. Times are asserted nowhere. docs/performance.md lists the calls.

use insula_tests::{Lab, is_insula};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

/// On a host with cgroup version 2 alone and Linux 6.18, in which a copied mount is changed at once (open_tree_attr(2)) and
/// namespaces have handles.
const BUDGET: &[(&str, usize)] = &[("run", 286), ("start", 34), ("delete", 36)];
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
