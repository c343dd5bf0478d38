// SPDX-License-Identifier: Apache-2.0
//! What is remembered of a container: who its init is, what the kernel gave, and where its cgroup is. The document itself
//! is kept beside it as it was read.

use crate::expect::Expectation;
use crate::file;
use crate::handle::{Handle, Identity};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_ns::Kind;
use insula_sys::weak::{self, Weakness};
use rustix::fs::CWD;
use serde::{Deserialize, Serialize};

/// Version of the record's form.
const VERSION: u32 = 1;

/// One namespace of the container, as the kernel gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// `user`, `pid` …, as the document names it.
    #[serde(rename = "type")]
    pub kind: String,
    /// `created`, `joined` or `inherited`.
    pub how: String,
    /// Device of its nsfs file.
    pub dev: u64,
    /// Inode of its nsfs file.
    pub ino: u64,
    /// Its number that is never used again, where the kernel tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
}

impl Held {
    /// Whether `identity` is this namespace. Ids decide where both have one.
    pub fn is(&self, identity: &insula_ns::Identity) -> bool {
        match (self.id, identity.id) {
            (Some(one), Some(other)) => one == other,
            _ => (self.dev, self.ino) == (identity.dev, identity.ino),
        }
    }

    /// Whether both are the same namespace.
    pub fn same(&self, other: &Self) -> bool {
        match (self.id, other.id) {
            (Some(one), Some(other)) => one == other,
            _ => (self.dev, self.ino) == (other.dev, other.ino),
        }
    }
}

/// What a record ends with: the sum of all before it.
const SUM: &str = ",\"sum\":\"";
const END: &str = "\"}";

/// Whether the text's sum is not that of what is before it. A text without one was written by somebody else.
fn is_altered(bytes: &[u8]) -> bool {
    let tail = SUM.len() + 16 + END.len();
    let Some((text, tail)) = bytes.len().checked_sub(tail).and_then(|at| bytes.split_at_checked(at)) else {
        return false;
    };
    tail.starts_with(SUM.as_bytes()) && tail[SUM.len()..] != *alloc::format!("{:016x}{END}", file::sum(text)).as_bytes()
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Version of this form.
    pub version: u32,
    /// The document's `ociVersion`.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// Absolute path of the bundle.
    pub bundle: String,
    /// Absolute path of the root file system.
    pub rootfs: String,
    /// When it was created, RFC 3339.
    pub created: String,
    /// User id of the creator.
    pub owner: u32,
    /// Its first process.
    pub init: Identity,
    /// The namespaces it was given.
    pub namespaces: Vec<Held>,
    /// The cgroup's record, one line a hierarchy.
    pub cgroup: Vec<String>,
    /// The systemd unit that the cgroup belongs to, as the cgroup's record names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Made by an ordinary user.
    pub rootless: bool,
    /// The document has hooks for later: startContainer, poststart, poststop.
    pub hooks: bool,
    /// Whether the container can be started: a document without a process cannot.
    pub startable: bool,
    /// It is in a class of service (resctrl), noted beside this record.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub resctrl: bool,
    /// What must hold while it runs; none in the records of older builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expectation>,
    /// The boot during which it was created (proc_sys_kernel(5), random/boot_id), where the state directory outlives one:
    /// numbers of processes begin anew then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// The document's annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Inodes of the pipes that its first process got as standard streams, 0 for what is none: `restore` puts the
    /// restorer's own in their place.
    #[serde(default, skip_serializing_if = "no_pipes")]
    pub pipes: [u64; 3],
    /// It was continued from a checkpoint.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub restored: bool,
}

fn no_pipes(pipes: &[u64; 3]) -> bool {
    pipes.iter().all(|pipe| *pipe == 0)
}

impl Record {
    /// The form's version.
    pub const VERSION: u32 = VERSION;

