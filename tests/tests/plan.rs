// SPDX-License-Identifier: Apache-2.0
//! `insula plan`: what is printed is what is executed, as strace(1) sees it.

use insula_tests::{Bundle, Donor, Identity, Lab, Value, is_insula, json};
use std::fs;
use std::path::Path;

/// Calls that change namespaces and mounts: what plan and trace are compared by. Without those that copy a mount and change
/// it, which are one call or several, as the kernel has it (open_tree_attr(2), Linux 6.15).
const FAMILY: [&str; 10] =
    ["clone3", "setns", "unshare", "fsopen", "fsmount", "move_mount", "pivot_root", "umount2", "chroot", "mount"];

#[track_caller]
fn plan(lab: &Lab, bundle: &Bundle, options: &[&str]) -> Value {
    // The document is written when a container is made of it.
    lab.insula().arg("plan").arg("--bundle").arg(bundle.path()).args(options).args(["--format", "json"]).ok().json()
}

fn name(call: &str) -> &str {
    call.split('(').next().unwrap_or(call)
}

/// Names of the calls of [`FAMILY`] in a trace, in order; those that strace splits are taken where they began.
fn traced(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("strace writes its file");
    let calls = text.lines().filter_map(|line| {
        let call = line.split_once(' ')?.1.trim_start();
        FAMILY.contains(&name(call)).then(|| name(call).to_owned())
    });
    calls.collect()
}

/// Walks plan and trace together. Between two runs of calls that must be there, those of conditional steps may be.
#[track_caller]
fn assert_same_order(steps: &[Value], trace: &[String]) {
    let mut runs: Vec<(Vec<&str>, Vec<&str>)> = vec![(vec![], vec![])];
    for step in steps {
        let calls = step["calls"].as_array().unwrap().iter().filter_map(Value::as_str).map(name);
        let calls: Vec<&str> = calls.filter(|call| FAMILY.contains(call)).collect();
        let last = runs.last_mut().expect("one is there from the start");
        match step["conditional"] == json!(true) {
            false => last.1.extend(calls),
            true if last.1.is_empty() => last.0.extend(calls),
            true => runs.push((calls, vec![])),
        }
    }
    let mut at = 0;
    for (optional, required) in &runs {
        let is_next =
            |at: usize| trace[at..].iter().map(String::as_str).take(required.len()).eq(required.iter().copied());
        while at < trace.len() && !(is_next(at) && (!required.is_empty() || !optional.contains(&&*trace[at]))) {
            assert!(optional.contains(&&*trace[at]), "call {at} is {}, planned is {required:?}\n{trace:?}", trace[at]);
            at += 1;
        }
        assert!(is_next(at), "the trace ends before {required:?}");
        at += required.len();
    }
    assert_eq!(trace[at..].len(), 0, "calls that were not planned: {:?}", &trace[at..]);
}

#[track_caller]
fn assert_planned(lab: &Lab, bundle: &Bundle) -> Value {
    let plan = plan(lab, bundle, &[]);
    let container = lab.container(bundle);
    let trace = lab.path(format!("{}.trace", container.id()));
    lab.command("strace")
        .args(["-f", "-o"])
        .arg(&trace)
        .arg(insula_tests::runtime())
        .arg("--root")
        .arg(lab.state_root())
        // `create` would leave a process that strace waits for.
        .arg("run")
        .arg("--bundle")
        .arg(bundle.path())
        .arg(container.id())
        .ok();
    assert_same_order(plan["steps"].as_array().unwrap(), &traced(&trace));
    plan
}

macro_rules! only_insula {
    () => {
        if !is_insula() {
            insula_tests::skip!("peers have no plan");
        }
    };
}

