// SPDX-License-Identifier: Apache-2.0
//! Opening paths in another mount namespace: by a child that enters it, so that the caller stays where it is, and
//! given up after a while, since a file system there may be one that never answers.

use alloc::vec::Vec;
use core::mem::MaybeUninit;

use insula_sys::process::{Cloned, clone3, setns};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::CWD;
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::{Signal, WaitId, WaitIdOptions, getpid, kill_process, pidfd_send_signal, waitid};

use crate::kind::Kind;
use crate::open::namespace_at;
use crate::procfs::place;

/// How long the child may take for one path.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };

/// The namespaces at `paths` of the mount namespace behind `ns`: those that can be opened.
pub(super) fn open(ns: BorrowedFd<'_>, paths: &[&str]) -> Vec<OwnedFd> {
    let Ok((ours, theirs)) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None) else {
        return Vec::new();
    };
    match clone3(0, None) {
        Ok(Cloned::Child) => {
            // The parent may have threads, so nothing may be allocated here.
            let _sent = send_all(ns, paths, theirs.as_fd());
            loop {
                let _killed = kill_process(getpid(), Signal::KILL);
            }
        }
        Ok(Cloned::Parent { pidfd, .. }) => {
            drop(theirs);
            let received = receive_all(ours.as_fd());
            // It may have ended by itself; either way it ends now and is reaped.
            let _ended = pidfd_send_signal(&pidfd, Signal::KILL);
            let _reaped = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
            received
        }
        Err(_) => Vec::new(),
    }
}

/// In the child: enters the mount namespace and sends one message for each path, with a descriptor if there is one.
fn send_all(ns: BorrowedFd<'_>, paths: &[&str], to: BorrowedFd<'_>) -> Result<(), Errno> {
    // Opened before entering: there may be no /proc there.
    let descriptors = place(CWD, c"/proc/self/fd")?;
    setns(ns, Kind::MOUNT.namespace().clone_flag)?;
    for path in paths {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let opened = namespace_at(CWD, *path, descriptors.as_fd());
        let fds = opened.as_ref().ok().map(AsFd::as_fd);
        if let Some(fd) = &fds {
            control.push(SendAncillaryMessage::ScmRights(core::slice::from_ref(fd)));
        }
        sendmsg(to, &[IoSlice::new(b".")], &mut control, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// Takes descriptors until the child is done, or silent for too long.
fn receive_all(from: BorrowedFd<'_>) -> Vec<OwnedFd> {
    let mut received = Vec::new();
    while matches!(poll(&mut [PollFd::from_borrowed_fd(from, PollFlags::IN)], Some(&PATIENCE)), Ok(1)) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        match recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) if message.bytes > 0 => {}
            _ => break,
        }
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                received.extend(fds);
            }
        }
    }
    received
}
