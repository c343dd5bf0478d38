// SPDX-License-Identifier: Apache-2.0
//! `insula inspect`: what a container's namespaces really are.

use super::{Command, EMPTY, Section, shared};
use crate::flag::{Example, Group};

pub(super) static COMMAND: Command = Command {
    name: "inspect",
    section: Section::Look,
    summary: "show what a container's namespaces are and who shares them",
    about: "\
For each of the eight kinds: how it came about (created, joined, inherited), its identity, the user namespace that owns \
it, how many processes are in it, which other containers share it, and how it differs from the host's. Below, what \
belongs to it: id mappings, clock offsets, host name, interfaces.",
    positionals: &[shared::CONTAINER],
    options: &[Group { heading: "OPTIONS", flags: &[shared::TABLE_OR_JSON] }],
    examples: &[Example { what: "see who shares web1's network", line: "insula inspect web1" }],
    ..EMPTY
};
