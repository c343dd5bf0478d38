// SPDX-License-Identifier: Apache-2.0
//! README.md, docs/engines.md, docs/kubernetes.md: their examples are run on a machine that is set up as they say.

use crate::machine::machine_and_lab;
use insula_tests::page::{follow, on_a_machine};
use std::fs;
use std::path::Path;

/// The file of that name in the repository.
fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs the examples of a page, at least `least` of them, in a new directory with a copy of dist/.
fn run(name: &str, least: usize) {
    let (machine, lab) = machine_and_lab!();
    let _alone = machine.alone();
    let place = format!("/run/{}", lab.name());
    machine.ok(&lab, &format!("cp -r /run/page {place}"));
    follow(name, &read(name), least, |example| {
        let command = on_a_machine(&example.command)?;
        let output = machine.run(&lab, &format!("cd {place}; exec 2>&1; {command}"));
        let why = if output.code() == 0 { String::new() } else { machine.log("containerd") };
        Some((output.code(), output.stdout + &why))
    });
    machine.ok(&lab, &format!("rm -r {place}"));
}

#[test]
fn the_page_about_engines() {
    run("docs/engines.md", 30);
}

#[test]
fn the_page_about_kubernetes() {
    run("docs/kubernetes.md", 2);
}

#[test]
fn the_first_page() {
    run("README.md", 15);
}
