// SPDX-License-Identifier: Apache-2.0
//! What people do every day with Docker 26: isolation, restarts, terminals, an init, builds by BuildKit, Compose, many at once.

use crate::{machine, needs_machine, ok};
use insula_tests::eventually;
use insula_tests::terminal::Terminal;
use std::process::Command;

/// Which namespaces are the host's: those that no option asks for, and with options all but mount.
#[test]
fn of_its_own_and_the_hosts() {
    needs_machine!();
    let _machine = machine();
    let seen = ok(
        "host() { for kind in user pid net mnt ipc uts cgroup time; do readlink /proc/self/ns/$kind; done; }; host >host; \
        within() { docker run --rm --runtime insula $@ busybox sh -c 'for kind in user pid net mnt ipc uts cgroup time; do readlink /proc/self/ns/$kind; done' \
            | grep -Fxf host | cut -d : -f 1 | xargs echo; }; \
        within; within --network host --pid host; within --ipc host --uts host --cgroupns host --userns host",
    );
    assert_eq!(seen, "user time\nuser pid net time\nuser ipc uts cgroup time");
}

#[test]
fn restarts_and_an_init() {
    needs_machine!();
    let _machine = machine();
    let seen = ok(
        "docker run --detach --runtime insula --name again --network none --restart on-failure:2 busybox sh -c 'echo run; exit 3' >/dev/null; \
        until [ \"$(docker inspect --format '{{.RestartCount}} {{.State.Status}}' again)\" = '2 exited' ]; do sleep 0.5; done; \
        docker inspect --format '{{.State.ExitCode}}' again; docker logs again; docker rm again; \
        docker run --rm --runtime insula --network none --init busybox sh -c 'tr \"\\0\" \" \" </proc/1/cmdline; (sleep 0.1 &); sleep 1; ps' \
            | grep -cE 'init|tini|\\[sleep\\]'",
    );
    // The init's own command line, and its line of ps; no process that nobody waited for.
    assert_eq!(seen, "3\nrun\nrun\nrun\nagain\n2", "{seen}");
}

/// `docker exec` on a terminal: it has the client's size, also when that changes.
#[test]
fn an_exec_with_a_terminal() {
    needs_machine!();
    let _machine = machine();
    ok("docker run --detach --runtime insula --name seat --network none busybox sleep 600");
    let (mut terminal, slave) = Terminal::new(30, 90);
    let mut client = Command::new("setsid")
        .args(["--wait", "--ctty", "docker", "exec", "--interactive", "--tty", "seat", "sh"])
        .stdin(slave.stdio())
        .stdout(slave.stdio())
        .stderr(slave.stdio())
        .spawn()
        .expect("start the client");
    let mut await_size = |size: &str| {
        eventually("the terminal's size to be passed on", || {
            // What is typed comes back, too; the quotes tell it from what is printed.
            terminal.write("echo 'si'ze-$(stty size | tr ' ' x)-'en'd\n");
            terminal.read_until("-end\r").contains(size).then_some(())
        });
    };
    await_size("size-30x90");
    let resized = Command::new("stty").args(["rows", "41", "cols", "101"]).stdin(slave.stdio()).status();
    assert!(resized.expect("run stty").success());
    await_size("size-41x101");
    terminal.write("exit 7\n");
    assert_eq!(client.wait().expect("wait for the client").code(), Some(7));
    ok("docker rm --force seat");
}

/// BuildKit has a runtime of its own choice; here a witness that passes everything on to insula.
#[test]
fn an_image_by_buildkit() {
    needs_machine!();
    let _machine = machine();
    let seen = ok(
        "printf '#!/bin/sh\\necho \"$@\" >>/var/tmp/witness.log\\nexec /usr/bin/insula \"$@\"\\n' >witness; chmod 755 witness; \
        mkdir -p /run/systemd/system/docker.service.d; \
        printf '[Service]\\nEnvironment=DOCKER_BUILDKIT_RUNC_COMMAND=/var/tmp/witness\\n' >/run/systemd/system/docker.service.d/witness.conf; \
        trap 'rm -r /run/systemd/system/docker.service.d; systemctl daemon-reload; systemctl restart docker' EXIT; \
        systemctl daemon-reload; systemctl restart docker; mkdir -p kit; \
        printf 'FROM busybox\\nRUN --network=none echo made in $(tr \"\\\\0\" \" \" </proc/1/cmdline | cut -c 1-10) >/made\\nUSER 7\\nRUN --network=none test $(id -u) = 7\\nCMD cat /made\\n' >kit/Dockerfile; \
        docker buildx build --quiet --tag kit kit >kit.log 2>&1 || { cat kit.log; exit 1; }; \
        docker run --rm --runtime insula --network none kit; grep -c ' run ' witness.log; docker rmi kit >/dev/null",
    );
    assert_eq!(seen, "made in /bin/sh -c\n2", "{seen}");
}

/// Three namespaces of another service, as docs/engines.md says.
#[test]
fn a_pod_of_composes() {
    needs_machine!();
    let _machine = machine();
    let seen = ok("mkdir -p pod; cd pod; printf '%s\\n' 'services:' \
            '  web: {image: busybox, pull_policy: never, runtime: insula, ipc: shareable, command: httpd -f -p 8080 -h /etc, container_name: web}' \
            '  log: {image: busybox, pull_policy: never, runtime: insula, network_mode: \"service:web\", pid: \"service:web\", ipc: \"service:web\", \
                command: sleep 600, container_name: log}' >compose.yaml; \
        docker compose up --detach --quiet-pull >../compose.log 2>&1 || { cat ../compose.log; exit 1; }; \
        for kind in user pid net mnt ipc uts cgroup time; do \
            [ $(docker exec web readlink /proc/self/ns/$kind) != $(docker exec log readlink /proc/self/ns/$kind) ] || echo $kind; \
        done; docker exec log wget -q -O - http://127.0.0.1:8080/hostname | wc -l; \
        docker compose down --timeout 0 >../compose.log 2>&1; docker ps --all --quiet");
    assert_eq!(seen, "user\npid\nnet\nipc\ntime\n1", "{seen}");
}

#[test]
fn ten_at_once() {
    needs_machine!();
    let _machine = machine();
    let seen = ok(
        "for number in $(seq 10); do docker run --rm --runtime insula --network none busybox echo $number & done | sort -n | xargs echo; \
        docker ps --all --quiet",
    );
    assert_eq!(seen, "1 2 3 4 5 6 7 8 9 10");
}
