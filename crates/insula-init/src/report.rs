// SPDX-License-Identifier: Apache-2.0
//! Messages to and from the host side.

use crate::fault::{Fault, Of, Outcome};
use crate::walk::Init;
use core::mem::MaybeUninit;
use insula_steps::message::{Call, GO, HEAD, MAX, Tag, WORD};
use insula_sys::weak::{self, Weakness};
use rustix::fd::BorrowedFd;
use rustix::io::{Errno, IoSlice};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, sendmsg};

impl Init {
    /// Sends one message, with a descriptor where given.
    pub(crate) fn tell(
        &self,
        tag: Tag,
        numbers: [u32; 3],
        text: &[u8],
        fd: Option<BorrowedFd<'_>>,
    ) -> Result<(), Errno> {
        let mut bytes = [0; MAX];
        for (place, number) in bytes.chunks_exact_mut(4).zip([tag as u32, numbers[0], numbers[1], numbers[2]]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let length = text.len().min(MAX - HEAD);
        bytes[HEAD..HEAD + length].copy_from_slice(&text[..length]);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = fd.map(|fd| [fd]);
        if let Some(fds) = &fds {
            control.push(SendAncillaryMessage::ScmRights(fds));
        }
        sendmsg(self.socket, &[IoSlice::new(&bytes[..HEAD + length])], &mut control, SendFlags::NOSIGNAL).map(drop)
    }

    /// Tells of the seccomp listener and waits until it is taken, by the two calls that a filter with a listener cannot do
    /// without: write(2), which the plan keeps from being notified, and read(2).
    pub(crate) fn tell_listener(&self, number: u32) -> Result<(), Errno> {
        let mut bytes = [0; HEAD];
        for (place, number) in bytes.chunks_exact_mut(4).zip([Tag::Listener as u32, number]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        rustix::io::write(self.socket, &bytes)?;
        let mut word = [0_u8; 1];
        match rustix::io::read(self.socket, &mut word)? {
            1 if word[0] == GO => Ok(()),
            _ => Err(Errno::PIPE),
        }
    }

    /// Waits for the host side's word. Its death ends the connection, and with it init: nothing waits for ever.
    pub(crate) fn await_go(&self) -> Outcome<()> {
        let mut word = [0_u8; WORD];
        loop {
            match recv(self.socket, &mut word, RecvFlags::empty()) {
                Ok((WORD, _)) if word[0] == GO => {
                    // Ignored ones would stay ignored through execve; SIGKILL and SIGSTOP refuse.
                    let ignored = word[1..].iter().rev().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
                    for signal in (1..=64).filter(|signal| ignored & 1 << (signal - 1) != 0) {
                        let _ = insula_sys::process::default_signal(signal);
                    }
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Ok(_) if weak::is(Weakness::Linger) => drop(rustix::event::poll(&mut [], None)),
                Ok(_) => return Err(Fault::new(Call::Receive, Errno::PIPE)),
                Err(errno) => return Err(Fault::new(Call::Receive, errno)),
            }
        }
    }

    /// Has the host side do its part.
    pub(crate) fn ask(&self, part: u32) -> Outcome<()> {
        self.tell(Tag::Ask, [part, 0, 0], &[], None).of(Call::Send)?;
        self.await_go()
    }

    /// Tells the host side of a failure, or standard error where nobody listens any more; the exit status for it.
    pub(crate) fn report(&self, fault: &Fault) -> i32 {
        let numbers = [self.step, fault.call() as u32, fault.errno().raw_os_error() as u32];
        if self.tell(Tag::Failed, numbers, fault.object(), None).is_err() && self.step > 0 {
            let _ = rustix::io::write(insula_sys::memory::borrow(2), b"insula: ");
            for part in [fault.call().name().as_bytes(), b" \"", fault.object(), b"\": ", explain(fault.errno()), b"\n"]
            {
                let _ = rustix::io::write(insula_sys::memory::borrow(2), part);
            }
        }
        match fault.errno() {
            Errno::NOENT => 127,
            Errno::ACCESS | Errno::PERM | Errno::NOEXEC => 126,
            _ => crate::FAILED,
        }
    }

    /// Tells the host side of something that did not work and that the container can live with.
    pub(crate) fn warn(&self, fault: &Fault) {
        let numbers = [self.step, fault.call() as u32, fault.errno().raw_os_error() as u32];
        let _ = self.tell(Tag::Warning, numbers, fault.object(), None);
    }
}

/// Appends a number in decimal.
pub(crate) fn digits(text: &mut alloc::vec::Vec<u8>, number: u32) {
    if number >= 10 {
        digits(text, number / 10);
    }
    text.push(b'0' + (number % 10) as u8);
}

/// The few errors that a user's program can end in after `start`.
fn explain(errno: Errno) -> &'static [u8] {
    match errno {
        Errno::NOENT => b"no such file or directory",
        Errno::ACCESS => b"permission denied",
        Errno::PERM => b"operation not permitted",
        Errno::NOEXEC => b"exec format error",
        Errno::NOMEM => b"cannot allocate memory",
        Errno::TOOBIG => b"argument list too long",
        Errno::LOOP => b"too many levels of symbolic links",
        _ => b"failed",
    }
}
