// SPDX-License-Identifier: Apache-2.0
//! Containers in containers.

use insula_tests::{Bundle, Lab, Value, is_insula, json};
use std::fs;

/// Lets the container start containers itself.
fn nest(bundle: &mut Bundle) {
    let all: Vec<Value> = [
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_ADMIN",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_ADMIN",
        "SYS_CHROOT",
        "SYS_PTRACE",
    ]
    .iter()
    .map(|name| json!(format!("CAP_{name}")))
    .collect();
    for set in ["bounding", "effective", "permitted"] {
        bundle.set(&format!("/process/capabilities/{set}"), json!(all));
    }
    without_mask(bundle);
    bundle.tmpfs("/run", &["mode=755"]).namespace("cgroup");
}

fn without_mask(bundle: &mut Bundle) {
    bundle
        .set("/linux/maskedPaths", json!([]))
        .set("/linux/readonlyPaths", json!([]))
        .set("/root/readonly", json!(false));
    let cgroup = bundle.document()["mounts"].as_array().unwrap().iter().position(|mount| mount["type"] == "cgroup");
    if let Some(index) = cgroup {
        bundle.set(&format!("/mounts/{index}/options"), json!(["nosuid", "noexec", "nodev", "rw"]));
    }
}

#[test]
fn insula_in_insula_in_insula() {
    if !is_insula() {
        insula_tests::skip!("what runs inside is insula");
    }
    let lab = Lab::new();
    let mut inner = lab.bundle();
    inner
        .shell("echo depth three, process $$, $(hostname); readlink /proc/self/ns/pid")
        .set("/hostname", json!("three"));
    nest(&mut inner);
    let mut middle = lab.bundle();
    nest(&mut middle);
    middle.args(&["/insula", "--root", "/run/insula", "run", "--bundle", "/inner", "three"]);
    let mut outer = lab.bundle();
    nest(&mut outer);
    outer.args(&["/insula", "--root", "/run/insula", "run", "--bundle", "/middle", "two"]);
    let put = |of: &Bundle, into: &Bundle, name: &str| {
        let document = of.document().to_string();
        fs::write(of.path().join("config.json"), document).unwrap();
        fs::copy(insula_tests::runtime(), into.rootfs().join("insula")).unwrap();
        lab.command("cp").arg("-a").arg(of.path()).arg(into.rootfs().join(name)).ok();
    };
    put(&inner, &middle, "inner");
    put(&middle, &outer, "middle");
    let said = lab.output_of(&outer);
    assert!(said.contains("depth three, process 1, three"), "{said}");
}
