// SPDX-License-Identifier: Apache-2.0
//! Every field of `linux.resources`, read back from the kernel after `create` and after `update`, on both versions of
//! cgroups; where systemd is process 1, by it as well. Where the kernel has no file for a field, the message must name
//! the field.

use insula_tests::{Container, Lab, Value, cgroups, json, skip};
use std::fs;

/// A field: its JSON pointer below `/linux/resources`, two values that it takes one after the other, the controller and
/// the file in which it ends, and a line of that file for each value.
struct Field {
    pointer: &'static str,
    values: [Value; 2],
    controller: &'static str,
    file: &'static str,
    lines: [String; 2],
}

fn field(
    pointer: &'static str,
    values: [Value; 2],
    controller: &'static str,
    file: &'static str,
    lines: [&str; 2],
) -> Field {
    Field { pointer, values, controller, file, lines: lines.map(String::from) }
}

#[derive(Clone, Copy, PartialEq)]
enum Version {
    V1,
    V2,
}

impl Version {
    /// What [`cgroups::directory_of`] calls the hierarchy that has `controller`.
    fn hierarchy(self, controller: &'static str) -> &'static str {
        if self == Self::V1 { controller } else { "" }
    }
}

/// `{"memory": {"limit": 1}}` for `/memory/limit` and 1.
fn resources(pointer: &str, value: &Value) -> Value {
    pointer[1..].rsplit('/').fold(value.clone(), |inner, key| {
        if key == "0" { json!([inner]) } else { Value::Object([(key.to_string(), inner)].into_iter().collect()) }
    })
}

/// Joins two objects, as deep as they are objects.
fn merge(into: &mut Value, other: Value) {
    match (into, other) {
        (Value::Object(into), Value::Object(other)) => {
            for (key, value) in other {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, other) => *into = other,
    }
}

fn lab_of(version: Version) -> Lab {
    let mut lab = Lab::new();
    if version == Version::V2 {
        lab.only_cgroup2();
    }
    lab
}

/// As [`missing`], before there is a lab.
fn missing_in(version: Version, controller: &'static str) -> Option<String> {
    let _lab = lab_of(version);
    missing(version, controller)
}

/// A reason why `controller` cannot be tested here.
fn missing(version: Version, controller: &'static str) -> Option<String> {
    let there = match version {
        Version::V1 => cgroups::directory_of(std::process::id().cast_signed(), controller).is_some(),
        Version::V2 => fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")
            .is_ok_and(|list| list.split_whitespace().any(|one| one == controller)),
    };
    let number = if version == Version::V1 { 1 } else { 2 };
    (!there).then(|| format!("the {controller} controller is not in version {number} here"))
}

/// The lines of `field`'s file in the container's cgroup, `None` if this kernel does not have the file.
fn lines(container: &Container<'_>, version: Version, field: &Field) -> Option<Vec<String>> {
    let hierarchy = version.hierarchy(field.controller);
    let directory = cgroups::directory_of(container.pid(), hierarchy).expect("the controller is there");
    let text = fs::read_to_string(directory.join(field.file)).ok()?;
    // The kernel leaves a space at the end of some lines.
    Some(text.lines().map(|line| line.trim().to_string()).collect())
}

/// Creates a container with each field's first value, updates it to the second, and reads both back. `with` are
/// resources without which the field cannot be set.
fn read_back(version: Version, with: &Value, fields: &[Field]) {
    if let Some(reason) = fields.iter().find_map(|field| missing_in(version, field.controller)) {
        skip!("{reason}");
    }
    read_back_in(&lab_of(version), version, with, fields);
    if (version == Version::V2) == cgroups::is_unified()
        && let Some(lab) = Lab::with_hosts_systemd()
    {
        read_back_in(&lab, version, with, fields);
    }
}

fn read_back_in(lab: &Lab, version: Version, with: &Value, fields: &[Field]) {
    for field in fields {
        let mut bundle = lab.bundle();
        bundle.args(&["sleep", "600"]);
        let container = lab.container(&bundle).created();
        if lines(&container, version, field).is_none() {
            // A kernel without the feature: no container, and a message that names the field.
            bundle.set("/linux/resources", resources(field.pointer, &field.values[0]));
            lab.container(&bundle).create().fails_with(&["/linux/resources", field.pointer]);
            continue;
        }
        container.delete_force().assert_code(0);
        let mut wanted = with.clone();
        merge(&mut wanted, resources(field.pointer, &field.values[0]));
        bundle.set("/linux/resources", wanted);
        let container = lab.container(&bundle).created();
        let holds = |line: &String| {
            let read = lines(&container, version, field).expect("the file is there");
            assert!(read.contains(line), "{}: {} has no {line:?}: {read:?}", field.pointer, field.file);
        };
        holds(&field.lines[0]);
        let mut wanted = with.clone();
        merge(&mut wanted, resources(field.pointer, &field.values[1]));
        container.command("update").args(["-r", "-"]).stdin_text(&wanted.to_string()).run().assert_code(0);
        holds(&field.lines[1]);
        container.delete_force().assert_code(0);
    }
}

/// Major and minor number of a disk whose input and output the kernel can throttle; one with the BFQ scheduler if there
/// is any, whose weights the kernel takes for no other.
fn disk() -> Option<(u32, u32)> {
    let real = |name: &String| ["vd", "sd", "nvme", "xvd"].iter().any(|prefix| name.starts_with(prefix));
    let entries = fs::read_dir("/sys/block").ok()?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let scheduler = |name: &String| fs::read_to_string(format!("/sys/block/{name}/queue/scheduler"));
    let mut names: Vec<_> = names.filter(real).collect();
    names.sort_by_key(|name| !scheduler(name).is_ok_and(|list| list.contains("[bfq]")));
    let numbers = fs::read_to_string(format!("/sys/block/{}/dev", names.first()?)).ok()?;
    let (major, minor) = numbers.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Whether a disk has the BFQ scheduler.
fn has_bfq(major: u32, minor: u32) -> bool {
    let list = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/queue/scheduler"));
    list.expect("read the disk's scheduler").contains("[bfq]")
}

const MIB: u64 = 1 << 20;

#[test]
fn memory_on_version_1() {
    let fields = [
        field(
            "/memory/limit",
            [json!(64 * MIB), json!(48 * MIB)],
            "memory",
            "memory.limit_in_bytes",
            ["67108864", "50331648"],
        ),
        field(
            "/memory/reservation",
            [json!(32 * MIB), json!(16 * MIB)],
            "memory",
            "memory.soft_limit_in_bytes",
            ["33554432", "16777216"],
        ),
        field("/memory/swappiness", [json!(7), json!(9)], "memory", "memory.swappiness", ["7", "9"]),
        field(
            "/memory/disableOOMKiller",
            [json!(true), json!(true)],
            "memory",
            "memory.oom_control",
            ["oom_kill_disable 1"; 2],
        ),
    ];
    read_back(Version::V1, &json!({}), &fields);
    let swap = field(
        "/memory/swap",
        [json!(128 * MIB), json!(96 * MIB)],
        "memory",
        "memory.memsw.limit_in_bytes",
        ["134217728", "100663296"],
    );
    read_back(Version::V1, &json!({"memory": {"limit": 64 * MIB}}), &[swap]);
}

#[test]
fn memory_on_version_2() {
    let fields = [
        field("/memory/limit", [json!(64 * MIB), json!(48 * MIB)], "memory", "memory.max", ["67108864", "50331648"]),
        field("/memory/limit", [json!(64 * MIB), json!(-1)], "memory", "memory.max", ["67108864", "max"]),
        field(
            "/memory/reservation",
            [json!(32 * MIB), json!(16 * MIB)],
            "memory",
            "memory.low",
            ["33554432", "16777216"],
        ),
    ];
    read_back(Version::V2, &json!({}), &fields);
    let swap = field("/memory/swap", [json!(128 * MIB), json!(-1)], "memory", "memory.swap.max", ["67108864", "max"]);
    read_back(Version::V2, &json!({"memory": {"limit": 64 * MIB}}), &[swap]);
}

/// What version 2 has no file for is passed over, as engines ask for it on every host.
#[test]
fn memory_that_version_2_does_not_have() {
    let lab = lab_of(Version::V2);
    let mut bundle = lab.bundle();
    bundle.set("/linux/resources/memory", json!({"swappiness": 7, "disableOOMKiller": true, "useHierarchy": true}));
    bundle.set("/linux/resources/blockIO", json!({"leafWeight": 300}));
    assert_eq!(lab.container(&bundle).run().code(), 0);
}

/// Limits on kernel memory do nothing any more: they are taken, and change no other limit.
#[test]
fn kernel_memory_is_passed_over() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/linux/resources/memory", json!({"kernel": 16 * MIB, "kernelTCP": 16 * MIB, "useHierarchy": true}));
    bundle.args(&["echo", "ran"]);
    assert_eq!(lab.output_of(&bundle), "ran\n");
}

/// `checkBeforeUpdate`: a limit below what is used now is refused, where without it the kernel would reclaim or kill.
#[test]
fn a_limit_below_the_use_is_refused_if_asked_for() {
    let lab = lab_of(Version::V2);
    if let Some(reason) = missing(Version::V2, "memory") {
        skip!("{reason}");
    }
    let mut bundle = lab.bundle();
    bundle.tmpfs("/tmp", &[]);
    bundle.shell("head -c 20000000 /dev/zero > /tmp/x; echo full; sleep 600");
    let container = lab.container(&bundle).detached();
    container.await_stdout("full");
    let limit = json!({"memory": {"limit": MIB, "checkBeforeUpdate": true}}).to_string();
    let update = container.command("update").args(["-r", "-"]).stdin_text(&limit).run();
    update.fails_with(&["/linux/resources/memory/limit", "1048576", "usage"]);
    assert_eq!(cgroups::read(container.pid(), "", "memory.max"), "max");
    assert_eq!(container.status(), "running");
}

#[test]
fn processor_time_on_version_1() {
    let fields = [
        field("/cpu/shares", [json!(512), json!(2048)], "cpu", "cpu.shares", ["512", "2048"]),
        field("/cpu/quota", [json!(20_000), json!(30_000)], "cpu", "cpu.cfs_quota_us", ["20000", "30000"]),
        field("/cpu/period", [json!(50_000), json!(60_000)], "cpu", "cpu.cfs_period_us", ["50000", "60000"]),
        field("/cpu/idle", [json!(1), json!(0)], "cpu", "cpu.idle", ["1", "0"]),
    ];
    read_back(Version::V1, &json!({}), &fields);
    let burst = field("/cpu/burst", [json!(5000), json!(7000)], "cpu", "cpu.cfs_burst_us", ["5000", "7000"]);
    read_back(Version::V1, &json!({"cpu": {"quota": 20_000, "period": 50_000}}), &[burst]);
}

#[test]
fn processor_time_on_version_2() {
    let fields = [
        field("/cpu/shares", [json!(1024), json!(2)], "cpu", "cpu.weight", ["100", "1"]),
        field("/cpu/shares", [json!(512), json!(262_144)], "cpu", "cpu.weight", ["59", "10000"]),
        field("/cpu/quota", [json!(20_000), json!(30_000)], "cpu", "cpu.max", ["20000 100000", "30000 100000"]),
        field("/cpu/period", [json!(50_000), json!(60_000)], "cpu", "cpu.max", ["max 50000", "max 60000"]),
        field("/cpu/idle", [json!(1), json!(0)], "cpu", "cpu.idle", ["1", "0"]),
    ];
    read_back(Version::V2, &json!({}), &fields);
    let quota = json!({"cpu": {"quota": 20_000, "period": 50_000}});
    let burst = field("/cpu/burst", [json!(5000), json!(7000)], "cpu", "cpu.max.burst", ["5000", "7000"]);
    let both = field("/cpu/quota", [json!(20_000), json!(-1)], "cpu", "cpu.max", ["20000 50000", "max 50000"]);
    read_back(Version::V2, &quota, &[burst, both]);
}

/// The kernel calls a weight of an idle cgroup invalid; the message says why.
#[test]
fn an_idle_container_has_no_shares() {
    let lab = lab_of(Version::V2);
    if let Some(reason) = missing(Version::V2, "cpu") {
        skip!("{reason}");
    }
    let mut bundle = lab.bundle();
    bundle.set("/linux/resources/cpu", json!({"idle": 1, "shares": 512}));
    lab.container(&bundle).create().fails_with(&["/linux/resources/cpu/shares", "both", "cpu.idle"]);
}

/// Version 2 has no real-time groups, and their limits are passed over.
#[test]
fn real_time_is_passed_over_on_version_2() {
    let lab = lab_of(Version::V2);
    let mut bundle = lab.bundle();
    bundle.set("/linux/resources/cpu", json!({"realtimePeriod": 1_000_000, "realtimeRuntime": 1000}));
    assert_eq!(lab.container(&bundle).run().code(), 0);
}

/// Version 1 of few kernels has them. A group has no more than its parent.
#[test]
fn real_time_on_version_1() {
    if let Some(reason) = missing(Version::V1, "cpu") {
        skip!("{reason}");
    }
    let lab = Lab::new();
    let root = cgroups::hierarchies().into_iter().find(|one| one.controllers.iter().any(|name| name == "cpu"));
    let parent = root.expect("it is there").mount.join(format!("{}-parent", lab.name()));
    fs::create_dir(&parent).expect("make a cgroup");
    if fs::write(parent.join("cpu.rt_runtime_us"), "90000").is_err() {
        fs::remove_dir(&parent).expect("remove the cgroup");
        skip!("no real-time groups in this kernel");
    }
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "600"]);
    bundle.set("/linux/cgroupsPath", json!(format!("/{}-parent/child", lab.name())));
    bundle.set("/linux/resources/cpu", json!({"realtimePeriod": 500_000, "realtimeRuntime": 1000}));
    let container = lab.container(&bundle).created();
    let read = || ["cpu.rt_period_us", "cpu.rt_runtime_us"].map(|file| cgroups::read(container.pid(), "cpu", file));
    assert_eq!(read(), ["500000", "1000"]);
    // Neither is below the other's old value, in either order.
    let update = json!({"cpu": {"realtimePeriod": 800, "realtimeRuntime": 40}}).to_string();
    container.command("update").args(["-r", "-"]).stdin_text(&update).run().assert_code(0);
    assert_eq!(read(), ["800", "40"]);
    container.delete_force().assert_code(0);
    bundle.set("/linux/resources/cpu", json!({"realtimeRuntime": 100_000_000}));
    lab.container(&bundle).create().fails_with(&["/linux/resources/cpu/realtimeRuntime"]);
    for hierarchy in cgroups::hierarchies() {
        cgroups::remove_tree(&hierarchy.mount.join(format!("{}-parent", lab.name())));
    }
}

