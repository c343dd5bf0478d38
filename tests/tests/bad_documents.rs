// SPDX-License-Identifier: Apache-2.0
//! Documents that must be refused: with exit status 1, on one line that names the field, at once, and without a trace.

use insula_tests::{Bundle, Donor, Lab, Snapshot, cgroups, is_insula, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::Duration;

/// What must live until the document has been refused.
type Keep = Option<Donor>;

/// Asserts that `create` and `run` refuse what `edit` makes of the default document, with `pointer` and all of `words`
/// in the message, and that nothing is left or changed.
#[track_caller]
fn refuse(pointer: &str, words: &[&str], edit: impl Fn(&Lab, &mut Bundle) -> Keep) {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    // Only where version 2 is all there is, the default document has this one, and pointers would differ.
    bundle.inherit("cgroup");
    let keep = edit(&lab, &mut bundle);
    let before = Snapshot::take(&lab);
    for command in ["create", "run"] {
        let pid_file = lab.path("pid-file");
        let launch = lab.insula().args([command, "--pid-file"]).arg(&pid_file).arg("--bundle").arg(bundle.path());
        let output = launch.arg(lab.fresh_id()).run();
        assert_eq!(output.status.code(), Some(1), "{output}");
        assert!(output.elapsed < Duration::from_secs(5), "it took {:?}: {output}", output.elapsed);
        assert!(!output.stderr.is_empty(), "it fails without a word: {output}");
        // Peers refuse most of these, too, but in other words.
        if is_insula() {
            output.says(&[pointer]);
            output.says(words);
            assert_eq!(output.stderr.trim_end().lines().count(), 1, "engines show one line: {output}");
        }
        before.assert_untouched(&lab);
    }
    drop(keep);
}

/// One test a line: name, pointer, words of the message, edit of the document.
macro_rules! refused {
    ($($name:ident: $pointer:expr, $words:expr, |$lab:pat_param, $bundle:pat_param| $edit:expr;)*) => {
        $(#[test]
        fn $name() {
            refuse($pointer, &$words, |$lab: &Lab, $bundle: &mut Bundle| -> Keep { $edit });
        })*
    };
}

/// For edits that leave nothing to keep.
fn done<T>(_: T) -> Keep {
    None
}

/// Lets the document join `path` as its network namespace. The entry is then the last of five.
fn join_network(bundle: &mut Bundle, path: &str) -> Keep {
    done(bundle.join("network", path))
}

const NETWORK_PATH: &str = "/linux/namespaces/4/path";

// Namespaces.
refused! {
    namespace_listed_twice: "/linux/namespaces/5/type", ["pid", "twice"],
        |_, bundle| done(bundle.push("/linux/namespaces", json!({"type": "pid"})));
    namespace_of_unknown_type: "/linux/namespaces/5/type", ["bogus"],
        |_, bundle| done(bundle.namespace("bogus"));
    namespace_by_its_short_name: "/linux/namespaces/5/type", ["net", "network"],
        |_, bundle| done(bundle.namespace("net"));
    namespace_path_that_is_missing: NETWORK_PATH, ["/nosuch/ns"],
        |_, bundle| join_network(bundle, "/nosuch/ns");
    namespace_path_of_process_zero: NETWORK_PATH, ["/proc/0/ns/net"],
        |_, bundle| join_network(bundle, "/proc/0/ns/net");
    namespace_path_of_another_kind: NETWORK_PATH, ["uts", "network"],
        |lab, bundle| {
            let donor = Donor::new(lab, &["uts"]);
            bundle.join("network", donor.path("uts"));
            Some(donor)
        };
    namespace_path_that_is_a_file: NETWORK_PATH, ["file"],
        |lab, bundle| join_network(bundle, lab.write("plain", "").to_str().expect("text"));
    namespace_path_that_is_a_directory: NETWORK_PATH, ["directory"],
        |_, bundle| join_network(bundle, "/etc");
    namespace_path_that_is_a_device: NETWORK_PATH, ["/dev/null"],
        |_, bundle| join_network(bundle, "/dev/null");
    namespace_path_that_is_a_dangling_link: NETWORK_PATH, ["dangling"],
        |lab, bundle| {
            symlink("/nosuch", lab.path("dangling")).expect("make a link");
            join_network(bundle, lab.path("dangling").to_str().expect("text"))
        };
    namespace_path_that_is_a_socket: NETWORK_PATH, ["socket"],
        |lab, bundle| {
            UnixListener::bind(lab.path("a-socket")).expect("make a socket");
            join_network(bundle, lab.path("a-socket").to_str().expect("text"))
        };
    namespace_path_that_is_relative: NETWORK_PATH, ["absolute"],
        |_, bundle| join_network(bundle, "proc/self/ns/net");
    namespace_path_that_is_too_long: NETWORK_PATH, ["long"],
        |_, bundle| join_network(bundle, &format!("/{}", "x".repeat(5000)));
    namespace_path_with_nul: NETWORK_PATH, ["NUL"],
        |_, bundle| join_network(bundle, "/proc/self/ns/net\0x");
    pid_namespace_without_init: "/linux/namespaces/4/path", ["init"],
        |lab, bundle| {
            let donor = Donor::new(lab, &["pid"]);
            let pin = lab.pin(&donor.path("pid"), "dead");
            drop(donor);
            done(bundle.join("pid", pin))
        };
    mounts_without_a_mount_namespace_but_with_a_user_namespace: "/mounts", ["mount"],
        |_, bundle| done(bundle.user_namespace().inherit("mount"));
}

// A plain open of a FIFO waits for ever; peers do.
#[test]
fn namespace_path_that_is_a_fifo() {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    refuse(NETWORK_PATH, &["FIFO"], |lab, bundle| {
        lab.command("mkfifo").arg(lab.path("pipe")).ok();
        join_network(bundle, lab.path("pipe").to_str().expect("text"))
    });
}

// Fields without their namespace.
refused! {
    hostname_without_uts: "/hostname", ["uts"],
        |_, bundle| done(bundle.inherit("uts").set("/hostname", json!("island")));
    domainname_without_uts: "/domainname", ["uts"],
        |_, bundle| {
            bundle.inherit("uts").set("/domainname", json!("sea.example"));
            done(bundle.remove("/hostname"))
        };
    hostname_with_a_joined_uts_of_another_name: "/hostname", ["joined-name"],
        |lab, bundle| {
            let donor = Donor::new(lab, &["uts"]);
            bundle.join("uts", donor.path("uts")).set("/hostname", json!("joined-name"));
            Some(donor)
        };
    hostname_that_is_too_long: "/hostname", ["64"],
        |_, bundle| done(bundle.set("/hostname", json!("h".repeat(65))));
    mappings_without_user: "/linux/uidMappings", ["user"],
        |_, bundle| done(bundle.set("/linux/uidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 65536}])));
    offsets_without_time: "/linux/timeOffsets", ["time"],
        |_, bundle| done(bundle.set("/linux/timeOffsets", json!({"monotonic": {"secs": 1, "nanosecs": 0}})));
    offsets_with_a_joined_time: "/linux/timeOffsets", ["time"],
        |lab, bundle| {
            let donor = Donor::new(lab, &["time"]);
            bundle.join("time", donor.path("time"));
            bundle.set("/linux/timeOffsets", json!({"monotonic": {"secs": 1, "nanosecs": 0}}));
            Some(donor)
        };
    offsets_of_an_unknown_clock: "/linux/timeOffsets/realtime", ["monotonic", "boottime"],
        |_, bundle| done(bundle.namespace("time").set("/linux/timeOffsets", json!({"realtime": {"secs": 1, "nanosecs": 0}})));
    offsets_of_too_many_nanoseconds: "/linux/timeOffsets/monotonic", ["1000000000"],
        |_, bundle| done(bundle.namespace("time").set("/linux/timeOffsets", json!({"monotonic": {"secs": 1, "nanosecs": 1_000_000_000}})));
    offsets_beyond_the_clock: "/linux/timeOffsets/boottime", ["9223372036854775807"],
        |_, bundle| done(bundle.namespace("time").set("/linux/timeOffsets", json!({"boottime": {"secs": i64::MAX, "nanosecs": 0}})));
    offsets_before_the_boot: "/linux/timeOffsets/boottime", ["-4000000000"],
        |_, bundle| done(bundle.namespace("time").set("/linux/timeOffsets", json!({"boottime": {"secs": -4_000_000_000_i64, "nanosecs": 0}})));
    sysctl_of_the_hosts_network: "/linux/sysctl/net.ipv4.ip_forward", ["network"],
        |_, bundle| done(bundle.inherit("network").set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"})));
    sysctl_of_the_own_network_by_path: "/linux/sysctl/net.ipv4.ip_forward", ["network"],
        |_, bundle| done(bundle.join("network", "/proc/self/ns/net").set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"})));
    sysctl_of_the_hosts_ipc: "/linux/sysctl/kernel.shm_rmid_forced", ["ipc"],
        |_, bundle| done(bundle.inherit("ipc").set("/linux/sysctl", json!({"kernel.shm_rmid_forced": "1"})));
    sysctl_of_the_host: "/linux/sysctl/kernel.core_pattern", ["host"],
        |_, bundle| done(bundle.set("/linux/sysctl", json!({"kernel.core_pattern": "|/bin/false"})));
    sysctl_that_climbs: "/linux/sysctl/net~1..~1kernel~1core_pattern", [".."],
        |_, bundle| done(bundle.set("/linux/sysctl", json!({"net/../kernel/core_pattern": "x"})));
    sysctl_that_does_not_exist: "/linux/sysctl", ["net/nosuch"],
        |_, bundle| done(bundle.set("/linux/sysctl", json!({"net.nosuch": "1"})));
}

#[test]
fn sysctl_value_with_a_newline() {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    refuse("/linux/sysctl/net.ipv4.ip_forward", &["\\n"], |_, bundle| {
        done(bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1\n0"})))
    });
}

/// A new user namespace with these mappings of users.
fn map(bundle: &mut Bundle, lines: serde_json::Value) -> Keep {
    done(bundle.user_namespace().set("/linux/uidMappings", lines))
}

// Mappings.
refused! {
    user_namespace_without_mappings: "/linux/uidMappings", ["mapping"],
        |_, bundle| done(bundle.namespace("user"));
    user_namespace_without_group_mappings: "/linux/gidMappings", ["mapping"],
        |_, bundle| done(bundle.user_namespace().remove("/linux/gidMappings"));
    mappings_without_root: "/linux/uidMappings", ["0"],
        |_, bundle| map(bundle, json!([{"containerID": 1, "hostID": 100_000, "size": 10}]));
    mappings_that_overlap_inside: "/linux/uidMappings/1/containerID", ["overlap"],
        |_, bundle| map(bundle, json!([{"containerID": 0, "hostID": 100_000, "size": 10}, {"containerID": 9, "hostID": 200_000, "size": 1}]));
    mappings_that_overlap_outside: "/linux/uidMappings/1/hostID", ["overlap"],
        |_, bundle| map(bundle, json!([{"containerID": 0, "hostID": 100_000, "size": 10}, {"containerID": 50, "hostID": 100_009, "size": 1}]));
    mappings_of_no_ids: "/linux/uidMappings/1/size", ["ids"],
        |_, bundle| map(bundle, json!([{"containerID": 0, "hostID": 100_000, "size": 1}, {"containerID": 1, "hostID": 100_001, "size": 0}]));
    mappings_past_the_last_id: "/linux/uidMappings/0", ["4294967294"],
        |_, bundle| map(bundle, json!([{"containerID": 0, "hostID": 100_000, "size": 4_294_967_295_u32}]));
    mappings_of_too_many_lines: "/linux/uidMappings", ["340"],
        |_, bundle| {
            let line = |n: u32| json!({"containerID": n, "hostID": 100_000 + n, "size": 1});
            map(bundle, serde_json::Value::Array((0..341).map(line).collect()))
        };
    user_that_is_not_mapped: "/process/user/uid", ["70000"],
        |_, bundle| done(bundle.user_namespace().set("/process/user/uid", json!(70_000)));
    group_that_is_not_mapped: "/process/user/gid", ["70000"],
        |_, bundle| done(bundle.user_namespace().set("/process/user/gid", json!(70_000)));
}

// The process.
refused! {
    user_id_that_means_no_change: "/process/user/uid", ["4294967295"],
        |_, bundle| done(bundle.set("/process/user/uid", json!(u32::MAX)));
    user_id_that_is_negative: "/process/user/uid", ["-1"],
        |_, bundle| done(bundle.set("/process/user/uid", json!(-1)));
    user_id_that_wraps: "/process/user/uid", ["4294967296"],
        |_, bundle| done(bundle.set("/process/user/uid", json!(4_294_967_296_u64)));
    group_id_that_means_no_change: "/process/user/gid", ["4294967295"],
        |_, bundle| done(bundle.set("/process/user/gid", json!(u32::MAX)));
    additional_group_that_means_no_change: "/process/user/additionalGids/1", ["4294967295"],
        |_, bundle| done(bundle.set("/process/user/additionalGids", json!([5, u32::MAX])));
    no_program: "/process/args", ["program"],
        |_, bundle| done(bundle.set("/process/args", json!([])));
    no_arguments_at_all: "/process/args", ["program"],
        |_, bundle| done(bundle.remove("/process/args"));
    working_directory_that_is_relative: "/process/cwd", ["absolute"],
        |_, bundle| done(bundle.set("/process/cwd", json!("tmp")));
    working_directory_that_is_a_file: "/process/cwd", ["/etc/passwd"],
        |_, bundle| done(bundle.set("/process/cwd", json!("/etc/passwd")));
    limit_of_unknown_type: "/process/rlimits/0/type", ["RLIMIT_NOSUCH"],
        |_, bundle| done(bundle.set("/process/rlimits", json!([{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}])));
    limit_above_its_own_hard_limit: "/process/rlimits/0/soft", ["hard"],
        |_, bundle| done(bundle.set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 200, "hard": 100}])));
    limit_given_twice: "/process/rlimits/1/type", ["twice"],
        |_, bundle| done(bundle.set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 9, "hard": 9}, {"type": "RLIMIT_NOFILE", "soft": 8, "hard": 8}])));
    out_of_memory_score_out_of_range: "/process/oomScoreAdj", ["1000"],
        |_, bundle| done(bundle.set("/process/oomScoreAdj", json!(1001)));
    nul_in_an_argument: "/process/args/1", ["NUL"],
        |_, bundle| done(bundle.set("/process/args", json!(["true", "a\0b"])));
    nul_in_the_environment: "/process/env/0", ["NUL"],
        |_, bundle| done(bundle.set("/process/env", json!(["A=\0"])));
}

