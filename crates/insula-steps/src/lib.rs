// SPDX-License-Identifier: Apache-2.0
//! The instruction set of insula's init.
//!
//! The host side compiles a plan to a list of [`Step`]s and writes them as bytes behind init's own program in a sealed
//! memfd; init walks them. A step carries everything it needs, so init has no configuration, parses no text and decides
//! nothing. When one fails, init sends *(step number, call, errno)* and dies; the host side, which has the plan, makes a
//! sentence of it.
//!
//! Owns: what a step is, its bytes, and the few messages between init and the host side. Must not know: `config.json`,
//! or how a step is performed. Start reading at [`Step`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod message;
mod wire;

pub use wire::{Reader, Strings, Torn, Wire};

use alloc::vec::Vec;
use core::ffi::CStr;

/// A descriptor: in a plan the number of a slot that the launch fills, in init's list the descriptor's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fd(pub u32);

impl Fd {
    /// No descriptor.
    pub const NONE: Self = Self(u32::MAX);

    /// Whether there is one.
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }
}

macro_rules! steps {
    ($( $(#[$doc:meta])* $code:literal $name:ident { $( $(#[$fdoc:meta])* $field:ident : $kind:ty ),* $(,)? } )*) => {
        /// One instruction for init. Paths are absolute in the container unless the text says otherwise.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(missing_docs)] // a variant's text says what its fields are
        pub enum Step<'a> {
            $( $(#[$doc])* $name { $( $(#[$fdoc])* $field: $kind ),* } ),*
        }

        impl<'a> Step<'a> {
            /// Appends the step's bytes; descriptors pass through `fd` (slot to number).
            pub fn write(&self, out: &mut Vec<u8>, fd: &dyn Fn(Fd) -> Fd) {
                match self {
                    $( Self::$name { $($field),* } => { out.push($code); $( $field.put(out, fd); )* } ),*
                }
            }

            /// Reads the next step.
            ///
            /// # Errors
            /// [`Torn`] if the bytes end early or no step has the code.
            pub fn read(reader: &mut Reader<'a>) -> Result<Self, Torn> {
                match reader.byte()? {
                    $( $code => Ok(Self::$name { $( $field: Wire::get(reader)? ),* }), )*
                    _ => Err(Torn),
                }
            }

            /// The step's name, for people.
            pub fn name(&self) -> &'static str {
                match self { $( Self::$name { .. } => stringify!($name) ),* }
            }
        }
    };
}

steps! {
    /// Joins the namespace(s) behind `fd` (setns(2)); `kinds` are clone flags.
    1 Join { fd: Fd, kinds: u64 }
    /// New namespaces for this process, or its children (unshare(2)).
    2 Unshare { kinds: u64 }
    /// Waits until the host side has done its part ([`message::Part`] number).
    3 Ask { part: u32 }
    /// Goes on in a new process in the namespaces `flags` (clone3(2)), born in `cgroup` where given; this one reports and ends.
    4 Fork { flags: u64, cgroup: Fd }
    /// Becomes user and group 0 of the user namespace.
    5 BecomeRoot {}
    /// Writes `text` to an open file in one call.
    6 WriteTo { fd: Fd, text: &'a [u8] }
    /// Brings the loopback interface up.
    7 Loopback {}
    /// sethostname(2)
    8 Hostname { name: &'a [u8] }
    /// setdomainname(2)
    9 Domainname { name: &'a [u8] }
    /// A new session (setsid(2)).
    10 Session {}
    /// Sets the propagation of every mount below `/` of the namespace.
    11 Propagate { propagation: u64, recursive: u32 }
    /// Attaches the detached tree `fd` as what will be the root: at host path `at`, or over `/` where that is empty.
    12 Root { fd: Fd, at: &'a CStr }
    /// Mounts a new file system: `options` are `key=value` or `flag` for fsconfig(2), `attributes` MOUNT_ATTR_*.
    13 Mount { fstype: &'a CStr, options: Strings<'a>, attributes: u64, propagation: u64, target: &'a CStr, flags: u32 }
    /// Attaches the detached tree `fd`; the mount point is made where it is missing, a directory or a file as the tree is.
    14 Attach { fd: Fd, target: &'a CStr, flags: u32 }
    /// Changes attributes or propagation of the mount at `target`.
    15 Change { target: &'a CStr, set: u64, clear: u64, propagation: u64, recursive: u32 }
    /// Makes a device node, or binds the tree `bind` over an empty file where mknod is not allowed.
    16 Device { path: &'a CStr, mode: u32, major: u32, minor: u32, uid: u32, gid: u32, bind: Fd }
    /// Makes the symbolic link `path` with content `to`.
    17 Link { path: &'a CStr, to: &'a CStr }
    /// Makes a path unreadable: directories by an empty read-only tmpfs with these `options` beside its own, anything else by
    /// `null`, a tree of /dev/null.
    18 Mask { path: &'a CStr, null: Fd, options: Strings<'a> }
    /// Makes a path read-only; `alone`: nothing is mounted below it.
    19 ReadOnly { path: &'a CStr, alone: u32 }
    /// Leaves the old root for the new one (pivot_root(2)).
    20 Pivot {}
    /// Leaves the old root by moving the new one over it (no pivot_root: ramfs hosts).
    21 MoveRoot {}
    /// chroot(2) into the directory behind `fd`, or into the root that was attached where there is none, for a document
    /// without a mount namespace of its own.
    22 Chroot { fd: Fd }
    /// Writes `value` to /proc/sys/`name` on a procfs of our own.
    23 Sysctl { name: &'a CStr, value: &'a [u8] }
    /// Opens a terminal in the container's devpts, sends its master to the host side, makes it standard input, output and error.
    24 Terminal { rows: u32, columns: u32, console: u32 }
    /// prlimit(2)
    25 Limit { resource: u32, soft: u64, hard: u64 }
    /// A session keyring of this name (keyrings(7)); hosts without keyrings are fine.
    26 Keyring { name: &'a CStr }
    /// Drops every capability outside `keep` from the bounding set.
    27 Bounding { keep: u64 }
    /// Becomes the process's user; `groups` is little-endian u32 after u32; capabilities survive for the next step.
    /// `set_groups`: 0 not, 1 do, 2 unless there are none and the user namespace forbids it (setgroups: deny).
    28 User { uid: u32, gid: u32, groups: &'a [u8], set_groups: u32 }
    /// Sets the capability sets (capset(2), PR_CAP_AMBIENT).
    29 Capabilities { effective: u64, permitted: u64, inheritable: u64, ambient: u64 }
    /// umask(2)
    30 Umask { mask: u32 }
    /// PR_SET_NO_NEW_PRIVS
    31 NoNewPrivs {}
    /// Installs a seccomp filter (seccomp(2)); with the listener flag its descriptor goes to the host side.
    32 Seccomp { flags: u32, program: &'a [u8] }
    /// chdir(2); with `make` as container root: the directory is made where it is missing, and EACCES is left to the
    /// second attempt, made as the user.
    33 Cwd { path: &'a CStr, make: u32 }
    /// Sets HOME from the container's /etc/passwd where the environment lacks it.
    34 Home { uid: u32 }
    /// Finds `program` along PATH of `env` in the container.
    35 Find { program: &'a CStr, path: &'a CStr }
    /// Reports that all is done and waits for the host side's word to go on.
    36 Ready {}
    /// Waits for `start`: one byte from the fifo `fd`, which init holds open for reading and writing. Every other
    /// descriptor from `first` on, but that of the host side's socket, is closed before.
    37 AwaitStart { fd: Fd, first: u32 }
    /// Descriptors from `first` on will not survive the last step.
    38 CloseFrom { first: u32 }
    /// Becomes the user's program, found by the last `Find`.
    39 Exec { argv: Strings<'a>, env: Strings<'a> }
    /// personality(2)
    40 Personality { persona: u32 }
    /// ioprio_set(2)
    41 IoPriority { priority: u32 }
    /// sched_setattr(2)
    42 Scheduler { policy: u32, flags: u64, nice: i32, priority: u32, runtime: u64, deadline: u64, period: u64 }
    /// set_mempolicy(2); `nodes` is 16 little-endian u64.
    43 MemoryPolicy { mode: u32, nodes: &'a [u8] }
    /// Writes a security label for the next execve: `file` below /proc/self/attr.
    45 Label { file: &'a CStr, label: &'a [u8] }
    /// Moves descriptor `fd` to `to`, open across execve.
    46 Place { fd: Fd, to: u32 }
    /// From here on other processes may not look into this one (PR_SET_DUMPABLE), until it becomes the user's program.
    47 Undumpable {}
    /// Compares the host name of a joined namespace, which is not ours to change.
    49 HostnameIs { name: &'a [u8] }
    /// As `HostnameIs`, for the domain name.
    50 DomainnameIs { name: &'a [u8] }
    /// Makes the permitted capabilities of `mask` effective, all others not, which becoming another user has undone: limits and a seccomp
    /// filter may need them.
    51 Regain { mask: u64 }
    /// sched_setaffinity(2): `cpus` is a bit mask, 8 bytes or more.
    48 Affinity { cpus: &'a [u8] }
    /// Binds `source` of the container to `target`; attributes as of a detached tree: of the top, and of all. Its ids are
    /// mapped as in the user namespace `users`, by the host side.
    52 Rebind {
        source: &'a CStr,
        target: &'a CStr,
        set: u64,
        clear: u64,
        set_all: u64,
        clear_all: u64,
        recursive: u32,
        users: Fd,
        all_ids: u32,
    }
    /// Copies the host's mount at `path` (open_tree(2)), seen from the container's own mount namespace before it leaves the
    /// host's tree, and keeps it under the number of `fd`: for a caller who may not copy it outside.
    53 Detach { fd: Fd, path: &'a CStr, recursive: u32 }
    /// Changes the detached mount `fd`. Where the kernel refuses to clear `clear`, it clears `least`.
    54 Adjust { fd: Fd, set: u64, clear: u64, least: u64, propagation: u64, recursive: u32 }
    /// Makes a new file system, attached nowhere, and keeps it under the number of `fd`: before the user namespace is
    /// entered, which has no rights over what the file system shows.
    55 Early { fd: Fd, fstype: &'a CStr, options: Strings<'a>, attributes: u64 }
    /// Uses the procfs `fd` for kernel parameters.
    56 Procfs { fd: Fd }
    /// Gives all supplementary groups up, before a user namespace is entered that may forbid it.
    57 DropGroups {}
    /// The container's own /dev/null takes the host's place behind the descriptors of the bit mask `fds`: what a process
    /// holds open is then all of its own mounts, as a checkpoint demands. A node that is no /dev/null is passed over.
    60 NullStreams { fds: u32 }
    /// Gives every capability up that is not in `keep`; the bounding set stays.
    58 Lower { keep: u64 }
    /// Attaches the detached tree `fd` as the root to the directory `at` of a mount namespace that others are in, too, and
    /// keeps its mounts from passing anything on.
    62 Anchor { fd: Fd, at: Fd }
    /// Gives the directory at `target` the SELinux context `label` (its extended attribute).
    61 FileLabel { target: &'a CStr, label: &'a [u8] }
}

/// Flag of [`Step::Mount`]: `target` must be a directory of its own, not a link (for /proc and /sys).
pub const MOUNT_PLAIN_DIR: u32 = 1;
/// Flag of [`Step::Mount`]: what the target held is copied into the new file system first (tmpcopyup).
pub const MOUNT_COPY_UP: u32 = 2;
/// Flag of [`Step::Mount`]: if the kernel refuses with EPERM, attach nothing and go on to the next step.
pub const MOUNT_LENIENT: u32 = 4;
/// Flag of [`Step::Mount`]: the new root directory gets the mode that the mount point has, where there is one.
pub const MOUNT_INHERIT_MODE: u32 = 8;
/// Flag of [`Step::Mount`]: later steps make directories, nodes and links right in it.
pub const MOUNT_PARENT: u32 = 16;
/// Flag of [`Step::Attach`]: the target may lie on procfs (a short list of files).
pub const ATTACH_ON_PROC: u32 = 2;

/// Flag of [`Step::Attach`]: as [`MOUNT_PLAIN_DIR`].
pub const ATTACH_PLAIN_DIR: u32 = 4;
/// Flag of [`Step::Attach`]: the tree is known to be a directory.
pub const ATTACH_DIR: u32 = 8;

/// First bytes of a list of steps: this, the count of steps (u32) and the descriptor of the socket to the host side (u32).
pub const MAGIC: u32 = 0x314c_5349;

/// Writes a whole list.
pub fn encode<'a, 's: 'a>(steps: impl Iterator<Item = &'a Step<'s>>, socket: Fd, fd: &dyn Fn(Fd) -> Fd) -> Vec<u8> {
    let mut out = Vec::with_capacity(8192);
    MAGIC.put(&mut out, fd);
    0_u32.put(&mut out, fd);
    socket.put(&mut out, fd);
    let mut count = 0_u32;
    for step in steps {
        step.write(&mut out, fd);
        count += 1;
    }
    out[4..8].copy_from_slice(&count.to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut packed = Vec::new();
        let options = Strings::pack(["mode=755", "size=65536k"], &mut packed);
        let steps = [
            Step::Mount {
                fstype: c"tmpfs",
                options,
                attributes: 2,
                propagation: 0,
                target: c"/dev",
                flags: MOUNT_PLAIN_DIR,
            },
            Step::Join { fd: Fd(3), kinds: 0x4000_0000 },
            Step::Hostname { name: b"web" },
        ];
        let bytes = encode(steps.iter(), Fd(1), &|slot| Fd(slot.0 + 10));
        let mut reader = Reader::new(&bytes);
        assert_eq!(u32::get(&mut reader), Ok(MAGIC));
        assert_eq!(u32::get(&mut reader), Ok(3));
        assert_eq!(Fd::get(&mut reader), Ok(Fd(11)));
        assert_eq!(Step::read(&mut reader), Ok(steps[0].clone()));
        assert_eq!(Step::read(&mut reader), Ok(Step::Join { fd: Fd(13), kinds: 0x4000_0000 }));
        assert_eq!(Step::read(&mut reader), Ok(steps[2].clone()));
        assert!(reader.is_empty());
    }

    #[test]
    fn every_torn_list_is_an_error_not_a_panic() {
        let step = Step::Device { path: c"/dev/null", mode: 0o666, major: 1, minor: 3, uid: 0, gid: 0, bind: Fd::NONE };
        let mut bytes = Vec::new();
        step.write(&mut bytes, &|fd| fd);
        for end in 0..bytes.len() {
            assert_eq!(Step::read(&mut Reader::new(&bytes[..end])), Err(Torn), "cut at {end}");
        }
    }
}
