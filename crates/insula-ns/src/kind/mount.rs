// SPDX-License-Identifier: Apache-2.0
//! Mount namespace: the tree of mounts. Source: mount_namespaces(7).
use super::{Moves, Namespace};
use insula_sys::process::clone;

pub(super) static NAMESPACE: Namespace = Namespace {
    spec_name: "mount",
    proc_name: "mnt",
    option: None,
    clone_flag: clone::NEWNS,
    unshare_moves: Moves::Caller,
    setns_moves: Moves::Caller,
    // Joining resets root and working directory, so every path must have been opened before.
    join_rank: 2,
    create_rank: 1,
    owns: &["/linux/maskedPaths", "/linux/readonlyPaths", "/linux/rootfsPropagation", "/mounts"],
    sysctls: &[],
    sysctl_prefixes: &[],
    since: (2, 4),
    exposes: "the container sees the host's mounts, and every mount made for it would appear on the host",
    hierarchical: false,
};
