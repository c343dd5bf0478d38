// SPDX-License-Identifier: Apache-2.0
//! The document as an engine writes it: 20 KB, 40 mounts, the usual capabilities and the default seccomp profile.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The profile that containers get by default, in the engines' own form: Debian's packages of Podman and Buildah bring it,
/// after Docker's.
const PROFILE: &str = "/usr/share/containers/seccomp.json";
/// What Docker grants by default.
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];
const MOUNTS: usize = 40;
const BYTES: usize = 20 * 1024;

/// Makes the bundle `dir/engine` from the document `default`, with the sources of its mounts; false if this machine has no
/// profile.
pub(crate) fn make(dir: &Path, default: &str, rootfs: &Path) -> Result<bool, String> {
    let Ok(profile) = fs::read_to_string(PROFILE) else { return Ok(false) };
    let fail = |error: std::io::Error| format!("{}: {error}", dir.display());
    let profile: Value = serde_json::from_str(&profile).map_err(|error| format!("{PROFILE}: {error}"))?;
    let mut document: Value =
        serde_json::from_str(default).map_err(|error| format!("the default document: {error}"))?;
    document["linux"]["seccomp"] = seccomp(&profile);
    for set in ["bounding", "effective", "permitted"] {
        document["process"]["capabilities"][set] = json!(CAPABILITIES);
    }
    let (sources, targets) = (dir.join("sources"), rootfs.join("mnt"));
    for directory in [&sources, &targets] {
        fs::create_dir_all(directory).map_err(fail)?;
    }
    let mounts = document["mounts"].as_array_mut().ok_or("the default document has no mounts")?;
    for index in mounts.len()..MOUNTS {
        let (source, target) = (sources.join(index.to_string()), targets.join(index.to_string()));
        // Files as /etc/hosts, and volumes.
        if index % 2 == 0 {
            fs::write(&source, "").and_then(|()| fs::write(&target, "")).map_err(fail)?;
        } else {
            fs::create_dir(&source).and_then(|()| fs::create_dir(&target)).map_err(fail)?;
        }
        let access = if index % 3 == 0 { "ro" } else { "rw" };
        mounts.push(json!({
            "destination": format!("/mnt/{index}"),
            "type": "bind",
            "source": source.display().to_string(),
            "options": ["rbind", "rprivate", access],
        }));
    }
    let mut number = 0;
    while document.to_string().len() < BYTES {
        number += 1;
        let entry = format!("SERVICE_{number}_ADDRESS=tcp://10.96.0.{}:6443", number % 250);
        document["process"]["env"].as_array_mut().ok_or("the default document has no environment")?.push(json!(entry));
    }
    let bundle = dir.join("engine");
    fs::create_dir(&bundle).and_then(|()| fs::write(bundle.join("config.json"), document.to_string())).map_err(fail)?;
    Ok(true)
}

/// The profile as the runtime specification has it, for these capabilities on this machine.
fn seccomp(profile: &Value) -> Value {
    let machine = match std::env::consts::ARCH {
        "x86_64" => ("SCMP_ARCH_X86_64", "amd64"),
        _ => ("SCMP_ARCH_AARCH64", "arm64"),
    };
    let maps = profile["archMap"].as_array().into_iter().flatten();
    let map = maps.into_iter().find(|map| map["architecture"] == machine.0);
    let mut architectures = vec![json!(machine.0)];
    architectures.extend(map.and_then(|map| map["subArchitectures"].as_array()).into_iter().flatten().cloned());
    let rules = profile["syscalls"].as_array().into_iter().flatten();
    let syscalls: Vec<Value> = rules.filter(|rule| applies(rule, machine.1)).map(plain).collect();
    let mut seccomp = json!({
        "defaultAction": profile["defaultAction"],
        "architectures": architectures,
        "syscalls": syscalls,
    });
    if let Some(errno) = profile.get("defaultErrnoRet") {
        seccomp["defaultErrnoRet"] = errno.clone();
    }
    seccomp
}

/// Whether a rule is meant for these capabilities and this architecture.
fn applies(rule: &Value, machine: &str) -> bool {
    let names = |part: &str, what: &str| -> Vec<String> {
        let list = rule[part][what].as_array().into_iter().flatten();
        list.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let granted = |name: &String| CAPABILITIES.contains(&name.as_str());
    let included = names("includes", "arches");
    names("includes", "caps").iter().all(granted)
        && (included.is_empty() || included.iter().any(|arch| arch == machine))
        && !names("excludes", "caps").iter().any(granted)
        && !names("excludes", "arches").iter().any(|arch| arch == machine)
}

/// A rule with nothing but what the runtime specification knows.
fn plain(rule: &Value) -> Value {
    let mut plain = json!({"names": rule["names"], "action": rule["action"]});
    for name in ["args", "errnoRet"] {
        let value =
            rule.get(name).filter(|value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
        if let Some(value) = value {
            plain[name] = value.clone();
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_of_rules() {
        let rule = |text: &str| applies(&serde_json::from_str(text).unwrap(), "amd64");
        assert!(rule("{}"));
        assert!(rule("{\"includes\": {\"caps\": [\"CAP_KILL\"], \"arches\": [\"amd64\"]}}"));
        assert!(!rule("{\"includes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}}"));
        assert!(!rule("{\"includes\": {\"arches\": [\"s390\"]}}"));
        assert!(!rule("{\"excludes\": {\"caps\": [\"CAP_KILL\"]}}"));
        assert!(rule("{\"excludes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}}"));
    }
}
