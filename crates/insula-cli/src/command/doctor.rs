// SPDX-License-Identifier: Apache-2.0
//! `insula doctor`: what this host can do.

use super::{Command, EMPTY, Section, shared};
use crate::flag::{Example, Group};

pub(super) static COMMAND: Command = Command {
    name: "doctor",
    section: Section::First,
    summary: "say what this host can do, and how to get what is missing",
    about: "\
Looks at the kernel, each namespace, the cgroup layout, idmapped mounts, seccomp, security modules, CRIU and what an \
ordinary user needs. For each thing missing it says what stops working and how to get it.",
    options: &[Group { heading: "OPTIONS", flags: &[shared::TABLE_OR_JSON] }],
    examples: &[
        Example { what: "check this host", line: "insula doctor" },
        Example { what: "check it for a script", line: "insula doctor --format json" },
    ],
    ..EMPTY
};
