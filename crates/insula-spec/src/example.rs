// SPDX-License-Identifier: Apache-2.0
//! The document that `insula spec` prints.

use crate::{
    Capabilities, DeviceRule, IdMapping, Linux, Mount, Namespace, Process, Resources, Rlimit, Root, Spec, Str, User,
};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use serde::Serialize;

/// The version of the specification that insula implements.
pub const OCI_VERSION: &str = "1.3.0";

/// A document as `runc spec` prints it: a shell in all namespaces but user and time. Like runc's it has a cgroup
/// namespace only on a host whose cgroups are all v2 (`unified`), as engines do.
pub fn default_spec(unified: bool) -> Spec<'static> {
    let kinds: &[&str] = &["pid", "network", "ipc", "uts", "mount", "cgroup"];
    let kinds = if unified { kinds } else { &kinds[..5] };
    Spec {
        oci_version: OCI_VERSION.into(),
        process: Some(process()),
        root: Some(Root { path: "rootfs".into(), readonly: true }),
        hostname: Some("runc".into()),
        mounts: mounts(),
        linux: Linux {
            resources: Some(Resources {
                devices: vec![DeviceRule { allow: false, access: Some("rwm".into()), ..DeviceRule::default() }],
                ..Resources::default()
            }),
            namespaces: kinds.iter().map(|&kind| Namespace { kind: kind.into(), path: None }).collect(),
            masked_paths: strings(&[
                "/proc/acpi",
                "/proc/asound",
                "/proc/kcore",
                "/proc/keys",
                "/proc/latency_stats",
                "/proc/timer_list",
                "/proc/timer_stats",
                "/proc/sched_debug",
                "/sys/firmware",
                "/proc/scsi",
            ]),
            readonly_paths: strings(&["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
            ..Linux::default()
        },
        ..Spec::default()
    }
}

fn process() -> Process<'static> {
    let capabilities = || strings(&["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    Process {
        terminal: true,
        user: User::default(),
        args: strings(&["sh"]),
        env: strings(&["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]),
        cwd: "/".into(),
        capabilities: Some(Capabilities {
            bounding: capabilities(),
            effective: capabilities(),
            permitted: capabilities(),
            ..Capabilities::default()
        }),
        rlimits: vec![Rlimit { kind: "RLIMIT_NOFILE".into(), hard: 1024, soft: 1024 }],
        no_new_privileges: true,
        ..Process::default()
    }
}

fn mounts() -> Vec<Mount<'static>> {
    [
        ("/proc", "proc", "proc", &[] as &[&str]),
        ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/dev/pts", "devpts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        ("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]
    .map(|(destination, kind, source, options)| mount(destination, kind, source, options))
    .into()
}

fn mount(
    destination: &'static str,
    kind: &'static str,
    source: &'static str,
    options: &[&'static str],
) -> Mount<'static> {
    Mount {
        destination: destination.into(),
        kind: Some(kind.into()),
        source: Some(source.into()),
        options: strings(options),
        ..Mount::default()
    }
}

fn strings(list: &[&'static str]) -> Vec<Str<'static>> {
    list.iter().map(|&text| text.into()).collect()
}

/// Changes a document so that a user without privileges can run it, as `runc spec --rootless` does: a user
/// namespace that maps root to `euid` and `egid` alone, the host's network and `/sys`, no cgroup limits, and no
/// mount options that name ids, as those are not mapped.
pub fn rootless(spec: &mut Spec<'_>, euid: u32, egid: u32) {
    let linux = &mut spec.linux;
    linux.namespaces.retain(|namespace| namespace.kind != "network" && namespace.kind != "user");
    linux.namespaces.push(Namespace { kind: "user".into(), path: None });
    linux.uid_mappings = vec![IdMapping { container_id: 0, host_id: euid, size: 1 }];
    linux.gid_mappings = vec![IdMapping { container_id: 0, host_id: egid, size: 1 }];
    linux.resources = None;
    for entry in &mut spec.mounts {
        if entry.destination.trim_end_matches('/') == "/sys" {
            // A sysfs of its own needs a network namespace of its own.
            *entry = mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]);
        } else {
            entry.options.retain(|option| !option.starts_with("gid=") && !option.starts_with("uid="));
        }
    }
}

/// The text of a document, indented with tabs as `runc spec` does, without a newline at the end.
///
/// # Panics
/// If a serializer of `value` fails, or a key is not a string; neither can be for the types of this crate.
pub fn to_json(value: &impl Serialize) -> String {
    // serde_json without std has no formatter but that of two spaces.
    let spaced = serde_json::to_string_pretty(value).expect("a document can be written");
    let mut text = String::with_capacity(spaced.len());
    for (number, line) in spaced.split('\n').enumerate() {
        if number > 0 {
            text.push('\n');
        }
        // A newline in a string is escaped, so every line starts with nothing but indentation.
        let content = line.trim_start_matches(' ');
        text.extend(core::iter::repeat_n('\t', (line.len() - content.len()) / 2));
        text.push_str(content);
    }
    text
}
