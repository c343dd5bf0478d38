// SPDX-License-Identifier: Apache-2.0
//! `insula completion`: a shell's completion script.

use super::{Command, EMPTY, Section};
use crate::completion::Shell;
use crate::flag::{Example, Means, Positional};

pub(super) static COMMAND: Command = Command {
    name: "completion",
    section: Section::Program,
    summary: "print a completion script for a shell",
    about: "\
The script completes commands, flags, their values and the ids of containers. Packages of insula install it; by hand, \
load it in the shell's start-up file.",
    positionals: &[Positional {
        name: "shell",
        means: Means::OneOf(Shell::NAMES),
        required: true,
        summary: "bash, zsh or fish",
    }],
    examples: &[
        Example { what: "load it in this bash", line: "source <(insula completion bash)" },
        Example {
            what: "install it for fish",
            line: "insula completion fish > ~/.config/fish/completions/insula.fish",
        },
    ],
    ..EMPTY
};
