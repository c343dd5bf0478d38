// SPDX-License-Identifier: Apache-2.0
//! A cgroup of its own for each test, processes to put into it, and cleaning up whatever happens.

use insula_cgroup::{Created, DeviceRules, Doors, Group, Layout};
use insula_spec::Resources;
use insula_sys::process::{Cloned, clone3};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Tests fork this process and watch the whole machine's cgroups: one at a time.
static TURN: Mutex<()> = Mutex::new(());
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Whether the test cannot run here; says why.
pub(crate) fn cannot_run() -> bool {
    let skip = |reason: &str| {
        println!("skipped: {reason}");
        true
    };
    if !rustix::process::geteuid().is_root() {
        return skip("needs root");
    }
    Layout::probe().unwrap().hierarchies().count() == 0 && skip("no cgroup file system is mounted")
}

/// A place for cgroups that no other test uses: `/insula-cgroup-test-PID-N` in every hierarchy.
pub(crate) struct Scratch {
    parent: String,
    _turn: MutexGuard<'static, ()>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let parent = format!("/insula-cgroup-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { parent, _turn: turn }
    }

    /// An absolute cgroupsPath in here.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.parent)
    }

    pub(crate) fn plan(&self, name: &str) -> insula_error::Result<Group> {
        Group::plan(Layout::probe()?, "unused", &self.path(name), &Resources::default(), false)
    }

    pub(crate) fn create(&self, name: &str) -> Created {
        self.plan(name).unwrap().create().unwrap()
    }

    /// A cgroup below another of ours as a container makes one: on v2 without controllers, so that both take processes.
    pub(crate) fn nested(&self, name: &str) -> Group {
        let layout = Layout::probe().unwrap();
        if layout.mode() != insula_cgroup::Mode::Unified {
            return Group::from_record(&self.create(name).record(), false).unwrap();
        }
        std::fs::create_dir_all(format!("/sys/fs/cgroup{}", self.path(name))).unwrap();
        Group::from_record(&[format!("::{}", self.path(name))], false).unwrap()
    }

    /// Every directory of ours in any hierarchy, deepest last.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for (_, mount) in Layout::probe().unwrap().hierarchies() {
            list(&Path::new(&mount).join(&self.parent[1..]), &mut found);
        }
        found
    }
}

fn list(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    found.push(dir.to_path_buf());
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        list(&entry.path(), found);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for dir in self.directories() {
            let _ = std::fs::write(dir.join("freezer.state"), "THAWED");
            let _ = std::fs::write(dir.join("cgroup.freeze"), "0");
        }
        for dir in self.directories().iter().rev() {
            for _ in 0..200 {
                let busy = std::fs::remove_dir(dir).is_err_and(|e| e.raw_os_error() == Some(16));
                if !busy {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// A process that only sleeps; it dies with this value.
pub(crate) struct Sleeper {
    pub(crate) pid: i32,
    handle: OwnedFd,
}

impl Sleeper {
    /// Starts one behind `doors` as the runtime does: born in the v2 cgroup, and moving itself into those of v1.
    pub(crate) fn enter(doors: &Doors<'_>) -> Self {
        Self::start(doors, || {
            loop {
                rest();
            }
        })
    }

    /// The same, with something else to do than to sleep; it must not allocate, and end by itself or never.
    pub(crate) fn start(doors: &Doors<'_>, work: impl Fn()) -> Self {
        let files = doors.task_fds(OFlags::CLOEXEC, false).unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        match clone3(0, doors.clone_target()).unwrap() {
            Cloned::Parent { pid, pidfd } => {
                drop(writer);
                let mut answer = [0];
                assert_eq!(rustix::io::read(&reader, &mut answer), Ok(1), "the process could not join");
                Self { pid, handle: pidfd }
            }
            Cloned::Child => {
                let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
                if files.iter().all(|file| rustix::io::write(file, b"0").is_ok()) {
                    let _ = rustix::io::write(&writer, b".");
                    work();
                }
                let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
                loop {
                    rest();
                }
            }
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        let mut fds = [rustix::event::PollFd::new(&self.handle, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 0
    }

    /// Whether it ends in time: a process has left its cgroup a moment before it has ended.
    pub(crate) fn ends(&self) -> bool {
        let deadline = std::time::Instant::now() + PATIENCE;
        while self.is_alive() && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        !self.is_alive()
    }

    /// The lines of /proc/PID/cgroup.
    pub(crate) fn cgroups(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/cgroup", self.pid)).unwrap()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.handle, Signal::KILL);
        let _ = rustix::process::waitid(
            rustix::process::WaitId::PidFd(self.handle.as_fd()),
            rustix::process::WaitIdOptions::EXITED,
        );
    }
}

pub(crate) fn rest() {
    let _ = rustix::thread::nanosleep(&rustix::thread::Timespec { tv_sec: 1000, tv_nsec: 0 });
}

pub(crate) fn resources(json: &str) -> Resources<'_> {
    serde_json::from_str(json).unwrap()
}

/// The default rules, which every test may use.
pub(crate) fn default_rules() -> DeviceRules {
    DeviceRules::for_container(&[], &[]).unwrap()
}

/// Reads `file` of the group in the hierarchy that has `controller` (empty: v2).
pub(crate) fn read(group: &Group, controller: &str, file: &str) -> Option<String> {
    let mut paths = group.paths();
    let (_, dir) = paths.find(|(list, _)| list.split(',').any(|name| name == controller))?;
    Some(std::fs::read_to_string(Path::new(&dir).join(file)).ok()?.trim_end().to_string())
}
