// SPDX-License-Identifier: Apache-2.0
//! What a user without permission for any cgroup gets.

use crate::scratch::{cannot_run, default_rules, resources};
use insula_cgroup::{Group, Layout};
use insula_error::Kind;
use std::process::Command;

const NOBODY: &str = "65534";
const AGAIN: &str = "INSULA_CGROUP_TEST_AS_NOBODY";

/// Runs the test below once more as nobody.
#[test]
fn as_nobody() {
    if cannot_run() {
        return;
    }
    let program = std::env::current_exe().unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
        .arg(program)
        .args(["--exact", "rootless::nothing_is_made_without_permission", "--nocapture"])
        .env(AGAIN, "1")
        .current_dir("/")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"));
}

#[test]
fn nothing_is_made_without_permission() {
    if std::env::var_os(AGAIN).is_none() {
        return;
    }
    let plan = |path: &str| Group::plan(Layout::probe().unwrap(), "insula-test-nobody", path, &resources("{}"), true);
    let created = plan("").unwrap().create().unwrap();
    assert!(created.is_none() && created.left_out().is_some_and(|error| error.errno().is_some()));
    // no limits asked for: no error
    created.apply(&resources("{}"), &default_rules()).unwrap();
    assert!(created.pids(true).unwrap().is_empty() && !created.frozen().unwrap());
    let doors = created.open_for_join(&[]).unwrap();
    assert!(doors.clone_target().is_none());
    let error = created.apply(&resources(r#"{"pids":{"limit":20}}"#), &default_rules()).unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (Kind::Unsupported, Some("/linux/resources/pids/limit")));
    let text = error.to_string();
    assert!(text.contains("cannot set pids limit: container could not join or create cgroup"), "{text}");
    assert!(text.contains("delegated"), "{text}");
    // a path of the document's own is not to be overlooked
    let error = plan("/insula-test-nobody").unwrap().create().unwrap_err();
    let text = error.to_string();
    assert!(matches!(error.kind(), Kind::Kernel(_)), "{text}");
    assert!(text.contains("unable to apply cgroup configuration") && text.contains("permission denied"), "{text}");
}