    /// Reads a record.
    ///
    /// # Errors
    /// `State` if it is torn or of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let attempted = "read the container's state";
        if is_altered(bytes) && !weak::is(Weakness::TrustTorn) {
            return Err(Error::state(attempted, "its check sum is wrong: the file is torn")
                .advice("`insula delete --force` cleans up what can be found"));
        }
        let record: Self = serde_json::from_slice(bytes).map_err(|e| {
            Error::state(attempted, alloc::format!("the file is torn or not insula's: {e}"))
                .advice("`insula delete --force` cleans up what can be found")
        })?;
        if record.version != VERSION {
            return Err(Error::state(
                attempted,
                alloc::format!("its form is of version {}, this insula knows {VERSION}", record.version),
            ));
        }
        if record.init.pid < 1 {
            return Err(Error::state(attempted, alloc::format!("{} is no process id", record.init.pid)));
        }
        Ok(record)
    }

    /// The record as text, with the sum of it as its last member.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.pop();
        let sum = file::sum(text.as_bytes());
        alloc::format!("{text}{SUM}{sum:016x}{END}")
    }

    /// The identity of the container's namespace of `kind`, with how it came about.
    pub fn held(&self, kind: Kind) -> Option<&Held> {
        self.namespaces.iter().find(|held| held.kind == kind.namespace().spec_name)
    }

    /// A handle of init, if it is alive.
    pub fn init(&self) -> Option<Handle> {
        if self.boot.is_some() && !weak::is(Weakness::AnyBoot) && self.boot != this_boot() {
            return None;
        }
        self.init.open().filter(|handle| !handle.has_ended())
    }
}

/// The id of this boot.
pub(crate) fn this_boot() -> Option<String> {
    let text = file::read_text(CWD, "/proc/sys/kernel/random/boot_id", 64, "read the id of this boot").ok()?;
    Some(String::from(text.trim()))
}

/// Where a container is in its life (runtime-spec, runtime.md, "State").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Being made, or its creator died while making it.
    Creating,
    /// Waits for `start`.
    Created,
    /// Its process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its process has ended.
    Stopped,
}

impl Status {
    /// The specification's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// The state of a container as the specification and runc show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State<'a> {
    /// Version of the specification.
    pub oci_version: &'a str,
    /// The container's id.
    pub id: &'a str,
    /// Its first process; 0 once it has ended.
    pub pid: i32,
    /// One word.
    pub status: &'a str,
    /// Absolute path of the bundle.
    pub bundle: &'a str,
    /// Absolute path of the root file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootfs: Option<&'a str>,
    /// When it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<&'a str>,
    /// Free metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<&'a BTreeMap<String, String>>,
    /// Name or number of the creator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as `create` writes it, of one with everything in it.
    fn record() -> Record {
        let text = br#"{"version":1,"ociVersion":"1.2.0","id":"web","bundle":"/b","rootfs":"/b/rootfs",
            "created":"2026-11-24T00:00:00Z","owner":0,"init":{"pid":7,"start":8,"inode":9},
            "namespaces":[{"type":"pid","how":"created","dev":4,"ino":4026531836}],
            "cgroup":["memory /insula/web"],"rootless":false,"hooks":false,"startable":true,
            "boot":"5ab32e8b-0c66-4d60-a3d8-a6ae9d6a2c45","annotations":{"a":"b \u00e9"}}"#;
        Record::parse(text).expect("a record")
    }

    fn is_torn(bytes: &[u8]) -> bool {
        Record::parse(bytes).is_err_and(|e| alloc::format!("{e}").contains("torn"))
    }

    #[test]
    fn torn_at_every_byte() {
        let whole = record();
        let text = whole.to_json();
        assert_eq!(Record::parse(text.as_bytes()).expect("a record"), whole);
        for at in 0..text.len() {
            assert!(is_torn(&text.as_bytes()[..at]), "cut after {at} bytes");
            // What a power failure leaves of a file whose length was written and whose blocks were not.
            let mut bytes = Vec::from(text.as_bytes());
            bytes[at..].fill(0);
            assert!(is_torn(&bytes), "zero from byte {at}");
            for bit in 0..8 {
                let mut bytes = Vec::from(text.as_bytes());
                bytes[at] ^= 1 << bit;
                // A changed name of the sum makes it a record of others, without one; nothing else of it is changed.
                assert!(
                    is_torn(&bytes) || Record::parse(&bytes).is_ok_and(|record| record == whole),
                    "bit {bit} of byte {at}"
                );
            }
            for length in [16, 512] {
                let mut bytes = Vec::from(text.as_bytes());
                bytes[at..(at + length).min(text.len())].fill(0);
                assert!(is_torn(&bytes), "{length} zeroes at {at}");
            }
        }
    }
}
