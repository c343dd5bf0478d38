// SPDX-License-Identifier: Apache-2.0
//! Mounts as the container sees them.

use insula_tests::{Bundle, Lab, MountEntry, cgroups, json, parse_mounts};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

#[track_caller]
fn mounts_of(lab: &Lab, bundle: &mut Bundle) -> BTreeMap<String, MountEntry> {
    bundle.args(&["cat", "/proc/mounts"]);
    parse_mounts(&lab.output_of(bundle))
}

#[track_caller]
fn assert_mount(mounts: &BTreeMap<String, MountEntry>, point: &str, kind: &str, options: &[&str]) {
    let mount = mounts.get(point).unwrap_or_else(|| panic!("nothing is mounted on {point}"));
    assert_eq!(mount.kind, kind, "{point}");
    for option in options {
        assert!(mount.has(option), "{point} lacks {option}: {mount:?}");
    }
}

#[test]
fn the_default_documents_mounts() {
    let lab = Lab::new();
    let mounts = mounts_of(&lab, &mut lab.bundle());
    assert!(mounts["/"].has("ro"));
    assert_mount(&mounts, "/proc", "proc", &["rw", "relatime"]);
    assert_mount(&mounts, "/dev", "tmpfs", &["rw", "nosuid", "mode=755", "size=65536k"]);
    assert!(!mounts["/dev"].has("relatime"), "strictatime is asked for: {:?}", mounts["/dev"]);
    assert_mount(&mounts, "/dev/pts", "devpts", &["rw", "nosuid", "noexec", "gid=5", "mode=620", "ptmxmode=666"]);
    assert_mount(&mounts, "/dev/shm", "tmpfs", &["rw", "nosuid", "nodev", "noexec", "size=65536k"]);
    assert_mount(&mounts, "/dev/mqueue", "mqueue", &["rw", "nosuid", "nodev", "noexec"]);
    assert_mount(&mounts, "/sys", "sysfs", &["ro", "nosuid", "nodev", "noexec"]);
}

#[test]
fn bind_mounts() {
    let lab = Lab::new();
    let source = lab.path("source");
    fs::create_dir(&source).expect("make a directory");
    fs::write(source.join("file"), "from the host\n").expect("write a file");
    let single = lab.write("single", "one file\n");
    let mut bundle = lab.bundle();
    bundle.writable();
    bundle.bind(&source, "/mnt", &[]).bind(&single, "/etc/single", &[]).bind(&source, "/new/deep/dir", &["ro"]);
    bundle.shell(
        "cat /mnt/file /etc/single /new/deep/dir/file; echo back > /mnt/back; touch /new/deep/dir/x || echo refused",
    );
    assert_eq!(lab.output_of(&bundle), "from the host\none file\nfrom the host\nrefused\n");
    assert_eq!(fs::read_to_string(source.join("back")).expect("written inside"), "back\n");
    assert!(bundle.rootfs().join("etc/single").is_file(), "the mount point was made as a file");
    assert!(bundle.rootfs().join("new/deep/dir").is_dir(), "the mount point was made as a directory");
}

#[test]
fn bind_mount_options() {
    let lab = Lab::new();
    let source = lab.path("source");
    fs::create_dir(&source).expect("make a directory");
    let mut bundle = lab.bundle();
    bundle.writable();
    bundle.bind(&source, "/a", &["ro", "nosuid", "nodev", "noexec"]);
    bundle.bind(&source, "/b", &["noatime", "rw"]);
    bundle.bind(&source, "/c", &["nodiratime", "nosuid"]);
    bundle.bind(&source, "/d", &["ro", "rw", "noexec", "exec"]);
    let mounts = mounts_of(&lab, &mut bundle);
    assert_mount(&mounts, "/a", "tmpfs", &["ro", "nosuid", "nodev", "noexec"]);
    assert_mount(&mounts, "/b", "tmpfs", &["rw", "noatime"]);
    assert_mount(&mounts, "/c", "tmpfs", &["rw", "nosuid", "nodiratime"]);
    assert_mount(&mounts, "/d", "tmpfs", &["rw"]);
    assert!(!mounts["/d"].has("noexec"), "the later option wins");
}

