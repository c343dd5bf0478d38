// SPDX-License-Identifier: Apache-2.0
//! `events`: one JSON object a line. Source: runc's types/events.go.

use insula_tests::{Lab, Value, cgroups, eventually, json, parse_json, skip};
use std::fs;
use std::path::Path;

#[test]
fn figures_once() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    let event = container.command("events").arg("--stats").run().json();
    assert_eq!((event["type"].as_str(), event["id"].as_str()), (Some("stats"), Some(container.id())));
    let data = &event["data"];
    assert_eq!(data["pids"]["current"], 1);
    assert!(data["cpu"]["usage"]["total"].as_u64().is_some_and(|total| total > 0), "{data}");
    assert!(data["memory"]["usage"]["usage"].as_u64().is_some_and(|usage| usage > 0), "{data}");
    container.kill("KILL").assert_code(0);
    container.await_status("stopped");
    container.command("events").arg("--stats").run().fails_with(&["is not running"]);
}

/// Each controller's figures beside what the kernel says in the cgroup's own files.
#[test]
fn figures_of_every_controller() {
    let unified = cgroups::is_unified();
    let lab = Lab::new();
    // A file system that this machine's disk is below, not memory.
    let directory = Path::new("/var/tmp").join(lab.name());
    fs::create_dir(&directory).expect("make a directory on the disk");
    let mut bundle = lab.bundle();
    bundle.bind(&directory, "/mnt", &["rbind", "rw"]);
    bundle.set("/linux/resources/memory", json!({"limit": 64 << 20}));
    bundle.set("/linux/resources/pids", json!({"limit": 20}));
    bundle.set("/linux/resources/cpu", json!({"quota": 10_000, "period": 100_000}));
    bundle.shell(
        "dd if=/dev/zero of=/mnt/file bs=64k count=16 conv=fsync 2>/dev/null; \
         dd if=/mnt/file of=/dev/null bs=64k iflag=direct 2>/dev/null; while :; do :; done",
    );
    let container = lab.container(&bundle).detached();
    let figures = || container.command("events").arg("--stats").run().json()["data"].take();
    let is_positive = |value: &Value| value.as_u64().is_some_and(|number| number > 0);
    let data = eventually("the quota to bite", || {
        let data = figures();
        is_positive(&data["cpu"]["throttling"]["throttledTime"]).then_some(data)
    });
    for key in ["periods", "throttledPeriods", "throttledTime"] {
        assert!(is_positive(&data["cpu"]["throttling"][key]), "{key}: {}", data["cpu"]);
    }
    assert!(is_positive(&data["cpu"]["usage"]["user"]) || is_positive(&data["cpu"]["usage"]["kernel"]), "{data}");
    assert_eq!(data["pids"]["limit"], 20);
    assert!(is_positive(&data["pids"]["current"]), "{data}");
    assert_eq!(data["memory"]["usage"]["limit"], 64 << 20);
    for pointer in ["/memory/usage/usage", "/memory/usage/max", "/memory/swap/usage"] {
        let value = data.pointer(pointer).unwrap_or(&Value::Null);
        // Debian 12's kernel does not keep the greatest use of version 2.
        assert!(is_positive(value) || pointer.ends_with("max") && unified, "{pointer}: {data}");
    }
    assert!(data["memory"]["raw"].as_object().is_some_and(|raw| raw.len() > 10), "{data}");
    for (controller, pointer) in [("cpu", "/cpu/psi"), ("memory", "/memory/psi"), ("io", "/blkio/psi")] {
        let file = format!("{controller}.pressure");
        let counted = cgroups::directory_of(container.pid(), "").is_some_and(|place| place.join(file).exists());
        assert_eq!(data.pointer(pointer).is_some(), unified && counted, "{pointer}: {data}");
    }
    let blkio = if unified { "io" } else { "blkio" };
    if cgroups::hierarchy_with(blkio).is_some() && Path::new("/sys/block/vda").exists() {
        let written = eventually("the disk to have been written to", || {
            let list = figures()["blkio"]["ioServiceBytesRecursive"].take();
            let of = |entry: &&Value| entry["op"] == "Write" && entry["value"].as_u64() >= Some(1 << 20);
            list.as_array().and_then(|entries| entries.iter().find(of).cloned())
        });
        assert!(is_positive(&written["major"]), "{written}");
    }
    if let Some(hierarchy) = cgroups::hierarchy_with("hugetlb") {
        let place = cgroups::directory_of(container.pid(), hierarchy).expect("it is there");
        for (size, counters) in data["hugetlb"].as_object().expect("an object") {
            assert!(
                place
                    .read_dir()
                    .expect("list the cgroup")
                    .flatten()
                    .any(|file| { file.file_name().to_string_lossy().starts_with(&format!("hugetlb.{size}.")) })
            );
            assert_eq!(counters["failcnt"], 0, "{size}");
        }
        assert!(!data["hugetlb"].as_object().expect("an object").is_empty(), "{data}");
    }
    if !unified && cgroups::hierarchy_with("cpuset").is_some() {
        assert!(data["cpuset"]["cpus"].as_array().is_some_and(|list| list.contains(&json!(0))), "{data}");
        assert!(data["cpuset"]["mems"].as_array().is_some_and(|list| list.contains(&json!(0))), "{data}");
    }
    container.delete_force().assert_code(0);
    fs::remove_dir_all(&directory).expect("remove the directory");
}

#[test]
fn figures_at_an_interval_until_the_container_is_gone() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    let events = container.command("events").args(["--interval", "50ms"]).start();
    eventually("three lines", || (events.stdout().lines().count() >= 3).then_some(()));
    container.delete_force().assert_code(0);
    let output = events.wait();
    output.assert_code(0);
    assert!(output.stdout.lines().all(|line| parse_json(line)["type"] == "stats"), "{output}");
    container.command("events").args(["--interval", "0s"]).run().assert_code(1);
}

#[test]
fn lack_of_memory_is_told() {
    if cgroups::hierarchy_with("memory").is_none() {
        skip!("no hierarchy has the memory controller here");
    }
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/linux/resources/memory", json!({"limit": 16_777_216, "swap": 16_777_216}));
    bundle.shell("while ! test -e /tmp/go; do sleep 0.05; done; tail /dev/zero; sleep 60").tmpfs("/tmp", &[]);
    let container = lab.container(&bundle).detached();
    let events = container.command("events").args(["--interval", "10s"]).start();
    // Nothing tells when the watch is there.
    std::thread::sleep(std::time::Duration::from_millis(300));
    container.inside("touch /tmp/go");
    let line = eventually("news", || events.stdout().lines().next().map(parse_json));
    assert_eq!((line["type"].as_str(), line["id"].as_str()), (Some("oom"), Some(container.id())));
    assert!(line.get("data").is_none(), "{line}");
    container.delete_force().assert_code(0);
    events.wait().assert_code(0);
}
