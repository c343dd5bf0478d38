// SPDX-License-Identifier: Apache-2.0
//! Processes that own namespaces for containers to join.

use crate::identities::KINDS;
use crate::invocation::Background;
use crate::lab::Lab;
use crate::wait::eventually;
use std::fs;
use std::path::PathBuf;

/// A sleeping process in new namespaces, made by unshare(1). It ends when dropped.
#[derive(Debug)]
pub struct Donor {
    pid: i32,
    _unshare: Background,
}

impl Donor {
    /// Starts a process with new namespaces of `kinds` (names of `config.json`).
    #[track_caller]
    pub fn new(lab: &Lab, kinds: &[&str]) -> Self {
        // Death of unshare(1) ends its child, and the child's death ends a pid namespace.
        let mut unshare = lab.command("unshare").args(["--fork", "--kill-child"]);
        for kind in kinds {
            unshare = match *kind {
                "network" => unshare.arg("--net"),
                // The offset makes the new time namespace recognisable from inside, too.
                "time" => unshare.args(["--time", "--monotonic", "5000000"]),
                other => unshare.arg(format!("--{other}")),
            };
        }
        let unshare = unshare.args(["sleep", "infinity"]).start();
        let parent = unshare.pid();
        let pid = eventually("the donor of namespaces", || {
            let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
            let pid: i32 = children.split_whitespace().next()?.parse().ok()?;
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            (name.trim() == "sleep").then_some(pid)
        });
        if kinds.contains(&"user") {
            for map in ["uid_map", "gid_map"] {
                fs::write(format!("/proc/{pid}/{map}"), "0 100000 65536").expect("map the donor's ids");
            }
        }
        Self { pid, _unshare: unshare }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The path of its namespace of `kind`.
    #[track_caller]
    pub fn path(&self, kind: &str) -> PathBuf {
        namespace_path(self.pid, kind)
    }
}

/// `/proc/<pid>/ns/<kind>`.
#[track_caller]
fn namespace_path(pid: i32, kind: &str) -> PathBuf {
    let (_, name) = KINDS.iter().find(|(known, _)| *known == kind).unwrap_or_else(|| panic!("no kind {kind}"));
    PathBuf::from(format!("/proc/{pid}/ns/{name}"))
}

impl crate::Container<'_> {
    /// The path of the container's namespace of `kind`.
    #[track_caller]
    pub fn namespace_path(&self, kind: &str) -> PathBuf {
        namespace_path(self.pid(), kind)
    }
}
