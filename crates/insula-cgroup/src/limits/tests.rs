// SPDX-License-Identifier: Apache-2.0
//! Documents and the writes they come to.

use super::*;
use insula_error::Kind;

fn resources(json: &str) -> Resources<'_> {
    serde_json::from_str(json).unwrap()
}

/// `file=value` in order, `?` behind what may be missing.
fn told(json: &str, version: Version) -> Vec<String> {
    let told = |write: &Write| format!("{}={}{}", write.file, write.value, if write.optional { "?" } else { "" });
    writes(&resources(json), version).unwrap().iter().map(told).collect()
}

fn refused(json: &str, version: Version) -> String {
    let error = writes(&resources(json), version).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidConfig, "{error}");
    error.pointer().unwrap().to_string()
}

#[test]
fn memory() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("{}", &[], &[]),
        (r#"{"limit":0,"swap":0,"reservation":0}"#, &[], &[]),
        (r#"{"limit":4096}"#, &["memory.limit_in_bytes=4096"], &["memory.max=4096"]),
        (
            r#"{"limit":-1}"#,
            &["memory.memsw.limit_in_bytes=-1?", "memory.limit_in_bytes=-1"],
            &["memory.swap.max=max?", "memory.max=max"],
        ),
        (
            r#"{"limit":4096,"swap":12288}"#,
            &["memory.limit_in_bytes=4096", "memory.memsw.limit_in_bytes=12288"],
            &["memory.swap.max=8192", "memory.max=4096"],
        ),
        (
            r#"{"limit":4096,"swap":4096}"#,
            &["memory.limit_in_bytes=4096", "memory.memsw.limit_in_bytes=4096"],
            &["memory.swap.max=0?", "memory.max=4096"],
        ),
        (
            r#"{"limit":4096,"swap":-1}"#,
            &["memory.limit_in_bytes=4096", "memory.memsw.limit_in_bytes=-1"],
            &["memory.swap.max=max?", "memory.max=4096"],
        ),
        (
            r#"{"limit":-1,"swap":4096}"#,
            &["memory.limit_in_bytes=-1", "memory.memsw.limit_in_bytes=4096"],
            &["memory.swap.max=4096", "memory.max=max"],
        ),
        (
            r#"{"reservation":4096,"swappiness":60,"disableOOMKiller":true,"kernel":1,"kernelTCP":1,"useHierarchy":true}"#,
            &["memory.soft_limit_in_bytes=4096", "memory.oom_control=1", "memory.swappiness=60"],
            &["memory.low=4096"],
        ),
        (r#"{"swappiness":18446744073709551615,"disableOOMKiller":false}"#, &[], &[]),
    ];
    for (memory, v1, v2) in cases {
        let json = format!(r#"{{"memory":{memory}}}"#);
        assert_eq!(told(&json, Version::V1), *v1, "{json}");
        assert_eq!(told(&json, Version::V2), *v2, "{json}");
    }
    assert_eq!(refused(r#"{"memory":{"swappiness":101}}"#, Version::V1), "/linux/resources/memory/swappiness");
    for memory in [r#"{"swap":5}"#, r#"{"limit":6,"swap":5}"#, r#"{"limit":-2,"swap":5}"#] {
        assert_eq!(refused(&format!(r#"{{"memory":{memory}}}"#), Version::V2), "/linux/resources/memory/swap");
    }
}

#[test]
fn cpu() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        (r#"{"shares":1024}"#, &["cpu.shares=1024"], &["cpu.weight=100"]),
        (
            r#"{"quota":5000,"period":10000}"#,
            &["cpu.cfs_period_us=10000", "cpu.cfs_quota_us=5000"],
            &["cpu.max=5000 10000"],
        ),
        (r#"{"quota":-1}"#, &["cpu.cfs_quota_us=-1"], &["cpu.max=max 100000"]),
        (r#"{"quota":3000}"#, &["cpu.cfs_quota_us=3000"], &["cpu.max=3000 100000"]),
        (r#"{"period":20000}"#, &["cpu.cfs_period_us=20000"], &["cpu.max=max 20000"]),
        (r#"{"burst":0,"idle":1}"#, &["cpu.cfs_burst_us=0?", "cpu.idle=1"], &["cpu.idle=1", "cpu.max.burst=0"]),
        (
            r#"{"realtimePeriod":1000000,"realtimeRuntime":950000}"#,
            &["cpu.rt_period_us=1000000", "cpu.rt_runtime_us=950000"],
            &[],
        ),
        (r#"{"cpus":"0-1","mems":""}"#, &["cpuset.cpus=0-1"], &["cpuset.cpus=0-1"]),
        (r#"{"shares":0,"quota":0,"period":0}"#, &[], &[]),
    ];
    for (cpu, v1, v2) in cases {
        let json = format!(r#"{{"cpu":{cpu}}}"#);
        assert_eq!(told(&json, Version::V1), *v1, "{json}");
        assert_eq!(told(&json, Version::V2), *v2, "{json}");
    }
}

#[test]
fn shares_become_weights_exactly_as_by_floating_point() {
    for shares in 0..=262_146_u32 {
        let expected = match shares {
            0 => 0,
            1..=2 => 1,
            262_144.. => 10_000,
            _ => {
                let l = f64::from(shares).log2();
                10_f64.powf((l * l + 125.0 * l) / 612.0 - 7.0 / 34.0).ceil() as u64
            }
        };
        assert_eq!(cpu::weight_of_shares(shares.into()), expected, "{shares}");
    }
}

#[test]
fn pids() {
    for (limit, value) in [("-1", "max"), ("-5", "max"), ("0", "1"), ("7", "7")] {
        let json = format!(r#"{{"pids":{{"limit":{limit}}}}}"#);
        assert_eq!(told(&json, Version::V1), [format!("pids.max={value}")]);
        assert_eq!(told(&json, Version::V2), [format!("pids.max={value}")]);
    }
    assert_eq!(told(r#"{"pids":{}}"#, Version::V2), [""; 0]);
}

#[test]
fn block_io() {
    let json = r#"{"blockIO":{"weight":500,"leafWeight":300,
        "weightDevice":[{"major":8,"minor":0,"weight":600,"leafWeight":400},{"major":8,"minor":16}],
        "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}],"throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":2}],
        "throttleReadIOPSDevice":[{"major":8,"minor":0,"rate":3}],"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":4}]}}"#;
    let v1 = [
        "blkio.weight=500",
        "blkio.leaf_weight=300",
        "blkio.weight_device=8:0 600",
        "blkio.leaf_weight_device=8:0 400",
        "blkio.throttle.read_bps_device=8:0 1",
        "blkio.throttle.write_bps_device=8:0 2",
        "blkio.throttle.read_iops_device=8:0 3",
        "blkio.throttle.write_iops_device=8:0 4",
    ];
    assert_eq!(told(json, Version::V1), v1);
    let v2 = [
        "io.bfq.weight=500",
        "io.bfq.weight=8:0 600?",
        "io.max=8:0 rbps=1",
        "io.max=8:0 wbps=2",
        "io.max=8:0 riops=3",
        "io.max=8:0 wiops=4",
    ];
    assert_eq!(told(json, Version::V2), v2);
    let fallback = |weight: u16, version| {
        let list = writes(&resources(&format!(r#"{{"blockIO":{{"weight":{weight}}}}}"#)), version).unwrap();
        list[0].otherwise.clone().unwrap()
    };
    assert_eq!(fallback(500, Version::V1), ("blkio.bfq.weight", "500".to_string()));
    for (weight, converted) in [(10, "1"), (500, "4950"), (750, "7475"), (1000, "10000")] {
        assert_eq!(fallback(weight, Version::V2), ("io.weight", converted.to_string()));
    }
    let pointers: Vec<_> =
        writes(&resources(json), Version::V2).unwrap().into_iter().map(|write| write.pointer).collect();
    assert_eq!(pointers[1], "/linux/resources/blockIO/weightDevice/0/weight");
    assert_eq!(pointers[5], "/linux/resources/blockIO/throttleWriteIOPSDevice/0");
}

#[test]
fn huge_pages() {
    let json = r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#;
    assert_eq!(
        told(json, Version::V1),
        ["hugetlb.2MB.limit_in_bytes=4194304", "hugetlb.2MB.rsvd.limit_in_bytes=4194304?"]
    );
    assert_eq!(told(json, Version::V2), ["hugetlb.2MB.max=4194304", "hugetlb.2MB.rsvd.max=4194304?"]);
    for size in ["../x", "2MB/..", "MB", "02MB", "2mb", "2TB", "-1KB", ""] {
        let json = format!(r#"{{"hugepageLimits":[{{"pageSize":"{size}","limit":0}}]}}"#);
        assert_eq!(refused(&json, Version::V2), "/linux/resources/hugepageLimits/0/pageSize", "{size}");
    }
}

#[test]
fn network_and_rdma() {
    let json = r#"{"network":{"classID":1048577,"priorities":[{"name":"lo","priority":3}]}}"#;
    assert_eq!(told(json, Version::V1), ["net_cls.classid=1048577", "net_prio.ifpriomap=lo 3"]);
    assert_eq!(told(json, Version::V2), [""; 0]);
    let json = r#"{"network":{"priorities":[{"name":"lo 1\neth0","priority":3}]}}"#;
    assert_eq!(refused(json, Version::V1), "/linux/resources/network/priorities/0/name");
    let json = r#"{"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000},"mlx4_0":{"hcaObjects":0}}}"#;
    assert_eq!(
        told(json, Version::V1),
        ["rdma.max=mlx5_1 hca_handle=3 hca_object=10000", "rdma.max=mlx4_0 hca_object=0"]
    );
    assert_eq!(refused(r#"{"rdma":{"a b":{}}}"#, Version::V2), "/linux/resources/rdma/a b");
}

#[test]
fn unified() {
    let json = r#"{"unified":{"memory.min":"131072","hugetlb.2MB.max":"0","cgroup.max.depth":"3","io.max":"8:0 rbps=1\n8:16 rbps=2"}}"#;
    assert_eq!(
        told(json, Version::V2),
        ["memory.min=131072", "hugetlb.2MB.max=0", "cgroup.max.depth=3", "io.max=8:0 rbps=1\n8:16 rbps=2"]
    );
    assert_eq!(refused(json, Version::V1), "/linux/resources/unified");
    for (key, pointer) in [
        ("../memory.max", "..~1memory.max"),
        ("memory/x.max", "memory~1x.max"),
        ("memory", "memory"),
        ("memory..max", "memory..max"),
        (".", "."),
        ("..", ".."),
        ("memory.max\\n", "memory.max\n"),
    ] {
        let json = format!(r#"{{"unified":{{"{key}":"1"}}}}"#);
        assert_eq!(refused(&json, Version::V2), format!("/linux/resources/unified/{pointer}"));
    }
}
