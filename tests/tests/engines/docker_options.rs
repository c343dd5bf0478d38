// SPDX-License-Identifier: Apache-2.0
//! The options of `docker run`, seen from inside.

use crate::docker::{Session, docker, session};
use insula_tests::{eventually, skip};
use std::fs;

#[test]
fn read_only() {
    let session = session!();
    let script = "touch /made 2>&1; touch /tmp/made && echo tmp";
    let output = session.run(&["--read-only", "--tmpfs", "/tmp:size=1m"], &["sh", "-c", script]);
    assert_eq!(output.stdout, "touch: /made: Read-only file system\ntmp\n", "{output}");
}

#[test]
fn capabilities() {
    let session = session!();
    let sets = ["sh", "-c", "grep Cap /proc/self/status"];
    let dropped = session.output_of(&["--cap-drop", "ALL"], &sets);
    let none = "0000000000000000";
    assert_eq!(
        dropped,
        format!("CapInh:\t{none}\nCapPrm:\t{none}\nCapEff:\t{none}\nCapBnd:\t{none}\nCapAmb:\t{none}\n")
    );
    let one = session.output_of(&["--cap-drop", "ALL", "--cap-add", "NET_RAW"], &sets);
    assert!(one.contains("CapEff:\t0000000000002000"), "{one}");
    let default = session.output_of(&[], &sets);
    assert!(default.contains("CapEff:\t00000000a80425fb"), "{default}");
}

#[test]
fn users() {
    let session = session!();
    assert_eq!(session.output_of(&["--user", "1000:1001"], &["sh", "-c", "id -u; id -g"]), "1000\n1001\n");
    assert_eq!(session.output_of(&["--user", "nobody"], &["id", "-u"]), "65534\n");
    assert_eq!(session.output_of(&["--user", "5", "--group-add", "77"], &["id", "-G"]), "0 77\n");
}

#[test]
fn memory() {
    let session = session!();
    let options = ["--memory", "32m", "--memory-swap", "32m"];
    let name = session.detached("a", &options, &["sleep", "60"]);
    let limit = session
        .inside(&name, "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null || true");
    assert_eq!(limit, "33554432");
    // The shim listens for the event only once start has returned, and an exit that overtakes the event hides it
    // from the daemon: the victim is a child, and the end comes when the daemon knows.
    let script = "until [ -e /go ]; do sleep 0.1; done; tail /dev/zero; code=$?; \
        until [ -e /end ]; do sleep 0.1; done; exit $code";
    let name = session.detached("b", &options, &["sh", "-c", script]);
    session.inside(&name, "touch /go");
    let of = format!("container={name}");
    let told = ["events", "--since", "1h", "--until", "0s", "--filter", &of, "--filter", "event=oom"];
    eventually("the daemon to be told", || (!session.ok(&told).is_empty()).then_some(()));
    session.inside(&name, "touch /end");
    assert_eq!(session.ok(&["wait", &name]), "137");
    assert_eq!(session.inspect(&name, "{{.State.OOMKilled}}"), "true");
}

#[test]
fn process_limit() {
    let session = session!();
    let limit = session.output_of(
        &["--pids-limit", "9"],
        &["sh", "-c", "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null || true"],
    );
    assert_eq!(limit, "9\n");
    let output = session
        .run(&["--pids-limit", "4"], &["sh", "-c", "sleep 9 & sleep 9 & echo two; sleep 9 & sleep 9 & echo never"]);
    assert!(output.stdout.contains("two") && !output.stdout.contains("never"), "{output}");
}

#[test]
fn processors() {
    let session = session!();
    let script = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null; grep Cpus_allowed_list /proc/self/status";
    let seen = session.output_of(&["--cpus", "0.5", "--cpuset-cpus", "0"], &["sh", "-c", script]);
    assert!(seen.starts_with("50000"), "{seen}");
    assert!(seen.ends_with("Cpus_allowed_list:\t0\n"), "{seen}");
}

