// SPDX-License-Identifier: Apache-2.0
//! `insula checkpoint`: a running container into files.

use super::{Command, EMPTY, shared};
use crate::flag::{Example, Flag, Group};

pub(super) static COMMAND: Command = Command {
    name: "checkpoint",
    summary: "save a running container to files",
    about: "\
Uses CRIU to write the processes' memory, files and sockets into image files, from which `insula restore` continues \
them. The container stops and is deleted unless --leave-running or --pre-dump is given.",
    positionals: &[shared::CONTAINER],
    options: &[Group {
        heading: "OPTIONS",
        flags: &[
            Flag::path("image-path", "DIR", "where the image files go").default("checkpoint"),
            shared::WORK_PATH,
            Flag::text("parent-path", "DIR", "earlier pre-dump to build on, relative to --image-path"),
            Flag::switch("leave-running", "let the container go on afterwards"),
            shared::TCP_ESTABLISHED,
            Flag::switch("tcp-skip-in-flight", "leave out TCP connections that are still being opened"),
            Flag::switch("link-remap", "link deleted but open files back where possible"),
            shared::EXT_UNIX_SK,
            shared::SHELL_JOB,
            shared::LAZY_PAGES,
            Flag::integer("status-fd", "FD", "descriptor that gets a zero byte once lazy pages can be served")
                .default("-1"),
            Flag::text("page-server", "ADDRESS:PORT", "send memory pages to this page server"),
            shared::FILE_LOCKS,
            Flag::switch("pre-dump", "save the memory only and let the container go on"),
            shared::MANAGE_CGROUPS,
            shared::EMPTY_NS,
            shared::AUTO_DEDUP,
        ],
    }],
    examples: &[
        Example { what: "save web1 and stop it", line: "insula checkpoint --image-path /var/tmp/web1 web1" },
        Example {
            what: "save it while it goes on",
            line: "insula checkpoint --leave-running --image-path /var/tmp/web1 web1",
        },
    ],
    ..EMPTY
};