#[test]
fn placement_on_version_1() {
    let last = last_processor();
    let fields = [
        field("/cpu/cpus", [json!("0"), json!(last)], "cpuset", "cpuset.cpus", ["0", &last]),
        field("/cpu/mems", [json!("0"), json!("0")], "cpuset", "cpuset.mems", ["0", "0"]),
    ];
    read_back(Version::V1, &json!({}), &fields);
}

#[test]
fn placement_on_version_2() {
    let last = last_processor();
    let fields = [
        field("/cpu/cpus", [json!("0"), json!(last)], "cpuset", "cpuset.cpus", ["0", &last]),
        field("/cpu/cpus", [json!("0"), json!(last)], "cpuset", "cpuset.cpus.effective", ["0", &last]),
        field("/cpu/mems", [json!("0"), json!("0")], "cpuset", "cpuset.mems", ["0", "0"]),
    ];
    read_back(Version::V2, &json!({}), &fields);
}

/// The number of the highest processor that is there.
fn last_processor() -> String {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").expect("read the processors");
    online.trim().rsplit(['-', ',']).next().expect("there is one").to_string()
}

#[test]
fn process_counts_on_version_1() {
    let fields = [
        field("/pids/limit", [json!(4), json!(9)], "pids", "pids.max", ["4", "9"]),
        field("/pids/limit", [json!(4), json!(-1)], "pids", "pids.max", ["4", "max"]),
    ];
    read_back(Version::V1, &json!({}), &fields);
}

