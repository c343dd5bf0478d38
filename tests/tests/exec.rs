// SPDX-License-Identifier: Apache-2.0
//! Further processes in a container, and programs that cannot be run.

use insula_tests::{Lab, eventually, json};
use std::fs;

#[test]
fn exec_runs_in_the_container() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle
        .args(&["sleep", "60"])
        .set("/hostname", json!("inner"))
        .set("/process/env", json!(["PATH=/bin", "FROM=config"]));
    let container = lab.container(&bundle).detached();

    assert_eq!(container.inside("hostname; echo $FROM"), "inner\nconfig\n");
    container.exec(&["sh", "-c", "exit 42"]).assert_code(42);
    container.exec(&["sh", "-c", "kill -KILL $$"]).assert_code(128 + 9);
    let first = insula_tests::identities(container.pid());
    let links = container.inside("for link in /proc/self/ns/*; do readlink $link; done");
    for (kind, identity) in first {
        assert!(
            links.contains(&format!("[{}]", identity.inode)),
            "exec is not in the container's {kind} namespace: {links}"
        );
    }

    let exec = |options: &[&str], script: &str| {
        let command = lab.insula().arg("exec").args(options).arg(container.id()).args(["sh", "-c", script]);
        command.ok().stdout
    };
    assert_eq!(exec(&["--cwd", "/tmp"], "pwd"), "/tmp\n");
    assert_eq!(exec(&["--env", "A=1", "--env", "B=two words"], "echo $A $B"), "1 two words\n");
    assert_eq!(exec(&["--user", "1000:1001"], "id -u; id -g"), "1000\n1001\n");
    assert_eq!(exec(&["-u", "1000"], "id -u; id -g"), "1000\n0\n");
    assert_eq!(exec(&["-u", "1:2", "-g", "7", "-g", "8"], "id -G"), "2 7 8\n");
    assert_eq!(exec(&["--no-new-privs"], "grep NoNewPrivs /proc/self/status"), "NoNewPrivs:\t1\n");
    let bounding = exec(&["--cap", "CAP_SYS_TIME"], "grep CapBnd /proc/self/status");
    let bounding = u64::from_str_radix(bounding.split_whitespace().nth(1).expect("a set"), 16).expect("hexadecimal");
    assert_eq!(bounding & (1 << 25), 1 << 25, "CAP_SYS_TIME is in the bounding set");
}

#[test]
fn exec_refuses_ids_that_are_no_ids() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    for user in ["-1", "4294967295", "4294967296", " 1", "0x1", "1x", "1:", ":1", "", "1:4294967295"] {
        let output = lab.insula().args(["exec", "--user", user]).arg(container.id()).arg("true").run();
        assert_ne!(output.code(), 0, "user {user:?} is accepted: {output}");
    }
}

#[test]
fn exec_from_a_process_document() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    let process = json!({
        "terminal": false,
        "user": {"uid": 5, "gid": 6, "additionalGids": [7]},
        "args": ["sh", "-c", "echo $KEY; pwd; id -u; id -G"],
        "env": ["PATH=/bin", "KEY=from the document"],
        "cwd": "/tmp",
    });
    let path = lab.write("process.json", process.to_string());
    let output = lab.insula().args(["exec", "--process"]).arg(path).arg(container.id()).ok();
    assert_eq!(output.stdout, "from the document\n/tmp\n5\n6 7\n");
}

#[test]
fn exec_detached_with_pid_file() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    let pid_file = lab.path("exec-pid");
    let exec = lab.insula().args(["exec", "--detach", "--pid-file"]).arg(&pid_file).arg(container.id());
    exec.args(["sleep", "61"]).ok();
    let pid: i32 = fs::read_to_string(pid_file).expect("the pid file is written").parse().expect("a number");
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("the process runs");
    assert_eq!(command, "sleep\x0061\0");
    assert_eq!(insula_tests::identities(pid)["mount"], insula_tests::identities(container.pid())["mount"]);
}

