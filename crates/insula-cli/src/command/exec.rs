// SPDX-License-Identifier: Apache-2.0
//! `insula exec`: another process in a running container.

use super::{Command, EMPTY, shared};
use crate::flag::{Begins, Example, Flag, Group, Rest};

pub(super) static COMMAND: Command = Command {
    name: "exec",
    summary: "run another process in a running container",
    about: "\
Starts COMMAND in the container's namespaces, cgroup and root file system, with the user, capabilities and environment \
of the container's own process as far as flags do not change them, and returns its exit status. If insula itself fails, \
the status is 255. Instead of COMMAND, --process takes a whole `process` object of the runtime specification.",
    positionals: &[shared::CONTAINER],
    rest: Some(Rest {
        usage: "COMMAND [ARG...]",
        begins: Begins::AtFirstWord,
        optional: true,
        summary: "what to run; needed unless --process is given",
    }),
    options: &[Group {
        heading: "OPTIONS",
        flags: &[
            shared::CONSOLE_SOCKET,
            shared::PIDFD_SOCKET,
            Flag::text("cwd", "DIR", "working directory, as the container sees it"),
            Flag::text("env", "NAME=VALUE", "set an environment variable").short('e').repeat(),
            Flag::switch("tty", "give it a terminal").short('t'),
            Flag::text("user", "UID[:GID]", "ids inside the container, as numbers").short('u'),
            Flag::text("additional-gids", "GID", "add a supplementary group").short('g').repeat(),
            Flag::path("process", "FILE", "take the process from FILE, a JSON `process` object").short('p'),
            shared::DETACH,
            shared::PID_FILE,
            Flag::text("process-label", "LABEL", "SELinux label of the process"),
            Flag::text("apparmor", "PROFILE", "AppArmor profile of the process"),
            Flag::switch("no-new-privs", "never let it gain privileges, as by setuid programs"),
            Flag::text("cap", "CAPABILITY", "add a capability to the bounding, effective and permitted sets")
                .short('c')
                .repeat(),
            shared::PRESERVE_FDS,
            Flag::text("cgroup", "[CONTROLLER[,...]:]PATH", "run in this existing cgroup below the container's")
                .repeat(),
            Flag::switch("ignore-paused", "go on although the container is paused; it starts when resumed"),
        ],
    }],
    examples: &[
        Example { what: "see the container's processes from inside", line: "insula exec web1 ps aux" },
        Example { what: "open a shell in it", line: "insula exec --tty web1 sh" },
        Example {
            what: "run as another user with a variable",
            line: "insula exec --user 1000:1000 --env LANG=C web1 id",
        },
    ],
    ..EMPTY
};