#[test]
fn process_counts_on_version_2() {
    let fields = [
        field("/pids/limit", [json!(4), json!(9)], "pids", "pids.max", ["4", "9"]),
        field("/pids/limit", [json!(4), json!(-1)], "pids", "pids.max", ["4", "max"]),
    ];
    read_back(Version::V2, &json!({}), &fields);
}

/// The four throttles, each alone.
fn throttles(version: Version) {
    let Some((major, minor)) = disk() else { skip!("no disk whose input and output could be throttled") };
    // A step of 4096 apart: some kernels round rates to pages.
    let rows = [
        ("/blockIO/throttleReadBpsDevice/0", "blkio.throttle.read_bps_device", "rbps"),
        ("/blockIO/throttleWriteBpsDevice/0", "blkio.throttle.write_bps_device", "wbps"),
        ("/blockIO/throttleReadIOPSDevice/0", "blkio.throttle.read_iops_device", "riops"),
        ("/blockIO/throttleWriteIOPSDevice/0", "blkio.throttle.write_iops_device", "wiops"),
    ];
    let fields = rows.map(|(pointer, legacy, key)| {
        let rates = [40_960, 81_920];
        let line = |rate: i32| match version {
            Version::V1 => format!("{major}:{minor} {rate}"),
            Version::V2 => {
                let rate_of = |name| if name == key { rate.to_string() } else { "max".to_string() };
                let keys = ["rbps", "wbps", "riops", "wiops"].map(|name| format!("{name}={}", rate_of(name)));
                format!("{major}:{minor} {}", keys.join(" "))
            }
        };
        Field {
            pointer,
            values: rates.map(|rate| json!({"major": major, "minor": minor, "rate": rate})),
            controller: if version == Version::V1 { "blkio" } else { "io" },
            file: if version == Version::V1 { legacy } else { "io.max" },
            lines: rates.map(line),
        }
    });
    read_back(version, &json!({}), &fields);
}

