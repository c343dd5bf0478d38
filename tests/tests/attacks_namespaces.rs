// SPDX-License-Identifier: Apache-2.0
//! Attacks on which namespace is joined, whose process is meant, and which kernel parameters are written: numbers that are
//! used again, paths that change while they are used, a procfs that is none.

use insula_tests::{
    Bundle, Donor, Identity, Lab, Snapshot, eventually, hostile, identities, is_insula, json, race, runtime,
    while_disturbing,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

fn sleeper(lab: &Lab) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    bundle
}

/// Another process gets the number of a container's first: it is not taken for it.
#[test]
fn the_number_of_init_is_used_again() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    for attempt in 0.. {
        let container = lab.container(&bundle).detached();
        let pid = container.pid();
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("kill init");
        eventually("init to be reaped", || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
        let mut impostor = lab.command(hostile()).args(["impostor", &pid.to_string()]).start();
        let born = eventually("the impostor", || {
            (!impostor.is_running() || !impostor.stdout().is_empty()).then(|| impostor.stdout())
        });
        if !born.starts_with("born") {
            // Somebody else was faster.
            assert!(attempt < 20, "the number is never free");
            continue;
        }
        assert_eq!(container.status(), "stopped");
        for command in ["pause", "resume", "start", "kill"] {
            assert_ne!(container.command(command).run().code(), 0, "{command}");
        }
        for words in [&["hostname"][..], &["cat", "/proc/1/comm"]] {
            assert_ne!(container.exec(words).code(), 0, "exec enters the impostor");
        }
        let _may_fail = container.command("kill").arg("--all").arg("KILL").run();
        container.delete_force().assert_code(0);
        assert!(impostor.is_running() && !impostor.stdout().contains("DEAD"), "the impostor was killed");
        // Its parent ends, and it with it.
        drop(impostor);
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("end the impostor");
        return;
    }
}

/// The path of a namespace is looked up once: what was looked at is what is joined.
#[test]
fn namespace_paths_are_opened_once() {
    let lab = Lab::new();
    let donor = Donor::new(&lab, &["network"]);
    let mut bundle = lab.bundle();
    let path = lab.pin(&donor.path("network"), "opened-once");
    bundle.join("network", &path).shell("readlink /proc/self/ns/net");
    let trace = lab.path("trace");
    let run = lab
        .command("strace")
        .args(["-f", "-e", "trace=open,openat,openat2,stat,newfstatat,statx,readlink", "-o"])
        .arg(&trace);
    let output = run
        .arg(runtime())
        .arg("--root")
        .arg(lab.state_root())
        .args(["run", "--bundle"])
        .arg(bundle.path())
        .arg(lab.fresh_id())
        .ok();
    assert_eq!(output.text(), format!("net:[{}]", Identity::at(&donor.path("network")).inode));
    let trace = fs::read_to_string(trace).expect("the trace");
    assert_eq!(trace.lines().filter(|line| line.contains("opened-once")).count(), 1, "{trace}");
}

/// Whoever may write to the directory exchanges the path all the time: one of the two is joined, or none.
#[test]
fn a_namespace_path_that_is_exchanged() {
    let lab = Lab::new();
    let donors = [Donor::new(&lab, &["uts"]), Donor::new(&lab, &["uts"])];
    let paths = donors.each_ref().map(|donor| donor.path("uts"));
    let known = donors.each_ref().map(|donor| Identity::at(&donor.path("uts")).inode);
    let fifo = lab.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("make a fifo");
    let place = lab.path("place");
    let targets = [paths[0].clone(), paths[1].clone(), fifo, lab.write("plain", ""), Path::new("/dev/null").to_owned()];
    symlink(&targets[0], &place).expect("make the link");
    let mut bundle = lab.bundle();
    bundle.remove("/hostname").join("uts", &place).shell("readlink /proc/self/ns/uts");
    let new = lab.path("place.new");
    let exchange = |round: usize| {
        symlink(&targets[round % targets.len()], &new).expect("make the next link");
        fs::rename(&new, &place).expect("exchange");
    };
    while_disturbing(exchange, || {
        let (mut joined, mut tried) = ([0, 0], 0);
        for _ in race() {
            let output = lab.container(&bundle).run();
            tried += 1;
            assert!(output.elapsed < Duration::from_secs(5), "{output}");
            if output.code() == 0 {
                let which = known.iter().position(|inode| output.text() == format!("uts:[{inode}]"));
                joined[which.unwrap_or_else(|| panic!("a third one is joined: {output}"))] += 1;
            } else {
                output.assert_code(1);
            }
        }
        assert!(tried > 3, "raced: {joined:?} of {tried}");
    });
}

