// SPDX-License-Identifier: Apache-2.0
//! Descriptors for whoever listens at a unix socket: the terminal, the process's handle, the seccomp listener.

use crate::record::{Record, State, Status};
use alloc::string::String;
use core::time::Duration;
use insula_error::{Error, Result};
use insula_spec::Spec;
use insula_sys::weak::{self, Weakness};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::{Errno, IoSlice};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    connect, sendmsg, socket_with,
};

/// How long somebody who accepts late, or never, may hold the command up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends `fd` with `text` to the stream socket at `path`; a path that begins with `@` is in the abstract name space.
pub(crate) fn send(path: &str, fd: BorrowedFd<'_>, text: &[u8]) -> core::result::Result<(), Errno> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let patience = (!weak::is(Weakness::NoDeadline)).then_some(PATIENCE);
    let _ = set_socket_timeout(&socket, Timeout::Send, patience);
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
        None => SocketAddrUnix::new(path)?,
    };
    connect(&socket, &address)?;
    let mut space = [core::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let sent = sendmsg(&socket, &[IoSlice::new(text)], &mut control, SendFlags::NOSIGNAL)?;
    crate::file::write_all(socket.as_fd(), &text[sent..])
}

/// Sends the terminal's master, with its name as runc sends it.
pub(crate) fn terminal(path: &str, master: BorrowedFd<'_>) -> Result<()> {
    send(path, master, b"/dev/ptmx").map_err(|e| {
        Error::kernel(e.raw_os_error(), "hand the terminal over")
            .object(path)
            .advice("somebody must listen at the console socket")
    })
}

/// Sends the process's pidfd.
pub(crate) fn process(path: &str, pidfd: BorrowedFd<'_>) -> Result<()> {
    send(path, pidfd, b"pidfd").map_err(|e| {
        Error::kernel(e.raw_os_error(), "hand the process's pidfd over")
            .object(path)
            .advice("somebody must listen at the pidfd socket")
    })
}

/// Sends the seccomp listener of process `pid` with the container's state (runtime-spec, config-linux.md, "The Container
/// Process State").
pub(crate) fn listener(spec: &Spec<'_>, state: &State<'_>, pid: i32, listener: BorrowedFd<'_>) -> Result<()> {
    let pointer = "/linux/seccomp/listenerPath";
    let seccomp = spec.linux.seccomp.as_ref();
    let Some(path) = seccomp.and_then(|seccomp| seccomp.listener_path.as_deref()).filter(|path| !path.is_empty())
    else {
        return Err(Error::invalid(pointer, "hand the seccomp listener over", "there is no path"));
    };
    let metadata = seccomp.and_then(|seccomp| seccomp.listener_metadata.as_deref()).unwrap_or_default();
    let mut message = serde_json::json!({
        "ociVersion": state.oci_version,
        "fds": ["seccompFd"],
        "pid": pid,
        "state": state,
    });
    if !metadata.is_empty() {
        message["metadata"] = metadata.into();
    }
    let text: String = serde_json::to_string(&message).unwrap_or_default();
    send(path, listener, text.as_bytes()).map_err(|e| {
        Error::kernel(e.raw_os_error(), "hand the seccomp listener over: failed to connect with seccomp agent")
            .field(pointer)
            .object(path)
            .advice("the agent must listen there before the container is created")
    })
}

/// What the agent is told of a container that exists.
pub(crate) fn state_of(record: &Record, status: Status) -> State<'_> {
    State {
        oci_version: &record.oci_version,
        id: &record.id,
        pid: record.init.pid,
        status: status.name(),
        bundle: &record.bundle,
        rootfs: None,
        created: None,
        annotations: (!record.annotations.is_empty()).then_some(&record.annotations),
        owner: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{RecvAncillaryBuffer, RecvFlags, accept, bind, listen, recvmsg};
    use std::format;

    #[test]
    fn a_descriptor_arrives_with_its_text() {
        let name = format!("@insula-handover-{}", std::process::id());
        let server = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        bind(&server, &SocketAddrUnix::new_abstract_name(&name.as_bytes()[1..]).unwrap()).unwrap();
        listen(&server, 1).unwrap();
        send(&name, server.as_fd(), b"hello").unwrap();
        let peer = accept(&server).unwrap();
        let mut bytes = [0; 16];
        let mut space = [core::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let got =
            recvmsg(&peer, &mut [rustix::io::IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::empty()).unwrap();
        assert_eq!(&bytes[..got.bytes], b"hello");
        assert_eq!(control.drain().count(), 1, "one descriptor");
    }

    #[test]
    fn nobody_listening_is_told_at_once() {
        assert_eq!(send("@insula-nobody-is-here", insula_sys::memory::borrow(0), b"x"), Err(Errno::CONNREFUSED));
    }
}
