// SPDX-License-Identifier: Apache-2.0
//! `insula events`: a container's figures and out-of-memory notices.

use super::{Command, EMPTY, Section, shared};
use crate::flag::{Example, Flag, Group};

pub(super) static COMMAND: Command = Command {
    name: "events",
    section: Section::Look,
    summary: "print a container's usage figures and out-of-memory notices as JSON lines",
    about: "\
Prints one object a line: of type stats at every interval, of type oom when the kernel killed a process for want of \
memory. It ends when the container does.",
    positionals: &[shared::CONTAINER],
    options: &[Group {
        heading: "OPTIONS",
        flags: &[
            Flag::text("interval", "DURATION", "time between figures, such as 500ms, 5s, 1m30s").default("5s"),
            Flag::switch("stats", "print the figures once and end"),
        ],
    }],
    examples: &[
        Example {
            what: "print the memory that web1 uses",
            line: "insula events --stats web1 | jq .data.memory.usage.usage",
        },
        Example { what: "watch it every second", line: "insula events --interval 1s web1" },
    ],
    ..EMPTY
};
