// SPDX-License-Identifier: Apache-2.0
//! `insula create`: a container up to the point where its process could start.

use super::{Command, EMPTY, shared};
use crate::flag::{Example, Group};

pub(super) static COMMAND: Command = Command {
    name: "create",
    summary: "create a container; its process waits for start",
    about: "\
Makes the namespaces, mounts, cgroup and limits that the bundle's config.json asks for, checks what the kernel gave \
against the plan, and leaves the container created: the process exists but does not run the user's program before \
`insula start`. Later changes to config.json have no effect on it.",
    positionals: &[shared::NEW_CONTAINER],
    options: &[
        Group {
            heading: "OPTIONS",
            flags: &[
                shared::BUNDLE,
                shared::CONSOLE_SOCKET,
                shared::PIDFD_SOCKET,
                shared::PID_FILE,
                shared::NO_PIVOT,
                shared::NO_NEW_KEYRING,
                shared::PRESERVE_FDS,
            ],
        },
        shared::NAMESPACES,
    ],
    examples: &[
        Example {
            what: "create web1 from a bundle, then start it",
            line: "insula create --bundle /srv/web web1 && insula start web1",
        },
        Example {
            what: "create one that shares web1's network, as in a pod",
            line: "insula create --bundle /srv/log --network container:web1 log1",
        },
    ],
    ..EMPTY
};
