// SPDX-License-Identifier: Apache-2.0
//! `NOTIFY_SOCKET`: a service manager that starts the runtime hears when the container's program is ready. Source:
//! sd_notify(3).

use insula_tests::{Bundle, Container, Lab, eventually, skip};
use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(lab: &Lab) -> Self {
        let path = lab.path("manager.sock");
        let socket = UnixDatagram::bind(&path).expect("listen");
        socket.set_nonblocking(true).expect("make the socket non-blocking");
        Self { socket, path }
    }

    /// The next datagram, with the descriptors that came along.
    fn next(&self) -> (String, Vec<OwnedFd>) {
        eventually("news for the service manager", || {
            let mut text = [0_u8; 1024];
            let mut buffers = [IoSliceMut::new(&mut text)];
            let mut control = cmsg_space!([RawFd; 2]);
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let message = recvmsg::<()>(self.socket.as_raw_fd(), &mut buffers, Some(&mut control), flags).ok()?;
            let rights = message.cmsgs().ok()?.filter_map(|part| match part {
                ControlMessageOwned::ScmRights(fds) => Some(fds),
                _ => None,
            });
            let fds = rights.flatten().map(owned).collect();
            let length = message.bytes;
            Some((String::from_utf8_lossy(&text[..length]).into_owned(), fds))
        })
    }

    /// What is told once the program is ready, the barrier that follows, and nothing else.
    fn hears(&self, pid: i32) {
        let (news, _) = self.next();
        assert_eq!(news, format!("READY=1\nMAINPID={pid}\n"), "nothing of the container's own words");
        let (barrier, fds) = self.next();
        assert_eq!((barrier.as_str(), fds.len()), ("BARRIER=1", 1));
        drop(fds);
    }
}

#[allow(unsafe_code)] // a descriptor comes out of a control message as a number
fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Busybox's nc has no UNIX datagrams: a program of the host's that has them is bound, with what it is linked to.
fn bundle(lab: &Lab) -> Option<Bundle> {
    let python = Path::new("/usr/bin/python3");
    if !python.exists() {
        return None;
    }
    let mut bundle = lab.bundle();
    bundle.writable().tmpfs("/tmp", &[]);
    for place in ["/usr", "/lib", "/lib64"] {
        if Path::new(place).exists() {
            bundle.bind(place, place, &["rbind", "ro"]);
        }
    }
    let send = "import os,socket;s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);\
        s.connect(os.environ['NOTIFY_SOCKET']);s.send(b'STATUS=fine\\nMAINPID=7\\n');\
        s.send(b'STATUS=fine\\nREADY=1\\nMAINPID=1\\n')";
    let script = format!("echo at $NOTIFY_SOCKET; {} -c \"{send}\"; sleep 60", python.display());
    bundle.shell(&script);
    Some(bundle)
}

fn told(container: &Container<'_>) {
    let said = container.await_stdout("at ");
    assert_eq!(said.trim(), "at /run/notify/notify.sock");
}

macro_rules! needs_python {
    ($lab:expr) => {
        match bundle(&$lab) {
            Some(bundle) => bundle,
            None => skip!("no Python to send with"),
        }
    };
}

#[test]
fn run_in_the_background_ends_once_the_program_is_ready() {
    let lab = Lab::new();
    let bundle = needs_python!(lab);
    let manager = Manager::new(&lab);
    let container = lab.container(&bundle);
    let run = container.launch("run").arg("--detach").env("NOTIFY_SOCKET", manager.path.display().to_string());
    let run = run.arg(container.id()).start();
    let (news, _) = manager.next();
    assert_eq!(news, format!("READY=1\nMAINPID={}\n", container.pid()));
    // It waits until the manager has let the barrier go.
    let (barrier, fds) = manager.next();
    assert_eq!(barrier, "BARRIER=1");
    drop(fds);
    run.wait().assert_code(0);
    told(&container);
}

#[test]
fn start_waits_and_run_in_the_foreground_is_the_main_process() {
    let lab = Lab::new();
    let bundle = needs_python!(lab);
    let manager = Manager::new(&lab);
    let socket = manager.path.display().to_string();
    let container = lab.container(&bundle);
    container.finish(container.launch("create").env("NOTIFY_SOCKET", &socket)).assert_code(0);
    let start = container.command("start").env("NOTIFY_SOCKET", &socket).start();
    manager.hears(container.pid());
    start.wait().assert_code(0);
    drop(container);
    let container = lab.container(&bundle);
    let run = container.launch("run").env("NOTIFY_SOCKET", &socket).arg(container.id()).start();
    manager.hears(run.pid());
    container.kill("KILL").assert_code(0);
    assert_eq!(run.wait().code(), 137);
}

#[test]
fn a_program_that_ends_unready_keeps_nobody_waiting() {
    let lab = Lab::new();
    let manager = Manager::new(&lab);
    let mut bundle = lab.bundle();
    bundle.shell("test -S $NOTIFY_SOCKET && test -w $NOTIFY_SOCKET");
    let container = lab.container(&bundle);
    let socket = manager.path.display().to_string();
    container.finish(container.launch("run").arg("--detach").env("NOTIFY_SOCKET", &socket)).assert_code(0);
    assert!(manager.socket.recv(&mut [0; 16]).is_err(), "nothing was said");
}
