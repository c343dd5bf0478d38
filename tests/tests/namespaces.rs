// SPDX-License-Identifier: Apache-2.0
//! The eight kinds of namespaces, each new, joined and inherited, as the kernel sees them.

use insula_tests::{
    Bundle, Container, Donor, Identities, Identity, KINDS, Lab, eventually, identities, json, own_identities,
    parse_json,
};
use std::fs;
use std::path::Path;

/// What a container's namespace of some kind must be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expect {
    /// Another than the runtime's and the donors'.
    New,
    /// Exactly this one.
    Same(Identity),
}

/// Compares all eight kinds: those listed in `plan` as expected, all others inherited from this test.
#[track_caller]
fn assert_namespaces(container: &Container<'_>, plan: &[(&str, Expect)]) {
    let (inside, own) = (identities(container.pid()), own_identities());
    for (kind, _) in KINDS {
        let expected =
            plan.iter().find(|(planned, _)| *planned == kind).map_or(Expect::Same(own[kind]), |entry| entry.1);
        match expected {
            Expect::New => assert_ne!(inside[kind], own[kind], "the {kind} namespace is the host's"),
            Expect::Same(identity) => assert_eq!(inside[kind], identity, "the {kind} namespace is another"),
        }
    }
    assert_for_children(container.pid(), &inside);
}

/// The program's children must get the namespaces that it has itself.
#[track_caller]
fn assert_for_children(pid: i32, inside: &Identities) {
    for kind in ["pid", "time"] {
        let path = format!("/proc/{pid}/ns/{kind}_for_children");
        assert_eq!(Identity::at(Path::new(&path)), inside[kind], "{kind}_for_children differs");
    }
}

/// A sleeping container with new namespaces of exactly `kinds`.
fn sleeper(lab: &Lab, kinds: &[&str]) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.set("/linux/namespaces", json!([])).args(&["sleep", "60"]);
    for kind in kinds {
        bundle.namespace(kind);
    }
    if !kinds.contains(&"uts") && bundle.document().pointer("/hostname").is_some() {
        bundle.remove("/hostname");
    }
    bundle
}

#[test]
fn each_kind_new_and_the_others_inherited() {
    let lab = Lab::new();
    for kind in ["cgroup", "ipc", "network", "pid", "time", "uts"] {
        let container = lab.container(&sleeper(&lab, &["mount", kind])).created();
        assert_namespaces(&container, &[("mount", Expect::New), (kind, Expect::New)]);
        container.start().assert_code(0);
        assert_namespaces(&container, &[("mount", Expect::New), (kind, Expect::New)]);
    }
}

#[test]
fn a_mount_namespace_alone() {
    let lab = Lab::new();
    let container = lab.container(&sleeper(&lab, &["mount"])).detached();
    assert_namespaces(&container, &[("mount", Expect::New)]);
}

#[test]
fn a_user_namespace_with_what_it_needs() {
    let lab = Lab::new();
    let kinds = ["user", "mount", "pid", "network", "ipc", "uts"];
    let mut bundle = sleeper(&lab, &kinds);
    bundle.user_namespace();
    let container = lab.container(&bundle).detached();
    assert_namespaces(&container, &kinds.map(|kind| (kind, Expect::New)));
}

#[test]
fn a_user_namespace_over_the_hosts_others() {
    let lab = Lab::new();
    let kinds = ["user", "mount", "pid"];
    let mut bundle = sleeper(&lab, &kinds);
    bundle.user_namespace();
    let container = lab.container(&bundle).detached();
    assert_namespaces(&container, &kinds.map(|kind| (kind, Expect::New)));
}

#[test]
fn all_eight_new() {
    let lab = Lab::new();
    let kinds = KINDS.map(|(kind, _)| kind);
    let mut bundle = sleeper(&lab, &kinds);
    bundle.user_namespace();
    let container = lab.container(&bundle).created();
    assert_namespaces(&container, &kinds.map(|kind| (kind, Expect::New)));
    container.start().assert_code(0);
    assert_namespaces(&container, &kinds.map(|kind| (kind, Expect::New)));
    // What the container sees of itself.
    let links = container.inside("for link in /proc/1/ns/*; do readlink $link; done");
    for identity in identities(container.pid()).values() {
        assert!(links.contains(&format!("[{}]", identity.inode)), "{links}");
    }
}

#[test]
fn all_eight_new_without_a_user_namespace() {
    let lab = Lab::new();
    let kinds = ["mount", "pid", "network", "ipc", "uts", "cgroup", "time"];
    let container = lab.container(&sleeper(&lab, &kinds)).detached();
    assert_namespaces(&container, &kinds.map(|kind| (kind, Expect::New)));
}

