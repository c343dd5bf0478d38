// SPDX-License-Identifier: Apache-2.0
//! The commands of the life cycle: what they print, how they exit, what state they leave.

use insula_tests::terminal::{ConsoleSocket, Terminal};
use insula_tests::{Lab, Value, eventually, is_insula, json, parse_json, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

/// Runs until SIGTERM, which it answers with exit code 7.
const UNTIL_TERM: &str = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done";

#[test]
fn create_start_kill_delete() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell(UNTIL_TERM);
    let container = lab.container(&bundle).created();
    assert_eq!(container.status(), "created");
    assert_eq!(container.stdout(), "", "the user's program must not run before start");

    container.start().assert_code(0);
    container.await_stdout("ready");
    assert_eq!(container.status(), "running");

    container.kill("TERM").assert_code(0);
    container.await_status("stopped");
    container.delete().assert_code(0);
    container.command("state").run().fails_with(&["does not exist"]);
}

#[test]
fn state_has_the_fields_that_engines_read() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]).set("/annotations", json!({"org.example.key": "value", "other": ""}));
    let container = lab.container(&bundle).created();
    let state = container.state();

    let members: Vec<_> = state.as_object().expect("state is an object").keys().map(String::as_str).collect();
    for member in ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations", "owner"] {
        assert!(members.contains(&member), "state lacks {member}: {members:?}");
    }
    assert!(state["ociVersion"].as_str().expect("ociVersion is text").starts_with("1."));
    assert_eq!(state["id"], container.id());
    assert_eq!(state["status"], "created");
    assert_eq!(state["bundle"], bundle.path().to_str().expect("paths are text"));
    assert_eq!(state["rootfs"], bundle.rootfs().to_str().expect("paths are text"));
    assert_eq!(state["annotations"], json!({"org.example.key": "value", "other": ""}));
    assert_rfc3339(&state["created"]);
    assert!(state["owner"].is_string());
    assert!(Path::new("/proc").join(container.pid().to_string()).exists());

    container.start().assert_code(0);
    assert_eq!(container.status(), "running");
    container.kill("KILL").assert_code(0);
    container.await_status("stopped");
    assert_eq!(container.state()["pid"], 0, "a stopped container has no process");
}

/// `2026-01-31T10:20:30.123456789Z`, the fraction being optional and the zone a name or an offset.
#[track_caller]
fn assert_rfc3339(value: &Value) {
    let text = value.as_str().expect("a time is text");
    let digits = |range: std::ops::Range<usize>| text.get(range).is_some_and(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let shape = digits(0..4) && digits(5..7) && digits(8..10) && digits(11..13) && digits(14..16) && digits(17..19);
    assert!(shape && text.as_bytes()[10] == b'T', "{text:?} is no RFC 3339 time");
    assert!(text.ends_with('Z') || text[19..].contains(['+', '-']), "{text:?} names no zone");
}

#[test]
fn run_returns_the_exit_code() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    for code in [0, 1, 2, 77, 127, 255] {
        bundle.shell(&format!("echo said; exit {code}"));
        let container = lab.container(&bundle);
        let output = container.run();
        output.assert_code(code);
        assert_eq!(output.stdout, "said\n");
        assert!(!lab.state_root().join(container.id()).exists(), "a foreground run deletes the container");
    }
}

#[test]
fn run_returns_128_and_the_signal() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("echo ready; sleep 60");
    let container = lab.container(&bundle);
    let run = container.launch("run").arg(container.id()).start();
    container.await_stdout("ready");
    container.kill("KILL").assert_code(0);
    run.wait().assert_code(128 + 9);

    // In the host's pid namespace the program is no init, so that any signal ends it.
    bundle.inherit("pid").args(&["sh", "-c", "kill -TERM $$; sleep 60"]);
    lab.container(&bundle).run().assert_code(128 + 15);
}

