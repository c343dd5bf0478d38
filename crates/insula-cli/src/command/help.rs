// SPDX-License-Identifier: Apache-2.0
//! `insula help`: the same as `--help`.

use super::{Command, EMPTY, Section};
use crate::flag::{Example, Means, Positional};

pub(super) static COMMAND: Command = Command {
    name: "help",
    alias: Some("h"),
    section: Section::Program,
    summary: "show help, of all commands or of one",
    about: "Without COMMAND it lists the commands; with it, it explains that command. `insula COMMAND --help` does the same.",
    positionals: &[Positional {
        name: "command",
        means: Means::Command,
        required: false,
        summary: "the command to explain",
    }],
    examples: &[Example { what: "explain exec", line: "insula help exec" }],
    ..EMPTY
};
