// SPDX-License-Identifier: Apache-2.0
//! The programs that are measured, and how each is told what to do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::shell::{output, program};

/// Peers that are looked for in every directory of PATH.
const PEERS: &[&str] = &["crun", "runc", "youki"];

/// Where the measured containers live.
pub(crate) struct Place {
    /// Everything of this run, on a tmpfs.
    pub(crate) dir: PathBuf,
    /// Names of the v1 hierarchies separated by colons, or "-" on v2, for the floor.
    pub(crate) hierarchies: String,
    /// "g" where the default document has a cgroup namespace, else "-", for the floor.
    pub(crate) cgroup_namespace: &'static str,
}

impl Place {
    /// The file that a container's pid is written to.
    pub(crate) fn pid_file(&self) -> String {
        self.path("pid")
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

/// What the container's program does.
#[derive(Clone, Copy)]
pub(crate) enum Payload {
    /// Ends at once.
    Once,
    /// Waits to be killed.
    Waits,
    /// Ends at once; the document is one as engines write it.
    Engine,
}

/// One program to measure.
pub(crate) struct Subject {
    pub(crate) name: String,
    binary: String,
    /// Options before the command; the floor has another command line altogether.
    kind: Kind,
}

enum Kind {
    Floor,
    Runtime { options: Vec<String> },
}

impl Subject {
    /// The floor, insula, and every peer on PATH.
    pub(crate) fn all(target: &Path) -> Vec<Self> {
        let floor = target.join("bench/floor").display().to_string();
        let insula = target.join("release/insula").display().to_string();
        let runtime = |name: String, binary: String| Self { name, binary, kind: Kind::Runtime { options: Vec::new() } };
        let mut subjects =
            vec![Self { name: "floor".into(), binary: floor, kind: Kind::Floor }, runtime("insula".into(), insula)];
        let mut seen = BTreeSet::new();
        let path = std::env::var_os("PATH").unwrap_or_default();
        for peer in PEERS {
            for dir in std::env::split_paths(&path) {
                let Ok(file) = dir.join(peer).canonicalize() else { continue };
                if !seen.insert(file.clone()) {
                    continue;
                }
                let binary = file.display().to_string();
                let Ok(text) = output(program(&binary).arg("--version")) else { continue };
                let version = text.lines().next().and_then(|line| line.split(' ').next_back()).unwrap_or_default();
                subjects.push(runtime(format!("{peer} {version}"), binary));
            }
        }
        subjects
    }

    /// This one without a cgroup of its own, for a peer that cannot make one here; `None` if it knows no such way.
    pub(crate) fn without_cgroup(&self) -> Option<Self> {
        let options = vec!["--cgroup-manager=disabled".to_owned()];
        let name = format!("{}, no cgroup", self.name);
        self.name.starts_with("crun").then(|| Self {
            name,
            binary: self.binary.clone(),
            kind: Kind::Runtime { options },
        })
    }

    /// Where it keeps compiled filters, if it does.
    pub(crate) fn cache(&self, place: &Place) -> Option<PathBuf> {
        self.name.starts_with("crun").then(|| self.state(place).join(".cache/seccomp"))
    }

    /// The command that lists containers.
    pub(crate) fn list(&self, place: &Place) -> Vec<String> {
        let mut words = self.front(place);
        words.push("list".into());
        words
    }

    pub(crate) fn run(&self, place: &Place, id: &str, payload: Payload) -> Vec<String> {
        self.with_bundle(place, "run", id, payload, &[])
    }

    pub(crate) fn create(&self, place: &Place, id: &str, payload: Payload) -> Vec<String> {
        self.with_bundle(place, "create", id, payload, &["--pid-file".into(), place.pid_file()])
    }

    /// As [`Self::create`], without a pid file: several may be under way.
    pub(crate) fn create_plainly(&self, place: &Place, id: &str, payload: Payload) -> Vec<String> {
        self.with_bundle(place, "create", id, payload, &[])
    }

    /// Where a runtime keeps its states.
    pub(crate) fn state(&self, place: &Place) -> PathBuf {
        place.dir.join(format!("state-{}", self.name.replace([' ', ','], "-")))
    }

    pub(crate) fn start(&self, place: &Place, id: &str) -> Vec<String> {
        self.on_container(place, "start", &[], id, &[])
    }

    pub(crate) fn delete(&self, place: &Place, id: &str) -> Vec<String> {
        self.on_container(place, "delete", &[], id, &[])
    }

    pub(crate) fn delete_force(&self, place: &Place, id: &str) -> Vec<String> {
        self.on_container(place, "delete", &["--force"], id, &[])
    }

    pub(crate) fn exec(&self, place: &Place, id: &str) -> Vec<String> {
        self.on_container(place, "exec", &[], id, &["/bin/payload"])
    }

    fn with_bundle(&self, place: &Place, verb: &str, id: &str, payload: Payload, more: &[String]) -> Vec<String> {
        let bundle = match payload {
            Payload::Once => place.path("once"),
            Payload::Waits => place.path("waits"),
            Payload::Engine => place.path("engine"),
        };
        match self.kind {
            Kind::Floor => self.floor(place, verb, id, payload),
            Kind::Runtime { .. } => {
                let mut words = self.front(place);
                words.extend([verb.into(), "--bundle".into(), bundle]);
                words.extend(more.iter().cloned());
                words.push(id.into());
                words
            }
        }
    }

    fn on_container(&self, place: &Place, verb: &str, flags: &[&str], id: &str, after: &[&str]) -> Vec<String> {
        match self.kind {
            Kind::Floor => self.floor(place, verb, id, Payload::Once),
            Kind::Runtime { .. } => {
                let mut words = self.front(place);
                words.push(verb.into());
                words.extend(flags.iter().chain([&id]).chain(after).map(|word| (*word).to_owned()));
                words
            }
        }
    }

    /// The binary, its options, and a state directory of its own.
    fn front(&self, place: &Place) -> Vec<String> {
        let Kind::Runtime { options } = &self.kind else { return Vec::new() };
        let mut words = vec![self.binary.clone()];
        words.extend(options.iter().cloned());
        words.extend(["--root".into(), self.state(place).display().to_string()]);
        words
    }

    fn floor(&self, place: &Place, verb: &str, id: &str, payload: Payload) -> Vec<String> {
        let mut words =
            vec![self.binary.clone(), verb.into(), place.hierarchies.clone(), place.cgroup_namespace.into()];
        words.extend([place.path("rootfs"), id.into(), place.path("state-floor"), place.pid_file()]);
        words.push("/bin/payload".into());
        if matches!(payload, Payload::Waits) {
            words.push("wait".into());
        }
        words
    }
}