#[test]
fn run_forwards_signals_and_standard_input() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell(UNTIL_TERM);
    let container = lab.container(&bundle);
    let run = container.launch("run").arg(container.id()).start();
    container.await_stdout("ready");
    kill(Pid::from_raw(run.pid()), Signal::SIGTERM).expect("signal the runtime");
    run.wait().assert_code(7);

    bundle.args(&["cat"]);
    let container = lab.container(&bundle);
    let output = container.finish(container.launch("run").stdin_text("through the container\n"));
    output.assert_code(0);
    assert_eq!(output.stdout, "through the container\n");
}

#[test]
fn run_keeps_the_container_on_demand() {
    let lab = Lab::new();
    let container = lab.container(&lab.bundle());
    if !is_insula() {
        // runc 1.1.5 accepts --keep but deletes all the same if it was the subreaper.
        skip!("--keep is tested with insula only");
    }
    container.finish(container.launch("run").arg("--keep")).assert_code(0);
    assert_eq!(container.status(), "stopped");
    container.delete().assert_code(0);
}

#[test]
fn detached_containers_outlive_the_command() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell(UNTIL_TERM);
    let pid_file = lab.path("pid");
    let container = lab.container(&bundle);
    container.finish(container.launch("run").arg("--detach").arg("--pid-file").arg(&pid_file)).assert_code(0);
    container.await_stdout("ready");
    assert_eq!(container.status(), "running");
    let written = fs::read_to_string(&pid_file).expect("the pid file is written");
    assert_eq!(written, container.pid().to_string(), "engines parse the whole file as a number");
}

#[test]
fn create_writes_the_pid_file_before_it_returns() {
    let lab = Lab::new();
    let container = lab.container(&lab.bundle());
    let pid_file = lab.path("pid");
    container.finish(container.launch("create").arg("--pid-file").arg(&pid_file)).assert_code(0);
    assert_eq!(fs::read_to_string(&pid_file).expect("the pid file is written"), container.pid().to_string());
}

#[test]
fn a_pid_file_that_cannot_be_written_fails_the_create() {
    let lab = Lab::new();
    let container = lab.container(&lab.bundle());
    let nowhere = lab.path("missing/pid");
    container.finish(container.launch("create").arg("--pid-file").arg(nowhere)).fails_with(&["missing"]);
    container.command("state").run().fails_with(&["does not exist"]);
}

#[test]
fn the_bundle_is_the_current_directory_by_default() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["echo", "here"]);
    let output = lab.insula().args(["run"]).arg(lab.fresh_id()).current_dir(bundle.path()).ok();
    assert_eq!(output.stdout, "here\n");
}

#[test]
fn options_stand_before_or_after_the_id() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let id = lab.fresh_id();
    lab.insula().args(["create", &id, "--bundle"]).arg(bundle.path()).ok();
    lab.insula().args(["start", &id]).ok();
    lab.insula().args(["kill", &id, "--all", "WINCH"]).ok();
    lab.insula().args(["delete", &id, "--force"]).ok();
    // What follows exec's command belongs to the command.
    let container = lab.container(&bundle).detached();
    let output = container.exec(&["echo", "--cwd", "/tmp", "-t"]);
    output.assert_code(0);
    assert_eq!(output.stdout, "--cwd /tmp -t\n");
}

#[test]
fn kill_takes_numbers_and_names() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("trap 'echo got-usr1' USR1; echo ready; while :; do sleep 0.05; done");
    let container = lab.container(&bundle).detached();
    container.await_stdout("ready");
    for (count, signal) in ["USR1", "SIGUSR1", "10", "usr1", "sigusr1"].iter().enumerate() {
        container.kill(signal).assert_code(0);
        eventually(signal, || (container.stdout().matches("got-usr1").count() == count + 1).then_some(()));
    }
    container.kill("NOSUCH").fails_with(&["NOSUCH"]);
    container.kill("0x9").fails_with(&["0x9"]);
    container.kill("9999").fails_with(&["signal"]);
    assert_eq!(container.status(), "running");
    container.kill("KILL").assert_code(0);
    container.await_status("stopped");
    container.kill("KILL").fails_with(&["container not running"]);
}

