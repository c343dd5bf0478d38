// SPDX-License-Identifier: Apache-2.0
//! `insula ns`: every namespace of the host.

use super::{Command, EMPTY, Section};
use crate::flag::{Example, Flag, Group, Means, Positional};

pub(super) static COMMAND: Command = Command {
    name: "ns",
    section: Section::Look,
    summary: "show every namespace of this host, and which containers are in it",
    about: "\
Like lsns(8), but it knows containers by name, insula's own and those of Docker, containerd, Podman and CRI-O, and it \
finds namespaces that only a bind mount or an open file keeps alive. In the graph, containers are nodes and shared \
namespaces connect them.",
    positionals: &[Positional {
        name: "view",
        means: Means::OneOf(&["list", "tree", "graph"]),
        required: false,
        summary: "list (all in a table), tree (by owner and nesting) or graph (by sharing); list if left out",
    }],
    options: &[Group {
        heading: "OPTIONS",
        flags: &[
            Flag::one_of(
                "format",
                &["table", "json", "dot", "mermaid", "svg"],
                "how to print it; dot, mermaid and svg are for graph",
            )
            .short('f'),
            Flag::text("type", "KIND", "only namespaces of this kind, such as net").short('t').repeat(),
            Flag::text("container", "ID", "only those of this container").short('c').repeat(),
            Flag::integer("pid", "PID", "only those of this process").short('p').repeat(),
        ],
    }],
    examples: &[
        Example { what: "list the network namespaces and who is in them", line: "insula ns --type net" },
        Example { what: "draw which containers share what", line: "insula ns graph --format svg > ns.svg" },
    ],
    ..EMPTY
};
