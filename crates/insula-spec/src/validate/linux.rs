// SPDX-License-Identifier: Apache-2.0
//! `linux`, but for namespaces, seccomp and propagation.

use super::process::{known, known_all, plain};
use super::{Check, MAX_DEVICES, absolute, is_root, limit, mappings, resources};
use crate::names::{MEMORY_POLICY_FLAGS, MEMORY_POLICY_MODES, PERSONALITY_DOMAINS};
use crate::pointer::At;
use crate::{Device, IntelRdt, Linux, Map, MemoryPolicy, NetDevice, Personality, Str, ranges, sysctl_path};
use alloc::format;
use insula_error::Error;

/// The highest device numbers: the kernel has 12 bits for the major and 20 for the minor number.
const MAX_MAJOR: i64 = 0xfff;
const MAX_MINOR: i64 = 0xf_ffff;

/// The longest interface name in bytes; the kernel's `IFNAMSIZ` less its NUL.
const MAX_INTERFACE_NAME: usize = 15;

pub(super) fn linux(linux: &Linux<'_>, at: At<'_>) -> Check {
    mappings::mapping(&linux.uid_mappings, at.name("uidMappings"))?;
    mappings::mapping(&linux.gid_mappings, at.name("gidMappings"))?;
    sysctl(&linux.sysctl, at.name("sysctl"))?;
    if let Some(value) = &linux.resources {
        resources::resources(value, at.name("resources"))?;
    }
    plain(linux.cgroups_path.as_ref(), at.name("cgroupsPath"))?;
    devices(&linux.devices, at.name("devices"))?;
    net_devices(&linux.net_devices, at.name("netDevices"))?;
    for (name, paths) in [("maskedPaths", &linux.masked_paths), ("readonlyPaths", &linux.readonly_paths)] {
        let at = at.name(name);
        for (index, path) in paths.iter().enumerate() {
            absolute(path, at.index(index))?;
            if is_root(path) {
                let error = at.index(index).refuse("the path is the root itself");
                return Err(error.advice("use /root/readonly for the root file system"));
            }
        }
    }
    mount_label(linux.mount_label.as_ref(), at.name("mountLabel"))?;
    if let Some(value) = &linux.intel_rdt {
        intel_rdt(value, at.name("intelRdt"))?;
    }
    if let Some(value) = &linux.memory_policy {
        memory_policy(value, at.name("memoryPolicy"))?;
    }
    linux.personality.as_ref().map_or(Ok(()), |value| personality(value, at.name("personality")))
}

fn sysctl(sysctl: &Map<'_, Str<'_>>, at: At<'_>) -> Check {
    sysctl.iter().try_for_each(|(name, value)| {
        let at = at.name(name);
        sysctl_path(name).map_err(|reason| at.refuse(reason))?;
        if value.is_empty() {
            // A write of nothing changes nothing.
            return Err(at.refuse("the value is empty"));
        }
        match value.chars().find(|c| c.is_control() && *c != '\t') {
            // The kernel takes the first line of a write and drops the rest without a word.
            Some(c) => Err(at.refuse(format!("the value has the control character {c:?}"))),
            None => Ok(()),
        }
    })
}

