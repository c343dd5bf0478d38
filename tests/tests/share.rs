// SPDX-License-Identifier: Apache-2.0
//! `--network container:…` and its like: the command line's choices in the place of the document's namespaces.

use insula_tests::{Bundle, Container, Donor, Identity, Lab, Output, identities, is_insula, json, own_identities};

fn sleeper(lab: &Lab) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    bundle
}

/// `create` with these options.
#[track_caller]
fn create(container: &Container<'_>, options: &[&str]) -> Output {
    container.finish(container.launch("create").args(options))
}

#[test]
fn a_containers_namespaces_are_shared_and_nothing_else() {
    if !is_insula() {
        insula_tests::skip!("peers have no such options");
    }
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let owner = lab.container(&bundle).detached();
    let sharer = lab.container(&bundle);
    let target = format!("container:{}", owner.id());
    create(&sharer, &["--network", &target, "--ipc", &target, "--pid", &target]).assert_code(0);
    let (first, second) = (identities(owner.pid()), identities(sharer.pid()));
    for (kind, identity) in &first {
        let shared = ["network", "ipc", "pid"].contains(kind) || own_identities()[kind] == *identity;
        assert_eq!(second[kind] == *identity, shared, "{kind}");
    }
    sharer.start().assert_code(0);
    assert!(sharer.inside("ps").contains("sleep 60"));
}

#[test]
fn the_name_of_a_shared_uts_namespace_stays() {
    if !is_insula() {
        insula_tests::skip!("peers have no such options");
    }
    let lab = Lab::new();
    let mut bundle = sleeper(&lab);
    bundle.set("/hostname", json!("first"));
    let owner = lab.container(&bundle).detached();
    bundle.set("/hostname", json!("second"));
    let sharer = lab.container(&bundle);
    let output = create(&sharer, &["--uts", &format!("container:{}", owner.id())]);
    output.assert_code(0);
    output.says(&["/hostname is left out"]);
    assert_eq!(owner.inside("hostname").trim(), "first");
}

#[test]
fn whose_a_namespace_is_gets_said() {
    if !is_insula() {
        insula_tests::skip!("peers have no such options");
    }
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let owner = lab.container(&bundle).detached();
    let sharer = lab.container(&bundle);
    create(&sharer, &["--network", &format!("container:{}", owner.id())]).assert_code(0);
    let third = lab.container(&bundle);
    let of = |container: &Container<'_>| format!("container:{}", container.id());
    create(&third, &["--network", &of(&sharer)]).fails_with(&["it shares net:[", owner.id(), "--network container:"]);
    create(&third, &["--user", &of(&owner)]).fails_with(&["it has none of its own", "--user host"]);
    create(&third, &["--pid", "container:nobody"]).fails_with(&["nobody", "does not exist"]);
    owner.kill("KILL").assert_code(0);
    owner.await_status("stopped");
    create(&third, &["--ipc", &of(&owner)]).fails_with(&["it has stopped"]);
    assert!(!lab.state_root().join(third.id()).exists(), "a refusal left a state behind");
}

#[test]
fn a_record_that_names_another_process_or_namespace_is_not_believed() {
    if !is_insula() {
        insula_tests::skip!("it edits insula's state");
    }
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let owner = lab.container(&bundle).detached();
    let donor = Donor::new(&lab, &["network"]);
    let path = lab.state_root().join(owner.id()).join("state.json");
    let good = std::fs::read_to_string(&path).unwrap();
    let edit = |change: &dyn Fn(&mut insula_tests::Value)| {
        let mut state = insula_tests::parse_json(&good);
        change(&mut state);
        std::fs::write(&path, state.to_string()).unwrap();
    };
    let third = lab.container(&bundle);
    let target = format!("container:{}", owner.id());
    // The number was used again by a process with a network namespace of its own.
    edit(&|state| state["init"]["pid"] = json!(donor.pid()));
    create(&third, &["--network", &target]).fails_with(&["another one now"]);
    // The process moved elsewhere.
    edit(&|state| {
        let list = state["namespaces"].as_array_mut().unwrap();
        let entry = list.iter_mut().find(|entry| entry["type"] == "network").unwrap();
        entry["id"] = json!(1);
        entry["ino"] = json!(1);
    });
    create(&third, &["--network", &target]).fails_with(&["was given net:[1]", "insula verify"]);
    std::fs::write(&path, &good).unwrap();
    create(&third, &["--network", &target]).assert_code(0);
}

#[test]
fn host_private_and_a_path() {
    if !is_insula() {
        insula_tests::skip!("peers have no such options");
    }
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let donor = Donor::new(&lab, &["ipc"]);
    let container = lab.container(&bundle);
    let path = format!("ns:{}", donor.path("ipc").display());
    create(&container, &["--network", "host", "--time", "private", "--ipc", &path, "--uts", "host"]).assert_code(0);
    let (inside, own) = (identities(container.pid()), own_identities());
    assert_eq!(inside["network"], own["network"]);
    assert_eq!(inside["uts"], own["uts"]);
    assert_ne!(inside["time"], own["time"]);
    assert_eq!(inside["ipc"], Identity::at(&donor.path("ipc")));
}

#[test]
fn an_annotation_pins_the_namespace_that_must_be_found() {
    if !is_insula() {
        insula_tests::skip!("io.insula annotations are insula's");
    }
    let lab = Lab::new();
    let donor = Donor::new(&lab, &["network"]);
    let mut bundle = sleeper(&lab);
    bundle.join("network", donor.path("network"));
    let right = format!("net:[{}]", Identity::at(&donor.path("network")).inode);
    bundle.set("/annotations/io.insula.namespace.network", json!(right));
    let container = lab.container(&bundle).created();
    assert_eq!(identities(container.pid())["network"], Identity::at(&donor.path("network")));
    bundle.set("/annotations/io.insula.namespace.network", json!("net:[4026531840]"));
    let other = lab.container(&bundle);
    other.create().fails_with(&[&right, "net:[4026531840]", "io.insula.namespace.network", "/path"]);
}
