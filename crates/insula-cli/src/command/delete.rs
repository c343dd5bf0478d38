// SPDX-License-Identifier: Apache-2.0
//! `insula delete`: removes what a container holds.

use super::{Command, EMPTY, shared};
use crate::flag::{Example, Flag, Group};

pub(super) static COMMAND: Command = Command {
    name: "delete",
    summary: "remove a stopped container's cgroup, record and whatever else it holds",
    about: "\
The container must have stopped or not have been started; --force ends a running one first. With --force it works from \
any state, also after insula itself was killed half-way, and a container that is not there is no error.",
    positionals: &[shared::CONTAINER],
    options: &[Group { heading: "OPTIONS", flags: &[Flag::switch("force", "kill its processes first").short('f')] }],
    examples: &[
        Example { what: "delete web1 after it ended", line: "insula delete web1" },
        Example { what: "end and delete it", line: "insula delete --force web1" },
    ],
    ..EMPTY
};
