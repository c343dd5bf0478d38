// SPDX-License-Identifier: Apache-2.0
//! Time namespace: shifts the monotonic and boottime clocks. Source: time_namespaces(7).
use super::{Moves, Namespace};
use insula_sys::process::clone;

pub(super) static NAMESPACE: Namespace = Namespace {
    spec_name: "time",
    proc_name: "time",
    option: Some("time"),
    // Lies in clone(2)'s exit signal byte: only clone3(2) and unshare(2) know it.
    clone_flag: clone::NEWTIME,
    // Between unshare and the first fork or exec the offsets can be written; after it never again.
    unshare_moves: Moves::Children,
    setns_moves: Moves::Caller,
    join_rank: 1,
    create_rank: 1,
    owns: &["/linux/timeOffsets"],
    sysctls: &[],
    sysctl_prefixes: &[],
    since: (5, 6),
    exposes: "the container reads the host's uptime clocks",
    hierarchical: false,
};
