// SPDX-License-Identifier: Apache-2.0
//! Faults at every system call of a command and of the container's first process, one after the other: killed, stopped
//! and then killed, or the call fails. The command must end by itself within seconds; what fails leaves nothing; one
//! `delete --force` brings everything back to where it was; and the id can be used again.
//!
//! By default some points of each command, spread over its calls and the faults, without those between two calls of the
//! same kind. `INSULA_SWEEP=1` takes all of them, `INSULA_SWEEP=5` every fifth; `INSULA_CALLERS` says how many are tried at
//! the same time; `INSULA_FAULTS` names a file to which a line about each command is added, `INSULA_POINTS` one with a line
//! about each point, which is not tried again then; `INSULA_KINDS=SIGKILL,ENOSPC` tries these faults alone.
#![cfg(target_arch = "x86_64")]

mod attempt;
mod sweep;

use attempt::{Case, Stage, alone, nothing_left};
use insula_tests::injector::{Fault, inject};
use insula_tests::{Bundle, Container, Donor, Lab, json};
use sweep::{FAULTS, STOP, every, sweep};

/// A few points, or all, and then those as well at which it stands still.
fn faults(case: &Case<'_>) {
    match every() {
        Some(step) => {
            let all: Vec<Fault> = FAULTS.into_iter().chain([STOP]).collect();
            sweep(case, &all, |_| step);
        }
        None => sweep(case, &FAULTS, |pairs| pairs / case.few),
    }
}

fn created(container: &Container<'_>) {
    container.create().assert_code(0);
}

fn running(container: &Container<'_>) {
    container.finish(container.launch("run").arg("--detach")).assert_code(0);
}

const CREATE: &[&str] = &["create", "--bundle", "BUNDLE", "ID"];

#[test]
fn create() {
    faults(&Case {
        name: "create",
        few: 50,
        words: CREATE,
        dies_with_creator: true,
        failed: &nothing_left,
        ..Case::default()
    });
}

#[test]
fn create_with_every_namespace() {
    let edit = |bundle: &mut Bundle| {
        for kind in ["cgroup", "time"] {
            bundle.namespace(kind);
        }
        bundle.user_namespace().set("/linux/timeOffsets/monotonic", json!({"secs": 5}));
    };
    let name = "create with eight namespaces";
    faults(&Case {
        name,
        few: 24,
        edit: &edit,
        words: CREATE,
        dies_with_creator: true,
        failed: &nothing_left,
        ..Case::default()
    });
}

/// Without a pid namespace the end of init takes nobody along.
#[test]
fn create_in_the_hosts_pid_namespace() {
    let edit = |bundle: &mut Bundle| {
        bundle.inherit("pid");
    };
    let name = "create with the host's processes";
    faults(&Case {
        name,
        edit: &edit,
        words: CREATE,
        dies_with_creator: true,
        failed: &nothing_left,
        ..Case::default()
    });
}

/// Without a mount namespace every mount is the caller's, and has to go with the container.
#[test]
fn in_the_hosts_mount_namespace() {
    let edit = |bundle: &mut Bundle| {
        bundle.inherit("mount");
    };
    faults(&Case {
        name: "create with the host's mounts",
        few: 24,
        edit: &edit,
        words: CREATE,
        dies_with_creator: true,
        failed: &nothing_left,
        ..Case::default()
    });
    let words = &["delete", "--force", "ID"];
    faults(&Case { name: "delete with the host's mounts", edit: &edit, prepare: &running, words, ..Case::default() });
}

/// A mount namespace of others is entered, and never changed: there is nothing of it to be left.
#[test]
fn in_a_joined_mount_namespace() {
    let donor = |lab: &Lab, bundle: &mut Bundle| {
        let donor = Donor::new(lab, &["mount"]);
        bundle.join("mount", donor.path("mount")).set("/mounts", json!([])).set("/root/readonly", json!(false));
        for pointer in ["/linux/maskedPaths", "/linux/readonlyPaths"] {
            bundle.remove(pointer);
        }
        bundle.set("/process/cwd", json!("/"));
        Some(donor)
    };
    faults(&Case {
        name: "create in a joined mount namespace",
        donor: &donor,
        words: CREATE,
        dies_with_creator: true,
        failed: &nothing_left,
        ..Case::default()
    });
}

#[test]
fn create_with_hooks() {
    let edit = |bundle: &mut Bundle| {
        let hook = json!([{"path": "/bin/true"}]);
        for list in ["createRuntime", "createContainer", "poststop"] {
            bundle.set(&format!("/hooks/{list}"), hook.clone());
        }
    };
    let name = "create with hooks";
    faults(&Case { name, edit: &edit, words: CREATE, failed: &nothing_left, ..Case::default() });
}