/// The calls of the runtime itself that make files and groups or write to them: call and path, in order.
fn host_calls(trace: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(trace).expect("strace writes its file");
    let one = |line: &str| {
        let call = name(line);
        let done = line.rsplit_once(" = ").is_some_and(|(_, result)| !result.starts_with('-'));
        let directory = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'))?.0;
        let quoted: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        let path = match call {
            "mkdirat" | "mknodat" => format!("{directory}/{}", quoted.first()?),
            "renameat" => format!("{directory}/{}", quoted.last()?),
            "write" => directory.to_owned(),
            _ => return None,
        };
        // A file that is put in place by renaming it is written under another name.
        let (parent, file) = path.rsplit_once('/')?;
        let file = match file.strip_prefix('.').and_then(|rest| rest.rsplit_once('.')) {
            Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => file,
        };
        done.then(|| (call.to_owned(), format!("{parent}/{file}")))
    };
    text.lines().filter_map(one).collect()
}

/// Every file and group that the runtime makes or writes is planned, and the other way round, in the same order.
#[track_caller]
fn assert_host_planned(lab: &Lab, bundle: &Bundle) {
    let plan = plan(lab, bundle, &[]);
    let container = lab.container(bundle);
    let trace = lab.path(format!("{}.host", container.id()));
    // The directory of all containers is made once.
    fs::create_dir_all(lab.state_root()).unwrap();
    lab.command("strace")
        .args(["-y", "-s", "4096", "-o"])
        .arg(&trace)
        .arg(insula_tests::runtime())
        .arg("--root")
        .arg(lab.state_root())
        .arg("create")
        .arg("--bundle")
        .arg(bundle.path())
        .arg(container.id())
        .ok();
    let mut done = host_calls(&trace).into_iter().peekable();
    for step in plan["steps"].as_array().unwrap().iter().filter(|step| step["by"] == "runtime") {
        for call in step["calls"].as_array().unwrap().iter().filter_map(Value::as_str) {
            let wanted = name(call);
            if !["mkdirat", "mknodat", "renameat", "write"].contains(&wanted) {
                continue;
            }
            let argument = call.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(path, _)| path);
            let argument = argument.replace("CONTAINER", container.id());
            let is = |(call, path): &(String, String)| {
                let same = if argument.starts_with('/') { *path == argument } else { path.ends_with(&argument) };
                *call == wanted && (same || argument == "devices" && path.contains("/devices."))
            };
            let optional = step["conditional"] == json!(true) || argument == "devices";
            if optional {
                while done.next_if(is).is_some() {}
            } else {
                assert!(done.next_if(is).is_some(), "planned is {call}, done {:?}", done.peek());
            }
        }
    }
    assert_eq!(done.next(), None, "not planned");
}

#[test]
fn what_is_printed_of_the_host_is_what_is_done() {
    only_insula!();
    if !has_strace() {
        insula_tests::skip!("strace is not installed");
    }
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    assert_host_planned(&lab, &bundle);
    bundle.set("/process/oomScoreAdj", json!(100)).set("/linux/resources/pids", json!({"limit": 77}));
    bundle.set("/linux/resources/memory", json!({"limit": 100_000_000}));
    bundle.set("/linux/resources/cpu", json!({"shares": 512, "quota": 50_000, "period": 100_000}));
    assert_host_planned(&lab, &bundle);
    bundle.user_namespace();
    assert_host_planned(&lab, &bundle);
    // An intermediate process, whose maps and offsets are written when it asks.
    let donor = Donor::new(&lab, &["network"]);
    bundle.join("network", donor.path("network")).namespace("time");
    bundle.set("/linux/timeOffsets", json!({"boottime": {"secs": 7, "nanosecs": 0}}));
    assert_host_planned(&lab, &bundle);
}

fn has_strace() -> bool {
    std::process::Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success())
}

#[test]
fn what_is_printed_is_what_is_executed() {
    only_insula!();
    if !has_strace() {
        insula_tests::skip!("strace is not installed");
    }
    let lab = Lab::new();
    assert_planned(&lab, &lab.bundle());

    let mut mapped = lab.bundle();
    mapped.user_namespace().namespace("cgroup").set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    mapped.set("/root/readonly", json!(true));
    assert_planned(&lab, &mapped);

    let donor = Donor::new(&lab, &["network", "pid", "uts"]);
    let mut joining = lab.bundle();
    joining.join("network", donor.path("network")).join("pid", donor.path("pid")).join("uts", donor.path("uts"));
    joining.remove("/hostname");
    joining.namespace("time").set("/linux/timeOffsets", json!({"boottime": {"secs": 7, "nanosecs": 0}}));
    let plan = assert_planned(&lab, &joining);
    let calls: Vec<&str> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|step| step["calls"].as_array().unwrap())
        .filter_map(Value::as_str)
        .collect();
    assert!(calls.contains(&"setns(CLONE_NEWNET)") && calls.contains(&"setns(CLONE_NEWPID)"), "{calls:?}");
    assert!(calls.contains(&"write(timens_offsets)"), "{calls:?}");
}

