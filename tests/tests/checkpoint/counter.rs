// SPDX-License-Identifier: Apache-2.0
//! The container that most of these tests save: it counts, so that a gap or a new beginning shows.

use insula_tests::{Bundle, Container, Invocation, Lab, eventually, is_insula};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Why CRIU cannot be used here for `feature` (empty: for anything), if it cannot.
pub(crate) fn lacking(feature: &str) -> Option<String> {
    let mut check = Command::new("criu");
    check.arg("check");
    if !feature.is_empty() {
        check.args(["--feature", feature]);
    }
    match check.output() {
        Err(error) => Some(format!("criu: {error}")),
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let line = text.lines().find(|line| line.contains("Error")).unwrap_or(&text);
            Some(format!("`criu check {feature}` fails: {line}"))
        }
    }
}

/// Ends the test unless there is a CRIU that works, with the feature named.
macro_rules! needs_criu {
    () => {
        needs_criu!("")
    };
    ($feature:expr) => {
        if let Some(reason) = $crate::counter::lacking($feature) {
            insula_tests::skip!("{reason}");
        }
    };
}
pub(crate) use needs_criu;

/// A bundle that counts in a file of its own tmpfs, five times a second.
pub(crate) fn counting(lab: &Lab) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.writable().tmpfs("/counter", &[]);
    bundle.shell("i=0; while :; do i=$((i+1)); echo $i > /counter/new; mv /counter/new /counter/i; sleep 0.2; done");
    bundle
}

/// A container of [`counting`] with `edit`'s changes, which has begun to count.
#[track_caller]
pub(crate) fn counter(lab: &Lab, edit: impl for<'b> FnOnce(&'b mut Bundle) -> &'b mut Bundle) -> Container<'_> {
    let mut bundle = counting(lab);
    edit(&mut bundle);
    let container = lab.container(&bundle);
    run(&container);
    container
}

/// Runs `script` in the background of the container.
#[track_caller]
pub(crate) fn beside(container: &Container<'_>, script: &str) {
    container.inside(&format!("({script}) </dev/null >/dev/null 2>&1 &"));
}

/// `run --detach`, with the caller's files kept out of the container, until it has counted once.
#[track_caller]
pub(crate) fn run(container: &Container<'_>) {
    let mut started = container.launch("run").arg("--detach").arg(container.id()).output_to(Stdio::null);
    eventually("the container to be started", || (!started.is_running()).then_some(()));
    assert_eq!(container.status(), "running");
    await_file(container, "/counter/i");
}

/// Waits until `path` inside has content.
#[track_caller]
pub(crate) fn await_file(container: &Container<'_>, path: &str) {
    eventually(&format!("{path} in the container"), || {
        let shown = container.exec(&["cat", path]);
        (shown.code() == 0 && !shown.text().is_empty()).then_some(())
    });
}

#[track_caller]
pub(crate) fn count(container: &Container<'_>) -> u64 {
    container.inside("cat /counter/i").trim().parse().expect("a number")
}

pub(crate) fn images(lab: &Lab) -> PathBuf {
    lab.path("images")
}

/// `checkpoint` into [`images`].
pub(crate) fn checkpoint(lab: &Lab, container: &Container<'_>) -> Invocation {
    container.command("checkpoint").arg("--image-path").arg(images(lab))
}

/// `restore --detach` of `container`'s id from [`images`].
pub(crate) fn restore(lab: &Lab, container: &Container<'_>) -> Invocation {
    container.launch("restore").arg("--detach").arg("--image-path").arg(images(lab)).stdin(Stdio::null())
}

/// Restores it; it must run, and be what its document says.
#[track_caller]
pub(crate) fn restored(lab: &Lab, container: &Container<'_>, options: &[&str]) {
    container.finish(restore(lab, container).args(options)).assert_code(0);
    assert_eq!(container.status(), "running");
    if is_insula() {
        container.command("verify").ok();
    }
}

/// Saves it with `options`, which ends it, and restores it with them.
#[track_caller]
pub(crate) fn there_and_back(lab: &Lab, container: &Container<'_>, options: &[&str]) {
    let before = count(container);
    checkpoint(lab, container).args(options).ok();
    is_gone(container);
    restored(lab, container, options);
    goes_on_from(container, before);
}

/// The container is gone: `state` does not know it.
#[track_caller]
pub(crate) fn is_gone(container: &Container<'_>) {
    container.command("state").run().fails_with(&["does not exist"]);
}

/// The counter continues where it was, rather than from 1.
#[track_caller]
pub(crate) fn goes_on_from(container: &Container<'_>, before: u64) {
    let now = count(container);
    assert!(now >= before && now < before + 1000, "{before} before, {now} now");
    eventually("the counter to go on", || (count(container) > now).then_some(()));
}
