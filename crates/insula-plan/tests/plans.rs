// SPDX-License-Identifier: Apache-2.0
//! Plans of documents, without root and without a kernel: what is asked for, in which order, and what is refused.

use insula_ns::{Identity, Kind, PerKind};
use insula_plan::{CgroupView, Facts, Hierarchy, JoinFact, JoinedMaps, Options, Phase, Plan, Want, compile};
use insula_spec::{IdMapping, Namespace, Spec, Str, TimeOffset, default_spec};
use insula_steps::Step;

/// A host with version 2 control groups only, as root.
fn facts() -> Facts {
    Facts {
        bundle: "/bundle".into(),
        cgroup: CgroupView { unified: true, born: true, ..CgroupView::default() },
        uptime: 1000,
        ..Facts::default()
    }
}

fn plan(spec: &Spec<'_>, facts: &Facts) -> Plan {
    compile(spec, facts, &Options { id: "c1".into(), ..Options::default() }).expect("a good document")
}

fn refused(spec: &Spec<'_>, facts: &Facts) -> (String, String) {
    let error = compile(spec, facts, &Options::default()).expect_err("a bad document");
    (error.pointer().unwrap_or_default().into(), error.to_string())
}

fn names(plan: &Plan) -> Vec<&'static str> {
    plan.steps.iter().map(|planned| planned.step.name()).collect()
}

fn place(plan: &Plan, name: &str) -> usize {
    names(plan).iter().position(|step| *step == name).unwrap_or_else(|| panic!("no step {name} in {:?}", names(plan)))
}

fn namespaces(kinds: &[(&'static str, Option<&'static str>)]) -> Vec<Namespace<'static>> {
    kinds.iter().map(|(kind, path)| Namespace { kind: Str::from(*kind), path: path.map(Str::from) }).collect()
}

fn mapped(spec: &mut Spec<'static>) {
    let all = IdMapping { container_id: 0, host_id: 100_000, size: 65536 };
    spec.linux.uid_mappings = vec![all.clone()];
    spec.linux.gid_mappings = vec![all];
}

/// A namespace that a path led to: `ino` tells it from others.
fn joined(kind: Kind, ino: u64, own: bool, owned_by_joined_user: bool) -> JoinFact {
    let owner = Some(Identity { kind: Kind::USER, dev: 4, ino: 1, id: None });
    JoinFact { identity: Identity { kind, dev: 4, ino, id: None }, own, owned_by_joined_user, owner }
}

#[test]
fn the_default_document_is_one_clone() {
    let spec = default_spec(true);
    let plan = plan(&spec, &facts());
    let flags = ["pid", "network", "ipc", "uts", "mount", "cgroup"]
        .map(|name| Kind::from_spec_name(name).unwrap().namespace().clone_flag);
    assert_eq!(plan.clone_flags, flags.iter().fold(0, |a, b| a | b));
    assert!(plan.born_in_cgroup && !plan.staged);
    assert!(plan.of_phase(Phase::Stage).next().is_none(), "no intermediate process");
    assert!(!names(&plan).contains(&"Fork"));
}

#[test]
fn the_order_of_the_last_steps() {
    let spec = default_spec(true);
    let plan = plan(&spec, &facts());
    let order = ["Propagate", "Root", "Mount", "Device", "Pivot", "Bounding", "User", "Find", "Limit", "NoNewPrivs"];
    assert!(order.map(|name| place(&plan, name)).is_sorted(), "{:?}", names(&plan));
    let last = ["Capabilities", "Ready", "AwaitStart", "CloseFrom", "Exec"];
    assert!(last.map(|name| place(&plan, name)).is_sorted(), "{:?}", names(&plan));
    assert!(matches!(plan.steps.last().unwrap().step, Step::Exec { .. }), "nothing comes after it");
}

#[test]
fn every_mount_of_the_document_has_its_step() {
    let spec = default_spec(true);
    let plan = plan(&spec, &facts());
    for (index, mount) in spec.mounts.iter().enumerate() {
        let field = format!("/mounts/{index}");
        assert!(plan.steps.iter().any(|planned| planned.field.to_string() == field), "{field}: {}", mount.destination);
    }
}

