// SPDX-License-Identifier: Apache-2.0
//! `pause` and `resume`.

use insula_tests::{Lab, eventually};
use std::time::Duration;

#[test]
fn a_paused_container_stands_still_and_goes_on() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("while true; do echo tick; sleep 0.01; done");
    let container = lab.container(&bundle).detached();
    container.await_stdout("tick");
    container.command("pause").run().assert_code(0);
    assert_eq!(container.status(), "paused");
    let before = container.stdout().len();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(container.stdout().len(), before, "it ran on");
    container.command("resume").run().assert_code(0);
    assert_eq!(container.status(), "running");
    eventually("more output", || (container.stdout().len() > before).then_some(()));
}

#[test]
fn exec_waits_only_if_told_to() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    container.command("pause").run().assert_code(0);
    let refused = container.exec(&["true"]);
    refused.assert_code(255);
    refused.says(&["cannot exec in a paused container"]);
    let waiting = lab.insula().args(["exec", "--ignore-paused", container.id(), "echo", "late"]).start();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(waiting.stdout(), "");
    container.command("resume").run().assert_code(0);
    assert_eq!(waiting.wait().text(), "late");
}

#[test]
fn what_cannot_be_paused_or_resumed() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    container.command("resume").run().fails_with(&["not paused"]);
    container.command("pause").run().assert_code(0);
    container.command("pause").run().fails_with(&["already paused"]);
    // A frozen process cannot die; kill sees to that.
    container.kill("KILL").assert_code(0);
    container.await_status("stopped");
    container.command("pause").run().fails_with(&["not running"]);
    container.command("resume").run().fails_with(&["not running"]);
}
