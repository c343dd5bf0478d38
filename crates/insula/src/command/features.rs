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
                "actions": insula_seccomp::features::actions().collect::<Vec<_>>(),
                "operators": insula_seccomp::features::operators().collect::<Vec<_>>(),
                "archs": insula_seccomp::features::architectures().collect::<Vec<_>>(),
                "knownFlags": insula_seccomp::features::flags().map(|(name, _)| name).collect::<Vec<_>>(),
                "supportedFlags": insula_seccomp::features::flags().map(|(name, _)| name).collect::<Vec<_>>(),
            },
            "apparmor": { "enabled": true },
            "selinux": { "enabled": true },
            "intelRdt": { "enabled": false },
            "mountExtensions": { "idmap": { "enabled": true } },
            "netDevices": { "enabled": true },
        },
        "annotations": {
            "io.insula.version": crate::VERSION,
            // COMPAT(runc): engines look for this name.
            "org.opencontainers.runc.checkpoint.enabled": "true",
        },
        "potentiallyUnsafeConfigAnnotations": [],
    })
}
