// SPDX-License-Identifier: Apache-2.0
//! Limits as the kernel has them, on this host's hierarchies and with version 2 alone.

use insula_tests::{Bundle, Lab, cgroups, json, skip};
use std::fs;

fn sleeper(lab: &Lab) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    bundle
}

/// Skips the calling test unless `controller` is mounted in version 1.
macro_rules! needs_version_1 {
    ($controller:literal) => {
        if !cgroups::hierarchies().iter().any(|one| one.controllers.iter().any(|name| name == $controller)) {
            skip!("no version 1 hierarchy has the {} controller here", $controller);
        }
    };
}

/// Skips the calling test unless containers can have limits of `controller` in either version.
macro_rules! needs {
    ($controller:literal) => {
        if cgroups::hierarchy_with($controller).is_none() {
            skip!("no hierarchy has the {} controller here", $controller);
        }
    };
}

#[test]
fn memory_limits_on_version_1() {
    needs_version_1!("memory");
    let lab = Lab::new();
    let mut bundle = sleeper(&lab);
    bundle.set("/linux/resources/memory", json!({"limit": 67_108_864, "reservation": 33_554_432, "swappiness": 7}));
    let container = lab.container(&bundle).created();
    let read = |file: &str| cgroups::read(container.pid(), "memory", file);
    assert_eq!(read("memory.limit_in_bytes"), "67108864");
    assert_eq!(read("memory.soft_limit_in_bytes"), "33554432");
    assert_eq!(read("memory.swappiness"), "7");
}

#[test]
fn swap_limits_on_version_1() {
    needs_version_1!("memory");
    let lab = Lab::new();
    let mut bundle = sleeper(&lab);
    // The sum must never be below the limit on the way, whichever is written first.
    bundle.set("/linux/resources/memory", json!({"limit": 67_108_864, "swap": 134_217_728}));
    let container = lab.container(&bundle).created();
    assert_eq!(cgroups::read(container.pid(), "memory", "memory.memsw.limit_in_bytes"), "134217728");
    bundle.set("/linux/resources/memory", json!({"limit": 67_108_864, "swap": -1, "disableOOMKiller": true}));
    let container = lab.container(&bundle).created();
    assert_eq!(cgroups::read(container.pid(), "memory", "memory.limit_in_bytes"), "67108864");
    assert!(cgroups::read(container.pid(), "memory", "memory.oom_control").contains("oom_kill_disable 1"));
}

#[test]
fn the_memory_limit_bites() {
    needs!("memory");
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/linux/resources/memory", json!({"limit": 16_777_216, "swap": 16_777_216}));
    bundle.args(&["tail", "/dev/zero"]);
    lab.container(&bundle).run().assert_code(128 + 9);
}

#[test]
fn cpu_limits_on_version_1() {
    needs_version_1!("cpu");
    let lab = Lab::new();
    let mut bundle = sleeper(&lab);
    bundle.set(
        "/linux/resources/cpu",
        json!({"shares": 512, "quota": 20_000, "period": 50_000, "cpus": "0", "mems": "0"}),
    );
    let container = lab.container(&bundle).created();
    assert_eq!(cgroups::read(container.pid(), "cpu", "cpu.shares"), "512");
    assert_eq!(cgroups::read(container.pid(), "cpu", "cpu.cfs_quota_us"), "20000");
    assert_eq!(cgroups::read(container.pid(), "cpu", "cpu.cfs_period_us"), "50000");
    assert_eq!(cgroups::read(container.pid(), "cpuset", "cpuset.cpus"), "0");
    assert_eq!(cgroups::read(container.pid(), "cpuset", "cpuset.mems"), "0");
    container.start().assert_code(0);
    assert_eq!(container.inside("grep Cpus_allowed_list /proc/self/status"), "Cpus_allowed_list:\t0\n");
}

#[test]
fn the_process_limit_bites() {
    needs!("pids");
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/linux/resources/pids", json!({"limit": 4}));
    bundle.shell("sleep 60 & sleep 60 & sleep 60 & echo three; sleep 60 & sleep 60 & echo never");
    let output = lab.container(&bundle).run();
    assert!(output.stdout.contains("three"), "{output}");
    assert!(!output.stdout.contains("never"), "{output}");
}

