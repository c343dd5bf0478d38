// SPDX-License-Identifier: Apache-2.0
//! `insula try`: a process in eight new namespaces without bundle or image.

use super::{Command, EMPTY, Section};
use crate::flag::{Begins, Example, Flag, Group, Rest};

pub(super) static COMMAND: Command = Command {
    name: "try",
    section: Section::First,
    summary: "run a command in eight new namespaces, over a throw-away view of this system",
    about: "\
Needs no bundle, no image and no root. COMMAND sees this system's files, but whatever it writes lands in memory and is \
gone when it ends; it sees only its own processes, its own host name, an empty network, and so on.

It takes the same way as `run`: a document is made, compiled to a plan and carried out. Without COMMAND it starts your \
shell.",
    rest: Some(Rest {
        usage: "COMMAND [ARG...]",
        begins: Begins::AtFirstWord,
        optional: true,
        summary: "what to run; your shell if left out",
    }),
    options: &[Group {
        heading: "OPTIONS",
        flags: &[
            Flag::path("rootfs", "DIR", "run in DIR instead of a view of this system"),
            Flag::text("hostname", "NAME", "host name inside"),
            Flag::switch("ro", "make the root file system read-only instead of throw-away"),
            Flag::switch("report", "afterwards, print the identities of the eight namespaces beside the host's"),
        ],
    }],
    examples: &[
        Example { what: "look around in a shell", line: "insula try" },
        Example { what: "see only your own processes", line: "insula try ps aux" },
        Example { what: "prove what was isolated", line: "insula try --report -- true" },
        Example {
            what: "write where it does no harm",
            line: "insula try sh -c 'echo mine > /etc/motd; cat /etc/motd'",
        },
    ],
    ..EMPTY
};
