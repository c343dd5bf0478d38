// SPDX-License-Identifier: Apache-2.0
//! `insula features`: what this build can do, read off the tables that do it (runtime-spec, features.md).

use crate::context::Context;
use crate::output;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cli::Parsed;
use insula_error::Result;
use insula_ns::kind::ALL;
use insula_sys::credentials;
use serde_json::{Value, json};

pub(super) fn perform(_parsed: &Parsed<'_>, _context: &Context<'_>) -> Result<i32> {
    let text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    output::print(&format!("{text}\n"))?;
    Ok(0)
}

fn document() -> Value {
    let namespaces: Vec<&str> = ALL.iter().map(|namespace| namespace.spec_name).collect();
    let hooks = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    let mut options: Vec<String> = insula_plan::known_options()
        .map(|(name, recursive)| if recursive { format!("r{name}") } else { String::from(name) })
        .collect();
    options.sort();
    options.dedup();
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": insula_spec::OCI_VERSION,
        "hooks": hooks,
        "mountOptions": options,
        "linux": {
            "namespaces": namespaces,
            "capabilities": insula_plan::capability_names(),
            "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true },
            "seccomp": {
                "enabled": true,
                "actions": actions(),
                "operators": insula_seccomp::features::operators().collect::<Vec<_>>(),
                "archs": insula_seccomp::features::architectures().collect::<Vec<_>>(),
                "knownFlags": insula_seccomp::features::flags().map(|(name, _)| name).collect::<Vec<_>>(),
                "supportedFlags": supported_flags(),
            },
            "apparmor": { "enabled": true },
            "selinux": { "enabled": true },
            "intelRdt": { "enabled": true, "schemata": true, "monitoring": true },
            "memoryPolicy": {
                "modes": insula_spec::MEMORY_POLICY_MODES.iter().collect::<Vec<_>>(),
                "flags": insula_spec::MEMORY_POLICY_FLAGS.iter().collect::<Vec<_>>(),
            },
            "mountExtensions": { "idmap": { "enabled": true } },
            "netDevices": { "enabled": true },
        },
        "annotations": {
            "io.insula.version": crate::VERSION,
            // COMPAT(runc): engines look for this name.
            "org.opencontainers.runc.checkpoint.enabled": "true",
        },
        // What a document can do by them to more than its container: the unit's properties, CRIU's configuration.
        "potentiallyUnsafeConfigAnnotations": ["bundle", "org.systemd.property.", "org.criu.config"],
    })
}

/// The actions that the running kernel has.
fn actions() -> Vec<&'static str> {
    let known = insula_seccomp::features::action_values();
    known.filter(|(_, value)| credentials::seccomp_knows_action(*value)).map(|(name, _)| name).collect()
}

/// The flags that the running kernel has; one is insula's alone and has no bit. WAIT_KILLABLE_RECV goes with a listener.
fn supported_flags() -> Vec<&'static str> {
    let known = insula_seccomp::features::flags();
    let has = |bit: u32| {
        credentials::seccomp_knows_flags(bit)
            || credentials::seccomp_knows_flags(bit | credentials::SECCOMP_NEW_LISTENER)
    };
    known.filter(|(_, bit)| *bit == 0 || has(*bit)).map(|(name, _)| name).collect()
}
