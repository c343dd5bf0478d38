// SPDX-License-Identifier: Apache-2.0
//! `insula kill`: a signal to a container.

use super::{Command, EMPTY, shared};
use crate::flag::{Example, Flag, Group, Means, Positional};

pub(super) static COMMAND: Command = Command {
    name: "kill",
    summary: "send a signal to a container's first process",
    about: "\
The signal is a name with or without SIG, in any case, or a number. A container's first process receives only signals \
for which it has a handler, and KILL and STOP: that is the kernel's rule for process 1 of a pid namespace.",
    positionals: &[
        shared::CONTAINER,
        Positional {
            name: "signal",
            means: Means::Signal,
            required: false,
            summary: "name or number; TERM if left out",
        },
    ],
    options: &[Group {
        heading: "OPTIONS",
        flags: &[Flag::switch("all", "send it to all of the container's processes").short('a')],
    }],
    examples: &[
        Example { what: "ask web1 to end", line: "insula kill web1" },
        Example { what: "end it", line: "insula kill web1 KILL" },
    ],
    ..EMPTY
};