#[test]
fn no_programs_run_from_noexec_mounts() {
    let lab = Lab::new();
    let source = lab.path("source");
    fs::create_dir(&source).expect("make a directory");
    fs::copy("/bin/busybox", source.join("busybox")).expect("copy busybox");
    let mut bundle = lab.bundle();
    bundle.bind(&source, "/mnt", &["noexec"]).shell("/mnt/busybox true || echo refused");
    assert_eq!(lab.output_of(&bundle), "refused\n");
}

#[test]
fn recursive_bind_mounts() {
    let lab = Lab::new();
    let source = lab.path("source");
    fs::create_dir_all(source.join("inner")).expect("make directories");
    let none: Option<&str> = None;
    mount(Some("inner"), &source.join("inner"), Some("tmpfs"), MsFlags::empty(), none).expect("mount a tmpfs");
    fs::write(source.join("inner/file"), "inner\n").expect("write a file");
    let mut bundle = lab.bundle();
    bundle.writable();
    bundle.push(
        "/mounts",
        json!({"destination": "/flat", "source": source.to_str(), "type": "bind", "options": ["bind"]}),
    );
    bundle.push(
        "/mounts",
        json!({"destination": "/deep", "source": source.to_str(), "type": "bind", "options": ["rbind", "rprivate"]}),
    );
    bundle.push(
        "/mounts",
        json!({"destination": "/none", "source": source.to_str(), "type": "none", "options": ["rbind", "ro"]}),
    );
    bundle.push(
        "/mounts",
        json!({"destination": "/all", "source": source.to_str(), "type": "bind", "options": ["rbind", "rro"]}),
    );
    bundle.shell("ls /flat/inner; cat /deep/inner/file /none/inner/file; touch /none/x || echo top; touch /none/inner/x && echo below; touch /all/x || echo top; touch /all/inner/y || echo inner");
    assert_eq!(lab.output_of(&bundle), "inner\ninner\ntop\nbelow\ntop\ninner\n");
    umount2(&source.join("inner"), MntFlags::MNT_DETACH).expect("unmount the tmpfs");
}

#[test]
fn tmpfs_options() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.writable();
    bundle.tmpfs("/t", &["nosuid", "size=4k", "mode=1750", "uid=0", "gid=4"]).tmpfs("/plain", &[]);
    bundle.shell("stat -c '%a %u:%g' /t; head -c 100000 /dev/zero > /t/big 2>/dev/null || echo full; touch /plain/x && echo writable; ls /t");
    let seen = lab.output_of(&bundle);
    assert_eq!(seen, "1750 0:4\nfull\nwritable\nbig\n");
    assert_mount(&mounts_of(&lab, &mut bundle), "/t", "tmpfs", &["rw", "nosuid", "size=4k", "mode=1750"]);
    assert!(!bundle.rootfs().join("t/big").exists());
}

#[test]
fn a_private_instance_of_devpts() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("ls /dev/pts; stat -L -c '%a %t:%T' /dev/ptmx; stat -c %a /dev/pts");
    assert_eq!(lab.output_of(&bundle), "ptmx\n666 5:2\n755\n");
}

#[test]
fn mounts_in_the_documents_order() {
    let lab = Lab::new();
    let source = lab.path("source");
    fs::create_dir(&source).expect("make a directory");
    fs::write(source.join("file"), "bound\n").expect("write a file");
    let mut bundle = lab.bundle();
    bundle.tmpfs("/mnt", &["mode=755"]).bind(&source, "/mnt/inner", &[]).tmpfs("/run", &["mode=755"]);
    bundle.bind(&source, "/run/twice", &[]).tmpfs("/run/twice", &[]);
    bundle.shell("cat /mnt/inner/file; ls -A /run/twice; ls /mnt /run");
    assert_eq!(lab.output_of(&bundle), "bound\n/mnt:\ninner\n\n/run:\ntwice\n");
}

