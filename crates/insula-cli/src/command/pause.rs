// SPDX-License-Identifier: Apache-2.0
//! `insula pause`: freezes a container.

use super::{Command, EMPTY, shared};
use crate::flag::Example;

pub(super) static COMMAND: Command = Command {
    name: "pause",
    summary: "freeze all processes of a container",
    about: "\
Uses the cgroup freezer: the processes keep their memory and files but get no processor time until `insula resume`.",
    positionals: &[shared::CONTAINER],
    examples: &[Example { what: "freeze web1", line: "insula pause web1" }],
    ..EMPTY
};
