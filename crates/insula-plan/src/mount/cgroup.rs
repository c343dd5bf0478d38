// SPDX-License-Identifier: Apache-2.0
//! Mounts of type `cgroup`, in every layout.

use super::{Parsed, is_new, tree_propagation};
use crate::compile::{Planner, Slot, TreeSource};
use crate::field::Field;
use crate::namespaces::Phase;
use crate::{label, text};
use alloc::format;
use alloc::string::String;
use insula_ns::Kind;
use insula_steps::{ATTACH_DIR, Step, Strings};
use insula_sys::mount::attr;

const ATTRIBUTES: u64 = attr::NOSUID | attr::NODEV | attr::NOEXEC;
/// Where the host has its control groups.
const HOST: &str = "/sys/fs/cgroup";

/// One mount on version 2; a tmpfs with one mount a hierarchy on version 1.
pub(super) fn plan(planner: &mut Planner<'_>, field: Field, target: &str, parsed: &Parsed<'_>) {
    let attributes = ATTRIBUTES | parsed.set;
    if planner.facts.cgroup.unified {
        unified(planner, field, target, attributes, parsed);
    } else {
        hierarchies(planner, field, target, attributes, parsed);
    }
}

/// With a cgroup namespace of its own, cgroup2 is mounted afresh and shows the container's group as its root. Without
/// one a fresh mount would show the host's tree all the same and cost 10 ms of RCU wait: the host's mount is bound.
fn unified(planner: &mut Planner<'_>, field: Field, target: &str, attributes: u64, parsed: &Parsed<'_>) {
    if is_new(planner, Kind::CGROUP) {
        let step = Step::Mount {
            fstype: c"cgroup2",
            options: text::strings(["source=cgroup"]),
            attributes,
            propagation: 0,
            target: text::c_str(target),
            flags: 0,
        };
        planner.step(Phase::Rootfs, field, step);
    } else {
        bind(planner, field, HOST, target, attributes, parsed);
    }
}

fn hierarchies(planner: &mut Planner<'_>, field: Field, target: &str, attributes: u64, parsed: &Parsed<'_>) {
    let label = label::option(planner, "tmpfs");
    let base = Step::Mount {
        fstype: c"tmpfs",
        options: text::strings(["source=tmpfs", "mode=755"].into_iter().chain(label.as_deref())),
        attributes: attributes & !attr::RDONLY,
        propagation: 0,
        target: text::c_str(target),
        flags: 0,
    };
    planner.step(Phase::Rootfs, field, base);
    let own = is_new(planner, Kind::CGROUP);
    let facts = planner.facts;
    // One in which the container's group could not be told has nothing to show.
    for hierarchy in facts.cgroup.hierarchies.iter().filter(|hierarchy| own || !hierarchy.group.is_empty()) {
        let place = format!("{target}/{}", hierarchy.directory);
        if own {
            let step = Step::Mount {
                fstype: c"cgroup",
                options: hierarchy_options(&hierarchy.options),
                attributes,
                propagation: 0,
                target: text::c_str(&place),
                flags: 0,
            };
            planner.step(Phase::Rootfs, field, step);
        } else {
            bind(planner, field, &hierarchy.group, &place, attributes, parsed);
        }
        // Co-mounted controllers are also found one by one, as on the host.
        if hierarchy.directory.contains(',') {
            for controller in hierarchy.directory.split(',') {
                let path = text::c_str(&format!("{target}/{controller}"));
                planner.step(Phase::Rootfs, field, Step::Link { path, to: text::c_str(&hierarchy.directory) });
            }
        }
    }
    if attributes & attr::RDONLY != 0 {
        let target = text::c_str(target);
        planner.step(
            Phase::Rootfs,
            field,
            Step::Change { target, set: attr::RDONLY, clear: 0, propagation: 0, recursive: 0 },
        );
    }
}

/// `cpu,cpuacct` or `none,name=systemd`, one option each.
fn hierarchy_options(options: &str) -> Strings<'static> {
    text::strings(core::iter::once("source=cgroup").chain(options.split(',')))
}

fn bind(planner: &mut Planner<'_>, field: Field, source: &str, target: &str, attributes: u64, parsed: &Parsed<'_>) {
    let tree = TreeSource {
        path: String::from(source),
        set: attributes,
        propagation: tree_propagation(planner, parsed),
        ..TreeSource::default()
    };
    let fd = planner.slot_for(Slot::Tree(tree), field);
    planner.step(Phase::Rootfs, field, Step::Attach { fd, target: text::c_str(target), flags: ATTACH_DIR });
}
