// SPDX-License-Identifier: Apache-2.0
//! `NOTIFY_SOCKET` (sd_notify(3)): a service manager that started this command is told when the container's program says
//! that it is ready, and which process to look after.
//!
//! The program gets a socket of its own, in the container's state directory and bound into the container read-only. Of
//! what it sends nothing is passed on but the fact `READY=1`: the words of a container are not the host's.

use crate::handle::Handle;
use crate::store::Home;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::MaybeUninit;
use insula_error::{Error, Result};
use insula_spec::{Mount, Spec, Str};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, chmodat, mkdirat, unlinkat};
use rustix::io::{Errno, IoSlice};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, bind, connect, recv, sendmsg, socket_with,
};
use rustix::pipe::{PipeFlags, pipe_with};

/// Its directory in the state directory, and the socket in it.
const DIRECTORY: &str = "notify";
const SOCKET: &str = "notify/notify.sock";
/// Where the container finds the directory, as runc has it.
const INSIDE: &str = "/run/notify";
/// How long a service manager may take to have read what it was told; older ones do not know the word at all.
const BARRIER_SECONDS: i64 = 30;

/// The container's socket, and whom its news is for.
#[derive(Debug)]
pub struct Notify {
    socket: OwnedFd,
    host: String,
}

/// Adds what the container needs to the document: the directory, and the variable that names the socket.
pub fn extend(spec: &mut Spec<'_>, state_root: &str, id: &str) {
    let own_mounts = spec.linux.namespaces.iter().any(|entry| entry.kind == "mount" && entry.path.is_none());
    let (true, Some(process)) = (own_mounts, spec.process.as_mut()) else { return };
    process.env.push(Str::from(format!("NOTIFY_SOCKET={INSIDE}/notify.sock")));
    spec.mounts.push(Mount {
        destination: INSIDE.into(),
        kind: Some("bind".into()),
        source: Some(Str::from(format!("{state_root}/{id}/{DIRECTORY}"))),
        options: ["bind", "nosuid", "noexec", "nodev", "ro"].iter().map(|&option| option.into()).collect(),
        ..Mount::default()
    });
}

/// Makes the directory, before it is bound.
pub(crate) fn prepare(home: &Home) -> Result<()> {
    mkdirat(home.fd(), DIRECTORY, Mode::from_raw_mode(0o755)).map_err(|e| failed(e, home))
}

/// Removes what is in the directory, so that it can go with the state.
pub(crate) fn remove(home: &Home) {
    let _ = unlinkat(home.fd(), SOCKET, AtFlags::empty());
}

fn failed(errno: Errno, home: &Home) -> Error {
    Error::kernel(errno.raw_os_error(), "make the container's notify socket").object(format!("{}/{SOCKET}", home.path))
}

fn datagram() -> core::result::Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
}

impl Notify {
    /// Makes the socket; `None` for a container that was created without the directory. `host` is the caller's
    /// `NOTIFY_SOCKET`.
    ///
    /// # Errors
    /// `Kernel`
    pub fn listen(home: &Home, host: &str) -> Result<Option<Self>> {
        let socket = datagram().map_err(|e| failed(e, home))?;
        remove(home);
        // By descriptor: the whole path may be longer than an address can be.
        let path = format!("/proc/self/fd/{}/{SOCKET}", home.fd().as_raw_fd());
        match SocketAddrUnix::new(path.as_str()).and_then(|address| bind(&socket, &address)) {
            Err(Errno::NOENT) => return Ok(None),
            done => done.map_err(|e| failed(e, home))?,
        }
        // The process may be any user of the container.
        chmodat(home.fd(), SOCKET, Mode::from_raw_mode(0o777), AtFlags::empty()).map_err(|e| failed(e, home))?;
        Ok(Some(Self { socket, host: String::from(host) }))
    }

    /// The socket, to be polled.
    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Whether a datagram that is there says that the program is ready.
    fn is_ready(&self) -> bool {
        let mut bytes = [0; 4096];
        // Descriptors that come along, such as a barrier's, are closed by the kernel: that is the answer to a barrier.
        let length = match recv(&self.socket, &mut bytes[..], RecvFlags::DONTWAIT) {
            Ok((length, _)) => length.min(bytes.len()),
            Err(_) => return false,
        };
        bytes[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1")
    }

    /// Reads one datagram; if the program is ready, tells the host so, with `main` as the process to look after. Says
    /// whether it did.
    pub(crate) fn pass_on(&self, main: i32) -> Option<core::result::Result<OwnedFd, Errno>> {
        self.is_ready().then(|| self.tell(main))
    }

    /// Returns the read end of the barrier: it ends once the host has read everything.
    fn tell(&self, main: i32) -> core::result::Result<OwnedFd, Errno> {
        let address = match self.host.strip_prefix('@') {
            Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
            None => SocketAddrUnix::new(self.host.as_str())?,
        };
        let socket = datagram()?;
        connect(&socket, &address)?;
        let text = format!("READY=1\nMAINPID={main}\n");
        rustix::net::send(&socket, text.as_bytes(), SendFlags::NOSIGNAL)?;
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [write.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&fds));
        sendmsg(&socket, &[IoSlice::new(b"BARRIER=1")], &mut control, SendFlags::NOSIGNAL)?;
        Ok(read)
    }

    /// Waits until the program is ready and the host knows, or until the program has ended.
    ///
    /// # Errors
    /// `Kernel` if the host cannot be told.
    pub fn wait(&self, init: &Handle) -> Result<()> {
        let failed = |e: Errno| {
            Error::kernel(e.raw_os_error(), "tell the service manager that the container is ready")
                .object(self.host.clone())
        };
        loop {
            let mut polled =
                Vec::from([PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&init.pidfd, PollFlags::IN)]);
            match poll(&mut polled, None) {
                Err(Errno::INTR) => continue,
                done => done.map_err(failed)?,
            };
            let (news, ended) = (!polled[0].revents().is_empty(), !polled[1].revents().is_empty());
            if news && let Some(barrier) = self.pass_on(init.pid) {
                let barrier = barrier.map_err(failed)?;
                let patience = Timespec { tv_sec: BARRIER_SECONDS, tv_nsec: 0 };
                let _ = poll(&mut [PollFd::new(&barrier, PollFlags::IN)], Some(&patience));
                return Ok(());
            }
            if ended && !news {
                return Ok(());
            }
        }
    }
}