#[test]
fn every_kind_has_its_summary() {
    only_insula!();
    let lab = Lab::new();
    let donor = Donor::new(&lab, &["ipc"]);
    let mut bundle = lab.bundle();
    bundle.inherit("network").join("ipc", donor.path("ipc"));
    bundle.set("/surprise", json!(1));
    let plan = plan(&lab, &bundle, &[]);
    let of = |kind: &str| {
        plan["namespaces"]
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["type"] == kind)
            .unwrap_or_else(|| panic!("{kind}"))
            .clone()
    };
    assert_eq!(plan["namespaces"].as_array().unwrap().len(), 8);
    assert_eq!(of("network")["how"], "inherited");
    assert_eq!(of("network")["exposes"], "the container sees and can use all host interfaces");
    assert_eq!(of("ipc")["how"], "joined");
    assert_eq!(of("ipc")["identity"], json!(format!("ipc:[{}]", Identity::at(&donor.path("ipc")).inode)));
    assert!(of("ipc")["owner"].as_str().unwrap().starts_with("user:["));
    assert_eq!(of("pid")["how"], "created");
    assert_eq!(plan["unknownProperties"], json!(["/surprise"]));
    assert_eq!(plan["version"], json!(1));
}

#[test]
fn limits_maps_hooks_and_the_proof_are_part_of_it() {
    only_insula!();
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.user_namespace();
    bundle.set("/linux/resources/pids", json!({"limit": 77}));
    bundle.set("/hooks/createRuntime", json!([{"path": "/bin/true"}]));
    bundle.set("/process/oomScoreAdj", json!(100));
    let plan = plan(&lab, &bundle, &[]);
    let steps = plan["steps"].as_array().unwrap();
    let find = |words: &str| {
        steps
            .iter()
            .find(|step| step["purpose"].as_str().unwrap().contains(words))
            .unwrap_or_else(|| panic!("no step: {words}"))
    };
    assert_eq!(find("pids.max to 77")["field"], "/linux/resources/pids/limit");
    assert_eq!(find("uid_map 0:100000:65536")["by"], "runtime");
    assert_eq!(find("createRuntime hook /bin/true")["field"], "/hooks/createRuntime/0");
    assert_eq!(find("oom_score_adj to 100")["field"], "/process/oomScoreAdj");
    assert_eq!(find("compare the eight namespaces")["phase"], "commit");
}

#[test]
fn it_needs_no_root_and_changes_nothing() {
    only_insula!();
    let lab = Lab::new();
    let bundle = lab.bundle();
    plan(&lab, &bundle, &[]);
    assert!(!lab.state_root().exists(), "plan made the state root");
    let words = format!("{} plan --bundle {}", insula_tests::runtime().display(), bundle.path().display());
    let ordinary = |words: &str| {
        lab.command("setpriv").args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", words]).run()
    };
    let output = ordinary(&format!("{words} --as-root"));
    output.assert_code(0);
    assert!(output.stdout.contains("planned as for root"), "{output}");
    assert!(output.stdout.contains("clone3(CLONE_PIDFD|"), "{output}");
    // Without, it is what create would say to this user.
    ordinary(&words).fails_with(&["as user 65534", "spec --rootless"]);
    let mut own = lab.bundle();
    let map = json!([{"containerID": 0, "hostID": 65534, "size": 1}]);
    own.namespace("user").set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    let output = ordinary(&words.replace(bundle.path().to_str().unwrap(), own.path().to_str().unwrap()));
    output.assert_code(0);
    assert!(output.stdout.contains("write uid_map 0:65534:1"), "{output}");
    assert!(output.stdout.contains("cgroups that the caller may not make are left out"), "{output}");
}