#[test]
fn run() {
    let words = &["run", "--detach", "--bundle", "BUNDLE", "ID"];
    faults(&Case { name: "run", few: 24, words, failed: &nothing_left, ..Case::default() });
}

#[test]
fn start() {
    faults(&Case { name: "start", prepare: &created, words: &["start", "ID"], ..Case::default() });
}

#[test]
fn exec() {
    let words = &["exec", "--detach", "ID", "sleep", "60"];
    faults(&Case { name: "exec", few: 24, prepare: &running, words, failed: &alone, ..Case::default() });
}

#[test]
fn kill() {
    faults(&Case { name: "kill", prepare: &running, words: &["kill", "ID", "KILL"], ..Case::default() });
}

#[test]
fn delete() {
    let words = &["delete", "--force", "ID"];
    faults(&Case { name: "delete", few: 16, prepare: &running, words, ..Case::default() });
}

#[test]
fn update() {
    let words = &["update", "--memory", "64m", "ID"];
    faults(&Case { name: "update", prepare: &running, words, ..Case::default() });
}

#[test]
fn pause() {
    faults(&Case { name: "pause", prepare: &running, words: &["pause", "ID"], ..Case::default() });
}

#[test]
fn resume() {
    let prepare = |container: &Container<'_>| {
        running(container);
        container.command("pause").ok();
    };
    faults(&Case { name: "resume", prepare: &prepare, words: &["resume", "ID"], ..Case::default() });
}

/// A command that stands still for a while before it dies: nothing that waits for it does so for ever. A sweep has it at
/// every call.
#[test]
fn stopped_and_then_killed() {
    if every().is_some() {
        return;
    }
    let stop = [STOP];
    sweep(
        &Case {
            name: "create, stopped",
            words: CREATE,
            dies_with_creator: true,
            failed: &nothing_left,
            ..Case::default()
        },
        &stop,
        |pairs| pairs / 3,
    );
    let words = &["delete", "--force", "ID"];
    sweep(&Case { name: "delete, stopped", prepare: &running, words, ..Case::default() }, &stop, |pairs| pairs / 2);
    let words = &["exec", "--detach", "ID", "sleep", "60"];
    sweep(&Case { name: "exec, stopped", prepare: &running, words, ..Case::default() }, &stop, |pairs| pairs / 2);
}

/// The creator dies right before the container is recorded, right after, or once init has its word to wait: init ends
/// with it, or waits for its start.
#[test]
fn the_creator_dies_around_the_record() {
    /// renameat(2), the record's last step.
    const RENAMEAT: u64 = 264;
    let case = Case { name: "create", words: CREATE, dies_with_creator: true, ..Case::default() };
    let stage = Stage::new(&case);
    let points = stage.points(&case);
    let own: Vec<_> = points.iter().filter(|point| point.process == 0).collect();
    let last = own.iter().rposition(|point| point.number == RENAMEAT).expect("the record is renamed to its place");
    let end = own.last().expect("a trace");
    for point in [own[last], own[last + 1], end] {
        let verdict = stage.attempt(&case, *point, Fault::Kill);
        assert!(verdict.hit && verdict.wrong.is_empty() && verdict.slow.is_empty(), "{point:?}: {verdict:?}");
    }
    let container = stage.lab.container(&stage.bundle);
    let killed = inject(stage.command(&container, case.words), Some((**end, Fault::Kill)));
    assert!(killed.hit, "{killed:?}");
    assert_eq!(container.status(), "created");
    container.start().assert_code(0);
    assert_eq!(container.status(), "running");
}

/// The process between `exec` and what it starts is killed around its fork: nobody waits for its word for ever.
#[test]
fn the_process_in_between_is_killed() {
    /// sendmsg(2), clone3(2)
    const AROUND: [u64; 2] = [46, 435];
    let words = &["exec", "--detach", "ID", "sleep", "60"];
    let case = Case { name: "exec", prepare: &running, words, failed: &alone, ..Case::default() };
    let stage = Stage::new(&case);
    let points = stage.points(&case);
    let chosen: Vec<_> = points.iter().filter(|point| point.process == 1 && AROUND.contains(&point.number)).collect();
    assert!(chosen.len() > 1, "a fork, and the word about it: {chosen:?}");
    for point in chosen {
        let verdict = stage.attempt(&case, *point, Fault::Kill);
        assert!(verdict.wrong.is_empty() && verdict.slow.is_empty(), "{point:?}: {verdict:?}");
    }
}
