// SPDX-License-Identifier: Apache-2.0
//! `inspect`, `verify` and `ns`: what insula says of containers, against what the kernel says.

use insula_tests::{
    Bundle, Container, Lab, Output, Value, eventually, identities, is_insula, json, own_identities, parse_json,
};
use std::fs;
use std::time::Instant;

fn sleeper(lab: &Lab) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    bundle
}

/// Asserts that every one of `words` is on standard output.
#[track_caller]
fn shows(output: &Output, words: &[&str]) {
    for word in words {
        assert!(output.stdout.contains(word), "{word:?} is not shown: {output}");
    }
}

macro_rules! only_insula {
    () => {
        if !is_insula() {
            insula_tests::skip!("peers have no such command");
        }
    };
}

/// Runs `verify --format json` of one container; its exit status and findings.
#[track_caller]
fn verify(container: &Container<'_>) -> (i32, Vec<(String, String)>) {
    let output = container.command("verify").args(["--format", "json"]).run();
    let verdicts = parse_json(&output.stdout);
    let findings = verdicts[0]["findings"].as_array().expect("findings").iter();
    let text = |finding: &Value, key: &str| finding[key].as_str().expect("text").to_owned();
    (output.code(), findings.map(|f| (text(f, "property"), text(f, "found"))).collect())
}

#[track_caller]
fn assert_finds(container: &Container<'_>, property: &str, words: &str) {
    let (code, findings) = verify(container);
    assert_eq!(code, 2, "{findings:?}");
    assert!(findings.iter().any(|(what, found)| what == property && found.contains(words)), "{findings:?}");
}

#[test]
fn inspect_tells_what_the_kernel_tells() {
    only_insula!();
    let lab = Lab::new();
    let mut bundle = sleeper(&lab);
    bundle.user_namespace().namespace("time");
    bundle.set("/linux/timeOffsets", json!({"monotonic": {"secs": 86400, "nanosecs": 0}}));
    bundle.set("/hostname", json!("inspected"));
    let first = lab.container(&bundle).detached();
    let mut plain = sleeper(&lab);
    plain.set("/linux/namespaces", json!([{"type": "mount"}])).join("network", first.namespace_path("network"));
    plain.join("user", first.namespace_path("user")).join("pid", first.namespace_path("pid"));
    plain.remove("/hostname");
    let second = lab.container(&plain).detached();

    let document = first.command("inspect").args(["--format", "json"]).ok().json();
    let kernel = identities(first.pid());
    let entries = document["namespaces"].as_array().unwrap();
    assert_eq!(entries.len(), 8);
    for entry in entries {
        let kind = entry["type"].as_str().unwrap();
        let identity = entry["identity"].as_str().unwrap();
        assert!(identity.ends_with(&format!(":[{}]", kernel[kind].inode)), "{entry}");
        assert_eq!(entry["host"].as_bool().unwrap(), kernel[kind] == own_identities()[kind], "{entry}");
        let shared = ["network", "user", "pid"].contains(&kind);
        let with: Vec<&str> = entry["sharedWith"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        if !entry["host"].as_bool().unwrap() {
            assert_eq!(with.contains(&second.id()), shared, "{entry}");
        }
    }
    assert_eq!(document["hostname"], "inspected");
    assert_eq!(document["uidMap"], json!([[0, 100_000, 65536]]));
    assert_eq!(document["timeOffsets"], json!([["monotonic", 86400, 0]]));
    assert_eq!(document["interfaces"], json!(["lo"]));
    shows(
        &first.command("inspect").ok(),
        &["host name inspected", "uids 0:100000:65536", "monotonic +86400 s", second.id()],
    );
    first.kill("KILL").assert_code(0);
    first.await_status("stopped");
    first.command("inspect").run().fails_with(&["it has stopped"]);
}

#[test]
fn verify_agrees_with_what_was_planned() {
    only_insula!();
    let lab = Lab::new();
    let mut bundle = sleeper(&lab);
    let waiting = lab.container(&bundle).created();
    let running = lab.container(&bundle).detached();
    bundle.user_namespace();
    let mapped = lab.container(&bundle).detached();
    for container in [&waiting, &running, &mapped] {
        assert_eq!(verify(container), (0, vec![]), "{}", container.id());
    }
    waiting.start().assert_code(0);
    assert_eq!(verify(&waiting), (0, vec![]));
    running.kill("KILL").assert_code(0);
    running.await_status("stopped");
    assert_eq!(verify(&running), (0, vec![]), "a stopped container has nothing to compare");
    let all = lab.insula().args(["verify", "--all", "--format", "json"]).ok().json();
    assert_eq!(all.as_array().unwrap().len(), 3);
}

#[test]
fn verify_finds_who_entered_from_outside() {
    only_insula!();
    let lab = Lab::new();
    let container = lab.container(&sleeper(&lab)).detached();
    let pid = container.pid().to_string();
    // exec is the runtime's own door, and in the container's cgroup.
    let exec = container.command("exec").args(["sleep", "59"]).start();
    eventually("the exec to be seen", || container.inside("ps").contains("sleep 59").then_some(()));
    assert_eq!(verify(&container), (0, vec![]));
    let intruder = lab.command("nsenter").args(["-t", &pid, "-p", "sleep", "61"]).start();
    eventually("the intruder to be found", || (verify(&container).0 == 2).then_some(()));
    assert_finds(&container, "member", "(sleep)");
    drop((intruder, exec));
}

#[test]
fn verify_finds_a_moved_cgroup_and_a_leaking_root() {
    only_insula!();
    let lab = Lab::new();
    let container = lab.container(&sleeper(&lab)).detached();
    let pid = container.pid().to_string();
    lab.command("nsenter").args(["-t", &pid, "-m", "mount", "--make-shared", "/"]).ok();
    assert_finds(&container, "propagation", "shared:");
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (list, path) = (parts.next().unwrap(), parts.next().unwrap());
        let unified = if fs::exists("/sys/fs/cgroup/cgroup.procs").unwrap() { "" } else { "unified" };
        let mount = list.strip_prefix("name=").unwrap_or(if list.is_empty() { unified } else { list });
        // Hierarchies that are not mounted where they usually are stay as they are.
        let _ = fs::write(format!("/sys/fs/cgroup/{mount}{path}/cgroup.procs"), &pid);
    }
    assert_finds(&container, "cgroup", "/");
}

