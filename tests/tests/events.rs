// SPDX-License-Identifier: Apache-2.0
//! `events`: one JSON object a line. Source: runc's types/events.go.

use insula_tests::{Lab, cgroups, eventually, json, parse_json, skip};

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
