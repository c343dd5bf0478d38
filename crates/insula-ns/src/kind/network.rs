// SPDX-License-Identifier: Apache-2.0
//! Network namespace: interfaces, addresses, routes, sockets, packet filters. Source: network_namespaces(7).
use super::{Moves, Namespace};
use insula_sys::process::clone;

pub(super) static NAMESPACE: Namespace = Namespace {
    spec_name: "network",
    proc_name: "net",
    option: Some("network"),
    clone_flag: clone::NEWNET,
    unshare_moves: Moves::Caller,
    setns_moves: Moves::Caller,
    join_rank: 1,
    create_rank: 1,
    owns: &["/linux/netDevices"],
    sysctls: &[],
    sysctl_prefixes: &["net."],
    since: (2, 6),
    exposes: "the container sees and can use all host interfaces",
    hierarchical: false,
};
