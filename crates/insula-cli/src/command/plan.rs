// SPDX-License-Identifier: Apache-2.0
//! `insula plan`: what would be asked of the kernel.

use super::{Command, EMPTY, Section, shared};
use crate::flag::{Example, Flag, Group};

pub(super) static COMMAND: Command = Command {
    name: "plan",
    section: Section::First,
    summary: "print what create would ask of the kernel, without doing it",
    about: "\
Compiles config.json and prints the steps in their order, each with the field that asked for it, and for each namespace \
whether it is created, joined or inherited and what that exposes. It needs no root and changes nothing. What is printed \
is what create carries out for the caller: the same value. What create would refuse, plan refuses.",
    options: &[
        Group {
            heading: "OPTIONS",
            flags: &[
                shared::BUNDLE,
                Flag::one_of("format", &["text", "json"], "how to print it").short('f').default("text"),
                Flag::switch("as-root", "plan what root would do, as an ordinary user"),
            ],
        },
        shared::NAMESPACES,
    ],
    examples: &[
        Example { what: "see what the bundle in the current directory asks for", line: "insula plan" },
        Example { what: "see what it asks for when root creates it", line: "insula plan --as-root" },
        Example { what: "keep it for a review", line: "insula plan --bundle /srv/web --format json > plan.json" },
    ],
    ..EMPTY
};
