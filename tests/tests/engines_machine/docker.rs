// SPDX-License-Identifier: Apache-2.0
//! Docker 26 as a service of systemd: its cgroups are scopes, its profiles are AppArmor's.

use crate::{machine, needs_machine, ok, shell};

#[test]
fn dockers_security_options() {
    needs_machine!();
    let _machine = machine();
    let seen = "cat /proc/self/attr/current; grep -E \"^(Seccomp|NoNewPrivs|CapBnd):\" /proc/self/status";
    let run = |options: &str| ok(&format!("docker run --rm --runtime insula {options} busybox sh -c '{seen}'"));
    let usual = run("--security-opt no-new-privileges");
    assert_eq!(usual, "docker-default (enforce)\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t1\nSeccomp:\t2");
    let none = run("--security-opt apparmor=unconfined --security-opt seccomp=unconfined");
    assert_eq!(none, "unconfined\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t0");
    // The profile is enforced, not only named.
    let refused = shell("docker run --rm --runtime insula --cap-add SYS_ADMIN busybox mount -t tmpfs x /mnt");
    assert!(!refused.status.success());
}

#[test]
fn a_privileged_container() {
    needs_machine!();
    let _machine = machine();
    let all = ok("printf '%016x' $(( (1 << ($(cat /proc/sys/kernel/cap_last_cap) + 1)) - 1 ))");
    let script = "grep -E \"^(CapEff|Seccomp):\" /proc/self/status; cat /proc/self/attr/current; \
        mount -t tmpfs x /mnt && echo mounted; test -c /dev/kmsg && echo devices; touch /sys/fs/cgroup/x 2>&1; \
        mkdir /sys/fs/cgroup/below && echo cgroups; hostname box && hostname";
    let seen = ok(&format!("docker run --rm --privileged --runtime insula busybox sh -c '{script}'"));
    for expected in [&*format!("CapEff:\t{all}"), "Seccomp:\t0", "unconfined", "mounted", "devices", "cgroups", "box"] {
        assert!(seen.contains(expected), "{expected}: {seen}");
    }
}

#[test]
fn dockers_limits_are_a_scopes() {
    needs_machine!();
    let _machine = machine();
    let seen = ok("docker info --format '{{.CgroupDriver}} {{.CgroupVersion}}'; \
        id=$(docker run --detach --runtime insula --name limited --memory 64m --pids-limit 33 --cpus 0.5 \
            --health-cmd 'test -e /well' --health-interval 1s --health-retries 1 busybox sleep 600); \
        systemctl is-active docker-$id.scope; systemctl show --property MemoryMax --value docker-$id.scope; \
        docker exec limited sh -c 'cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max'; \
        docker update --memory 48m --memory-swap 48m limited >/dev/null; docker exec limited cat /sys/fs/cgroup/memory.max; \
        docker exec limited touch /well; \
        until [ $(docker inspect --format '{{.State.Health.Status}}' limited) = healthy ]; do sleep 1; done; \
        docker pause limited; docker inspect --format '{{.State.Status}}' limited; docker unpause limited; \
        docker stats --no-stream --format '{{.MemUsage}}' limited | sed 's/.* //'; docker top limited -o pid,args | awk 'END {print $2, $3}'; \
        docker rm --force limited; systemctl is-active docker-$id.scope || true");
    let expected = [
        "systemd 2",
        "active",
        "67108864",
        "33",
        "50000 100000",
        "50331648",
        "limited",
        "paused",
        "limited",
        "48MiB",
        "sleep 600",
        "limited",
        "inactive",
    ];
    assert_eq!(seen.lines().collect::<Vec<_>>(), expected, "{seen}");
}