// The root and its mounts.
refused! {
    no_root: "/root", ["root"],
        |_, bundle| done(bundle.remove("/root"));
    root_that_is_missing: "/root/path", ["nosuch"],
        |_, bundle| done(bundle.set("/root/path", json!("nosuch")));
    root_that_is_a_file: "/root/path", ["config.json"],
        |_, bundle| done(bundle.set("/root/path", json!("config.json")));
    mount_without_destination: "/mounts/7", ["destination"],
        |_, bundle| done(bundle.push("/mounts", json!({"type": "tmpfs", "source": "tmpfs"})));
    mount_of_unknown_type: "/mounts/7", ["nosuchfs"],
        |_, bundle| done(bundle.push("/mounts", json!({"destination": "/mnt", "type": "nosuchfs", "source": "none"})));
    mount_option_that_does_not_exist: "/mounts/7", ["nosuchoption"],
        |_, bundle| done(bundle.tmpfs("/mnt", &["nosuchoption=1"]));
    mount_option_with_a_bad_value: "/mounts/7", ["size"],
        |_, bundle| done(bundle.tmpfs("/mnt", &["size=huge"]));
    bind_of_what_is_missing: "/mounts/7", ["/nosuch/source"],
        |_, bundle| done(bundle.bind("/nosuch/source", "/mnt", &[]));
    bind_of_a_directory_on_a_file: "/mounts/7", ["/etc/passwd"],
        |lab, bundle| {
            fs::create_dir(lab.path("directory")).expect("make a directory");
            done(bundle.bind(lab.path("directory"), "/etc/passwd", &[]))
        };
    bind_of_a_file_on_a_directory: "/mounts/7", ["/mnt"],
        |lab, bundle| done(bundle.bind(lab.write("file", ""), "/mnt", &[]));
    mount_inside_proc: "/mounts/7", ["/proc/sys"],
        |_, bundle| done(bundle.tmpfs("/proc/sys/kernel", &[]));
    mount_destination_with_nul: "/mounts/7/destination", ["NUL"],
        |_, bundle| done(bundle.push("/mounts", json!({"destination": "/mnt\0x", "type": "tmpfs", "source": "tmpfs"})));
    mount_point_that_cannot_be_made: "/mounts/7", ["/etc/passwd/below"],
        |_, bundle| done(bundle.tmpfs("/etc/passwd/below", &[]));
    propagation_of_unknown_kind: "/linux/rootfsPropagation", ["bogus"],
        |_, bundle| done(bundle.set("/linux/rootfsPropagation", json!("bogus")));
    device_of_unknown_type: "/linux/devices/0/type", ["x"],
        |_, bundle| done(bundle.set("/linux/devices", json!([{"path": "/dev/x", "type": "x", "major": 1, "minor": 3}])));
    device_with_a_relative_path: "/linux/devices/0/path", ["absolute"],
        |_, bundle| done(bundle.set("/linux/devices", json!([{"path": "dev/x", "type": "c", "major": 1, "minor": 3}])));
}

