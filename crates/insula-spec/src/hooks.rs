// SPDX-License-Identifier: Apache-2.0
//! `hooks`. Source: runtime-spec, config.md, "POSIX-platform Hooks".

use crate::Str;
use alloc::vec::Vec;

object! {
    /// `hooks`: programs to run at points of the life cycle, each list in order.
    pub struct Hooks<'a> {
        /// Deprecated: as `create_runtime`, before it.
        prestart: Vec<Hook<'a>> = optional "prestart",
        /// In the runtime's namespaces, once the container's exist and before the root changes.
        create_runtime: Vec<Hook<'a>> = optional "createRuntime",
        /// In the container's namespaces, before the root changes.
        create_container: Vec<Hook<'a>> = optional "createContainer",
        /// In the container, before its program.
        start_container: Vec<Hook<'a>> = optional "startContainer",
        /// In the runtime's namespaces, after the program was started.
        poststart: Vec<Hook<'a>> = optional "poststart",
        /// In the runtime's namespaces, after the container was deleted.
        poststop: Vec<Hook<'a>> = optional "poststop",
    }
}

object! {
    /// One hook.
    pub struct Hook<'a> {
        /// The program, an absolute path.
        path: Str<'a> = required "path",
        /// Arguments with the program's name, as execve(2) has them; empty means the path alone.
        args: Vec<Str<'a>> = optional "args",
        /// The environment, `NAME=value`.
        env: Vec<Str<'a>> = optional "env",
        /// Seconds after which it is killed; absent means never.
        timeout: Option<i64> = optional "timeout",
    }
}
