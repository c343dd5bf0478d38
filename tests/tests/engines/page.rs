// SPDX-License-Identifier: Apache-2.0
//! README.md, docs/engines.md, docs/kubernetes.md: their examples are run on a machine that is set up as they say.

use crate::machine::machine_and_lab;
use insula_tests::page::examples;
use std::fs;
use std::path::Path;

/// The file of that name in the repository.
fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands for a command on the machine, which has what `cargo build` makes, but no sources. `None`: CI itself runs
/// it, since it is the way to all tests.
fn on_the_machine(command: &str) -> Option<String> {
    if let Some(words) = command.strip_prefix("cargo run --release -- ") {
        return Some(format!("insula {words}"));
    }
    if command == "cargo build --release" {
        return Some("mkdir -p target/release && cp /usr/bin/insula target/release/".to_owned());
    }
    if command.starts_with("cargo ") {
        assert!(read(".ci/run").lines().any(|line| line.starts_with(command)), ".ci/run has no {command:?}");
        return None;
    }
    Some(command.to_owned())
}

/// Runs the examples of a page, at least `least` of them, in a new directory with a copy of dist/.
fn run(name: &str, least: usize) {
    let (machine, lab) = machine_and_lab!();
    let _alone = machine.alone();
    let place = format!("/run/{}", lab.name());
    machine.ok(&lab, &format!("cp -r /run/page {place}"));
    let examples = examples(&read(name));
    assert!(examples.len() >= least, "{name} has examples");
    for example in examples {
        let Some(command) = on_the_machine(&example.command) else { continue };
        let output = machine.run(&lab, &format!("cd {place}; exec 2>&1; {command}"));
        let place = format!("{name}:{}: {}\n{}", example.line, example.command, output.stdout);
        assert_eq!(output.code(), 0, "{place}\n{}", machine.log("containerd"));
        if let Err(reason) = example.compare(&output.stdout) {
            panic!("{reason}\n{place}");
        }
    }
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