#[test]
fn destinations_resolve_inside_the_root() {
    let lab = Lab::new();
    let canary = lab.path("canary");
    fs::create_dir(&canary).expect("make a directory");
    let mut bundle = lab.bundle();
    bundle.writable();
    symlink(&canary, bundle.rootfs().join("absolute")).expect("make a link");
    symlink(format!("../../../..{}", canary.display()), bundle.rootfs().join("relative")).expect("make a link");
    symlink("etc", bundle.rootfs().join("inside")).expect("make a link");
    let before = insula_tests::Snapshot::take(&lab);
    bundle
        .tmpfs("/absolute/made", &[])
        .tmpfs("/relative/made", &[])
        .tmpfs("/../../../dots", &[])
        .tmpfs("/inside/made", &[]);
    let output = lab.container(&bundle).run();
    before.assert_clean(&lab);
    assert_eq!(fs::read_dir(&canary).expect("read the canary").count(), 0, "something was made outside: {output}");
    if output.code() == 0 {
        assert!(bundle.rootfs().join("dots").is_dir());
        assert!(bundle.rootfs().join("etc/made").is_dir());
    }
}

/// The optional fields of the root mount's line in mountinfo: its propagation.
fn propagation_of_root(lab: &Lab, bundle: &mut Bundle) -> String {
    bundle.args(&["cat", "/proc/self/mountinfo"]);
    let seen = lab.output_of(bundle);
    let line = seen.lines().find(|line| line.split(' ').nth(4) == Some("/")).expect("a root mount");
    let (front, _) = line.split_once(" -").expect("a separator");
    front.split(' ').skip(6).collect::<Vec<_>>().join(" ")
}

#[test]
fn propagation_of_the_root() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let seen = propagation_of_root(&lab, &mut bundle);
    assert!(!seen.contains("shared"), "nothing gets out by default: {seen:?}");
    for wanted in ["private", "rprivate"] {
        bundle.set("/linux/rootfsPropagation", json!(wanted));
        assert_eq!(propagation_of_root(&lab, &mut bundle), "", "{wanted}");
    }
    // A slave of what is private already is private.
    for wanted in ["slave", "rslave", "unbindable"] {
        bundle.set("/linux/rootfsPropagation", json!(wanted));
        let seen = propagation_of_root(&lab, &mut bundle);
        assert!(!seen.contains("shared"), "{wanted} shows as {seen:?}");
    }
    bundle.set("/linux/rootfsPropagation", json!("shared"));
    assert!(propagation_of_root(&lab, &mut bundle).contains("shared:"));
}

#[test]
fn propagation_of_a_mount() {
    let lab = Lab::new();
    let none: Option<&str> = None;
    for (option, host_to_container, container_to_host) in
        [("rprivate", false, false), ("rslave", true, false), ("rshared", true, true), ("private", false, false)]
    {
        let source = lab.path(format!("source-{option}"));
        fs::create_dir(&source).expect("make a directory");
        mount(Some("source"), &source, Some("tmpfs"), MsFlags::empty(), none).expect("mount a tmpfs");
        mount(none, &source, none, MsFlags::MS_SHARED, none).expect("share it");
        for name in ["from-host", "from-container"] {
            fs::create_dir(source.join(name)).expect("make a directory");
        }
        let mut bundle = lab.bundle();
        bundle.writable();
        for set in ["bounding", "permitted", "effective"] {
            bundle.push(&format!("/process/capabilities/{set}"), json!("CAP_SYS_ADMIN"));
        }
        bundle.push(
            "/mounts",
            json!({"destination": "/mnt", "source": source.to_str(), "type": "bind", "options": ["rbind", option]}),
        );
        if container_to_host {
            // Otherwise the container's copy of the mount is a slave of the host's.
            bundle.set("/linux/rootfsPropagation", json!("rshared"));
        }
        bundle.args(&["sleep", "60"]);
        let container = lab.container(&bundle).detached();

        mount(Some("later"), &source.join("from-host"), Some("tmpfs"), MsFlags::empty(), none).expect("mount later");
        let inside = container.inside("cat /proc/mounts").contains("/mnt/from-host");
        assert_eq!(inside, host_to_container, "{option}: a mount of the host");
        container.inside("mount -t tmpfs inner /mnt/from-container");
        let mountinfo = fs::read_to_string("/proc/thread-self/mountinfo").expect("read mountinfo");
        let outside = mountinfo.lines().any(|line| line.contains(&format!("source-{option}/from-container ")));
        assert_eq!(outside, container_to_host, "{option}: a mount of the container");
        container.delete_force().assert_code(0);
        umount2(&source, MntFlags::MNT_DETACH).expect("unmount the source");
    }
}

