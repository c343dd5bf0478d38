// SPDX-License-Identifier: Apache-2.0
//! `root`. Source: runtime-spec, config.md, "Root".

use crate::Str;

object! {
    /// `root`: the root file system. Source: runtime-spec, config.md, "Root".
    pub struct Root<'a> {
        /// Directory on the host, absolute or relative to the bundle.
        path: Str<'a> = required "path",
        /// Whether the container sees it read-only.
        readonly: bool = optional "readonly",
    }
}
