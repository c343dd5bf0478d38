// SPDX-License-Identifier: Apache-2.0
//! One container from the outside: the life-cycle commands, with the test's state root.

use crate::invocation::{Background, Invocation, Output};
use crate::lab::Lab;
use crate::wait::eventually;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A container of a [`Lab`]. Deleted by force when dropped.
#[derive(Debug)]
pub struct Container<'lab> {
    lab: &'lab Lab,
    id: String,
    bundle: PathBuf,
    /// Where the output of `create` and `run` goes, and the container's own with it.
    capture: PathBuf,
}

impl<'lab> Container<'lab> {
    pub(crate) fn new(lab: &'lab Lab, bundle: &Path) -> Self {
        let id = lab.fresh_id();
        let capture = lab.path("out").join(&id);
        Self { lab, id, bundle: bundle.to_owned(), capture }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `create` or `run` with this container's bundle, ready for more options; end with [`finish`](Self::finish).
    pub fn launch(&self, command: &str) -> Invocation {
        self.lab.insula().capture_in(&self.capture).arg(command).arg("--bundle").arg(&self.bundle)
    }

    /// Adds the id to [`launch`](Self::launch) and runs it.
    #[track_caller]
    pub fn finish(&self, launch: Invocation) -> Output {
        launch.arg(&self.id).run()
    }

    /// As [`finish`](Self::finish), but does not wait; the command is killed when the value is dropped.
    #[track_caller]
    pub fn finish_later(&self, launch: Invocation) -> Background {
        launch.arg(&self.id).start()
    }

    /// `create`.
    #[track_caller]
    pub fn create(&self) -> Output {
        self.finish(self.launch("create"))
    }

    /// `create`, which must succeed.
    #[track_caller]
    #[must_use]
    pub fn created(self) -> Self {
        self.create().assert_code(0);
        self
    }

    /// `start`.
    #[track_caller]
    pub fn start(&self) -> Output {
        self.command("start").run()
    }

    /// `run` in the foreground.
    #[track_caller]
    pub fn run(&self) -> Output {
        self.finish(self.launch("run"))
    }

    /// `run --detach`, which must succeed.
    #[track_caller]
    #[must_use]
    pub fn detached(self) -> Self {
        self.finish(self.launch("run").arg("--detach")).assert_code(0);
        self
    }

    /// `<command> <id>`.
    pub fn command(&self, command: &str) -> Invocation {
        self.lab.insula().arg(command).arg(&self.id)
    }

    /// `exec <id> <words>`.
    #[track_caller]
    pub fn exec<A: AsRef<OsStr>>(&self, words: &[A]) -> Output {
        self.command("exec").args(words).run()
    }

    /// What a shell script prints inside; it must succeed.
    #[track_caller]
    pub fn inside(&self, script: &str) -> String {
        let output = self.exec(&["sh", "-c", script]);
        output.assert_code(0);
        output.stdout
    }

    /// `kill <id> <signal>`.
    #[track_caller]
    pub fn kill(&self, signal: &str) -> Output {
        self.command("kill").arg(signal).run()
    }

    /// `delete`.
    #[track_caller]
    pub fn delete(&self) -> Output {
        self.command("delete").run()
    }

    /// `delete --force`.
    #[track_caller]
    pub fn delete_force(&self) -> Output {
        self.lab.insula().args(["delete", "--force"]).arg(&self.id).run()
    }

    /// What `state` prints; it must succeed.
    #[track_caller]
    pub fn state(&self) -> Value {
        self.command("state").ok().json()
    }

    /// The status that `state` reports.
    #[track_caller]
    pub fn status(&self) -> String {
        self.state()["status"].as_str().expect("status is text").to_owned()
    }

    /// The process id of the container's first process, as the host sees it.
    #[track_caller]
    pub fn pid(&self) -> i32 {
        let pid = self.state()["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("pid is a number");
        assert!(pid > 0, "the container has no process");
        pid
    }

    /// Waits until `state` reports `status`.
    #[track_caller]
    pub fn await_status(&self, status: &str) {
        eventually(&format!("{} to be {status}", self.id), || (self.status() == status).then_some(()));
    }

    /// What a created or detached container has printed so far.
    pub fn stdout(&self) -> String {
        let bytes = std::fs::read(self.capture.with_extension("stdout")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until the container has printed `text`.
    #[track_caller]
    pub fn await_stdout(&self, text: &str) -> String {
        eventually(&format!("{} to print {text:?}", self.id), || Some(self.stdout()).filter(|said| said.contains(text)))
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let known = self.lab.state_root().join(&self.id).exists();
        if std::thread::panicking() {
            // The test's own failure is what should be seen.
            self.lab.insula().args(["delete", "--force"]).arg(&self.id).start().wait_quietly();
        } else if known {
            self.delete_force().assert_code(0);
        }
    }
}
