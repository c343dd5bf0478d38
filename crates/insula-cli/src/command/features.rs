// SPDX-License-Identifier: Apache-2.0
//! `insula features`: the features document of the specification.

use super::{Command, EMPTY, Section};
use crate::flag::Example;

pub(super) static COMMAND: Command = Command {
    name: "features",
    section: Section::Program,
    summary: "print what this runtime can do, as JSON",
    about: "\
Prints the features document of the runtime specification, from which engines learn what they may ask for: namespaces, \
capabilities, mount options, seccomp, cgroups and so on. It is about the program; `insula doctor` is about the host.",
    examples: &[Example { what: "list the mount options", line: "insula features | jq .mountOptions" }],
    ..EMPTY
};
