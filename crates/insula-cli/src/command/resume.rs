// SPDX-License-Identifier: Apache-2.0
//! `insula resume`: thaws a container.

use super::{Command, EMPTY, shared};
use crate::flag::Example;

pub(super) static COMMAND: Command = Command {
    name: "resume",
    summary: "let the processes of a paused container go on",
    about: "Thaws the container's cgroup, which `insula pause` froze; its processes go on where they were.",
    positionals: &[shared::CONTAINER],
    examples: &[Example { what: "thaw web1", line: "insula resume web1" }],
    ..EMPTY
};
