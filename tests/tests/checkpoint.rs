// SPDX-License-Identifier: Apache-2.0
//! Containers into files and back. What needs a CRIU that works on this kernel skips itself without one.

use insula_tests::terminal::ConsoleSocket;
use insula_tests::{Bundle, Container, Invocation, Lab, Output, eventually, identities, is_insula, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Why CRIU cannot be used here for `feature` (empty: for anything), if it cannot.
fn lacking(feature: &str) -> Option<String> {
    let mut check = Command::new("criu");
    check.arg("check");
    if !feature.is_empty() {
        check.args(["--feature", feature]);
    }
    match check.output() {
        Err(error) => Some(format!("criu: {error}")),
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            Some(format!(
                "`criu check {feature}` fails: {}",
                text.lines().find(|l| l.contains("Error")).unwrap_or(&text)
            ))
        }
    }
}

macro_rules! needs_criu {
    ($feature:expr) => {
        if let Some(reason) = lacking($feature) {
            insula_tests::skip!("{reason}");
        }
    };
}

/// A container that counts in a file of its own tmpfs, five times a second.
fn counting(lab: &Lab) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.writable().tmpfs("/counter", &[]);
    bundle.shell("i=0; while :; do i=$((i+1)); echo $i > /counter/new; mv /counter/new /counter/i; sleep 0.2; done");
    bundle
}

/// `run --detach`, with the caller's files kept out of the container.
#[track_caller]
fn run(container: &Container<'_>) {
    let mut started = container.launch("run").arg("--detach").arg(container.id()).output_to(Stdio::null);
    eventually("the container to be started", || (!started.is_running()).then_some(()));
    assert_eq!(container.status(), "running");
    eventually("the first count", || {
        let shown = container.exec(&["cat", "/counter/i"]);
        (shown.code() == 0).then_some(())
    });
}

#[track_caller]
fn count(container: &Container<'_>) -> u64 {
    container.inside("cat /counter/i").trim().parse().expect("a number")
}

fn images(lab: &Lab) -> PathBuf {
    lab.path("images")
}

fn checkpoint(lab: &Lab, container: &Container<'_>) -> Invocation {
    container.command("checkpoint").arg("--image-path").arg(images(lab))
}

/// `restore --detach` of `container`'s id.
fn restore(lab: &Lab, container: &Container<'_>) -> Invocation {
    container.launch("restore").arg("--detach").arg("--image-path").arg(images(lab)).stdin(Stdio::null())
}

#[track_caller]
fn restored(lab: &Lab, container: &Container<'_>, options: &[&str]) {
    container.finish(restore(lab, container).args(options)).assert_code(0);
    assert_eq!(container.status(), "running");
    if is_insula() {
        container.command("verify").ok();
    }
}

/// The container is gone: neither `state` knows it nor does it leave anything.
#[track_caller]
fn is_gone(container: &Container<'_>) {
    container.command("state").run().fails_with(&["does not exist"]);
}

/// The counter continues where it was, rather than from 1.
#[track_caller]
fn goes_on_from(container: &Container<'_>, before: u64) {
    let now = count(container);
    assert!(now >= before && now < before + 1000, "{before} before, {now} now");
    eventually("the counter to go on", || (count(container) > now).then_some(()));
}

#[test]
fn a_counter_in_a_shared_network_goes_on() {
    needs_criu!("");
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "1000"]);
    let owner = lab.container(&bundle).detached();
    let mut bundle = counting(&lab);
    bundle.join("network", owner.namespace_path("network"));
    let container = lab.container(&bundle);
    run(&container);
    let before = count(&container);
    checkpoint(&lab, &container).arg("--leave-running").ok();
    goes_on_from(&container, before);
    assert_eq!(container.status(), "running");
    let shown = container.inside("readlink /proc/1/ns/net");

    let before = count(&container);
    for _ in 0..2 {
        checkpoint(&lab, &container).ok();
        is_gone(&container);
        restored(&lab, &container, &[]);
        goes_on_from(&container, before);
        assert_eq!(container.inside("readlink /proc/1/ns/net"), shown, "the named network namespace");
        assert_eq!(identities(container.pid())["network"], identities(owner.pid())["network"]);
    }
    container.kill("KILL").assert_code(0);
    container.await_status("stopped");
    container.delete().assert_code(0);
}

