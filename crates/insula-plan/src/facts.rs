// SPDX-License-Identifier: Apache-2.0
//! What the plan needs to know beside the document, gathered by the host side.

use alloc::string::String;
use alloc::vec::Vec;
use insula_ns::{Identity, PerKind};

/// Facts of the host, the bundle and the namespaces to be joined.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Effective user id of the caller.
    pub euid: u32,
    /// The caller is in another user namespace than the initial one: it may make no device nodes.
    pub inner_user: bool,
    /// Effective group id of the caller.
    pub egid: u32,
    /// Absolute path of the bundle.
    pub bundle: String,
    /// The control groups.
    pub cgroup: CgroupView,
    /// For each kind with a `path`: what the path led to.
    pub joins: PerKind<Option<JoinFact>>,
    /// The maps of the user namespace to be joined, where the document states maps of its own and the caller may look.
    pub joined_maps: Option<JoinedMaps>,
    /// Seconds since the host booted, where time offsets are asked for.
    pub uptime: u64,
    /// Whether AppArmor is on, where a profile is asked for.
    pub apparmor: bool,
    /// Whether SELinux is on, where a label is asked for.
    pub selinux: bool,
    /// setgroups(2) is forbidden in the caller's user namespace, and so in every one below it.
    pub setgroups_denied: bool,
    /// The standard streams that the process gets.
    pub streams: Streams,
}

/// The maps of a user namespace that exists, as the caller sees them: inside, outside, count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JoinedMaps {
    /// User ids.
    pub users: Vec<[u32; 3]>,
    /// Group ids.
    pub groups: Vec<[u32; 3]>,
}

/// Standard input, output and error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Streams {
    /// Bit n: descriptor n is the host's /dev/null.
    pub null: u32,
    /// Inodes of the pipes among them; 0 for anything else.
    pub pipes: [u64; 3],
}

/// What a namespace path led to.
#[derive(Debug, Clone, Copy)]
pub struct JoinFact {
    /// The namespace.
    pub identity: Identity,
    /// It is the caller's own: joining it is staying.
    pub own: bool,
    /// It is owned by the user namespace that the document joins, or by a descendant of it.
    pub owned_by_joined_user: bool,
    /// The user namespace that owns it, where the caller may know.
    pub owner: Option<Identity>,
}

/// How control groups are mounted.
#[derive(Debug, Clone, Default)]
pub struct CgroupView {
    /// Version 2 alone.
    pub unified: bool,
    /// Version 1 hierarchies, in the order of their directories.
    pub hierarchies: Vec<Hierarchy>,
    /// How many descriptors of `tasks` files the process writes itself into (version 1 and hybrid).
    pub task_files: usize,
    /// Whether a version 2 directory is there to be born in.
    pub born: bool,
}

/// One version 1 hierarchy.
#[derive(Debug, Clone, Default)]
pub struct Hierarchy {
    /// Name of its directory below the cgroup mount point: `cpu,cpuacct`, `systemd`.
    pub directory: String,
    /// Mount options, comma-separated: `cpu,cpuacct` or `none,name=systemd`.
    pub options: String,
    /// Full path of the container's own group, or of the caller's where the process stays in that.
    pub group: String,
}

/// What the command line adds to the document.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The container's id.
    pub id: String,
    /// The process is started at once (`run`), rather than waiting for `start`.
    pub run: bool,
    /// `--no-pivot`
    pub no_pivot: bool,
    /// `--no-new-keyring`
    pub no_new_keyring: bool,
    /// `--preserve-fds` and `LISTEN_FDS`: descriptors from 3 on that the process keeps.
    pub preserve_fds: u32,
    /// Host environment that the process gets beside its own (`LISTEN_FDS`, `NOTIFY_SOCKET`).
    pub extra_env: Vec<String>,
}

/// What `exec` joins.
#[derive(Debug, Clone, Default)]
pub struct ExecTarget {
    /// Clone flags of the kinds in which the container differs from the caller.
    pub kinds: u64,
    /// The container has a user namespace of its own.
    pub user: bool,
    /// The process is put into a pid namespace of the container's.
    pub fork: bool,
    /// How many `tasks` files it writes itself into.
    pub task_files: usize,
    /// Whether a version 2 directory is there to be born in.
    pub born: bool,
    /// Path to the root directory of the container's first process, which is not that of its mount namespace.
    pub root: Option<String>,
}
