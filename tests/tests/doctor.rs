// SPDX-License-Identifier: Apache-2.0
//! `insula doctor`: what it says of this host, against hosts that are made worse on purpose.

use insula_tests::{KINDS, Lab, Output, Value, is_insula, parse_json, runtime};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

macro_rules! only_insula {
    () => {
        if !is_insula() {
            insula_tests::skip!("peers have no such command");
        }
    };
}

/// The finding called `name`.
#[track_caller]
fn finding(output: &Output, name: &str) -> Value {
    let all = parse_json(&output.stdout);
    let all = all.as_array().expect("a list");
    all.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("nothing called {name:?}: {output}")).clone()
}

#[track_caller]
fn assert_state(output: &Output, name: &str, state: &str, words: &str) {
    let row = finding(output, name);
    assert_eq!(row["state"], state, "{row}");
    let all = format!("{} {} {}", row["found"], row["stops"], row["remedy"]);
    assert!(all.contains(words), "{words:?} is not in {row}");
}

/// Runs `script` as root of a new user namespace (and more of unshare's `options`), with the runtime as `$1`.
fn unshared(lab: &Lab, options: &[&str], script: &str) -> Output {
    let words = ["--user", "--map-root-user"];
    lab.command("unshare").args(words).args(options).args(["sh", "-c", script, "sh"]).arg(runtime()).run()
}

#[test]
fn a_host_that_runs_containers_is_fit() {
    only_insula!();
    let lab = Lab::new();
    let output = lab.insula().args(["doctor", "--format", "json"]).ok();
    for (kind, _) in KINDS {
        assert_state(&output, kind, "works", "");
    }
    for name in ["kernel", "detached mounts", "sealed programs in memory", "paths inside a root", "seccomp filters"] {
        assert_state(&output, name, "works", "");
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    assert_eq!(finding(&output, "kernel")["found"], release.trim());
    let limit = fs::read_to_string("/proc/sys/user/max_net_namespaces").expect("a limit");
    assert_state(&output, "network", "works", limit.trim());
}

#[test]
fn every_finding_is_also_in_the_report() {
    only_insula!();
    let lab = Lab::new();
    let json = lab.insula().args(["doctor", "-f", "json"]).ok();
    let report = lab.insula().arg("doctor").ok();
    assert!(!report.stdout.contains('\x1b'), "no colour in a file: {report}");
    for row in parse_json(&json.stdout).as_array().expect("a list") {
        let line = format!("{}  {}", row["state"].as_str().unwrap(), row["name"].as_str().unwrap());
        let squeezed = report.stdout.replace("works    ", "works  ");
        assert!(squeezed.contains(&line), "{line:?} is not in {report}");
        if row["state"] != "works" {
            let remedy = format!("to get it: {}", row["remedy"].as_str().unwrap());
            assert!(report.stdout.contains(&remedy), "{remedy:?} is not in {report}");
        }
    }
}

#[test]
fn a_forbidden_namespace_makes_a_host_unfit() {
    only_insula!();
    let lab = Lab::new();
    let script = "echo 0 > /proc/sys/user/max_net_namespaces; exec \"$1\" doctor -f json";
    let output = unshared(&lab, &[], script);
    output.assert_code(2);
    assert_state(&output, "network", "needed", "/proc/sys/user/max_net_namespaces");
    assert_state(&output, "ipc", "works", "");
}

#[test]
fn ordinary_users_are_told_what_forbids_their_namespaces() {
    only_insula!();
    let lab = Lab::new();
    let script = "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$1\" doctor -f json";
    let output = unshared(&lab, &[], script);
    assert_state(&output, "user namespaces for everybody", "missing", "user.max_user_namespaces=0");
    assert_state(&output, "user", "missing", "above 0");
}

#[test]
fn a_missing_proc_is_named() {
    only_insula!();
    let lab = Lab::new();
    let output = unshared(&lab, &["--mount"], "busybox mount -t tmpfs none /proc && exec \"$1\" doctor -f json");
    output.assert_code(2);
    assert_state(&output, "/proc", "needed", "mount -t proc");
}

#[test]
fn no_cgroups_is_no_obstacle() {
    only_insula!();
    let lab = Lab::new();
    let output =
        unshared(&lab, &["--mount"], "busybox mount -t tmpfs none /sys/fs/cgroup && exec \"$1\" doctor -f json");
    assert_state(&output, "cgroups", "missing", "mount -t cgroup2");
    assert_state(&output, "cgroup controllers", "missing", "memory");
    output.assert_code(0);
}

#[test]
fn criu_is_asked_itself() {
    only_insula!();
    let lab = Lab::new();
    let tools = lab.path("tools");
    fs::create_dir(&tools).expect("make a directory");
    let doctor = || lab.insula().args(["doctor", "-f", "json"]).env("PATH", &tools).ok();
    assert_state(&doctor(), "CRIU", "missing", "install the package criu");
    let criu = tools.join("criu");
    let write = |body: &str| {
        fs::write(&criu, format!("#!/bin/sh\n{body}\n")).expect("write a program");
        fs::set_permissions(&criu, fs::Permissions::from_mode(0o755)).expect("make it executable");
    };
    write("[ \"$1\" = check ] && echo Looks good.");
    assert_state(&doctor(), "CRIU", "works", "Looks good.");
    write("echo Error: no such ioctl; exit 1");
    assert_state(&doctor(), "CRIU", "missing", "no such ioctl");
}

#[test]
fn it_works_as_an_ordinary_user() {
    only_insula!();
    let lab = Lab::new();
    let program = lab.path("insula");
    fs::copy(runtime(), &program).expect("copy the runtime");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("make it executable");
    let user = ["--reuid", "61234", "--regid", "61234", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"];
    let output = lab.command("setpriv").args(user).arg(program).args(["doctor", "-f", "json"]).ok();
    for (kind, _) in KINDS {
        assert_state(&output, kind, "works", "");
    }
    assert_state(&output, "idmapped mounts", "missing", "as root");
    assert_state(&output, "a place for states", "missing", "XDG_RUNTIME_DIR");
}