// cgroups, seccomp, hooks, security modules.
refused! {
    cgroup_path_that_is_too_long: "/linux/cgroupsPath", ["long"],
        |_, bundle| done(bundle.set("/linux/cgroupsPath", json!(format!("/{}", "x".repeat(5000)))));
    cgroup_path_with_a_newline: "/linux/cgroupsPath", ["control"],
        |lab, bundle| done(bundle.set("/linux/cgroupsPath", json!(format!("/{}\nx", lab.name()))));
    huge_pages_of_an_unknown_size: "/linux/resources/hugepageLimits/0/pageSize", ["../x"],
        |_, bundle| done(bundle.set("/linux/resources/hugepageLimits", json!([{"pageSize": "../x", "limit": 1}])));
    unified_key_that_climbs: "/linux/resources/unified/..~1memory.max", ["cgroup"],
        |_, bundle| done(bundle.set("/linux/resources/unified", json!({"../memory.max": "1"})));
    memory_and_swap_below_memory: "/linux/resources/memory", ["memory"],
        |_, bundle| done(bundle.set("/linux/resources/memory", json!({"limit": 67_108_864, "swap": 33_554_432})));
    memory_limit_too_low_to_start: "", ["memory"],
        |_, bundle| done(bundle.set("/linux/resources/memory", json!({"limit": 1024})));
    device_rule_of_unknown_access: "/linux/resources/devices/1/access", ["rwx"],
        |_, bundle| done(bundle.push("/linux/resources/devices", json!({"allow": true, "access": "rwx"})));
    seccomp_action_that_does_not_exist: "/linux/seccomp/defaultAction", ["SCMP_ACT_NOSUCH"],
        |_, bundle| done(bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_NOSUCH"})));
    seccomp_architecture_that_does_not_exist: "/linux/seccomp/architectures/0", ["SCMP_ARCH_NOSUCH"],
        |_, bundle| done(bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_NOSUCH"]})));
    seccomp_operator_that_does_not_exist: "/linux/seccomp/syscalls/0/args/0/op", ["SCMP_CMP_NOSUCH"],
        |_, bundle| done(bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_NOSUCH"}]}]})));
    hook_with_a_relative_path: "/hooks/prestart/0/path", ["absolute"],
        |_, bundle| done(bundle.set("/hooks", json!({"prestart": [{"path": "bin/true"}]})));
    hook_with_a_time_out_of_nothing: "/hooks/createRuntime/0/timeout", ["timeout"],
        |_, bundle| done(bundle.set("/hooks", json!({"createRuntime": [{"path": "/bin/true", "timeout": 0}]})));
}

/// The path is cleaned, or refused; in no case is anything made outside the cgroup file systems.
#[test]
fn cgroup_path_that_climbs() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let path = format!("/x/../../../../run/{}/climbed-{}", lab.name(), lab.name());
    bundle.set("/linux/cgroupsPath", json!(path));
    let before = Snapshot::take(&lab);
    let container = lab.container(&bundle);
    let output = container.create();
    if output.code() != 0 {
        output.fails_with(&["/linux/cgroupsPath"]);
    }
    assert!(!lab.path(format!("climbed-{}", lab.name())).exists());
    container.delete_force().assert_code(0);
    // Parents of the cgroup may stay, as with runc.
    for hierarchy in cgroups::hierarchies() {
        cgroups::remove_tree(&hierarchy.mount.join("run").join(lab.name()));
    }
    before.assert_untouched(&lab);
}

/// The specification wants a process only when the container is started.
#[test]
fn no_process() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.remove("/process");
    let before = Snapshot::take(&lab);
    lab.container(&bundle).run().fails_with(&["process"]);
    before.assert_untouched(&lab);
    let container = lab.container(&bundle);
    if container.create().code() == 0 {
        container.start().fails_with(&["/process"]);
    }
}

#[test]
fn apparmor_profile_without_apparmor() {
    if fs::metadata("/sys/kernel/security/apparmor").is_ok() {
        insula_tests::skip!("AppArmor is active here");
    }
    refuse("/process/apparmorProfile", &["AppArmor"], |_, bundle| {
        done(bundle.set("/process/apparmorProfile", json!("some-profile")))
    });
}

// The text of the document.
refused! {
    no_document: "", ["config.json"],
        |_, bundle| done(fs::remove_file(bundle.path().join("config.json")));
    document_that_is_empty: "", ["config.json"],
        |_, bundle| done(bundle.write_raw(""));
    document_that_is_truncated: "", ["config.json", "EOF"],
        |_, bundle| {
            let text = bundle.document().to_string();
            done(bundle.write_raw(&text[..text.len() / 2]))
        };
    document_that_is_an_array: "", ["object"],
        |_, bundle| done(bundle.write_raw("[]"));
    document_with_invalid_text: "/hostname", ["UTF-8"],
        |_, bundle| done(bundle.write_raw(b"{\"ociVersion\": \"1.0.0\", \"hostname\": \"\xff\"}"));
    document_that_is_deeply_nested: "", ["config.json"],
        |_, bundle| done(bundle.write_raw(format!("{{\"x\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000))));
    document_of_five_million_brackets: "", ["config.json"],
        |_, bundle| done(bundle.write_raw("[".repeat(5_000_000)));
    document_that_is_a_directory: "", ["config.json"],
        |_, bundle| {
            fs::remove_file(bundle.path().join("config.json")).expect("remove the document");
            done(fs::create_dir(bundle.path().join("config.json")))
        };
    version_2_of_the_specification: "/ociVersion", ["2.0.0"],
        |_, bundle| done(bundle.set("/ociVersion", json!("2.0.0")));
    no_version: "/ociVersion", ["ociVersion"],
        |_, bundle| done(bundle.remove("/ociVersion"));
    list_instead_of_text: "/hostname", ["string"],
        |_, bundle| done(bundle.set("/hostname", json!(["a"])));
    text_instead_of_a_number: "/process/user/uid", ["integer"],
        |_, bundle| done(bundle.set("/process/user/uid", json!("0")));
}

/// Documents that some peers accept, so that only insula is asked.
#[test]
fn documents_that_mean_two_things() {
    if !is_insula() {
        insula_tests::skip!("peers accept trailing bytes and duplicate properties");
    }
    let whole = |bundle: &Bundle| bundle.document().to_string();
    refuse("", &["trailing"], |_, bundle| done(bundle.write_raw(whole(bundle) + "{}")));
    refuse("/hostname", &["duplicate"], |_, bundle| {
        done(bundle.write_raw(whole(bundle).replacen('{', "{\"hostname\": \"other\", ", 1)))
    });
    refuse("", &["byte order mark"], |_, bundle| done(bundle.write_raw(format!("\u{feff}{}", whole(bundle)))));
    refuse("/hostname", &["NUL"], |_, bundle| done(bundle.set("/hostname", json!("a\0b"))));
    refuse("/process/oomScoreAdj", &["config.json"], |_, bundle| {
        bundle.set("/process/oomScoreAdj", json!(123_454_321));
        done(bundle.write_raw(whole(bundle).replace("123454321", "1e400")))
    });
}

#[test]
fn a_document_that_is_a_fifo() {
    if !is_insula() {
        insula_tests::skip!("peers wait for a writer");
    }
    refuse("", &["config.json"], |lab, bundle| {
        fs::remove_file(bundle.path().join("config.json")).expect("remove the document");
        done(lab.command("mkfifo").arg(bundle.path().join("config.json")).ok())
    });
}

#[test]
fn a_bundle_that_does_not_exist() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    let output = lab.insula().args(["create", "--bundle", "/nosuch/bundle"]).arg(lab.fresh_id()).run();
    output.fails_with(&["/nosuch/bundle"]);
    before.assert_untouched(&lab);
}
