// SPDX-License-Identifier: Apache-2.0
//! Flags and words that several commands have.

use crate::flag::{Flag, Group, Means, Positional};

/// The container that a command is about.
pub(super) const CONTAINER: Positional = Positional {
    name: "container-id",
    means: Means::Container,
    required: true,
    summary: "the container's name under this --root",
};

/// The name that a new container gets.
pub(super) const NEW_CONTAINER: Positional = Positional {
    name: "container-id",
    means: Means::NewContainer,
    required: true,
    summary: "a name of your choice, unique under this --root: letters, digits and _+.-",
};

pub(super) const BUNDLE: Flag =
    Flag::path("bundle", "DIR", "directory with config.json and the root file system").short('b').default(".");

pub(super) const CONSOLE_SOCKET: Flag = Flag::path(
    "console-socket",
    "SOCKET",
    "unix socket that receives the master end of the terminal (needed with a terminal when detached)",
);

pub(super) const DETACH: Flag =
    Flag::switch("detach", "return when the process runs instead of waiting for it").short('d');

pub(super) const NO_PIVOT: Flag =
    Flag::switch("no-pivot", "use MS_MOVE and chroot instead of pivot_root, for a root on a ramdisk; less isolated");

pub(super) const NO_NEW_KEYRING: Flag =
    Flag::switch("no-new-keyring", "let the container use the caller's session keyring");

pub(super) const NO_SUBREAPER: Flag =
    Flag::switch("no-subreaper", "do not adopt and reap the container's orphaned processes");

pub(super) const PID_FILE: Flag =
    Flag::path("pid-file", "FILE", "write the process's pid, as the host sees it, to FILE");

pub(super) const PIDFD_SOCKET: Flag =
    Flag::path("pidfd-socket", "SOCKET", "unix socket that receives a pidfd of the process");

pub(super) const PRESERVE_FDS: Flag =
    Flag::integer("preserve-fds", "N", "pass on N more descriptors, from 3 + $LISTEN_FDS upwards").default("0");

pub(super) const TABLE_OR_JSON: Flag =
    Flag::one_of("format", &["table", "json"], "how to print it").short('f').default("table");

/// Choices that override the document's namespaces, in podman's words.
pub(super) const NAMESPACES: Group = Group {
    heading: "NAMESPACES INSTEAD OF THE BUNDLE'S",
    flags: &[
        Flag::text("pid", CHOICE, "process ids"),
        Flag::text("network", CHOICE, "interfaces, addresses, routes, ports"),
        Flag::text("ipc", CHOICE, "shared memory, semaphores, message queues"),
        Flag::text("uts", CHOICE, "host name and domain name"),
        Flag::text("user", CHOICE, "user and group ids, capabilities"),
        Flag::text("cgroupns", CHOICE, "the root that the process sees of the cgroup tree"),
        Flag::text("time", CHOICE, "offsets of the monotonic and boot-time clocks"),
    ],
};

const CHOICE: &str = "private|host|container:ID|ns:PATH";

/// Flags of checkpoint and restore that go to CRIU unchanged.
pub(super) const TCP_ESTABLISHED: Flag = Flag::switch("tcp-established", "keep open TCP connections");
pub(super) const EXT_UNIX_SK: Flag =
    Flag::switch("ext-unix-sk", "keep connections of unix sockets to outside processes");
pub(super) const SHELL_JOB: Flag = Flag::switch("shell-job", "the container hangs on the caller's terminal");
pub(super) const FILE_LOCKS: Flag = Flag::switch("file-locks", "keep file locks");
pub(super) const LAZY_PAGES: Flag = Flag::switch("lazy-pages", "bring memory over on demand, through userfaultfd");
pub(super) const AUTO_DEDUP: Flag =
    Flag::switch("auto-dedup", "drop memory pages from older images once newer ones hold them");
pub(super) const MANAGE_CGROUPS: Flag =
    Flag::text("manage-cgroups-mode", "soft|full|strict|ignore", "what CRIU does with cgroups (soft unless given)");
pub(super) const EMPTY_NS: Flag =
    Flag::text("empty-ns", "TYPE", "recreate this namespace empty; only network is possible, and always done").repeat();
pub(super) const WORK_PATH: Flag = Flag::path("work-path", "DIR", "where CRIU keeps its work files and logs");