#[test]
fn a_pod_of_dockers_on_a_bridge() {
    needs_machine!();
    let _machine = machine();
    let seen = ok(
        "docker run --detach --runtime insula --name web --ipc shareable busybox httpd -f -p 80 -h /etc >/dev/null; \
        address=$(docker inspect --format '{{.NetworkSettings.IPAddress}}' web); \
        docker run --rm --runtime insula busybox wget -q -O - http://$address/passwd | head -1; \
        docker run --detach --runtime insula --name log --network container:web --pid container:web --ipc container:web busybox sleep 600 >/dev/null; \
        docker exec log sh -c 'wget -q -O - http://127.0.0.1/passwd | head -1; ps | grep -c \"[h]ttpd\"'; \
        for kind in net pid ipc mnt uts cgroup; do \
            [ $(docker exec web readlink /proc/self/ns/$kind) = $(docker exec log readlink /proc/self/ns/$kind) ] && echo $kind; \
        done; insula --root /run/docker/runtime-runc/moby verify --all | grep -c 'as planned'; \
        docker rm --force log web",
    );
    let root = "root:x:0:0:root:/root:/bin/sh";
    let expected = [root, root, "1", "net", "pid", "ipc", "2", "log", "web"];
    assert_eq!(seen.lines().collect::<Vec<_>>(), expected, "{seen}");
}

#[test]
fn dockers_default_runtime_with_users_of_their_own() {
    needs_machine!();
    let _machine = machine();
    let seen = ok(
        "echo '{\"runtimes\": {\"insula\": {\"path\": \"/usr/bin/insula\"}}, \"default-runtime\": \"insula\", \"userns-remap\": \"user\"}' >/etc/docker/daemon.json; \
        systemctl restart docker; docker info --format '{{.DefaultRuntime}}'; \
        docker import --change 'CMD [\"sh\"]' /var/tmp/busybox.tar busybox:latest >/dev/null; \
        docker run --rm busybox sh -c 'id -u; tr -s \" \" </proc/self/uid_map'; \
        mkdir -p build; printf 'FROM busybox\\nRUN echo built by $(cat /proc/1/comm) >/built && cat /proc/self/attr/current >>/built\\nUSER 7\\nRUN test $(id -u) = 7\\nCMD cat /built\\n' >build/Dockerfile; \
        DOCKER_BUILDKIT=0 docker build --quiet --tag made build >/dev/null; docker run --rm made; docker rmi made >/dev/null; \
        cp /usr/share/doc/insula/examples/docker-daemon.json /etc/docker/daemon.json; systemctl restart docker",
    );
    assert_eq!(seen, "insula\n0\n 0 100000 65536\nbuilt by sh\ndocker-default (enforce)", "{seen}");
}

#[test]
fn a_privileged_docker_in_docker() {
    needs_machine!();
    let _machine = machine();
    let seen = ok(
        "mkdir -p system; cd system; mkdir -p usr etc run proc sys dev tmp root var/tmp var/lib/docker; chmod 1777 tmp var/tmp; \
        for name in bin sbin lib lib64; do ln -sf usr/$name $name; done; ln -sf ../run var/run; \
        echo root:x:0:0::/root:/bin/sh >etc/passwd; echo root:x:0: >etc/group; \
        tar -cf - . | docker import - system >/dev/null; cd ..; rm -r system; \
        trap 'docker rm --force --volumes outer >/dev/null; docker rmi system >/dev/null' EXIT; \
        docker run --detach --runtime insula --privileged --name outer --hostname outer --network none --tmpfs /run \
            --volume /var/lib/docker --volume /usr:/usr:ro --volume /var/tmp/busybox.tar:/busybox.tar:ro system sh -c ' \
            mkdir /sys/fs/cgroup/init; echo 1 >/sys/fs/cgroup/init/cgroup.procs; \
            for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do echo +$controller >/sys/fs/cgroup/cgroup.subtree_control; done; \
            exec dockerd --add-runtime insula=/usr/bin/insula --default-runtime insula --bridge none --iptables=false \
                --storage-driver vfs >/run/log 2>&1' >/dev/null; \
        tries=0; until docker exec outer docker import /busybox.tar busybox >/dev/null 2>&1; do \
            sleep 1; tries=$((tries + 1)); [ $tries -lt 100 ] || { docker exec outer tail -5 /run/log; exit 1; }; \
        done; \
        docker exec outer docker run --rm --hostname inner --memory 64m busybox sh -c 'hostname; cat /sys/fs/cgroup/memory.max'; \
        docker exec outer hostname",
    );
    assert_eq!(seen, "inner\n67108864\nouter", "{seen}");
}
