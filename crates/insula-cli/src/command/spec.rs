// SPDX-License-Identifier: Apache-2.0
//! `insula spec`: a first config.json.

use super::{Command, EMPTY, shared};
use crate::flag::{Example, Flag, Group};

pub(super) static COMMAND: Command = Command {
    name: "spec",
    summary: "write a config.json to start from",
    about: "\
Writes a complete document into the bundle: a shell in its own namespaces, on a read-only root file system called \
rootfs, with the usual mounts and few capabilities. Edit it, above all process.args. An existing config.json is never \
overwritten.",
    options: &[Group {
        heading: "OPTIONS",
        flags: &[
            shared::BUNDLE,
            Flag::switch(
                "rootless",
                "write a document that an ordinary user can run: with a user namespace that maps \
                                      this user to root",
            ),
        ],
    }],
    examples: &[
        Example {
            what: "make a bundle from busybox and run it",
            line: "mkdir -p web/rootfs/bin && cd web && cp /bin/busybox rootfs/bin/sh && insula spec && insula run web1",
        },
        Example { what: "make one that needs no root", line: "insula spec --rootless" },
    ],
    ..EMPTY
};
