// SPDX-License-Identifier: Apache-2.0
//! `insula ps`: a container's processes.

use super::{Command, EMPTY, Section, shared};
use crate::flag::{Begins, Example, Group, Rest};

pub(super) static COMMAND: Command = Command {
    name: "ps",
    section: Section::Look,
    summary: "list a container's processes, with the host's pids",
    about: "\
Runs the host's ps(1) and shows the lines of the processes in the container's cgroup. With --format json it prints the \
pids only and needs no ps.",
    positionals: &[shared::CONTAINER],
    rest: Some(Rest {
        usage: "[PS OPTION...]",
        begins: Begins::AfterPositionals,
        optional: true,
        summary: "options for ps; -ef if left out. A PID column is needed",
    }),
    options: &[Group { heading: "OPTIONS", flags: &[shared::TABLE_OR_JSON] }],
    examples: &[
        Example { what: "list the processes of web1", line: "insula ps web1" },
        Example { what: "list them with their namespaces", line: "insula ps web1 -o pid,pidns,netns,comm" },
    ],
    ..EMPTY
};
