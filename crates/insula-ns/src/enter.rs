// SPDX-License-Identifier: Apache-2.0
//! Creating and joining namespaces, in the order that the kernel's rules of ownership demand.
//!
//! A namespace of any kind but user is owned by the user namespace it was made under, and only those with
//! CAP_SYS_ADMIN in its owner may join it. Entering a user namespace loses every capability outside it, for good:
//! whatever is not owned by the target must be joined before. Sources: user_namespaces(7), setns(2), unshare(2).

use alloc::format;
use alloc::vec::Vec;

use insula_error::{Error, Result};
use insula_sys::process;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use crate::identity::Identity;
use crate::kind::{Kind, Moves};

/// Moves the caller into new namespaces of `kinds`; for PID and time only the children it makes later.
///
/// One unshare(2): with a user namespace among them, the kernel makes that first and it owns the others. The root of a
/// new cgroup namespace is the cgroup that the caller is in now.
///
/// # Errors
/// `Kernel`, with what the errno means here: `EPERM` without CAP_SYS_ADMIN (only `user` needs none), `EINVAL` with
/// other threads and `user`, or when children were moved to another PID namespace before, `ENOSPC` at a limit.
///
/// ```
/// use insula_ns::{Identity, Kind, unshare};
///
/// let before = Identity::of_self(Kind::UTS)?;
/// match unshare([Kind::UTS]) {
///     Ok(()) => assert!(!before.same_object(&Identity::of_self(Kind::UTS)?)),
///     Err(error) => assert_eq!(error.errno(), Some(1), "only EPERM is expected, without privilege"),
/// }
/// # Ok::<(), insula_error::Error>(())
/// ```
pub fn unshare(kinds: impl IntoIterator<Item = Kind>) -> Result<()> {
    let kinds: Vec<Kind> = kinds.into_iter().collect();
    let flags = kinds.iter().fold(0, |flags, kind| flags | kind.namespace().clone_flag);
    process::unshare(flags).map_err(|errno| {
        let error = Error::kernel(errno.raw_os_error(), format!("make new namespaces ({kinds:?})"));
        advise(error, errno, UNSHARE_ADVICE)
    })
}

/// Moves the caller into the namespace behind `ns`, which must be of `kind`; for PID only the children made later.
///
/// Joining a mount namespace also resets root and working directory to its root.
///
/// # Errors
/// `Kernel`, with what the errno means here: `EPERM` without CAP_SYS_ADMIN in its owner and in the caller's own user
/// namespace, `EINVAL` for another kind, the own user namespace or with other threads, `EUSERS` for time with threads.
///
/// ```
/// use insula_ns::{Kind, join, open_path_as};
/// use rustix::fd::AsFd;
///
/// let ns = open_path_as("/proc/self/ns/uts", Kind::UTS)?;
/// if let Err(error) = join(ns.as_fd(), Kind::UTS) {
///     assert_eq!(error.errno(), Some(1), "only EPERM is expected, without privilege");
/// }
/// # Ok::<(), insula_error::Error>(())
/// ```
pub fn join(ns: BorrowedFd<'_>, kind: Kind) -> Result<()> {
    set(ns, kind).map_err(|errno| refused(errno, kind))
}

