// SPDX-License-Identifier: Apache-2.0
//! Engines on a machine of its own, Debian 13 as its users have it: systemd starts the daemons, insula comes as the Debian
//! package, engines know it by the package's files. These run only in the virtual machine (`cargo xtask vm-test`).

mod book;
mod docker;
mod docker_life;
mod package;
mod pages;
mod podman;

use insula_tests::populate_rootfs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The package, beside the runtime.
const PACKAGE: &str = "/in/insula.deb";

/// The machine is one: a test at a time. Whether the package is installed and the images are loaded.
static TURN: Mutex<bool> = Mutex::new(false);

/// Waits for the machine; the package is installed then, docker runs, and Docker and Podman have the image `busybox`.
#[track_caller]
pub(crate) fn machine() -> MutexGuard<'static, bool> {
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
    podman image exists busybox || { podman import --quiet --change CMD=sh /var/tmp/busybox.tar docker.io/library/busybox:latest; \
        podman tag docker.io/library/busybox:latest docker.io/library/busybox:stable; } >/dev/null";

/// A shell script, to its end.
pub(crate) fn shell(script: &str) -> Output {
    let script = format!("set -e; cd /var/tmp; {script}");
    Command::new("sh").args(["-c", &script]).output().expect("run a shell")
}

/// As [`shell`], which must succeed; its standard output without white space at its ends.
#[track_caller]
pub(crate) fn ok(script: &str) -> String {
    let output = shell(script);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {}\nstdout: {stdout}\nstderr: {stderr}", output.status);
    stdout.trim().to_owned()
}

/// Skips the calling test outside of the virtual machine.
macro_rules! needs_machine {
    () => {
        if std::env::var_os("INSULA_VM").is_none() || !std::path::Path::new($crate::PACKAGE).exists() {
            insula_tests::skip!("only in the virtual machine");
        }
    };
}
pub(crate) use needs_machine;
