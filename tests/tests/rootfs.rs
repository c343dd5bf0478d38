// SPDX-License-Identifier: Apache-2.0
//! The root file system as the container sees it, and what of the host it does not see.

use insula_tests::{Bundle, Lab, cgroups, eventually, identities, json};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

/// One line of `/proc/mounts`.
#[derive(Debug)]
struct Mount {
    kind: String,
    options: Vec<String>,
}

impl Mount {
    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|one| one == option)
    }
}

/// `/proc/mounts` by mount point; the last mount on a point is the one that shows.
fn parse_mounts(text: &str) -> BTreeMap<String, Mount> {
    let parse = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (point, kind, options) = (words.next()?, words.next()?, words.next()?);
        let options = options.split(',').map(String::from).collect();
        Some((point.to_owned(), Mount { kind: kind.to_owned(), options }))
    };
    text.lines().filter_map(parse).collect()
}

#[track_caller]
fn mounts_of(lab: &Lab, bundle: &mut Bundle) -> BTreeMap<String, Mount> {
    bundle.args(&["cat", "/proc/mounts"]);
    parse_mounts(&lab.output_of(bundle))
}

#[track_caller]
fn assert_mount(mounts: &BTreeMap<String, Mount>, point: &str, kind: &str, options: &[&str]) {
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
fn the_root_is_read_only_on_demand() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("touch /made 2>/dev/null; mkdir /tmp/made 2>/dev/null; ls -d /made /tmp/made 2>/dev/null; echo end");
    assert_eq!(lab.output_of(&bundle), "end\n");
    bundle.writable();
    assert_eq!(lab.output_of(&bundle), "/made\n/tmp/made\nend\n");
    assert!(bundle.rootfs().join("made").exists());
}

#[test]
fn the_default_devices() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("cd /dev; for device in null zero full random urandom tty; do stat -c '%n %F %t:%T %a %u:%g' $device; done");
    let character = |name: &str, numbers: &str| format!("{name} character special file {numbers} 666 0:0\n");
    let expected: String = [("null", "1:3"), ("zero", "1:5"), ("full", "1:7"), ("random", "1:8"), ("urandom", "1:9"), ("tty", "5:0")]
        .map(|(name, numbers)| character(name, numbers))
        .concat();
    assert_eq!(lab.output_of(&bundle), expected);
    bundle.shell("echo x > /dev/null && head -c 4 /dev/zero | od -An -tx1 && ! echo x 2>/dev/null > /dev/full && head -c 9 /dev/urandom | wc -c");
    assert_eq!(lab.output_of(&bundle), " 00 00 00 00\n9\n");
}

#[test]
fn the_default_devices_of_a_user_namespace() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.user_namespace();
    bundle.shell("cd /dev; for device in null zero full random urandom tty; do stat -c '%n %t:%T' $device; done; echo x >null");
    assert_eq!(lab.output_of(&bundle), "null 1:3\nzero 1:5\nfull 1:7\nrandom 1:8\nurandom 1:9\ntty 5:0\n");
}

#[test]
fn the_default_links() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("cd /dev; for link in fd stdin stdout stderr ptmx; do echo $link $(readlink $link); done; readlink core");
    let mut expected = "fd /proc/self/fd\nstdin /proc/self/fd/0\nstdout /proc/self/fd/1\nstderr /proc/self/fd/2\nptmx pts/ptmx\n".to_owned();
    if Path::new("/proc/kcore").exists() {
        expected += "/proc/kcore\n";
    }
    assert_eq!(lab.container(&bundle).run().stdout, expected);
}

#[test]
fn devices_of_the_document() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.push("/linux/devices", json!({"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8}));
    bundle.push("/linux/devices", json!({"path": "/dev/deep/block", "type": "b", "major": 7, "minor": 9, "fileMode": 0o600}));
    bundle.push("/linux/devices", json!({"path": "/dev/pipe", "type": "p", "fileMode": 0o622}));
    bundle.shell("cd /dev; stat -c '%n %F %t:%T %a %u:%g' mine deep/block; stat -c '%n %F %a' pipe");
    let expected = "mine character special file 1:3 640 7:8\ndeep/block block special file 7:9 600 0:0\npipe fifo 622\n";
    assert_eq!(lab.output_of(&bundle), expected);
}

#[test]
fn masked_paths() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    for (file, content) in [("etc/secret", "secret"), ("mnt/inner", "secret")] {
        fs::write(bundle.rootfs().join(file), content).expect("write a file");
    }
    bundle.set("/linux/maskedPaths", json!(["/etc/secret", "/mnt", "/nosuch", "/proc/kcore", "/sys/firmware"]));
    bundle.shell("cat /etc/secret; ls -A /mnt; touch /mnt/x 2>/dev/null || echo read-only; head -c 1 /proc/kcore | wc -c; ls -A /sys/firmware; echo end");
    assert_eq!(lab.output_of(&bundle), "read-only\n0\nend\n");
}

#[test]
fn the_default_masks() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let masked = bundle.document()["linux"]["maskedPaths"].clone();
    let paths: Vec<_> = masked.as_array().expect("masked paths").iter().filter_map(|path| path.as_str()).collect();
    assert!(paths.contains(&"/proc/kcore"));
    let script = format!("for path in {}; do if [ -d $path ]; then ls -A $path; elif [ -e $path ]; then cat $path; fi; done", paths.join(" "));
    bundle.shell(&script);
    assert_eq!(lab.output_of(&bundle), "", "masked paths show nothing");
}

