// SPDX-License-Identifier: Apache-2.0
//! The host before and after: what a command may leave behind, and what it must not touch.

use crate::cgroups;
use crate::lab::Lab;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the kernel may take to end killed processes and to remove their namespaces and cgroups.
const SETTLE: Duration = Duration::from_secs(5);

/// Everything that a runtime could leave on the host of one [`Lab`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The mount table of the test's mount namespace. A mount that came and went does not show, which is right.
    mounts: BTreeSet<String>,
    /// cgroups of any hierarchy that carry the test's name.
    cgroups: BTreeSet<PathBuf>,
    /// Live processes that belong to the test by cgroup, mounts, environment or command line.
    processes: BTreeMap<i32, String>,
    /// What is in the state root.
    states: BTreeSet<PathBuf>,
    /// Names in directories for temporary files that look like a runtime's.
    temporary: BTreeSet<PathBuf>,
    /// The host's own settings that a container could change.
    host: BTreeMap<String, String>,
    /// Files of the test outside root file systems, with mode, owner and size.
    files: BTreeMap<PathBuf, [u64; 4]>,
}

impl Snapshot {
    /// Looks at everything now.
    #[track_caller]
    pub fn take(lab: &Lab) -> Self {
        let name = lab.name();
        Self {
            mounts: mounts(name),
            cgroups: cgroups::named(name).into_iter().collect(),
            processes: processes(name),
            states: names_in(&lab.state_root()),
            temporary: temporary(name),
            host: host(),
            files: files(lab),
        }
    }

    /// The processes that belong to the test, with their command lines.
    pub fn processes(&self) -> &BTreeMap<i32, String> {
        &self.processes
    }

    /// Asserts CLEAN: no process, mount, cgroup, state or temporary file more than in this snapshot, and the
    /// host's settings unchanged. Waits a moment for what the kernel ends in the background.
    #[track_caller]
    pub fn assert_clean(&self, lab: &Lab) {
        if let Err(changes) = self.unchanged(lab, |snapshot| snapshot.files.clear()) {
            panic!("the host has changed:\n{changes}");
        }
    }

    /// As [`assert_clean`](Self::assert_clean), and no file in the test's directory was made, changed or removed
    /// outside root file systems.
    #[track_caller]
    pub fn assert_untouched(&self, lab: &Lab) {
        if let Err(changes) = self.unchanged(lab, |_| {}) {
            panic!("the host has changed:\n{changes}");
        }
    }