#[test]
fn kill_sends_term_by_default() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell(UNTIL_TERM);
    let container = lab.container(&bundle).detached();
    container.await_stdout("ready");
    container.command("kill").ok();
    container.await_status("stopped");
}

#[test]
fn kill_all_reaches_every_process() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    // Without a pid namespace nothing but the signal itself ends the others.
    bundle.inherit("pid").shell("sleep 61 & sleep 62 & echo ready; sleep 63; true");
    let container = lab.container(&bundle).detached();
    container.await_stdout("ready");
    let listed = lab.insula().args(["ps", "--format", "json"]).arg(container.id()).ok().json();
    let pids: Vec<_> = listed.as_array().expect("an array").iter().filter_map(Value::as_i64).collect();
    assert_eq!(pids.len(), 4, "the shell and three sleepers");
    lab.insula().args(["kill", "--all"]).arg(container.id()).arg("KILL").ok();
    container.await_status("stopped");
    for pid in pids {
        eventually("every process to end", || (!is_alive(pid)).then_some(()));
    }
}

/// Neither gone nor a zombie.
fn is_alive(pid: i64) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| !status.contains("State:\tZ"))
}

#[test]
fn delete_refuses_running_containers_without_force() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    container.delete().fails_with(&["running"]);
    assert_eq!(container.status(), "running");
    container.delete_force().assert_code(0);
    container.command("state").run().fails_with(&["does not exist"]);
}

#[test]
fn delete_ends_created_containers() {
    let lab = Lab::new();
    let container = lab.container(&lab.bundle()).created();
    container.delete().assert_code(0);
    container.command("state").run().fails_with(&["does not exist"]);
}

#[test]
fn commands_on_unknown_containers() {
    let lab = Lab::new();
    let unknown = lab.container(&lab.bundle());
    for command in ["state", "start", "kill", "delete", "ps"] {
        unknown.command(command).run().fails_with(&["does not exist"]);
    }
    let exec = unknown.exec(&["true"]);
    assert_ne!(exec.code(), 0);
    exec.says(&["does not exist"]);
    unknown.delete_force().assert_code(0);
}

#[test]
fn start_works_once() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).created();
    container.start().assert_code(0);
    container.start().fails_with(&["running"]);
    container.kill("KILL").assert_code(0);
    container.await_status("stopped");
    container.start().fails_with(&["stopped"]);
}

#[test]
fn an_id_is_used_once() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    let pid = container.pid();
    container.create().fails_with(&["already exists"]);
    container.run().fails_with(&["already exists"]);
    assert_eq!(container.status(), "running", "the first container is intact");
    assert_eq!(container.pid(), pid);
}

#[test]
fn bad_ids_are_refused_everywhere() {
    let lab = Lab::new();
    let bundle = lab.bundle();
    let precious = lab.write("precious", "keep me");
    let long = "x".repeat(300);
    fs::create_dir_all(lab.state_root()).expect("make the state root");
    for id in ["..", ".", "../x", "a/b", "a b", "a\nb", "a\u{1b}b", "a%s", "\u{e9}", "", &long] {
        for command in ["state", "start", "delete", "kill", "ps"] {
            lab.insula().args([command, "--", id]).run().assert_code(1);
        }
        lab.insula().args(["delete", "--force", "--", id]).run().assert_code(1);
        lab.insula().args(["create", "--bundle"]).arg(bundle.path()).args(["--", id]).run().assert_code(1);
    }
    assert_eq!(fs::read_to_string(precious).expect("still there"), "keep me");
    assert!(lab.state_root().exists());
}

