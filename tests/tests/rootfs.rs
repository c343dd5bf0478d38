// SPDX-License-Identifier: Apache-2.0
//! The root file system as the container sees it, and what of the host it does not see.

use insula_tests::{Lab, eventually, identities, json, parse_mounts};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

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
    bundle.shell(
        "cd /dev; for device in null zero full random urandom tty; do stat -c '%n %F %t:%T %a %u:%g' $device; done",
    );
    let character = |name: &str, numbers: &str| format!("{name} character special file {numbers} 666 0:0\n");
    let expected: String =
        [("null", "1:3"), ("zero", "1:5"), ("full", "1:7"), ("random", "1:8"), ("urandom", "1:9"), ("tty", "5:0")]
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
    bundle.shell(
        "cd /dev; for device in null zero full random urandom tty; do stat -c '%n %t:%T' $device; done; echo x >null",
    );
    assert_eq!(lab.output_of(&bundle), "null 1:3\nzero 1:5\nfull 1:7\nrandom 1:8\nurandom 1:9\ntty 5:0\n");
}

#[test]
fn the_default_links() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell(
        "cd /dev; for link in fd stdin stdout stderr ptmx; do echo $link $(readlink $link); done; readlink core",
    );
    let mut expected =
        "fd /proc/self/fd\nstdin /proc/self/fd/0\nstdout /proc/self/fd/1\nstderr /proc/self/fd/2\nptmx pts/ptmx\n"
            .to_owned();
    if Path::new("/proc/kcore").exists() {
        expected += "/proc/kcore\n";
    }
    assert_eq!(lab.container(&bundle).run().stdout, expected);
}

#[test]
fn devices_of_the_document() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.push(
        "/linux/devices",
        json!({"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8}),
    );
    bundle.push(
        "/linux/devices",
        json!({"path": "/dev/deep/block", "type": "b", "major": 7, "minor": 9, "fileMode": 0o600}),
    );
    bundle.push("/linux/devices", json!({"path": "/dev/pipe", "type": "p", "fileMode": 0o622}));
    bundle.shell("cd /dev; stat -c '%n %F %t:%T %a %u:%g' mine deep/block; stat -c '%n %F %a' pipe");
    let expected =
        "mine character special file 1:3 640 7:8\ndeep/block block special file 7:9 600 0:0\npipe fifo 622\n";
    assert_eq!(lab.output_of(&bundle), expected);
}

/// Engines list it with the others: it is the container's own, which the link of the specification leads to.
#[test]
fn the_terminals_multiplexer_is_the_containers_own() {
    let lab = Lab::new();
    for user in [false, true] {
        let mut bundle = lab.bundle();
        if user {
            bundle.user_namespace();
        }
        bundle.push("/linux/devices", json!({"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2}));
        bundle.shell("readlink /dev/ptmx; stat -L -c '%t:%T %a %u:%g' /dev/ptmx");
        assert_eq!(lab.output_of(&bundle), "pts/ptmx\n5:2 666 0:0\n", "a user namespace: {user}");
    }
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

/// One empty file system covers them all, as runc has it: a container with a hundred masked directories takes no more than
/// one of them of the kernel's memory.
#[test]
fn masked_directories_share_one_file_system() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let masked = ["/mnt/a", "/mnt/b", "/proc/acpi", "/mnt/c", "/sys/firmware"];
    for directory in ["a", "b", "c"] {
        fs::create_dir(bundle.rootfs().join("mnt").join(directory)).expect("make a directory");
    }
    for count in [2, masked.len()] {
        bundle.set("/linux/maskedPaths", json!(masked[..count]));
        bundle.shell("for path in /mnt/a /mnt/b /mnt/c; do stat -c %d $path; done");
        let found = lab.output_of(&bundle);
        let lines: Vec<_> = found.lines().collect();
        assert_eq!(lines[0], lines[1], "{found}");
        assert_eq!(lines[0] == lines[2], count > 3, "{found}");
    }
}

#[test]
fn the_default_masks() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let masked = bundle.document()["linux"]["maskedPaths"].clone();
    let paths: Vec<_> = masked.as_array().expect("masked paths").iter().filter_map(|path| path.as_str()).collect();
    assert!(paths.contains(&"/proc/kcore"));
    let script = format!(
        "for path in {}; do if [ -d $path ]; then ls -A $path; elif [ -e $path ]; then cat $path; fi; done",
        paths.join(" ")
    );
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

#[test]
fn the_image_is_not_changed() {
    let lab = Lab::new();
    let bundle = lab.bundle();
    let list = |path: &Path| {
        let mut names: Vec<_> =
            fs::read_dir(path).expect("read the root").flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    let before = (list(&bundle.rootfs()), list(&bundle.rootfs().join("dev")), list(&bundle.rootfs().join("etc")));
    lab.output_of(&bundle);
    let after = (list(&bundle.rootfs()), list(&bundle.rootfs().join("dev")), list(&bundle.rootfs().join("etc")));
    assert_eq!(before, after);
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
