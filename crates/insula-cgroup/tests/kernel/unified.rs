// SPDX-License-Identifier: Apache-2.0
//! The same tests where v2 is all there is, and those of v2 alone.

use crate::scratch::{PATIENCE, Scratch, Sleeper, cannot_run, read, resources};
use insula_cgroup::{Doors, Group, Layout, Mode};
use insula_error::Kind;
use std::process::Command;

const VIEW: &str = "umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 none /sys/fs/cgroup && exec \"$@\"";

/// Runs this test program again in a mount namespace that shows v2 alone.
#[test]
fn everything_again_with_v2_alone() {
    if cannot_run() || Layout::probe().unwrap().mode() == Mode::Unified {
        return;
    }
    let _turn = Scratch::new();
    let program = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["-m", "--propagation", "private", "sh", "-c", VIEW, "sh"])
        .arg(program)
        .args(["--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
    assert!(text.contains("test result: ok"));
}

/// `true` if this is not a view of v2 alone (then everything here runs in the view that the test above makes).
fn is_elsewhere() -> bool {
    cannot_run() || Layout::probe().unwrap().mode() != Mode::Unified
}

#[test]
fn missing_controllers_are_named() {
    if is_elsewhere() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    let enabled = read(&created, "", "cgroup.controllers").unwrap();
    for (name, json) in [
        ("memory", r#"{"memory":{"limit":4096}}"#),
        ("cpu", r#"{"cpu":{"shares":2}}"#),
        ("pids", r#"{"pids":{"limit":3}}"#),
        ("cpuset", r#"{"cpu":{"cpus":"0"}}"#),
        ("io", r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":5}]}}"#),
        ("memory", r#"{"unified":{"memory.low":"0"}}"#),
        ("rdma", r#"{"rdma":{"mlx5_1":{"hcaHandles":3}}}"#),
    ] {
        if enabled.split(' ').any(|other| other == name) {
            println!("skipped: {name} is there");
            continue;
        }
        let error = Group::apply(&created, &resources(json), None).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
        assert!(error.to_string().contains(&format!("controller \"{name}\" not available")), "{error}");
    }
}

#[test]
fn controllers_are_enabled_all_the_way_down() {
    if is_elsewhere() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("a/b/box");
    let offered = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap();
    assert_eq!(read(&created, "", "cgroup.controllers").unwrap(), offered.trim_end());
    assert_eq!(read(&created, "", "cgroup.subtree_control").unwrap(), "");
}

/// Every file that a limit of v2 ends in, where this kernel has the controller.
#[test]
fn limits_are_what_the_kernel_says() {
    if is_elsewhere() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    let cases = [
        (r#"{"memory":{"limit":33554432,"swap":67108864,"reservation":16777216}}"#, "memory.max", "33554432"),
        (r#"{"memory":{"limit":33554432,"swap":67108864}}"#, "memory.swap.max", "33554432"),
        (r#"{"memory":{"reservation":16777216}}"#, "memory.low", "16777216"),
        (r#"{"memory":{"limit":-1}}"#, "memory.max", "max"),
        (r#"{"cpu":{"shares":1024}}"#, "cpu.weight", "100"),
        (r#"{"cpu":{"quota":5000,"period":10000}}"#, "cpu.max", "5000 10000"),
        (r#"{"cpu":{"burst":500,"quota":5000,"period":10000}}"#, "cpu.max.burst", "500"),
        (r#"{"cpu":{"idle":1}}"#, "cpu.idle", "1"),
        (r#"{"cpu":{"cpus":"0","mems":"0"}}"#, "cpuset.cpus", "0"),
        (r#"{"pids":{"limit":20}}"#, "pids.max", "20"),
        (r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#, "hugetlb.2MB.max", "4194304"),
        (r#"{"hugepageLimits":[{"pageSize":"2MB","limit":8388608}]}"#, "hugetlb.2MB.rsvd.max", "8388608"),
        (r#"{"unified":{"cgroup.max.depth":"3"}}"#, "cgroup.max.depth", "3"),
        (r#"{"unified":{"hugetlb.2MB.max":"2097152"}}"#, "hugetlb.2MB.max", "2097152"),
    ];
    let mut checked = 0;
    for (json, file, value) in cases {
        if read(&created, "", file).is_none() {
            println!("skipped: this kernel has no {file}");
            continue;
        }
        Group::apply(&created, &resources(json), None).unwrap();
        assert_eq!(read(&created, "", file).unwrap(), value, "{json}");
        checked += 1;
    }
    assert!(checked > 0, "at least cgroup.max.depth is always there");
}

#[test]
fn a_file_that_no_controller_has_is_named() {
    if is_elsewhere() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    let error = Group::apply(&created, &resources(r#"{"unified":{"cgroup.nonsense":"1"}}"#), None).unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (Kind::Unsupported, Some("/linux/resources/unified/cgroup.nonsense")));
}

/// `exec` into a container that has divided its cgroup: its own takes no process, that of its first process does.
#[test]
fn a_divided_cgroup_is_entered_where_its_first_process_is() {
    if is_elsewhere() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    let inner = scratch.create("box/inner");
    let first = Sleeper::enter(&inner.open_for_join(&[]).unwrap());
    if read(&created, "", "cgroup.subtree_control").unwrap().is_empty() {
        println!("skipped: no controllers to divide");
        return;
    }
    let own = created.open_for_join(&[]).unwrap();
    let refused = insula_sys::process::clone3(0, own.clone_target()).unwrap_err();
    assert_eq!(refused, rustix::io::Errno::BUSY);
    let error = own.join_pid(first.pid).unwrap_err();
    assert!(error.to_string().contains("it takes no processes"), "{error}");
    let second = Sleeper::enter(&Doors::of_process(first.pid).unwrap());
    assert_eq!(second.cgroups(), first.cgroups());
    assert_eq!(inner.pids(false).unwrap().len(), 2);
    created.kill_all(PATIENCE).unwrap();
    created.remove(PATIENCE).unwrap();
}

#[test]
fn delegation_changes_the_owner_of_what_is_safe() {
    use std::os::unix::fs::MetadataExt;
    if is_elsewhere() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    created.delegate(54_321).unwrap();
    let dir = created.paths().next().unwrap().1;
    let owner = |name: &str| std::fs::metadata(format!("{dir}/{name}")).unwrap().uid();
    for name in ["", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
        assert_eq!(owner(name), 54_321, "{name}");
    }
    for name in ["cgroup.freeze", "cgroup.kill", "cgroup.max.depth"] {
        assert_eq!(owner(name), 0, "{name}");
    }
}
