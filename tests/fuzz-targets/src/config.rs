// SPDX-License-Identifier: Apache-2.0
//! `config.json` to plan to init's list of steps.

use crate::check;
use crate::steps::read_all;
use insula_error::Error;
use insula_plan::{CgroupView, ExecTarget, Facts, Hierarchy, Options, Plan, compile, compile_exec};
use insula_spec::Spec;
use insula_steps::{Fd, encode};

/// The document, or a part of it, is refused with a good error, or planned for every kind of host.
pub(crate) fn fuzz(bytes: &[u8]) {
    for part in [insula_spec::load_process(bytes).err(), insula_spec::load_resources(bytes).err()] {
        part.iter().for_each(check);
    }
    let spec = match insula_spec::load(bytes) {
        Ok(spec) => spec,
        Err(error) => return check(&error),
    };
    for pointer in insula_spec::unknown_properties(bytes) {
        assert!(pointer.starts_with('/'), "{pointer:?}");
    }
    if let Err(error) = insula_spec::validate(&spec) {
        return check(&error);
    }
    for facts in &hosts() {
        for run in [false, true] {
            let options = Options { id: "fuzz".into(), run, ..Options::default() };
            plan(compile(&spec, facts, &options));
            let target = ExecTarget { kinds: 0x6c02_0000, user: facts.euid != 0, fork: run, ..ExecTarget::default() };
            plan(compile_exec(&spec, &target, facts, &options));
        }
    }
    again(&spec);
}

/// Version 2 and version 1, root and another user.
fn hosts() -> [Facts; 3] {
    let unified = CgroupView { unified: true, born: true, ..CgroupView::default() };
    let hierarchy =
        |name: &str| Hierarchy { directory: name.into(), options: name.into(), group: format!("/{name}/c") };
    let legacy = CgroupView {
        hierarchies: ["cpu,cpuacct", "memory", "devices"].map(hierarchy).to_vec(),
        task_files: 3,
        ..CgroupView::default()
    };
    let facts = Facts { bundle: "/bundle".into(), uptime: 1000, ..Facts::default() };
    [
        Facts { cgroup: unified.clone(), apparmor: true, selinux: true, ..facts.clone() },
        Facts { cgroup: legacy, ..facts.clone() },
        Facts { cgroup: unified, euid: 1000, egid: 1000, setgroups_denied: true, ..facts },
    ]
}

/// What init reads is what was planned.
fn plan(plan: Result<Plan, Error>) {
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => return check(&error),
    };
    let bytes = encode(plan.steps.iter().map(|planned| &planned.step), Fd(3), &|slot| slot);
    let (_, read) = read_all(&bytes).expect("what was written is read");
    assert!(read.iter().eq(plan.steps.iter().map(|planned| &planned.step)), "the steps differ");
}

/// A document that was written again says the same.
fn again(spec: &Spec<'_>) {
    let text = insula_spec::to_json(spec);
    let twice = insula_spec::load(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(insula_spec::to_json(&twice), text, "written twice");
}
