// SPDX-License-Identifier: Apache-2.0
//! Saved and continued, with what a container may have: shared namespaces, terminals, bind mounts, hooks, processes that
//! came later.

use crate::counter::{
    beside, checkpoint, count, counter, counting, goes_on_from, images, is_gone, needs_criu, restore, restored, run,
    there_and_back,
};
use insula_tests::terminal::ConsoleSocket;
use insula_tests::{Lab, eventually, identities, is_insula, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;

#[test]
fn a_counter_in_a_shared_network_goes_on() {
    needs_criu!();
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "1000"]);
    let owner = lab.container(&bundle).detached();
    let container = counter(&lab, |bundle| bundle.join("network", owner.namespace_path("network")));
    let before = count(&container);
    checkpoint(&lab, &container).arg("--leave-running").ok();
    goes_on_from(&container, before);
    assert_eq!(container.status(), "running");
    let shown = container.inside("readlink /proc/1/ns/net");

    for _ in 0..2 {
        there_and_back(&lab, &container, &[]);
        assert_eq!(container.inside("readlink /proc/1/ns/net"), shown, "the named network namespace");
        assert_eq!(identities(container.pid())["network"], identities(owner.pid())["network"]);
    }
    container.kill("KILL").assert_code(0);
    container.await_status("stopped");
    container.delete().assert_code(0);
}

#[test]
fn a_counter_in_a_shared_pid_namespace_goes_on() {
    needs_criu!();
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "1000"]);
    let owner = lab.container(&bundle).detached();
    let mut bundle = counting(&lab);
    // It makes no processes: their numbers in the shared namespace would have to be free again.
    let wait = "mkfifo /counter/never; exec 3<>/counter/never";
    bundle.shell(&format!("{wait}; i=0; while :; do i=$((i+1)); echo $i > /counter/i; read -t 1 _ <&3; done"));
    bundle.join("pid", owner.namespace_path("pid"));
    let container = lab.container(&bundle);
    run(&container);
    let before = count(&container);
    let old = container.pid();
    checkpoint(&lab, &container).ok();
    // Its number in the shared namespace is free when whoever adopted it has waited for it.
    eventually("the old process to be gone", || (!PathBuf::from(format!("/proc/{old}")).exists()).then_some(()));
    restored(&lab, &container, &[]);
    goes_on_from(&container, before);
    assert_eq!(identities(container.pid())["pid"], identities(owner.pid())["pid"]);
}

#[test]
fn what_exec_added_is_restored_and_more_can_be_added() {
    needs_criu!();
    let lab = Lab::new();
    let container = counter(&lab, |bundle| bundle);
    // It waits in read(2), which begins again where CRIU interrupts it. The sleep of busybox would end.
    beside(&container, "mkfifo /counter/never; exec cat <>/counter/never");
    eventually("what exec has started", || container.inside("ps").contains("cat").then_some(()));
    let pid_file = lab.path("pid");
    checkpoint(&lab, &container).ok();
    container.finish(restore(&lab, &container).arg("--pid-file").arg(&pid_file)).assert_code(0);
    assert!(container.inside("ps").contains("cat"));
    assert_eq!(fs::read_to_string(pid_file).expect("the pid file"), container.pid().to_string());
    container.inside("cat /proc/1/cmdline");
    container.command("pause").ok();
    assert_eq!(container.status(), "paused");
    container.command("resume").ok();
    if is_insula() {
        let shown = container.command("inspect").args(["--format", "json"]).ok().json();
        assert_eq!(shown["restored"], json!(true), "{shown}");
    }
}

#[test]
fn every_namespace_is_the_containers_own_again() {
    needs_criu!();
    for mode in ["soft", "ignore"] {
        let lab = Lab::new();
        let container = counter(&lab, |bundle| bundle.namespace("cgroup").set("/hostname", json!("counted")));
        there_and_back(&lab, &container, &["--manage-cgroups-mode", mode]);
        assert_eq!(container.inside("hostname").trim(), "counted");
        let own = insula_tests::own_identities();
        for (kind, identity) in identities(container.pid()) {
            assert_eq!(identity == own[kind], kind == "user", "{kind} ({mode})");
        }
        assert!(container.inside("ip link show lo").contains("UP"), "the loopback interface is up");
    }
}

#[test]
fn a_terminal_is_handed_over_again() {
    needs_criu!();
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/process/terminal", json!(true)).args(&["sh"]);
    let socket = ConsoleSocket::bind(lab.path("console.sock"));
    let container = lab.container(&bundle);
    container.finish(container.launch("run").arg("--detach").arg("--console-socket").arg(socket.path())).assert_code(0);
    let (mut terminal, _) = socket.receive();
    terminal.write("kept=words; echo ready-$((1+1))\n");
    terminal.read_until("ready-2");
    checkpoint(&lab, &container).ok();
    drop(terminal);
    container.finish(restore(&lab, &container)).fails_with(&["console socket"]);
    container.finish(restore(&lab, &container).arg("--console-socket").arg(socket.path())).assert_code(0);
    let (mut terminal, _) = socket.receive();
    terminal.write("echo still-$kept; tty\n");
    terminal.read_until("still-words");
    container.command("verify").ok();
}