fn devices(devices: &[Device<'_>], at: At<'_>) -> Check {
    limit(devices.len(), MAX_DEVICES, at)?;
    for (index, device) in devices.iter().enumerate() {
        let at = at.index(index);
        absolute(&device.path, at.name("path"))?;
        for (name, id) in [("uid", device.uid), ("gid", device.gid)] {
            if id == Some(u32::MAX) {
                return Err(at.name(name).refuse("4294967295 means \"no id\" to the kernel"));
            }
        }
        match device.kind.as_str() {
            "p" => continue,
            "b" | "c" | "u" => {}
            kind => {
                let error = at.name("type").refuse(format!("{kind:?} is not a type of device"));
                return Err(error.advice("use c or u (character), b (block) or p (fifo)"));
            }
        }
        for (name, number, most) in [("major", device.major, MAX_MAJOR), ("minor", device.minor, MAX_MINOR)] {
            if !(0..=most).contains(&number) {
                return Err(at.name(name).refuse(format!("{number} is not a device number from 0 to {most}")));
            }
        }
    }
    Ok(())
}

fn net_devices(devices: &Map<'_, NetDevice<'_>>, at: At<'_>) -> Check {
    devices.iter().try_for_each(|(name, device)| {
        let at = at.name(name);
        interface(name, at)?;
        match &device.name {
            Some(new) if !new.is_empty() => interface(new, at.name("name")),
            _ => Ok(()),
        }
    })
}

/// Refuses a name that the kernel takes for no interface (`dev_valid_name`).
pub(super) fn interface(name: &str, at: At<'_>) -> Check {
    let odd = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    if name.is_empty() || name.len() > MAX_INTERFACE_NAME || name == "." || name == ".." || name.contains(odd) {
        return Err(at
            .refuse(format!("{name:?} is not the name of a network interface"))
            .advice("it has 1 to 15 bytes, without \"/\", \":\" and spaces"));
    }
    Ok(())
}

/// The label becomes a quoted mount option.
fn mount_label(label: Option<&Str<'_>>, at: At<'_>) -> Check {
    if label.is_some_and(|label| label.contains('"')) {
        return Err(at.refuse("an SELinux context has no quotation mark"));
    }
    plain(label, at)
}

fn intel_rdt(rdt: &IntelRdt<'_>, at: At<'_>) -> Check {
    if let Some(class) = &rdt.clos_id
        && (matches!(class.as_str(), "." | "..") || (class != "/" && class.contains('/')))
    {
        return Err(at.name("closID").refuse(format!("{class:?} is not the name of a directory")));
    }
    for (name, text) in
        [("closID", &rdt.clos_id), ("l3CacheSchema", &rdt.l3_cache_schema), ("memBwSchema", &rdt.mem_bw_schema)]
    {
        plain(text.as_ref(), at.name(name))?;
    }
    let at = at.name("schemata");
    rdt.schemata.iter().enumerate().try_for_each(|(index, line)| plain(Some(line), at.index(index)))
}

fn memory_policy(policy: &MemoryPolicy<'_>, at: At<'_>) -> Check {
    // COMPAT(runc): its words are in the reasons.
    known(&MEMORY_POLICY_MODES, &policy.mode, at.name("mode"))
        .map_err(|e| e.reason(format!("invalid memory policy mode {:?}", policy.mode)))?;
    known_all(&MEMORY_POLICY_FLAGS, &policy.flags, at.name("flags"))
        .map_err(|e| e.reason(format!("invalid memory policy flag among {:?}", policy.flags)))?;
    if let Some(Err(reason)) = policy.nodes.as_ref().map(|nodes| ranges(nodes)) {
        return Err(at.name("nodes").refuse(format!("invalid memory policy node: {reason}")));
    }
    let none = policy.nodes.as_ref().is_none_or(|nodes| ranges(nodes).is_ok_and(|ranges| ranges.is_empty()));
    match policy.mode.as_str() {
        "MPOL_DEFAULT" | "MPOL_LOCAL" if !none => {
            let count: u32 = policy
                .nodes
                .as_ref()
                .and_then(|nodes| ranges(nodes).ok())
                .map_or(0, |ranges| ranges.iter().map(|(first, last)| last - first + 1).sum());
            Err(at
                .name("nodes")
                .refuse(format!("{} takes no nodes: mode requires 0 nodes but got {count}", policy.mode)))
        }
        "MPOL_BIND" | "MPOL_INTERLEAVE" | "MPOL_PREFERRED_MANY" | "MPOL_WEIGHTED_INTERLEAVE" if none => {
            Err(at.name("nodes").refuse(format!("{} needs at least one node", policy.mode)))
        }
        _ => Ok(()),
    }
}

fn personality(personality: &Personality<'_>, at: At<'_>) -> Check {
    known(&PERSONALITY_DOMAINS, &personality.domain, at.name("domain"))?;
    match personality.flags.first() {
        Some(flag) => {
            let reason = format!("{flag:?} is not known; the specification defines no flags");
            Err(Error::unsupported(at.name("flags").index(0).pointer(), "accept the configuration", reason))
        }
        None => Ok(()),
    }
}
