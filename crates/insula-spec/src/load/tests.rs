// SPDX-License-Identifier: Apache-2.0
use super::*;
use crate::{Str, default_spec, rootless, to_json, unknown_properties};
use alloc::borrow::Cow;
use alloc::vec::Vec;
use insula_error::Kind;
use serde_json::{Map, Value, json};

const FULL: &str = include_str!("../../testdata/full.json");

fn full() -> Value {
    serde_json::from_str(FULL).unwrap()
}

/// Pointers of all values of a document but the document, outermost first.
fn places(value: &Value, at: &str, places: &mut Vec<String>) {
    let mut visit = |key: &str, value| {
        let mut at = String::from(at);
        crate::push_segment(&mut at, key);
        places.push(at.clone());
        self::places(value, &at, places);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| visit(key, value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, value)| visit(&index.to_string(), value)),
        _ => {}
    }
}

/// A pointer with `*` for indices and free keys.
fn pattern(pointer: &str) -> String {
    let free = ["annotations", "sysctl", "rdma", "unified", "netDevices", "timeOffsets"];
    let mut pattern: Vec<&str> = Vec::new();
    for segment in pointer.split('/') {
        let number = !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
        let free = pattern.last().is_some_and(|last| free.contains(last));
        pattern.push(if number || free { "*" } else { segment });
    }
    pattern.join("/")
}

fn parent(pointer: &str) -> &str {
    pointer.rsplit_once('/').unwrap().0
}

fn remove(document: &mut Value, pointer: &str) {
    let key = pointer.rsplit_once('/').unwrap().1.replace("~1", "/").replace("~0", "~");
    match document.pointer_mut(parent(pointer)).unwrap() {
        Value::Object(map) => drop(map.remove(&key)),
        Value::Array(list) => drop(list.remove(key.parse().unwrap())),
        _ => unreachable!(),
    }
}

fn error_of(text: &str) -> Error {
    let error = load(text.as_bytes()).err().unwrap_or_else(|| panic!("accepted: {text}"));
    assert_eq!(error.kind(), Kind::InvalidConfig);
    let shown = error.to_string();
    assert!(shown.contains("line ") && shown.contains(", column "), "{shown}");
    assert!(!shown.contains('\n'), "{shown}");
    error
}

/// What the specification's schema says must be there ("required"), but for `ociVersion`, which `validate` refuses,
/// and `pids.limit`, which its Go types leave out; and `cwd`, which its text requires.
const REQUIRED: &[&str] = &[
    "/process/consoleSize/height",
    "/process/consoleSize/width",
    "/process/cwd",
    "/process/rlimits/*/type",
    "/process/rlimits/*/hard",
    "/process/rlimits/*/soft",
    "/process/scheduler/policy",
    "/process/ioPriority/class",
    "/root/path",
    "/mounts/*/destination",
    "/mounts/*/uidMappings/*/containerID",
    "/mounts/*/uidMappings/*/hostID",
    "/mounts/*/uidMappings/*/size",
    "/mounts/*/gidMappings/*/containerID",
    "/mounts/*/gidMappings/*/hostID",
    "/mounts/*/gidMappings/*/size",
    "/hooks/prestart/*/path",
    "/hooks/createRuntime/*/path",
    "/hooks/createContainer/*/path",
    "/hooks/startContainer/*/path",
    "/hooks/poststart/*/path",
    "/hooks/poststop/*/path",
    "/linux/uidMappings/*/containerID",
    "/linux/uidMappings/*/hostID",
    "/linux/uidMappings/*/size",
    "/linux/gidMappings/*/containerID",
    "/linux/gidMappings/*/hostID",
    "/linux/gidMappings/*/size",
    "/linux/namespaces/*/type",
    "/linux/devices/*/path",
    "/linux/devices/*/type",
    "/linux/resources/devices/*/allow",
    "/linux/resources/blockIO/weightDevice/*/major",
    "/linux/resources/blockIO/weightDevice/*/minor",
    "/linux/resources/blockIO/throttleReadBpsDevice/*/major",
    "/linux/resources/blockIO/throttleReadBpsDevice/*/minor",
    "/linux/resources/blockIO/throttleWriteBpsDevice/*/major",
    "/linux/resources/blockIO/throttleWriteBpsDevice/*/minor",
    "/linux/resources/blockIO/throttleReadIOPSDevice/*/major",
    "/linux/resources/blockIO/throttleReadIOPSDevice/*/minor",
    "/linux/resources/blockIO/throttleWriteIOPSDevice/*/major",
    "/linux/resources/blockIO/throttleWriteIOPSDevice/*/minor",
    "/linux/resources/hugepageLimits/*/pageSize",
    "/linux/resources/hugepageLimits/*/limit",
    "/linux/resources/network/priorities/*/name",
    "/linux/resources/network/priorities/*/priority",
    "/linux/seccomp/syscalls/*/names",
    "/linux/seccomp/syscalls/*/action",
    "/linux/seccomp/syscalls/*/args/*/index",
    "/linux/seccomp/syscalls/*/args/*/value",
    "/linux/seccomp/syscalls/*/args/*/op",
];

