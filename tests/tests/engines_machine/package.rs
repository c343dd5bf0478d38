// SPDX-License-Identifier: Apache-2.0
//! containerd's client with the package's program, the installer for Kubernetes, and the package itself.

use crate::{machine, needs_machine, ok};
use std::path::Path;

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

#[test]
fn the_installer_for_kubernetes() {
    needs_machine!();
    let _machine = machine();
    let place = Path::new("/var/tmp/installer");
    let files = [
        ("install.sh", include_str!("../../../dist/kubernetes/install.sh")),
        ("containerd/config.toml", include_str!("../../../dist/containerd/config.toml")),
        ("containerd/config-v1.toml", include_str!("../../../dist/containerd/config-v1.toml")),
        ("crio/50-insula.conf", include_str!("../../../dist/crio/50-insula.conf")),
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
