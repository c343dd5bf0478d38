// SPDX-License-Identifier: Apache-2.0
//! What a runtime has left of a container, found by its id.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What carries an id.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    pub(crate) cgroups: Vec<PathBuf>,
    pub(crate) processes: Vec<u32>,
    pub(crate) states: Vec<PathBuf>,
}

impl Leftovers {
    /// Looks in every hierarchy, in /proc, and for a directory or file of that name in `state`.
    pub(crate) fn of(id: &str, state: &Path) -> Self {
        let mut cgroups = Vec::new();
        collect(Path::new("/sys/fs/cgroup"), id, 4, &mut cgroups);
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let mentions = |file: &str| {
                let text = fs::read(entry.path().join(file)).unwrap_or_default();
                text.windows(id.len()).any(|window| window == id.as_bytes())
            };
            // A dead process that its parent has not waited for holds nothing; on version 2 it still shows its cgroup.
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let is_dead = stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']));
            (pid != std::process::id() && !is_dead && (mentions("cgroup") || mentions("cmdline"))).then_some(pid)
        });
        let states = [state.join(id)].into_iter().filter(|path| path.exists());
        Self { processes: processes.collect(), states: states.collect(), cgroups }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.cgroups.is_empty() && self.processes.is_empty() && self.states.is_empty()
    }

    /// Takes it away, so that the next round starts from nothing.
    pub(crate) fn sweep(&self) {
        for pid in &self.processes {
            // It may have ended by now.
            let _ended = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        for path in &self.states {
            let _gone = fs::remove_dir_all(path);
        }
        for _ in 0..50 {
            let left = self.cgroups.iter().rev().filter(|path| fs::remove_dir(path).is_err() && path.exists()).count();
            if left == 0 {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// Parents come before what is in them.
fn collect(dir: &Path, id: &str, depth: u32, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().contains(id) {
            found.push(entry.path());
        }
        if depth > 0 {
            collect(&entry.path(), id, depth - 1, found);
        }
    }
}
