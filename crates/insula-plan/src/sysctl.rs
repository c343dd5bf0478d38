// SPDX-License-Identifier: Apache-2.0
//! Kernel parameters: only those that belong to a namespace, and only where that namespace is the container's.

use crate::compile::Planner;
use crate::field::Field;
use crate::namespaces::{Phase, Want};
use crate::text;
use alloc::format;
use alloc::string::String;
use insula_error::{Error, Result};
use insula_ns::{Kind, PerKind};
use insula_spec::Spec;
use insula_steps::Step;

const FIELD: &str = "/linux/sysctl";

/// Refuses parameters of the host, or of a namespace that is not the container's own.
pub(crate) fn check(spec: &Spec<'_>, wants: &PerKind<Want>) -> Result<()> {
    for (key, _) in &spec.linux.sysctl {
        let refuse = |reason: String, advice: String| {
            Err(Error::invalid(format!("{FIELD}/{}", key.replace('~', "~0").replace('/', "~1")), format!("set the kernel parameter {key}"), reason)
                .advice(advice))
        };
        let Some(kind) = Kind::of_sysctl(key) else {
            return refuse(
                String::from("it belongs to no namespace: it would change the whole host"),
                String::from("set it on the host, or remove it"),
            );
        };
        match wants[kind] {
            Want::New(_) => {}
            Want::Join(_) if key.as_str() == "kernel.hostname" || key.as_str() == "kernel.domainname" => {
                return refuse(
                    format!("the {kind} namespace is shared: its other members would be renamed"),
                    String::from("remove it"),
                );
            }
            Want::Join(_) => {}
            Want::Inherit | Want::Stay(_) => {
                return refuse(
                    format!("it belongs to the {kind} namespace, and the container would use the host's"),
                    format!("add {{\"type\": \"{kind}\"}} to /linux/namespaces"),
                );
            }
        }
        if key.as_str() == "kernel.hostname" {
            return refuse(String::from("the field /hostname is for that"), String::from("use it instead"));
        }
    }
    Ok(())
}

/// The steps. `kernel.domainname` cannot be written from a user namespace, even to its own uts namespace; the system
/// call can.
pub(crate) fn plan(planner: &mut Planner<'_>) {
    let spec = planner.spec;
    for (key, value) in &spec.linux.sysctl {
        let value = text::bytes(value.as_bytes());
        let step = if key.as_str() == "kernel.domainname" || key.as_str() == "kernel/domainname" {
            Step::Domainname { name: value }
        } else {
            let path = if key.contains('/') { String::from(key.as_str()) } else { key.replace('.', "/") };
            Step::Sysctl { name: text::c_str(&path), value }
        };
        planner.step(Phase::Process, Field::At(FIELD), step);
    }
}
