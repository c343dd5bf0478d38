// SPDX-License-Identifier: Apache-2.0
//! One field after the other, in a container that runs: what no other test of this directory is about.

use insula_tests::{Bundle, Container, Lab, Value, cgroups, is_insula, json, skip};
use std::fs;
use std::path::Path;

/// A container of `bundle` that stays.
fn sleeping<'lab>(lab: &'lab Lab, bundle: &mut Bundle) -> Container<'lab> {
    bundle.args(&["sleep", "60"]);
    lab.container(bundle).detached()
}

/// Field `number` of proc_pid_stat(5).
fn stat(pid: i32, number: usize) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("read stat");
    let after = stat.rsplit(')').next().expect("it has a name");
    after.split_whitespace().nth(number - 3).expect("it has the field").to_owned()
}

#[test]
fn the_scheduler_is_chosen() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let batch = json!({
        "policy": "SCHED_BATCH", "nice": 7, "priority": 0, "flags": ["SCHED_FLAG_RESET_ON_FORK"],
        "runtime": 0, "deadline": 0, "period": 0,
    });
    bundle.set("/process/scheduler", batch);
    let container = sleeping(&lab, &mut bundle);
    assert_eq!((stat(container.pid(), 41).as_str(), stat(container.pid(), 19).as_str()), ("3", "7"));
}

#[test]
fn a_deadline_is_set_or_refused_by_name() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let deadline =
        json!({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 10_000_000, "period": 20_000_000});
    bundle.set("/process/scheduler", deadline).args(&["sleep", "60"]);
    let container = lab.container(&bundle);
    let output = container.finish(container.launch("run").arg("--detach"));
    if output.code() == 0 {
        assert_eq!(stat(container.pid(), 41), "6");
    } else {
        output.fails_with(&["/process/scheduler"]);
    }
}

#[test]
fn the_io_priority_is_set() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0}));
    bundle.shell("ionice -p $$");
    assert!(lab.output_of(&bundle).starts_with("idle"));
    bundle.set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 6}));
    assert_eq!(lab.output_of(&bundle).trim(), "best-effort: prio 6");
}

#[test]
fn the_execution_domain_is_set() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/linux/personality", json!({"domain": "LINUX32", "flags": []})).shell("cat /proc/self/personality");
    assert_eq!(lab.output_of(&bundle).trim(), "00000008");
    bundle.set("/linux/personality", json!({"domain": "LINUX"}));
    assert_eq!(lab.output_of(&bundle).trim(), "00000000");
}

#[test]
fn the_memory_policy_is_set() {
    let lab = Lab::new();
    if !Path::new("/proc/self/numa_maps").exists() {
        skip!("this kernel knows no memory policies");
    }
    let mut bundle = lab.bundle();
    bundle.shell("grep -o 'bind[^ ]*' /proc/self/numa_maps | sort -u");
    let policy = json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]});
    bundle.set("/linux/memoryPolicy", policy);
    assert_eq!(lab.output_of(&bundle).trim(), "bind=static:0");
}

#[test]
fn exec_is_pinned_as_the_document_says() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/process/execCPUAffinity", json!({"initial": "0", "final": "0"}));
    let container = sleeping(&lab, &mut bundle);
    assert_eq!(container.inside("grep Cpus_allowed_list /proc/self/status").split_whitespace().last(), Some("0"));
}

#[test]
fn the_root_may_be_anywhere_and_read_only() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    fs::rename(bundle.rootfs(), lab.path("elsewhere")).expect("move the root file system");
    bundle.set("/root", json!({"path": lab.path("elsewhere").to_str(), "readonly": true}));
    bundle.shell("touch /file 2>/dev/null && echo written; echo here");
    assert_eq!(lab.output_of(&bundle).trim(), "here");
    bundle.set("/root/readonly", json!(false));
    assert_eq!(lab.output_of(&bundle).trim(), "written\nhere");
}

#[test]
fn a_command_line_is_for_another_system() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/process/commandLine", json!("echo of the command line")).args(&["echo", "of the arguments"]);
    bundle.set("/process/user/username", json!("nobody"));
    assert_eq!(lab.output_of(&bundle).trim(), "of the arguments");
}

