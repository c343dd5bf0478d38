// SPDX-License-Identifier: Apache-2.0
//! `podman container checkpoint` and `ctr` with insula as their runtime, in the virtual machine.

use crate::counter::needs_criu;
use crate::machine::needs_machine;
use insula_tests::{populate_rootfs, runtime, skip};
use std::path::Path;
use std::process::Command;

/// What the containers do: they count in a tmpfs of their own.
const COUNTING: &str =
    "i=0; while :; do i=$((i+1)); echo $i > /dev/shm/new; mv /dev/shm/new /dev/shm/i; sleep 0.2; done";

/// Waits until `$count`, a command, says more than `$1`; says what.
const UNTIL: &str = "until_more() { n=0; while :; do now=$($count 2>/dev/null || echo 0); \
    [ \"$now\" -gt \"$1\" ] && break; n=$((n+1)); [ $n -lt 200 ] || { echo \"no count above $1\" >&2; exit 9; }; sleep 0.2; done; }; ";

/// Runs a script to its end; its standard output.
#[track_caller]
fn shell(script: &str) -> String {
    let output = Command::new("timeout")
        .args(["240", "sh", "-e", "-c", &format!("{UNTIL}{script}")])
        .env("insula", runtime())
        .env("counting", COUNTING)
        .output()
        .expect("run a shell");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\nstdout: {stdout}\nstderr: {stderr}", output.status);
    stdout
}

/// A root file system of busybox for this test.
fn rootfs(name: &str) -> String {
    let path = format!("/var/tmp/{name}-{}", std::process::id());
    if !Path::new(&path).exists() {
        populate_rootfs(Path::new(&path));
    }
    path
}

#[test]
fn podman_saves_and_continues_its_containers() {
    needs_machine!();
    let rootfs = rootfs("podman");
    let script = r#"
        root=$(mktemp -d /var/tmp/podman.XXXXXX)
        podman() { command podman --root $root/storage --runroot $root/run --storage-driver vfs --runtime $insula \
            --cgroup-manager cgroupfs --events-backend file "$@"; }
        trap 'podman rm --force --all --time 0 >/dev/null' EXIT
        tar -C "$rootfs" -c . | podman import - box >/dev/null 2>&1
        podman run --detach --name c --network none box sh -c "$counting" >/dev/null
        count="podman exec c cat /dev/shm/i"
        until_more 3
        podman container checkpoint --leave-running c >/dev/null
        until_more $now
        podman inspect --format '{{.State.Status}}' c
        podman container checkpoint c >/dev/null
        podman inspect --format '{{.State.Status}} {{.State.Checkpointed}}' c
        podman container restore c >/dev/null
        until_more $now
        podman inspect --format '{{.State.Status}}' c
        podman container checkpoint --export $root/c.tar.gz c >/dev/null
        podman rm c >/dev/null
        podman container restore --import $root/c.tar.gz >/dev/null
        until_more $now
        podman container restore --import $root/c.tar.gz --name other >/dev/null
        count="podman exec other cat /dev/shm/i"
        until_more 3
        podman ps --format '{{.Names}}' | sort
    "#;
    let printed = shell(&format!("rootfs={rootfs}; {script}"));
    assert_eq!(printed, "running\nexited true\nrunning\nc\nother\n");
}

#[test]
fn ctr_saves_and_continues_its_containers() {
    needs_machine!();
    let rootfs = rootfs("ctr");
    let script = r#"
        dir=$(mktemp -d /var/tmp/ctr.XXXXXX)
        containerd --root $dir/root --state $dir/state --address $dir/sock >$dir/log 2>&1 </dev/null &
        daemon=$!
        ctr() { command ctr --address $dir/sock "$@"; }
        trap 'for c in k k2 k3; do ctr task kill -s KILL $c; sleep 1; ctr task rm -f $c; ctr container rm $c; done \
            >/dev/null 2>&1 || :; kill $daemon; wait $daemon || :' EXIT
        n=0; until ctr version >/dev/null 2>&1; do n=$((n+1)); [ $n -lt 100 ]; sleep 0.3; done
        podman() { command podman --root $dir/storage --runroot $dir/run --storage-driver vfs "$@"; }
        tar -C "$rootfs" -c . | podman import - box >/dev/null 2>&1
        podman save --format oci-archive --output $dir/box.tar box >/dev/null 2>&1
        ctr image import $dir/box.tar >/dev/null
        image=$(ctr image ls --quiet | head -n 1)
        run() { ctr run --detach --runc-binary $insula $image $1 sh -c "$counting" </dev/null >/dev/null 2>&1; }

        run k
        count="ctr task exec --exec-id e$$ k cat /dev/shm/i"
        until_more 3
        ctr task checkpoint --image-path $dir/images k >/dev/null
        [ -e $dir/images/inventory.img ]
        ctr task ls | sed -n 's/^k .* \([A-Z]*\) *$/left \1/p'
        until_more $now

        ctr container checkpoint --rw --task --image k point/k:1 >/dev/null
        until_more $now
        ctr task kill -s KILL k; sleep 2; ctr task rm k >/dev/null 2>&1 || :
        ctr container rm k
        ctr container restore --rw --live k3 point/k:1 </dev/null >/dev/null 2>$dir/restore || { cat $dir/restore >&2; exit 3; }
        count="ctr task exec --exec-id f$$ k3 cat /dev/shm/i"
        until_more $now
        ctr task ls | sed -n 's/^k3 .* \([A-Z]*\) *$/restored \1/p'

        run k2
        ctr task checkpoint --exit --image-path $dir/last k2 >/dev/null
        n=0; until ctr task ls | grep -q '^k2 .*STOPPED'; do n=$((n+1)); [ $n -lt 50 ]; sleep 0.2; done
        [ -e $dir/last/inventory.img ]
        echo ended
    "#;
    let printed = shell(&format!("rootfs={rootfs}; {script}"));
    assert_eq!(printed, "left RUNNING\nrestored RUNNING\nended\n");
}
