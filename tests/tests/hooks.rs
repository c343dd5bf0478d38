// SPDX-License-Identifier: Apache-2.0
//! The six kinds of hooks: order, state, namespaces, time-outs, failures. Source: runtime-spec, config.md "POSIX-platform
//! Hooks" and runtime.md "Lifecycle".

use insula_tests::{Bundle, Identities, Lab, Snapshot, Value, json, own_identities, parse_json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// In the order in which they run.
const KINDS: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// Reads the state and writes down everything that the tests look at. `$1` is the kind, `$2` the directory.
const RECORD: &str = "cat > $2/$1.state; echo $1 >> $2/order; \
    for link in /proc/self/ns/*; do echo ${link##*/} $(readlink $link); done > $2/$1.ns; \
    env > $2/$1.env; pwd > $2/$1.cwd; readlink /proc/self/root > $2/$1.root; ls / > $2/$1.ls";

/// A bundle whose hooks all record into the returned directory. It is at the same path inside, for the hooks that
/// run there.
fn recorded(lab: &Lab) -> (Bundle, PathBuf) {
    let records = lab.path("records");
    fs::create_dir(&records).expect("make a directory");
    let mut bundle = lab.bundle();
    bundle.writable().bind(&records, records.to_str().expect("paths are text"), &[]);
    bundle.set("/annotations", json!({"key": "value"}));
    for kind in KINDS {
        add_hook(&mut bundle, kind, RECORD, &[kind, records.to_str().expect("paths are text")]);
    }
    (bundle, records)
}

/// Appends a hook that runs a shell script.
fn add_hook(bundle: &mut Bundle, kind: &str, script: &str, arguments: &[&str]) {
    let mut args = vec!["sh", "-c", script, "hook"];
    args.extend(arguments);
    let hook = json!({"path": "/bin/sh", "args": args, "env": ["PATH=/bin:/usr/bin", "MARK=hook"]});
    bundle.push(&format!("/hooks/{kind}"), hook);
}

fn read(records: &Path, name: &str) -> String {
    fs::read_to_string(records.join(name)).unwrap_or_default()
}

fn state(records: &Path, kind: &str) -> Value {
    parse_json(read(records, &format!("{kind}.state")))
}

#[test]
fn hooks_run_in_order() {
    let lab = Lab::new();
    let (mut bundle, records) = recorded(&lab);
    bundle.shell(&format!("echo program >> {}/order", records.display()));
    let container = lab.container(&bundle);
    container.create().assert_code(0);
    assert_eq!(read(&records, "order"), "prestart\ncreateRuntime\ncreateContainer\n");
    container.start().assert_code(0);
    container.await_status("stopped");
    // poststart and the program run side by side.
    let order = read(&records, "order");
    let lines: Vec<_> = order.lines().collect();
    assert_eq!(lines[..4], ["prestart", "createRuntime", "createContainer", "startContainer"]);
    let mut rest = lines[4..].to_vec();
    rest.sort_unstable();
    assert_eq!(rest, ["poststart", "program"]);
    container.delete().assert_code(0);
    assert!(read(&records, "order").ends_with("\npoststop\n"));
}

#[test]
fn hooks_run_around_a_foreground_run() {
    let lab = Lab::new();
    let (mut bundle, records) = recorded(&lab);
    bundle.args(&["echo", "program"]);
    assert_eq!(lab.output_of(&bundle), "program\n");
    let order = read(&records, "order");
    assert_eq!(order.lines().collect::<Vec<_>>(), KINDS);
}

#[test]
fn hooks_read_the_state() {
    let lab = Lab::new();
    let (mut bundle, records) = recorded(&lab);
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).created();
    let pid = container.pid();
    container.start().assert_code(0);
    container.delete_force().assert_code(0);
    let statuses = [
        ("prestart", "creating"),
        ("createRuntime", "creating"),
        ("createContainer", "creating"),
        ("startContainer", "created"),
        ("poststart", "running"),
        ("poststop", "stopped"),
    ];
    for (kind, status) in statuses {
        let state = state(&records, kind);
        assert_eq!(state["status"], status, "{kind}");
        assert_eq!(state["id"], container.id(), "{kind}");
        assert_eq!(state["bundle"], bundle.path().to_str().expect("paths are text"), "{kind}");
        assert_eq!(state["annotations"], json!({"key": "value"}), "{kind}");
        assert!(state["ociVersion"].as_str().is_some_and(|version| version.starts_with("1.")), "{kind}");
        if !["startContainer", "createContainer", "poststop"].contains(&kind) {
            assert_eq!(state["pid"], pid, "{kind}");
        }
    }
}

