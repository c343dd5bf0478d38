// SPDX-License-Identifier: Apache-2.0
//! Kernel parameters: only those that belong to a namespace, and only where that namespace is the container's.

use crate::compile::Planner;
use crate::facts::Facts;
use crate::field::Field;
use crate::namespaces::{Phase, Want};
use crate::text;
use alloc::format;
use alloc::string::String;
use insula_error::{Error, Result};
use insula_ns::{Kind, PerKind};
use insula_spec::{Spec, sysctl_path};
use insula_steps::Step;

const FIELD: &str = "/linux/sysctl";

/// Refuses parameters of the host, or of a namespace that is not the container's own.
pub(crate) fn check(spec: &Spec<'_>, wants: &PerKind<Want>, facts: &Facts) -> Result<()> {
    for (key, _) in &spec.linux.sysctl {
        let refuse = |reason: String, advice: String| {
            Err(Error::invalid(pointer(key), format!("set the kernel parameter {key}"), reason).advice(advice))
        };
        let Some(kind) = Kind::of_sysctl(key) else {
            return refuse(
                String::from("it belongs to no namespace: it would change the whole host"),
                String::from("set it on the host, or remove it"),
            );
        };
        match wants[kind] {
            Want::Join(_) if is(key, "kernel/hostname") || is(key, "kernel/domainname") => {
                return refuse(
                    format!("the {kind} namespace is shared: its other members would be renamed"),
                    String::from("remove it"),
                );
            }
            // A runtime that runs in a container itself, and was given a path to the machine's namespace.
            Want::Join(_) if facts.joins[kind].is_some_and(|fact| fact.identity.is_initial()) => {
                return refuse(
                    format!("the {kind} namespace at the path is the one that the machine booted with"),
                    String::from("set it on the host, or remove it"),
                );
            }
            // COMPAT: engines make the namespace and have it joined by the first container, whose document has the values.
            Want::New(_) | Want::Join(_) => {}
            Want::Inherit | Want::Stay(_) => {
                return refuse(
                    format!("it belongs to the {kind} namespace, and the container would use the host's"),
                    format!("add {{\"type\": \"{kind}\"}} to /linux/namespaces"),
                );
            }
        }
        if is(key, "kernel/hostname") {
            return refuse(String::from("the field /hostname is for that"), String::from("use it instead"));
        }
    }
    Ok(())
}

/// The steps. `kernel.domainname` cannot be written from a user namespace, even to its own uts namespace; the system
/// call can.
pub(crate) fn plan(planner: &mut Planner<'_>) -> Result<()> {
    let spec = planner.spec;
    let mut procfs = !planner.foreign(Kind::PID);
    for (key, value) in &spec.linux.sysctl {
        if let Some(kind) = Kind::of_sysctl(key).filter(|kind| planner.foreign(*kind)) {
            let name = planner.joined_text(kind);
            return Err(Error::invalid(
                pointer(key),
                format!("set the kernel parameter {key}"),
                format!("{name} is not owned by the container's user namespace, which may not change it"),
            )
            .advice(format!("join the user namespace that owns {name}, or set the parameter where it was made")));
        }
        let value = text::bytes(value.as_bytes());
        let by_name = is(key, "kernel/domainname");
        if !by_name && !core::mem::replace(&mut procfs, true) {
            let fd = planner.early(Field::At(FIELD), Kind::PID, "proc", alloc::vec::Vec::new(), 0)?;
            planner.step(Phase::Process, Field::At(FIELD), Step::Procfs { fd });
        }
        let step = if by_name {
            Step::Domainname { name: value }
        } else {
            let path = sysctl_path(key)
                .map_err(|reason| Error::invalid(pointer(key), format!("set the kernel parameter {key}"), reason))?;
            Step::Sysctl { name: text::c_str(&path), value }
        };
        planner.step(Phase::Process, Field::At(FIELD), step);
    }
    Ok(())
}

/// Whether `key`, in whichever of its spellings, is the parameter at `path` below /proc/sys.
fn is(key: &str, path: &str) -> bool {
    sysctl_path(key).is_ok_and(|known| known == path)
}

fn pointer(key: &str) -> String {
    format!("{FIELD}/{}", key.replace('~', "~0").replace('/', "~1"))
}