#[test]
fn none_new_but_what_a_root_file_system_needs() {
    let lab = Lab::new();
    let mut bundle = sleeper(&lab, &["mount"]);
    bundle.args(&["readlink", "/proc/self/ns/net"]);
    let own = own_identities()["network"].inode;
    assert_eq!(lab.output_of(&bundle), format!("net:[{own}]\n"));
}

/// The kinds that can be joined on their own.
const JOINABLE: [&str; 6] = ["cgroup", "ipc", "network", "pid", "time", "uts"];

#[test]
fn each_kind_joined_from_a_process() {
    let lab = Lab::new();
    for kind in JOINABLE {
        let donor = Donor::new(&lab, &[kind]);
        let mut bundle = sleeper(&lab, &["mount"]);
        bundle.join(kind, donor.path(kind));
        let container = lab.container(&bundle).detached();
        let target = identities(donor.pid())[kind];
        assert_ne!(target, own_identities()[kind]);
        assert_namespaces(&container, &[("mount", Expect::New), (kind, Expect::Same(target))]);
    }
}

#[test]
fn each_kind_joined_from_a_bind_mount() {
    let lab = Lab::new();
    for kind in JOINABLE {
        let donor = Donor::new(&lab, &[kind]);
        let target = identities(donor.pid())[kind];
        let pin = lab.pin(&donor.path(kind), kind);
        // A pid namespace ends with its first process; all others live on in the pin alone.
        let _keep = (kind == "pid").then_some(donor);
        let mut bundle = sleeper(&lab, &["mount"]);
        bundle.join(kind, &pin);
        let container = lab.container(&bundle).detached();
        assert_namespaces(&container, &[("mount", Expect::New), (kind, Expect::Same(target))]);
    }
}

#[test]
fn each_kind_joined_from_another_container() {
    let lab = Lab::new();
    let donor = lab.container(&sleeper(&lab, &["mount", "pid", "network", "ipc", "uts", "cgroup", "time"])).detached();
    let targets = identities(donor.pid());
    for kind in JOINABLE {
        let mut bundle = sleeper(&lab, &["mount"]);
        bundle.join(kind, donor.namespace_path(kind));
        let container = lab.container(&bundle).detached();
        assert_namespaces(&container, &[("mount", Expect::New), (kind, Expect::Same(targets[kind]))]);
    }
    let mut bundle = sleeper(&lab, &["mount"]);
    for kind in JOINABLE {
        bundle.join(kind, donor.namespace_path(kind));
    }
    let container = lab.container(&bundle).detached();
    let mut plan: Vec<_> = JOINABLE.iter().map(|&kind| (kind, Expect::Same(targets[kind]))).collect();
    plan.push(("mount", Expect::New));
    assert_namespaces(&container, &plan);
}

#[test]
fn the_order_of_the_list_does_not_matter() {
    let lab = Lab::new();
    let donor = Donor::new(&lab, &["network", "ipc", "pid"]);
    let targets = identities(donor.pid());
    for order in [["network", "ipc", "pid"], ["pid", "network", "ipc"], ["ipc", "pid", "network"]] {
        let mut bundle = sleeper(&lab, &["uts"]);
        for kind in order {
            bundle.join(kind, donor.path(kind));
        }
        bundle.namespace("mount");
        let container = lab.container(&bundle).detached();
        let mut plan: Vec<_> = order.iter().map(|&kind| (kind, Expect::Same(targets[kind]))).collect();
        plan.extend([("mount", Expect::New), ("uts", Expect::New)]);
        assert_namespaces(&container, &plan);
    }
}

/// Joins go by way of an intermediate process, which must never be taken for the container's.
#[test]
fn the_process_is_the_right_one_every_time() {
    let lab = Lab::new();
    let donor = Donor::new(&lab, &["ipc", "pid"]);
    let targets = identities(donor.pid());
    let mut bundle = sleeper(&lab, &["mount", "uts"]);
    bundle.join("ipc", donor.path("ipc")).join("pid", donor.path("pid"));
    let told = lab.path("told");
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", format!("cat > {}", told.display())]});
    bundle.set("/hooks/prestart", json!([hook]));
    for round in 0..50 {
        let container = lab.container(&bundle).created();
        let state = parse_json(fs::read(&told).expect("the hook has run"));
        assert_eq!(state["pid"], container.pid(), "round {round}");
        let inside = identities(container.pid());
        assert_eq!((inside["ipc"], inside["pid"]), (targets["ipc"], targets["pid"]), "round {round}");
        container.delete_force().assert_code(0);
    }
}

