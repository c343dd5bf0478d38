// SPDX-License-Identifier: Apache-2.0
//! Cgroup namespace: which cgroup looks like the root. Source: cgroup_namespaces(7).
use super::{Moves, Namespace};
use insula_sys::process::clone;

pub(super) static NAMESPACE: Namespace = Namespace {
    spec_name: "cgroup",
    proc_name: "cgroup",
    option: Some("cgroupns"),
    clone_flag: clone::NEWCGROUP,
    unshare_moves: Moves::Caller,
    setns_moves: Moves::Caller,
    join_rank: 1,
    // Its root is the cgroup the creator is in at that moment: after the cgroup has been joined.
    create_rank: 2,
    owns: &[],
    sysctls: &[],
    sysctl_prefixes: &[],
    since: (4, 6),
    exposes: "the container sees its full path in the host's cgroup tree",
    hierarchical: false,
};