/// Each hook's arguments and environment reach it, and its time is bounded.
#[test]
fn hooks_get_what_is_theirs() {
    let hook = |lab: &Lab, name: &str| {
        let file = lab.path(format!("hook-{name}"));
        let script = format!("echo \"$0 $1 $MARK\" > {}; test -n \"$PATH\"", file.display());
        json!([{"path": "/bin/sh", "args": ["sh", "-c", script, name, "argument"],
            "env": [format!("MARK={name}"), "PATH=/bin"], "timeout": 20}])
    };
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/hooks/prestart", hook(&lab, "prestart"));
    bundle.set("/hooks/createRuntime", hook(&lab, "createRuntime"));
    bundle.set("/hooks/createContainer", hook(&lab, "createContainer"));
    bundle.set("/hooks/poststart", hook(&lab, "poststart"));
    bundle.set("/hooks/poststop", hook(&lab, "poststop"));
    let inside = json!([{"path": "/bin/sh", "args": ["sh", "-c", "test \"$MARK\" = inside"], "env": ["MARK=inside"],
        "timeout": 20}]);
    bundle.set("/hooks/startContainer", inside);
    lab.output_of(&bundle);
    for name in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
        let text = fs::read_to_string(lab.path(format!("hook-{name}"))).unwrap_or_default();
        assert_eq!(text.trim(), format!("{name} argument {name}"), "{name}");
    }
    let slow = json!([{"path": "/bin/sh", "args": ["sh", "-c", "sleep 60"], "env": [], "timeout": 1}]);
    bundle.set("/hooks/createRuntime", slow);
    lab.container(&bundle).run().fails_with(&["/hooks/createRuntime/0"]);
}

/// The value of `file` in the group of `controller` that `container` is in; none where this machine has no such file.
fn limit(container: &Container<'_>, controller: &str, file: &str) -> Option<String> {
    let directory = cgroups::directory_of(container.pid(), controller)?;
    Some(fs::read_to_string(directory.join(file)).ok()?.trim().to_owned())
}

/// Whether version 1's `controller` is mounted and its groups have `file`.
fn has(controller: &str, file: &str) -> bool {
    let of = |hierarchy: &cgroups::Hierarchy| hierarchy.controllers.iter().any(|one| one == controller);
    let Some(hierarchy) = cgroups::hierarchies().into_iter().find(of) else { return false };
    let path = hierarchy.mount.join(format!("insula-probe-{}", std::process::id()));
    if fs::create_dir(&path).is_err() {
        return false;
    }
    let found = path.join(file).exists();
    fs::remove_dir(&path).expect("remove the probe");
    found
}

/// Sets `value` at `pointer` and reads `file` of `controller`.
#[track_caller]
fn limited(pointer: &str, value: Value, controller: &str, file: &str, said: &str) {
    let lab = Lab::new();
    if !has(controller, file) {
        skip!("no {file} here");
    }
    let mut bundle = lab.bundle();
    bundle.set(pointer, value);
    let container = sleeping(&lab, &mut bundle);
    assert_eq!(limit(&container, controller, file).as_deref(), Some(said), "{pointer}");
}

#[test]
fn cpu_burst() {
    let cpu = json!({"quota": 50_000, "period": 100_000, "burst": 20_000});
    limited("/linux/resources/cpu", cpu, "cpu", "cpu.cfs_burst_us", "20000");
}

#[test]
fn cpu_idle() {
    limited("/linux/resources/cpu", json!({"idle": 1}), "cpu", "cpu.idle", "1");
}

#[test]
fn cpu_realtime() {
    let lab = Lab::new();
    if !has("cpu", "cpu.rt_runtime_us") {
        skip!("no real-time groups here");
    }
    let mut bundle = lab.bundle();
    bundle.set("/linux/resources/cpu", json!({"realtimePeriod": 900_000, "realtimeRuntime": 1_000}));
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle);
    let output = container.finish(container.launch("run").arg("--detach"));
    if output.code() == 0 {
        assert_eq!(limit(&container, "cpu", "cpu.rt_period_us").as_deref(), Some("900000"));
        assert_eq!(limit(&container, "cpu", "cpu.rt_runtime_us").as_deref(), Some("1000"));
    } else {
        // The groups above have none of it to give.
        output.fails_with(&["/linux/resources/cpu/realtime"]);
    }
}

#[test]
fn network_class_and_priorities() {
    limited("/linux/resources/network", json!({"classID": 0x10_0001}), "net_cls", "net_cls.classid", "1048577");
    let lab = Lab::new();
    if !has("net_prio", "net_prio.ifpriomap") {
        skip!("no net_prio here");
    }
    let mut bundle = lab.bundle();
    bundle.set("/linux/resources/network", json!({"priorities": [{"name": "lo", "priority": 5}]}));
    let container = sleeping(&lab, &mut bundle);
    let map = limit(&container, "net_prio", "net_prio.ifpriomap").unwrap_or_default();
    assert!(map.lines().any(|line| line == "lo 5"), "{map}");
}