/// An intermediate process that has ended by then must never be named: its exit would be awaited for ever.
#[test]
fn exec_detached_names_the_process_every_time() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    let pid_file = lab.path("exec-pid");
    for round in 0..200 {
        let exec = lab.insula().args(["exec", "--detach", "--pid-file"]).arg(&pid_file).arg(container.id());
        exec.args(["sleep", "61"]).ok();
        let pid = fs::read_to_string(&pid_file).expect("the pid file is written");
        // It may be about to become the program, but it must be there.
        eventually(&format!("process {pid} of round {round} to become sleep"), || {
            let command = fs::read_to_string(format!("/proc/{pid}/cmdline"));
            (command.expect("the process named is alive") == "sleep\x0061\0").then_some(())
        });
    }
}

#[test]
fn exec_in_a_created_or_stopped_container() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).created();
    // The namespaces stand before start, so exec works, as runc's does.
    assert_eq!(container.inside("echo in"), "in\n");
    container.start().assert_code(0);
    container.kill("KILL").assert_code(0);
    container.await_status("stopped");
    let output = container.exec(&["true"]);
    assert_ne!(output.code(), 0);
    output.says(&["stopped"]);
}

#[test]
fn ps_lists_the_containers_processes() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("sleep 61 & echo ready; wait");
    let container = lab.container(&bundle).detached();
    container.await_stdout("ready");
    let listed = lab.insula().args(["ps", "--format", "json"]).arg(container.id()).ok().json();
    let pids: Vec<_> = listed.as_array().expect("an array").iter().map(|pid| pid.as_i64().expect("a number")).collect();
    assert_eq!(pids.len(), 2, "the shell and its child");
    assert!(pids.contains(&i64::from(container.pid())));

    let table = container.command("ps").ok().stdout;
    let mut lines = table.lines();
    let header = lines.next().expect("a header");
    assert!(header.contains("PID") && header.contains("CMD"), "{table}");
    assert_eq!(lines.count(), 2, "{table}");
    assert!(table.contains("sleep 61"), "{table}");
}

#[test]
fn missing_and_forbidden_programs() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    fs::write(bundle.rootfs().join("bin/data"), "no program").expect("write a file");
    let missing = "exec: \"nosuch\": executable file not found in $PATH";

    bundle.args(&["nosuch"]);
    lab.container(&bundle).run().fails_with(&[missing]);
    lab.container(&bundle).create().fails_with(&[missing]);
    bundle.args(&["/bin/nosuch"]);
    lab.container(&bundle).run().fails_with(&["exec: \"/bin/nosuch\": stat /bin/nosuch: no such file or directory"]);
    bundle.args(&["/bin/data"]);
    lab.container(&bundle).run().fails_with(&["exec: \"/bin/data\": permission denied"]);
    bundle.args(&["/tmp"]);
    lab.container(&bundle).run().fails_with(&["exec: \"/tmp\"", "permission denied"]);

    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    for (program, text) in [("nosuch", missing), ("/bin/data", "permission denied")] {
        let output = container.exec(&[program]);
        output.assert_code(255);
        output.says(&[text]);
    }
}

#[test]
fn a_program_without_a_valid_header() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let path = bundle.rootfs().join("bin/garbage");
    fs::write(&path, "neither ELF nor script").expect("write a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("make it executable");
    bundle.args(&["garbage"]);
    let output = lab.container(&bundle).run();
    assert_ne!(output.code(), 0);
    output.says(&["exec format error"]);
}

#[test]
fn a_user_namespace_has_hard_limits_above_the_callers() {
    const SYS_RESOURCE: u64 = 1 << 24;
    let status = fs::read_to_string("/proc/self/status").expect("read /proc/self/status");
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("it names capabilities");
    if u64::from_str_radix(effective.trim(), 16).expect("hexadecimal") & SYS_RESOURCE == 0 {
        insula_tests::skip!("root lacks CAP_SYS_RESOURCE here");
    }
    let (_, own) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_SIGPENDING).expect("getrlimit");
    let hard = own + 1000;
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]).user_namespace();
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_SIGPENDING", "soft": hard, "hard": hard}]));
    let container = lab.container(&bundle).detached();
    let wanted = format!("{hard} {hard}\n");
    let show =
        "grep 'Max pending signals' /proc/self/limits | while read a b c soft hard rest; do echo $soft $hard; done";
    assert_eq!(container.inside(show), wanted);
    let first = fs::read_to_string(format!("/proc/{}/limits", container.pid())).expect("read its limits");
    let line = first.lines().find(|line| line.starts_with("Max pending signals")).expect("a line of it");
    assert_eq!(line.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), [hard.to_string(), hard.to_string()]);
}
