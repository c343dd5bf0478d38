// SPDX-License-Identifier: Apache-2.0
//! The whole document. Source: runtime-spec, config.md.

use crate::{Hooks, Linux, Map, Mount, Process, Root, Str};
use alloc::vec::Vec;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

object! {
    /// The whole document. Source: runtime-spec, config.md.
    pub struct Spec<'a> {
        /// Version of the specification that the document follows, SemVer 2.0.0. Empty if absent, which `validate` refuses.
        oci_version: Str<'a> = always "ociVersion",
        /// The program to run; absent only for a container that is created and never started.
        process: Option<Process<'a>> = optional "process",
        /// The root file system.
        root: Option<Root<'a>> = optional "root",
        /// Host name, as seen in the container.
        hostname: Option<Str<'a>> = optional "hostname",
        /// NIS domain name, as seen in the container.
        domainname: Option<Str<'a>> = optional "domainname",
        /// What to mount over the root file system, in order.
        mounts: Vec<Mount<'a>> = optional "mounts",
        /// Programs to run at points of the life cycle.
        hooks: Hooks<'a> = optional "hooks",
        /// Free metadata.
        annotations: Map<'a, Str<'a>> = optional "annotations",
        /// What is particular to Linux; absent is the same as empty.
        linux: Linux<'a> = optional "linux",
        /// Whether the document has a part for Solaris.
        solaris: Option<Present> = optional "solaris",
        /// Whether the document has a part for Windows.
        windows: Option<Present> = optional "windows",
        /// Whether the document has a part for virtual machines.
        vm: Option<Present> = optional "vm",
        /// Whether the document has a part for z/OS.
        zos: Option<Present> = optional "zos",
        /// Whether the document has a part for FreeBSD.
        freebsd: Option<Present> = optional "freebsd",
    }
}

/// A part of the document that is there and that nobody here reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Present;

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::object::shallow(<&serde_json::value::RawValue>::deserialize(deserializer)?).map(|()| Self)
    }
}

impl Serialize for Present {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(core::iter::empty::<((), ())>())
    }
}