#[test]
fn the_hosts_mount_table_survives_every_propagation() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.tmpfs("/mnt", &[]);
    for propagation in ["shared", "rshared", "slave", "rslave", "private", "unbindable"] {
        bundle.set("/linux/rootfsPropagation", json!(propagation));
        let before = insula_tests::Snapshot::take(&lab);
        lab.output_of(&bundle);
        before.assert_clean(&lab);
    }
}

#[test]
fn cgroup_file_systems_on_this_host() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let hierarchies = cgroups::hierarchies();
    let version_1: Vec<_> = hierarchies.iter().filter(|one| !one.controllers.is_empty()).collect();
    bundle.set("/linux/resources/pids", json!({"limit": 77}));
    bundle.shell("cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; mkdir /sys/fs/cgroup/x /sys/fs/cgroup/pids/x 2>/dev/null; cat /proc/mounts");
    if !version_1.iter().any(|one| one.controllers.iter().any(|name| name == "pids")) {
        insula_tests::skip!("the pids controller is in no version 1 hierarchy here");
    }
    for namespace in [false, true] {
        if namespace {
            bundle.namespace("cgroup");
        }
        let container = lab.container(&bundle);
        let output = container.run();
        assert!(output.stdout.starts_with("77\n"), "the container's own cgroup is mounted: {output}");
        let mounts = parse_mounts(&output.stdout);
        assert_mount(&mounts, "/sys/fs/cgroup", "tmpfs", &["nosuid", "nodev", "noexec"]);
        for hierarchy in &version_1 {
            let name = hierarchy.mount.file_name().and_then(|name| name.to_str()).expect("a name");
            assert_mount(&mounts, &format!("/sys/fs/cgroup/{name}"), "cgroup", &["ro", "nosuid", "nodev", "noexec"]);
        }
    }
}

#[test]
fn cgroup_file_systems_with_version_2_only() {
    let mut lab = Lab::new();
    lab.only_cgroup2();
    let mut bundle = lab.bundle();
    bundle.shell("cat /sys/fs/cgroup/cgroup.procs; mkdir /sys/fs/cgroup/x 2>/dev/null; cat /proc/mounts");
    for namespace in [true, false] {
        if namespace {
            bundle.namespace("cgroup");
        } else {
            bundle.inherit("cgroup");
        }
        let seen = lab.output_of(&bundle);
        let mounts = parse_mounts(&seen);
        assert_mount(&mounts, "/sys/fs/cgroup", "cgroup2", &["ro", "nosuid", "nodev", "noexec"]);
        let members: Vec<_> = seen.lines().take_while(|line| line.parse::<u32>().is_ok()).collect();
        if namespace {
            assert_eq!(members.first(), Some(&"1"), "the container's own cgroup is the root: {seen}");
        }
    }
}

#[test]
fn sysfs_shows_the_containers_network() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("ls /sys/class/net; touch /sys/x 2>&1");
    let output = lab.container(&bundle).run();
    assert!(output.stdout.contains("Read-only file system"), "{output}");
    assert!(!output.stdout.contains("eth0"), "{output}");
}

#[test]
fn many_mounts() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.tmpfs("/mnt", &["mode=755"]);
    for number in 0..300 {
        bundle.tmpfs(&format!("/mnt/{number}"), &["size=4k"]);
    }
    bundle.shell("grep -c ' /mnt/' /proc/mounts");
    assert_eq!(lab.output_of(&bundle), "300\n");
}