    /// Compares with the host as it is, apart from what `without` takes out of both.
    fn unchanged(&self, lab: &Lab, without: impl Fn(&mut Self)) -> Result<(), String> {
        let mut before = self.clone();
        without(&mut before);
        let deadline = Instant::now() + SETTLE;
        loop {
            let mut after = Self::take(lab);
            without(&mut after);
            if after == before {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(before.difference(&after));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// One line for each thing that is only in one of the two.
    fn difference(&self, after: &Self) -> String {
        let (before, after) = (self.lines(), after.lines());
        let gone = before.difference(&after).map(|line| format!("- {line}\n"));
        let new = after.difference(&before).map(|line| format!("+ {line}\n"));
        gone.chain(new).collect()
    }

    fn lines(&self) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        lines.extend(self.mounts.iter().map(|mount| format!("mount {mount}")));
        lines.extend(self.cgroups.iter().map(|path| format!("cgroup {}", path.display())));
        lines.extend(self.processes.iter().map(|(pid, what)| format!("process {pid} {what}")));
        lines.extend(self.states.iter().map(|path| format!("state {}", path.display())));
        lines.extend(self.temporary.iter().map(|path| format!("temporary file {}", path.display())));
        lines.extend(self.host.iter().map(|(name, value)| format!("host {name}: {value}")));
        lines.extend(self.files.iter().map(|(path, facts)| format!("file {} {facts:?}", path.display())));
        lines
    }
}

/// Ends what a failed test has left: its own processes, one by one, and their cgroups. Never fails, since it runs while
/// the test's own failure is on its way.
pub(crate) fn sweep(name: &str) {
    for _ in 0..50 {
        let (left, mut cgroups) = (processes(name), cgroups::named(name));
        if left.is_empty() && cgroups.is_empty() {
            return;
        }
        for pid in left.keys() {
            // It may have ended by itself.
            let _ended = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        cgroups.sort();
        for cgroup in cgroups.iter().rev() {
            let _busy = fs::remove_dir(cgroup);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The end of a test that has not failed: asserts CLEAN, and sweeps if it is not.
#[track_caller]
pub(crate) fn finish(lab: &Lab, before: &Snapshot) {
    if let Err(changes) = before.unchanged(lab, |snapshot| snapshot.files.clear()) {
        sweep(lab.name());
        panic!("the host has changed:\n{changes}");
    }
}

/// The mount table without the pins that tests make themselves.
fn mounts(name: &str) -> BTreeSet<String> {
    let mountinfo = fs::read_to_string("/proc/thread-self/mountinfo").expect("read mountinfo");
    let pins = format!("/run/{name}/pins");
    mountinfo.lines().filter(|line| !line.contains(&pins)).map(without_cgroup_options).collect()
}

/// CRIU mounts cgroup version 2 to look at it, without these options, which then are those of all its mounts
/// (github.com/checkpoint-restore/criu/issues/3029).
fn without_cgroup_options(line: &str) -> String {
    match line.split_once(" - cgroup2 ") {
        Some((place, rest)) => {
            let kept = rest.split(',').filter(|option| !["nsdelegate", "memory_recursiveprot"].contains(option));
            format!("{place} - cgroup2 {}", kept.collect::<Vec<_>>().join(","))
        }
        None => line.to_owned(),
    }
}

/// Processes, not threads, other than the test itself. Zombies are their parents' business.
fn processes(name: &str) -> BTreeMap<i32, String> {
    let own = i32::try_from(std::process::id()).expect("process ids fit");
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc").expect("read /proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|text| text.parse::<i32>().ok()) else { continue };
        if pid != own && belongs(&entry.path(), name) && !is_dead(&entry.path()) {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.insert(pid, String::from_utf8_lossy(&command).replace('\0', " "));
        }
    }
    found
}

/// Whether only its parent's wait is missing: on version 2 such a process still shows its cgroup, and an orphan's parent
/// is the machine's first process, which takes its time.
fn is_dead(process: &Path) -> bool {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything (proc(5)).
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// The container's tmpfs or root file system betrays a process by its mounts whatever else it has shed.
fn belongs(process: &Path, name: &str) -> bool {
    let mentions = |file: &&str| cgroups::mentions(&fs::read(process.join(file)).unwrap_or_default(), name);
    ["cgroup", "environ", "cmdline", "mountinfo"].iter().any(mentions)
}

fn names_in(directory: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(directory)
        .map_or_else(|_| BTreeSet::new(), |entries| entries.flatten().map(|entry| entry.path()).collect())
}

/// `/run` is the test's own, so all of it counts; elsewhere only names like a runtime's.
fn temporary(name: &str) -> BTreeSet<PathBuf> {
    let mut found = names_in(Path::new("/run"));
    // What CRIU has found out of the kernel, kept for its next run.
    found.remove(Path::new("/run/criu.kdat"));
    for directory in ["/tmp", "/var/tmp", "/dev/shm", "/var/run", "/"] {
        let suspicious = |path: &PathBuf| path.file_name().is_some_and(|file| cgroups::mentions(file.as_bytes(), name));
        found.extend(names_in(Path::new(directory)).into_iter().filter(suspicious));
    }
    found
}

fn host() -> BTreeMap<String, String> {
    let files = [
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/domainname",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/sysrq",
        "/proc/sys/kernel/shm_rmid_forced",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/thread-self/uid_map",
    ];
    let value =
        |path: &str| fs::read_to_string(path).map_or_else(|error| error.to_string(), |text| text.trim().to_owned());
    files.iter().map(|&path| (path.to_owned(), value(path))).collect()
}

/// Files below the test's directory, but for captured output and what containers may write.
fn files(lab: &Lab) -> BTreeMap<PathBuf, [u64; 4]> {
    let mut found = BTreeMap::new();
    let mut directories = vec![lab.path("")];
    while let Some(directory) = directories.pop() {
        for path in names_in(&directory) {
            let Ok(metadata) = path.symlink_metadata() else { continue };
            let name = path.file_name().unwrap_or_default();
            if name == "out" || name == "root" || name == "pins" {
                continue;
            }
            let size = if metadata.is_dir() { 0 } else { metadata.len() };
            found.insert(path.clone(), [metadata.mode().into(), metadata.uid().into(), metadata.gid().into(), size]);
            if metadata.is_dir() && name != "rootfs" {
                directories.push(path);
            }
        }
    }
    found
}
