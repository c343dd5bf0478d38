// SPDX-License-Identifier: Apache-2.0
//! ioctls of a pidfd that give the namespaces of its process (pidfd_open(2), Linux 6.11). The process's number plays no
//! part, so no other process can be taken for it.

use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

use crate::process::clone;
use crate::raw::{number, syscall};

/// Request numbers of PIDFD_GET_*_NAMESPACE (linux/pidfd.h) by `CLONE_NEW…` bit.
const REQUESTS: [(u64, usize); 8] = [
    (clone::NEWCGROUP, 0xff01),
    (clone::NEWIPC, 0xff02),
    (clone::NEWNS, 0xff03),
    (clone::NEWNET, 0xff04),
    (clone::NEWPID, 0xff05),
    (clone::NEWTIME, 0xff07),
    (clone::NEWUSER, 0xff09),
    (clone::NEWUTS, 0xff0a),
];

/// The namespace with the `CLONE_NEW…` bit `flag` that the process behind `pidfd` is in, close-on-exec.
///
/// # Errors
/// EACCES or EPERM if the caller may not look into the process, ESRCH if it has ended, ENOTTY before Linux 6.11.
pub fn namespace(pidfd: BorrowedFd<'_>, flag: u64) -> Result<OwnedFd, Errno> {
    let request = REQUESTS.iter().find(|(known, _)| *known == flag).ok_or(Errno::INVAL)?.1;
    // SAFETY: these requests take no argument and neither read nor write the caller's memory.
    let fd = unsafe { syscall(number::IOCTL, [pidfd.as_raw_fd() as usize, request, 0, 0, 0, 0]) }?;
    // SAFETY: the kernel has just made this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nsfs::get_nstype;
    use rustix::fd::AsFd;
    use rustix::fs::fstat;
    use rustix::process::{PidfdFlags, getpid, pidfd_open};

    #[test]
    fn each_request_gives_the_kind_it_says() {
        let own = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
        for (flag, _) in REQUESTS {
            match namespace(own.as_fd(), flag) {
                Ok(ns) => assert_eq!(get_nstype(ns.as_fd()), Ok(flag)),
                Err(errno) => assert_eq!(errno, Errno::NOTTY, "before Linux 6.11"),
            }
        }
    }

    #[test]
    fn it_is_the_very_namespace() {
        let own = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
        let Ok(ns) = namespace(own.as_fd(), clone::NEWNET) else { return };
        assert_eq!(fstat(&ns).unwrap().st_ino, rustix::fs::stat("/proc/self/ns/net").unwrap().st_ino);
    }
}
