// SPDX-License-Identifier: Apache-2.0
//! Limits of v1's controllers, read back from the kernel.

use crate::scratch::{PATIENCE, Scratch, Sleeper, cannot_run, default_rules, read, resources};
use insula_cgroup::{Group, Layout, Mode};
use insula_error::Kind;

fn cannot_run_here() -> bool {
    cannot_run()
        || Layout::probe().unwrap().mode() == Mode::Unified && {
            println!("skipped: no v1 hierarchies");
            true
        }
}

/// Resources, and what the kernel says afterwards: (controller, file, value).
type Case = (&'static str, &'static [(&'static str, &'static str, &'static str)]);

static CASES: [Case; 12] = [
    (
        r#"{"memory":{"limit":33554432,"swap":67108864,"reservation":16777216,"swappiness":42}}"#,
        &[
            ("memory", "memory.limit_in_bytes", "33554432"),
            ("memory", "memory.memsw.limit_in_bytes", "67108864"),
            ("memory", "memory.soft_limit_in_bytes", "16777216"),
            ("memory", "memory.swappiness", "42"),
        ],
    ),
    // both raised, both lowered, one without limit: the kernel takes each in one order only
    (
        r#"{"memory":{"limit":134217728,"swap":268435456}}"#,
        &[("memory", "memory.limit_in_bytes", "134217728"), ("memory", "memory.memsw.limit_in_bytes", "268435456")],
    ),
    (
        r#"{"memory":{"limit":33554432,"swap":33554432}}"#,
        &[("memory", "memory.limit_in_bytes", "33554432"), ("memory", "memory.memsw.limit_in_bytes", "33554432")],
    ),
    (
        r#"{"memory":{"limit":-1}}"#,
        &[
            ("memory", "memory.limit_in_bytes", "9223372036854771712"),
            ("memory", "memory.memsw.limit_in_bytes", "9223372036854771712"),
        ],
    ),
    (r#"{"memory":{"disableOOMKiller":true}}"#, &[("memory", "memory.oom_control", "oom_kill_disable 1")]),
    (
        r#"{"cpu":{"shares":2048,"quota":40000,"period":80000,"burst":1000}}"#,
        &[
            ("cpu", "cpu.shares", "2048"),
            ("cpu", "cpu.cfs_quota_us", "40000"),
            ("cpu", "cpu.cfs_period_us", "80000"),
            ("cpu", "cpu.cfs_burst_us", "1000"),
        ],
    ),
    // a burst above the present quota, and below the new one
    (
        r#"{"cpu":{"quota":200000,"period":100000,"burst":150000}}"#,
        &[("cpu", "cpu.cfs_quota_us", "200000"), ("cpu", "cpu.cfs_burst_us", "150000")],
    ),
    (r#"{"cpu":{"quota":-1,"burst":0,"idle":1}}"#, &[("cpu", "cpu.cfs_quota_us", "-1"), ("cpu", "cpu.idle", "1")]),
    (r#"{"cpu":{"cpus":"0","mems":"0"}}"#, &[("cpuset", "cpuset.cpus", "0"), ("cpuset", "cpuset.mems", "0")]),
    (r#"{"pids":{"limit":17}}"#, &[("pids", "pids.max", "17")]),
    (r#"{"pids":{"limit":0}}"#, &[("pids", "pids.max", "1")]),
    (r#"{"pids":{"limit":-1}}"#, &[("pids", "pids.max", "max")]),
];

#[test]
fn limits_are_what_the_kernel_says() {
    if cannot_run_here() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    for (json, expected) in &CASES {
        if let Some((controller, ..)) = expected.iter().find(|(list, file, _)| read(&created, list, file).is_none()) {
            println!("skipped {json}: no {controller} controller, or not that file");
            continue;
        }
        Group::apply(&created, &resources(json), None).unwrap();
        for (controller, file, value) in *expected {
            let got = read(&created, controller, file).unwrap();
            assert!(got.lines().any(|line| line == *value), "{json}: {file} is {got:?}, not {value:?}");
        }
    }
}

#[test]
fn real_time_limits() {
    if cannot_run_here() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    let Some(parent) = created.paths().find(|(list, _)| list.split(',').any(|name| name == "cpu")) else { return };
    let parent = std::path::Path::new(&parent.1).parent().unwrap().to_path_buf();
    if std::fs::write(parent.join("cpu.rt_runtime_us"), "90000").is_err() {
        println!("skipped: no real-time group scheduling");
        return;
    }
    // the second is refused in the order of the document, as its runtime exceeds the first's period
    for (json, runtime, period) in [
        (r#"{"cpu":{"realtimeRuntime":1000,"realtimePeriod":500000}}"#, "1000", "500000"),
        (r#"{"cpu":{"realtimeRuntime":40,"realtimePeriod":800}}"#, "40", "800"),
    ] {
        Group::apply(&created, &resources(json), None).unwrap();
        assert_eq!(read(&created, "cpu", "cpu.rt_runtime_us").unwrap(), runtime);
        assert_eq!(read(&created, "cpu", "cpu.rt_period_us").unwrap(), period);
    }
}

#[test]
fn throttles_by_device() {
    if cannot_run_here() {
        return;
    }
    let Some(device) = ["vda", "sda", "nvme0n1", "loop0", "ram0", "vdb"]
        .iter()
        .find_map(|name| std::fs::read_to_string(format!("/sys/block/{name}/dev")).ok())
    else {
        println!("skipped: no block device");
        return;
    };
    let (major, minor) = device.trim().split_once(':').unwrap();
    let scratch = Scratch::new();
    let created = scratch.create("box");
    if read(&created, "blkio", "blkio.throttle.read_bps_device").is_none() {
        println!("skipped: no throttling");
        return;
    }
    let rate = |rate: u32| format!(r#"[{{"major":{major},"minor":{minor},"rate":{rate}}}]"#);
    let json = format!(
        r#"{{"blockIO":{{"throttleReadBpsDevice":{},"throttleWriteBpsDevice":{},"throttleReadIOPSDevice":{},"throttleWriteIOPSDevice":{}}}}}"#,
        rate(1_048_576),
        rate(2_097_152),
        rate(100),
        rate(200)
    );
    Group::apply(&created, &resources(&json), None).unwrap();
    for (file, value) in [
        ("blkio.throttle.read_bps_device", 1_048_576),
        ("blkio.throttle.write_bps_device", 2_097_152),
        ("blkio.throttle.read_iops_device", 100),
        ("blkio.throttle.write_iops_device", 200),
    ] {
        assert_eq!(read(&created, "blkio", file).unwrap(), format!("{major}:{minor} {value}"));
    }
}

#[test]
fn weights_need_a_scheduler_that_knows_them() {
    if cannot_run_here() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    let result = Group::apply(&created, &resources(r#"{"blockIO":{"weight":300}}"#), None);
    if let Some(weight) = ["blkio.weight", "blkio.bfq.weight"].iter().find_map(|file| read(&created, "blkio", file)) {
        assert!(result.is_ok() && weight.ends_with("300"), "{weight}");
    } else {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.pointer()), (Kind::Unsupported, Some("/linux/resources/blockIO/weight")));
    }
}

#[test]
fn refusals_name_file_value_property_and_errno() {
    if cannot_run_here() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    let text = |json: &str| Group::apply(&created, &resources(json), None).unwrap_err().to_string();
    let refused = text(r#"{"cpu":{"cpus":"4000"}}"#);
    assert!(
        refused.contains("/linux/resources/cpu/cpus") && refused.contains("write \"4000\" to /sys/fs/cgroup/"),
        "{refused}"
    );
    let clamped = text(r#"{"cpu":{"shares":1}}"#);
    assert!(clamped.contains("/linux/resources/cpu/shares") && clamped.contains("minimum allowed value"), "{clamped}");
    let clamped = text(r#"{"cpu":{"shares":99999999}}"#);
    assert!(clamped.contains("maximum allowed value"), "{clamped}");
    let v2 = text(r#"{"unified":{"memory.max":"1"}}"#);
    assert!(v2.contains("invalid configuration: cannot use unified on cgroup v1"), "{v2}");
    if created.paths().all(|(list, _)| list.split(',').all(|name| name != "net_cls")) {
        let missing = text(r#"{"network":{"classID":5}}"#);
        assert!(missing.contains("the net_cls controller is not mounted"), "{missing}");
    }
}

#[test]
fn a_limit_below_the_use_names_both() {
    if cannot_run_here() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    if read(&created, "memory", "memory.limit_in_bytes").is_none() {
        println!("skipped: no memory controller");
        return;
    }
    created.apply(&resources("{}"), &default_rules()).unwrap();
    let doors = created.open_for_join(&[]).unwrap();
    let sleeper = Sleeper::start(&doors, || {
        // memory that cannot be swapped out or dropped: pages of a locked mapping
        let length = 8 << 20;
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        if let Ok(fd) = rustix::fs::memfd_create(c"held", flags) {
            let page = [1_u8; 4096];
            (0..length / page.len()).for_each(|_| assert!(rustix::io::write(&fd, &page).is_ok()));
            loop {
                crate::scratch::rest();
            }
        }
    });
    let used = || read(&created, "memory", "memory.usage_in_bytes").unwrap().parse::<u64>().unwrap();
    for _ in 0..500 {
        if used() > 8 << 20 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(used() > 8 << 20 && sleeper.is_alive());
    match Group::apply(&created, &resources(r#"{"memory":{"limit":1048576}}"#), None) {
        Ok(()) => println!("skipped: the kernel swapped the memory out"),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("unable to set memory limit to 1048576 (current usage: "), "{text}");
        }
    }
}

/// Where v2 is not even mounted beside v1, killing goes by freezing.
#[test]
fn killing_by_freezing_ends_fork_storms() {
    if cannot_run_here() {
        return;
    }
    let scratch = Scratch::new();
    let record: Vec<String> =
        scratch.plan("box").unwrap().record().into_iter().filter(|line| !line.starts_with(':')).collect();
    let created = Group::from_record(&record, false).unwrap().create().unwrap();
    let doors = created.open_for_join(&[]).unwrap();
    assert!(doors.clone_target().is_none());
    let storms: Vec<Sleeper> = (0..6).map(|_| Sleeper::start(&doors, crate::life::forks)).collect();
    let sleeper = Sleeper::enter(&doors);
    created.kill_all(PATIENCE).unwrap();
    assert!(created.is_empty().unwrap() && !sleeper.is_alive());
    assert!(!created.frozen().unwrap());
    created.remove(PATIENCE).unwrap();
    drop(storms);
}