/// Parts that are noted and not read.
const NOT_READ: &[&str] = &["/solaris", "/windows", "/vm", "/zos", "/freebsd"];

#[test]
fn everything_comes_back() {
    let spec = load(FULL.as_bytes()).unwrap();
    let written: Value = serde_json::from_str(&to_json(&spec)).unwrap();
    assert_eq!(written, full());
    assert_eq!(unknown_properties(FULL.as_bytes()), Vec::<String>::new());
}

#[test]
fn strings_borrow_unless_they_have_escapes() {
    let spec = load(FULL.as_bytes()).unwrap();
    let args = spec.process.unwrap().args;
    assert!(matches!(args[0].clone().into_cow(), Cow::Borrowed("sh")));
    assert_eq!(args[2], "echo \"é\" \\ 😀");
    assert!(matches!(args[2].clone().into_cow(), Cow::Owned(_)));
    let range = FULL.as_bytes().as_ptr_range();
    assert!(range.contains(&args[0].as_ptr()));
}

/// Every value, replaced by every other type.
#[test]
fn wrong_types_are_refused_at_their_place() {
    let mut places = Vec::new();
    self::places(&full(), "", &mut places);
    assert!(places.len() > 250, "{}", places.len());
    let kind = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    };
    let samples = [
        json!(true),
        json!(7),
        json!(1.5),
        json!(1e300),
        json!("text"),
        json!([]),
        json!([1, "a"]),
        json!({}),
        json!({"a": 1}),
    ];
    let mut refused = 0;
    for place in places.iter().filter(|place| !NOT_READ.contains(&place.as_str())) {
        let original = full().pointer(place).unwrap().clone();
        for sample in &samples {
            if kind(sample) == kind(&original) && !sample.is_f64() {
                continue;
            }
            for text in [|v: &Value| to_json(v), |v: &Value| v.to_string()] {
                let mut document = full();
                *document.pointer_mut(place).unwrap() = sample.clone();
                let error = error_of(&text(&document));
                assert_eq!(error.pointer(), Some(place.as_str()), "{sample} for {original}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 3000, "{refused}");
}

#[test]
fn null_is_absent_and_required_is_required() {
    let mut places = Vec::new();
    self::places(&full(), "", &mut places);
    let mut found = Vec::new();
    for place in &places {
        let mut null = full();
        *null.pointer_mut(place).unwrap() = Value::Null;
        let null = to_json(&null);
        let mut absent = full();
        remove(&mut absent, place);
        let absent = to_json(&absent);
        let pattern = pattern(place);
        if REQUIRED.contains(&pattern.as_str()) {
            assert_eq!(error_of(&null).pointer(), Some(place.as_str()));
            let error = error_of(&absent);
            assert_eq!(error.pointer(), Some(parent(place)), "{error}");
            assert!(error.to_string().contains("missing property"), "{error}");
            found.push(pattern);
        } else if pattern.ends_with('*') {
            // An element of a list or a free map is a value like any other.
            assert_eq!(error_of(&null).pointer(), Some(place.as_str()));
            assert!(load(absent.as_bytes()).is_ok(), "without {place}");
        } else {
            assert_eq!(load(null.as_bytes()).unwrap(), load(absent.as_bytes()).unwrap(), "{place}");
        }
    }
    for pattern in REQUIRED {
        assert!(found.iter().any(|found| found == pattern), "{pattern} is not in the document");
    }
}

#[test]
fn widths_of_numbers() {
    for (pointer, widest, beyond) in [
        ("/process/user/uid", json!(u32::MAX), json!(1_u64 << 32)),
        ("/process/user/uid", json!(0), json!(-1)),
        ("/process/user/additionalGids/0", json!(u32::MAX), json!(1_u64 << 32)),
        ("/process/oomScoreAdj", json!(i64::MIN), json!(u64::MAX)),
        ("/process/rlimits/0/soft", json!(u64::MAX), json!(-1)),
        ("/process/scheduler/nice", json!(i32::MIN), json!(i64::from(i32::MIN) - 1)),
        ("/process/scheduler/runtime", json!(u64::MAX), json!(-1)),
        ("/process/consoleSize/width", json!(u64::MAX), json!(-1)),
        ("/hooks/prestart/0/timeout", json!(i64::MIN), json!(1_u64 << 63)),
        ("/mounts/0/uidMappings/0/size", json!(u32::MAX), json!(1_u64 << 32)),
        ("/linux/resources/memory/limit", json!(i64::MIN), json!(1_u64 << 63)),
        ("/linux/resources/memory/swappiness", json!(u64::MAX), json!(-1)),
        ("/linux/resources/cpu/shares", json!(u64::MAX), json!(-1)),
        ("/linux/resources/pids/limit", json!(i64::MAX), json!(1_u64 << 63)),
        ("/linux/resources/blockIO/weight", json!(u16::MAX), json!(65536)),
        ("/linux/resources/network/classID", json!(u32::MAX), json!(1_u64 << 32)),
        ("/linux/devices/0/major", json!(i64::MIN), json!(1_u64 << 63)),
        ("/linux/timeOffsets/monotonic/secs", json!(i64::MIN), json!(1_u64 << 63)),
        ("/linux/timeOffsets/monotonic/nanosecs", json!(u32::MAX), json!(1_u64 << 32)),
        ("/linux/seccomp/defaultErrnoRet", json!(u32::MAX), json!(1_u64 << 32)),
        ("/linux/seccomp/syscalls/0/args/0/value", json!(u64::MAX), json!(-1)),
    ] {
        let mut document = full();
        *document.pointer_mut(pointer).unwrap() = widest;
        assert!(load(to_json(&document).as_bytes()).is_ok(), "{pointer}");
        *document.pointer_mut(pointer).unwrap() = beyond;
        let error = error_of(&to_json(&document));
        assert_eq!(error.pointer(), Some(pointer));
        assert!(error.to_string().contains("expected an integer from "), "{error}");
    }
}

#[test]
fn malformed_texts() {
    for (text, pointer, reason) in [
        ("", "", "EOF while parsing a value"),
        ("  \n", "", "EOF while parsing a value"),
        ("null", "", "expected an object"),
        ("[]", "", "expected an object"),
        ("\"a\"", "", "expected an object"),
        ("{} x", "", "trailing characters"),
        ("{}{}", "", "trailing characters"),
        ("{", "", "EOF while parsing an object"),
        (r#"{"root":{"path":"#, "/root/path", "EOF while parsing a value"),
        (r#"{"root":{"path":"a"#, "/root/path", "EOF while parsing a string"),
        (r#"{"mounts":[{"destination":"/"},"#, "/mounts/1", "EOF"),
        (r#"{"mounts":[{"destination":"/"},]}"#, "/mounts/1", "trailing comma"),
        (r#"{"mounts":[{"destination":"/" "type":"x"}]}"#, "/mounts/0/destination", "expected `,` or `}`"),
        (r#"{"hostname" 5}"#, "/hostname", "expected `:`"),
        (r"{hostname:5}", "", "key must be a string"),
        (r"{'hostname':5}", "", "key must be a string"),
        (r#"{"process":{"oomScoreAdj":NaN}}"#, "/process/oomScoreAdj", "expected value"),
        (r#"{"process":{"oomScoreAdj":Infinity}}"#, "/process/oomScoreAdj", "expected value"),
        (r#"{"process":{"oomScoreAdj":01}}"#, "/process/oomScoreAdj", "invalid number"),
        (r#"{"process":{"oomScoreAdj":0x1}}"#, "/process/oomScoreAdj", "expected `,` or `}`"),
        (r#"{"process":{"oomScoreAdj":1e3}}"#, "/process/oomScoreAdj", "floating point"),
        (r#"{"process":{"oomScoreAdj":1e999}}"#, "/process/oomScoreAdj", "number out of range"),
        (r#"{"hostname":"\ud800"}"#, "/hostname", "hex escape"),
        (r#"{"hostname":"\udc00\ud800"}"#, "/hostname", "surrogate"),
        (r#"{"hostname":"\x41"}"#, "/hostname", "invalid escape"),
        ("{\"hostname\":\"a\nb\"}", "/hostname", "control character"),
        ("{\"hostname\":\"a\0b\"}", "/hostname", "control character"),
        (r#"{"hostname":"a\u0000b"}"#, "/hostname", "NUL"),
        (r#"{"annotations":{"a\u0000b":"c"}}"#, "/annotations/a\\u{0}b", "NUL"),
        (r#"{"annotations":{"a":"\u0000"}}"#, "/annotations/a", "NUL"),
        (r#"{"process":{"cwd":"/","args":["a","b\u0000"]}}"#, "/process/args/1", "NUL"),
        (r#"{"hostname":"a","x":1,"hostname":"b"}"#, "/hostname", "duplicate property \"hostname\""),
        (r#"{"hostname":null,"hostname":"b"}"#, "/hostname", "duplicate property"),
        (r#"{"linux":{"sysctl":{"a":"1","b":"2","a":"1"}}}"#, "/linux/sysctl/a", "duplicate key \"a\""),
        (r#"{"linux":{"sysctl":{"a":"1","\u0061":"1"}}}"#, "/linux/sysctl/a", "duplicate key \"a\""),
        (r#"{"mounts":[{"destination":"/a"},{"type":"b"}]}"#, "/mounts/1", "missing property \"destination\""),
        (r#"{"x":"\q"}"#, "/x", "invalid escape"),
        (r#"{"x":[1,{"y":tru}]}"#, "/x/1/y", "expected ident"),
        ("\u{feff}{}", "", "byte order mark"),
    ] {
        let error = error_of(text);
        assert_eq!(error.pointer(), Some(pointer), "{text}: {error}");
        assert!(error.to_string().contains(reason), "{text}: {error}");
    }
}

#[test]
fn lines_and_columns() {
    let error = error_of("{\n\t\"hostname\": 5\n}");
    assert_eq!(
        error.to_string(),
        "cannot read config.json (config.json: /hostname): line 2, column 14: invalid type: integer `5`, expected a \
         string"
    );
    let error = error_of("{\"mounts\": 5}");
    assert!(error.to_string().ends_with("line 1, column 12: invalid type: integer `5`, expected an array"), "{error}");
    let error = error_of("{\"root\": []}");
    assert!(error.to_string().ends_with("line 1, column 9: invalid type: array, expected an object"), "{error}");
}

#[test]
fn bytes_that_are_not_utf8() {
    for (bytes, pointer, reason) in [
        (b"{\n\"hostname\": \"\xff\"}" as &[u8], "/hostname", "line 2, column 13: byte 0xff is not UTF-8"),
        (b"{\"x\": \"\xed\xa0\x80\"}", "/x", "byte 0xed is not UTF-8"),
        (b"\xff\xfe{\0}\0", "", "byte 0xff is not UTF-8"),
        (b"{\"process\":{\"args\":[\"a\",\"\xc3", "/process/args/1", "byte 0xc3 is not UTF-8"),
    ] {
        let error = load(bytes).unwrap_err();
        assert_eq!(error.pointer(), Some(pointer));
        assert!(error.to_string().ends_with(reason), "{error}");
    }
}

#[test]
fn size_and_depth_are_bounded() {
    let pad = |size: usize| format!("{{\"x\":1{}}}", " ".repeat(size - 7));
    assert!(load(pad(MAX_DOCUMENT).as_bytes()).is_ok());
    let error = load(pad(MAX_DOCUMENT + 1).as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string().split_once("): ").unwrap().1,
        "the document has 16777217 bytes; the limit is 16777216"
    );

    // What is ignored may be no deeper than what is read.
    let nested = |depth| format!("{{\"ociVersion\":\"1.0.0\",\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    // The document itself is the first level.
    assert!(load(nested(127).as_bytes()).is_ok());
    assert_eq!(unknown_properties(nested(127).as_bytes()), ["/x"]);
    for depth in [129, 1_000_000] {
        let error = error_of(&nested(depth));
        assert!(error.pointer().is_some_and(|pointer| pointer.starts_with("/x/0/0")), "{error}");
        assert!(error.to_string().contains("deeper than 128"), "{error}");
    }
    let quoted = format!("{{\"ociVersion\":\"1.0.0\",\"x\":\"\\\"{}\"}}", "[{".repeat(1000));
    assert!(load(quoted.as_bytes()).is_ok(), "brackets in a text are no arrays");
    let open = format!("{{\"x\":{}", "{\"a\":".repeat(1_000_000));
    assert!(error_of(&open).pointer().unwrap().starts_with("/x/a/a/a"));
    let deep = format!("{{\"mounts\":{}", "[".repeat(1_000_000));
    assert_eq!(error_of(&deep).pointer(), Some("/mounts/0"));
}

#[test]
fn many_keys_take_no_quadratic_time() {
    let keys: Vec<String> = (0..200_000).map(|key| format!("\"k{key}\":\"\"")).collect();
    let document = format!("{{\"annotations\":{{{}}}}}", keys.join(","));
    let spec = load(document.as_bytes()).unwrap();
    assert_eq!(spec.annotations.len(), 200_000);
    for twice in ["k3", "k64", "k199999"] {
        let document = format!("{{\"annotations\":{{{},\"{twice}\":\"\"}}}}", keys.join(","));
        let error = error_of(&document);
        assert!(error.pointer().unwrap().starts_with("/annotations"), "{error}");
        assert!(error.to_string().ends_with(&format!("duplicate key {twice:?}")), "{error}");
    }
    let edge: Vec<String> = (0..64).map(|key| format!("\"k{key}\":\"\"")).collect();
    let document = format!("{{\"annotations\":{{{},\"k63\":\"\"}}}}", edge.join(","));
    assert!(error_of(&document).to_string().contains("duplicate key \"k63\""));
}

#[test]
fn other_documents() {
    let process = load_process(br#"{"cwd":"/","args":["sh"],"user":{"uid":3}}"#).unwrap();
    assert_eq!((process.user.uid, process.args[0].as_str()), (3, "sh"));
    let error = load_process(br#"{"cwd":"/","args":"sh"}"#).unwrap_err();
    assert_eq!(error.pointer(), Some("/args"));
    assert!(error.to_string().starts_with("cannot read the process document"), "{error}");
    let resources = load_resources(br#"{"pids":{"limit":7}}"#).unwrap();
    assert_eq!(resources.pids.unwrap().limit, Some(7));
    assert_eq!(load_resources(br#"{"pids":{"limit":"7"}}"#).unwrap_err().pointer(), Some("/pids/limit"));
}

#[test]
fn unknown_properties_are_listed_and_ignored() {
    let text = r#"{"ociVersion":"1.3.0","a":{"b":1},"annotations":{"x":"1"},"root":{"path":"r","Path":1},
        "vm":{"anything":1},"process":{"cwd":"/","user":{"uid":0,"x/y":[]}},"mounts":[{"destination":"/a"},
        {"destination":"/b","\u006fther":{"c":{}}}],"linux":{"sysctl":{"kernel.x":"1"},"rdma":1,
        "timeOffsets":{"monotonic":{"secs":1,"minutes":2}},"resources":{"rdma":{"dev":{"z":1}},"unified":{"u":"1"},"cpu":{"Shares":1}},
        "netDevices":{"eth0":{"name":"a","mtu":1}}}}"#;
    load(text.as_bytes()).unwrap();
    assert_eq!(
        unknown_properties(text.as_bytes()),
        [
            "/a",
            "/root/Path",
            "/process/user/x~1y",
            "/mounts/1/other",
            "/linux/rdma",
            "/linux/timeOffsets/monotonic/minutes",
            "/linux/resources/rdma/dev/z",
            "/linux/resources/cpu/Shares",
            "/linux/netDevices/eth0/mtu",
        ]
    );
}

/// `testdata/default.json` is what `runc spec` prints on a host with cgroup v2, `rootless.json` the same with
/// `--rootless` for user 1000, group 1001; both with version 1.3.0.
#[test]
fn the_default_documents_are_those_of_runc() {
    assert_eq!(to_json(&default_spec(true)), include_str!("../../testdata/default.json").trim_end());
    let mut spec = default_spec(false);
    let kinds: Vec<&str> = spec.linux.namespaces.iter().map(|namespace| namespace.kind.as_str()).collect();
    assert_eq!(kinds, ["pid", "network", "ipc", "uts", "mount"]);
    spec = default_spec(true);
    rootless(&mut spec, 1000, 1001);
    assert_eq!(to_json(&spec), include_str!("../../testdata/rootless.json").trim_end());
    for spec in [&spec, &default_spec(true), &default_spec(false)] {
        let text = to_json(spec);
        assert_eq!(load(text.as_bytes()).unwrap(), *spec);
        crate::validate(spec).unwrap();
    }
}

#[test]
fn maps_replace_and_find() {
    let mut map = crate::Map::default();
    map.insert(Str::from("a"), 1);
    map.insert(Str::from("b"), 2);
    map.insert(Str::from("a"), 3);
    assert_eq!((map.get("a"), map.get("b"), map.get("c"), map.len()), (Some(&3), Some(&2), None, 2));
}

#[test]
fn every_known_property_is_in_the_full_document() {
    fn known(shape: &crate::object::Shape, value: &Value, at: &str) {
        use crate::object::Shape;
        match (shape, value) {
            (Shape::Object(properties), Value::Object(map)) => {
                for (name, below) in *properties {
                    // Only the first of several equal shapes is complete in the document.
                    let Some(value) = map.get(*name) else {
                        assert!(
                            at.contains("/hooks/") || at.contains("/1") || at.contains("eth1") || at.contains("boot"),
                            "{at}/{name}"
                        );
                        continue;
                    };
                    known(below, value, &format!("{at}/{name}"));
                }
            }
            (Shape::List(below), Value::Array(list)) => {
                list.iter().enumerate().for_each(|(index, value)| known(below, value, &format!("{at}/{index}")));
            }
            (Shape::Map(below), Value::Object(map)) => {
                map.iter().for_each(|(key, value)| known(below, value, &format!("{at}/{key}")));
            }
            (Shape::Leaf, Value::Array(_)) => panic!("{at} is a list"),
            (Shape::Leaf, _) => {}
            _ => panic!("{at} has another shape"),
        }
    }
    known(<Spec<'_> as crate::object::Shaped>::SHAPE, &full(), "");
    assert_eq!(full().as_object().map(Map::len), Some(14));
}

#[test]
fn a_page_size_by_the_name_that_documents_of_go_programs_have() {
    let text = |name: &str| {
        format!(
            r#"{{"ociVersion": "1.0.0", "linux": {{"resources": {{"hugepageLimits": [{{"{name}": "2MB", "limit": 1}}]}}}}}}"#
        )
    };
    for name in ["pageSize", "pagesize"] {
        let text = text(name);
        let spec = load(text.as_bytes()).unwrap();
        assert_eq!(spec.linux.resources.unwrap().hugepage_limits[0].page_size, "2MB", "{name}");
    }
    let error = load(text("pageSize\": \"2MB\", \"pagesize").as_bytes()).unwrap_err().to_string();
    assert!(error.contains("duplicate property"), "{error}");
    assert!(load(text("PAGESIZE").as_bytes()).is_err());
}

#[test]
fn processors_by_the_names_that_documents_of_go_programs_have() {
    for (object, processors, nodes) in [("cpu", "cpus", "mems"), ("CPU", "Cpus", "Mems")] {
        let text = format!(
            r#"{{"ociVersion": "1.0.0", "linux": {{"resources": {{"{object}": {{"{processors}": "0-1", "{nodes}": "0"}}}}}}}}"#
        );
        let cpu = load(text.as_bytes()).unwrap().linux.resources.unwrap().cpu.unwrap();
        assert_eq!((cpu.cpus.as_deref(), cpu.mems.as_deref()), (Some("0-1"), Some("0")), "{object}");
    }
}

/// The document is kept beside a container's record: what a power failure leaves of it is never taken for another one.
#[test]
fn torn_at_every_byte() {
    let document = to_json(&default_spec(false));
    for at in 0..document.len() {
        assert!(load(&document.as_bytes()[..at]).is_err(), "cut after {at} bytes");
        for until in [at + 1, (at + 512).min(document.len()), document.len()] {
            let mut bytes = Vec::from(document.as_bytes());
            bytes[at..until].fill(0);
            assert!(load(&bytes).is_err(), "zeroes from {at} to {until}");
        }
    }
}

#[test]
fn processors_in_two_parts() {
    let text = |parts: &str| format!(r#"{{"ociVersion": "1.0.0", "linux": {{"resources": {{{parts}}}}}}}"#);
    for parts in [
        r#""cpu": {"shares": 2, "idle": 1}, "CPU": {"Cpus": "0"}"#,
        r#""CPU": {"Cpus": "0"}, "cpu": {"shares": 2, "idle": 1}"#,
        r#""cpu": {"shares": 2, "idle": 1, "cpus": "0"}, "CPU": null"#,
    ] {
        let text = text(parts);
        let cpu = load(text.as_bytes()).unwrap().linux.resources.unwrap().cpu.unwrap();
        assert_eq!((cpu.shares, cpu.idle, cpu.cpus.as_deref()), (Some(2), Some(1), Some("0")), "{parts}");
    }
    for (name, value) in [
        ("shares", "2"),
        ("quota", "2"),
        ("burst", "2"),
        ("period", "2"),
        ("realtimeRuntime", "2"),
        ("realtimePeriod", "2"),
        ("cpus", "\"0\""),
        ("mems", "\"0\""),
        ("idle", "1"),
    ] {
        let both = text(&format!(r#""cpu": {{"{name}": {value}}}, "CPU": {{"{name}": {value}}}"#));
        let error = load(both.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(&format!("duplicate property \"{name}\"")), "{error}");
    }
}
