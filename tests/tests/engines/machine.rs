// SPDX-License-Identifier: Apache-2.0
//! A machine on which insula is installed as docs/engines.md says, with the files of dist/ as they are: containerd with
//! its CRI plugin, Docker, and Podman, in namespaces of their own. One serves all tests of this binary.

use crate::daemon::{Daemon, is_installed};
use insula_tests::{Invocation, Lab, Output, populate_rootfs, runtime};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What the machine runs, and what it needs installed.
const NEEDED: [&str; 5] = ["containerd", "ctr", "dockerd", "podman", "conmon"];

/// Longer than [`insula_tests::patience`]: two daemons start, one after the other.
const PATIENCE: Duration = Duration::from_mins(4);

/// The machine.
#[derive(Debug)]
pub(crate) struct Machine {
    daemon: Daemon,
    /// A process in all its namespaces.
    pid: i32,
    /// Held by whoever counts containers, or makes some that others would count.
    counting: Mutex<()>,
}

/// The one machine; `Err` says why there is none.
pub(crate) fn machine() -> Result<&'static Machine, &'static str> {
    static MACHINE: OnceLock<Result<Machine, String>> = OnceLock::new();
    MACHINE.get_or_init(start).as_ref().map_err(String::as_str)
}

fn start() -> Result<Machine, String> {
    if let Some(missing) = NEEDED.iter().find(|program| !is_installed(program)) {
        return Err(format!("{missing} is not installed"));
    }
    let rootfs = std::env::temp_dir().join(format!("insula-machine-rootfs-{}", std::process::id()));
    populate_rootfs(&rootfs);
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist");
    let text = |path: &Path| path.to_str().expect("paths are text").to_owned();
    let (program, dist, source) = (text(runtime()), text(&dist), text(&rootfs));
    let script = include_str!("machine.sh");
    let daemon = Daemon::start("machine", &["sh", "-c", script, "sh", "{}", &program, &dist, &source]);
    let deadline = Instant::now() + PATIENCE;
    while !daemon.directory().join("ready").exists() {
        assert!(Instant::now() < deadline, "the machine does not come up:\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    fs::remove_dir_all(rootfs).expect("remove the root file system of the images");
    let pid = daemon.first();
    Ok(Machine { daemon, pid, counting: Mutex::new(()) })
}

impl Machine {
    /// A shell script there; what it prints goes to files, so that what it leaves running keeps no pipe open.
    pub(crate) fn shell(&self, lab: &Lab, script: &str) -> Invocation {
        let pid = self.pid.to_string();
        lab.command("nsenter")
            .args(["--target", &pid, "--mount", "--net", "--pid", "--cgroup", "sh", "-c", script])
            .env("PATH", "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("TMPDIR", "/tmp")
    }

    /// As [`shell`](Self::shell), to its end.
    #[track_caller]
    pub(crate) fn run(&self, lab: &Lab, script: &str) -> Output {
        self.shell(lab, script).run()
    }

    /// As [`run`](Self::run), which must succeed; its standard output without white space at its ends.
    #[track_caller]
    pub(crate) fn ok(&self, lab: &Lab, script: &str) -> String {
        let output = self.run(lab, script);
        assert_eq!(output.code(), 0, "{output}\n{}", self.log("containerd"));
        output.text().to_owned()
    }

    /// Keeps others from counting, or changing, the containers of Docker's and Podman's usual roots meanwhile.
    pub(crate) fn alone(&self) -> MutexGuard<'_, ()> {
        self.counting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The archive with its images.
    pub(crate) fn images(&self) -> String {
        self.daemon.directory().join("images.tar").to_str().expect("paths are text").to_owned()
    }

    /// A file of the machine, by the name that it has there.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.pid))
    }

    /// What a daemon complained of last.
    pub(crate) fn log(&self, daemon: &str) -> String {
        let log = fs::read_to_string(self.daemon.directory().join(daemon).with_extension("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("level=error")).collect();
        lines[lines.len().saturating_sub(4)..].join("\n")
    }
}

/// Makes a machine and a lab, or ends the test with the reason.
macro_rules! machine_and_lab {
    () => {
        match $crate::machine::machine() {
            Ok(machine) => (machine, insula_tests::Lab::new()),
            Err(reason) => insula_tests::skip!("{reason}"),
        }
    };
}
pub(crate) use machine_and_lab;