#[test]
fn throttles_on_version_1() {
    throttles(Version::V1);
}

#[test]
fn throttles_on_version_2() {
    throttles(Version::V2);
}

/// A host has one of several models of weights, or none; the field is named then.
#[test]
fn block_weights_on_version_1() {
    if let Some(reason) = missing(Version::V1, "blkio") {
        skip!("{reason}");
    }
    let bfq = {
        let lab = Lab::new();
        let mut bundle = lab.bundle();
        bundle.args(&["sleep", "600"]);
        let plain = lab.container(&bundle).created();
        cgroups::directory_of(plain.pid(), "blkio").is_some_and(|place| place.join("blkio.bfq.weight").exists())
    };
    let [weight, weight_device] =
        if bfq { ["blkio.bfq.weight", "blkio.bfq.weight_device"] } else { ["blkio.weight", "blkio.weight_device"] };
    let fields = [
        field("/blockIO/weight", [json!(300), json!(400)], "blkio", weight, ["300", "400"]),
        field("/blockIO/leafWeight", [json!(300), json!(400)], "blkio", "blkio.leaf_weight", ["300", "400"]),
    ];
    read_back(Version::V1, &json!({}), &fields);
    let Some((major, minor)) = disk() else { return };
    let device = |weight: u32| json!({"major": major, "minor": minor, "weight": weight});
    if has_bfq(major, minor) {
        let line = |weight: u32| format!("{major}:{minor} {weight}");
        let of_device = Field {
            pointer: "/blockIO/weightDevice/0",
            values: [device(500), device(600)],
            controller: "blkio",
            file: weight_device,
            lines: [line(500), line(600)],
        };
        read_back(Version::V1, &json!({}), &[of_device]);
    } else {
        let lab = Lab::new();
        let mut bundle = lab.bundle();
        bundle.set("/linux/resources", resources("/blockIO/weightDevice/0", &device(500)));
        lab.container(&bundle).create().fails_with(&["/linux/resources/blockIO/weightDevice/0/weight"]);
    }
}