#[test]
fn list_as_table_json_and_quiet() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    lab.words(&["list", "--quiet"]).run();
    let (created, running) = (lab.container(&bundle).created(), lab.container(&bundle).detached());

    let listed = lab.words(&["list", "--format", "json"]).ok().json();
    let listed = listed.as_array().expect("an array");
    assert_eq!(listed.len(), 2);
    for container in [&created, &running] {
        let entry = listed.iter().find(|entry| entry["id"] == container.id()).expect("it is listed");
        assert_eq!(entry["status"], container.status());
        assert_eq!(entry["pid"], container.pid());
        assert_eq!(entry["bundle"], bundle.path().to_str().expect("paths are text"));
        assert_eq!(entry["rootfs"], bundle.rootfs().to_str().expect("paths are text"));
        assert_eq!(entry["owner"], "root");
        assert!(entry["ociVersion"].is_string());
        assert_rfc3339(&entry["created"]);
    }

    let table = lab.words(&["list"]).ok().stdout;
    let mut lines = table.lines();
    let header: Vec<_> = lines.next().expect("a header").split_whitespace().collect();
    assert_eq!(header, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    let rows: Vec<Vec<_>> = lines.map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 2);
    let row = rows.iter().find(|row| row[0] == running.id()).expect("it is in the table");
    assert_eq!(row[1..4], [&*running.pid().to_string(), "running", bundle.path().to_str().expect("paths are text")]);
    assert_eq!(row[5], "root");

    let quiet = lab.words(&["list", "-q"]).ok().stdout;
    let mut ids: Vec<_> = quiet.lines().collect();
    let mut expected = [created.id(), running.id()];
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
    lab.words(&["list", "--format", "yaml"]).run().assert_code(1);
}

#[test]
fn list_of_an_empty_root() {
    let lab = Lab::new();
    fs::create_dir(lab.state_root()).expect("make the state root");
    let json = lab.words(&["list", "--format", "json"]).ok();
    assert!(["null", "[]"].contains(&json.text()), "{json}");
    assert_eq!(lab.words(&["list", "--quiet"]).ok().stdout, "");
}

#[test]
fn exec_runs_in_the_container() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]).set("/hostname", json!("inner")).set("/process/env", json!(["PATH=/bin", "FROM=config"]));
    let container = lab.container(&bundle).detached();

    assert_eq!(container.inside("hostname; echo $FROM"), "inner\nconfig\n");
    container.exec(&["sh", "-c", "exit 42"]).assert_code(42);
    container.exec(&["sh", "-c", "kill -KILL $$"]).assert_code(128 + 9);
    let first = insula_tests::identities(container.pid());
    let links = container.inside("for link in /proc/self/ns/*; do readlink $link; done");
    for (kind, identity) in first {
        assert!(links.contains(&format!("[{}]", identity.inode)), "exec is not in the container's {kind} namespace: {links}");
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
fn log_records_in_json() {
    let lab = Lab::new();
    let log = lab.path("log");
    let command = lab.insula().arg("--log").arg(&log).args(["--log-format", "json", "state", "nosuch"]);
    command.run().assert_code(1);
    let records = fs::read_to_string(&log).expect("the log is written");
    let last: Value = parse_json(records.lines().last().expect("a record"));
    assert_eq!(last["level"], "error");
    assert!(last["msg"].as_str().expect("msg is text").contains("does not exist"), "{records}");
    assert_rfc3339(&last["time"]);
}

#[test]
fn log_records_escape_what_would_forge_others() {
    let lab = Lab::new();
    let log = lab.path("log");
    let mut bundle = lab.bundle();
    bundle.args(&["x\n{\"level\":\"error\",\"msg\":\"forged\",\"time\":\"\"}"]);
    let command = lab.insula().arg("--log").arg(&log).args(["--log-format", "json", "run", "--bundle"]);
    command.arg(bundle.path()).arg(lab.fresh_id()).run().assert_code(1);
    for line in fs::read_to_string(&log).expect("the log is written").lines() {
        let record = parse_json(line);
        assert_ne!(record["msg"], "forged");
    }
}

#[test]
fn usage_errors() {
    let lab = Lab::new();
    for words in [
        &["nosuchcommand"][..],
        &["state"],
        &["state", "a", "b"],
        &["state", "--nosuchflag", "a"],
        &["create"],
        &["create", "--bundle"],
        &["create", "--nosuchflag", "a"],
        &["run"],
        &["start"],
        &["delete"],
        &["kill"],
        &["exec"],
        &["exec", "a"],
        &["--nosuchflag", "list"],
    ] {
        let output = lab.words(words).run();
        assert_ne!(output.code(), 0, "{output}");
        if is_insula() {
            output.assert_code(1);
        }
        assert!(!output.stderr.is_empty(), "a usage error is told on standard error: {output}");
    }
}

#[test]
fn help_and_version() {
    let lab = Lab::new();
    let help = lab.words(&["--help"]).ok().stdout;
    let commands =
        ["create", "delete", "exec", "features", "kill", "list", "ps", "run", "spec", "start", "state"];
    for command in commands {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "--help lacks {command}");
        assert!(lab.words(&[command, "--help"]).ok().stdout.contains(command));
    }
    let version = lab.words(&["--version"]).ok().stdout;
    let mut lines = version.lines();
    assert!(lines.next().is_some_and(|line| line.contains(" version ")), "{version}");
    assert!(lines.any(|line| line.starts_with("spec: 1.")), "{version}");
    assert_eq!(lab.words(&["-v"]).ok().stdout, version);
}