/// Joins several namespaces in the order in which the most of them can be joined, leaving out those that the caller is
/// in already (the kernel would refuse the own user namespace, and without privilege any).
///
/// Those not owned by a user namespace in the list come before it, the others after it: each is tried before and put
/// off on EPERM. Mount namespaces come last on each side.
///
/// # Errors
/// As [`join`], for the first that cannot be joined either way; some may have been joined by then.
pub fn join_all(namespaces: &[(BorrowedFd<'_>, Kind)]) -> Result<()> {
    let mut wanted = Vec::with_capacity(namespaces.len());
    for (ns, kind) in namespaces {
        if !already_in(*ns, *kind)? {
            wanted.push((*ns, *kind));
        }
    }
    wanted.sort_by_key(|(_, kind)| kind.namespace().join_rank);
    let user = wanted.iter().position(|(_, kind)| *kind == Kind::USER).map(|at| wanted.remove(at));
    let mut later = Vec::new();
    for (ns, kind) in wanted {
        match set(ns, kind) {
            Ok(()) => {}
            Err(Errno::PERM) if user.is_some() => later.push((ns, kind)),
            Err(errno) => return Err(refused(errno, kind)),
        }
    }
    for (ns, kind) in user.into_iter().chain(later) {
        join(ns, kind)?;
    }
    Ok(())
}

/// Whether joining would change nothing, for the caller and its children.
fn already_in(ns: BorrowedFd<'_>, kind: Kind) -> Result<bool> {
    // Kinds that move only children may differ from what the children get, so they are always set.
    let moves_children = kind.namespace().unshare_moves == Moves::Children;
    Ok(!moves_children && Identity::of_fd(ns, kind)?.same_object(&Identity::of_self(kind)?))
}

fn set(ns: BorrowedFd<'_>, kind: Kind) -> core::result::Result<(), Errno> {
    process::setns(ns, kind.namespace().clone_flag)
}

fn refused(errno: Errno, kind: Kind) -> Error {
    advise(Error::kernel(errno.raw_os_error(), format!("join the {kind} namespace")), errno, SETNS_ADVICE)
}

fn advise(error: Error, errno: Errno, table: &[(Errno, &'static str)]) -> Error {
    match table.iter().find(|(known, _)| *known == errno) {
        Some((_, advice)) => error.advice(*advice),
        None => error,
    }
}

const SETNS_ADVICE: &[(Errno, &str)] = &[
    (
        Errno::PERM,
        "joining needs CAP_SYS_ADMIN in the user namespace that owns it and in the caller's own; \
         what a new or joined user namespace does not own must be joined before entering that",
    ),
    (
        Errno::INVAL,
        "user and mount namespaces can be joined only by a process without other threads, a user namespace only by \
         one that is not in it, a PID namespace only below the caller's own",
    ),
    (Errno::USERS, "a time namespace can be joined only by a process without other threads"),
    (Errno::BADF, "the descriptor must be open for reading, not O_PATH"),
];

const UNSHARE_ADVICE: &[(Errno, &str)] = &[
    (
        Errno::PERM,
        "making any kind but user needs CAP_SYS_ADMIN; making a user namespace needs mapped ids and no chroot",
    ),
    (
        Errno::INVAL,
        "a user namespace can be made only by a process without other threads, a PID namespace only by one whose \
         children are not in another already",
    ),
    (Errno::NOSPC, "a limit is reached: /proc/sys/user/max_*_namespaces, or 32 levels of user or PID namespaces"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::open_at;
    use rustix::fd::AsFd;
    use rustix::fs::CWD;

    #[test]
    fn joining_what_one_is_in_is_a_success() {
        let open = |name: &str| open_at(CWD, format!("/proc/self/ns/{name}")).unwrap();
        let (user, net, mnt) = (open("user"), open("net"), open("mnt"));
        let all = [(user.as_fd(), Kind::USER), (net.as_fd(), Kind::NETWORK), (mnt.as_fd(), Kind::MOUNT)];
        join_all(&all).unwrap();
    }

    #[test]
    fn a_wrong_kind_and_threads_are_refused_with_advice() {
        let uts = open_at(CWD, "/proc/self/ns/uts").unwrap();
        let error = join(uts.as_fd(), Kind::NETWORK).unwrap_err();
        assert_eq!(error.errno(), Some(22));
        assert!(error.to_string().contains("join the network namespace: EINVAL"), "{error}");
        // The test harness has threads, so no user namespace can be made.
        let error = unshare([Kind::USER, Kind::UTS]).unwrap_err();
        assert_eq!(error.errno(), Some(22));
        assert!(error.to_string().contains("without other threads"), "{error}");
    }
}