#[test]
fn a_counter_in_a_shared_pid_namespace_goes_on() {
    needs_criu!("");
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
    needs_criu!("");
    let lab = Lab::new();
    let container = lab.container(&counting(&lab));
    run(&container);
    container.exec(&["sh", "-c", "sleep 1234 </dev/null >/dev/null 2>&1 &"]).assert_code(0);
    checkpoint(&lab, &container).ok();
    let pid_file = lab.path("pid");
    container.finish(restore(&lab, &container).arg("--pid-file").arg(&pid_file)).assert_code(0);
    assert!(container.inside("ps").contains("sleep 1234"));
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
    needs_criu!("");
    for mode in ["soft", "ignore"] {
        let lab = Lab::new();
        let mut bundle = counting(&lab);
        bundle.namespace("cgroup").set("/hostname", json!("counted"));
        let container = lab.container(&bundle);
        run(&container);
        let before = count(&container);
        checkpoint(&lab, &container).args(["--manage-cgroups-mode", mode]).ok();
        restored(&lab, &container, &["--manage-cgroups-mode", mode]);
        goes_on_from(&container, before);
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
    needs_criu!("");
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
    needs_criu!("");
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
    needs_criu!("");
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
    needs_criu!("");
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
fn a_chain_of_pre_dumps() {
    needs_criu!("mem_dirty_track");
    let lab = Lab::new();
    let container = lab.container(&counting(&lab));
    run(&container);
    let before = count(&container);
    for (name, parent) in [("one", None), ("two", Some("../one"))] {
        let dump = container.command("checkpoint").arg("--pre-dump").arg("--image-path").arg(lab.path(name));
        let dump = parent.into_iter().fold(dump, |dump, parent| dump.args(["--parent-path", parent]));
        dump.ok();
        assert_eq!(container.status(), "running");
    }
    checkpoint(&lab, &container).args(["--parent-path", "../two"]).ok();
    assert!(images(&lab).join("parent").exists());
    restored(&lab, &container, &[]);
    goes_on_from(&container, before);
}

#[test]
fn memory_follows_on_demand() {
    needs_criu!("uffd-noncoop");
    let lab = Lab::new();
    let container = lab.container(&counting(&lab));
    run(&container);
    let before = count(&container);
    let port = 27_000 + std::process::id() % 1000;
    let script = "exec 9>\"$1\"; shift; exec \"$@\"";
    let ready = lab.path("ready");
    let dump = lab
        .shell(script, &[&ready])
        .arg(insula_tests::runtime())
        .arg("--root")
        .arg(lab.state_root())
        .args(["checkpoint", "--lazy-pages", "--status-fd", "9", "--page-server", &format!("127.0.0.1:{port}")])
        .arg("--image-path")
        .arg(images(&lab))
        .arg(container.id())
        .within(Duration::from_mins(2))
        .start();
    eventually("the page server", || (fs::read(&ready).ok()? == [0]).then_some(()));
    let pages = lab.command("criu").args(["lazy-pages", "--page-server", "--address", "127.0.0.1", "--port"]);
    let pages = pages.arg(port.to_string()).arg("-D").arg(images(&lab)).within(Duration::from_mins(2)).start();
    let socket = images(&lab).join("lazy-pages.socket");
    eventually("the daemon", || socket.exists().then_some(()));
    // The old one is there until the last page is: another id, and another cgroup.
    let second = lab.container(&counting(&lab));
    restored(&lab, &second, &["--lazy-pages", "--work-path", images(&lab).to_str().expect("text")]);
    dump.wait().assert_code(0);
    pages.wait().assert_code(0);
    goes_on_from(&second, before);
    is_gone(&container);
}

#[test]
fn a_user_namespace_is_restored() {
    needs_criu!("");
    let lab = Lab::new();
    let mut bundle = counting(&lab);
    bundle.user_namespace();
    let container = lab.container(&bundle);
    run(&container);
    let before = count(&container);
    checkpoint(&lab, &container).ok();
    restored(&lab, &container, &[]);
    goes_on_from(&container, before);
}

#[test]
fn hooks_set_the_network_up_again() {
    needs_criu!("");
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

#[test]
fn a_restore_that_is_killed_leaves_what_delete_removes() {
    needs_criu!("");
    let lab = Lab::new();
    let container = lab.container(&counting(&lab));
    run(&container);
    checkpoint(&lab, &container).ok();
    for milliseconds in [0, 5, 10, 20, 40, 60, 80, 120, 160, 240] {
        let restore = container.finish_later(restore(&lab, &container));
        std::thread::sleep(Duration::from_millis(milliseconds));
        drop(restore);
        container.delete_force();
        is_gone(&container);
    }
    restored(&lab, &container, &[]);
}

/// A stand-in for CRIU that does what `body` says.
fn stand_in(lab: &Lab, body: &str) -> String {
    fs::create_dir_all(lab.path("bin")).expect("a directory");
    lab.script("bin/criu", body);
    format!("{}:/usr/bin:/bin", lab.path("bin").display())
}

fn sleeping(lab: &Lab) -> Container<'_> {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "1000"]);
    lab.container(&bundle).detached()
}

#[test]
fn without_criu_the_package_is_named() {
    let lab = Lab::new();
    let container = sleeping(&lab);
    let output = checkpoint(&lab, &container).env("PATH", "/nowhere").run();
    output.fails_with(if is_insula() { &["package criu", "3.16"] } else { &["criu"] });
    assert_eq!(container.status(), "running");
}

#[test]
fn a_criu_that_does_not_work_is_quoted() {
    let lab = Lab::new();
    let container = sleeping(&lab);
    let path = stand_in(&lab, "echo 'Error (criu/vdso.c:381): vdso: no such area' >&2; exit 1");
    let output = checkpoint(&lab, &container).env("PATH", &path).run();
    output.fails_with(if is_insula() { &["checkpoint container", "vdso: no such area"] } else { &["criu"] });
    assert_eq!(container.status(), "running");
    fs::write(images(&lab).join("descriptors.json"), r#"["/dev/null","/dev/null","/dev/null"]"#).expect("write");
    let second = lab.container(&counting(&lab));
    let output = second.finish(restore(&lab, &second).env("PATH", &path));
    output.fails_with(if is_insula() { &["restore container", "vdso: no such area"] } else { &["criu"] });
    is_gone(&second);
}

#[test]
fn the_machines_own_criu_works_or_says_why_not() {
    if Command::new("criu").arg("--version").output().is_err() {
        insula_tests::skip!("there is no criu");
    }
    let lab = Lab::new();
    let container = sleeping(&lab);
    let output = checkpoint(&lab, &container).run();
    if output.code() != 0 {
        // The test's own files are the container's output; a CRIU that works says so.
        output.fails_with(&["checkpoint container", "criu", "error ("]);
        assert_eq!(container.status(), "running");
    }
}

#[test]
fn a_restore_that_waits_for_criu_can_be_killed() {
    let lab = Lab::new();
    let path = stand_in(&lab, "exec sleep 1000");
    fs::create_dir(images(&lab)).expect("a directory");
    fs::write(images(&lab).join("descriptors.json"), "[]").expect("write");
    let container = lab.container(&counting(&lab));
    let waiting = container.finish_later(restore(&lab, &container).env("PATH", &path));
    let home = lab.state_root().join(container.id());
    eventually("the intent", || home.join("intent").exists().then_some(()));
    std::thread::sleep(Duration::from_millis(100));
    drop(waiting);
    container.delete_force().assert_code(0);
    assert!(!home.exists());
}

#[test]
fn command_lines_that_cannot_be_meant() {
    let lab = Lab::new();
    let container = sleeping(&lab);
    let refuse = |options: &[&str], words: &[&str]| -> Output {
        let output = checkpoint(&lab, &container).args(options).run();
        output.fails_with(words);
        output
    };
    refuse(&["--parent-path", "/tmp/parent"], &["--parent-path"]);
    refuse(&["--parent-path", "./nowhere"], &["--parent-path"]);
    refuse(&["--page-server", "nowhere"], &["ADDRESS:PORT"]);
    refuse(&["--page-server", "127.0.0.1:x"], if is_insula() { &["ADDRESS:PORT"] } else { &["port"] });
    refuse(&["--manage-cgroups-mode", "hard"], &["manage-cgroups-mode"]);
    refuse(&["--empty-ns", "pid"], &["is not supported"]);
    assert_eq!(container.status(), "running");
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "1000"]);
    let created = lab.container(&bundle).created();
    checkpoint(&lab, &created).run().fails_with(&["created"]);
    let fresh = lab.container(&bundle);
    let output = fresh.finish(fresh.launch("restore").arg("--image-path").arg(lab.path("none")));
    output.fails_with(&[lab.path("none").to_str().expect("text")]);
    is_gone(&fresh);
}
