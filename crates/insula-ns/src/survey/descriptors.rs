// SPDX-License-Identifier: Apache-2.0
//! Namespaces that a descriptor keeps: one of the namespace itself, or a socket that was made in it.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use insula_sys::nsfs;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, fstat, readlinkat_raw};
use rustix::path::DecInt;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use super::Keeper;
use super::collector::Collector;
use crate::identity;
use crate::kind::Kind;
use crate::open::namespace_at;
use crate::procfs::{numbers, place};

/// Looks at every descriptor of process `pid`, whose own network namespace is `network` of the collection.
pub(super) fn scan(collector: &mut Collector, process: BorrowedFd<'_>, pid: i32, network: Option<usize>) {
    let Ok(dir) = place(process, c"fd") else { return };
    let mut fds = Vec::with_capacity(64);
    numbers(process, c"fd", &mut fds);
    let ours = getpid().as_raw_nonzero().get() == pid;
    let held = if ours { collector.held() } else { BTreeSet::new() };
    let mut pidfd = None;
    for fd in fds {
        let mut buffer = [core::mem::MaybeUninit::uninit(); 64];
        let Ok((link, _)) = readlinkat_raw(&dir, DecInt::new(fd), &mut buffer) else { continue };
        let Ok(link) = core::str::from_utf8(link) else { continue };
        if link.starts_with("socket:") {
            if let Some(index) = socket(collector, &mut pidfd, pid, fd)
                && Some(index) != network
            {
                collector.keep(index, Keeper::Socket { pid, fd });
            }
        } else if let Some((kind, ino)) = identity::parse(link)
            && !held.contains(&fd)
        {
            let known = collector.position(ino);
            let opened = known.or_else(|| {
                let descriptors = place(CWD, c"/proc/self/fd").ok()?;
                let ns = namespace_at(dir.as_fd(), DecInt::new(fd), descriptors.as_fd()).ok()?;
                Some(collector.adopt(kind, ns))
            });
            if let Some(index) = opened {
                collector.keep(index, Keeper::Descriptor { pid, fd });
            }
        }
    }
}

/// Notes the network namespace of another process's socket. `pidfd` is opened for the first one.
fn socket(collector: &mut Collector, pidfd: &mut Option<OwnedFd>, pid: i32, fd: i32) -> Option<usize> {
    if pidfd.is_none() {
        *pidfd = Some(pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?);
    }
    let copy = pidfd_getfd(pidfd.as_ref()?, fd, PidfdGetfdFlags::empty()).ok()?;
    let ns = nsfs::socket_namespace(copy.as_fd()).ok()?;
    let stat = fstat(&ns).ok()?;
    Some(collector.see(Kind::NETWORK, &stat, || Some(ns)))
}
