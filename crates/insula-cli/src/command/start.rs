// SPDX-License-Identifier: Apache-2.0
//! `insula start`: lets a created container run its program.

use super::{Command, EMPTY, shared};
use crate::flag::Example;

pub(super) static COMMAND: Command = Command {
    name: "start",
    summary: "run the program of a created container",
    about: "\
Lets the process that `insula create` left waiting run the user's program, and returns at once. A container starts \
once; one that has stopped is deleted and created again.",
    positionals: &[shared::CONTAINER],
    examples: &[Example { what: "start web1", line: "insula start web1" }],
    ..EMPTY
};