/// Exchanged between the look and the joining, at a chosen moment.
#[test]
fn a_namespace_path_that_is_exchanged_after_it_was_looked_at() {
    let lab = Lab::new();
    let donors = [Donor::new(&lab, &["uts"]), Donor::new(&lab, &["uts"])];
    let place = lab.path("place");
    symlink(donors[0].path("uts"), &place).expect("make the link");
    let mut bundle = lab.bundle();
    bundle.remove("/hostname").join("uts", &place).shell("readlink /proc/self/ns/uts");
    // The lock is taken after the path was looked at, and before anything is joined.
    let id = lab.fresh_id();
    let run = lab.command("strace").args([
        "-o",
        "/dev/null",
        "-e",
        "trace=flock",
        "-e",
        "inject=flock:signal=SIGSTOP:when=1",
    ]);
    let run = run
        .arg(runtime())
        .arg("--root")
        .arg(lab.state_root())
        .args(["run", "--bundle"])
        .arg(bundle.path())
        .arg(&id)
        .start();
    let child = eventually("the runtime to stand still", || {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.pid())).ok()?;
        let child: i32 = children.split_whitespace().next()?.parse().ok()?;
        let status = fs::read_to_string(format!("/proc/{child}/status")).ok()?;
        (status.contains("State:\tT") || status.contains("State:\tt")).then_some(child)
    });
    // strace itself stops it for a moment at each call.
    std::thread::sleep(Duration::from_millis(300));
    fs::remove_file(&place).expect("remove the link");
    symlink(donors[1].path("uts"), &place).expect("make another link");
    kill(Pid::from_raw(child), Signal::SIGCONT).expect("let it go on");
    let output = run.wait();
    output.assert_code(0);
    assert_eq!(output.text(), format!("uts:[{}]", Identity::at(&donors[0].path("uts")).inode));
}

/// Without the right to look into process 1 its namespaces cannot be joined; and nothing is left of the attempt.
#[test]
fn namespaces_of_process_one_without_the_right() {
    let lab = Lab::new();
    for kind in ["network", "uts", "ipc", "pid", "mount", "cgroup"] {
        let mut bundle = lab.bundle();
        bundle.join(
            kind,
            format!(
                "/proc/1/ns/{}",
                if kind == "network" {
                    "net"
                } else if kind == "mount" {
                    "mnt"
                } else {
                    kind
                }
            ),
        );
        bundle.remove("/hostname");
        let before = Snapshot::take(&lab);
        let id = lab.fresh_id();
        let output = lab
            .command("capsh")
            .args(["--drop=cap_sys_ptrace", "--", "-c", "exec \"$@\"", "sh"])
            .arg(runtime())
            .arg("--root")
            .arg(lab.state_root())
            .args(["create", "--bundle"])
            .arg(bundle.path())
            .arg(&id)
            .run();
        assert_ne!(output.code(), 0, "{kind}: {output}");
        before.assert_untouched(&lab);
    }
}

/// Somebody holds the namespaces longer than the container lives: deletion does not mind.
#[test]
fn namespaces_that_outlive_the_container() {
    let lab = Lab::new();
    let container = lab.container(&sleeper(&lab)).detached();
    let pid = container.pid();
    let held: Vec<fs::File> = fs::read_dir(format!("/proc/{pid}/ns"))
        .expect("list")
        .flatten()
        .map(|entry| fs::File::open(entry.path()).expect("hold a namespace"))
        .collect();
    assert!(held.len() > 7);
    container.delete_force().assert_code(0);
    drop(held);
}

/// The first process moved on into namespaces of its own making: `exec` goes where it is, never to the host's, and
/// `verify` tells.
#[test]
fn init_that_has_moved_on() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.capabilities(&["CAP_SYS_ADMIN"]);
    bundle.args(&["unshare", "-u", "-i", "-n", "sh", "-c", "hostname moved; echo ready; exec sleep 60"]);
    let container = lab.container(&bundle).detached();
    let _ready = container.await_stdout("ready");
    let own = insula_tests::own_identities();
    let of_init = identities(container.pid());
    let said = container.inside("hostname; for ns in uts net ipc mnt pid; do readlink /proc/self/ns/$ns; done");
    assert!(said.starts_with("moved\n"), "{said}");
    for kind in ["uts", "network", "ipc", "mount", "pid"] {
        assert!(!said.contains(&format!("[{}]", own[kind].inode)), "{kind} is the host's: {said}");
        assert!(said.contains(&format!("[{}]", of_init[kind].inode)), "{kind}: {said}");
    }
    if is_insula() {
        assert_eq!(container.command("verify").run().code(), 2, "verify tells that it has moved");
    }
}