#[test]
fn read_only_paths() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.writable();
    fs::create_dir(bundle.rootfs().join("ro")).expect("make a directory");
    bundle.push("/linux/readonlyPaths", json!("/ro")).push("/linux/readonlyPaths", json!("/nosuch"));
    bundle.shell("touch /ro/x 2>&1; echo a > /proc/sys/kernel/hostname; touch /rw && echo rw; cat /proc/mounts");
    let output = lab.container(&bundle).run();
    output.assert_code(0);
    assert!(output.stdout.starts_with("touch: /ro/x: Read-only file system\nrw\n"), "{output}");
    assert!(output.stderr.contains("Read-only file system"), "{output}");
    let mounts = parse_mounts(&output.stdout);
    for point in ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/ro"] {
        assert!(mounts[point].has("ro"), "{point}");
    }
}

#[test]
fn mask_and_read_only_entries_that_are_links() {
    let lab = Lab::new();
    let canary = lab.path("canary");
    fs::create_dir(&canary).expect("make a directory");
    let mut bundle = lab.bundle();
    bundle.writable();
    for name in ["m", "r"] {
        symlink(&canary, bundle.rootfs().join(name)).expect("make a link");
    }
    bundle.set("/linux/maskedPaths", json!(["/m"])).set("/linux/readonlyPaths", json!(["/r"]));
    let before = insula_tests::Snapshot::take(&lab);
    // Applied inside or refused; never outside.
    lab.container(&bundle).run();
    before.assert_clean(&lab);
    assert!(fs::write(canary.join("x"), "").is_ok());
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
    bundle.shell("cat /mnt/file /etc/single /new/deep/dir/file; echo back > /mnt/back; touch /new/deep/dir/x || echo refused");
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
    bundle.push("/mounts", json!({"destination": "/flat", "source": source.to_str(), "type": "bind", "options": ["bind"]}));
    bundle.push("/mounts", json!({"destination": "/deep", "source": source.to_str(), "type": "bind", "options": ["rbind", "rprivate"]}));
    bundle.push("/mounts", json!({"destination": "/none", "source": source.to_str(), "type": "none", "options": ["rbind", "ro"]}));
    bundle.push("/mounts", json!({"destination": "/all", "source": source.to_str(), "type": "bind", "options": ["rbind", "rro"]}));
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
    bundle.tmpfs("/absolute/made", &[]).tmpfs("/relative/made", &[]).tmpfs("/../../../dots", &[]).tmpfs("/inside/made", &[]);
    let output = lab.container(&bundle).run();
    before.assert_clean(&lab);
    assert_eq!(fs::read_dir(&canary).expect("read the canary").count(), 0, "something was made outside: {output}");
    if output.code() == 0 {
        assert!(bundle.rootfs().join("dots").is_dir());
        assert!(bundle.rootfs().join("etc/made").is_dir());
    }
}

#[test]
fn devices_that_are_links_in_the_image() {
    let lab = Lab::new();
    let canary = lab.write("canary", "precious");
    let mut bundle = lab.bundle();
    bundle.writable();
    let index = bundle.mount_index("/dev");
    for destination in ["/dev/mqueue", "/dev/shm", "/dev/pts"] {
        let index = bundle.mount_index(destination);
        bundle.remove(&format!("/mounts/{index}"));
    }
    bundle.remove(&format!("/mounts/{index}"));
    for name in ["null", "zero", "console", "ptmx", "fd", "core"] {
        symlink(&canary, bundle.rootfs().join("dev").join(name)).expect("make a link");
    }
    bundle.shell("echo overwritten > /dev/null; echo end");
    let before = insula_tests::Snapshot::take(&lab);
    lab.container(&bundle).run();
    before.assert_clean(&lab);
    assert_eq!(fs::read_to_string(canary).expect("read the canary"), "precious");
}

#[test]
fn proc_and_sys_that_are_links_in_the_image() {
    let lab = Lab::new();
    let canary = lab.path("canary");
    fs::create_dir(&canary).expect("make a directory");
    for name in ["proc", "sys"] {
        let bundle = lab.bundle();
        fs::remove_dir(bundle.rootfs().join(name)).expect("remove a directory");
        symlink("../canary", bundle.rootfs().join(name)).expect("make a link");
        let before = insula_tests::Snapshot::take(&lab);
        let output = lab.container(&bundle).run();
        output.fails_with(&[name]);
        before.assert_clean(&lab);
    }
}