#[test]
fn version_1_groups_are_entered_before_their_namespace_is_made() {
    let mut facts = facts();
    let hierarchy =
        |name: &str| Hierarchy { directory: name.into(), options: name.into(), group: format!("/c/{name}") };
    let hierarchies = vec![hierarchy("cpu"), hierarchy("memory")];
    facts.cgroup = CgroupView { unified: false, hierarchies, task_files: 2, born: false };
    let plan = plan(&default_spec(true), &facts);
    let cgroup = Kind::CGROUP.namespace().clone_flag;
    assert_eq!(plan.clone_flags & cgroup, 0, "not with the clone");
    let unshare = place(&plan, "Unshare");
    assert!(matches!(plan.steps[unshare].step, Step::Unshare { kinds } if kinds == cgroup));
    let writes = names(&plan).iter().filter(|name| **name == "WriteTo").count();
    assert!(writes == 2 && place(&plan, "WriteTo") < unshare, "{:?}", names(&plan));
}

#[test]
fn what_others_own_is_joined_before_a_new_user_namespace() {
    let mut spec = default_spec(true);
    spec.linux.namespaces = namespaces(&[("user", None), ("network", Some("/n")), ("mount", None), ("pid", None)]);
    spec.hostname = None;
    spec.mounts.clear();
    mapped(&mut spec);
    let mut facts = facts();
    facts.joins[Kind::NETWORK] = Some(joined(Kind::NETWORK, 7, false, false));
    let plan = plan(&spec, &facts);
    assert!(plan.staged && plan.clone_flags == 0);
    let order = ["Join", "Unshare", "BecomeRoot", "Fork"].map(|name| place(&plan, name));
    assert!(order.is_sorted(), "{:?}", names(&plan));
    assert_eq!(plan.wants[Kind::NETWORK], Want::Join(1));
}

#[test]
fn what_the_joined_user_namespace_owns_is_joined_after_it() {
    let mut spec = default_spec(true);
    spec.linux.namespaces =
        namespaces(&[("network", Some("/n")), ("user", Some("/u")), ("ipc", Some("/i")), ("mount", None)]);
    spec.hostname = None;
    spec.mounts.clear();
    let mut facts = facts();
    facts.joins[Kind::USER] = Some(joined(Kind::USER, 5, false, false));
    facts.joins[Kind::NETWORK] = Some(joined(Kind::NETWORK, 7, false, true));
    facts.joins[Kind::IPC] = Some(joined(Kind::IPC, 8, false, false));
    let plan = plan(&spec, &facts);
    let joins: Vec<u64> = plan
        .steps
        .iter()
        .filter_map(|planned| match planned.step {
            Step::Join { kinds, .. } => Some(kinds),
            _ => None,
        })
        .collect();
    let flag = |kind: Kind| kind.namespace().clone_flag;
    assert_eq!(joins, [flag(Kind::IPC), flag(Kind::USER), flag(Kind::NETWORK)]);
}

#[test]
fn the_own_namespace_by_path_is_kept() {
    let mut spec = default_spec(true);
    spec.linux.namespaces = namespaces(&[("network", Some("/proc/self/ns/net")), ("mount", None), ("pid", None)]);
    spec.hostname = None;
    spec.mounts.retain(|mount| mount.kind.as_deref() != Some("mqueue"));
    let mut facts = facts();
    facts.joins[Kind::NETWORK] = Some(joined(Kind::NETWORK, 3, true, false));
    let plan = plan(&spec, &facts);
    assert_eq!(plan.wants[Kind::NETWORK], Want::Stay(0));
    assert!(!names(&plan).contains(&"Join") && !names(&plan).contains(&"Loopback"));
}

#[test]
fn time_offsets_are_written_between_unshare_and_fork() {
    let mut spec = default_spec(true);
    spec.linux.namespaces.push(Namespace { kind: Str::from("time"), path: None });
    spec.linux.time_offsets.insert(Str::from("monotonic"), TimeOffset { secs: 5, nanosecs: 0 });
    let plan = plan(&spec, &facts());
    assert_eq!(plan.time_offsets, ["monotonic 5 0\n"]);
    assert!(["Unshare", "Ask", "Fork"].map(|name| place(&plan, name)).is_sorted(), "{:?}", names(&plan));
}

