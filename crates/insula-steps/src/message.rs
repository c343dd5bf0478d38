// SPDX-License-Identifier: Apache-2.0
//! What init and the host side tell each other over their socket (SOCK_SEQPACKET: one message, one packet).
//!
//! From init: a tag and three numbers, then text. To init: a [`WORD`], which is the byte [`GO`] and the signals that it has
//! to give their default, bit n-1 for signal n; the end of the connection means that the host side died, and init ends too.

/// Longest message in bytes.
pub const MAX: usize = 512;
/// Bytes before the text: the tag and three u32.
pub const HEAD: usize = 16;
/// The host side's word to go on.
pub const GO: u8 = 1;
/// Bytes of that word with the set of signals after it.
pub const WORD: usize = 9;

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $value:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub enum $name { $($(#[$vdoc])* $variant = $value),* }

        impl $name {
            /// The value with this number.
            pub fn from_number(number: u32) -> Option<Self> {
                match number { $($value => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

numbered! {
    /// What a message from init is.
    Tag {
        /// Do your part (number: [`Part`]).
        Ask = 1,
        /// The process that goes on: numbers pid; its pidfd is attached.
        Forked = 2,
        /// Everything is done.
        Ready = 3,
        /// A step failed: step, [`Call`], errno; the text names the object.
        Failed = 4,
        /// The terminal's master is attached.
        Terminal = 5,
        /// There is a seccomp listener: numbers its descriptor, which the host side takes (pidfd_getfd(2)).
        Listener = 6,
        /// A detached tree is attached, whose ids are to be mapped: numbers the user namespace's descriptor, recursive.
        Tree = 8,
        /// Something to warn of: step, call, errno; the text names the object.
        Warning = 7,
    }
}

numbered! {
    /// What the host side does at an `Ask`.
    Part {
        /// Writes the id maps of the new user namespace.
        Maps = 1,
        /// Writes the time offsets.
        Offsets = 2,
        /// Runs the hooks that come before pivot_root.
        Hooks = 3,
        /// Moves network devices into the new network namespace.
        Devices = 4,
    }
}

macro_rules! calls {
    ($($variant:ident = $value:literal $name:literal),* $(,)?) => {
        numbered! {
            /// The call that failed within a step.
            Call { $(#[doc = $name] $variant = $value),* }
        }

        impl Call {
            /// Its name in the manual.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

calls! {
    Setns = 1 "setns", Unshare = 2 "unshare", Clone = 3 "clone3", SetIds = 4 "setresuid", Write = 5 "write",
    Socket = 6 "socket", Ioctl = 7 "ioctl", Sethostname = 8 "sethostname", Setdomainname = 9 "setdomainname",
    Setsid = 10 "setsid", MountSetattr = 11 "mount_setattr", MoveMount = 12 "move_mount", Fsopen = 13 "fsopen",
    Fsconfig = 14 "fsconfig", Fsmount = 15 "fsmount", OpenTree = 16 "open_tree", Openat2 = 17 "openat2", Mkdir = 18 "mkdir",
    Mknod = 19 "mknod", Symlink = 20 "symlink", Pivot = 21 "pivot_root", Umount = 22 "umount2", Chdir = 23 "chdir",
    Chroot = 24 "chroot", Setrlimit = 25 "prlimit", Keyctl = 26 "keyctl", Prctl = 27 "prctl", Setgroups = 28 "setgroups",
    Setgid = 29 "setresgid", Setuid = 30 "setresuid", Capset = 31 "capset", Seccomp = 32 "seccomp", Execve = 33 "execve",
    Find = 34 "exec", Read = 35 "read", Open = 36 "open", Ptmx = 37 "open /dev/ptmx", Dup = 38 "dup3", Chown = 39 "fchown",
    Chmod = 40 "fchmod", Stat = 41 "stat", Personality = 42 "personality", Ioprio = 43 "ioprio_set",
    Sched = 44 "sched_setattr", Mempolicy = 45 "set_mempolicy", Receive = 46 "recvmsg", Send = 47 "sendmsg",
    CloseRange = 48 "close_range", Plan = 49 "read the plan", Affinity = 50 "sched_setaffinity", Mount = 51 "mount",
    NotPlain = 52 "resolve", Fchdir = 53 "fchdir", Umask = 54 "umask", Copy = 55 "copy", Link = 56 "readlink",
    Ambient = 57 "prctl PR_CAP_AMBIENT_RAISE", Signals = 58 "signalfd4",
    Setxattr = 59 "fsetxattr",
}
