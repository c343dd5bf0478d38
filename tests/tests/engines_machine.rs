// SPDX-License-Identifier: Apache-2.0
//! Engines on a machine of its own, Debian 13 as its users have it: systemd starts the daemons, insula comes as the Debian
//! package, engines know it by the package's files. These run only in the virtual machine (`cargo xtask vm-test`).

use insula_tests::{populate_rootfs, skip};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The package, beside the runtime.
const PACKAGE: &str = "/in/insula.deb";

/// The machine is one: a test at a time. Whether the package is installed and the images are loaded.
static TURN: Mutex<bool> = Mutex::new(false);

/// Waits for the machine; the package is installed then, docker runs, and Docker and Podman have the image `busybox`.
#[track_caller]
fn machine() -> MutexGuard<'static, bool> {
    let mut installed = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if !*installed {
        if !Path::new("/var/tmp/busybox").exists() {
            populate_rootfs(Path::new("/var/tmp/busybox"));
        }
        ok(INSTALL);
        *installed = true;
    }
    installed
}

/// What docs/engines.md and the package's description say, and an image.
const INSTALL: &str = "rm -f /etc/dpkg/dpkg.cfg.d/99mmdebstrap; dpkg --install /in/insula.deb >/dev/null; \
    dpkg --verify insula; \
    mkdir -p /etc/docker; cp /usr/share/doc/insula/examples/docker-daemon.json /etc/docker/daemon.json; \
    for unit in docker.service docker.socket containerd.service; do rm -f /etc/systemd/system/$unit; done; \
    systemctl daemon-reload; systemctl start docker; \
    tar -C /var/tmp/busybox -cf /var/tmp/busybox.tar .; \
    docker image inspect busybox >/dev/null 2>&1 || docker import --change 'CMD [\"sh\"]' /var/tmp/busybox.tar busybox:latest >/dev/null; \
    podman image exists busybox || podman import --quiet --change CMD=sh /var/tmp/busybox.tar docker.io/library/busybox:latest >/dev/null";

/// A shell script, to its end.
fn shell(script: &str) -> Output {
    let script = format!("set -e; cd /var/tmp; {script}");
    Command::new("sh").args(["-c", &script]).output().expect("run a shell")
}

/// As [`shell`], which must succeed; its standard output without white space at its ends.
#[track_caller]
fn ok(script: &str) -> String {
    let output = shell(script);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {}\nstdout: {stdout}\nstderr: {stderr}", output.status);
    stdout.trim().to_owned()
}

/// Skips the calling test outside of the virtual machine.
macro_rules! needs_machine {
    () => {
        if std::env::var_os("INSULA_VM").is_none() || !Path::new(PACKAGE).exists() {
            skip!("only in the virtual machine");
        }
    };
}

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

/// Docker's driver here is systemd: each container is a scope.
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

/// For everybody, users remapped; an image is built, and a Docker in a container of that Docker runs one of its own.
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
fn containerd_with_its_client() {
    needs_machine!();
    let _machine = machine();
    let seen = ok("ctr run --detach --runc-binary /usr/bin/insula --rootfs /var/tmp/busybox task sleep 600; \
        ctr tasks exec --exec-id one task sh -c 'xargs -0 </proc/1/cmdline'; \
        pid=$(ctr tasks list | awk '$1 == \"task\" {print $2}'); \
        ctr run --rm --runc-binary /usr/bin/insula --with-ns pid:/proc/$pid/ns/pid --rootfs /var/tmp/busybox other ps | grep -c 'sleep 600'; \
        insula --root /run/containerd/runc/default verify --all | grep -c 'as planned'; \
        ctr tasks kill --signal KILL task; until ctr tasks list | grep -q STOPPED; do sleep 0.2; done; ctr containers delete task");
    assert_eq!(seen, "sleep 600\n1\n1", "{seen}");
}

/// The unit of docs/engines.md.
fn unit() -> &'static str {
    let page = include_str!("../../docs/engines.md");
    let (_, rest) = page.split_once("```ini\n").expect("the page has a unit");
    rest.split_once("```").expect("the block ends").0
}

/// A unit that Podman's generator makes of a description of a container.
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

/// dist/kubernetes/install.sh on a node with containerd as a service: it is restarted with the handler, and without.
#[test]
fn the_installer_for_kubernetes() {
    needs_machine!();
    let _machine = machine();
    let place = Path::new("/var/tmp/installer");
    let files = [
        ("install.sh", include_str!("../../dist/kubernetes/install.sh")),
        ("containerd/config.toml", include_str!("../../dist/containerd/config.toml")),
        ("containerd/config-v1.toml", include_str!("../../dist/containerd/config-v1.toml")),
        ("crio/50-insula.conf", include_str!("../../dist/crio/50-insula.conf")),
    ];
    for (name, text) in files {
        let path = place.join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("make a directory");
        std::fs::write(path, text).expect("write a file");
    }
    let seen = ok("cd installer; cp /usr/bin/insula insula; config=/etc/containerd/config.toml; \
        [ -e $config ] || { mkdir -p /etc/containerd; echo 'version = 2' >$config; }; cp $config before; \
        systemctl start containerd; first=$(systemctl show --property MainPID --value containerd); \
        sh install.sh install; [ $(systemctl show --property MainPID --value containerd) != $first ]; \
        systemctl is-active containerd; containerd config dump | grep -c 'BinaryName = \"/usr/local/bin/insula\"'; \
        sh install.sh status >/dev/null && echo ready; sh install.sh uninstall; cmp $config before && echo as before; \
        systemctl is-active containerd; [ -e /usr/local/bin/insula ] || echo gone; cd ..; rm -r installer");
    let lines: Vec<_> = seen.lines().filter(|line| !line.contains("installed: ")).collect();
    assert_eq!(lines, ["active", "1", "ready", "insula installer: removed", "as before", "active", "gone"], "{seen}");
}

/// A privileged container of Docker's that runs a Docker of its own; insula makes both containers.
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

/// What the package brings is gone with it, and what was there before is as it was.
#[test]
fn the_package_is_installed_and_purged() {
    needs_machine!();
    let mut installed = machine();
    let seen = ok(
        "insula --version | head -1 | cut -d ' ' -f 1; ls /usr/share/man/man8/insula.8.gz /usr/share/bash-completion/completions/insula; \
        podman --runtime insula run --rm --network none busybox echo podman; \
        docker run --rm --runtime insula --network none busybox echo docker; \
        systemctl stop docker.service docker.socket; rm /etc/docker/daemon.json; dpkg --purge insula >/dev/null 2>&1; \
        dpkg-query --list insula 2>/dev/null || echo unknown; \
        find /usr /etc /var/lib/dpkg -name '*insula*' -not -path '/usr/local/*' -not -path '/etc/systemd/*' -not -name 'insula-vm*'",
    );
    *installed = false;
    let lines: Vec<_> = seen.lines().collect();
    assert_eq!(lines[0], "insula");
    assert_eq!(lines[3..], ["podman", "docker", "unknown"], "{seen}");
}
