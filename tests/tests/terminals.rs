// SPDX-License-Identifier: Apache-2.0
//! Terminals, and everything else that a process inherits or does not.

use insula_tests::terminal::{ConsoleSocket, Terminal};
use insula_tests::{Lab, json};
use std::fs::{self, File};

#[test]
fn preserved_descriptors() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("cat <&3; cat <&4; ls /proc/self/fd | wc -w");
    let (three, four) = (lab.write("three", "third\n"), lab.write("four", "fourth\n"));
    let script = "exec 3<\"$1\" 4<\"$2\" 5</dev/null; shift 2; exec \"$@\"";
    let run = lab.shell(script, &[three, four]).arg(insula_tests::runtime()).arg("--root").arg(lab.state_root());
    let output = run.args(["run", "--preserve-fds", "2", "--bundle"]).arg(bundle.path()).arg(lab.fresh_id()).ok();
    // ls adds the directory it reads.
    assert_eq!(output.stdout, "third\nfourth\n6\n");
}

#[test]
fn socket_activation_descriptors() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("echo $LISTEN_FDS $LISTEN_PID; cat <&3");
    let three = lab.write("three", "third\n");
    let run = lab.shell("exec 3<\"$1\"; shift; export LISTEN_PID=$$; exec \"$@\"", &[three]).env("LISTEN_FDS", "1");
    let run = run.arg(insula_tests::runtime()).arg("--root").arg(lab.state_root());
    let output = run.args(["run", "--bundle"]).arg(bundle.path()).arg(lab.fresh_id()).ok();
    assert_eq!(output.stdout, "1 1\nthird\n");
}

#[test]
fn a_console_socket_receives_the_terminal() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/process/terminal", json!(true)).set("/process/consoleSize", json!({"height": 33, "width": 99}));
    bundle.args(&["sh"]);
    let socket = ConsoleSocket::bind(lab.path("console.sock"));
    let container = lab.container(&bundle);
    container.finish(container.launch("create").arg("--console-socket").arg(socket.path())).assert_code(0);
    let (mut terminal, _name) = socket.receive();
    container.start().assert_code(0);
    terminal.write("stty size; tty; test -t 0 && test -t 1 && test -t 2 && echo all-$((40+2))\n");
    let seen = terminal.read_until("all-42");
    assert!(seen.contains("33 99"), "the console has its size: {seen:?}");
    assert!(seen.contains("/dev/pts/0") || seen.contains("/dev/console"), "{seen:?}");
    terminal.write("ls -l /dev/console; echo done-$((1+1))\n");
    let seen = terminal.read_until("done-2");
    assert!(seen.contains("crw"), "/dev/console is a device: {seen:?}");
    terminal.write("exit 5\n");
    terminal.read_to_end();
    container.await_status("stopped");
}

#[test]
fn exec_with_a_terminal_through_the_console_socket() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    let socket = ConsoleSocket::bind(lab.path("console.sock"));
    let exec = lab.insula().args(["exec", "--tty", "--detach", "--console-socket"]).arg(socket.path());
    exec.arg(container.id()).args(["sh", "-c", "tty; read line; echo got-$line"]).ok();
    let (mut terminal, _name) = socket.receive();
    assert!(terminal.read_until("\n").contains("/dev/pts/0"));
    terminal.write("words\n");
    terminal.read_until("got-words");
}

#[test]
fn run_and_exec_on_the_callers_terminal() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/process/terminal", json!(true)).args(&["sh"]);
    let (mut terminal, slave) = Terminal::new(44, 111);
    let container = lab.container(&bundle);
    // A session of its own, as a terminal emulator gives.
    let run = lab
        .command("setsid")
        .args(["--wait", "--ctty"])
        .arg(insula_tests::runtime())
        .arg("--root")
        .arg(lab.state_root());
    let run = run.args(["run", "--bundle"]).arg(bundle.path()).arg(container.id()).stdin(slave.stdio());
    let run = run.output_to(|| slave.stdio());
    drop(slave);
    terminal.write("tty; stty size; echo sum-$((40+2))\n");
    let seen = terminal.read_until("sum-42");
    assert!(seen.contains("/dev/pts/0"), "{seen:?}");
    assert!(seen.contains("44 111"), "the caller's size is passed on: {seen:?}");
    terminal.write("exit 3\n");
    run.wait().assert_code(3);
}

#[test]
fn terminals_and_sockets_go_together() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/process/terminal", json!(true));
    lab.container(&bundle).create().fails_with(&["console socket"]);
    bundle.set("/process/terminal", json!(false));
    let container = lab.container(&bundle);
    let socket = ConsoleSocket::bind(lab.path("console.sock"));
    container
        .finish(container.launch("create").arg("--console-socket").arg(socket.path()))
        .fails_with(&["console socket"]);
    bundle.set("/process/terminal", json!(true));
    let container = lab.container(&bundle);
    let nowhere = lab.path("nosuch.sock");
    container.finish(container.launch("create").arg("--console-socket").arg(nowhere)).fails_with(&["nosuch.sock"]);
}

#[test]
fn callers_with_odd_signal_dispositions() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["grep", "-E", "^Sig(Blk|Ign|Cgt)|^Umask", "/proc/self/status"]);
    let script =
        "umask 0777; exec env --ignore-signal=CHLD --ignore-signal=PIPE --ignore-signal=USR1 --block-signal \"$@\"";
    let run = lab.shell(script, &[insula_tests::runtime()]).arg("--root").arg(lab.state_root());
    let output = run.args(["run", "--bundle"]).arg(bundle.path()).arg(lab.fresh_id()).ok();
    let clear = "0000000000000000";
    assert_eq!(output.stdout, format!("Umask:\t0022\nSigBlk:\t{clear}\nSigIgn:\t{clear}\nSigCgt:\t{clear}\n"));
}

#[test]
fn callers_without_standard_descriptors() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.writable().shell("ls -l /proc/self/fd > /result");
    let run = lab.shell("exec \"$@\" <&- >&- 2>&-", &[insula_tests::runtime()]).arg("--root").arg(lab.state_root());
    run.args(["run", "--bundle"]).arg(bundle.path()).arg(lab.fresh_id()).ok();
    let seen = fs::read_to_string(bundle.rootfs().join("result")).expect("the container ran");
    let root = lab.state_root();
    assert!(!seen.contains(root.to_str().expect("paths are text")), "a descriptor of the runtime is inside: {seen}");
    assert!(!seen.contains("anon_inode") && !seen.contains("memfd"), "a descriptor of the runtime is inside: {seen}");
}

#[test]
fn a_standard_output_that_is_a_file() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("echo out; echo err >&2");
    let path = lab.path("both");
    let file = File::create(&path).expect("make a file");
    let run = lab.insula().args(["run", "--bundle"]).arg(bundle.path()).arg(lab.fresh_id());
    run.output_to(|| file.try_clone().expect("duplicate").into()).wait().assert_code(0);
    assert_eq!(fs::read_to_string(path).expect("written"), "out\nerr\n");
}
