// SPDX-License-Identifier: Apache-2.0
//! What Docker does with containers that run: health checks, restarts, statistics, pauses, new limits; many at once.

use crate::docker::{Session, docker, on_a_terminal, session};
use insula_tests::{eventually, parse_json, skip};

#[test]
fn health_checks() {
    let session = session!();
    let options = [
        "--health-cmd",
        "test -e /tmp/well",
        "--health-interval",
        "300ms",
        "--health-retries",
        "1",
        "--health-timeout",
        "9s",
    ];
    let name = session.detached("a", &options, &["sleep", "600"]);
    let is = |health: &str| (session.inspect(&name, "{{.State.Health.Status}}") == health).then_some(());
    eventually("the check to fail", || is("unhealthy"));
    session.inside(&name, "touch /tmp/well");
    eventually("the check to succeed", || is("healthy"));
}

#[test]
fn restart_policies() {
    let session = session!();
    let name = session.detached("a", &["--restart", "on-failure:2"], &["sh", "-c", "echo run; exit 3"]);
    let state = "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}";
    eventually("the last restart", || (session.inspect(&name, state) == "2 exited 3").then_some(()));
    eventually("what each of them said", || (session.ok(&["logs", &name]) == "run\nrun\nrun").then_some(()));
    let name = session.detached("b", &["--restart", "always"], &["sh", "-c", "echo run; sleep 1"]);
    eventually("a restart after success", || (session.inspect(&name, "{{.RestartCount}}") != "0").then_some(()));
}

#[test]
fn statistics() {
    let session = session!();
    let name = session.detached("a", &["--memory", "64m"], &["sh", "-c", "sleep 68 & sleep 69; true"]);
    let stats = eventually("two processes", || {
        let stats = parse_json(session.ok(&["stats", "--no-stream", "--format", "{{json .}}", &name]));
        (stats["PIDs"] == "3").then_some(stats)
    });
    let memory = stats["MemUsage"].as_str().expect("memory");
    assert!(memory.ends_with(" / 64MiB") && !memory.starts_with("0B"), "{stats}");
}

#[test]
fn a_paused_container() {
    let session = session!();
    let name = session.detached("a", &[], &["sh", "-c", "while :; do date +%s%N >/tmp/now; sleep 0.05; done"]);
    session.ok(&["pause", &name]);
    assert_eq!(session.inspect(&name, "{{.State.Status}}"), "paused");
    assert_ne!(session.docker(&["exec", &name, "true"]).code(), 0, "nothing enters a paused container");
    session.ok(&["unpause", &name]);
    let now = || session.inside(&name, "cat /tmp/now");
    let before = now();
    eventually("it to go on", || (now() != before).then_some(()));
}

#[test]
fn new_limits() {
    let session = session!();
    let name = session.detached("a", &["--memory", "64m", "--memory-swap", "64m"], &["sleep", "600"]);
    session.ok(&["update", "--memory", "32m", "--memory-swap", "32m", "--pids-limit", "7", "--cpus", "0.5", &name]);
    let limits = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max pids/pids.max pids.max 2>/dev/null; \
        cat cpu/cpu.cfs_quota_us cpu.max 2>/dev/null | cut -d ' ' -f 1";
    assert_eq!(session.inside(&name, limits), "33554432\n7\n50000");
}

#[test]
fn the_size_of_an_execs_terminal() {
    let session = session!();
    let name = session.detached("a", &[], &["sleep", "600"]);
    let (mut terminal, client) = on_a_terminal(&session, &["exec", "--interactive", "--tty", &name, "sh"]);
    // The client sets the size right after the start.
    eventually("the terminal's size to be passed on", || {
        // What is typed comes back, too; the quotes tell it from what is printed.
        terminal.write("echo 'si'ze-$(stty size | tr ' ' x)-'en'd\n");
        terminal.read_until("-end\r").contains("size-30x90").then_some(())
    });
    terminal.write("exit 4\n");
    client.wait().assert_code(4);
}

/// A terminal that becomes another size while its program runs: by Docker's API, which a client calls when its own does.
#[test]
fn an_execs_terminal_changes_its_size() {
    let session = session!();
    let name = session.detached("a", &[], &["sleep", "600"]);
    // Ready once the client has set the size, which it does after the start: it would do so in between otherwise.
    let script = "until [ \"$(stty size)\" = '30 90' ]; do sleep 0.1; done; \
        trap 'echo now-$(stty size | tr \" \" x)-end' WINCH; echo rea''dy; while :; do sleep 0.1; done";
    let (mut terminal, client) =
        on_a_terminal(&session, &["exec", "--interactive", "--tty", &name, "sh", "-c", script]);
    terminal.read_until("ready");
    let ids = parse_json(session.inspect(&name, "{{json .ExecIDs}}"));
    let id = ids[0].as_str().expect("the exec's id");
    for (rows, columns) in [(41, 101), (7, 33)] {
        session.docker.post(&format!("/exec/{id}/resize?h={rows}&w={columns}"));
        terminal.read_until(&format!("now-{rows}x{columns}-end"));
    }
    session.ok(&["kill", &name]);
    client.wait();
}

/// The same for a container's own terminal.
#[test]
fn a_containers_terminal_changes_its_size() {
    let session = session!();
    let script = "trap 'echo now-$(stty size)-end' WINCH; echo ready; while :; do sleep 0.1; done";
    let name = session.detached("a", &["--tty"], &["sh", "-c", script]);
    eventually("the program to start", || session.ok(&["logs", &name]).contains("ready").then_some(()));
    session.docker.post(&format!("/containers/{name}/resize?h=17&w=70"));
    eventually("the program to be told", || session.ok(&["logs", &name]).contains("now-17 70-end").then_some(()));
}

#[test]
fn a_seccomp_profile_of_ones_own() {
    let session = session!();
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 42}]}"#;
    let profile = session.lab.write("profile.json", profile);
    let option = format!("seccomp={}", profile.display());
    let output = session.run(&["--security-opt", &option], &["sh", "-c", "mkdir /tmp/a; touch /tmp/b && echo made"]);
    assert_eq!(output.stdout, "made\n", "{output}");
    output.says(&["No message of desired type"]);
}

/// An init that is Docker's reaps what the program leaves behind.
#[test]
fn an_init_of_dockers() {
    let session = session!();
    let script = "cat /proc/1/comm; (sleep 0.1 &); sleep 0.5; \
        for try in $(seq 50); do ps | grep -q '[[]sleep]' || break; sleep 0.2; done; ps";
    let output = session.run(&["--init"], &["sh", "-c", script]);
    if output.stderr.contains("docker-init") || output.stderr.contains("init binary") {
        skip!("Docker's init is not installed");
    }
    assert!(output.stdout.starts_with("docker-init\n") && !output.stdout.contains("[sleep]"), "{output}");
}

#[test]
fn fifty_containers_at_once() {
    let session = session!();
    let client = session.lab.shell(
        "for number in $(seq 50); do \
            \"$1\" --host \"$2\" run --rm --runtime insula --network none alpine sh -c \"echo $number\" & \
        done; wait",
        &session.client(),
    );
    let output = client.within(std::time::Duration::from_mins(5)).ok();
    let mut said: Vec<u32> = output.stdout.lines().map(|line| line.parse().expect("a number")).collect();
    said.sort_unstable();
    assert_eq!(said, (1..=50).collect::<Vec<_>>(), "{output}");
}