#[test]
fn throttled_devices() {
    let lab = Lab::new();
    let disk = fs::read_dir("/sys/dev/block").ok().and_then(|mut list| list.next()?.ok());
    let Some(numbers) = disk.and_then(|entry| entry.file_name().into_string().ok()) else { skip!("no block device") };
    if !has("blkio", "blkio.throttle.read_bps_device") {
        skip!("no throttling here");
    }
    let (major, minor) = numbers.split_once(':').expect("two numbers");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let device = |rate: u64| json!([{"major": number(major), "minor": number(minor), "rate": rate}]);
    let mut bundle = lab.bundle();
    bundle.set("/linux/resources/blockIO/throttleReadBpsDevice", device(1_048_576));
    bundle.set("/linux/resources/blockIO/throttleWriteBpsDevice", device(2_097_152));
    bundle.set("/linux/resources/blockIO/throttleReadIOPSDevice", device(300));
    bundle.set("/linux/resources/blockIO/throttleWriteIOPSDevice", device(400));
    let container = sleeping(&lab, &mut bundle);
    for (file, rate) in [("read_bps", 1_048_576), ("write_bps", 2_097_152), ("read_iops", 300), ("write_iops", 400)] {
        let is = limit(&container, "blkio", &format!("blkio.throttle.{file}_device"));
        assert_eq!(is, Some(format!("{numbers} {rate}")));
    }
}

#[test]
fn weights_of_devices_are_set_or_refused_by_name() {
    let lab = Lab::new();
    let disk = fs::read_dir("/sys/dev/block").ok().and_then(|mut list| list.next()?.ok());
    let Some(numbers) = disk.and_then(|entry| entry.file_name().into_string().ok()) else { skip!("no block device") };
    let (major, minor) = numbers.split_once(':').expect("two numbers");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    for (pointer, value) in [
        ("/linux/resources/blockIO", json!({"weight": 500, "leafWeight": 300})),
        (
            "/linux/resources/blockIO/weightDevice",
            json!([{"major": number(major), "minor": number(minor), "weight": 500, "leafWeight": 300}]),
        ),
    ] {
        let mut bundle = lab.bundle();
        bundle.set(pointer, value).args(&["sleep", "60"]);
        let container = lab.container(&bundle);
        let output = container.finish(container.launch("run").arg("--detach"));
        if output.code() != 0 {
            // It takes a scheduler that knows weights.
            output.fails_with(&["/linux/resources/blockIO"]);
        }
    }
}

#[test]
fn kernel_memory_is_passed_over_with_a_warning() {
    let lab = Lab::new();
    if !has("memory", "memory.limit_in_bytes") && !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        skip!("no memory controller");
    }
    let mut bundle = lab.bundle();
    let memory = json!({"kernel": 1 << 20, "kernelTCP": 1 << 20, "useHierarchy": true, "checkBeforeUpdate": true});
    bundle.set("/linux/resources/memory", memory);
    let output = lab.container(&bundle).run();
    output.assert_code(0);
    if is_insula() {
        output.says(&["/linux/resources/memory/kernel", "/linux/resources/memory/kernelTCP", "useHierarchy"]);
    }
}

