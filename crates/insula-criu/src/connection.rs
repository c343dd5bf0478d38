// SPDX-License-Identifier: Apache-2.0
//! The socket between this process and `criu swrk`: one packet a message, a descriptor with some.

use crate::request::Request;
use crate::response::{Response, Torn};
use alloc::vec;
use core::mem::MaybeUninit;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType, recvmsg,
    send, socketpair,
};

/// More than any answer of CRIU's takes; its own buffer has 4096 bytes.
const LARGEST: usize = 64 << 10;

/// This process's end.
#[derive(Debug)]
pub struct Connection(OwnedFd);

/// What came in.
#[derive(Debug)]
pub enum Received {
    /// An answer, and the descriptor that came with it.
    Answer(Response, Option<OwnedFd>),
    /// Something that is no answer.
    Torn,
    /// CRIU has closed its end, or died.
    End,
}

impl Connection {
    /// A connection, and the end that belongs to CRIU; both are closed by execve.
    pub fn pair() -> Result<(Self, OwnedFd), Errno> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(ours), theirs))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// `EPIPE` if CRIU is gone; `EMSGSIZE` for a request that no packet can hold.
    pub fn send(&self, request: &Request<'_>) -> Result<(), Errno> {
        send(&self.0, &request.encode(), SendFlags::NOSIGNAL).map(drop)
    }

    /// Waits for the next answer.
    pub fn receive(&self) -> Result<Received, Errno> {
        let mut bytes = vec![0; LARGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            match recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Ok(Received::End),
                done => break done?,
            }
        };
        if received.bytes == 0 {
            return Ok(Received::End);
        }
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        Ok(match Response::decode(&bytes[..received.bytes]) {
            Ok(response) => Received::Answer(response, fd),
            Err(Torn) => Received::Torn,
        })
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::Answer;
    use rustix::io::IoSlice;
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, recv, sendmsg};
    use std::vec::Vec;

    /// The other end plays CRIU.
    fn heard(theirs: &OwnedFd) -> Vec<u8> {
        let mut bytes = [0; 4096];
        let (length, _) = recv(theirs, &mut bytes[..], RecvFlags::empty()).unwrap();
        bytes[..length].to_vec()
    }

    #[test]
    fn a_conversation() {
        let (ours, theirs) = Connection::pair().unwrap();
        ours.send(&Request::Version).unwrap();
        assert_eq!(heard(&theirs), [8, 10, 32, 1]);
        send(&theirs, b"\x08\x0a\x10\x01\x52\x06\x08\x04\x10\x01\x20\x01", SendFlags::empty()).unwrap();
        let Received::Answer(response, None) = ours.receive().unwrap() else { panic!("no answer") };
        assert_eq!(response.answer, Answer::Version([4, 1, 1]));
        ours.send(&Request::Notified(true)).unwrap();
        assert_eq!(heard(&theirs), [8, 6, 24, 1]);
    }

    #[test]
    fn a_descriptor_comes_with_its_notification() {
        let (ours, theirs) = Connection::pair().unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [theirs.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let packet = b"\x08\x06\x10\x01\x2a\x13\x0a\x11orphan-pts-master";
        sendmsg(&theirs, &[IoSlice::new(packet)], &mut control, SendFlags::empty()).unwrap();
        let Received::Answer(response, Some(_)) = ours.receive().unwrap() else { panic!("no descriptor") };
        assert!(matches!(response.answer, Answer::Notify(notify) if notify.script == "orphan-pts-master"));
    }

    #[test]
    fn the_end_and_nonsense_are_told_apart() {
        let (ours, theirs) = Connection::pair().unwrap();
        send(&theirs, b"nonsense", SendFlags::empty()).unwrap();
        assert!(matches!(ours.receive(), Ok(Received::Torn)));
        drop(theirs);
        assert!(matches!(ours.receive(), Ok(Received::End)));
        assert_eq!(ours.send(&Request::Version), Err(Errno::PIPE));
    }
}
