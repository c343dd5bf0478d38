// SPDX-License-Identifier: Apache-2.0
use super::*;
use crate::{ConsoleSize, default_spec, load, load_process, load_resources, to_json};
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::Kind;
use serde_json::{Value, json};

/// The default document with `value` at `pointer`, made on the way if it is not there; `-` appends.
fn with(pointer: &str, value: &Value) -> String {
    let mut document: Value = serde_json::from_str(&to_json(&default_spec(true))).unwrap();
    let mut place = &mut document;
    for segment in pointer.split('/').skip(1) {
        let key = segment.replace("~1", "/").replace("~0", "~");
        place = match (segment, segment.parse::<usize>()) {
            ("-", _) => {
                if place.is_null() {
                    *place = json!([]);
                }
                let list = place.as_array_mut().unwrap();
                list.push(Value::Null);
                list.last_mut().unwrap()
            }
            (_, Ok(index)) => &mut place[index],
            _ => &mut place[key.as_str()],
        };
    }
    *place = value.clone();
    document.to_string()
}

fn verdict(pointer: &str, value: &Value) -> Check {
    validate(&load(with(pointer, value).as_bytes()).unwrap())
}

fn accepts(cases: &[(&str, Value)]) {
    for (pointer, value) in cases {
        if let Err(error) = verdict(pointer, value) {
            panic!("{pointer} = {value}: {error}");
        }
    }
}