#[test]
fn process_limits_on_version_1() {
    needs_version_1!("pids");
    let lab = Lab::new();
    let mut bundle = sleeper(&lab);
    bundle.set("/linux/resources/pids", json!({"limit": 4}));
    let container = lab.container(&bundle).created();
    assert_eq!(cgroups::read(container.pid(), "pids", "pids.max"), "4");
    bundle.set("/linux/resources/pids", json!({"limit": -1}));
    let container = lab.container(&bundle).created();
    assert_eq!(cgroups::read(container.pid(), "pids", "pids.max"), "max");
}

#[test]
fn a_limit_of_one_process_does_not_stop_the_runtime() {
    needs!("pids");
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/linux/resources/pids", json!({"limit": 1})).args(&["echo", "ran"]);
    let output = lab.container(&bundle).run();
    assert_eq!(output.stdout, "ran\n", "{output}");
}

/// Lets a container make and open devices, and say how that went.
fn device_prober(lab: &Lab) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.writable();
    for set in ["bounding", "permitted", "effective"] {
        bundle.push(&format!("/process/capabilities/{set}"), json!("CAP_MKNOD"));
    }
    bundle.tmpfs("/mnt", &[]);
    // fuse 10:229 is not among the devices that every container has; null 1:3 is; loop 7:0 is a block device.
    let probe = "probe() { mknod /mnt/$1 $2 $3 $4 2>/dev/null && echo $1 made; (: < /mnt/$1) 2>/dev/null && echo $1 opened; }; \
                 probe null c 1 3; probe fuse c 10 229; probe loop b 7 0; \
                 head -c 1 /dev/zero >/dev/null && echo zero read; echo x >/dev/null && echo null written";
    bundle.shell(probe);
    bundle
}

fn devices_by_default(lab: &Lab) {
    let bundle = device_prober(lab);
    let seen = lab.container(&bundle).run().stdout;
    assert!(seen.contains("zero read\nnull written\n"), "{seen}");
    assert!(!seen.contains("fuse opened"), "{seen}");
}

fn devices_that_are_allowed(lab: &Lab) {
    let mut bundle = device_prober(lab);
    bundle.set(
        "/linux/resources/devices",
        json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
            {"allow": true, "type": "b", "access": "m"},
        ]),
    );
    let seen = lab.container(&bundle).run().stdout;
    for line in ["fuse made", "loop made", "fuse opened", "zero read", "null written"] {
        assert!(seen.contains(line), "{line}: {seen}");
    }
}