#[test]
fn the_host_is_out_of_reach() {
    let lab = Lab::new();
    let marker = lab.write("marker", "host");
    let mut bundle = lab.bundle();
    // What chroot alone would leave: parents, other mounts, the old root.
    bundle.set("/process/capabilities/bounding", json!(["CAP_SYS_CHROOT", "CAP_SYS_ADMIN"]));
    bundle.set("/process/capabilities/permitted", json!(["CAP_SYS_CHROOT", "CAP_SYS_ADMIN"]));
    bundle.set("/process/capabilities/effective", json!(["CAP_SYS_CHROOT", "CAP_SYS_ADMIN"]));
    let script = format!(
        "cd ../../../..; for path in .{0} {0} /proc/1/root{0}; do test -e $path && echo found $path; done; \
         for fd in /proc/self/fd/*; do test -e $fd/../../..{0} && echo found $fd; done; ls /; cat /proc/self/mountinfo",
        marker.display()
    );
    bundle.shell(&script);
    let seen = lab.output_of(&bundle);
    let names: Vec<_> = seen.lines().take_while(|line| !line.contains(" - ")).collect();
    assert_eq!(names, ["bin", "dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp", "usr"]);
    // Every mount is the container's own: below its root, and none is the host's root.
    let mounts: Vec<_> = seen.lines().filter(|line| line.contains(" - ")).collect();
    assert!(mounts.len() > 8, "{seen}");
    for line in mounts {
        let fields: Vec<_> = line.split(' ').collect();
        let (root, point) = (fields[3], fields[4]);
        assert!(point == "/" || ["/proc", "/dev", "/sys"].iter().any(|known| point.starts_with(known)), "{line}");
        assert_eq!(point == "/", root.ends_with("/rootfs"), "{line}");
    }
}

#[test]
fn without_pivot_root() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("ls /; cat /proc/mounts");
    let container = lab.container(&bundle);
    let output = container.finish(container.launch("run").arg("--no-pivot"));
    output.assert_code(0);
    assert!(output.stdout.starts_with("bin\ndev\n"), "{output}");
    assert!(!output.stdout.contains("/run/insula-lab"), "{output}");
}

#[test]
fn roots_by_relative_and_absolute_path() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["ls", "/"]);
    let relative = lab.output_of(&bundle);
    let absolute = bundle.rootfs();
    bundle.set("/root/path", json!(absolute.to_str()));
    assert_eq!(lab.output_of(&bundle), relative);
    fs::rename(bundle.rootfs(), bundle.path().join("other")).expect("rename the root");
    bundle.set("/root/path", json!("other"));
    assert_eq!(lab.output_of(&bundle), relative);
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
        bundle.push("/mounts", json!({"destination": "/mnt", "source": source.to_str(), "type": "bind", "options": ["rbind", option]}));
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
fn the_image_is_not_changed() {
    let lab = Lab::new();
    let bundle = lab.bundle();
    let list = |path: &Path| {
        let mut names: Vec<_> = fs::read_dir(path).expect("read the root").flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    let before = (list(&bundle.rootfs()), list(&bundle.rootfs().join("dev")), list(&bundle.rootfs().join("etc")));
    lab.output_of(&bundle);
    let after = (list(&bundle.rootfs()), list(&bundle.rootfs().join("dev")), list(&bundle.rootfs().join("etc")));
    assert_eq!(before, after);
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

#[test]
fn the_working_directory_is_made() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.writable().set("/process/cwd", json!("/not/there/yet")).args(&["pwd"]);
    assert_eq!(lab.output_of(&bundle), "/not/there/yet\n");
    let made = fs::metadata(bundle.rootfs().join("not/there/yet")).expect("it was made");
    assert_eq!(made.permissions().mode() & 0o777, 0o755);
    assert_eq!((made.uid(), made.gid()), (0, 0));
}

#[test]
fn nothing_of_the_hosts_working_directory_remains() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    let pid = container.pid();
    eventually("the program to run", || {
        let command = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        (command.trim() == "sleep").then_some(())
    });
    let cwd = fs::metadata(format!("/proc/{pid}/cwd")).expect("read the working directory");
    let root = fs::metadata(format!("/proc/{pid}/root")).expect("read the root");
    assert_eq!((cwd.dev(), cwd.ino()), (root.dev(), root.ino()));
    let rootfs = fs::metadata(bundle.rootfs()).expect("read the bundle's root");
    assert_eq!((root.dev(), root.ino()), (rootfs.dev(), rootfs.ino()));
    assert_ne!(identities(pid)["mount"], insula_tests::own_identities()["mount"]);
}
