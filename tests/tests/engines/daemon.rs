// SPDX-License-Identifier: Apache-2.0
//! Engines' daemons, each in mount, network and pid namespaces of its own: nothing that they start can outlive them,
//! and nothing of the machine's own engines and networks is touched.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

/// A daemon that runs until the test binary ends.
#[derive(Debug)]
pub(crate) struct Daemon {
    directory: PathBuf,
    /// The keeper's process id.
    keeper: u32,
    /// The supervisor reads the other end; its end of file, when this process ends in whatever way, stops the daemon.
    _until_closed: ChildStdin,
}

/// Runs the daemon ($3 …) and ends it when standard input ends. It is the first process of its pid namespace, so its
/// end is everybody's. Other programs' short-lived mounts, which the new mount namespace has copies of, are taken away:
/// engines look for cgroups in them.
const SUPERVISOR: &str = "exec 3<&0 </dev/null; ip link set lo up; mount -t tmpfs tmpfs /run; directory=$1; shift 2; \
    for point in $(cut -d ' ' -f 5 /proc/self/mountinfo | grep ^/tmp/ | tac); do umount -l $point; done; \
    \"$@\" >$directory/log 2>&1 3<&- & daemon=$!; \
    cat <&3 >/dev/null; kill -TERM $daemon; wait $daemon";

/// Runs the supervisor in its namespaces and removes everything afterwards.
const KEEPER: &str = "directory=$1; supervisor=$2; \
    unshare --mount --net --pid --fork --kill-child --mount-proc sh -c \"$supervisor\" sh \"$@\"; \
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do \
        find \"$hierarchy/${directory##*/}\" -depth -type d -exec rmdir {} + 2>/dev/null; \
    done; rm -rf \"$directory\"";

impl Daemon {
    /// Starts `words` as a daemon with the new directory that `name` yields; `{}` in the words stands for it.
    #[track_caller]
    pub(crate) fn start(name: &str, words: &[&str]) -> Self {
        // Not in /run: the tests' labs hide it.
        let directory = std::env::temp_dir().join(format!("insula-{name}-{}", std::process::id()));
        fs::create_dir(&directory).expect("make the daemon's directory");
        let path = directory.to_str().expect("paths are text");
        let words = words.iter().map(|word| word.replace("{}", path));
        // In a session of its own, so that an interrupt at the terminal does not keep it from cleaning up.
        let mut child = Command::new("setsid")
            .args(["sh", "-c", KEEPER, "sh", path])
            .arg(SUPERVISOR)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(directory.join("keeper-log")).expect("make the keeper's log"))
            .spawn()
            .expect("start the daemon's keeper");
        let until = child.stdin.take().expect("standard input is a pipe");
        // It outlives this process on purpose; nobody waits for it.
        let keeper = child.id();
        drop(child);
        Self { directory, keeper, _until_closed: until }
    }

    /// The process of the words that it was started with. Panics unless it runs.
    #[track_caller]
    pub(crate) fn first(&self) -> i32 {
        let keeper = i32::try_from(self.keeper).expect("process ids fit");
        // setsid becomes the keeper; unshare is its child, the supervisor unshare's.
        first_child(first_child(first_child(keeper)))
    }

    /// Its directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The cgroup below which its containers are.
    pub(crate) fn cgroup(&self) -> String {
        format!("/{}", self.directory.file_name().and_then(|name| name.to_str()).expect("paths are text"))
    }

    /// The end of its log, for messages.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

/// The oldest living child of a process.
#[track_caller]
fn first_child(pid: i32) -> i32 {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let first = children.split_whitespace().next().and_then(|word| word.parse().ok());
    first.unwrap_or_else(|| panic!("{path} is empty"))
}

/// Whether `program` can be run at all.
pub(crate) fn is_installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}
