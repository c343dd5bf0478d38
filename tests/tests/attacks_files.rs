// SPDX-License-Identifier: Apache-2.0
//! Attacks by the image's tree and by whoever shares it: links, exchanges while mounts are made, odd files, descriptors.
//! Each either fails cleanly or is harmless; the canaries outside stay as they are.

use insula_tests::terminal::ConsoleSocket;
use insula_tests::{Bundle, Donor, Lab, Snapshot, json, race, runtime, while_exchanging};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// An empty directory outside every root file system.
fn canary(lab: &Lab) -> PathBuf {
    let canary = lab.path("canary");
    fs::create_dir(&canary).expect("make the canary");
    canary
}

fn assert_empty(directory: &Path) {
    let entries: Vec<_> =
        fs::read_dir(directory).expect("list the canary").flatten().map(|entry| entry.path()).collect();
    assert!(entries.is_empty(), "made outside the root: {entries:?}");
}

/// Bites a runtime that makes mount points by path on the host (CVE-2021-30465, CVE-2024-45310).
#[test]
fn a_volume_exchanged_for_a_link_while_mounts_are_made() {
    let lab = Lab::new();
    let canary = canary(&lab);
    let mut bundle = lab.bundle();
    let file = lab.write("file", "x");
    let (volume, swap) = (bundle.rootfs().join("vol"), bundle.rootfs().join("swp"));
    fs::create_dir(&volume).expect("make the volume");
    symlink("../../canary", &swap).expect("make the link");
    fs::create_dir(bundle.rootfs().join("canary")).expect("make what the link means inside");
    for name in ["a", "b", "deep/er/still"] {
        bundle.tmpfs(&format!("/vol/{name}"), &[]);
    }
    for name in ["f0", "f1", "new/f2"] {
        bundle.bind(&file, &format!("/vol/{name}"), &["ro"]);
    }
    let mut codes = Vec::new();
    while_exchanging(&volume, &swap, || {
        for _ in race() {
            codes.push(lab.container(&bundle).run().code());
        }
    });
    assert!(codes.len() > 3 && codes.iter().all(|code| [0, 1].contains(code)), "{codes:?}");
    assert_empty(&canary);
}

/// Bites a runtime that looks at /proc once and mounts by name later.
#[test]
fn proc_exchanged_for_a_link() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    fs::create_dir_all(bundle.rootfs().join("vol/fake")).expect("make the link's target");
    let (proc, swap) = (bundle.rootfs().join("proc"), bundle.rootfs().join("swp"));
    symlink("/vol/fake", &swap).expect("make the link");
    bundle.shell("for f in /proc /swp /vol/fake; do [ -e $f/self/mounts ] && grep ' proc ' $f/self/mounts; done; true");
    while_exchanging(&proc, &swap, || {
        for _ in race() {
            let output = lab.container(&bundle).run();
            assert!([0, 1, 127].contains(&output.code()), "{output}");
            assert!(!output.stdout.contains(" /vol/fake "), "procfs went where the link points: {output}");
        }
    });
    assert_empty(&bundle.rootfs().join("vol/fake"));
}

/// Bites a runtime that makes nodes and links below `rootfs/dev` by path (CVE-2026-41579).
#[test]
fn dev_is_a_link() {
    let lab = Lab::new();
    let canary = canary(&lab);
    for target in [canary.to_str().expect("paths are text"), "../../canary", "../../../../../../../canary"] {
        for mounted in [true, false] {
            let mut bundle = lab.bundle();
            fs::remove_dir(bundle.rootfs().join("dev")).expect("remove /dev");
            symlink(target, bundle.rootfs().join("dev")).expect("make the link");
            if !mounted {
                without_mounts_on_dev(&mut bundle);
            }
            let output = lab.container(&bundle).run();
            assert!([0, 1].contains(&output.code()), "{output}");
            assert_empty(&canary);
        }
    }
}

fn without_mounts_on_dev(bundle: &mut Bundle) {
    let mounts = bundle.document()["mounts"].as_array().expect("mounts").clone();
    let kept: Vec<_> =
        mounts.into_iter().filter(|mount| !mount["destination"].as_str().expect("text").starts_with("/dev")).collect();
    bundle.set("/mounts", json!(kept));
}