#[test]
fn what_the_machine_lacks_is_refused_by_name() {
    let lab = Lab::new();
    let selinux = Path::new("/sys/fs/selinux/policy_capabilities").exists();
    let resctrl = Path::new("/sys/fs/resctrl/schemata").exists();
    for (pointer, value, there) in [
        ("/process/selinuxLabel", json!("system_u:system_r:svirt_lxc_net_t:s0"), selinux),
        ("/linux/mountLabel", json!("system_u:object_r:svirt_sandbox_file_t:s0"), selinux),
        ("/linux/intelRdt", json!({}), resctrl),
        ("/linux/intelRdt", json!({"closID": "gold"}), resctrl),
        ("/linux/intelRdt", json!({"schemata": ["L3:0=f"], "enableMonitoring": true}), resctrl),
        ("/linux/intelRdt", json!({"l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20"}), resctrl),
        ("/linux/resources/rdma", json!({"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10}}), has("rdma", "rdma.max")),
        ("/linux/resources/unified", json!({"no.such.file": "1"}), false),
    ] {
        if !there {
            let mut bundle = lab.bundle();
            bundle.set(pointer, value);
            lab.container(&bundle).run().fails_with(&[pointer]);
        }
    }
}

#[test]
fn parts_for_other_systems_are_refused() {
    let lab = Lab::new();
    if !is_insula() {
        skip!("peers pass over them");
    }
    for pointer in ["/solaris", "/windows", "/vm", "/zos", "/freebsd"] {
        let mut bundle = lab.bundle();
        bundle.set(pointer, json!({}));
        lab.container(&bundle).run().fails_with(&[pointer]);
    }
}

/// Without its Linux part a document has no namespaces, and the host's mounts are to be as they were.
#[test]
fn a_document_without_a_linux_part_changes_nothing_of_the_host() {
    let lab = Lab::new();
    if !is_insula() {
        skip!("peers' mounts stay on the host then");
    }
    let table = || fs::read_to_string("/proc/thread-self/mountinfo").expect("read the mount table");
    let before = table();
    let mut bundle = lab.bundle();
    bundle.remove("/linux").remove("/hostname").shell("stat -f -c %T /proc");
    assert_eq!(lab.output_of(&bundle), "proc\n");
    assert_eq!(table(), before);
}

#[test]
fn device_rules_hold_for_every_way_of_opening() {
    let lab = Lab::new();
    if !has("devices", "devices.list") {
        skip!("no devices controller of version 1 here");
    }
    if !Path::new("/sys/block/loop0").exists() {
        skip!("no loop device to open");
    }
    let mut bundle = lab.bundle();
    bundle.set(
        "/linux/resources/devices",
        json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "b", "major": 7, "minor": 0, "access": "r"},
        ]),
    );
    bundle.set("/linux/devices", json!([{"path": "/dev/disk", "type": "b", "major": 7, "minor": 0}]));
    bundle.shell(
        "true < /dev/disk && echo read; true > /dev/disk || echo not written; true <> /dev/disk || echo nor both",
    );
    let output = lab.container(&bundle).run();
    assert_eq!(output.stdout, "read\nnot written\nnor both\n", "{output}");
}

#[test]
fn an_a_among_letters_of_access_is_passed_over() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let rule = json!({"allow": false, "type": "c", "major": 1, "minor": 11, "access": "rwa"});
    bundle.push("/linux/resources/devices", rule);
    let output = lab.container(&bundle).run();
    output.assert_code(0);
    if is_insula() {
        output.says(&["/linux/resources/devices/1/access"]);
    }
}

/// Every action of seccomp(2) that ends or answers a call, as the program feels it; and the flags that the kernel gets.
#[test]
fn filters_act_and_have_their_flags() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    for (action, said) in [
        ("SCMP_ACT_ERRNO", "mkdir: can't create directory '/tmp/d': Level 2 halted\n1"),
        ("SCMP_ACT_TRACE", "mkdir: can't create directory '/tmp/d': Function not implemented\n1"),
        ("SCMP_ACT_KILL_PROCESS", "Bad system call\n159"),
        ("SCMP_ACT_KILL_THREAD", "Bad system call\n159"),
        ("SCMP_ACT_KILL", "Bad system call\n159"),
        ("SCMP_ACT_TRAP", "Bad system call\n159"),
        ("SCMP_ACT_LOG", "0"),
        ("SCMP_ACT_ALLOW", "0"),
    ] {
        // errnoRet is for ERRNO and TRACE alone.
        let mut rule = json!({"names": ["mkdir", "mkdirat"], "action": action});
        if action == "SCMP_ACT_ERRNO" {
            rule["errnoRet"] = json!(51);
        }
        let seccomp = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
            "syscalls": [rule],
        });
        bundle.set("/linux/seccomp", seccomp).remove("/mounts");
        bundle.tmpfs("/tmp", &[]).shell("mkdir /tmp/d 2>&1; echo $?");
        let container = lab.container(&bundle);
        let output = lab.insula().args(["--debug", "run", "--bundle"]).arg(bundle.path()).arg(container.id()).run();
        output.assert_code(0);
        assert!(output.stdout.trim().ends_with(said.rsplit('\n').next().unwrap_or(said)), "{action}: {output}");
        let words = said.split('\n').next().unwrap_or(said);
        assert!(output.stdout.contains(words) || output.stderr.contains(words), "{action}: {output}");
        // LOG is 2 and SPEC_ALLOW 4 (linux/seccomp.h).
        output.says(&["seccomp filter flags: 6"]);
    }
}
