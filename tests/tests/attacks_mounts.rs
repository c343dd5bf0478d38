// SPDX-License-Identifier: Apache-2.0
//! Attacks by what is mounted, where the root lies, what the cgroup is called, and by file systems that do not answer.

use insula_tests::{Bundle, Container, Lab, Snapshot, cgroups, eventually, hostile, json, race, while_exchanging};
use nix::mount::{MntFlags, umount2};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

/// Nothing may take longer, whatever does not answer.
const PROMPT: Duration = Duration::from_secs(5);

fn sleeper(lab: &Lab) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    bundle
}

/// Options go to the kernel one by one: none can bring another along.
#[test]
fn options_that_bring_others_along() {
    let lab = Lab::new();
    let canary = lab.path("canary");
    fs::create_dir(&canary).expect("make the canary");
    let before = Snapshot::take(&lab);
    let long_one = format!("size={}", "1".repeat(100_000));
    for option in [
        "size=64k,uid=7",
        "size=64k\nuid=7",
        "size=64k uid=7",
        "\"size=64k\"",
        "size='64k'",
        "mand",
        "rootcontext=x",
        "context=\"x\"",
        "uid=7=8",
        "=",
        &long_one,
    ] {
        let mut bundle = lab.bundle();
        bundle.tmpfs("/mnt", &[option]).shell("stat -c %u /mnt");
        let output = lab.container(&bundle).run();
        // Another user's mount point would be the option brought along.
        assert!(output.code() == 1 || output.text() == "0", "{option:.40}: {output:.300}");
        fs::remove_dir_all(bundle.path()).expect("remove the bundle");
    }
    for (kind, options) in [
        ("overlay", vec![format!("lowerdir=/bin,upperdir={0},workdir={0}", canary.display())]),
        ("proc", vec!["hidepid=0,subset=pid".to_owned()]),
        ("devpts", vec!["gid=5,uid=7".to_owned()]),
    ] {
        let mut bundle = lab.bundle();
        bundle.push("/mounts", json!({"destination": "/mnt", "type": kind, "source": kind, "options": options}));
        assert_eq!(lab.container(&bundle).run().code(), 1, "{kind} {options:?}");
        fs::remove_dir_all(bundle.path()).expect("remove the bundle");
    }
    before.assert_clean(&lab);
    assert_eq!(fs::read_dir(&canary).expect("list").count(), 0);
}

/// A file system that never answers under a bind source: the command can be ended, and what it leaves deleted.
#[test]
fn a_source_that_does_not_answer() {
    let lab = Lab::new();
    let source = lab.path("mute");
    fs::create_dir(&source).expect("make the mount point");
    let mut server = lab.command(hostile()).args(["fuse"]).arg(&source).arg("mute").start();
    eventually("the file system", || (!server.is_running() || server.stdout().contains("mounted")).then_some(()));
    if !server.is_running() {
        insula_tests::skip!("this kernel, or this user, cannot mount a file system of a process (FUSE)");
    }
    let mut bundle = sleeper(&lab);
    bundle.bind(source.join("below"), "/mnt", &[]);
    let container = lab.container(&bundle);
    let create = container.launch("create").arg(container.id()).start();
    std::thread::sleep(Duration::from_millis(300));
    let delete = container.delete_force();
    assert!(delete.elapsed < Duration::from_secs(15), "{delete}");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(create.pid()), nix::sys::signal::Signal::SIGTERM)
        .expect("end it");
    let kill = nix::sys::signal::kill(nix::unistd::Pid::from_raw(create.pid()), nix::sys::signal::Signal::SIGKILL);
    let output = create.wait();
    assert!(output.code() != 0 && kill.is_ok(), "{output}");
    drop(server);
    umount2(&source, MntFlags::MNT_DETACH).expect("unmount");
    container.delete_force().assert_code(0);
}

