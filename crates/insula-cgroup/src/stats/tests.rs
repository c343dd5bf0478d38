// SPDX-License-Identifier: Apache-2.0
//! Parsing, and the JSON that engines read.

use super::legacy::entries;
use super::source::{number, page_size};
use super::*;

#[test]
fn numbers_as_the_kernel_writes_them() {
    for (text, value) in
        [("0", Some(0)), ("max", Some(u64::MAX)), ("-4096", Some(0)), ("x", None), ("", None), ("1 2", None)]
    {
        assert_eq!(number(text), value, "{text:?}");
    }
    for (directory, size) in [
        ("hugepages-64kB", Some("64KB")),
        ("hugepages-2048kB", Some("2MB")),
        ("hugepages-1048576kB", Some("1GB")),
        ("hugepages-2048", None),
        ("other", None),
    ] {
        assert_eq!(page_size(directory).as_deref(), size, "{directory}");
    }
}

#[test]
fn block_counters() {
    let text = "8:0 Read 12\n8:0 Write 0\n8:0 Total 12\n7:1 5\nTotal 17\n";
    let told: Vec<_> = entries(text).unwrap().into_iter().map(|e| (e.major, e.minor, e.op, e.value)).collect();
    let expected = [(8, 0, "Read", 12), (8, 0, "Write", 0), (8, 0, "Total", 12), (7, 1, "", 5)];
    assert_eq!(told, expected.map(|(major, minor, op, value)| (major, minor, op.to_string(), value)));
    assert_eq!(entries("8 0\n"), Err("8 0"));
    assert_eq!(entries("8:0 Read x\n"), Err("8:0 Read x"));
}

#[test]
fn the_shape_is_runcs() {
    let empty = serde_json::to_value(Stats::default()).unwrap();
    let expected = serde_json::json!({
        "cpu": {}, "memory": {}, "pids": {}, "blkio": {}, "hugetlb": {}, "intel_rdt": {}, "network_interfaces": null,
        "cpuset": {
            "cpu_exclusive": 0, "mem_hardwall": 0, "mem_exclusive": 0, "memory_migrate": 0, "memory_spread_page": 0,
            "memory_spread_slab": 0, "memory_pressure": 0, "sched_load_balance": 0, "sched_relax_domain_level": 0
        }
    });
    assert_eq!(empty, expected);
    let entry = BlkioEntry { major: 8, minor: 0, op: "Read".to_string(), value: 5 };
    let stats = Stats {
        cpu: Cpu { usage: CpuUsage { total: 3, ..CpuUsage::default() }, ..Cpu::default() },
        memory: Memory {
            kernel_tcp: MemoryEntry { limit: 1, ..MemoryEntry::default() },
            raw: vec![("anon".to_string(), 7)],
            psi: Some(Pressure { some: Stall { avg10: 1.25, ..Stall::default() }, ..Pressure::default() }),
            ..Memory::default()
        },
        blkio: Blkio { io_service_bytes_recursive: vec![entry], ..Blkio::default() },
        hugetlb: vec![("2MB".to_string(), Hugetlb::default())],
        ..Stats::default()
    };
    let shape = serde_json::to_value(stats).unwrap();
    assert_eq!(shape["cpu"], serde_json::json!({"usage": {"total": 3, "kernel": 0, "user": 0}}));
    let memory = serde_json::json!({
        "kernelTCP": {"limit": 1, "failcnt": 0},
        "raw": {"anon": 7},
        "psi": {"some": {"avg10": 1.25, "avg60": 0.0, "avg300": 0.0, "total": 0}}
    });
    assert_eq!(shape["memory"], memory);
    let blkio = serde_json::json!({"ioServiceBytesRecursive": [{"major": 8, "op": "Read", "value": 5}]});
    assert_eq!(shape["blkio"], blkio);
    assert_eq!(shape["hugetlb"], serde_json::json!({"2MB": {"failcnt": 0}}));
}
