// SPDX-License-Identifier: Apache-2.0
//! The examples of `insula help`, as docs/reference.md has them from the same table: each is run in the situation that it
//! speaks of, and succeeds.

use insula_tests::{Lab, is_insula, populate_rootfs, runtime, skip};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// The container's states that examples begin with.
const RUNNING: &str = "insula run --detach --bundle /srv/web web1 >/dev/null 2>&1";
const CREATED: &str = "insula create --bundle /srv/web web1 >/dev/null 2>&1";
const PAUSED: &str = "insula run --detach --bundle /srv/web web1 >/dev/null 2>&1; insula pause web1";
const STOPPED: &str = "insula run --detach --bundle /srv/web web1 >/dev/null 2>&1; insula kill web1 KILL; \
    until [ $(insula state web1 | jq -r .status) = stopped ]; do sleep 0.05; done";
/// A bundle in the current directory whose program ends at once.
const JOB: &str = "cd /srv/job";
const ANYWHERE: &str = "cd $(mktemp -d)";

/// What is true before the examples of a command (and of that one alone that begins with these words) are run.
const SITUATIONS: &[(&str, &str, &str)] = &[
    ("insula", "", JOB),
    ("insula try", "", ANYWHERE),
    ("insula plan", "", "cd /srv/web"),
    ("insula doctor", "", ANYWHERE),
    ("insula spec", "", ANYWHERE),
    ("insula create", "insula create --bundle /srv/log", RUNNING),
    ("insula create", "", ANYWHERE),
    ("insula start", "", CREATED),
    ("insula run", "", JOB),
    ("insula exec", "", RUNNING),
    ("insula kill", "", RUNNING),
    ("insula delete", "insula delete web1", STOPPED),
    ("insula delete", "", RUNNING),
    ("insula pause", "", RUNNING),
    ("insula resume", "", PAUSED),
    ("insula update", "", RUNNING),
    ("insula list", "", STOPPED),
    ("insula state", "", RUNNING),
    ("insula ps", "", RUNNING),
    ("insula events", "", RUNNING),
    ("insula inspect", "", RUNNING),
    ("insula verify", "", RUNNING),
    ("insula ns", "", RUNNING),
    ("insula features", "", ANYWHERE),
    ("insula completion", "", ANYWHERE),
    ("insula help", "", ANYWHERE),
];

/// Run where CRIU works, with the page of their own (tests/tests/checkpoint).
const ELSEWHERE: [&str; 2] = ["insula checkpoint", "insula restore"];

/// Without an end of their own: what ends them meanwhile.
const ENDLESS: &[(&str, &str)] = &[("insula events --interval", "(sleep 2; insula kill web1 KILL) &")];

/// In a terminal: it is what they are about.
const IN_A_TERMINAL: [&str; 3] = ["insula exec --tty", "mkdir -p web/rootfs", "insula try"];

/// The command and the line of each example.
fn examples() -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    let (mut command, mut inside) = ("", false);
    for line in include_str!("../../docs/reference.md").lines() {
        if let Some(name) = line.strip_prefix("## ") {
            command = name;
        } else if line == "EXAMPLES:" {
            inside = true;
        } else if inside && (line.starts_with("```") || line.starts_with(|first: char| first.is_alphabetic())) {
            inside = false;
        } else if let Some(example) = line.strip_prefix("      ").filter(|_| inside) {
            found.push((command, example));
        }
    }
    found
}

#[test]
fn every_example_runs() {
    if !is_insula() {
        skip!("the examples are insula's");
    }
    let lab = Lab::new();
    let program = lab.path("program");
    fs::copy(runtime(), &program).expect("copy the runtime");
    let wrapper = format!("#!/bin/sh\nexec '{}' --root '{}' \"$@\"\n", program.display(), lab.state_root().display());
    fs::create_dir(lab.path("bin")).expect("make a directory");
    let insula = lab.write("bin/insula", wrapper);
    fs::set_permissions(&insula, fs::Permissions::from_mode(0o755)).expect("make it executable");
    populate_rootfs(&lab.path("rootfs"));
    let bundles = "set -e; mkdir -p /run/docker/runtime-runc/moby; cd /srv; mkdir web job; for bundle in web job; do cp -r $rootfs $bundle/rootfs; insula spec --bundle $bundle; done; \
        sed -i 's/\"terminal\": true/\"terminal\": false/; s/\"sh\"/\"sleep\", \"600\"/' web/config.json; cp -r web log; \
        sed -i 's/\"terminal\": true/\"terminal\": false/; s/\"sh\"/\"true\"/' job/config.json; mkdir -p ~/.config/fish/completions; cd; ";
    let examples = examples();
    assert!(examples.len() > 40, "{examples:?}");
    for (command, line) in examples {
        if ELSEWHERE.contains(&command) {
            continue;
        }
        let situation = SITUATIONS.iter().find(|(of, begin, _)| *of == command && line.starts_with(begin));
        let (_, _, situation) = situation.unwrap_or_else(|| panic!("{command}: {line}: run in which situation?"));
        let meanwhile = ENDLESS.iter().find(|(begin, _)| line.starts_with(begin)).map_or("", |(_, ends)| ends);
        let terminal = IN_A_TERMINAL.iter().any(|begin| line.starts_with(begin));
        lab.write("example", format!("{meanwhile}\n{line}\n"));
        let run = if terminal { "echo exit | script -qec 'bash -e $example' /dev/null" } else { "bash -e $example" };
        let output = lab
            .command("unshare")
            .args(["--mount", "bash", "-c"])
            .arg(format!("busybox mount -t tmpfs srv /srv; {bundles} {situation}; {run}; for id in web1 log1; do insula delete --force $id; done"))
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", lab.path("bin").display()))
            .env("HOME", lab.path("tmp"))
            .env("rootfs", lab.path("rootfs"))
            .env("example", lab.path("example"))
            .run();
        assert_eq!(output.code(), 0, "{command}: {line}\n{output}");
    }
    fs::remove_dir_all("/run/docker").expect("remove what an example looks into");
}
