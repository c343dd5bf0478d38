// SPDX-License-Identifier: Apache-2.0
//! User namespace: user and group ids, capabilities; owns namespaces of the other kinds. Source: user_namespaces(7).
use super::{Moves, Namespace};
use insula_sys::process::clone;

pub(super) static NAMESPACE: Namespace = Namespace {
    spec_name: "user",
    proc_name: "user",
    option: Some("user"),
    clone_flag: clone::NEWUSER,
    unshare_moves: Moves::Caller,
    setns_moves: Moves::Caller,
    // Entering one loses every capability outside it: the joins that need those come before.
    join_rank: 3,
    // What is created after it belongs to it.
    create_rank: 0,
    owns: &["/linux/uidMappings", "/linux/gidMappings"],
    sysctls: &[],
    sysctl_prefixes: &["user.max_"],
    since: (3, 8),
    exposes: "root in the container is root on the host",
    hierarchical: true,
};
