// SPDX-License-Identifier: Apache-2.0
//! `mounts`. Source: runtime-spec, config.md, "Mounts".

use crate::{IdMapping, Str};
use alloc::vec::Vec;

object! {
    /// `mounts[]`. Source: runtime-spec, config.md, "Mounts".
    pub struct Mount<'a> {
        /// Where to mount, a path in the container.
        destination: Str<'a> = required "destination",
        /// File system type, or `bind`.
        kind: Option<Str<'a>> = optional "type",
        /// Device name, dummy name, or for bind mounts a path on the host (absolute or relative to the bundle).
        source: Option<Str<'a>> = optional "source",
        /// Options as in fstab(5), and the specification's own.
        options: Vec<Str<'a>> = optional "options",
        /// User ids of an idmapped mount.
        uid_mappings: Vec<IdMapping> = optional "uidMappings",
        /// Group ids of an idmapped mount.
        gid_mappings: Vec<IdMapping> = optional "gidMappings",
    }
}
