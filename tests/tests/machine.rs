// SPDX-License-Identifier: Apache-2.0
//! Podman as users have it, in a machine of its own: with systemd as PID 1, the whole of /run and its own storage. These
//! run only in the virtual machine (`cargo xtask vm-test`).

use insula_tests::{populate_rootfs, runtime, skip};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard};

/// Podman's storage is the machine's: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Skips the calling test outside of the virtual machine, and with a driver that insula does not have.
macro_rules! needs_machine {
    ($driver:literal) => {
        if std::env::var_os("INSULA_VM").is_none() {
            skip!("only in the virtual machine");
        }
        if $driver == "systemd" && !has_systemd_driver() {
            skip!("insula has no systemd driver yet");
        }
    };
}

/// Whether `--systemd-cgroup` is done.
fn has_systemd_driver() -> bool {
    let output = Command::new(runtime()).arg("features").output().expect("run the runtime");
    let features = insula_tests::parse_json(&output.stdout);
    features["linux"]["cgroup"]["systemd"] == true
}

/// Makes /var/tmp/rootfs, a root file system of busybox.
fn rootfs() {
    let path = Path::new("/var/tmp/rootfs");
    if !path.exists() {
        populate_rootfs(path);
    }
}

/// Runs a shell script in which `$podman` is podman with insula and the driver.
fn podman(driver: &str, script: &str) -> Output {
    let script = format!(
        "podman='podman --runtime {} --cgroup-manager {driver} --events-backend file'; {script}",
        runtime().display()
    );
    Command::new("sh").args(["-c", &script]).output().expect("run podman")
}

#[track_caller]
fn stdout(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\nstdout: {stdout}\nstderr: {stderr}", output.status);
    stdout
}

fn limits(driver: &str) {
    let _turn = turn();
    rootfs();
    let script = "$podman run --rm --network none --memory 64m --pids-limit 33 --cpus 0.5 --rootfs /var/tmp/rootfs \
        sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max'";
    assert_eq!(stdout(&podman(driver, script)), "67108864\n33\n50000 100000\n");
}

#[test]
fn limits_by_cgroupfs() {
    needs_machine!("cgroupfs");
    limits("cgroupfs");
}

#[test]
fn limits_by_systemd() {
    needs_machine!("systemd");
    limits("systemd");
}

/// A detached container with everything that podman does to one.
fn life(driver: &str) {
    let _turn = turn();
    rootfs();
    let script = "set -e; $podman run --detach --name life --network none --rootfs /var/tmp/rootfs sleep 600 >/dev/null; \
        $podman exec life echo inside; $podman pause life >/dev/null; \
        $podman inspect --format '{{.State.Status}}' life; $podman unpause life >/dev/null; \
        $podman update --memory 48m life >/dev/null; $podman exec life cat /sys/fs/cgroup/memory.max; \
        $podman kill life >/dev/null; $podman wait life; $podman rm --force --time 0 life >/dev/null; \
        $podman ps --all --quiet";
    assert_eq!(stdout(&podman(driver, script)), "inside\npaused\n50331648\n137\n");
}

#[test]
fn a_life_by_cgroupfs() {
    needs_machine!("cgroupfs");
    life("cgroupfs");
}

#[test]
fn a_life_by_systemd() {
    needs_machine!("systemd");
    life("systemd");
}

/// The pod's cgroup has the limit, and its containers are below it.
fn pod(driver: &str) {
    let _turn = turn();
    rootfs();
    let script = "set -e; $podman pod create --infra=false --name pod --memory 96m >/dev/null; \
        $podman run --detach --pod pod --name member --network none --rootfs /var/tmp/rootfs sleep 600 >/dev/null; \
        path=$(sed 's/^0:://' /proc/$($podman inspect --format '{{.State.Pid}}' member)/cgroup); \
        while test -n \"$path\"; do cat /sys/fs/cgroup$path/memory.max; path=${path%/*}; done; \
        $podman pod rm --force --time 0 pod >/dev/null";
    let limits = stdout(&podman(driver, script));
    assert!(limits.lines().any(|line| line == "100663296"), "{limits}");
}

#[test]
fn a_pod_with_limits_by_cgroupfs() {
    needs_machine!("cgroupfs");
    pod("cgroupfs");
}

#[test]
fn a_pod_with_limits_by_systemd() {
    needs_machine!("systemd");
    pod("systemd");
}