/// Cases: where to put which value, the pointer that the refusal must have, and a part of its text.
fn refuses(cases: &[(&str, Value, &str, &str)]) {
    for (pointer, value, at, reason) in cases {
        let error = verdict(pointer, value).expect_err(&format!("{pointer} = {value}"));
        assert_eq!(error.pointer(), Some(*at), "{pointer} = {value}: {error}");
        let text = error.to_string();
        assert!(text.contains(reason), "{pointer} = {value}: {text}");
        assert!(text.starts_with("cannot accept the configuration (config.json: /"), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }
}

#[test]
fn versions() {
    for version in ["1.0.0", "1.0.2-dev", "1.3.0+x", "1.3.0", "1.10.0-rc.1+a.b-c", "1.0.0-0a"] {
        accepts(&[("/ociVersion", json!(version))]);
    }
    for version in [
        "1",
        "1.3",
        "1.3.0.0",
        "v1.3.0",
        "01.3.0",
        "1.03.0",
        "1.3.0-",
        "1.3.0+",
        "1.3.0-a..b",
        "1.3.x",
        " 1.3.0",
        "1.3.0+a+b",
        "1..0",
    ] {
        refuses(&[("/ociVersion", json!(version), "/ociVersion", "SemVer")]);
    }
    for version in ["0.9.0", "2.0.0", "10.0.0", "10.0.0-1.0"] {
        refuses(&[("/ociVersion", json!(version), "/ociVersion", "not a version 1")]);
    }
    refuses(&[("/ociVersion", json!(""), "/ociVersion", "required")]);
    let error = validate(&load(b"{}").unwrap()).unwrap_err();
    assert_eq!((error.pointer(), error.kind()), (Some("/ociVersion"), Kind::InvalidConfig));
}

#[test]
fn root_process_and_names() {
    accepts(&[
        ("/process", Value::Null),
        ("/hostname", json!("h".repeat(64))),
        ("/process/env", json!(["A=", "A==b", "A= b\nc", "é=1"])),
        ("/process/cwd", json!("/a b")),
        ("/process/user/umask", json!(511)),
        ("/process/user/uid", json!(4_294_967_294_u32)),
        ("/process/user/additionalGids", json!([0, 0, 4_294_967_294_u32])),
        ("/process/consoleSize", json!({"height": 65535, "width": 0})),
        ("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": u64::MAX, "hard": u64::MAX}])),
        ("/process/oomScoreAdj", json!(-1000)),
        ("/process/oomScoreAdj", json!(1000)),
        ("/process/execCPUAffinity", json!({"initial": "0-3, 7", "final": ""})),
        ("/process/apparmorProfile", json!("a//b")),
        ("/annotations/a", json!("")),
    ]);
    refuses(&[
        ("/root", Value::Null, "/root", "required"),
        ("/root/path", json!(""), "/root/path", "empty"),
        ("/hostname", json!("h".repeat(65)), "/hostname", "64 bytes"),
        ("/domainname", json!("h".repeat(65)), "/domainname", "64 bytes"),
        ("/annotations/", json!("x"), "/annotations/", "empty"),
        ("/process/args", json!([]), "/process/args", "no program"),
        ("/process/args", Value::Null, "/process/args", "no program"),
        ("/process/cwd", json!(""), "/process/cwd", "empty"),
        ("/process/cwd", json!("bin"), "/process/cwd", "absolute"),
        ("/process/env/-", json!(""), "/process/env/2", "NAME=value"),
        ("/process/env/-", json!("A"), "/process/env/2", "NAME=value"),
        ("/process/env/-", json!("=A"), "/process/env/2", "no name"),
        ("/process/user/uid", json!(u32::MAX), "/process/user/uid", "no id"),
        ("/process/user/gid", json!(u32::MAX), "/process/user/gid", "no id"),
        ("/process/user/additionalGids", json!([1, u32::MAX]), "/process/user/additionalGids/1", "no id"),
        ("/process/user/additionalGids", json!(vec![1; 65537]), "/process/user/additionalGids", "65536"),
        ("/process/user/umask", json!(512), "/process/user/umask", "octal 022 is 18"),
        ("/process/consoleSize", json!({"height": 65536, "width": 0}), "/process/consoleSize/height", "65535"),
        ("/process/rlimits/0/type", json!("RLIMIT_X"), "/process/rlimits/0/type", "RLIMIT_NOFILE, RLIMIT_MEMLOCK"),
        ("/process/rlimits/0/type", json!("rlimit_core"), "/process/rlimits/0/type", "not known"),
        ("/process/rlimits/0/soft", json!(1025), "/process/rlimits/0/soft", "above the hard limit 1024"),
        (
            "/process/rlimits/-",
            json!({"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}),
            "/process/rlimits/1/type",
            "given twice",
        ),
        ("/process/oomScoreAdj", json!(1001), "/process/oomScoreAdj", "-1000 to 1000"),
        ("/process/oomScoreAdj", json!(-1001), "/process/oomScoreAdj", "-1000 to 1000"),
        ("/process/execCPUAffinity", json!({"initial": "a"}), "/process/execCPUAffinity/initial", "not a number"),
        ("/process/execCPUAffinity", json!({"final": "3-1"}), "/process/execCPUAffinity/final", "ends before"),
        ("/process/apparmorProfile", json!("a\nb"), "/process/apparmorProfile", "control character"),
        ("/process/selinuxLabel", json!("a\u{7f}"), "/process/selinuxLabel", "control character"),
    ]);
    let mut spec = default_spec(true);
    let process = spec.process.as_mut().unwrap();
    process.args.clear();
    process.command_line = Some("cmd".into());
    assert!(validate(&spec).unwrap_err().to_string().contains("commandLine is for Windows"));
    // The size of a terminal that is not asked for does not matter.
    let process = spec.process.as_mut().unwrap();
    process.args.push("sh".into());
    process.terminal = false;
    process.console_size = Some(ConsoleSize { height: 1 << 20, width: 1 });
    validate(&spec).unwrap();
}

#[test]
fn scheduling() {
    accepts(&[
        ("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": -20})),
        ("/process/scheduler", json!({"policy": "SCHED_RR", "priority": 99, "flags": ["SCHED_FLAG_RESET_ON_FORK"]})),
        ("/process/scheduler", json!({"policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 2, "period": 3})),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_RT", "priority": 7})),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_IDLE"})),
    ]);
    refuses(&[
        ("/process/scheduler", json!({"policy": ""}), "/process/scheduler/policy", "SCHED_OTHER, SCHED_FIFO"),
        ("/process/scheduler", json!({"policy": "SCHED_X"}), "/process/scheduler/policy", "not known"),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_RR", "flags": ["A"]}),
            "/process/scheduler/flags/0",
            "SCHED_FLAG_",
        ),
        ("/process/scheduler", json!({"policy": "SCHED_OTHER", "nice": 20}), "/process/scheduler/nice", "-20 to 19"),
        ("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": -21}), "/process/scheduler/nice", "-20 to 19"),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "priority": 1}),
            "/process/scheduler/priority",
            "SCHED_RR",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_RR", "runtime": 1}),
            "/process/scheduler/runtime",
            "SCHED_DEADLINE",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_RR", "deadline": 1}),
            "/process/scheduler/deadline",
            "SCHED_DEADLINE",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_RR", "period": 1}),
            "/process/scheduler/period",
            "SCHED_DEADLINE",
        ),
        ("/process/ioPriority", json!({"class": "RT"}), "/process/ioPriority/class", "IOPRIO_CLASS_BE"),
        (
            "/process/ioPriority",
            json!({"class": "IOPRIO_CLASS_RT", "priority": 8}),
            "/process/ioPriority/priority",
            "0 to 7",
        ),
        (
            "/process/ioPriority",
            json!({"class": "IOPRIO_CLASS_RT", "priority": -1}),
            "/process/ioPriority/priority",
            "0 to 7",
        ),
    ]);
}