#[test]
fn a_joined_uts_namespace_is_compared_not_renamed() {
    let mut spec = default_spec(true);
    spec.linux.namespaces = namespaces(&[("uts", Some("/u")), ("mount", None), ("pid", None)]);
    spec.mounts.retain(|mount| mount.kind.as_deref() != Some("mqueue"));
    let mut facts = facts();
    facts.joins[Kind::UTS] = Some(joined(Kind::UTS, 9, false, false));
    let plan = plan(&spec, &facts);
    assert!(names(&plan).contains(&"HostnameIs") && !names(&plan).contains(&"Hostname"), "{:?}", names(&plan));
}

#[test]
fn a_foreign_mount_namespace_is_never_touched() {
    let mut spec = default_spec(true);
    spec.linux.namespaces = namespaces(&[("mount", Some("/m"))]);
    spec.hostname = None;
    spec.mounts.clear();
    spec.linux.masked_paths.clear();
    spec.linux.readonly_paths.clear();
    spec.root.as_mut().unwrap().readonly = false;
    spec.process.as_mut().unwrap().terminal = false;
    let mut facts = facts();
    facts.joins[Kind::MOUNT] = Some(joined(Kind::MOUNT, 6, false, false));
    let plan = plan(&spec, &facts);
    for name in ["Propagate", "Root", "Mount", "Attach", "Device", "Mask", "ReadOnly", "Pivot", "MoveRoot", "Chroot"] {
        assert!(!names(&plan).contains(&name), "{name}");
    }
}

type Change = fn(&mut Spec<'static>);

#[test]
fn refusals_name_the_field() {
    let cases: &[(&str, &str, Change)] = &[
        ("/linux/namespaces/6/type", "listed twice", |s| {
            s.linux.namespaces.push(Namespace { kind: Str::from("pid"), path: None });
        }),
        ("/linux/namespaces/6/type", "did you mean \"network\"", |s| {
            s.linux.namespaces.push(Namespace { kind: Str::from("net"), path: None });
        }),
        ("/hostname", "uts", |s| s.linux.namespaces.retain(|n| n.kind != "uts")),
        ("/linux/uidMappings", "user", mapped),
        ("/linux/uidMappings", "no mappings", |s| {
            s.linux.namespaces.push(Namespace { kind: Str::from("user"), path: None });
        }),
        ("/linux/timeOffsets", "time", |s| s.linux.time_offsets.insert(Str::from("monotonic"), TimeOffset::default())),
        ("/linux/sysctl/kernel.core_pattern", "whole host", |s| {
            s.linux.sysctl.insert(Str::from("kernel.core_pattern"), Str::from("x"));
        }),
        ("/mounts", "may mount nothing", |s| {
            mapped(s);
            s.linux.namespaces.retain(|n| n.kind != "mount");
            s.linux.namespaces.push(Namespace { kind: Str::from("user"), path: None });
        }),
        ("/process/rlimits/0/type", "RLIMIT_NONSENSE", |s| {
            s.process.as_mut().unwrap().rlimits[0].kind = Str::from("RLIMIT_NONSENSE");
        }),
        ("/process/args", "no program", |s| s.process.as_mut().unwrap().args.clear()),
        ("/process/apparmorProfile", "AppArmor is not enabled", |s| {
            s.process.as_mut().unwrap().apparmor_profile = Some(Str::from("docker-default"));
        }),
        ("/linux/rootfsPropagation", "no propagation", |s| s.linux.rootfs_propagation = Some(Str::from("sideways"))),
        ("/windows", "another platform", |s| s.windows = Some(insula_spec::Present)),
    ];
    for (pointer, words, change) in cases {
        let mut spec = default_spec(true);
        change(&mut spec);
        let (at, text) = refused(&spec, &facts());
        assert_eq!(&at, pointer, "{text}");
        assert!(text.contains(words), "{pointer}: {text}");
    }
}

#[test]
fn offsets_out_of_range_are_refused_before_anything_exists() {
    for (clock, secs, nanosecs, words) in [
        ("monotonic", -1001, 0, "range"),
        ("boottime", i64::MAX, 0, "range"),
        ("boottime", 1, 1_000_000_000, "nanoseconds"),
        ("realtime", 1, 0, "no such clock"),
    ] {
        let mut spec = default_spec(true);
        spec.linux.namespaces.push(Namespace { kind: Str::from("time"), path: None });
        spec.linux.time_offsets.insert(Str::from(clock), TimeOffset { secs, nanosecs });
        let (pointer, text) = refused(&spec, &facts());
        assert!(pointer.starts_with("/linux/timeOffsets") && text.contains(words), "{text}");
    }
}

#[test]
fn an_ordinary_user_needs_a_user_namespace() {
    let facts = Facts { euid: 1000, egid: 1000, ..facts() };
    let (pointer, text) = refused(&default_spec(true), &facts);
    assert_eq!(pointer, "/linux/namespaces");
    assert!(text.contains("user 1000") && text.contains("--rootless"), "{text}");
}

#[test]
fn planning_is_a_function() {
    let spec = default_spec(true);
    let (one, two) = (plan(&spec, &facts()), plan(&spec, &facts()));
    assert_eq!(one.steps, two.steps);
    assert_eq!(one.slots, two.slots);
    let none: PerKind<Want> = PerKind::from_fn(|_| Want::Inherit);
    assert!(Kind::all().any(|kind| one.wants[kind] != none[kind]));
}

#[test]
fn a_group_of_devpts_that_is_none_is_refused_and_one_that_is_not_mapped_is_left_out() {
    let mut spec = default_spec(true);
    let at = spec.mounts.iter().position(|mount| mount.kind.as_deref() == Some("devpts")).unwrap();
    for value in ["gid=tty", "gid=", "gid=-1", "gid=4294967295", "gid=0x5"] {
        spec.mounts[at].options = vec![Str::from(value)];
        let (pointer, words) = refused(&spec, &facts());
        assert_eq!(pointer, format!("/mounts/{at}/options"), "{value}");
        assert!(words.contains("is no group id"), "{words}");
    }
    spec.mounts[at].options = vec![Str::from("gid=70000")];
    let given = |spec: &Spec<'_>| {
        plan(spec, &facts()).steps.iter().any(|planned| match planned.step {
            Step::Mount { fstype, options, .. } if fstype == c"devpts" => options.iter().any(|o| o == c"gid=70000"),
            _ => false,
        })
    };
    assert!(given(&spec));
    spec.linux.namespaces.extend(namespaces(&[("user", None)]));
    mapped(&mut spec);
    assert!(!given(&spec));
}

