// SPDX-License-Identifier: Apache-2.0
//! Documents without a mount namespace: what they have mounted lies in the caller's, below one mount of the container's
//! state, and goes with the container. Source: runtime-spec, runtime.md "Lifecycle" 13 (what `create` made is undone).

use insula_tests::{Bundle, Lab, json};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The default document without a mount namespace.
fn bundle(lab: &Lab) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.inherit("mount").args(&["sleep", "600"]);
    bundle
}

/// The lines of the caller's mount table.
fn table() -> BTreeSet<String> {
    let text = fs::read_to_string("/proc/thread-self/mountinfo").expect("read the mount table");
    text.lines().map(String::from).collect()
}

#[test]
fn all_lies_below_one_mount_that_delete_takes_away() {
    let lab = Lab::new();
    let before = table();
    let mut bundle = bundle(&lab);
    bundle.tmpfs("/made", &["size=1m"]).push("/linux/maskedPaths", json!("/masked"));
    fs::create_dir(bundle.rootfs().join("masked")).expect("make a directory");
    fs::write(bundle.rootfs().join("masked/secret"), "").expect("write a file");
    let container = lab.container(&bundle).detached();
    let mounts = lab.state_root().join(container.id()).join("mounts");
    let root = mounts.join("rootfs");
    let after = table();
    assert!(before.is_subset(&after), "the host's own mounts and their propagation stay as they are");
    let new: Vec<&String> = after.difference(&before).collect();
    let point = |line: &str| line.split(' ').nth(4).map(String::from).unwrap_or_default();
    assert!(new.len() > 8, "proc, /dev and the rest: {new:#?}");
    assert!(new.iter().all(|line| Path::new(&point(line)).starts_with(&root)), "{new:#?}");
    assert!(new.iter().all(|line| !line.contains("shared:")), "nothing is passed on: {new:#?}");
    // A set-user-ID program of the image is nobody else's to start.
    assert_eq!(fs::metadata(&mounts).expect("stat").permissions().mode() & 0o777, 0o700);
    assert_eq!(
        container.inside("stat -f -c %T /proc /made; ls /masked; touch /made/file; echo $?"),
        "proc\ntmpfs\n0\n"
    );
    container.delete_force().assert_code(0);
    assert_eq!(table(), before);
}

#[test]
fn a_root_that_is_read_only_with_a_terminal_and_a_hook_inside() {
    let lab = Lab::new();
    let before = table();
    let mut bundle = lab.bundle();
    let script = "test -e /only-in-the-image && ! test -e /proc/1/only && touch /scratch/hooked";
    bundle
        .inherit("mount")
        .tmpfs("/scratch", &[])
        .push("/hooks/startContainer", json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"]}));
    fs::write(bundle.rootfs().join("only-in-the-image"), "").expect("write a file");
    bundle.set("/process/terminal", json!(true));
    bundle.shell("ls /scratch; touch /file 2>&1; test -t 0 && echo terminal");
    let printed = lab.output_of(&bundle).replace('\r', "");
    assert!(printed.contains("hooked") && printed.contains("Read-only") && printed.contains("terminal"), "{printed}");
    assert_eq!(table(), before);
}

#[test]
fn a_create_that_fails_leaves_no_mount() {
    let lab = Lab::new();
    let before = table();
    let mut bundle = bundle(&lab);
    bundle.push("/mounts", json!({"destination": "/last", "type": "nonsense", "source": "none"}));
    let index = bundle.mount_index("/last");
    lab.container(&bundle).create().fails_with(&[&format!("/mounts/{index}"), "nonsense"]);
    assert_eq!(table(), before);
}

#[test]
fn what_is_bound_stays_with_the_host() {
    let lab = Lab::new();
    let source = lab.path("source");
    fs::create_dir(&source).expect("make a directory");
    let tmpfs = |at: &Path| mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), None::<&str>).expect("mount");
    tmpfs(&source);
    fs::create_dir(source.join("below")).expect("make a directory");
    tmpfs(&source.join("below"));
    let before = table();
    let mut bundle = bundle(&lab);
    bundle.bind(&source, "/tied", &["rbind", "rshared"]);
    let container = lab.container(&bundle).detached();
    assert_eq!(container.inside("stat -f -c %T /tied /tied/below"), "tmpfs\ntmpfs\n");
    container.delete_force().assert_code(0);
    assert_eq!(table(), before, "to unmount one of two shared mounts is to unmount both");
    umount2(&source, MntFlags::MNT_DETACH).expect("unmount");
}

#[test]
fn copies_in_other_mount_namespaces_go_too() {
    let lab = Lab::new();
    let script = "read line; cat /proc/self/mountinfo; echo end; read line; cat /proc/self/mountinfo";
    let (read, write) = nix::unistd::pipe().expect("make a pipe");
    // The host's mounts are shared: what is mounted there comes to those who receive.
    let listener =
        lab.command("unshare").args(["--mount", "--propagation", "slave", "sh", "-c", script]).stdin(read).start();
    let ns = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let own = fs::read_link("/proc/thread-self/ns/mnt").ok();
    insula_tests::eventually("a mount namespace of its own", || {
        (ns(listener.pid()).is_some() && ns(listener.pid()) != own).then_some(())
    });
    std::thread::sleep(std::time::Duration::from_millis(200));
    let container = lab.container(&bundle(&lab)).detached();
    nix::unistd::write(&write, b"\n").expect("write");
    let first = insula_tests::eventually("a table", || Some(listener.stdout()).filter(|text| text.contains("end")));
    let place = format!("{}/mounts/rootfs", container.id());
    assert!(first.contains(&place), "the test is about a copy: {first}");
    container.delete_force().assert_code(0);
    nix::unistd::write(&write, b"\n").expect("write");
    let output = listener.wait();
    let (_, second) = output.stdout.split_once("end\n").expect("two tables");
    assert!(!second.contains(&place), "{second}");
}

#[test]
fn who_deletes_elsewhere_takes_the_mounts_along() {
    let lab = Lab::new();
    let before = table();
    let container = lab.container(&bundle(&lab)).detached();
    // In a private mount namespace the mounts can be seen, but to unmount them there is not to unmount them here.
    let runtime = insula_tests::runtime();
    let root = lab.state_root();
    let words = ["--root", root.to_str().expect("paths are text"), "delete", "--force", container.id()];
    lab.command("unshare").args(["--mount", "--propagation", "private"]).arg(runtime).args(words).ok();
    assert_eq!(table(), before);
}

#[test]
fn a_user_namespace_has_no_rights_over_the_hosts_mounts() {
    let lab = Lab::new();
    let mut bundle = bundle(&lab);
    bundle.user_namespace();
    lab.container(&bundle).create().fails_with(&["/mounts", "mount namespace", "user namespace"]);
}

#[test]
fn two_containers_of_one_root_file_system() {
    let lab = Lab::new();
    let before = table();
    let bundle = bundle(&lab);
    let (one, two) = (lab.container(&bundle).detached(), lab.container(&bundle).detached());
    one.delete_force().assert_code(0);
    assert_eq!(two.inside("stat -f -c %T /proc"), "proc\n");
    two.delete_force().assert_code(0);
    assert_eq!(table(), before);
}
