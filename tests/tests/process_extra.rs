// SPDX-License-Identifier: Apache-2.0
//! CPU affinity, the pidfd socket, and what a created container holds and hears. Source: runtime-spec, config.md
//! "POSIX process"; pidfd_open(2).

use insula_tests::{Container, Lab, eventually, json};
use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::fs;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixListener;

fn sleeper(lab: &Lab) -> Container<'_> {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    lab.container(&bundle)
}

#[test]
fn what_the_caller_is_pinned_to_is_not_the_containers() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("grep Cpus_allowed_list /proc/self/status");
    let free = lab.output_of(&bundle);
    let container = lab.container(&bundle);
    let words = ["0", insula_tests::runtime().to_str().expect("paths are text"), "--root"];
    let pinned = lab.command("taskset").arg("-c").args(words).arg(lab.state_root());
    let pinned = pinned.args(["run", "--bundle"]).arg(bundle.path()).arg(container.id()).run();
    assert_eq!(pinned.stdout, free);
}

#[test]
fn exec_may_be_pinned_before_and_after_it_enters() {
    let lab = Lab::new();
    let container = sleeper(&lab).detached();
    let process = json!({
        "cwd": "/", "args": ["grep", "Cpus_allowed_list", "/proc/self/status"], "env": ["PATH=/bin"],
        "execCPUAffinity": {"initial": "0", "final": "0"},
    });
    let file = lab.write("process.json", process.to_string());
    let output = lab.insula().args(["exec", "--process"]).arg(&file).arg(container.id()).run();
    assert_eq!(output.stdout.split_whitespace().last(), Some("0"), "{output}");
    let text = process.to_string().replace("\"final\":\"0\"", "\"final\":\"1-0\"");
    let file = lab.write("wrong.json", text);
    let output = lab.insula().args(["exec", "--process"]).arg(&file).arg(container.id()).run();
    output.says(&["execCPUAffinity/final"]);
}

#[test]
fn a_process_document_may_come_through_a_pipe() {
    let lab = Lab::new();
    let container = sleeper(&lab).detached();
    let text = json!({"cwd": "/", "args": ["echo", "piped"], "env": ["PATH=/bin"]}).to_string();
    let output = lab.insula().args(["exec", "--process", "/dev/stdin", container.id()]).stdin_text(&text).run();
    assert_eq!(output.text(), "piped", "{output}");
}

#[test]
fn a_created_container_holds_nothing_of_the_hosts_and_ends_when_asked_to() {
    let lab = Lab::new();
    let container = sleeper(&lab).created();
    let fds = fs::read_dir(format!("/proc/{}/fd", container.pid())).expect("list descriptors");
    let targets = fds.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let kept = |name: &str| {
        name.starts_with("socket:")
            || name.starts_with("pipe:")
            || name.starts_with("anon_inode:")
            || name.ends_with("/exec.fifo")
    };
    let streams = ["/dev/null", &lab.path("out").display().to_string()];
    for target in targets.map(|target| target.display().to_string()) {
        assert!(kept(&target) || streams.iter().any(|stream| target.starts_with(stream)), "it holds {target}");
    }
    container.kill("TERM").assert_code(0);
    container.await_status("stopped");
}

#[test]
fn the_pidfd_socket_gets_a_handle_of_the_process() {
    let lab = Lab::new();
    let path = lab.path("pidfd.sock");
    let listener = UnixListener::bind(&path).expect("listen");
    let container = sleeper(&lab);
    container.finish(container.launch("run").arg("--detach").arg("--pidfd-socket").arg(&path)).assert_code(0);
    listener.set_nonblocking(true).expect("make the socket non-blocking");
    let (stream, _) = eventually("a connection", || listener.accept().ok());
    stream.set_nonblocking(false).expect("make the connection blocking");
    let mut text = [0_u8; 64];
    let mut buffers = [IoSliceMut::new(&mut text)];
    let mut control = cmsg_space!([RawFd; 2]);
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut buffers, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)
        .expect("receive the handle");
    let rights = message.cmsgs().expect("the control message is whole").find_map(|part| match part {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", rights.expect("a descriptor"))).expect("read");
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")).map(str::trim);
    assert_eq!(pid, Some(container.pid().to_string().as_str()), "{info}");
}