#[test]
fn bind_mounts_over_links_and_in_each_other() {
    needs_criu!();
    let lab = Lab::new();
    let mut bundle = counting(&lab);
    fs::create_dir_all(bundle.rootfs().join("real/conf")).expect("a directory");
    std::os::unix::fs::symlink("/real/conf", bundle.rootfs().join("conf")).expect("a link");
    for name in ["outer", "inner"] {
        fs::create_dir(lab.path(name)).expect("a directory");
    }
    let file = lab.write("file", "of the host\n");
    bundle.bind(lab.path("outer"), "/conf", &[]);
    bundle.bind(lab.path("inner"), "/conf/for/nested", &["ro"]);
    bundle.bind(&file, "/file", &["ro"]);
    let container = lab.container(&bundle);
    run(&container);
    checkpoint(&lab, &container).ok();
    // The mount points are made again.
    fs::remove_dir_all(lab.path("outer/for")).expect("remove what was made");
    lab.write("inner/here", "nested\n");
    restored(&lab, &container, &[]);
    assert_eq!(container.inside("cat /real/conf/for/nested/here /file"), "nested\nof the host\n");
    assert_eq!(container.exec(&["touch", "/conf/for/nested/x"]).code(), 1, "still read-only");
}

#[test]
fn pipes_of_the_restorer_take_the_place_of_the_old_ones() {
    needs_criu!();
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("while read line; do echo said-$line; done");
    let container = lab.container(&bundle);
    let (in_read, _in_write) = std::io::pipe().expect("a pipe");
    let (_out_read, out_write) = std::io::pipe().expect("a pipe");
    let launch = container.launch("run").arg("--detach").arg(container.id()).stdin(in_read);
    let mut started = launch.output_to(|| out_write.try_clone().expect("duplicate").into());
    eventually("the container to be started", || (!started.is_running()).then_some(()));
    checkpoint(&lab, &container).ok();

    let (in_read, mut in_write) = std::io::pipe().expect("a pipe");
    let (mut out_read, out_write) = std::io::pipe().expect("a pipe");
    let launch = restore(&lab, &container).arg(container.id()).stdin(in_read);
    let mut started = launch.output_to(|| out_write.try_clone().expect("duplicate").into());
    eventually("the container to be restored", || (!started.is_running()).then_some(()));
    drop(out_write);
    in_write.write_all(b"words\n").expect("write to the container");
    drop(in_write);
    let mut said = String::new();
    out_read.read_to_string(&mut said).expect("read from the container");
    assert_eq!(said, "said-words\n");
    container.await_status("stopped");
}

#[test]
fn a_restore_in_the_foreground_ends_as_the_process_ends() {
    needs_criu!();
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.writable().tmpfs("/counter", &[]);
    bundle.shell("echo 1 > /counter/i; trap 'exit 7' TERM; while :; do sleep 0.1; done");
    let container = lab.container(&bundle);
    run(&container);
    checkpoint(&lab, &container).ok();
    let pid_file = lab.path("pid");
    let restore = container.launch("restore").arg("--image-path").arg(images(&lab)).arg("--pid-file").arg(&pid_file);
    let restore = restore.arg(container.id()).start();
    eventually("the container to run", || fs::read(&pid_file).ok());
    // Passed on by the command that waits.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(restore.pid()), nix::sys::signal::Signal::SIGTERM).expect("kill");
    restore.wait().assert_code(7);
    is_gone(&container);
}

#[test]
fn a_user_namespace_is_restored() {
    needs_criu!();
    let lab = Lab::new();
    let container = counter(&lab, |bundle| bundle.user_namespace());
    there_and_back(&lab, &container, &[]);
}

#[test]
fn hooks_set_the_network_up_again() {
    needs_criu!();
    let lab = Lab::new();
    let noted = lab.path("noted");
    let hook = |name: &str| {
        let body = format!("cat >/dev/null; echo {name} >> {}", noted.display());
        json!([{"path": lab.script(name, &body).to_str(), "args": [name]}])
    };
    let mut bundle = counting(&lab);
    bundle.set("/hooks/prestart", hook("prestart")).set("/hooks/createRuntime", hook("createRuntime"));
    bundle.set("/hooks/poststop", hook("poststop"));
    let container = lab.container(&bundle);
    run(&container);
    checkpoint(&lab, &container).ok();
    fs::remove_file(&noted).expect("the hooks ran");
    restored(&lab, &container, &[]);
    container.delete_force().assert_code(0);
    assert_eq!(fs::read_to_string(&noted).expect("the hooks ran"), "prestart\ncreateRuntime\npoststop\n");

    let failing = lab.script("failing", "exit 9");
    bundle.set("/hooks/createRuntime", json!([{"path": failing.to_str()}]));
    container.finish(restore(&lab, &container)).fails_with(&["createRuntime hook", "exit status 9"]);
    is_gone(&container);
}
