// SPDX-License-Identifier: Apache-2.0
//! `linux.mountLabel`: the SELinux context of the file systems that are made for the container.

use crate::compile::Planner;
use crate::facts::Facts;
use crate::field::Field;
use crate::namespaces::Phase;
use crate::text;
use alloc::format;
use alloc::string::String;
use insula_error::{Error, Result};
use insula_spec::Spec;
use insula_steps::Step;

const FIELD: &str = "/linux/mountLabel";

/// File systems that have no contexts of their own; a message queue's root is labelled once it is mounted.
const WITHOUT: &[&str] = &["proc", "sysfs", "mqueue", "cgroup", "cgroup2"];

fn wanted<'s>(spec: &'s Spec<'_>) -> Option<&'s str> {
    spec.linux.mount_label.as_deref().filter(|label| !label.is_empty())
}

/// A kernel without SELinux knows no option `context` and would refuse each mount in turn.
pub(crate) fn check(spec: &Spec<'_>, facts: &Facts) -> Result<()> {
    match wanted(spec) {
        Some(label) if !facts.selinux => {
            Err(Error::unsupported(FIELD, format!("label the mounts {label}"), "SELinux is not enabled on this host")
                .advice("remove the field"))
        }
        _ => Ok(()),
    }
}

/// The option that a new file system of type `kind` gets (mount(8), "context").
pub(crate) fn option(planner: &Planner<'_>, kind: &str) -> Option<String> {
    wanted(planner.spec).filter(|_| !WITHOUT.contains(&kind)).map(|label| format!("context={label}"))
}

/// Labels the root of a mount that takes no option.
pub(crate) fn root(planner: &mut Planner<'_>, kind: &str, target: &str) {
    if let Some(label) = wanted(planner.spec).filter(|_| kind == "mqueue") {
        let step = Step::FileLabel { target: text::c_str(target), label: text::bytes(label.as_bytes()) };
        planner.step(Phase::Rootfs, Field::At(FIELD), step);
    }
}