#[test]
fn mounts_and_hooks() {
    let line = json!([{"containerID": 0, "hostID": 1, "size": 1}]);
    accepts(&[
        ("/mounts/-", json!({"destination": "relative"})),
        ("/mounts/-", json!({"destination": "/a", "uidMappings": line, "gidMappings": line})),
        ("/hooks/prestart", json!([{"path": "/a", "timeout": 1}, {"path": "/b"}])),
        ("/hooks/poststop", json!([{"path": "/a", "timeout": 1_000_000_000}])),
    ]);
    refuses(&[
        ("/mounts/0/destination", json!(""), "/mounts/0/destination", "empty"),
        ("/mounts/-", json!({"destination": "/a", "uidMappings": line}), "/mounts/7/gidMappings", "go together"),
        ("/mounts/-", json!({"destination": "/a", "gidMappings": line}), "/mounts/7/uidMappings", "go together"),
        (
            "/mounts/-",
            json!({"destination": "/a", "uidMappings": line, "gidMappings": [{"containerID": 0, "hostID": 1, "size": 0}]}),
            "/mounts/7/gidMappings/0/size",
            "no ids",
        ),
        ("/hooks/prestart", json!([{"path": "a"}]), "/hooks/prestart/0/path", "absolute"),
        ("/hooks/createRuntime", json!([{"path": ""}]), "/hooks/createRuntime/0/path", "absolute"),
        ("/hooks/createContainer", json!([{"path": "./a"}]), "/hooks/createContainer/0/path", "absolute"),
        ("/hooks/startContainer", json!([{"path": "/a"}, {"path": "b"}]), "/hooks/startContainer/1/path", "absolute"),
        ("/hooks/poststart", json!([{"path": "/a", "timeout": 0}]), "/hooks/poststart/0/timeout", "seconds"),
        ("/hooks/poststop", json!([{"path": "/a", "timeout": -1}]), "/hooks/poststop/0/timeout", "seconds"),
        ("/hooks/poststop", json!([{"path": "/a", "timeout": i64::MAX}]), "/hooks/poststop/0/timeout", "seconds"),
        ("/hooks/poststop", json!(vec![json!({"path": "/a"}); 10_001]), "/hooks/poststop", "limit is 10000"),
        ("/mounts", json!(vec![json!({"destination": "/a"}); 100_001]), "/mounts", "limit is 100000"),
    ]);
}