/// Bites a runtime that reopens standard streams that are /dev/null by the container's own /dev/null.
#[test]
fn the_images_null_device_is_a_link() {
    let lab = Lab::new();
    let precious = lab.write("precious", "precious");
    let before = Snapshot::take(&lab);
    for target in [precious.to_str().expect("paths are text"), "/proc/sys/kernel/core_pattern", "/etc/passwd"] {
        let mut bundle = lab.bundle();
        without_mounts_on_dev(&mut bundle);
        bundle.set("/linux/readonlyPaths", json!([]));
        symlink(target, bundle.rootfs().join("dev/null")).expect("make the link");
        bundle.args(&["echo", "|/tmp/x"]);
        lab.container(&bundle).run().fails_with(&["/dev/null"]);
        assert_eq!(fs::read_to_string(&precious).expect("read"), "precious");
        assert!(
            fs::read_to_string(bundle.rootfs().join("etc/passwd")).expect("read").contains("root"),
            "written inside"
        );
        fs::remove_dir_all(bundle.path()).expect("remove the bundle");
    }
    before.assert_clean(&lab);
}

/// The hook runs after the mounts: what it puts in the place of /dev/null must not become the mask (CVE-2025-31133).
#[test]
fn the_mask_is_no_name_of_the_image() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let null = bundle.rootfs().join("dev/null");
    let hook = lab.script("hook", &format!("rm -f {0}; ln -s /proc/sys/kernel/core_pattern {0}", null.display()));
    bundle.set("/hooks/createContainer", json!([{"path": hook.to_str()}]));
    bundle
        .set("/linux/readonlyPaths", json!([]))
        .set("/linux/maskedPaths", json!(["/proc/version", "/proc/timer_list"]));
    bundle.shell(
        "ls -l /dev/null | grep -q core_pattern && echo swapped; stat -c '%F %t:%T' /proc/version /proc/timer_list",
    );
    let mask = "character special file 1:3\n";
    assert_eq!(lab.output_of(&bundle), format!("swapped\n{mask}{mask}"));
}

/// Bites a runtime that opens /dev/console by name (CVE-2025-52565).
#[test]
fn the_console_is_a_link() {
    let lab = Lab::new();
    let canary = canary(&lab);
    let precious = lab.write("precious", "precious");
    let missing = canary.join("made");
    for target in [&precious, &missing] {
        let mut bundle = lab.bundle();
        without_mounts_on_dev(&mut bundle);
        bundle.push(
            "/mounts",
            json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance"]}),
        );
        symlink(target, bundle.rootfs().join("dev/console")).expect("make the link");
        bundle.set("/process/terminal", json!(true));
        let socket = ConsoleSocket::bind(lab.path(lab.fresh_id()));
        let container = lab.container(&bundle);
        let output = container.finish(container.launch("create").arg("--console-socket").arg(socket.path()));
        assert!([0, 1].contains(&output.code()), "{output}");
        assert_eq!(fs::read_to_string(&precious).expect("read"), "precious");
        assert_empty(&canary);
    }
}

/// What lies over parts of procfs would feed false facts to whoever enters (CVE-2019-16884).
#[test]
fn mounts_over_parts_of_procfs() {
    let lab = Lab::new();
    let directory = canary(&lab);
    for (link, destination) in [
        (None, "/proc/self/attr"),
        (None, "/proc/sys"),
        (None, "/proc/sys/kernel"),
        (None, "/proc/1"),
        (None, "/./proc//self/../sys"),
        (Some("/proc/sys"), "/link"),
        (Some("/proc"), "/link/self/attr"),
    ] {
        for bind in [false, true] {
            let mut bundle = lab.bundle();
            if let Some(target) = link {
                symlink(target, bundle.rootfs().join("link")).expect("make the link");
            }
            if bind {
                bundle.bind(&directory, destination, &[]);
            } else {
                bundle.tmpfs(destination, &[]);
            }
            assert_eq!(lab.container(&bundle).run().code(), 1, "{destination} bind {bind}");
        }
    }
    let mut bundle = lab.bundle();
    bundle.bind(&directory, "/proc", &[]);
    lab.container(&bundle).run().fails_with(&["/proc"]);
}

#[test]
fn odd_destinations_stay_inside() {
    let lab = Lab::new();
    let canary = canary(&lab);
    let outside = format!("/../../../../../..{}/x", canary.display());
    let deep = "/d".repeat(300);
    let long = format!("/{}", "l".repeat(5000));
    for destination in ["/../../x", &outside, "/a/..", "/tmp/.", "//", "/a/../../b", &deep, &long, "/dev/pts/.."] {
        let mut bundle = lab.bundle();
        bundle.tmpfs(destination, &[]);
        let output = lab.container(&bundle).run();
        assert!([0, 1].contains(&output.code()), "{destination:.40}: {output}");
        assert_empty(&canary);
        fs::remove_dir_all(bundle.path()).expect("nothing is mounted in the bundle");
    }
}

