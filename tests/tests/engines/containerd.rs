// SPDX-License-Identifier: Apache-2.0
//! containerd with `ctr run --runc-binary`.

use crate::daemon::{Daemon, is_installed};
use insula_tests::{Lab, Output, eventually, patience, populate_rootfs, runtime, skip};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The one containerd; `Err` says why there is none.
fn containerd() -> Result<&'static Daemon, &'static str> {
    static CONTAINERD: OnceLock<Result<Daemon, String>> = OnceLock::new();
    CONTAINERD.get_or_init(start).as_ref().map_err(String::as_str)
}

fn start() -> Result<Daemon, String> {
    if !is_installed("containerd") || !is_installed("ctr") {
        return Err("containerd and ctr are not installed".to_owned());
    }
    let configuration = std::env::temp_dir().join(format!("insula-containerd-{}.toml", std::process::id()));
    fs::write(&configuration, "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n")
        .expect("write the configuration");
    let path = configuration.to_str().expect("paths are text");
    let daemon = Daemon::start(
        "containerd",
        &["containerd", "--config", path, "--root", "{}/root", "--state", "{}/state", "--address", "{}/socket"],
    );
    populate_rootfs(&daemon.directory().join("rootfs"));
    let socket = daemon.directory().join("socket");
    let deadline = Instant::now() + patience();
    while Instant::now() < deadline {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(&socket).arg("version").stdout(Stdio::null()).stderr(Stdio::null());
        if command.status().is_ok_and(|status| status.success()) {
            fs::remove_file(configuration).expect("remove the configuration");
            return Ok(daemon);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("containerd does not come up:\n{}", daemon.log());
}

/// One test's view of containerd: a namespace of its own.
struct Session {
    daemon: &'static Daemon,
    lab: Lab,
}

macro_rules! session {
    () => {
        match containerd() {
            Ok(daemon) => Session { daemon, lab: Lab::new() },
            Err(reason) => skip!("{reason}"),
        }
    };
}

impl Session {
    /// `ctr <words>` in the test's own containerd namespace.
    #[track_caller]
    fn ctr(&self, words: &[&str]) -> Output {
        let socket = self.daemon.directory().join("socket");
        self.lab.command("ctr").arg("--address").arg(socket).args(["--namespace", self.lab.name()]).args(words).run()
    }

    /// As [`ctr`](Self::ctr), which must succeed.
    #[track_caller]
    fn ok(&self, words: &[&str]) -> String {
        let output = self.ctr(words);
        assert_eq!(output.code(), 0, "{output}");
        output.text().to_owned()
    }

    /// Where ctr makes the FIFOs of a task; by default it is in /run, which the lab and the daemon do not share.
    fn fifos(&self) -> String {
        self.daemon.directory().join("fifos").to_str().expect("paths are text").to_owned()
    }

    /// `ctr tasks exec --exec-id <id> task <command>`
    #[track_caller]
    fn exec(&self, id: &str, command: &[&str]) -> Output {
        let fifos = self.fifos();
        self.ctr(&[&["tasks", "exec", "--fifo-dir", &fifos, "--exec-id", id, "task"], command].concat())
    }

    /// `ctr run --runc-binary <insula> <options> --rootfs <rootfs> <id> <command>`.
    #[track_caller]
    fn run(&self, options: &[&str], id: &str, command: &[&str]) -> Output {
        let rootfs = self.daemon.directory().join("rootfs");
        let cgroup = format!("{}/{}-{id}", self.daemon.cgroup(), self.lab.name());
        let (fifos, program) = (self.fifos(), runtime().to_str().expect("paths are text"));
        let fixed = ["run", "--runc-binary", program, "--cgroup", &cgroup, "--fifo-dir", &fifos];
        let named = ["--rootfs", rootfs.to_str().expect("paths are text"), id];
        self.ctr(&[&fixed, options, &named, command].concat())
    }
}

#[test]
fn run_in_the_foreground() {
    let session = session!();
    // On a busy machine this client may end before it has copied what the program wrote: status 0 and nothing printed.
    let once = || session.run(&["--rm"], "one", &["/bin/sh", "-c", "echo $$; hostname; exit 0"]);
    let output = Some(once()).filter(|output| !output.stdout.is_empty()).unwrap_or_else(once);
    assert_eq!(output.code(), 0, "{output}");
    assert!(output.stdout.starts_with("1\n"), "{output}");
    let output = session.run(&["--rm"], "two", &["/bin/sh", "-c", "exit 9"]);
    assert_eq!(output.code(), 9, "{output}");
    assert_eq!(session.ok(&["containers", "list", "--quiet"]), "");
}

#[test]
fn a_detached_task_with_exec() {
    let session = session!();
    let output = session.run(&["--detach"], "task", &["/bin/sleep", "60"]);
    assert_eq!(output.code(), 0, "{output}");
    let tasks = session.ok(&["tasks", "list"]);
    assert!(tasks.lines().any(|line| line.starts_with("task") && line.ends_with("RUNNING")), "{tasks}");

    let exec = |id: &str, script: &str| session.exec(id, &["/bin/sh", "-c", script]);
    let mut tries = 0..;
    eventually("the program", || {
        let output = exec(&format!("first-{}", tries.next()?), "tr '\\0' ' ' < /proc/1/cmdline");
        (output.text() == "/bin/sleep 60").then_some(())
    });
    exec("second", "exit 7").assert_code(7);
    let own = exec("third", "for link in /proc/self/ns/*; do readlink $link; done").stdout;
    let first = exec("fourth", "for link in /proc/1/ns/*; do readlink $link; done").stdout;
    assert_eq!(own, first, "exec is in the task's namespaces");
    let missing = session.exec("fifth", &["nosuch"]);
    assert_ne!(missing.code(), 0);
    missing.says(&["executable file not found in $PATH"]);

    session.ok(&["tasks", "kill", "--signal", "SIGKILL", "task"]);
    eventually("the task to stop", || session.ok(&["tasks", "list"]).contains("STOPPED").then_some(()));
    session.ctr(&["tasks", "delete", "task"]).says(&["exit code 137"]);
    session.ok(&["containers", "delete", "task"]);
    eventually("the task's cgroups to go", || {
        insula_tests::cgroups::named(&format!("{}-task", session.lab.name())).is_empty().then_some(())
    });
}

#[test]
fn a_missing_program_is_named() {
    let session = session!();
    let output = session.run(&["--rm"], "missing", &["nosuch"]);
    assert_ne!(output.code(), 0);
    output.says(&["exec: \"nosuch\": executable file not found in $PATH"]);
}

#[test]
fn tasks_by_metrics_and_processes() {
    let session = session!();
    session.run(&["--detach"], "task", &["/bin/sh", "-c", "sleep 61 & sleep 62; true"]).assert_code(0);
    eventually("three processes", || (session.ok(&["tasks", "ps", "task"]).lines().count() == 4).then_some(()));
    session.ok(&["tasks", "kill", "--all", "--signal", "SIGKILL", "task"]);
    eventually("the task to stop", || session.ok(&["tasks", "list"]).contains("STOPPED").then_some(()));
    session.ctr(&["tasks", "delete", "task"]).says(&["exit code 137"]);
    session.ok(&["containers", "delete", "task"]);
}
