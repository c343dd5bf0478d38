// SPDX-License-Identifier: Apache-2.0
//! An engine inside a container of the same engine: insula makes both, the inner one inside what the outer one made.

use crate::machine::machine_and_lab;
use std::time::Duration;

/// Makes the image `system`: nothing but names; the machine's own programs are mounted over /usr.
const IMAGE: &str = "set -e; root=$(mktemp -d /run/system-XXXXXX); cd $root; \
    mkdir -p usr etc run proc sys dev tmp root var/tmp var/lib/docker var/lib/containers; chmod 1777 tmp var/tmp; \
    for name in bin sbin lib lib64; do ln -s usr/$name $name; done; ln -s ../run var/run; \
    echo root:x:0:0::/root:/bin/sh >etc/passwd; echo root:x:0: >etc/group; echo '{}' >etc/daemon.json; \
    echo '{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}' >etc/policy.json; \
    tar -cf ../system.tar .; cd /; rm -r $root; ";

/// The inner engine makes cgroups of its own below the outer container's.
const WRITABLE_CGROUPS: &str = "mount -o remount,bind,rw /sys/fs/cgroup; \
    for one in /sys/fs/cgroup/*; do mount -o remount,bind,rw $one 2>/dev/null || true; done; ";

#[test]
fn docker_in_docker() {
    let (machine, lab) = machine_and_lab!();
    let _alone = machine.alone();
    let script = format!(
        "{IMAGE} docker import --change 'CMD [\"sh\"]' /run/system.tar system >/dev/null; rm /run/system.tar; \
        trap 'docker rm --force --volumes outer >/dev/null; docker rmi system >/dev/null' EXIT; \
        docker run --detach --runtime insula --name outer --hostname outer --network none --cap-add SYS_ADMIN \
            --cap-add NET_ADMIN --cap-add SYS_PTRACE --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
            --tmpfs /run --volume /var/lib/docker --volume /usr:/usr:ro --volume {images}:/images.tar:ro system sh -c '{WRITABLE_CGROUPS} \
            exec dockerd --config-file /etc/daemon.json --add-runtime insula=/usr/bin/insula --default-runtime insula --bridge none --iptables=false \
                --storage-driver vfs >/run/log 2>&1' >/dev/null; \
        tries=0; until docker exec outer docker load --quiet --input /images.tar >/dev/null 2>&1; do \
            sleep 0.2; tries=$((tries + 1)); \
            [ $tries -lt 900 ] || {{ docker logs outer; docker exec outer tail -5 /run/log; exit 1; }}; \
        done; \
        docker exec outer docker run --rm --hostname inner busybox sh -c 'hostname; echo $$'; \
        docker exec outer docker run --detach --name held busybox sleep 600 >/dev/null; \
        docker exec outer docker run --rm --pid container:held --ipc none busybox ps | grep -c 'sleep 600'; \
        docker exec outer sh -c 'insula --root /run/docker/runtime-runc/moby verify --all' | grep -c 'as planned'; \
        docker exec outer docker rm --force held; docker exec outer hostname",
        images = machine.images()
    );
    let output = machine.shell(&lab, &script).within(Duration::from_mins(5)).run();
    assert_eq!(output.code(), 0, "{output}");
    assert_eq!(output.text(), "inner\n1\n1\n1\nheld\nouter", "{output}");
}

#[test]
fn podman_in_podman() {
    let (machine, lab) = machine_and_lab!();
    let _alone = machine.alone();
    let script = format!(
        "{IMAGE} podman import --quiet --change 'CMD [\"sh\"]' /run/system.tar system >/dev/null; rm /run/system.tar; \
        trap 'podman rmi --force system >/dev/null' EXIT; \
        podman --runtime insula run --rm --privileged --hostname outer --network none --tmpfs /run \
            --tmpfs /var/lib/containers --volume /usr:/usr:ro --volume {images}:/images.tar:ro system sh -e -c '{WRITABLE_CGROUPS} \
            mkdir /etc/containers; mv /etc/policy.json /etc/containers; \
            podman=\"podman --storage-driver vfs --runtime /usr/bin/insula --cgroup-manager cgroupfs --events-backend file\"; \
            $podman load --quiet --input /images.tar >/dev/null; \
            $podman run --rm --hostname inner --network none busybox sh -c \"hostname; cat /proc/1/comm\"; \
            $podman run --detach --name held --network none busybox sleep 600 >/dev/null; \
            $podman run --rm --network none --pid container:held busybox ps | grep -c \"sleep 600\"; \
            insula --root /run/insula verify --all | grep -c \"as planned\"; \
            $podman rm --force --time 0 held >/dev/null; hostname'",
        images = machine.images()
    );
    let output = machine.shell(&lab, &script).within(Duration::from_mins(5)).run();
    assert_eq!(output.code(), 0, "{output}");
    assert_eq!(output.text(), "inner\ncat\n1\n1\nouter", "{output}");
}
