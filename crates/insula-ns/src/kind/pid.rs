// SPDX-License-Identifier: Apache-2.0
//! PID namespace: process numbers; its first process is its init. Source: pid_namespaces(7).
use super::{Moves, Namespace};
use insula_sys::process::clone;

pub(super) static NAMESPACE: Namespace = Namespace {
    spec_name: "pid",
    proc_name: "pid",
    option: Some("pid"),
    clone_flag: clone::NEWPID,
    // Nobody's own number ever changes: both calls act on the next fork.
    unshare_moves: Moves::Children,
    setns_moves: Moves::Children,
    join_rank: 1,
    create_rank: 3,
    owns: &[],
    sysctls: &[],
    sysctl_prefixes: &[],
    since: (2, 6),
    exposes: "the container sees all host processes and can signal those of its user",
    hierarchical: true,
};