/// The pod's first container dies while another joins it, at many moments: success or a clean failure.
#[test]
fn a_pod_that_dies_while_it_is_joined() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    let (mut joined, mut refused) = (0, 0);
    for round in 0..if insula_tests::long() { 200 } else { 16 } {
        let infra = lab.container(&sleeper(&lab)).detached();
        let pid = infra.pid();
        let mut bundle = sleeper(&lab);
        for kind in ["pid", "network", "ipc"] {
            bundle.join(kind, infra.namespace_path(kind));
        }
        let member = lab.container(&bundle);
        let create = member.launch("create").arg(member.id()).start();
        std::thread::sleep(Duration::from_micros(500 * (round % 24)));
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("kill the pod's first process");
        let output = create.wait();
        assert!([0, 1].contains(&output.code()) && output.elapsed < Duration::from_secs(5), "{output}");
        if output.code() == 0 {
            joined += 1;
        } else {
            refused += 1;
        }
        member.delete_force().assert_code(0);
        infra.delete_force().assert_code(0);
        before.assert_clean(&lab);
        fs::remove_dir_all(bundle.path()).expect("remove the bundle");
    }
    assert!(joined + refused > 15);
}

/// What lies over parts of the container's own procfs by the time that kernel parameters are written is not written to.
#[test]
fn a_decoy_over_proc_sys() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let decoy = lab.write("decoy", "untouched\n");
    let hook = lab.script(
        "hook",
        &format!(
            "busybox mount --bind {0} {1}/proc/sys/net/ipv4/ip_forward && busybox mount --bind {0} {1}/proc/sys/kernel/shm_rmid_forced && echo mounted > {2}",
            decoy.display(),
            bundle.rootfs().display(),
            lab.path("mounted").display()
        ),
    );
    bundle.set("/hooks/createContainer", json!([{"path": hook.to_str()}]));
    bundle.set("/linux/readonlyPaths", json!([])).set("/linux/maskedPaths", json!([]));
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1"}));
    bundle.shell(
        "cat /proc/sys/net/ipv4/ip_forward; umount /proc/sys/net/ipv4/ip_forward; cat /proc/sys/net/ipv4/ip_forward",
    );
    bundle.capabilities(&["CAP_SYS_ADMIN"]);
    let output = lab.output_of(&bundle);
    assert!(lab.path("mounted").exists(), "the decoy was there");
    assert_eq!(fs::read_to_string(decoy).expect("read"), "untouched\n");
    assert_eq!(output, "untouched\n1\n");
}

/// Names of kernel parameters in every spelling, and values of more than one line: the host's stay as they are.
#[test]
fn kernel_parameters_of_the_host() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    let all = ["network", "ipc", "uts"];
    let cases: [(&str, &str, &[&str]); 22] = [
        ("kernel.core_pattern", "|/bin/false", &all),
        ("kernel/core_pattern", "|/bin/false", &all),
        ("net.ipv4.../../kernel.core_pattern", "x", &all),
        ("net/../kernel/core_pattern", "x", &all),
        ("net/ipv4/+/ip_forward", "1", &all),
        ("net.ipv4.ip_forward=", "1", &all),
        ("net.ipv4.ip_forward\n", "1", &all),
        ("net.ipv4.ip_forward\0", "1", &all),
        (" net.ipv4.ip_forward", "1", &all),
        ("net.ipv4.ip_forward", "1\n0", &all),
        ("net.ipv4.ip_forward", "1\0", &all),
        ("NET.ipv4.ip_forward", "1", &all),
        ("vm.swappiness", "1", &all),
        ("fs.mqueue", "1", &all),
        ("kernel.msgmax", "4096", &["network", "uts"]),
        ("kernel/shmmax", "4096", &["network", "uts"]),
        ("fs.mqueue.msg_max", "5", &["network", "uts"]),
        ("net.ipv4.ip_forward", "1", &["ipc", "uts"]),
        ("net/ipv4/conf/all/forwarding", "1", &["ipc", "uts"]),
        ("kernel.domainname", "taken", &["network", "ipc"]),
        ("kernel/hostname", "taken", &["network", "ipc"]),
        ("kernel.sysrq", "0", &all),
    ];
    for (name, value, own) in cases {
        let mut bundle = lab.bundle();
        for kind in all.iter().filter(|kind| !own.contains(*kind)) {
            bundle.inherit(kind);
            if *kind == "uts" {
                bundle.remove("/hostname");
            }
        }
        bundle.set("/linux/sysctl", json!({name: value}));
        let output = lab.container(&bundle).run();
        assert_eq!(output.code(), 1, "{name:?} = {value:?}: {output}");
        before.assert_clean(&lab);
        fs::remove_dir_all(bundle.path()).expect("remove the bundle");
    }
}