#[test]
fn a_user_namespace_joined() {
    let lab = Lab::new();
    let donor = Donor::new(&lab, &["user"]);
    let pin = lab.pin(&donor.path("user"), "user");
    for path in [donor.path("user"), pin] {
        let mut bundle = sleeper(&lab, &["mount", "pid", "network", "ipc", "uts"]);
        bundle.user_namespace().remove("/linux/uidMappings").remove("/linux/gidMappings").join("user", path);
        let container = lab.container(&bundle).detached();
        let mut plan = ["mount", "pid", "network", "ipc", "uts"].map(|kind| (kind, Expect::New)).to_vec();
        plan.push(("user", Expect::Same(identities(donor.pid())["user"])));
        assert_namespaces(&container, &plan);
        assert_eq!(container.inside("id -u"), "0\n");
        let status = fs::read_to_string(format!("/proc/{}/status", container.pid())).expect("read the status");
        assert!(status.contains("Uid:\t100000\t100000\t100000\t100000"), "root inside is nobody outside: {status}");
    }
}

#[test]
fn a_user_namespace_joined_with_namespaces_that_it_owns() {
    let lab = Lab::new();
    let kinds = ["user", "network", "ipc", "uts", "pid"];
    let donor = Donor::new(&lab, &kinds);
    let targets = identities(donor.pid());
    let mut bundle = sleeper(&lab, &["mount"]);
    bundle.user_namespace().remove("/linux/uidMappings").remove("/linux/gidMappings");
    for kind in kinds {
        bundle.join(kind, donor.path(kind));
    }
    let container = lab.container(&bundle).detached();
    let mut plan: Vec<_> = kinds.iter().map(|&kind| (kind, Expect::Same(targets[kind]))).collect();
    plan.push(("mount", Expect::New));
    assert_namespaces(&container, &plan);
}

#[test]
fn a_new_user_namespace_with_a_joined_network() {
    // The network's owner is the host, so it must be joined first, and sysfs mounted before the user namespace.
    let lab = Lab::new();
    let donor = Donor::new(&lab, &["network"]);
    let mut bundle = sleeper(&lab, &["mount", "pid", "ipc", "uts"]);
    bundle.user_namespace().join("network", donor.path("network"));
    let container = lab.container(&bundle).detached();
    let mut plan = ["user", "mount", "pid", "ipc", "uts"].map(|kind| (kind, Expect::New)).to_vec();
    plan.push(("network", Expect::Same(identities(donor.pid())["network"])));
    assert_namespaces(&container, &plan);
}

/// Takes everything out of the document that would be mounted, which only a mount namespace of its own can hold.
fn without_mounts(bundle: &mut Bundle) -> &mut Bundle {
    for pointer in ["/mounts", "/linux/maskedPaths", "/linux/readonlyPaths"] {
        bundle.remove(pointer);
    }
    bundle.writable()
}

#[test]
fn a_mount_namespace_joined() {
    let lab = Lab::new();
    let pinned = || {
        let donor = Donor::new(&lab, &["mount"]);
        lab.try_pin(&donor.path("mount"), "mount").ok().map(|pin| (donor, pin))
    };
    let (donor, pin) = eventually("a mount namespace that can be pinned", pinned);
    let table = format!("/proc/{}/mountinfo", donor.pid());
    let before = fs::read_to_string(&table).expect("read the donor's mounts");
    for path in [donor.path("mount"), pin] {
        let mut bundle = sleeper(&lab, &["uts"]);
        without_mounts(&mut bundle).join("mount", path);
        let container = lab.container(&bundle).detached();
        let target = Expect::Same(identities(donor.pid())["mount"]);
        assert_namespaces(&container, &[("uts", Expect::New), ("mount", target)]);
        assert_eq!(fs::read_to_string(&table).expect("read the donor's mounts"), before);
    }
}

#[test]
fn a_mount_namespace_inherited() {
    let lab = Lab::new();
    let mut bundle = sleeper(&lab, &["uts"]);
    without_mounts(&mut bundle);
    let container = lab.container(&bundle).detached();
    assert_namespaces(&container, &[("uts", Expect::New)]);
}

#[test]
fn a_foreign_mount_namespace_is_never_changed() {
    let lab = Lab::new();
    let donor = Donor::new(&lab, &["mount"]);
    let table = format!("/proc/{}/mountinfo", donor.pid());
    let before = fs::read_to_string(&table).expect("read the donor's mounts");
    let mut bundle = sleeper(&lab, &["pid", "uts"]);
    bundle.join("mount", donor.path("mount"));
    let container = lab.container(&bundle);
    container.create().fails_with(&["/mounts", "mount namespace"]);
    assert_eq!(fs::read_to_string(&table).expect("read the donor's mounts"), before);
}