/// A member waits in the kernel for a file system and cannot die: deletion says so in time, and works once it answers.
#[test]
fn a_member_that_cannot_die() {
    let lab = Lab::new();
    let source = lab.path("stuck");
    fs::create_dir(&source).expect("make the mount point");
    let mut server = lab.command(hostile()).args(["fuse"]).arg(&source).arg("stuck").start();
    eventually("the file system", || (!server.is_running() || server.stdout().contains("mounted")).then_some(()));
    if !server.is_running() {
        insula_tests::skip!("this kernel, or this user, cannot mount a file system of a process (FUSE)");
    }
    let mut bundle = lab.bundle();
    bundle.bind(&source, "/mnt", &["rbind"]).shell("cat /mnt/file");
    let container = lab.container(&bundle).detached();
    eventually("the request", || server.stdout().contains("taken").then_some(()));
    // Status, kill and exec do not touch what is stuck.
    assert_eq!(container.status(), "running");
    let delete = container.delete_force();
    assert!(delete.code() == 1 && delete.elapsed < Duration::from_secs(15), "{delete}");
    delete.says(&["does not die"]);
    assert!(lab.state_root().join(container.id()).exists(), "the state is kept");
    drop(server);
    umount2(&source, MntFlags::MNT_DETACH).expect("unmount");
    eventually("deletion", || (container.delete_force().code() == 0).then_some(()));
}

/// Whatever was put into the state directory, deletion removes that and nothing that it points to.
#[test]
fn links_in_the_state_directory() {
    let lab = Lab::new();
    let canary = lab.path("canary");
    fs::create_dir_all(canary.join("deep")).expect("make the canary");
    fs::write(canary.join("file"), "precious").expect("write");
    let bundle = sleeper(&lab);
    let before = Snapshot::take(&lab);
    let container = lab.container(&bundle).detached();
    let home = lab.state_root().join(container.id());
    symlink(&canary, home.join("link")).expect("make a link");
    symlink(canary.join("file"), home.join("file")).expect("make a link");
    container.delete_force().assert_code(0);
    // A directory that is exchanged for a link all the time.
    for _ in race() {
        let container = lab.container(&bundle).detached();
        let home = lab.state_root().join(container.id());
        let (inner, swap) = (home.join("inner"), lab.path("swap"));
        fs::create_dir(&inner).expect("make a directory");
        symlink(&canary, &swap).expect("make a link");
        while_exchanging(&inner, &swap, || {
            eventually("deletion", || (container.delete_force().code() == 0).then_some(()));
        });
        let _either = fs::remove_dir(&swap);
        let _or = fs::remove_file(&swap);
        assert_eq!(fs::read_to_string(canary.join("file")).expect("read"), "precious");
    }
    // The state directory itself is a link: it is none of a container's.
    let container = lab.container(&bundle);
    fs::create_dir_all(lab.state_root()).expect("make the state root");
    let link = lab.state_root().join(container.id());
    symlink(&canary, &link).expect("make a link");
    for command in ["state", "start", "kill", "delete", "exec"] {
        assert_ne!(container.command(command).arg("x").run().code(), 0, "{command}");
    }
    let _refused = container.delete_force();
    fs::remove_file(&link).expect("the link is still a link");
    assert_eq!(fs::read_to_string(canary.join("file")).expect("read"), "precious");
    assert_eq!(fs::read_dir(&canary).expect("list").count(), 2);
    fs::remove_dir_all(&canary).expect("remove the canary");
    before.assert_clean(&lab);
}