fn devices_after_exceptions(lab: &Lab) {
    let mut bundle = device_prober(lab);
    // The last matching rule wins.
    bundle.set(
        "/linux/resources/devices",
        json!([
            {"allow": true, "access": "rwm"},
            {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
        ]),
    );
    let seen = lab.container(&bundle).run().stdout;
    assert!(seen.contains("loop made") && seen.contains("null opened"), "{seen}");
    // Making device nodes is allowed to every container, as with runc; using them is not.
    assert!(!seen.contains("fuse opened"), "{seen}");
}

#[test]
fn devices_on_version_1() {
    needs_version_1!("devices");
    let lab = Lab::new();
    devices_by_default(&lab);
    devices_that_are_allowed(&lab);
    devices_after_exceptions(&lab);
    let container = lab.container(&sleeper(&lab)).created();
    let list = cgroups::read(container.pid(), "devices", "devices.list");
    assert!(!list.contains("a *:* rwm"), "{list}");
    assert!(list.contains("c 1:3 rwm") && list.contains("c 136:* rwm"), "{list}");
}

#[test]
fn devices_on_version_2() {
    let mut lab = Lab::new();
    lab.only_cgroup2();
    devices_by_default(&lab);
    devices_that_are_allowed(&lab);
    devices_after_exceptions(&lab);
}

#[test]
fn devices_bind_exec_too() {
    for only_version_2 in [false, true] {
        let mut lab = Lab::new();
        if only_version_2 {
            lab.only_cgroup2();
        }
        let mut bundle = device_prober(&lab);
        bundle.args(&["sleep", "60"]);
        let container = lab.container(&bundle).detached();
        let script = "mknod /mnt/fuse c 10 229; : < /mnt/fuse";
        let output = container.exec(&["sh", "-c", script]);
        assert_ne!(output.code(), 0, "exec escapes the device rules: {output}");
    }
}

#[test]
fn the_containers_cgroup_is_named_after_it_and_removed() {
    let lab = Lab::new();
    let container = lab.container(&sleeper(&lab)).detached();
    for hierarchy in cgroups::hierarchies() {
        let controller = hierarchy.controllers.first().map_or("", String::as_str);
        let directory = cgroups::directory_of(container.pid(), controller).expect("it is mounted");
        assert!(directory.ends_with(container.id()), "{}", directory.display());
        let members = fs::read_to_string(directory.join("cgroup.procs")).expect("read the members");
        assert_eq!(members.trim(), container.pid().to_string());
    }
    assert!(!cgroups::named(container.id()).is_empty());
    container.delete_force().assert_code(0);
    assert_eq!(cgroups::named(container.id()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn exec_joins_the_containers_cgroup() {
    let lab = Lab::new();
    let mut bundle = sleeper(&lab);
    // For a view from inside that is comparable with the one from outside.
    bundle.inherit("cgroup");
    let container = lab.container(&bundle).detached();
    let own = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("read the container's cgroups");
    assert_eq!(container.inside("cat /proc/self/cgroup"), own);
}

#[test]
fn the_documents_cgroup_path() {
    let lab = Lab::new();
    let mut bundle = sleeper(&lab);
    let path = format!("/{}-path", lab.name());
    bundle.set("/linux/cgroupsPath", json!(path));
    let container = lab.container(&bundle).created();
    for hierarchy in cgroups::hierarchies() {
        let controller = hierarchy.controllers.first().map_or("", String::as_str);
        let directory = cgroups::directory_of(container.pid(), controller).expect("it is mounted");
        assert_eq!(
            directory,
            hierarchy.mount.join(path.trim_start_matches('/')),
            "an absolute path starts at the mount"
        );
    }
}

#[test]
fn sub_cgroups_with_processes_are_removed() {
    for only_version_2 in [false, true] {
        let mut lab = Lab::new();
        if only_version_2 {
            lab.only_cgroup2();
        }
        let container = lab.container(&sleeper(&lab)).detached();
        let controller = if only_version_2 { Some("") } else { cgroups::hierarchy_with("pids") };
        let Some(directory) = controller.and_then(|controller| cgroups::directory_of(container.pid(), controller))
        else {
            skip!("no hierarchy has the pids controller here");
        };
        let deepest = directory.join("a/b/c");
        fs::create_dir_all(&deepest).expect("make cgroups");
        let pid_file = lab.path("pid");
        lab.insula()
            .args(["exec", "--detach", "--pid-file"])
            .arg(&pid_file)
            .arg(container.id())
            .args(["sleep", "61"])
            .ok();
        let pid = fs::read_to_string(&pid_file).expect("the pid file is written");
        fs::write(deepest.join("cgroup.procs"), pid).expect("move a process");
        container.delete_force().assert_code(0);
        assert!(!directory.exists());
    }
}

#[test]
fn processes_without_a_pid_namespace_end_with_the_container() {
    for only_version_2 in [false, true] {
        let mut lab = Lab::new();
        if only_version_2 {
            lab.only_cgroup2();
        }
        let mut bundle = lab.bundle();
        bundle.inherit("pid");
        bundle.shell("trap '' TERM; setsid sleep 61 & (setsid sh -c 'trap \"\" TERM; sleep 62; sleep 63' &) ; echo ready; sleep 64; true");
        let container = lab.container(&bundle).detached();
        container.await_stdout("ready");
        let listed = lab.insula().args(["ps", "--format", "json"]).arg(container.id()).ok().json();
        assert!(listed.as_array().is_some_and(|pids| pids.len() >= 4), "{listed}");
        container.delete_force().assert_code(0);
        for pid in listed.as_array().expect("an array") {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            assert!(
                status.is_empty() || status.contains("State:\tZ") || status.contains("State:\tX"),
                "{pid} outlives the container: {status}"
            );
        }
    }
}

#[test]
fn version_2_limits_without_their_controllers_name_the_field() {
    let mut lab = Lab::new();
    lab.only_cgroup2();
    let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").expect("read the controllers");
    let limits = [
        ("memory", "/linux/resources/memory", json!({"limit": 67_108_864})),
        ("cpu", "/linux/resources/cpu", json!({"quota": 20_000, "period": 50_000})),
        ("pids", "/linux/resources/pids", json!({"limit": 10})),
    ];
    for (controller, pointer, limit) in limits {
        if controllers.split_whitespace().any(|one| one == controller) {
            skip!("the {controller} controller is in version 2 here; the limits themselves are tested instead");
        }
        let mut bundle = lab.bundle();
        bundle.set(pointer, limit);
        lab.container(&bundle).run().fails_with(&[pointer]);
    }
}

#[test]
fn limits_on_version_2() {
    let mut lab = Lab::new();
    lab.only_cgroup2();
    let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").expect("read the controllers");
    for controller in ["memory", "cpu", "pids"] {
        if !controllers.split_whitespace().any(|one| one == controller) {
            skip!("the {controller} controller is not in version 2 here");
        }
    }
    let mut bundle = sleeper(&lab);
    bundle.set("/linux/resources/memory", json!({"limit": 67_108_864, "reservation": 33_554_432, "swap": 134_217_728}));
    bundle.set("/linux/resources/cpu", json!({"shares": 512, "quota": 20_000, "period": 50_000}));
    bundle.set("/linux/resources/pids", json!({"limit": 10}));
    let container = lab.container(&bundle).created();
    let read = |file: &str| cgroups::read(container.pid(), "", file);
    assert_eq!(read("memory.max"), "67108864");
    assert_eq!(read("memory.low"), "33554432");
    assert_eq!(read("memory.swap.max"), "67108864", "version 2 counts swap alone");
    assert_eq!(read("cpu.max"), "20000 50000");
    assert_eq!(read("pids.max"), "10");
}

#[test]
fn a_container_in_version_2_alone() {
    let mut lab = Lab::new();
    lab.only_cgroup2();
    let container = lab.container(&sleeper(&lab)).detached();
    let directory = cgroups::directory_of(container.pid(), "").expect("version 2 is mounted");
    assert!(directory.ends_with(container.id()), "{}", directory.display());
    assert_eq!(container.inside("echo in"), "in\n");
    let listed = lab.insula().args(["ps", "--format", "json"]).arg(container.id()).ok().json();
    assert_eq!(listed, json!([container.pid()]));
    lab.insula().args(["kill", "--all"]).arg(container.id()).arg("KILL").ok();
    container.await_status("stopped");
    container.delete().assert_code(0);
    assert!(!directory.exists());
}

#[test]
fn a_strangers_cgroup_is_left_alone() {
    let lab = Lab::new();
    let path = format!("{}-taken", lab.name());
    let made: Vec<_> = cgroups::hierarchies().iter().map(|one| one.mount.join(&path)).collect();
    for directory in &made {
        fs::create_dir(directory).expect("make a cgroup");
    }
    let mut stranger = lab.command("sleep").arg("60").start();
    for directory in &made {
        // A version 1 cpuset takes no process before it has processors and memory.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Ok(value) = fs::read_to_string(directory.join("..").join(file)) {
                fs::write(directory.join(file), value).expect("set up the cpuset");
            }
        }
        fs::write(directory.join("cgroup.procs"), stranger.pid().to_string()).expect("move the stranger");
    }
    let mut bundle = sleeper(&lab);
    bundle.set("/linux/cgroupsPath", json!(format!("/{path}")));
    let container = lab.container(&bundle);
    container.create();
    container.delete_force();
    assert!(stranger.is_running(), "a process of somebody else was killed");
    let members = fs::read_to_string(made[0].join("cgroup.procs")).expect("the cgroup is still there");
    assert_eq!(members.trim(), stranger.pid().to_string());
    drop(stranger);
    for directory in &made {
        insula_tests::eventually("the stranger's cgroup to be empty", || fs::remove_dir(directory).ok());
    }
}

#[test]
fn nothing_is_born_below_a_frozen_cgroup() {
    let mut lab = Lab::new();
    lab.only_cgroup2();
    let mut bundle = lab.bundle();
    bundle.args(&["true"]);
    let name = lab.fresh_id();
    let above = std::path::Path::new("/sys/fs/cgroup").join(&name);
    fs::create_dir(&above).expect("make the cgroup above");
    fs::write(above.join("cgroup.freeze"), "1").expect("freeze it");
    bundle.set("/linux/cgroupsPath", json!(format!("/{name}/container")));
    let output = lab.container(&bundle).run();
    let within = above.join("container").exists();
    fs::write(above.join("cgroup.freeze"), "0").expect("thaw it");
    // Who does not look does not come back before it is thawed, and leaves what it was making.
    insula_tests::eventually("the cgroup above to be empty", || fs::remove_dir(&above).ok());
    assert!(!within, "what was made is still there");
    if insula_tests::is_insula() {
        output.fails_with(&["frozen", "cgroupsPath"]);
    } else {
        assert_ne!(output.code(), 0);
    }
}