#[test]
fn lists_and_texts_have_limits() {
    let device = json!({"path": "/dev/a", "type": "c", "major": 1, "minor": 3});
    let text = |length: usize| format!("A={}", "a".repeat(length - 2));
    accepts(&[
        ("/process/user/additionalGids", json!(vec![1; 65_536])),
        ("/process/env", json!([text(131_071)])),
        ("/process/env", json!(vec![text(100_000); 60])),
    ]);
    refuses(&[
        ("/linux/devices", json!(vec![device; 100_001]), "/linux/devices", "limit is 100000"),
        (
            "/linux/resources/devices",
            json!(vec![json!({"allow": false}); 100_001]),
            "/linux/resources/devices",
            "limit is 100000",
        ),
        ("/process/user/additionalGids", json!(vec![1; 65_537]), "/process/user/additionalGids", "limit is 65536"),
        ("/process/args", json!(["a", text(131_072)]), "/process/args/1", "kernel takes 131071"),
        ("/process/env", json!([text(131_072)]), "/process/env/0", "kernel takes 131071"),
        ("/process/args", json!(vec![text(100_000); 70]), "/process/args", "kernel takes 6291456"),
        ("/process/env", json!(vec![text(100_000); 70]), "/process/env", "kernel takes 6291456"),
    ]);
}

#[test]
fn id_mappings() {
    let map = |lines: &[(u32, u32, u32)]| {
        let lines: Vec<Value> =
            lines.iter().map(|(c, h, s)| json!({"containerID": c, "hostID": h, "size": s})).collect();
        json!(lines)
    };
    let many = |lines: u32| (0..lines).map(|n| (n * 2, n * 3, 1)).collect::<Vec<_>>();
    accepts(&[
        ("/linux/uidMappings", map(&[(0, 0, u32::MAX)])),
        ("/linux/gidMappings", map(&[(u32::MAX - 1, 5, 1)])),
        ("/linux/uidMappings", map(&[(10, 0, 10), (0, 10, 10), (20, 30, 1)])),
        ("/linux/uidMappings", map(&many(340))),
    ]);
    let (uid, gid) = ("/linux/uidMappings", "/linux/gidMappings");
    refuses(&[
        (uid, map(&many(341)), "/linux/uidMappings", "the kernel takes 340"),
        (uid, map(&[(0, 0, 1), (1, 1, 0)]), "/linux/uidMappings/1/size", "no ids"),
        (gid, map(&[(0, 1, u32::MAX)]), "/linux/gidMappings/0/hostID", "past 4294967294"),
        (gid, map(&[(1, 0, u32::MAX)]), "/linux/gidMappings/0/containerID", "past 4294967294"),
        (gid, map(&[(u32::MAX, 0, 1)]), "/linux/gidMappings/0/containerID", "past 4294967294"),
        (uid, map(&[(0, 0, 10), (9, 100, 1)]), "/linux/uidMappings/1/containerID", "overlaps line 0 at id 9"),
        (uid, map(&[(0, 100, 10), (50, 91, 10)]), "/linux/uidMappings/1/hostID", "overlaps line 0 at id 100"),
        (gid, map(&[(5, 5, 1), (0, 0, 1), (5, 9, 1)]), "/linux/gidMappings/2/containerID", "overlaps line 0"),
    ]);
}

