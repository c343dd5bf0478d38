// SPDX-License-Identifier: Apache-2.0
//! `insula restore`: continues a checkpointed container.

use super::{Command, EMPTY, shared};
use crate::flag::{Example, Flag, Group};

pub(super) static COMMAND: Command = Command {
    name: "restore",
    summary: "continue a container from a checkpoint",
    about: "\
Uses CRIU to bring back what `insula checkpoint` saved, in the bundle it was made from. Like `run`, it waits for the \
container and returns its exit status unless --detach is given.",
    positionals: &[shared::NEW_CONTAINER],
    options: &[Group {
        heading: "OPTIONS",
        flags: &[
            shared::BUNDLE,
            Flag::path("image-path", "DIR", "where the image files are").default("checkpoint"),
            shared::WORK_PATH,
            shared::CONSOLE_SOCKET,
            shared::DETACH,
            shared::PID_FILE,
            shared::NO_SUBREAPER,
            shared::NO_PIVOT,
            shared::TCP_ESTABLISHED,
            shared::EXT_UNIX_SK,
            shared::SHELL_JOB,
            shared::FILE_LOCKS,
            shared::LAZY_PAGES,
            shared::AUTO_DEDUP,
            shared::MANAGE_CGROUPS,
            shared::EMPTY_NS,
            Flag::text("lsm-profile", "TYPE:NAME", "security module profile to restore with"),
            Flag::text("lsm-mount-context", "CONTEXT", "security context of the restored mounts"),
        ],
    }],
    examples: &[Example {
        what: "continue web1 in the background",
        line: "insula restore --detach --bundle /srv/web --image-path /var/tmp/web1 web1",
    }],
    ..EMPTY
};