/// Roots that are odd: each runs with that root, or fails cleanly.
#[test]
fn roots_that_are_odd() {
    let lab = Lab::new();
    let file = lab.write("file", "");
    symlink("/", lab.path("to-root")).expect("make a link");
    symlink("nowhere", lab.path("dangling")).expect("make a link");
    let link = lab.path("to-root").display().to_string();
    for path in [
        "/",
        &link,
        ".",
        "..",
        "",
        "missing",
        "rootfs/..",
        "/proc",
        "/proc/self/root",
        file.to_str().expect("text"),
        "dangling",
    ] {
        let mut bundle = lab.bundle();
        bundle.set("/root/path", json!(path)).set("/root/readonly", json!(true));
        let before = Snapshot::take(&lab);
        let output = lab.container(&bundle).run();
        assert!([0, 1, 126, 127].contains(&output.code()) && output.elapsed < PROMPT, "{path}: {output}");
        before.assert_clean(&lab);
    }
    // One that is a mount point already, one on a read-only file system, one with nothing in it.
    let mut bundle = lab.bundle();
    let rootfs = bundle.rootfs();
    bundle.shell("echo runs");
    lab.command("busybox").arg("mount").args(["--bind"]).arg(&rootfs).arg(&rootfs).ok();
    assert_eq!(lab.output_of(&bundle), "runs\n");
    lab.command("busybox").arg("mount").args(["-o", "remount,bind,ro"]).arg(&rootfs).ok();
    let output = lab.container(&bundle).run();
    assert!([0, 1].contains(&output.code()), "{output}");
    umount2(&rootfs, MntFlags::MNT_DETACH).expect("unmount");
}

/// Everything that is written into an image goes where the image's links lead inside.
#[test]
fn files_of_the_image_that_are_links() {
    let lab = Lab::new();
    let canary = lab.path("canary");
    fs::create_dir(&canary).expect("make the canary");
    let file = lab.write("file", "from outside");
    for target in [canary.display().to_string(), "../../../../../../..".to_owned() + &canary.display().to_string()] {
        let mut bundle = lab.bundle();
        bundle.writable();
        for name in ["work", "hosts", "socket", "volume", "console"] {
            symlink(format!("{target}/{name}"), bundle.rootfs().join("mnt").join(name)).expect("make a link");
        }
        symlink(&target, bundle.rootfs().join("etc/dir")).expect("make a link");
        bundle.set("/process/cwd", json!("/mnt/work/deep"));
        bundle.bind(&file, "/mnt/hosts", &[]).bind(&file, "/etc/dir/resolv.conf", &[]).tmpfs("/mnt/volume/x", &[]);
        bundle.set("/linux/devices", json!([{"path": "/mnt/socket", "type": "c", "major": 1, "minor": 3}]));
        let output = lab.container(&bundle).run();
        assert!([0, 1].contains(&output.code()), "{output}");
        assert_eq!(fs::read_dir(&canary).expect("list").count(), 0, "{target}: made outside");
    }
}

/// A volume that is exchanged for a link to the host while mounts are made, for seconds.
#[test]
fn a_volume_exchanged_all_the_time() {
    let lab = Lab::new();
    let canary = lab.path("canary");
    fs::create_dir(&canary).expect("make the canary");
    let mut bundle = lab.bundle();
    let file = lab.write("file", "x");
    let (volume, swap) = (bundle.rootfs().join("vol"), bundle.rootfs().join("swp"));
    fs::create_dir(&volume).expect("make the volume");
    symlink(&canary, &swap).expect("make the link");
    for name in ["a", "b/c", "d/e/f/g"] {
        bundle.tmpfs(&format!("/vol/{name}"), &[]).bind(&file, &format!("/vol/file-{}", name.len()), &[]);
    }
    bundle.set("/linux/devices", json!([{"path": "/vol/null", "type": "c", "major": 1, "minor": 3}]));
    bundle.set("/process/cwd", json!("/vol/work"));
    let codes: Vec<_> =
        while_exchanging(&volume, &swap, || race().map(|_| lab.container(&bundle).run().code()).collect());
    assert!(codes.len() > 3 && codes.iter().all(|code| [0, 1].contains(code)), "{codes:?}");
    assert_eq!(fs::read_dir(&canary).expect("list").count(), 0, "made outside");
}