#[test]
fn block_weights_on_version_2() {
    let lab = lab_of(Version::V2);
    if let Some(reason) = missing(Version::V2, "io") {
        skip!("{reason}");
    }
    let Some((major, minor)) = disk() else { skip!("no disk whose input and output could be weighed") };
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "600"]);
    let plain = lab.container(&bundle).created();
    let directory = cgroups::directory_of(plain.pid(), "").expect("version 2 is there");
    let has = |file: &str| directory.join(file).exists();
    let (bfq, cost) = (has("io.bfq.weight"), has("io.weight"));
    drop(plain);
    drop(lab);
    if bfq {
        let device = |weight: u32| json!({"major": major, "minor": minor, "weight": weight});
        let line = |weight: u32| format!("{major}:{minor} {weight}");
        read_back(
            Version::V2,
            &json!({}),
            &[
                field(
                    "/blockIO/weight",
                    [json!(300), json!(400)],
                    "io",
                    "io.bfq.weight",
                    ["default 300", "default 400"],
                ),
                Field {
                    pointer: "/blockIO/weightDevice/0",
                    values: [device(500), device(600)],
                    controller: "io",
                    file: "io.bfq.weight",
                    lines: [line(500), line(600)],
                },
            ],
        );
    } else if cost {
        // 10 to 1000 as 1 to 10000.
        let lines = ["default 1", "default 10000"];
        read_back(
            Version::V2,
            &json!({}),
            &[field("/blockIO/weight", [json!(10), json!(1000)], "io", "io.weight", lines)],
        );
    } else {
        skip!("no model of weights: neither BFQ nor io.cost");
    }
}