#[test]
fn volumes() {
    let session = session!();
    // In the daemon's directory: its mount namespace does not have the lab's.
    let source = session.docker.daemon.directory().join(format!("{}-volume", session.lab.name()));
    fs::create_dir(&source).expect("make a directory");
    fs::write(source.join("file"), "host\n").expect("write a file");
    let (writable, read_only) = (format!("{}:/rw", source.display()), format!("{}:/ro:ro", source.display()));
    let script = "cat /rw/file; echo back > /rw/back; touch /ro/x || echo refused";
    let seen = session.output_of(&["--volume", &writable, "--volume", &read_only], &["sh", "-c", script]);
    assert_eq!(seen, "host\nrefused\n");
    assert_eq!(fs::read_to_string(source.join("back")).expect("written"), "back\n");
}

#[test]
fn further_options() {
    let session = session!();
    let options = [
        "--workdir",
        "/usr/bin",
        "--env",
        "A=b",
        "--ulimit",
        "nofile=99:100",
        "--security-opt",
        "no-new-privileges",
        "--oom-score-adj",
        "300",
    ];
    let script = "pwd; echo $A; ulimit -n; grep NoNewPrivs /proc/self/status; cat /proc/self/oom_score_adj";
    assert_eq!(session.output_of(&options, &["sh", "-c", script]), "/usr/bin\nb\n99\nNoNewPrivs:\t1\n300\n");
    let options = ["--sysctl", "net.ipv4.ip_forward=1", "--shm-size", "1m", "--device", "/dev/zero:/dev/mine:r"];
    let script = "cat /proc/sys/net/ipv4/ip_forward; grep ' /dev/shm ' /proc/mounts | grep -o size=1024k; head -c 1 /dev/mine | wc -c";
    assert_eq!(session.output_of(&options, &["sh", "-c", script]), "1\nsize=1024k\n1\n");
    assert_eq!(
        session.output_of(&["--network", "none"], &["sh", "-c", "ls /sys/class/net | grep -c eth || true"]),
        "0\n"
    );
    let init = session.run(&["--init"], &["sh", "-c", "cat /proc/1/comm"]);
    assert!(init.code() != 0 || init.stdout.contains("init"), "{init}");
}

#[track_caller]
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn privileged() {
    let session = session!();
    let (status, last) = (read("/proc/self/status"), read("/proc/sys/kernel/cap_last_cap"));
    let all = (1_u64 << (last.trim().parse::<u32>().expect("a number") + 1)) - 1;
    if !status.contains(&format!("CapEff:\t{all:016x}")) {
        skip!("root has not all capabilities here, and --privileged gives them all");
    }
    let script = "grep -E 'CapBnd|Seccomp:' /proc/self/status; mount -t tmpfs x /mnt && echo mounted; ls /dev/loop* /dev/kmsg 2>/dev/null | head -1 | wc -l";
    let seen = session.output_of(&["--privileged"], &["sh", "-c", script]);
    assert!(seen.contains("Seccomp:\t0") && seen.contains("mounted"), "{seen}");
}

#[test]
fn dockers_default_seccomp_profile() {
    let session = session!();
    let script = "grep Seccomp: /proc/self/status; unshare -U true 2>&1; mount -t tmpfs x /mnt 2>&1; echo end";
    let seen = session.output_of(&[], &["sh", "-c", script]);
    assert!(seen.starts_with("Seccomp:\t2\n") && seen.ends_with("end\n"), "{seen}");
    assert!(seen.contains("Operation not permitted") || seen.contains("denied"), "{seen}");
    let unconfined =
        session.output_of(&["--security-opt", "seccomp=unconfined"], &["grep", "Seccomp:", "/proc/self/status"]);
    assert_eq!(unconfined, "Seccomp:\t0\n");
}

#[test]
fn cgroup_namespaces() {
    let session = session!();
    let own = session.output_of(&["--cgroupns", "private"], &["cat", "/proc/self/cgroup"]);
    assert!(own.lines().all(|line| line.ends_with(":/")), "{own}");
    let host = session.output_of(&["--cgroupns", "host"], &["cat", "/proc/self/cgroup"]);
    assert!(host.contains(&session.docker.daemon.cgroup()), "{host}");
}