#[test]
fn verify_compares_every_promise_of_the_record() {
    only_insula!();
    let lab = Lab::new();
    let mut bundle = sleeper(&lab);
    bundle.user_namespace().set("/process/noNewPrivileges", json!(false));
    let container = lab.container(&bundle).detached();
    let other = lab.container(&bundle).detached();
    let path = lab.state_root().join(container.id()).join("state.json");
    let good = fs::read_to_string(&path).unwrap();
    let rows: &[(&str, Value, &str, &str)] = &[
        ("/expect/noNewPrivs", json!(true), "noNewPrivs", "not set"),
        ("/expect/seccomp", json!(true), "seccomp", "no filter"),
        ("/expect/bounding", json!(0), "capabilities", "CapBnd"),
        ("/expect/uids", json!([[0, 200_000, 65536]]), "mapping", "0:100000:65536"),
        ("/namespaces/2/ino", json!(1), "namespace", "net:["),
        ("/init/pid", json!(other.pid()), "init", "(sleep)"),
    ];
    for (pointer, value, property, words) in rows {
        let mut state = parse_json(&good);
        let place = state.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}"));
        *place = value.clone();
        if *property == "namespace" {
            state["namespaces"][2].as_object_mut().unwrap().remove("id");
        }
        fs::write(&path, state.to_string()).unwrap();
        assert_finds(&container, property, words);
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(verify(&container), (0, vec![]));
}

#[test]
fn verify_is_cheap() {
    only_insula!();
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let containers: Vec<_> = (0..40).map(|_| lab.container(&bundle).created()).collect();
    let start = Instant::now();
    let all = lab.insula().args(["verify", "--all", "--format", "json"]).ok().json();
    let took = start.elapsed();
    assert_eq!(all.as_array().unwrap().len(), containers.len());
    // 500 in 2 s are 4 ms each; a busy machine gets three times that.
    assert!(took.as_millis() < 40 * 12, "{took:?} for 40 containers");
}

#[test]
fn ns_knows_the_containers_by_name() {
    only_insula!();
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let owner = lab.container(&bundle).detached();
    let sharer = lab.container(&bundle);
    sharer
        .finish(sharer.launch("run").args(["--detach", "--network", &format!("container:{}", owner.id())]))
        .assert_code(0);
    let kernel = identities(owner.pid());
    let list = lab.insula().args(["ns", "--format", "json", "--container", owner.id(), "--type", "net"]).ok().json();
    let namespaces = list["namespaces"].as_array().unwrap();
    assert_eq!(namespaces.len(), 1, "{namespaces:?}");
    assert_eq!(namespaces[0]["inode"], json!(kernel["network"].inode));
    let mut users: Vec<&str> =
        namespaces[0]["containers"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    users.sort_unstable();
    let mut both = [owner.id(), sharer.id()];
    both.sort_unstable();
    assert_eq!(users, both);
    let by_pid = lab.insula().args(["ns", "--format", "json", "--pid", &owner.pid().to_string()]).ok().json();
    assert_eq!(by_pid["namespaces"].as_array().unwrap().len(), 8);
    let own_pid = format!("pid:[{}]", kernel["pid"].inode);
    shows(&lab.insula().args(["ns", "tree"]).ok(), &[&own_pid, owner.id()]);
    for format in ["dot", "mermaid", "svg"] {
        shows(&lab.insula().args(["ns", "graph", "--format", format]).ok(), &[owner.id(), sharer.id()]);
    }
    lab.insula().args(["ns", "list", "--format", "svg"]).run().fails_with(&["ns graph"]);
    lab.insula().args(["ns", "--container", "no-such-container"]).run().fails_with(&["no-such-container"]);
}
