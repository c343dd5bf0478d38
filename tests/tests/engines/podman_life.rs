// SPDX-License-Identifier: Apache-2.0
//! Podman on the machine, with its own settings: health checks, pauses, users of containers' own, pods on the host's network.

use crate::machine::machine_and_lab;

#[test]
fn health_pause_and_statistics() {
    let (machine, lab) = machine_and_lab!();
    let _alone = machine.alone();
    let printed = machine.ok(
        &lab,
        "set -e; podman --runtime insula run --detach --name sick --network none --health-cmd 'test -e /well' \
            --health-interval disable --health-retries 1 busybox sleep 600 >/dev/null; \
        podman healthcheck run sick || true; podman exec sick touch /well; podman healthcheck run sick && echo healthy; \
        podman pause sick; podman inspect --format '{{.State.Status}}' sick; podman unpause sick; \
        podman stats --no-stream --format '{{.PIDs}}' sick; podman top sick args | tail -1; \
        podman rm --force --time 0 sick; podman ps --all --quiet",
    );
    let lines: Vec<_> = printed.lines().map(str::trim).collect();
    assert_eq!(lines, ["unhealthy", "healthy", "sick", "paused", "sick", "1", "sleep 600", "sick"], "{printed}");
}

#[test]
fn users_of_containers_are_others_on_the_host() {
    let (machine, lab) = machine_and_lab!();
    let _alone = machine.alone();
    let printed = machine.ok(
        &lab,
        "for file in /etc/subuid /etc/subgid; do \
            grep -q ^containers: $file || echo containers:300000:200000 >>$file; \
        done; \
        podman --runtime insula run --rm --network none --userns auto:size=4096 busybox sh -c 'id -u; tr -s \" \" </proc/self/uid_map'",
    );
    assert_eq!(printed, "0\n 0 300000 4096");
}

#[test]
fn a_pod_on_its_hosts_network() {
    let (machine, lab) = machine_and_lab!();
    let _alone = machine.alone();
    let printed = machine.ok(
        &lab,
        "set -e; cd /run/page; printf '%s\n' 'apiVersion: v1' 'kind: Pod' 'metadata: {name: agent}' \
            'spec: {hostNetwork: true, restartPolicy: Never, containers: [' \
            '  {name: one, image: \"busybox:stable\", command: [sleep, \"600\"]}]}' >host.yaml; \
        podman --runtime insula kube play host.yaml >/dev/null; \
        [ $(podman exec agent-one readlink /proc/self/ns/net) = $(readlink /proc/self/ns/net) ] && echo host; \
        [ $(podman exec agent-one readlink /proc/self/ns/pid) = $(readlink /proc/self/ns/pid) ] || echo own; \
        insula --root /run/insula verify --all | grep -c 'as planned'; \
        podman kube down host.yaml >/dev/null; podman ps --all --quiet; rm host.yaml",
    );
    assert_eq!(printed, "host\nown\n2");
}