#[test]
fn linux_values() {
    accepts(&[
        ("/linux/sysctl", json!({"net.ipv4.conf.eno2/100.rp_filter": "1", "net/core/somaxconn": "1\t2"})),
        ("/linux/cgroupsPath", json!("system.slice:insula:a b")),
        ("/linux/devices/-", json!({"path": "/dev/x", "type": "c", "major": 4095, "minor": 1_048_575})),
        ("/linux/devices/-", json!({"path": "/dev/x", "type": "p"})),
        ("/linux/devices/-", json!({"path": "/dev/x", "type": "p", "major": -1})),
        ("/linux/netDevices", json!({"eth0": {}, "eth1": {"name": ""}, "a23456789012345": {"name": "c%d"}})),
        ("/linux/intelRdt", json!({"closID": "/", "schemata": ["L3:0=f", "MB:0=20"]})),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_DEFAULT"})),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_PREFERRED", "nodes": ""})),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "0-1", "flags": ["MPOL_F_STATIC_NODES"]})),
        ("/linux/personality", json!({"domain": "LINUX32"})),
        ("/linux/mountLabel", json!("system_u:object_r:svirt_sandbox_file_t:s0:c715,c811")),
    ]);
    refuses(&[
        ("/linux/sysctl", json!({"": "1"}), "/linux/sysctl/", "empty"),
        ("/linux/sysctl", json!({"net/../kernel/x": "1"}), "/linux/sysctl/net~1..~1kernel~1x", "\"..\""),
        ("/linux/sysctl", json!({"a.b\n": "1"}), "/linux/sysctl/a.b\\u{a}", "letters, digits"),
        ("/linux/sysctl", json!({"a.b": "1\n2"}), "/linux/sysctl/a.b", "'\\n'"),
        ("/linux/cgroupsPath", json!("/a\nb"), "/linux/cgroupsPath", "control character"),
        ("/linux/devices/-", json!({"path": "x", "type": "c"}), "/linux/devices/0/path", "absolute"),
        ("/linux/devices/-", json!({"path": "/x", "type": "a"}), "/linux/devices/0/type", "fifo"),
        ("/linux/devices/-", json!({"path": "/x", "type": "c", "major": 4096}), "/linux/devices/0/major", "0 to 4095"),
        ("/linux/devices/-", json!({"path": "/x", "type": "b", "minor": 1 << 20}), "/linux/devices/0/minor", "1048575"),
        ("/linux/devices/-", json!({"path": "/x", "type": "u", "minor": -1}), "/linux/devices/0/minor", "-1"),
        ("/linux/netDevices", json!({"a/b": {}}), "/linux/netDevices/a~1b", "network interface"),
        ("/linux/netDevices", json!({"": {}}), "/linux/netDevices/", "network interface"),
        ("/linux/netDevices", json!({"..": {}}), "/linux/netDevices/..", "network interface"),
        ("/linux/netDevices", json!({"a234567890123456": {}}), "/linux/netDevices/a234567890123456", "1 to 15"),
        ("/linux/netDevices", json!({"a": {"name": "b c"}}), "/linux/netDevices/a/name", "network interface"),
        ("/linux/maskedPaths/-", json!("proc/x"), "/linux/maskedPaths/10", "absolute"),
        ("/linux/readonlyPaths/-", json!(""), "/linux/readonlyPaths/5", "absolute"),
        ("/linux/mountLabel", json!("a\",b"), "/linux/mountLabel", "quotation"),
        ("/linux/mountLabel", json!("a\nb"), "/linux/mountLabel", "control character"),
        ("/linux/intelRdt", json!({"closID": ".."}), "/linux/intelRdt/closID", "directory"),
        ("/linux/intelRdt", json!({"closID": "a/b"}), "/linux/intelRdt/closID", "directory"),
        ("/linux/intelRdt", json!({"schemata": ["a", "b\nc"]}), "/linux/intelRdt/schemata/1", "control character"),
        ("/linux/intelRdt", json!({"memBwSchema": "MB:\n"}), "/linux/intelRdt/memBwSchema", "control character"),
        ("/linux/memoryPolicy", json!({}), "/linux/memoryPolicy/mode", "MPOL_BIND"),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_LOCAL", "nodes": "0"}), "/linux/memoryPolicy/nodes", "no nodes"),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_BIND"}), "/linux/memoryPolicy/nodes", "at least one"),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_BIND", "nodes": "x"}),
            "/linux/memoryPolicy/nodes",
            "not a number",
        ),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_LOCAL", "flags": ["x"]}),
            "/linux/memoryPolicy/flags/0",
            "MPOL_F_",
        ),
        ("/linux/personality", json!({}), "/linux/personality/domain", "LINUX, LINUX32"),
        ("/linux/personality", json!({"domain": "BSD"}), "/linux/personality/domain", "LINUX, LINUX32"),
    ]);
    let flags = verdict("/linux/personality", &json!({"domain": "LINUX", "flags": ["x"]})).unwrap_err();
    assert_eq!((flags.kind(), flags.pointer()), (Kind::Unsupported, Some("/linux/personality/flags/0")));
}

