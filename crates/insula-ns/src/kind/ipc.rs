// SPDX-License-Identifier: Apache-2.0
//! IPC namespace: System V IPC objects and POSIX message queues. Source: ipc_namespaces(7).
use super::{Moves, Namespace};
use insula_sys::process::clone;

pub(super) static NAMESPACE: Namespace = Namespace {
    spec_name: "ipc",
    proc_name: "ipc",
    option: Some("ipc"),
    clone_flag: clone::NEWIPC,
    unshare_moves: Moves::Caller,
    setns_moves: Moves::Caller,
    join_rank: 1,
    create_rank: 1,
    owns: &[],
    // All that the kernel registers per IPC namespace (ipc/ipc_sysctl.c).
    sysctls: &[
        "kernel.auto_msgmni",
        "kernel.msg_next_id",
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.sem_next_id",
        "kernel.shm_next_id",
        "kernel.shm_rmid_forced",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
    ],
    sysctl_prefixes: &["fs.mqueue."],
    since: (2, 6),
    exposes: "the container can use the host's System V shared memory, semaphores and message queues",
    hierarchical: false,
};