#[test]
fn the_own_namespace_by_path_is_inherited() {
    let lab = Lab::new();
    let mut bundle = sleeper(&lab, &["mount"]);
    for (kind, name) in KINDS.into_iter().filter(|(kind, _)| JOINABLE.contains(kind)) {
        bundle.join(kind, format!("/proc/self/ns/{name}"));
    }
    let container = lab.container(&bundle).detached();
    assert_namespaces(&container, &[("mount", Expect::New)]);
}

#[test]
fn odd_but_right_paths() {
    let lab = Lab::new();
    let donor = Donor::new(&lab, &["network"]);
    let target = Expect::Same(identities(donor.pid())["network"]);
    let pin = lab.pin(&donor.path("network"), "with,comma and space:colon");
    let link = lab.path("link");
    std::os::unix::fs::symlink(&pin, &link).expect("make a link");
    for path in [pin, link] {
        let mut bundle = sleeper(&lab, &["mount"]);
        bundle.join("network", path);
        let container = lab.container(&bundle).detached();
        assert_namespaces(&container, &[("mount", Expect::New), ("network", target)]);
    }
}

#[test]
fn user_mappings_seen_from_inside_and_outside() {
    let lab = Lab::new();
    let mut bundle = sleeper(&lab, &["user", "mount", "pid", "network", "ipc", "uts"]);
    bundle.user_namespace().writable().shell("touch /made; sleep 60");
    bundle.set(
        "/linux/uidMappings",
        json!([
            {"containerID": 0, "hostID": 100_000, "size": 1000},
            {"containerID": 1000, "hostID": 300_000, "size": 1},
        ]),
    );
    let container = lab.container(&bundle).detached();
    let squeeze = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeeze(container.inside("cat /proc/self/uid_map")), "0 100000 1000 1000 300000 1");
    assert_eq!(squeeze(container.inside("cat /proc/self/gid_map")), "0 100000 65536");
    assert_eq!(container.inside("id -u; id -g"), "0\n0\n");
    let made = bundle.rootfs().join("made");
    let owner = eventually("the container to make a file", || fs::metadata(&made).ok());
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), 100_000);
    let pid_file = lab.path("pid");
    let exec = lab.insula().args(["exec", "--user", "1000", "--detach", "--pid-file"]).arg(&pid_file);
    exec.arg(container.id()).args(["sleep", "62"]).ok();
    let pid = fs::read_to_string(pid_file).expect("the pid file is written");
    let process = fs::metadata(format!("/proc/{pid}")).expect("the process runs");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&process), 300_000);
    let root = fs::metadata(format!("/proc/{}", container.pid())).expect("the process runs");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&root), 100_000);
}

#[test]
fn host_and_domain_names() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/hostname", json!("island")).set("/domainname", json!("sea.example"));
    bundle.shell("hostname; cat /proc/sys/kernel/domainname");
    assert_eq!(lab.output_of(&bundle), "island\nsea.example\n");
}

#[test]
fn host_names_of_the_greatest_length() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let name = "n".repeat(64);
    bundle.set("/hostname", json!(name)).args(&["hostname"]);
    assert_eq!(lab.output_of(&bundle).trim(), name);
}

#[test]
fn clocks_shifted_by_offsets() {
    let lab = Lab::new();
    let mut bundle = sleeper(&lab, &["mount", "pid", "time"]);
    bundle.set(
        "/linux/timeOffsets",
        json!({
            "monotonic": {"secs": 172_800, "nanosecs": 5},
            "boottime": {"secs": 1_000_000, "nanosecs": 0},
        }),
    );
    bundle.args(&["cat", "/proc/self/timens_offsets", "/proc/uptime"]);
    let uptime =
        |text: &str| -> f64 { text.split_whitespace().next().and_then(|word| word.parse().ok()).expect("seconds") };
    let before = uptime(&fs::read_to_string("/proc/uptime").expect("read the uptime"));
    let seen = lab.output_of(&bundle);
    let words: Vec<Vec<_>> = seen.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["monotonic", "172800", "5"]);
    assert_eq!(words[1], ["boottime", "1000000", "0"]);
    let shift = uptime(words[2][0]) - before;
    assert!((999_999.0..1_000_100.0).contains(&shift), "the uptime is shifted by {shift} s");
}

