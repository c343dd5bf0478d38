// SPDX-License-Identifier: Apache-2.0
//! What cannot be done is said, and leaves the container as it was. Most of it needs no CRIU that works.

use crate::counter::{checkpoint, counting, images, is_gone, restore};
use insula_tests::{Container, Lab, Output, eventually, is_insula};
use std::fs;
use std::process::Command;
use std::time::Duration;

/// A stand-in for CRIU that does what `body` says.
pub(crate) fn stand_in(lab: &Lab, body: &str) -> String {
    fs::create_dir_all(lab.path("bin")).expect("a directory");
    lab.script("bin/criu", body);
    format!("{}:/usr/bin:/bin", lab.path("bin").display())
}

/// A container whose output is a file of the test's, which CRIU refuses.
pub(crate) fn sleeping(lab: &Lab) -> Container<'_> {
    let mut bundle = lab.bundle();
    // Where CRIU has interrupted it, sleep ends.
    bundle.shell("while :; do sleep 1000; done");
    lab.container(&bundle).detached()
}

#[test]
fn without_criu_the_package_is_named() {
    let lab = Lab::new();
    let container = sleeping(&lab);
    let output = checkpoint(&lab, &container).env("PATH", "/nowhere").run();
    output.fails_with(if is_insula() { &["package criu", "3.16"] } else { &["criu"] });
    assert_eq!(container.status(), "running");
}

#[test]
fn a_criu_that_does_not_work_is_quoted() {
    let lab = Lab::new();
    let container = sleeping(&lab);
    let path = stand_in(&lab, "echo 'Error (criu/vdso.c:381): vdso: no such area' >&2; exit 1");
    let output = checkpoint(&lab, &container).env("PATH", &path).run();
    output.fails_with(if is_insula() { &["checkpoint container", "vdso: no such area"] } else { &["criu"] });
    assert_eq!(container.status(), "running");
    fs::write(images(&lab).join("descriptors.json"), r#"["/dev/null","/dev/null","/dev/null"]"#).expect("write");
    let second = lab.container(&counting(&lab));
    let output = second.finish(restore(&lab, &second).env("PATH", &path));
    output.fails_with(if is_insula() { &["restore container", "vdso: no such area"] } else { &["criu"] });
    is_gone(&second);
}

#[test]
fn the_machines_own_criu_works_or_says_why_not() {
    if Command::new("criu").arg("--version").output().is_err() {
        insula_tests::skip!("there is no criu");
    }
    let lab = Lab::new();
    let container = sleeping(&lab);
    let output = checkpoint(&lab, &container).run();
    if output.code() != 0 {
        // The test's own files are the container's output; a CRIU that works says so.
        output.fails_with(&["checkpoint container", "criu", "error ("]);
        assert_eq!(container.status(), "running");
    }
}

#[test]
fn a_restore_that_waits_for_criu_can_be_killed() {
    let lab = Lab::new();
    let path = stand_in(&lab, "exec sleep 1000");
    fs::create_dir(images(&lab)).expect("a directory");
    fs::write(images(&lab).join("descriptors.json"), "[]").expect("write");
    let container = lab.container(&counting(&lab));
    let waiting = container.finish_later(restore(&lab, &container).env("PATH", &path));
    let home = lab.state_root().join(container.id());
    eventually("the intent", || home.join("intent").exists().then_some(()));
    std::thread::sleep(Duration::from_millis(100));
    drop(waiting);
    container.delete_force().assert_code(0);
    assert!(!home.exists());
}

#[test]
fn command_lines_that_cannot_be_meant() {
    let lab = Lab::new();
    let container = sleeping(&lab);
    let refuse = |options: &[&str], words: &[&str]| -> Output {
        let output = checkpoint(&lab, &container).args(options).run();
        output.fails_with(words);
        output
    };
    refuse(&["--parent-path", "/tmp/parent"], &["--parent-path"]);
    refuse(&["--parent-path", "./nowhere"], &["--parent-path"]);
    refuse(&["--page-server", "nowhere"], &["ADDRESS:PORT"]);
    refuse(&["--page-server", "127.0.0.1:x"], if is_insula() { &["ADDRESS:PORT"] } else { &["port"] });
    refuse(&["--manage-cgroups-mode", "hard"], &["manage-cgroups-mode"]);
    refuse(&["--empty-ns", "pid"], &["is not supported"]);
    assert_eq!(container.status(), "running");
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "1000"]);
    let created = lab.container(&bundle).created();
    checkpoint(&lab, &created).run().fails_with(&["created"]);
    let fresh = lab.container(&bundle);
    let output = fresh.finish(fresh.launch("restore").arg("--image-path").arg(lab.path("none")));
    output.fails_with(&[lab.path("none").to_str().expect("text")]);
    is_gone(&fresh);
}
