// SPDX-License-Identifier: Apache-2.0
//! Profiles as engines keep them, with conditions on architectures, capabilities and kernels, made into what an engine
//! writes into config.json on x86_64.

use serde_json::{Value, json};

/// Capabilities of an ordinary container, and what asks for more: of both kinds a rule may speak.
pub(crate) const ORDINARY: &[&str] = &["CAP_SYS_CHROOT", "CAP_AUDIT_WRITE"];
pub(crate) const PRIVILEGED: &[&str] = &[
    "CAP_AUDIT_WRITE",
    "CAP_BPF",
    "CAP_DAC_READ_SEARCH",
    "CAP_PERFMON",
    "CAP_SYSLOG",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_CHROOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_NICE",
    "CAP_SYS_PACCT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
];

fn names<'v>(rule: &'v Value, which: &str, list: &str) -> Vec<&'v str> {
    rule[which][list].as_array().map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// Whether a rule is for x86_64 with these capabilities; every kernel is new enough.
fn applies(rule: &Value, capabilities: &[&str]) -> bool {
    let here = |arch: &&str| ["amd64", "x86", "x32"].contains(arch);
    let held = |capability: &&str| capabilities.contains(capability);
    let arches = names(rule, "includes", "arches");
    (arches.is_empty() || arches.iter().any(here))
        && !names(rule, "excludes", "arches").iter().any(here)
        && names(rule, "includes", "caps").iter().all(held)
        && !names(rule, "excludes", "caps").iter().any(held)
}

/// The `linux.seccomp` that an engine makes of the profile.
pub(crate) fn section(profile: &str, capabilities: &[&str]) -> String {
    let profile: Value = serde_json::from_str(profile).expect("a profile is JSON");
    let rules = profile["syscalls"].as_array().expect("a list of rules");
    let rules: Vec<Value> = rules
        .iter()
        .filter(|rule| applies(rule, capabilities))
        .map(|rule| {
            let mut kept = json!({});
            for key in ["names", "action", "errnoRet", "args"] {
                if !rule[key].is_null() {
                    kept[key] = rule[key].clone();
                }
            }
            kept
        })
        .collect();
    let mut section = json!({
        "defaultAction": profile["defaultAction"],
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    });
    if !profile["defaultErrnoRet"].is_null() {
        section["defaultErrnoRet"] = profile["defaultErrnoRet"].clone();
    }
    section.to_string()
}