#[test]
fn maps_beside_a_joined_user_namespace_must_be_its_own() {
    let mut spec = default_spec(true);
    spec.linux.namespaces.extend(namespaces(&[("user", Some("/proc/7/ns/user"))]));
    mapped(&mut spec);
    let mut facts = facts();
    facts.joins[Kind::USER] = Some(joined(Kind::USER, 7, false, false));
    let (pointer, words) = refused(&spec, &facts);
    assert_eq!(pointer, "/linux/uidMappings");
    assert!(words.contains("may not look at"), "{words}");
    let map = vec![[0, 100_000, 65536]];
    facts.joined_maps = Some(JoinedMaps { users: map.clone(), groups: map.clone() });
    plan(&spec, &facts);
    facts.joined_maps = Some(JoinedMaps { users: map, groups: vec![[0, 5, 1], [1, 100_000, 9]] });
    let (pointer, words) = refused(&spec, &facts);
    assert_eq!(pointer, "/linux/gidMappings");
    assert!(words.contains("user:[7] at /linux/namespaces/"), "{words}");
    assert!(words.contains("has its own, 0:5:1,1:100000:9, and the document says 0:100000:65536"), "{words}");
}

#[test]
fn in_the_callers_mount_namespace_all_lies_below_one_mount() {
    let mut spec = default_spec(true);
    spec.linux.namespaces.retain(|n| n.kind != "mount");
    let plan = plan(&spec, &facts());
    assert!(plan.anchored());
    let names = names(&plan);
    for name in ["Propagate", "Root", "Pivot", "MoveRoot"] {
        assert!(!names.contains(&name), "{name} would change the host's mounts");
    }
    let place = |name: &str| names.iter().position(|is| *is == name);
    assert!(place("Anchor") < place("Mount") && place("Mount") < place("Chroot"), "{names:?}");
}
