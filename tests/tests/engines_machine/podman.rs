// SPDX-License-Identifier: Apache-2.0
//! Podman 5: pods of files, units of systemd, users of containers' own.

use crate::{machine, needs_machine, ok};

fn unit() -> &'static str {
    let page = include_str!("../../../docs/engines.md");
    let (_, rest) = page.split_once("```ini\n").expect("the page has a unit");
    rest.split_once("```").expect("the block ends").0
}

#[test]
fn a_quadlet() {
    needs_machine!();
    let _machine = machine();
    std::fs::create_dir_all("/etc/containers/systemd").expect("make a directory");
    std::fs::write("/etc/containers/systemd/steady.container", unit()).expect("write the unit");
    let seen = ok("systemctl daemon-reload; systemctl start steady; systemctl is-active steady; \
        podman inspect --format '{{.OCIRuntime}}' steady; podman exec steady cat /sys/fs/cgroup/pids.max; \
        until [ $(podman inspect --format '{{.State.Health.Status}}' steady) = healthy ]; do sleep 1; done; echo healthy; \
        for kind in user pid net mnt ipc uts cgroup time; do \
            [ $(podman exec steady readlink /proc/self/ns/$kind) != $(readlink /proc/self/ns/$kind) ] || echo shared $kind; \
        done; \
        insula --root /run/insula verify --all | grep -c 'as planned'; systemctl stop steady; \
        podman ps --all --quiet; rm /etc/containers/systemd/steady.container; systemctl daemon-reload; ls /run/insula");
    assert_eq!(seen, "active\ninsula\n44\nhealthy\nshared user\nshared time\n1", "{seen}");
}

#[test]
fn podmans_users_of_their_own() {
    needs_machine!();
    let _machine = machine();
    let seen = ok(
        "podman --runtime insula run --rm --network none --userns auto:size=4096 busybox sh -c 'id -u; tr -s \" \" </proc/self/uid_map'; \
        podman --runtime insula run --rm --network none --uidmap 0:500000:1000 --gidmap 0:500000:1000 busybox sh -c 'tr -s \" \" </proc/self/uid_map'",
    );
    assert_eq!(seen, "0\n 0 2000000 4096\n 0 500000 1000", "{seen}");
}

/// `kube play` of a pod that shares its processes, and of one with the node's namespaces.
#[test]
fn pods_of_a_file() {
    needs_machine!();
    let _machine = machine();
    let seen = ok(
        "printf '%s\\n' 'apiVersion: v1' 'kind: Pod' 'metadata: {name: duo}' 'spec: {shareProcessNamespace: true, containers: [' \
            '  {name: one, image: \"docker.io/library/busybox:latest\", command: [httpd, \"-f\", \"-p\", \"8080\", \"-h\", /etc], resources: {limits: {memory: 64Mi}}},' \
            '  {name: two, image: \"docker.io/library/busybox:latest\", command: [sleep, \"600\"]}]}' >duo.yaml; \
        sed 's/shareProcessNamespace/hostNetwork: true, hostPID: true, hostIPC/; s/duo/host/' duo.yaml >host.yaml; \
        podman --runtime insula kube play --network none duo.yaml >/dev/null; \
        for kind in net ipc uts pid mnt; do \
            [ $(podman exec duo-one readlink /proc/self/ns/$kind) = $(podman exec duo-two readlink /proc/self/ns/$kind) ] && echo $kind; \
        done; podman exec duo-one cat /sys/fs/cgroup/memory.max; podman exec duo-two ps | grep -c '[h]ttpd'; \
        insula --root /run/insula verify --all | grep -c 'as planned'; podman kube down duo.yaml >/dev/null; \
        podman --runtime insula kube play host.yaml >/dev/null; \
        for kind in net ipc uts pid mnt; do \
            [ $(podman exec host-one readlink /proc/self/ns/$kind) = $(readlink /proc/self/ns/$kind) ] && echo host $kind; \
        done; podman kube down host.yaml >/dev/null; podman ps --all --quiet; ls /run/insula",
    );
    let expected = ["net", "ipc", "uts", "pid", "67108864", "1", "3", "host net", "host ipc", "host uts", "host pid"];
    assert_eq!(seen.lines().collect::<Vec<_>>(), expected, "{seen}");
}

/// An ordinary user who is the same one inside, by the ids of /etc/subuid: no other runtime is there to fall back on.
#[test]
fn an_ordinary_user_keeps_the_id() {
    needs_machine!();
    let _machine = machine();
    let seen = ok("cd /var/tmp; cat >keep.sh <<'END'
set -e
podman image exists busybox || podman import --quiet --change CMD=sh /var/tmp/busybox.tar docker.io/library/busybox:latest >/dev/null
podman --runtime insula run --detach --name kept --network none --userns keep-id --volume $HOME:/mine busybox sleep 600 >/dev/null
podman inspect --format '{{.OCIRuntime}}' kept
podman exec kept sh -c 'id -u; tr -s \" \" </proc/self/uid_map; touch /mine/made'
stat -c %U $HOME/made; rm $HOME/made
podman run --runtime insula --rm --network none --userns keep-id:uid=7,gid=7 busybox id -u
for kind in user pid net mnt ipc uts cgroup time; do
    [ $(podman exec kept readlink /proc/self/ns/$kind) != $(readlink /proc/self/ns/$kind) ] || echo shared $kind
done
podman rm --force --time 0 kept
END
as-user sh /var/tmp/keep.sh");
    let expected = ["insula", "1000", " 0 1 1000", " 1000 0 1", " 1001 1001 64536", "user", "7", "shared time", "kept"];
    assert_eq!(seen.lines().collect::<Vec<_>>(), expected, "{seen}");
}
