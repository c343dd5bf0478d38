// SPDX-License-Identifier: Apache-2.0
//! `insula verify`: does the kernel still hold what the plan said?

use super::{Command, EMPTY, Section, shared};
use crate::flag::{Example, Flag, Group, Positional};

pub(super) static COMMAND: Command = Command {
    name: "verify",
    section: Section::Look,
    summary: "compare a running container with the plan it was made from",
    about: "\
Reads the live state from the kernel: first process, namespaces, mappings, cgroup, seccomp, capabilities. Exits with 0 \
if all is as planned, with 2 and a list if something is not.",
    positionals: &[Positional { required: false, summary: "the container; or use --all", ..shared::CONTAINER }],
    options: &[Group {
        heading: "OPTIONS",
        flags: &[Flag::switch("all", "verify every container under this --root").short('a'), shared::TABLE_OR_JSON],
    }],
    examples: &[
        Example { what: "verify web1", line: "insula verify web1" },
        Example { what: "verify everything, as a monitoring check", line: "insula verify --all --format json" },
    ],
    ..EMPTY
};