/// Names of cgroups and of their files lead nowhere else.
#[test]
fn names_of_cgroups() {
    let lab = Lab::new();
    let name = lab.name().to_owned();
    let canary = lab.path("canary");
    fs::create_dir(&canary).expect("make the canary");
    let before = Snapshot::take(&lab);
    for path in [
        format!("/../../../../..{}/{name}-a", canary.display()),
        format!("../../../../../..{}/{name}-b", canary.display()),
        format!("/{name}/../../../../..{}/{name}-c", canary.display()),
        format!("/{name}-d\n"),
        format!("/{}", "n".repeat(256)),
        "/".to_owned(),
        "..".to_owned(),
    ] {
        let mut bundle = lab.bundle();
        bundle.set("/linux/cgroupsPath", json!(path));
        let container = lab.container(&bundle);
        let output = container.run();
        assert!([0, 1].contains(&output.code()), "{path:.60}: {output}");
        assert_eq!(fs::read_dir(&canary).expect("list").count(), 0, "{path:.60}: made outside");
        container.delete_force().assert_code(0);
    }
    // Parents of a cgroup stay.
    for directory in cgroups::named(&name) {
        cgroups::remove_tree(&directory);
    }
    for resources in [
        json!({"hugepageLimits": [{"pageSize": "../x", "limit": 1}]}),
        json!({"hugepageLimits": [{"pageSize": "2MB/../..", "limit": 1}]}),
        json!({"unified": {"../memory.max": "1"}}),
        json!({"unified": {"/etc/passwd": "1"}}),
        json!({"unified": {"memory.max\n": "1"}}),
        json!({"unified": {"cgroup.procs": "1"}}),
        json!({"blockIO": {"weightDevice": [{"major": -1, "minor": 0, "weight": 100}]}}),
        json!({"pids": {"limit": 1.5}}),
        json!({"memory": {"limit": 1e40}}),
    ] {
        let mut bundle = lab.bundle();
        bundle.set("/linux/resources", resources.clone());
        assert_eq!(lab.container(&bundle).run().code(), 1, "{resources}");
        fs::remove_dir_all(bundle.path()).expect("remove the bundle");
    }
    before.assert_clean(&lab);
}

/// Root in the container, and all of its own cgroup to see: it makes no cgroup and names no program for the host to run.
#[test]
fn the_hosts_cgroups_from_inside() {
    let lab = Lab::new();
    for namespace in [false, true] {
        let mut bundle = lab.bundle();
        if namespace {
            bundle.namespace("cgroup");
        }
        bundle.hostile();
        bundle.shell(
            "for d in $(find /sys/fs/cgroup -maxdepth 3 -type d 2>/dev/null); do mkdir $d/made && echo MADE $d; \
             for f in release_agent notify_on_release cgroup.procs tasks; do echo 1 > $d/$f && echo WRITTEN $d/$f; done; done 2>/dev/null; \
             mount -o remount,rw /sys/fs/cgroup 2>/dev/null && echo REMOUNTED; true",
        );
        let output = lab.output_of(&bundle);
        assert_eq!(output, "", "with a cgroup namespace: {namespace}");
    }
}

/// Init leaves its cgroup for one above: the deletion ends it all the same, and nobody else.
#[test]
fn init_leaves_its_cgroup() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    let bundle = sleeper(&lab);
    let bystander = lab.container(&bundle).detached();
    let container = lab.container(&bundle).detached();
    let pid = container.pid();
    let mut moved = 0;
    for hierarchy in cgroups::hierarchies() {
        let list = hierarchy.controllers.first().cloned().unwrap_or_default();
        let Some(own) = cgroups::directory_of(pid, &list) else { continue };
        let above = own.parent().map(Path::to_owned).unwrap_or_default();
        if own.to_string_lossy().contains(lab.name()) && fs::write(above.join("cgroup.procs"), pid.to_string()).is_ok()
        {
            moved += 1;
        }
    }
    assert!(moved > 0, "init has left");
    let delete = container.delete_force();
    delete.assert_code(0);
    assert!(delete.elapsed < PROMPT, "{delete}");
    assert!(!Path::new(&format!("/proc/{pid}/exe")).exists() || is_zombie(pid));
    assert_eq!(bystander.status(), "running");
    delete_all([bystander]);
    before.assert_clean(&lab);
}

fn is_zombie(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

fn delete_all<const N: usize>(containers: [Container<'_>; N]) {
    for container in containers {
        container.delete_force().assert_code(0);
    }
}
