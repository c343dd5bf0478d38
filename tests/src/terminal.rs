// SPDX-License-Identifier: Apache-2.0
//! Pseudoterminals: the receiving end of `--console-socket`, and a terminal for interactive commands.
//! Source: runc's docs/terminals.md; unix(7) SCM_RIGHTS; pty(7).

use crate::wait::{eventually, patience};
use nix::cmsg_space;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::fs::File;
use std::io::{IoSliceMut, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

/// A socket that waits for the master end of a container's terminal.
#[derive(Debug)]
pub struct ConsoleSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ConsoleSocket {
    /// Listens at `path`.
    #[track_caller]
    pub fn bind(path: PathBuf) -> Self {
        let listener = UnixListener::bind(&path).expect("listen on the console socket");
        listener.set_nonblocking(true).expect("make the console socket non-blocking");
        Self { listener, path }
    }

    /// The path for `--console-socket`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Receives the terminal, and the name that the runtime sent with it.
    #[track_caller]
    pub fn receive(&self) -> (Terminal, String) {
        let (stream, _) = eventually("a connection to the console socket", || self.listener.accept().ok());
        stream.set_nonblocking(false).expect("make the connection blocking");
        stream.set_read_timeout(Some(patience())).expect("set the connection's deadline");
        let mut name = [0_u8; 4096];
        let mut buffers = [IoSliceMut::new(&mut name)];
        let mut control = cmsg_space!([RawFd; 4]);
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message =
            recvmsg::<()>(stream.as_raw_fd(), &mut buffers, Some(&mut control), flags).expect("receive the terminal");
        let received: Vec<OwnedFd> = message
            .cmsgs()
            .expect("the control message is whole")
            .filter_map(|part| match part {
                ControlMessageOwned::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .map(owned)
            .collect();
        let length = message.bytes;
        let [master] = <[OwnedFd; 1]>::try_from(received).expect("exactly one descriptor is the protocol");
        (Terminal { master: File::from(master) }, String::from_utf8_lossy(&name[..length]).into_owned())
    }
}

#[allow(unsafe_code)]
fn owned(received: RawFd) -> OwnedFd {
    // SAFETY: recvmsg(2) has just made this descriptor for us; nothing else knows its number.
    unsafe { OwnedFd::from_raw_fd(received) }
}

/// The master end of a terminal.
#[derive(Debug)]
pub struct Terminal {
    master: File,
}

impl Terminal {
    /// A new terminal of `rows` and `columns`, and its other end for a command's standard input and output.
    #[track_caller]
    pub fn new(rows: u16, columns: u16) -> (Self, Slave) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).expect("open a terminal");
        (Self { master: File::from(pair.master) }, Slave(pair.slave))
    }

    /// Types `text`.
    #[track_caller]
    pub fn write(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("write to the terminal");
    }

    /// Reads until `text` has appeared, and returns everything read.
    #[track_caller]
    pub fn read_until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(text) {
            let Some(more) = self.read_some() else { panic!("the terminal closed before {text:?}: {seen:?}") };
            seen += &more;
        }
        seen
    }

    /// Reads until the other end is closed.
    #[track_caller]
    pub fn read_to_end(&mut self) -> String {
        let mut seen = String::new();
        while let Some(more) = self.read_some() {
            seen += &more;
        }
        seen
    }

    /// `None` at the end, which a terminal reports as EIO.
    #[track_caller]
    fn read_some(&mut self) -> Option<String> {
        let deadline = Instant::now() + patience();
        let mut descriptors = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        let remaining = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(remaining).expect("patience fits");
        assert!(poll(&mut descriptors, timeout).expect("poll the terminal") > 0, "the terminal stays silent");
        let mut buffer = [0_u8; 4096];
        match self.master.read(&mut buffer) {
            Ok(0) | Err(_) => None,
            Ok(length) => Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
        }
    }
}

/// The end of a terminal that a command uses.
#[derive(Debug)]
pub struct Slave(OwnedFd);

impl Slave {
    /// One of the command's standard descriptors.
    #[track_caller]
    pub fn stdio(&self) -> Stdio {
        Stdio::from(self.0.try_clone().expect("duplicate the terminal"))
    }
}
