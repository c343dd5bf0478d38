// SPDX-License-Identifier: Apache-2.0
//! Flags that stand before the command; accepted after it too, unless the command has one of the same name.

use crate::flag::Flag;

/// The global flags.
pub static GLOBALS: &[Flag] = &[
    Flag::path(
        "root",
        "DIR",
        "where containers' records are kept; /run/insula, or $XDG_RUNTIME_DIR/insula for an ordinary user",
    ),
    Flag::path("log", "FILE", "append log records to FILE; errors are shown on stderr as well"),
    Flag::one_of("log-format", &["text", "json"], "shape of the log records").default("text"),
    Flag::switch("debug", "log what is done, step by step"),
    Flag::switch("systemd-cgroup", "let systemd make the cgroups; cgroupsPath is then SLICE:PREFIX:NAME"),
    Flag::text("rootless", "true|false|auto", "go on where cgroups refuse an ordinary user").default("auto"),
    Flag::path("criu", "FILE", "accepted and ignored: CRIU is found in $PATH").hidden(),
    Flag::switch("help", "show help").short('h'),
    Flag::switch("version", "show the version").short('v'),
];