#[test]
fn features_document() {
    let lab = Lab::new();
    let features = lab.words(&["features"]).ok().json();
    assert!(features["ociVersionMin"].as_str().is_some_and(|version| version.starts_with("1.0")));
    assert!(features["ociVersionMax"].as_str().is_some_and(|version| version.starts_with("1.")));
    let lists = |pointer: &str, word: &str| {
        let list = features.pointer(pointer).and_then(Value::as_array);
        let list = list.unwrap_or_else(|| panic!("features lack {pointer}"));
        assert!(list.iter().any(|one| one == word), "{pointer} lacks {word}: {list:?}");
    };
    for hook in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        lists("/hooks", hook);
    }
    for (kind, _) in insula_tests::KINDS {
        lists("/linux/namespaces", kind);
    }
    for option in ["bind", "rbind", "ro", "rprivate", "nosuid", "noexec", "nodev"] {
        lists("/mountOptions", option);
    }
    lists("/linux/capabilities", "CAP_CHOWN");
    assert_eq!(features.pointer("/linux/cgroup/v1"), Some(&json!(true)));
    assert_eq!(features.pointer("/linux/cgroup/v2"), Some(&json!(true)));
    assert_eq!(features.pointer("/linux/seccomp/enabled"), Some(&json!(true)));
    lists("/linux/seccomp/actions", "SCMP_ACT_ERRNO");
}

#[test]
fn spec_writes_the_default_document_once() {
    let lab = Lab::new();
    let directory = lab.path("spec");
    fs::create_dir(&directory).expect("make a directory");
    lab.insula().arg("spec").current_dir(&directory).ok();
    let written = fs::read(directory.join("config.json")).expect("spec writes config.json");
    let document = parse_json(&written);
    assert_eq!(document["process"]["args"], json!(["sh"]));
    assert_eq!(document["process"]["terminal"], true);
    assert_eq!(document["process"]["cwd"], "/");
    assert_eq!(document["process"]["noNewPrivileges"], true);
    assert_eq!(document["root"], json!({"path": "rootfs", "readonly": true}));
    let destinations: Vec<_> =
        document["mounts"].as_array().expect("mounts").iter().map(|mount| mount["destination"].as_str()).collect();
    let expected = ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"];
    assert_eq!(destinations, expected.map(Some));
    let kinds: Vec<_> =
        document["linux"]["namespaces"].as_array().expect("kinds").iter().filter_map(|entry| entry["type"].as_str()).collect();
    for kind in ["pid", "network", "ipc", "uts", "mount"] {
        assert!(kinds.contains(&kind), "spec lacks {kind}");
    }
    lab.insula().arg("spec").current_dir(&directory).run().fails_with(&["config.json", "exist"]);
    assert_eq!(fs::read(directory.join("config.json")).expect("still there"), written);
}