/// The identities that a hook has written down.
fn recorded_namespaces(records: &Path, kind: &str) -> String {
    read(records, &format!("{kind}.ns"))
}

#[track_caller]
fn assert_in(namespaces: &str, identities: &Identities, kinds: &[&str], expected: bool, hook: &str) {
    for kind in kinds {
        let inside = namespaces.contains(&format!("[{}]", identities[kind].inode));
        assert_eq!(inside, expected, "{hook}: the {kind} namespace; {namespaces}");
    }
}

#[test]
fn hooks_run_in_the_right_namespaces() {
    let lab = Lab::new();
    let (mut bundle, records) = recorded(&lab);
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    let (own, inside) = (own_identities(), insula_tests::identities(container.pid()));
    container.delete_force().assert_code(0);
    let kinds = ["mount", "network", "pid", "ipc", "uts"];
    for hook in ["prestart", "createRuntime", "poststart", "poststop"] {
        assert_in(&recorded_namespaces(&records, hook), &own, &kinds, true, hook);
    }
    for hook in ["createContainer", "startContainer"] {
        assert_in(&recorded_namespaces(&records, hook), &inside, &kinds, true, hook);
    }
    // createContainer sees the host's tree, before the root changes; startContainer the container's.
    let host = read(&records, "createRuntime.ls");
    assert_eq!(read(&records, "createContainer.ls"), host);
    assert_ne!(read(&records, "startContainer.ls"), host);
}

#[test]
fn hooks_have_their_own_environment() {
    let lab = Lab::new();
    let (bundle, records) = recorded(&lab);
    lab.output_of(&bundle);
    for kind in KINDS {
        let environment = read(&records, &format!("{kind}.env"));
        assert!(environment.contains("MARK=hook"), "{kind}: {environment}");
        assert!(!environment.contains("INSULA_TEST="), "{kind} has the caller's environment: {environment}");
    }
}

#[test]
fn hooks_without_an_environment() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let record = lab.path("record");
    let script = lab.script("hook", &format!("echo \"$INSULA_TEST\" >> {}", record.display()));
    bundle
        .set("/hooks", json!({"createRuntime": [{"path": script.to_str()}], "poststop": [{"path": script.to_str()}]}));
    let container = lab.container(&bundle);
    container.finish(container.launch("create").env("INSULA_TEST", "the runtime's")).assert_code(0);
    lab.insula().args(["delete", "--force", container.id()]).env("INSULA_TEST", "delete's").ok();
    assert_eq!(fs::read_to_string(record).expect("both ran"), "the runtime's\ndelete's\n");
}

#[test]
fn several_hooks_of_a_kind_run_in_their_order() {
    let lab = Lab::new();
    let record = lab.path("record");
    let mut bundle = lab.bundle();
    for number in ["1", "2", "3"] {
        add_hook(&mut bundle, "createRuntime", "echo $1 >> $2", &[number, record.to_str().expect("paths are text")]);
    }
    lab.output_of(&bundle);
    assert_eq!(fs::read_to_string(record).expect("hooks ran"), "1\n2\n3\n");
}

#[test]
fn a_failing_hook_fails_the_create() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let lab = Lab::new();
        let mut bundle = lab.bundle();
        add_hook(&mut bundle, kind, "echo reason-why >&2; exit 3", &[]);
        let poststop = lab.path("poststop-ran");
        let before = Snapshot::take(&lab);
        let output = lab.container(&bundle).create();
        output.fails_with(&["hook", "reason-why"]);
        before.assert_clean(&lab);

        // The specification: a failure goes on with deletion, so poststop runs, too.
        add_hook(&mut bundle, "poststop", "touch $1", &[poststop.to_str().expect("paths are text")]);
        lab.container(&bundle).run().fails_with(&["hook"]);
        before.assert_clean(&lab);
        assert!(poststop.exists(), "{kind}: poststop must run");
    }
}

#[test]
fn a_failing_start_container_hook_fails_the_start() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["echo", "program"]);
    add_hook(&mut bundle, "startContainer", "exit 3", &[]);
    let container = lab.container(&bundle).created();
    let start = container.start();
    // runc's start does not wait for the hook; in both cases the program must not run.
    container.await_status("stopped");
    assert!(!container.stdout().contains("program"), "{start}");
    container.delete().assert_code(0);
    let run = lab.container(&bundle).run();
    assert_ne!(run.code(), 0, "{run}");
    assert!(!run.stdout.contains("program"), "{run}");
}

