// SPDX-License-Identifier: Apache-2.0
//! `insula run`: create, start, wait, delete.

use super::{Command, EMPTY, shared};
use crate::flag::{Example, Flag, Group};

pub(super) static COMMAND: Command = Command {
    name: "run",
    summary: "create and start a container, wait for it, delete it",
    about: "\
Does what create and start do, passes signals on, and returns the process's exit status: 128 + n if signal n ended it. \
When it ends, the container is deleted, unless --keep or --detach is given.",
    positionals: &[shared::NEW_CONTAINER],
    options: &[
        Group {
            heading: "OPTIONS",
            flags: &[
                shared::BUNDLE,
                shared::CONSOLE_SOCKET,
                shared::PIDFD_SOCKET,
                shared::DETACH,
                Flag::switch("keep", "keep the stopped container; delete it with `insula delete`"),
                shared::PID_FILE,
                shared::NO_SUBREAPER,
                shared::NO_PIVOT,
                shared::NO_NEW_KEYRING,
                shared::PRESERVE_FDS,
            ],
        },
        shared::NAMESPACES,
    ],
    examples: &[
        Example { what: "run the bundle in the current directory", line: "insula run web1" },
        Example { what: "run it in the background", line: "insula run --detach --pid-file web1.pid web1" },
        Example { what: "run it with the host's network", line: "insula run --network host web1" },
    ],
    ..EMPTY
};
