// SPDX-License-Identifier: Apache-2.0
//! `SCMP_ACT_NOTIFY`: the listener reaches the agent with the container's state. Source: runtime-spec,
//! config-linux.md "Seccomp"; seccomp_unotify(2).

use insula_tests::{Bundle, Lab, Value, eventually, json, patience};
use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

fn notified(lab: &Lab, socket: &Path, calls: &[&str]) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.set(
        "/linux/seccomp",
        json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": socket.to_str(),
            "listenerMetadata": "for the agent",
            "syscalls": [{"names": calls, "action": "SCMP_ACT_NOTIFY"}],
        }),
    );
    bundle
}

#[allow(unsafe_code)] // a descriptor comes out of a control message as a number
fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// What the agent gets: the message and the descriptors.
fn receive(listener: &UnixListener) -> (Value, Vec<OwnedFd>) {
    listener.set_nonblocking(true).expect("make the socket non-blocking");
    let (stream, _) = eventually("a connection to the agent", || listener.accept().ok());
    stream.set_nonblocking(false).expect("make the connection blocking");
    stream.set_read_timeout(Some(patience())).expect("set a deadline");
    let mut text = vec![0_u8; 65536];
    let mut buffers = [IoSliceMut::new(&mut text)];
    let mut control = cmsg_space!([RawFd; 4]);
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut buffers, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)
        .expect("receive the listener");
    let rights = message.cmsgs().expect("the control message is whole").filter_map(|part| match part {
        ControlMessageOwned::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let fds = rights.flatten().map(owned).collect();
    let length = message.bytes;
    (serde_json::from_slice(&text[..length]).expect("the message is JSON"), fds)
}

fn hand_over(no_new_privileges: bool) {
    let lab = Lab::new();
    let socket = lab.path("agent.sock");
    let listener = UnixListener::bind(&socket).expect("listen");
    let mut bundle = notified(&lab, &socket, &["mkdir", "mkdirat"]);
    bundle.tmpfs("/tmp", &[]).set("/process/noNewPrivileges", json!(no_new_privileges));
    bundle.shell("mkdir /tmp/dir 2>&1; echo over; sleep 60");
    let container = lab.container(&bundle);
    container.create().assert_code(0);
    let (message, fds) = receive(&listener);
    assert_eq!(message["fds"], json!(["seccompFd"]));
    assert_eq!(message["pid"], container.pid());
    assert_eq!(message["metadata"], "for the agent");
    assert_eq!((&message["state"]["id"], &message["state"]["pid"]), (&json!(container.id()), &json!(container.pid())));
    assert_eq!(message["state"]["status"], "creating");
    assert_eq!(fds.len(), 1);
    let kind = std::fs::read_link(format!("/proc/self/fd/{}", fds[0].as_raw_fd())).expect("look at the descriptor");
    assert_eq!(kind.to_str(), Some("anon_inode:seccomp notify"));
    // Nobody listens any more: the kernel answers for the agent.
    drop(fds);
    container.start().assert_code(0);
    assert!(container.await_stdout("over").contains("not implemented"), "{}", container.stdout());
    // Another process is under the filter too, with a listener of its own.
    let exec = lab.insula().args(["exec", container.id(), "mkdir", "/tmp/other"]).start();
    let (message, fds) = receive(&listener);
    assert_eq!(message["state"]["status"], "running");
    assert_ne!(message["pid"], container.pid());
    drop(fds);
    let output = exec.wait();
    assert!(output.code() != 0 && output.stderr.contains("not implemented"), "{output}");
}

#[test]
fn the_listener_is_handed_over_before_create_returns() {
    hand_over(false);
}

#[test]
fn the_listener_is_handed_over_with_no_new_privileges() {
    hand_over(true);
}

#[test]
fn without_an_agent_there_is_no_container() {
    let lab = Lab::new();
    let bundle = notified(&lab, &lab.path("nobody.sock"), &["mkdir"]);
    lab.container(&bundle).run().fails_with(&["/linux/seccomp/listenerPath", "nobody.sock", "ENOENT"]);
}

#[test]
fn the_call_that_hands_over_cannot_be_notified() {
    let lab = Lab::new();
    let bundle = notified(&lab, &lab.path("agent.sock"), &["mkdir", "write"]);
    lab.container(&bundle).run().fails_with(&["/linux/seccomp/syscalls/0/names", "write"]);
}

#[test]
fn a_path_without_a_notifying_rule_is_not_used() {
    let lab = Lab::new();
    let mut bundle = notified(&lab, &lab.path("nobody.sock"), &["mkdir"]);
    bundle.set("/linux/seccomp/syscalls/0/action", json!("SCMP_ACT_ERRNO"));
    bundle.shell("echo runs");
    assert_eq!(lab.output_of(&bundle).trim(), "runs");
}
