// SPDX-License-Identifier: Apache-2.0
//! `update`: by flags and by document. Values are read back from the kernel.

use insula_tests::{Container, Lab, cgroups, json, skip};

/// Skips the calling test unless `controller` is mounted in version 1.
macro_rules! needs_version_1 {
    ($($controller:literal),*) => {$(
        if !cgroups::hierarchies().iter().any(|one| one.controllers.iter().any(|name| name == $controller)) {
            skip!("no version 1 hierarchy has the {} controller here", $controller);
        }
    )*};
}

fn sleeper(lab: &Lab) -> Container<'_> {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]).set("/linux/resources/memory", json!({"limit": 67_108_864}));
    bundle.set("/linux/resources/cpu", json!({"quota": 500_000, "period": 1_000_000}));
    lab.container(&bundle).detached()
}

fn update(container: &Container<'_>, flags: &[&str]) {
    container.command("update").args(flags).run().assert_code(0);
}

/// Skips the calling test unless version 2 is all there is.
macro_rules! needs_version_2 {
    () => {
        if cgroups::hierarchy_with("memory") != Some("") {
            skip!("version 2 is not all there is here, or has no controllers");
        }
    };
}

#[test]
fn flags_change_what_they_name_and_nothing_else() {
    needs_version_1!("memory", "cpu", "pids");
    let lab = Lab::new();
    let container = sleeper(&lab);
    let read = |controller: &str, file: &str| cgroups::read(container.pid(), controller, file);
    update(&container, &["--memory", "48m", "--pids-limit", "20"]);
    assert_eq!(read("memory", "memory.limit_in_bytes"), "50331648");
    assert_eq!(read("pids", "pids.max"), "20");
    assert_eq!(read("cpu", "cpu.cfs_quota_us"), "500000", "it was not named");
    update(&container, &["--cpu-quota", "100000", "--cpu-share", "512"]);
    assert_eq!(read("cpu", "cpu.cfs_quota_us"), "100000");
    assert_eq!(read("cpu", "cpu.cfs_period_us"), "1000000", "a quota alone keeps the period");
    assert_eq!(read("cpu", "cpu.shares"), "512");
    update(&container, &["--cpu-period", "900000"]);
    assert_eq!((read("cpu", "cpu.cfs_quota_us"), read("cpu", "cpu.cfs_period_us")), ("100000".into(), "900000".into()));
    update(&container, &["--memory", "-1"]);
    assert_eq!(read("memory", "memory.limit_in_bytes"), "9223372036854771712");
    assert_eq!(read("pids", "pids.max"), "20", "it was not named");
}

#[test]
fn documents_from_a_file_and_from_standard_input() {
    needs_version_1!("memory", "pids");
    let lab = Lab::new();
    let container = sleeper(&lab);
    let read = |controller: &str, file: &str| cgroups::read(container.pid(), controller, file);
    let file = lab.write("limits.json", json!({"memory": {"limit": 33_554_432}}).to_string());
    update(&container, &["-r", file.to_str().expect("paths are text")]);
    assert_eq!(read("memory", "memory.limit_in_bytes"), "33554432");
    let text = json!({"pids": {"limit": 30}}).to_string();
    container.command("update").args(["--resources", "-"]).stdin_text(&text).run().assert_code(0);
    assert_eq!(read("pids", "pids.max"), "30");
    assert_eq!(read("memory", "memory.limit_in_bytes"), "33554432", "it was not named");
}

#[test]
fn flags_on_version_2() {
    needs_version_2!();
    let lab = Lab::new();
    let container = sleeper(&lab);
    let read = |file: &str| cgroups::read(container.pid(), "", file);
    update(&container, &["--memory", "48m", "--pids-limit", "20"]);
    assert_eq!((read("memory.max"), read("pids.max")), ("50331648".into(), "20".into()));
    assert_eq!(read("cpu.max"), "500000 1000000", "it was not named");
    update(&container, &["--cpu-quota", "100000", "--cpu-share", "1024", "--cpuset-cpus", "0"]);
    assert_eq!(read("cpu.max"), "100000 1000000", "a quota alone keeps the period");
    assert_eq!((read("cpu.weight"), read("cpuset.cpus")), ("100".into(), "0".into()));
    update(&container, &["--cpu-period", "900000"]);
    assert_eq!(read("cpu.max"), "100000 900000", "a period alone keeps the quota");
    update(&container, &["--cpu-burst", "5000", "--cpu-idle", "1"]);
    assert_eq!((read("cpu.max.burst"), read("cpu.idle")), ("5000".into(), "1".into()));
    update(&container, &["--memory", "64m", "--memory-swap", "96m", "--memory-reservation", "16m"]);
    assert_eq!(read("memory.max"), "67108864");
    assert_eq!((read("memory.swap.max"), read("memory.low")), ("33554432".into(), "16777216".into()));
    update(&container, &["--memory", "-1"]);
    assert_eq!((read("memory.max"), read("memory.swap.max")), ("max".into(), "max".into()));
    assert_eq!(read("pids.max"), "20", "it was not named");
}

#[test]
fn documents_on_version_2() {
    needs_version_2!();
    let lab = Lab::new();
    let container = sleeper(&lab);
    let read = |file: &str| cgroups::read(container.pid(), "", file);
    let text = json!({"memory": {"limit": 33_554_432}, "unified": {"memory.high": "16777216"}}).to_string();
    container.command("update").args(["-r", "-"]).stdin_text(&text).run().assert_code(0);
    assert_eq!((read("memory.max"), read("memory.high")), ("33554432".into(), "16777216".into()));
    let text = json!({"unified": {"memory.no_such": "1"}}).to_string();
    let update = container.command("update").args(["-r", "-"]).stdin_text(&text).run();
    update.fails_with(&["/linux/resources/unified/memory.no_such"]);
    assert_eq!(read("memory.max"), "33554432");
}

#[test]
fn bad_values_change_nothing() {
    let lab = Lab::new();
    let container = sleeper(&lab);
    container.command("update").args(["--memory", "lots"]).run().fails_with(&["invalid value for memory", "lots"]);
    container.command("update").args(["--cpu-quota", "1s"]).run().fails_with(&["invalid value for cpu-quota"]);
    let text = json!({"unified": {"../memory.max": "1"}}).to_string();
    let update = container.command("update").args(["-r", "-"]).stdin_text(&text).run();
    update.fails_with(&["/unified/", "not the name of a cgroup file"]);
    container.command("update").args(["--l3-cache-schema", "L3:0=f"]).run().fails_with(&["/linux/intelRdt"]);
    assert_eq!(container.status(), "running");
    container.kill("KILL").assert_code(0);
    container.await_status("stopped");
    container.command("update").args(["--pids-limit", "5"]).run().fails_with(&["not running"]);
}
