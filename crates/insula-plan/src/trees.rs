// SPDX-License-Identifier: Apache-2.0
//! Copies of host mounts for a caller who may not make them: an ordinary user has rights over mounts only in a mount
//! namespace of its own user namespace, so init copies them there, before it leaves the host's tree.

use crate::compile::{Plan, Planned, Slot, TreeSource};
use crate::field::Field;
use crate::namespaces::Phase;
use crate::text;
use alloc::format;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_steps::{Fd, Step};

/// Turns the plan's trees into steps of init, right after its mounts were cut off from the host's.
pub(crate) fn inside(plan: &mut Plan) -> Result<()> {
    let mut steps = Vec::new();
    for (index, (slot, field)) in plan.slots.iter().enumerate() {
        if let Slot::Tree(source) = slot {
            if source.ids.is_some() {
                return Err(Error::unsupported(
                    format!("{field}"),
                    "map the ids of a mount",
                    "an ordinary user may not do so",
                ));
            }
            detach(&mut steps, Fd(index as u32), source, *field);
        }
    }
    let first =
        plan.steps.iter().position(|planned| planned.phase == Phase::Rootfs).map_or(plan.steps.len(), |at| at + 1);
    plan.steps.splice(first..first, steps);
    plan.trees_inside = true;
    Ok(())
}

fn detach(steps: &mut Vec<Planned>, fd: Fd, source: &TreeSource, field: Field) {
    let mut add = |step| steps.push(Planned { step, phase: Phase::Rootfs, field });
    add(Step::Detach { fd, path: text::c_str(&source.path), recursive: u32::from(source.recursive) });
    for (propagation, all) in &source.propagation {
        add(Step::Adjust { fd, set: 0, clear: 0, least: 0, propagation: *propagation, recursive: u32::from(*all) });
    }
    for (set, clear, least, recursive) in
        [(source.set, source.clear, source.explicit, 0), (source.set_all, source.clear_all, source.clear_all, 1)]
    {
        if set | clear != 0 {
            add(Step::Adjust { fd, set, clear, least, propagation: 0, recursive });
        }
    }
}
