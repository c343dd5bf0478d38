// SPDX-License-Identifier: Apache-2.0
use std::collections::BTreeSet;

use super::*;

#[test]
fn names_flags_and_options_are_unique() {
    let unique = |of: fn(&Namespace) -> String| ALL.iter().map(|ns| of(ns)).collect::<BTreeSet<_>>().len();
    assert_eq!(unique(|ns| ns.spec_name.into()), ALL.len());
    assert_eq!(unique(|ns| ns.proc_name.into()), ALL.len());
    assert_eq!(unique(|ns| ns.clone_flag.to_string()), ALL.len());
    assert_eq!(unique(|ns| format!("{:?}", ns.option)), ALL.len());
    assert_eq!(unique(|ns| ns.exposes.into()), ALL.len());
}

#[test]
fn constants_name_their_rows() {
    let named = [
        (Kind::USER, "user"),
        (Kind::PID, "pid"),
        (Kind::NETWORK, "network"),
        (Kind::MOUNT, "mount"),
        (Kind::IPC, "ipc"),
        (Kind::UTS, "uts"),
        (Kind::CGROUP, "cgroup"),
        (Kind::TIME, "time"),
    ];
    assert_eq!(named.len(), ALL.len());
    for (kind, name) in named {
        assert_eq!(kind.namespace().spec_name, name);
        assert_eq!(Kind::from_spec_name(name).unwrap(), kind);
        assert_eq!(Kind::from_proc_name(kind.namespace().proc_name), Some(kind));
        assert_eq!(Kind::from_clone_flag(kind.namespace().clone_flag), Some(kind));
    }
}

#[test]
fn wrong_names_are_refused_with_what_was_meant() {
    let cases = [
        ("net", "did you mean \"network\"?"),
        ("mnt", "did you mean \"mount\"?"),
        ("cgroupns", "did you mean \"cgroup\"?"),
        ("PID", "did you mean \"pid\"?"),
        ("netwrok", "did you mean \"network\"?"),
        ("users", "did you mean \"user\"?"),
        ("xyz", "the types are user, pid, network, mount, ipc, uts, cgroup, time"),
        ("", "the types are user, pid, network, mount, ipc, uts, cgroup, time"),
    ];
    for (name, advice) in cases {
        let error = Kind::from_spec_name(name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().ends_with(advice), "{name}: {error}");
    }
}

#[test]
fn sysctls_find_their_namespace() {
    let cases = [
        ("net.ipv4.ip_forward", Some(Kind::NETWORK)),
        ("net/ipv4/conf/eth0.1/forwarding", Some(Kind::NETWORK)),
        ("net.", None),
        ("network.x", None),
        ("fs.mqueue.msg_max", Some(Kind::IPC)),
        ("kernel/shmmax", Some(Kind::IPC)),
        ("kernel.shmmaxx", None),
        ("kernel.hostname", Some(Kind::UTS)),
        ("user.max_net_namespaces", Some(Kind::USER)),
        ("vm.swappiness", None),
        ("kernel.pid_max", None),
        ("", None),
    ];
    for (key, kind) in cases {
        assert_eq!(Kind::of_sysctl(key), kind, "{key}");
    }
}

#[test]
fn fields_find_their_namespace() {
    assert_eq!(Kind::of_field("/hostname"), Some(Kind::UTS));
    assert_eq!(Kind::of_field("/linux/timeOffsets"), Some(Kind::TIME));
    assert_eq!(Kind::of_field("/process"), None);
}

#[test]
fn only_kinds_that_move_children_have_a_link_for_them() {
    let links: Vec<_> = Kind::all().filter_map(|kind| kind.namespace().for_children()).collect();
    assert_eq!(links, ["pid_for_children", "time_for_children"]);
}

#[test]
fn table_agrees_with_this_kernel() {
    for ns in ALL {
        assert!(std::path::Path::new("/proc/self/ns").join(ns.proc_name).exists(), "{}", ns.proc_name);
    }
    let links = std::fs::read_dir("/proc/self/ns")
        .unwrap()
        .filter(|link| !link.as_ref().unwrap().file_name().to_string_lossy().ends_with("_for_children"));
    assert_eq!(links.count(), ALL.len(), "the kernel has a kind that the table lacks");
}

#[test]
fn per_kind_is_indexed_by_kind() {
    let mut flags = PerKind::from_fn(|kind| kind.namespace().clone_flag);
    assert_eq!(flags[Kind::TIME], 0x80);
    flags[Kind::TIME] = 1;
    let names = flags.map(|kind, flag| format!("{kind}={flag}"));
    assert_eq!(names[Kind::TIME], "time=1");
    assert_eq!(names.iter().map(|(kind, _)| kind).collect::<Vec<_>>(), Kind::all().collect::<Vec<_>>());
}