#[test]
fn resources() {
    accepts(&[
        ("/linux/resources/devices/-", json!({"allow": true})),
        ("/linux/resources/devices/-", json!({"allow": true, "type": "a", "major": -1, "minor": -1, "access": "wm"})),
        ("/linux/resources/cpu", json!({"cpus": "0-31:2/8", "mems": ""})),
        ("/linux/resources/hugepageLimits", json!([{"pageSize": "64KB", "limit": 0}, {"pageSize": "1GB", "limit": 0}])),
        ("/linux/resources/network", json!({"classID": 1, "priorities": [{"name": "eth0", "priority": 1}]})),
        ("/linux/resources/rdma", json!({"mlx5_1": {"hcaHandles": 1}})),
        ("/linux/resources/unified", json!({"memory.max": "1", "io.max": "8:0 rbps=1\n8:1 rbps=2"})),
    ]);
    let at = "/linux/resources/";
    for (place, value, fault, reason) in [
        ("devices/0/type", json!("p"), "devices/0/type", "block"),
        ("devices/0/access", json!("rx"), "devices/0/access", "mknod"),
        ("devices/0/major", json!(-2), "devices/0/major", "-1 is any"),
        ("devices/0/minor", json!(1_u64 << 32), "devices/0/minor", "-1 is any"),
        ("cpu", json!({"cpus": "0\n1"}), "cpu/cpus", "control character"),
        ("cpu", json!({"mems": "\r"}), "cpu/mems", "control character"),
        ("hugepageLimits", json!([{"pageSize": "2MiB", "limit": 1}]), "hugepageLimits/0/pageSize", "2MB"),
        ("hugepageLimits", json!([{"pageSize": "../xKB", "limit": 1}]), "hugepageLimits/0/pageSize", "2MB"),
        ("hugepageLimits", json!([{"pageSize": "02MB", "limit": 1}]), "hugepageLimits/0/pageSize", "2MB"),
        ("hugepageLimits", json!([{"pageSize": "MB", "limit": 1}]), "hugepageLimits/0/pageSize", "2MB"),
        ("network", json!({"priorities": [{"name": "a b", "priority": 1}]}), "network/priorities/0/name", "interface"),
        ("rdma", json!({"a b": {}}), "rdma/a b", "device"),
        ("unified", json!({"a/b.c": "1"}), "unified/a~1b.c", "cgroup file"),
        ("unified", json!({"memory": "1"}), "unified/memory", "cgroup file"),
        ("unified", json!({"": "1"}), "unified/", "cgroup file"),
        ("unified", json!({"a.b\n": "1"}), "unified/a.b\\u{a}", "cgroup file"),
    ] {
        refuses(&[(&format!("{at}{place}"), value, &format!("{at}{fault}"), reason)]);
    }
}

#[test]
fn parts_have_pointers_of_their_own() {
    let process = load_process(br#"{"cwd":"/","args":["sh"],"env":["A"]}"#).unwrap();
    assert_eq!(validate_process(&process).unwrap_err().pointer(), Some("/env/0"));
    let resources = load_resources(br#"{"unified":{"x":"1"}}"#).unwrap();
    assert_eq!(validate_resources(&resources).unwrap_err().pointer(), Some("/unified/x"));
}

#[test]
fn tables_of_names_are_whole() {
    use crate::names::*;
    for names in [
        &RLIMITS,
        &SCHEDULER_POLICIES,
        &SCHEDULER_FLAGS,
        &IO_PRIORITY_CLASSES,
        &PERSONALITY_DOMAINS,
        &MEMORY_POLICY_MODES,
        &MEMORY_POLICY_FLAGS,
    ] {
        let numbers: Vec<u32> = names.iter().map(|name| names.number(name).unwrap()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{names:?} has a number twice or out of order");
        assert_eq!(names.number("x"), None);
    }
    assert_eq!(RLIMITS.iter().count(), 16);
    assert_eq!((RLIMITS.number("RLIMIT_NOFILE"), SCHEDULER_POLICIES.number("SCHED_DEADLINE")), (Some(7), Some(6)));
}
