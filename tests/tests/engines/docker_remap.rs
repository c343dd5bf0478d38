// SPDX-License-Identifier: Apache-2.0
//! Docker with insula for everybody (`default-runtime`), and with ids of their own for containers' users
//! (`--userns-remap`): a second dockerd on the machine.

use crate::machine::{Machine, machine_and_lab};
use insula_tests::Lab;
use std::time::Duration;

/// Starts the second dockerd, in a network namespace of its own, since it would remove the first one's bridge; runs `$script` with it as `$docker`, and ends it.
#[track_caller]
fn remapped(machine: &Machine, lab: &Lab, script: &str) -> String {
    let prelude = "set -e; grep -q ^games: /etc/subuid || for file in /etc/subuid /etc/subgid; do \
            echo games:231072:65536 >>$file; \
        done; \
        directory=$(mktemp -d /var/lib/remapped-XXXXXX); chmod 711 $directory; space=${directory##*/}; \
        unshare --net dockerd --userns-remap games --default-runtime insula --containerd /run/containerd/containerd.sock \
            --containerd-namespace $space --containerd-plugins-namespace $space-plugins \
            --data-root $directory/data --exec-root $directory/exec --pidfile $directory/pid \
            --host unix://$directory/socket --bridge none --iptables=false >$directory/log 2>&1 & \
        daemon=$!; \
        trap 'kill $daemon; wait $daemon || true; [ $? = 0 ] || tail -5 $directory/log; umount $directory/data/*.* 2>/dev/null; rm -r $directory' EXIT; \
        docker=\"docker --host unix://$directory/socket\"; \
        tries=0; until $docker version >/dev/null 2>&1; do \
            sleep 0.1; tries=$((tries+1)); [ $tries -lt 1200 ] || { cat $directory/log >&2; exit 1; }; \
        done; \
        $docker load --quiet --input $IMAGES >/dev/null; ";
    let script = format!("IMAGES={}; {prelude}{script}", machine.images());
    let output = machine.shell(lab, &script).within(Duration::from_mins(5)).run();
    assert_eq!(output.code(), 0, "{output}");
    output.text().to_owned()
}

#[test]
fn users_of_containers_are_others_on_the_host() {
    let (machine, lab) = machine_and_lab!();
    let printed = remapped(
        machine,
        &lab,
        "$docker run --rm busybox sh -c 'id -u; tr -s \" \" </proc/self/uid_map'; \
        $docker run --detach --name held busybox sleep 600 >/dev/null; \
        pid=$($docker inspect --format '{{.State.Pid}}' held); \
        stat -c %u /proc/$pid; \
        $docker exec held sh -c 'id -u; touch /made; stat -c %u /made'; \
        $docker run --rm --network container:held --pid container:held busybox ps | grep -c 'sleep 600'; \
        [ $($docker run --rm --userns host busybox readlink /proc/self/ns/user) = $(readlink /proc/self/ns/user) ]; \
        insula --root $directory/exec/runtime-runc/$space verify --all | grep -c 'as planned'; \
        $docker rm --force held; ls $directory/exec/runtime-runc/$space",
    );
    assert_eq!(printed, "0\n 0 231072 65536\n231072\n0\n0\n1\n1\nheld");
}

#[test]
fn an_image_is_built() {
    let (machine, lab) = machine_and_lab!();
    let printed = remapped(
        machine,
        &lab,
        "$docker info --format '{{.DefaultRuntime}}'; mkdir $directory/context; \
        printf 'FROM busybox\\nRUN echo built by $(cat /proc/1/comm) >/built && echo me:x:1000:1000::/:/bin/sh >>/etc/passwd && mkdir -m 777 /mine\\nUSER me\\n\
            RUN id -un >/mine/whose\\nCMD cat /built /mine/whose\\n' >$directory/context/Dockerfile; \
        DOCKER_BUILDKIT=0 $docker build --network none --quiet --tag made $directory/context >/dev/null; \
        $docker run --rm made; $docker rmi made >/dev/null",
    );
    assert_eq!(printed, "insula\nbuilt by sh\nme");
}
