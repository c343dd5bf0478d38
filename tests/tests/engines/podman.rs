// SPDX-License-Identifier: Apache-2.0
//! podman with `--runtime`. It has no daemon; each test has its own storage, and a pid namespace for its processes.

use crate::daemon::is_installed;
use insula_tests::{Lab, Output, cgroups, populate_rootfs, runtime, skip};
use std::fs;

/// Ends the test unless podman is there.
macro_rules! needs_podman {
    () => {
        if !is_installed("podman") || !is_installed("conmon") {
            skip!("podman and conmon are not installed");
        }
    };
}

/// Runs a shell script in which `$podman` is podman with insula, and `$rootfs` a root file system.
#[track_caller]
fn podman(lab: &Lab, script: &str) -> Output {
    let rootfs = lab.path("rootfs");
    if !rootfs.exists() {
        populate_rootfs(&rootfs);
    }
    let storage = lab.path("storage");
    let podman = format!(
        "podman --root {0}/root --runroot {0}/run --tmpdir {0}/tmp --runtime {1} --cgroup-manager cgroupfs --events-backend file",
        storage.display(),
        runtime().display()
    );
    let parent = format!("/{}-podman", lab.name());
    let prelude = format!(
        "podman='{podman}'; rootfs={}; shared='--cgroup-parent {parent}'; options=\"--network none $shared\"; ",
        rootfs.display()
    );
    // podman's monitors are daemons; they end with the namespace. Podman also makes directories for version 1
    // controllers that are mounted nowhere, so it gets a directory of mounts of its own for that.
    let cgroups = "private=$1; mkdir $private; mount -t tmpfs cgroups $private; \
        for place in /sys/fs/cgroup/*; do \
            mountpoint -q $place && mkdir $private/${place##*/} && mount --bind $place $private/${place##*/}; \
        done; \
        if ! mountpoint -q /sys/fs/cgroup || [ $(stat -f -c %T /sys/fs/cgroup) = tmpfs ]; then \
            mount --rbind $private /sys/fs/cgroup; \
        fi; ";
    let unshare = lab.command("unshare").args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    let script = format!("{cgroups}{prelude}{script}");
    let output = unshare.args(["sh", "-c", &script, "sh"]).arg(lab.path("cgroups")).run();
    // podman leaves the parent cgroups that it makes, and its own directories in /run.
    for hierarchy in cgroups::hierarchies() {
        cgroups::remove_tree(&hierarchy.mount.join(&parent[1..]));
    }
    for name in ["containers", "libpod", "netns", "crun", "insula", "runc", "lock", "podman", "cni", "mount"] {
        let path = std::path::Path::new("/run").join(name);
        if path.exists() {
            fs::remove_dir_all(path).expect("remove podman's directory");
        }
    }
    output
}

#[test]
fn run_in_the_foreground() {
    needs_podman!();
    let lab = Lab::new();
    let output =
        podman(&lab, "$podman run --rm $options --hostname island --rootfs $rootfs sh -c 'hostname; echo $$; exit 5'");
    output.assert_code(5);
    assert_eq!(output.stdout, "island\n1\n", "{output}");
}

#[test]
fn a_detached_container_with_exec() {
    needs_podman!();
    let lab = Lab::new();
    let script = "set -e; $podman run --detach --name a $options --rootfs $rootfs sleep 60 >/dev/null; \
        $podman exec a sh -c 'tr \"\\0\" \" \" < /proc/1/cmdline; echo'; \
        $podman inspect --format '{{.State.Status}}' a; $podman kill a >/dev/null; \
        $podman wait a; $podman rm --force --time 0 a >/dev/null; $podman ps --all --quiet";
    let output = podman(&lab, script);
    output.assert_code(0);
    // podman's own init may come before the program.
    assert!(output.stdout.contains("sleep 60"), "{output}");
    assert!(output.stdout.ends_with("running\n137\n"), "{output}");
}

#[test]
fn exit_codes() {
    needs_podman!();
    let lab = Lab::new();
    podman(&lab, "$podman run --rm $options --rootfs $rootfs nosuch").assert_code(127);
    podman(&lab, "$podman run --rm $options --rootfs $rootfs /etc/passwd").assert_code(126);
    podman(&lab, "$podman run --rm $options --rootfs $rootfs true").assert_code(0);
}

#[test]
fn a_pod_shares_its_namespaces() {
    needs_podman!();
    let lab = Lab::new();
    let script = "set -e; $podman run --detach --name one $options --rootfs $rootfs sleep 60 >/dev/null; \
        for kind in net ipc; do $podman exec one readlink /proc/self/ns/$kind; done; \
        $podman run --rm --network container:one --ipc container:one $shared --rootfs $rootfs \
            sh -c 'for kind in net ipc; do readlink /proc/self/ns/$kind; done'; \
        $podman rm --force --time 0 one >/dev/null";
    let output = podman(&lab, script);
    let links: Vec<_> =
        output.stdout.lines().filter(|line| line.starts_with("net:") || line.starts_with("ipc:")).collect();
    assert_eq!(links.len(), 4, "{output}");
    assert_eq!(links[..2], links[2..], "{output}");
}
