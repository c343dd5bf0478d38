// SPDX-License-Identifier: Apache-2.0
//! UTS namespace: host name and NIS domain name. Source: uts_namespaces(7).
use super::{Moves, Namespace};
use insula_sys::process::clone;

pub(super) static NAMESPACE: Namespace = Namespace {
    spec_name: "uts",
    proc_name: "uts",
    option: Some("uts"),
    clone_flag: clone::NEWUTS,
    unshare_moves: Moves::Caller,
    setns_moves: Moves::Caller,
    join_rank: 1,
    create_rank: 1,
    owns: &["/hostname", "/domainname"],
    sysctls: &["kernel.hostname", "kernel.domainname"],
    sysctl_prefixes: &[],
    since: (2, 6),
    exposes: "the container sees the host's name and, with privilege, can change it",
    hierarchical: false,
};
