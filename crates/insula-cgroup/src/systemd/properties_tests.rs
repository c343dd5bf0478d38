// SPDX-License-Identifier: Apache-2.0
//! Which properties come of which resources.

use super::*;

fn given(json: &str, version: Version, systemd: u32) -> Vec<String> {
    let resources: Resources<'_> = serde_json::from_str(json).unwrap();
    of(&resources, None, version, systemd)
        .into_iter()
        .map(|(name, value)| format!("{name}={}", shown(&value)))
        .collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Struct(values) => values.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::Array(kind, values) if kind == "(st)" => values.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::U64(INFINITY) => "infinity".into(),
        Value::U64(number) => number.to_string(),
        Value::Array(kind, bytes) if kind == "y" => bytes
            .iter()
            .map(|byte| if let Value::Byte(byte) = byte { format!("{byte:08b}") } else { "?".into() })
            .collect::<Vec<_>>()
            .join("."),
        other => format!("{other:?}"),
    }
}

#[test]
fn unified_resources_become_properties() {
    for (json, properties) in [
        ("{}", &[][..]),
        (
            r#"{"memory": {"limit": 1000, "reservation": 500, "swap": 3000}}"#,
            &["MemoryMax=1000", "MemoryLow=500", "MemorySwapMax=2000"],
        ),
        (r#"{"memory": {"limit": 1000, "swap": 1000}}"#, &["MemoryMax=1000", "MemorySwapMax=0"]),
        (r#"{"memory": {"limit": -1}}"#, &["MemoryMax=infinity", "MemorySwapMax=infinity"]),
        (r#"{"cpu": {"shares": 1024}}"#, &["CPUWeight=100"]),
        (r#"{"cpu": {"shares": 1024, "idle": 1}}"#, &["CPUWeight=0"]),
        (r#"{"cpu": {"quota": 5000, "period": 10000}}"#, &["CPUQuotaPeriodUSec=10000", "CPUQuotaPerSecUSec=500000"]),
        (r#"{"cpu": {"quota": 5000}}"#, &["CPUQuotaPerSecUSec=50000"]),
        (r#"{"cpu": {"quota": 4001, "period": 10000}}"#, &["CPUQuotaPeriodUSec=10000", "CPUQuotaPerSecUSec=410000"]),
        (r#"{"cpu": {"quota": -1, "period": 10000}}"#, &["CPUQuotaPeriodUSec=10000", "CPUQuotaPerSecUSec=infinity"]),
        (
            r#"{"cpu": {"cpus": "0-2,9", "mems": "0"}}"#,
            &["AllowedCPUs=00000111.00000010", "AllowedMemoryNodes=00000001"],
        ),
        (r#"{"pids": {"limit": 99}}"#, &["TasksMax=99"]),
        (r#"{"pids": {"limit": 0}}"#, &["TasksMax=1"]),
        (r#"{"pids": {"limit": -1}}"#, &["TasksMax=infinity"]),
        (r#"{"blockIO": {"weight": 10}}"#, &["IOWeight=10"]),
        (r#"{"blockIO": {"weight": 300}}"#, &["IOWeight=2300"]),
        (r#"{"blockIO": {"weight": 1000}}"#, &["IOWeight=10000"]),
        (r#"{"blockIO": {"weight": 1001}}"#, &[]),
        (
            r#"{"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 50}, {"major": 8, "minor": 16}]}}"#,
            &["IODeviceWeight=/dev/block/8:0 50"],
        ),
        (
            r#"{"unified": {"memory.min": "131072", "memory.low": "524288", "memory.high": "5", "memory.max": "max", "memory.swap.max": " 7\n",
                "pids.max": "99", "cpu.max": "10000 100000", "cpu.weight": "42", "cpuset.cpus": "1", "hugetlb.2MB.max": "0"}}"#,
            &[
                "CPUWeight=42",
                "CPUQuotaPeriodUSec=100000",
                "CPUQuotaPerSecUSec=100000",
                "AllowedCPUs=00000010",
                "MemoryHigh=5",
                "MemoryLow=524288",
                "MemoryMin=131072",
                "MemoryMax=infinity",
                "MemorySwapMax=7",
                "TasksMax=99",
            ],
        ),
        (r#"{"unified": {"cpu.max": "max"}}"#, &["CPUQuotaPeriodUSec=100000", "CPUQuotaPerSecUSec=infinity"]),
        (r#"{"unified": {"cpu.idle": "1", "cpu.weight": "8"}}"#, &["CPUWeight=0"]),
        (
            r#"{"unified": {"cpu.max": "1 2 3 x", "memory.max": "1G", "cpuset.cpus": "3-1", "cpu.weight": "x"}}"#,
            &["CPUQuotaPeriodUSec=2", "CPUQuotaPerSecUSec=500000"],
        ),
    ] {
        assert_eq!(given(json, Version::V2, 257), properties, "{json}");
    }
}

#[test]
fn legacy_resources_become_properties() {
    let json = r#"{"memory": {"limit": 1000, "swap": 2000}, "cpu": {"shares": 512, "quota": 1000, "idle": 1}, "pids": {"limit": 5},
        "blockIO": {"weight": 300}}"#;
    let properties =
        ["MemoryLimit=1000", "CPUShares=512", "CPUQuotaPerSecUSec=10000", "BlockIOWeight=300", "TasksMax=5"];
    assert_eq!(given(json, Version::V1, 252), properties);
}

#[test]
fn an_older_systemd_is_asked_for_less() {
    let json = r#"{"cpu": {"quota": 1000, "period": 10000, "cpus": "0", "shares": 2, "idle": 1}}"#;
    assert_eq!(given(json, Version::V2, 240), ["CPUWeight=1", "CPUQuotaPerSecUSec=100000"]);
    assert_eq!(oom_policy("1", 252), None);
    assert_eq!(oom_policy("1", 253), Some(("OOMPolicy".into(), Value::text("kill"))));
    assert_eq!(oom_policy("2", 257), None);
}

#[test]
fn a_quota_is_rounded_as_systemd_does() {
    for (quota, period, result) in [
        (4001, Some(10_000), 4100),
        (4000, Some(10_000), 4000),
        (1, None, 1000),
        (-1, Some(10_000), -1),
        (300_000, None, 300_000),
    ] {
        let cpu = insula_spec::Cpu { quota: Some(quota), period, ..insula_spec::Cpu::default() };
        let resources = Resources { cpu: Some(cpu), ..Resources::default() };
        assert_eq!(rounded(&resources).cpu.as_ref().unwrap().quota, Some(result), "{quota} of {period:?}");
    }
}

#[test]
fn device_rules_start_from_an_empty_list() {
    let none = Resources::default();
    let all = DeviceRules::new(&[insula_spec::DeviceRule {
        allow: true,
        kind: None,
        major: None,
        minor: None,
        access: None,
    }])
    .unwrap();
    let empty = ("DeviceAllow".to_string(), Value::Array("(ss)".into(), Vec::new()));
    let policy = |word: &str| ("DevicePolicy".to_string(), Value::text(word));
    assert_eq!(of(&none, Some(&all), Version::V2, 257), [empty.clone(), policy("auto")]);
    let rules = DeviceRules::for_container(&[], &[]).unwrap();
    let list = of(&none, Some(&rules), Version::V2, 257);
    assert_eq!(list[..2], [empty, policy("strict")]);
    let Value::Array(kind, entries) = &list[2].1 else { panic!("{list:?}") };
    let null = Value::Struct(vec![Value::text("/dev/char/1:3"), Value::text("rwm")]);
    assert!(kind == "(ss)" && entries.contains(&null), "{entries:?}");
}