#[test]
fn spec_for_rootless_containers() {
    let lab = Lab::new();
    let directory = lab.path("spec");
    fs::create_dir(&directory).expect("make a directory");
    lab.insula().args(["spec", "--rootless", "--bundle"]).arg(&directory).ok();
    let document = parse_json(fs::read(directory.join("config.json")).expect("written"));
    let kinds = document["linux"]["namespaces"].as_array().expect("kinds");
    assert!(kinds.iter().any(|entry| entry["type"] == "user"));
    assert_eq!(document["linux"]["uidMappings"], json!([{"containerID": 0, "hostID": 0, "size": 1}]));
}

#[test]
fn any_version_1_of_the_specification() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    for version in ["1.0.0", "1.0.2-dev", "1.1.0+dev", "1.2.1", "1.99.0"] {
        bundle.set("/ociVersion", json!(version));
        lab.output_of(&bundle);
    }
}

#[test]
fn properties_that_the_specification_does_not_know() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/nosuch", json!({"a": [1, 2]})).set("/process/nosuch", json!(true)).set("/linux/nosuch", json!(null));
    bundle.args(&["echo", "runs"]);
    assert_eq!(lab.output_of(&bundle), "runs\n");
}

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
    let run = lab.command("setsid").args(["--wait", "--ctty"]).arg(insula_tests::runtime()).arg("--root").arg(lab.state_root());
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
    container.finish(container.launch("create").arg("--console-socket").arg(socket.path())).fails_with(&["console socket"]);
    bundle.set("/process/terminal", json!(true));
    let container = lab.container(&bundle);
    let nowhere = lab.path("nosuch.sock");
    container.finish(container.launch("create").arg("--console-socket").arg(nowhere)).fails_with(&["nosuch.sock"]);
}

#[test]
fn an_init_that_dies_before_start() {
    let lab = Lab::new();
    let container = lab.container(&lab.bundle()).created();
    kill(Pid::from_raw(container.pid()), Signal::SIGKILL).expect("kill init");
    container.await_status("stopped");
    let start = container.start();
    start.fails_with(&["stopped"]);
    assert!(start.elapsed < Duration::from_secs(5), "start gives up at once: {:?}", start.elapsed);
    container.delete().assert_code(0);
}

#[test]
fn callers_with_odd_signal_dispositions() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["grep", "-E", "^Sig(Blk|Ign|Cgt)|^Umask", "/proc/self/status"]);
    let script = "umask 0777; exec env --ignore-signal=CHLD --ignore-signal=PIPE --ignore-signal=USR1 --block-signal \"$@\"";
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
fn systemd_cgroups_are_refused_clearly_where_there_is_no_systemd() {
    let lab = Lab::new();
    let bundle = lab.bundle();
    let run = lab.insula().args(["--systemd-cgroup", "run", "--bundle"]).arg(bundle.path()).arg(lab.fresh_id());
    run.run().fails_with(&["systemd"]);
}

#[test]
fn short_lived_processes_are_never_lost() {
    let rounds: u32 = if std::env::var_os("INSULA_LONG").is_some() { 10_000 } else { 1_000 };
    let lab = Lab::new();
    let bundle = lab.bundle();
    for round in 0..rounds {
        let output = lab.container(&bundle).run();
        assert_eq!(output.code(), 0, "round {round}: {output}");
    }
}

#[test]
fn one_of_many_creators_wins() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    for round in 0..10 {
        let container = lab.container(&bundle);
        let creators: Vec<_> = (0..8)
            .map(|_| lab.insula().args(["create", "--bundle"]).arg(bundle.path()).arg(container.id()).start())
            .collect();
        let codes: Vec<_> = creators.into_iter().map(|creator| creator.wait().code()).collect();
        assert_eq!(codes.iter().filter(|&&code| code == 0).count(), 1, "round {round}: {codes:?}");
        assert_eq!(container.status(), "created");
        container.start().assert_code(0);
        container.delete_force().assert_code(0);
    }
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