/// The size of the host's huge pages that the limits are tested with.
const HUGE: &str = "2MB";

fn huge_pages(version: Version) {
    let names = match version {
        Version::V1 => ["hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.rsvd.limit_in_bytes"],
        Version::V2 => ["hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"],
    };
    let limit = |pages: u64| json!({"pageSize": HUGE, "limit": pages * 2 * MIB});
    let fields =
        names.map(|name| field("/hugepageLimits/0", [limit(2), limit(3)], "hugetlb", name, ["4194304", "6291456"]));
    read_back(version, &json!({}), &fields);
}

#[test]
fn huge_pages_on_version_1() {
    huge_pages(Version::V1);
}

#[test]
fn huge_pages_on_version_2() {
    huge_pages(Version::V2);
}

#[test]
fn networks_on_version_1() {
    read_back(
        Version::V1,
        &json!({}),
        &[
            field(
                "/network/classID",
                [json!(1_048_577), json!(1_048_578)],
                "net_cls",
                "net_cls.classid",
                ["1048577", "1048578"],
            ),
            field(
                "/network/priorities/0",
                [json!({"name": "lo", "priority": 3}), json!({"name": "lo", "priority": 4})],
                "net_prio",
                "net_prio.ifpriomap",
                ["lo 3", "lo 4"],
            ),
        ],
    );
}

/// Version 2 has neither classes nor priorities; engines ask for them all the same.
#[test]
fn networks_are_passed_over_on_version_2() {
    let lab = lab_of(Version::V2);
    let mut bundle = lab.bundle();
    bundle.set("/linux/resources/network", json!({"classID": 1, "priorities": [{"name": "lo", "priority": 3}]}));
    assert_eq!(lab.container(&bundle).run().code(), 0);
}

/// An RDMA device: the first, or a soft one that is made on the loopback interface.
fn rdma_device() -> Option<String> {
    let first = || {
        let entries = fs::read_dir("/sys/class/infiniband").ok()?;
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).next()
    };
    first().or_else(|| {
        let mut add = std::process::Command::new("rdma");
        add.args(["link", "add", "rxe-insula", "type", "rxe", "netdev", "lo"]);
        add.output().ok().filter(|output| output.status.success())?;
        first()
    })
}

fn rdma(version: Version) {
    let Some(device) = rdma_device() else { skip!("no RDMA device, and none can be made") };
    let wanted = |handles: u32, objects: u32| json!({&device: {"hcaHandles": handles, "hcaObjects": objects}});
    let line = |handles: u32, objects: u32| format!("{device} hca_handle={handles} hca_object={objects}");
    let both = Field {
        pointer: "/rdma",
        values: [wanted(3, 10_000), wanted(4, 20_000)],
        controller: "rdma",
        file: "rdma.max",
        lines: [line(3, 10_000), line(4, 20_000)],
    };
    read_back(version, &json!({}), &[both]);
}

#[test]
fn rdma_on_version_1() {
    rdma(Version::V1);
}

#[test]
fn rdma_on_version_2() {
    rdma(Version::V2);
}

/// `unified`: files of every controller by their names.
#[test]
fn unified_keys() {
    let two = |first: &str, second: &str| [json!(first), json!(second)];
    read_back(
        Version::V2,
        &json!({}),
        &[
            field("/unified/memory.high", two("67108864", "max"), "memory", "memory.high", ["67108864", "max"]),
            field("/unified/memory.oom.group", two("1", "0"), "memory", "memory.oom.group", ["1", "0"]),
            field("/unified/memory.min", two("4096", "0"), "memory", "memory.min", ["4096", "0"]),
            field("/unified/cpu.weight", two("200", "300"), "cpu", "cpu.weight", ["200", "300"]),
            field("/unified/pids.max", two("33", "max"), "pids", "pids.max", ["33", "max"]),
            field("/unified/cpuset.cpus", two("0", "0"), "cpuset", "cpuset.cpus", ["0", "0"]),
            field("/unified/hugetlb.2MB.max", two("2097152", "max"), "hugetlb", "hugetlb.2MB.max", ["2097152", "max"]),
        ],
    );
}
