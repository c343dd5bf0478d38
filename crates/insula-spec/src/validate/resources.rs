// SPDX-License-Identifier: Apache-2.0
//! `linux.resources`: what becomes a file name or a line of a cgroup file must not be able to become another one.

use super::linux::interface;
use super::process::plain;
use super::{Check, MAX_DEVICES, limit};
use crate::pointer::At;
use crate::{DeviceRule, Resources};
use alloc::format;
use insula_error::Error;

/// Checks a resources document, as `update --resources` has it, by the rules that [`crate::validate`] has for
/// `linux.resources`.
pub fn validate_resources(resources: &Resources<'_>) -> Result<(), Error> {
    self::resources(resources, At::ROOT)
}

pub(super) fn resources(resources: &Resources<'_>, at: At<'_>) -> Check {
    let devices = at.name("devices");
    limit(resources.devices.len(), MAX_DEVICES, devices)?;
    resources.devices.iter().enumerate().try_for_each(|(index, rule)| device_rule(rule, devices.index(index)))?;
    if let Some(cpu) = &resources.cpu {
        // More than `ranges` takes: the kernel also knows strides, and "all".
        let at = at.name("cpu");
        plain(cpu.cpus.as_ref(), at.name("cpus"))?;
        plain(cpu.mems.as_ref(), at.name("mems"))?;
    }
    for (index, limit) in resources.hugepage_limits.iter().enumerate() {
        if !is_page_size(&limit.page_size) {
            let at = at.name("hugepageLimits");
            let at = at.index(index);
            let reason = format!("{:?} is not a page size such as 64KB, 2MB or 1GB", limit.page_size);
            return Err(at.name("pageSize").refuse(reason));
        }
    }
    if let Some(network) = &resources.network {
        let at = at.name("network");
        let at = at.name("priorities");
        for (index, priority) in network.priorities.iter().enumerate() {
            interface(&priority.name, at.index(index).name("name"))?;
        }
    }
    for (device, _) in &resources.rdma {
        if !is_word(device) {
            return Err(at.name("rdma").name(device).refuse(format!("{device:?} is not the name of a device")));
        }
    }
    for (file, _) in &resources.unified {
        if !is_word(file) || file.contains('/') || !file.contains('.') {
            let error = at.name("unified").name(file).refuse(format!("{file:?} is not the name of a cgroup file"));
            return Err(error.advice("it has a controller, a dot and a name, such as memory.max, and no slash"));
        }
    }
    Ok(())
}

fn device_rule(rule: &DeviceRule<'_>, at: At<'_>) -> Check {
    if let Some(kind) = &rule.kind
        && !matches!(kind.as_str(), "" | "a" | "b" | "c")
    {
        let error = at.name("type").refuse(format!("{kind:?} is not a type of device"));
        return Err(error.advice("use a (all), b (block) or c (character)"));
    }
    // COMPAT(runc): an "a" among other letters, which means all types of devices in the kernel's own list, is passed over
    // (update.bats, "minimal transition rules").
    if let Some(access) = &rule.access
        && (access.contains(|c| !"rwma".contains(c)) || *access == "a")
    {
        let error = at.name("access").refuse(format!("{access:?} has other letters than r, w and m"));
        return Err(error.advice("r is read, w is write, m is mknod"));
    }
    for (name, number) in [("major", rule.major), ("minor", rule.minor)] {
        if let Some(number) = number
            && !(-1..=i64::from(u32::MAX)).contains(&number)
        {
            return Err(at.name(name).refuse(format!("{number} is not a device number; -1 is any")));
        }
    }
    Ok(())
}

/// Whether `text` is a decimal number and a unit: `^[1-9][0-9]*[KMG]B$`, as the specification's schema has it.
fn is_page_size(text: &str) -> bool {
    let digits = ["KB", "MB", "GB"].iter().find_map(|unit| text.strip_suffix(unit));
    digits.is_some_and(|digits| {
        !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Whether `text` is one word, so that it can start a line.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}
