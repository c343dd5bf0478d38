// SPDX-License-Identifier: Apache-2.0
//! `insula state`: one container's state as the specification defines it.

use super::{Command, EMPTY, Section, shared};
use crate::flag::Example;

pub(super) static COMMAND: Command = Command {
    name: "state",
    section: Section::Look,
    summary: "print a container's state as JSON",
    about: "\
Prints the state object of the runtime specification (ociVersion, id, status, pid, bundle, annotations) with runc's \
additions (rootfs, created, owner). The status is creating, created, running, paused or stopped.",
    positionals: &[shared::CONTAINER],
    examples: &[Example { what: "print the pid of web1", line: "insula state web1 | jq .pid" }],
    ..EMPTY
};