#[test]
fn negative_offsets_and_offsets_in_a_user_namespace() {
    let lab = Lab::new();
    let kinds = KINDS.map(|(kind, _)| kind);
    let mut bundle = sleeper(&lab, &kinds);
    bundle.user_namespace().set("/linux/timeOffsets", json!({"boottime": {"secs": -5, "nanosecs": 1}}));
    bundle.args(&["cat", "/proc/self/timens_offsets"]);
    let seen = lab.output_of(&bundle);
    let boottime: Vec<_> = seen.lines().nth(1).expect("two lines").split_whitespace().collect();
    assert_eq!(boottime, ["boottime", "-5", "1"]);
}

#[test]
fn loopback_is_up_in_a_new_network() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("ip addr show lo; ls /sys/class/net");
    let seen = lab.output_of(&bundle);
    assert!(seen.contains("LOOPBACK,UP") && seen.contains("127.0.0.1/8"), "{seen}");
    assert!(!seen.contains("eth0"), "the host's interfaces are hidden: {seen}");
}

#[test]
fn loopback_is_up_in_a_new_network_of_a_user_namespace() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.user_namespace().shell("ip addr show lo");
    let seen = lab.output_of(&bundle);
    assert!(seen.contains("LOOPBACK,UP"), "{seen}");
}

#[test]
fn a_joined_network_is_left_alone() {
    let lab = Lab::new();
    let donor = Donor::new(&lab, &["network"]);
    let mut bundle = sleeper(&lab, &["mount"]);
    bundle.join("network", donor.path("network")).args(&["ip", "link", "show", "lo"]);
    let seen = lab.output_of(&bundle);
    assert!(seen.contains("LOOPBACK") && !seen.contains("UP"), "nobody asked for loopback there: {seen}");
}

#[test]
fn processes_are_hidden_by_a_new_pid_namespace() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell("echo $$; ps -o pid,comm | tail -n +2 | wc -l; ls -d /proc/[0-9]* | head -1");
    let seen = lab.output_of(&bundle);
    let lines: Vec<_> = seen.lines().map(str::trim).collect();
    assert_eq!(lines[0], "1");
    assert!(lines[1].parse::<u32>().expect("a count") <= 5, "only its own processes: {seen}");
    assert_eq!(lines[2], "/proc/1");
}

#[test]
fn a_joined_pid_namespace_shows_both() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "64"]);
    let donor = lab.container(&bundle).detached();
    let mut bundle = sleeper(&lab, &["mount"]);
    bundle.join("pid", donor.namespace_path("pid")).shell("echo $$; ps -o pid,args");
    let seen = lab.output_of(&bundle);
    assert_ne!(seen.lines().next(), Some("1"));
    assert!(seen.contains("sleep 64"), "{seen}");
}

#[test]
fn cgroup_paths_are_hidden_by_a_new_cgroup_namespace() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.namespace("cgroup").args(&["cat", "/proc/self/cgroup"]);
    let seen = lab.output_of(&bundle);
    assert!(seen.lines().all(|line| line.ends_with(":/")), "{seen}");
    bundle.inherit("cgroup");
    let container = lab.container(&bundle);
    let seen = container.run().stdout;
    assert!(seen.contains(container.id()), "without one the whole path shows: {seen}");
}

#[test]
fn message_queues_and_shared_memory_are_private() {
    let lab = Lab::new();
    let made = lab.command("ipcmk").args(["--shmem", "4096"]).ok();
    let id = made.text().rsplit(' ').next().expect("an id").to_owned();
    let mut bundle = lab.bundle();
    bundle.args(&["cat", "/proc/sysvipc/shm"]);
    let hidden = lab.output_of(&bundle);
    bundle.inherit("ipc");
    let seen = lab.output_of(&bundle);
    lab.command("ipcrm").args(["--shmem-id", &id]).ok();
    let lists = |text: &str| text.lines().any(|line| line.split_whitespace().nth(1) == Some(&*id));
    assert!(!lists(&hidden), "the host's segment shows: {hidden}");
    assert!(lists(&seen), "the inherited segment is missing: {seen}");
}

#[test]
fn exec_enters_every_namespace() {
    let lab = Lab::new();
    let kinds = KINDS.map(|(kind, _)| kind);
    let mut bundle = sleeper(&lab, &kinds);
    bundle.user_namespace();
    let container = lab.container(&bundle).detached();
    let inside = identities(container.pid());
    let links = container.inside("for link in /proc/self/ns/*; do echo ${link##*/} $(readlink $link); done");
    for (kind, name) in KINDS {
        let line = format!("{name} {name}:[{}]\n", inside[kind].inode);
        assert!(links.contains(&line), "exec is in another {kind} namespace: {links}");
    }
}