#[test]
fn a_failing_poststart_hook_fails_the_start_and_stops_the_container() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    add_hook(&mut bundle, "poststart", "exit 3", &[]);
    let container = lab.container(&bundle).created();
    let pid = container.pid();
    container.start().fails_with(&["hook"]);
    insula_tests::eventually("the container to end", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        (status.is_empty() || status.contains("State:\tZ")).then_some(())
    });
}

#[test]
fn a_failing_poststop_hook_is_only_warned_of() {
    let lab = Lab::new();
    let record = lab.path("record");
    let mut bundle = lab.bundle();
    add_hook(&mut bundle, "poststop", "exit 3", &[]);
    add_hook(&mut bundle, "poststop", "echo second > $1", &[record.to_str().expect("paths are text")]);
    let container = lab.container(&bundle).created();
    let delete = container.delete_force();
    delete.assert_code(0);
    delete.says(&["hook"]);
    assert!(record.exists(), "the others run all the same");
}

#[test]
fn hooks_are_ended_at_their_time_out() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let lab = Lab::new();
        let mut bundle = lab.bundle();
        add_hook(&mut bundle, kind, "sleep 71 & sleep 72", &[]);
        bundle.set(&format!("/hooks/{kind}/0/timeout"), json!(1));
        let before = Snapshot::take(&lab);
        let output = lab.container(&bundle).create();
        output.fails_with(&["hook"]);
        assert!(output.elapsed >= Duration::from_millis(900), "{kind}: {:?}", output.elapsed);
        assert!(output.elapsed < Duration::from_secs(6), "{kind}: {:?}", output.elapsed);
        // Not even the hook's own children.
        before.assert_clean(&lab);
    }
}

/// The runtime is killed in the middle of a create. Nothing of it may keep `delete --force` from its work.
#[test]
fn a_runtime_killed_during_a_hook() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let lab = Lab::new();
        let mut bundle = lab.bundle();
        let started = lab.path("started");
        add_hook(&mut bundle, kind, "touch $1; exec sleep 73", &[started.to_str().expect("paths are text")]);
        let container = lab.container(&bundle);
        let create = container.launch("create").arg(container.id()).start();
        insula_tests::eventually("the hook to start", || started.exists().then_some(()));
        // Dropping kills with SIGKILL.
        drop(create);
        let delete = container.delete_force();
        delete.assert_code(0);
        assert!(delete.elapsed < Duration::from_secs(3), "{kind}: {:?}", delete.elapsed);
    }
}

#[test]
fn a_hook_within_its_time_out() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    add_hook(&mut bundle, "createRuntime", "sleep 0.2", &[]);
    bundle.set("/hooks/createRuntime/0/timeout", json!(20));
    lab.output_of(&bundle);
}

#[test]
fn hooks_that_do_not_exist() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let lab = Lab::new();
        let mut bundle = lab.bundle();
        bundle.push(&format!("/hooks/{kind}"), json!({"path": "/nosuch/hook"}));
        let before = Snapshot::take(&lab);
        lab.container(&bundle).create().fails_with(&["/nosuch/hook"]);
        before.assert_clean(&lab);
    }
}

#[test]
fn hooks_that_ignore_their_standard_input_and_print_much() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/annotations", json!({"large": "x".repeat(300_000)}));
    for kind in KINDS {
        add_hook(&mut bundle, kind, "exec <&-; head -c 3000000 /dev/zero", &[]);
    }
    let output = lab.container(&bundle).run();
    output.assert_code(0);
    assert!(output.stdout.len() < 4096, "the hooks' output is not the container's");
}

#[test]
fn a_hook_that_is_killed_by_a_signal() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    add_hook(&mut bundle, "createRuntime", "kill -KILL $$", &[]);
    lab.container(&bundle).create().fails_with(&["hook", "signal"]);
}

#[test]
fn hooks_can_set_up_the_network() {
    // What engines do with createRuntime: the namespace of the pid in the state is complete.
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let script =
        "pid=$(sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p'); nsenter -t $pid -n ip link add name made type dummy";
    add_hook(&mut bundle, "createRuntime", script, &[]);
    bundle.args(&["ls", "/sys/class/net"]);
    let output = lab.container(&bundle).run();
    if output.stderr.contains("Unknown device type") || output.stderr.contains("not supported") {
        insula_tests::skip!("this kernel has no dummy interfaces");
    }
    output.assert_code(0);
    assert!(output.stdout.contains("made\n"), "{output}");
}
