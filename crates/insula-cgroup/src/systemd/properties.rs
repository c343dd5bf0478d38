// SPDX-License-Identifier: Apache-2.0
//! `linux.resources` as properties of a unit, as far as systemd has them (the same ones as runc's, its docs/systemd.md).
//! The files of the cgroup are written besides; a value that cannot be read here is left to the kernel's judgement.
//! Source: systemd.resource-control(5).

use super::Properties;
use crate::devices::DeviceRules;
use crate::layout::Version;
use crate::limits::{swap_limit, weight_of_shares};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use insula_dbus::Value;
use insula_spec::{BlockIo, Resources, WeightDevice};

/// Releases from which on a property is known.
const SINCE_QUOTA_PERIOD: u32 = 242;
const SINCE_CPUSET: u32 = 244;
const SINCE_IDLE: u32 = 252;
const SINCE_OOM_POLICY: u32 = 253;

/// Microseconds; the kernel's own period.
const DEFAULT_PERIOD: u64 = 100_000;
/// systemd keeps a quota as whole percents of a CPU: microseconds a second, in steps of this.
const PERCENT: u64 = 10_000;
/// No limit.
const INFINITY: u64 = u64::MAX;
/// Highest weight of the BFQ scheduler.
const HIGHEST_WEIGHT: u16 = 1000;
/// Highest CPU or node that a set may have.
const HIGHEST: u64 = 8191;

/// The properties for `resources`, and for device rules if any are given.
pub(super) fn of(
    resources: &Resources<'_>,
    devices: Option<&DeviceRules>,
    version: Version,
    systemd: u32,
) -> Properties {
    let mut list = List { properties: Properties::new(), systemd };
    if let Some(rules) = devices {
        list.devices(rules);
    }
    match version {
        Version::V1 => list.legacy(resources),
        Version::V2 => list.unified(resources),
    }
    list.properties
}

/// `memory.oom.group` at a unit's start; later it cannot be set.
pub(super) fn oom_policy(value: &str, systemd: u32) -> Option<(String, Value)> {
    let policy = match value {
        "0" => "continue",
        "1" => "kill",
        _ => return None,
    };
    (systemd >= SINCE_OOM_POLICY).then(|| ("OOMPolicy".to_string(), Value::text(policy)))
}

/// The resources with the quota that systemd can express, for the cgroup's files to say the same.
pub(crate) fn rounded<'r, 'a>(resources: &'r Resources<'a>) -> Cow<'r, Resources<'a>> {
    let Some(cpu) = &resources.cpu else { return Cow::Borrowed(resources) };
    let period = cpu.period.filter(|period| *period != 0).unwrap_or(DEFAULT_PERIOD);
    let Some(quota) = cpu.quota.and_then(|quota| u64::try_from(quota).ok()).filter(|quota| *quota != 0) else {
        return Cow::Borrowed(resources);
    };
    let per_second = per_second(quota, period);
    let same = u128::from(quota) * 1_000_000 / u128::from(period) == u128::from(per_second);
    if same || per_second == INFINITY {
        return Cow::Borrowed(resources);
    }
    let mut changed = resources.clone();
    if let Some(cpu) = &mut changed.cpu {
        cpu.quota = i64::try_from(u128::from(per_second) * u128::from(period) / 1_000_000).ok();
    }
    Cow::Owned(changed)
}

/// Microseconds of CPU time a second, rounded up to percents.
fn per_second(quota: u64, period: u64) -> u64 {
    let exact = u128::from(quota) * 1_000_000 / u128::from(period);
    u64::try_from(exact.next_multiple_of(u128::from(PERCENT))).unwrap_or(INFINITY)
}

/// -1 is no limit.
fn or_infinity(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(INFINITY)
}

/// The weight of 1 to 10000 that systemd turns into this one of the BFQ scheduler's: its scale is straight below the
/// common default, and straight above it.
fn io_weight(weight: u16) -> u64 {
    const DEFAULT: u64 = 100;
    let weight = u64::from(weight);
    if weight <= DEFAULT { weight } else { DEFAULT + (weight - DEFAULT) * 11 }
}

fn set<T: Default + PartialEq>(value: Option<T>) -> Option<T> {
    value.filter(|value| *value != T::default())
}

struct List {
    properties: Properties,
    systemd: u32,
}

impl List {
    fn add(&mut self, name: &str, value: Value) {
        self.properties.push((name.to_string(), value));
    }

