// SPDX-License-Identifier: Apache-2.0
//! `insula list`: all containers under a root.

use super::{Command, EMPTY, Section, shared};
use crate::flag::{Example, Flag, Group};

pub(super) static COMMAND: Command = Command {
    name: "list",
    section: Section::Look,
    summary: "list the containers under this --root",
    about: "\
Shows each container's id, process, status, bundle, time of creation and owner. A container whose record cannot be read \
is named on stderr and left out.",
    options: &[Group {
        heading: "OPTIONS",
        flags: &[shared::TABLE_OR_JSON, Flag::switch("quiet", "print only the ids, one a line").short('q')],
    }],
    examples: &[
        Example { what: "list what Docker runs with insula", line: "insula --root /run/docker/runtime-runc/moby list" },
        Example {
            what: "delete everything that has stopped",
            line: "insula list -f json | jq -r '.[] | select(.status == \"stopped\").id' | xargs -rn1 insula delete",
        },
    ],
    ..EMPTY
};