/// Kernel parameters leave procfs by no spelling, and a shared host name stays.
#[test]
fn kernel_parameters_by_other_spellings() {
    let lab = Lab::new();
    for name in [
        "net/../kernel/core_pattern",
        "net.ipv4.../../kernel.core_pattern",
        "net/ipv4/../../kernel/core_pattern",
        "net//../kernel/core_pattern",
        "fs/mqueue/../../kernel/core_pattern",
        "kernel.core_pattern",
        "kernel/core_pattern",
        "",
        "/",
    ] {
        let mut bundle = lab.bundle();
        bundle.set("/linux/sysctl", json!({name: "insula-was-here"}));
        assert_eq!(lab.container(&bundle).run().code(), 1, "{name:?}");
    }
    let donor = Donor::new(&lab, &["uts"]);
    let name = || fs::read_to_string("/proc/sys/kernel/hostname").expect("read the host name");
    let host = name();
    for spelling in ["kernel.hostname", "kernel/hostname", "kernel.domainname", "kernel/domainname"] {
        let mut bundle = lab.bundle();
        bundle.join("uts", donor.path("uts")).remove("/hostname").set("/linux/sysctl", json!({spelling: "taken"}));
        bundle.args(&["hostname"]);
        let output = lab.container(&bundle).run();
        assert_eq!(output.code(), 1, "{spelling}: {output}");
    }
    assert_eq!(name(), host);
}

/// Bites a runtime that leaves descriptors open and takes the directory by name (CVE-2024-21626).
#[test]
fn working_directories_that_are_descriptors() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    symlink("/proc/self/fd", bundle.rootfs().join("w")).expect("make the link");
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    for number in 3..20 {
        for cwd in [format!("/proc/self/fd/{number}"), format!("/w/{number}")] {
            let script = "exec 7</ 8</etc 9<.; exec \"$@\"";
            let exec = lab.shell(script, &[runtime()]).arg("--root").arg(lab.state_root());
            let output = exec.args(["exec", "--cwd", &cwd]).arg(container.id()).arg("pwd").run();
            assert_ne!(output.code(), 0, "{cwd}: {output}");
        }
    }
}

/// A hook gets its three standard streams and nothing of the caller's or the runtime's.
#[test]
fn descriptors_of_hooks() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let list = lab.path("list");
    let hook =
        lab.script("hook", &format!("cat > {0}/state; ls /proc/$$/fd >> {1}", lab.path("").display(), list.display()));
    for kind in ["prestart", "createRuntime", "poststart", "poststop"] {
        bundle.set(&format!("/hooks/{kind}"), json!([{"path": hook.to_str()}]));
    }
    let script = "for ((n = 3; n < 60; n++)); do eval \"exec $n</\"; done; exec \"$@\"";
    let run = lab.command("bash").args(["-c", script, "bash"]).arg(runtime()).arg("--root").arg(lab.state_root());
    run.args(["run", "--bundle"]).arg(bundle.path()).arg(lab.fresh_id()).run().assert_code(0);
    // Shells keep their script and their own output at 10, 11 or 255.
    let text = fs::read_to_string(&list).expect("the hooks ran");
    let foreign: Vec<_> = text.lines().filter(|number| !["0", "1", "2", "10", "11", "255"].contains(number)).collect();
    assert!(foreign.is_empty(), "{text}");
    assert_eq!(text.lines().filter(|number| *number == "0").count(), 4, "four hooks: {text}");
}

/// The image's own program as a startContainer hook has the process's rights, not the caller's.
#[test]
fn hooks_of_the_image_have_no_more_than_the_process() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.writable();
    let show = "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Uid|Gid' /proc/self/status";
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("{show} > /tmp/hook")]}]);
    bundle.set("/hooks/startContainer", hook);
    for uid in [0, 1000] {
        bundle.set("/process/user", json!({"uid": uid, "gid": uid}));
        bundle.shell(&format!("{show} > /tmp/process; cat /tmp/process; cat /tmp/hook"));
        bundle.tmpfs("/tmp", &["mode=1777"]);
        let output = lab.output_of(&bundle);
        let lines: Vec<_> = output.lines().collect();
        assert_eq!(lines.len(), 16, "{output}");
        assert_eq!(lines[..8], lines[8..], "{output}");
    }
}