    fn number(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.add(name, Value::U64(value));
        }
    }

    /// An empty list first: what is set is added to what is there.
    fn devices(&mut self, rules: &DeviceRules) {
        let entries = |list: &[(String, String)]| {
            let entry =
                |(path, access): &(String, String)| Value::Struct(Vec::from([Value::text(path), Value::text(access)]));
            Value::Array("(ss)".to_string(), list.iter().map(entry).collect())
        };
        self.add("DeviceAllow", entries(&[]));
        if rules.allow_all() {
            return self.add("DevicePolicy", Value::text("auto"));
        }
        self.add("DevicePolicy", Value::text("strict"));
        // Where all but some is allowed systemd has no words: it allows nothing until the rules are set besides.
        let list = rules.allow_list();
        if !list.is_empty() {
            self.add("DeviceAllow", entries(&list));
        }
    }

    fn legacy(&mut self, resources: &Resources<'_>) {
        let memory = resources.memory.clone().unwrap_or_default();
        self.number("MemoryLimit", set(memory.limit).map(or_infinity));
        let cpu = resources.cpu.clone().unwrap_or_default();
        self.number("CPUShares", set(cpu.shares));
        self.quota(cpu.quota.unwrap_or(0), cpu.period.unwrap_or(0));
        let weight = resources.block_io.as_ref().and_then(|io| set(io.weight));
        self.number("BlockIOWeight", weight.map(u64::from));
        self.tasks(resources.pids.as_ref().and_then(|pids| pids.limit).map(or_infinity));
        self.cpuset("AllowedCPUs", cpu.cpus.as_deref());
        self.cpuset("AllowedMemoryNodes", cpu.mems.as_deref());
    }

    fn unified(&mut self, resources: &Resources<'_>) {
        let memory = resources.memory.clone().unwrap_or_default();
        self.number("MemoryMax", set(memory.limit).map(or_infinity));
        self.number("MemoryLow", set(memory.reservation).map(or_infinity));
        self.number("MemorySwapMax", swap_limit(&memory).map(or_infinity));
        let cpu = resources.cpu.clone().unwrap_or_default();
        self.weight(cpu.idle == Some(1), set(cpu.shares).map(weight_of_shares));
        self.quota(cpu.quota.unwrap_or(0), cpu.period.unwrap_or(0));
        self.tasks(resources.pids.as_ref().and_then(|pids| pids.limit).map(or_infinity));
        self.cpuset("AllowedCPUs", cpu.cpus.as_deref());
        self.cpuset("AllowedMemoryNodes", cpu.mems.as_deref());
        if let Some(io) = &resources.block_io {
            self.weights(io);
        }
        let file = |name: &str| resources.unified.get(name).map(|value| value.trim());
        self.files(&file);
    }

    /// systemd writes the weight, its own default if it knows of none, whenever it writes at all, and the kernel then
    /// forgets those of devices. Throttles it leaves alone.
    fn weights(&mut self, io: &BlockIo) {
        let known = |weight: Option<u16>| set(weight).filter(|weight| *weight <= HIGHEST_WEIGHT).map(io_weight);
        self.number("IOWeight", known(io.weight));
        let entry = |device: &WeightDevice| {
            let path = format!("/dev/block/{}:{}", device.major, device.minor);
            Some(Value::Struct(Vec::from([Value::Text(path), Value::U64(known(device.weight)?)])))
        };
        let devices: Vec<_> = io.weight_device.iter().filter_map(entry).collect();
        if !devices.is_empty() {
            self.add("IODeviceWeight", Value::Array("(st)".to_string(), devices));
        }
    }

    /// Weight 0 means idle.
    fn weight(&mut self, idle: bool, weight: Option<u64>) {
        let idle = (idle && self.systemd >= SINCE_IDLE).then_some(0);
        self.number("CPUWeight", idle.or(weight));
    }

    fn quota(&mut self, quota: i64, period: u64) {
        if period != 0 && self.systemd >= SINCE_QUOTA_PERIOD {
            self.add("CPUQuotaPeriodUSec", Value::U64(period));
        }
        if quota != 0 || period != 0 {
            let period = if period == 0 { DEFAULT_PERIOD } else { period };
            let quota = u64::try_from(quota).ok().filter(|quota| *quota != 0);
            self.add("CPUQuotaPerSecUSec", Value::U64(quota.map_or(INFINITY, |quota| per_second(quota, period))));
        }
    }

    /// COMPAT(runc): systemd knows no 0.
    fn tasks(&mut self, limit: Option<u64>) {
        self.number("TasksMax", limit.map(|limit| limit.max(1)));
    }

    fn cpuset(&mut self, name: &str, list: Option<&str>) {
        let bits = list.filter(|_| self.systemd >= SINCE_CPUSET).and_then(bits);
        if let Some(bits) = bits {
            self.add(name, Value::bytes(&bits));
        }
    }

    /// `linux.resources.unified`, where systemd has a property for the file.
    fn files<'v>(&mut self, file: &dyn Fn(&str) -> Option<&'v str>) {
        let amount =
            |name: &str| file(name).and_then(|value| if value == "max" { Some(INFINITY) } else { value.parse().ok() });
        let weight = file("cpu.weight").and_then(|value| value.parse().ok());
        self.weight(file("cpu.idle") == Some("1"), weight);
        if let Some(value) = file("cpu.max") {
            let mut words = value.split_ascii_whitespace();
            let quota = words.next().and_then(|quota| if quota == "max" { Some(0) } else { quota.parse().ok() });
            let period = words.next().map_or(Some(DEFAULT_PERIOD), |period| period.parse().ok());
            if let (Some(quota), Some(period)) = (quota, period.filter(|period| *period != 0)) {
                self.quota(quota, period);
            }
        }
        self.cpuset("AllowedCPUs", file("cpuset.cpus"));
        self.cpuset("AllowedMemoryNodes", file("cpuset.mems"));
        for (name, property) in [
            ("memory.high", "MemoryHigh"),
            ("memory.low", "MemoryLow"),
            ("memory.min", "MemoryMin"),
            ("memory.max", "MemoryMax"),
            ("memory.swap.max", "MemorySwapMax"),
        ] {
            self.number(property, amount(name));
        }
        self.tasks(amount("pids.max"));
    }
}

/// `0-2,5` as a bit mask, the lowest first; none for what is no such list.
fn bits(list: &str) -> Option<Vec<u8>> {
    let mut mask: Vec<u8> = Vec::new();
    for range in list.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
        if first > last || last > HIGHEST {
            return None;
        }
        for number in first..=last {
            let at = (number / 8) as usize;
            mask.resize(mask.len().max(at + 1), 0);
            mask[at] |= 1 << (number % 8);
        }
    }
    (!mask.is_empty()).then_some(mask)
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod tests;