/// The procfs of whoever calls is missing, of another kind, or restricted: a clean failure, or it works; and nothing is
/// written into what is none.
#[test]
fn odd_procfs_of_the_caller() {
    let lab = Lab::new();
    let fake = lab.path("fake");
    fs::create_dir(&fake).expect("make a directory");
    for file in ["oom_score_adj", "uid_map", "gid_map", "setgroups", "timens_offsets"] {
        fs::create_dir_all(fake.join("self/fd")).expect("make a directory");
        fs::write(fake.join("self").join(file), "").expect("write");
    }
    let mut works = 0;
    for (what, mount) in [
        ("none", "busybox umount -l /proc"),
        ("tmpfs", "busybox mount -t tmpfs none /proc"),
        ("a directory", "busybox mount --bind $FAKE /proc"),
        ("hidepid", "busybox mount -t proc -o hidepid=2 proc /proc"),
        ("processes only", "busybox mount -t proc -o subset=pid proc /proc"),
        ("read-only", "busybox mount -t proc -o ro proc /proc"),
    ] {
        for user in [false, true] {
            let mut bundle = lab.bundle();
            bundle.set("/process/oomScoreAdj", json!(100)).set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
            if user {
                bundle.user_namespace().namespace("time").set("/linux/timeOffsets/monotonic", json!({"secs": 7}));
            }
            let script = format!("{mount} && exec \"$@\"");
            let output = lab
                .command("unshare")
                .args(["--mount", "sh", "-c", &script, "sh"])
                .env("FAKE", &fake)
                .arg(runtime())
                .arg("--root")
                .arg(lab.state_root())
                .args(["run", "--bundle"])
                .arg(bundle.path())
                .arg(lab.fresh_id())
                .run();
            assert!([0, 1].contains(&output.code()) && output.elapsed < Duration::from_secs(5), "{what}: {output}");
            works += i32::from(output.code() == 0);
            fs::remove_dir_all(bundle.path()).expect("remove the bundle");
        }
    }
    assert!(works >= 2, "at least behind hidepid it works");
    for entry in fs::read_dir(fake.join("self")).expect("list").flatten().filter(|entry| entry.path().is_file()) {
        assert_eq!(fs::read(entry.path()).expect("read"), b"", "{}", entry.path().display());
    }
}

/// The process that waits for its id maps is killed, and its number is free at once: the maps go to nobody else.
#[test]
fn init_dies_before_its_maps_are_written() {
    let lab = Lab::new();
    let mut bundle = sleeper(&lab);
    bundle.user_namespace();
    let before = Snapshot::take(&lab);
    let inject = "inject=openat:signal=SIGSTOP:when=1";
    let run = lab.command("strace").args(["-o", "/dev/null", "-P", "uid_map", "-e", "trace=openat", "-e", inject]);
    // Whatever the moment is: the first process is a child that nobody has waited for.
    let run = run.arg(runtime()).arg("--root").arg(lab.state_root()).args(["create", "--bundle"]).arg(bundle.path());
    let id = lab.fresh_id();
    let run = run.arg(&id).start();
    let child = |of: i32| {
        let children = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).ok()?;
        children.split_whitespace().next()?.parse::<i32>().ok()
    };
    let found = eventually("init", || {
        let runtime = child(run.pid())?;
        let init = child(runtime)?;
        Some((runtime, init))
    });
    let (stopped, init) = found;
    eventually("the runtime to stand still", || {
        let status = fs::read_to_string(format!("/proc/{stopped}/status")).ok()?;
        (status.contains("State:\tT") || status.contains("State:\tt")).then_some(())
    });
    // strace itself stops it for a moment at each call.
    std::thread::sleep(Duration::from_millis(300));
    let _ended = kill(Pid::from_raw(init), Signal::SIGKILL);
    // Not waited for, so nobody can have the number.
    let mut impostor = lab.command(hostile()).args(["impostor", &init.to_string()]).start();
    let refused = eventually("the impostor to be refused", || {
        (!impostor.is_running() || !impostor.stdout().is_empty()).then(|| impostor.stdout())
    });
    let zombie = fs::read_to_string(format!("/proc/{init}/stat")).unwrap_or_default();
    assert!(refused.is_empty() || zombie.is_empty(), "the number was used again while the runtime knew it: {refused}");
    let _continued = kill(Pid::from_raw(stopped), Signal::SIGCONT);
    let output = run.wait();
    assert!([0, 1].contains(&output.code()), "{output}");
    lab.words(&["delete", "--force", &id]).run();
    before.assert_clean(&lab);
}
