// SPDX-License-Identifier: Apache-2.0
//! `linux.resources.cpu`: CPU time, and placement by cpuset.

use super::Write;
use crate::group::{Entry, read_value};
use crate::layout::{Controller, Version};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use insula_spec::{Cpu, Resources};

const QUOTA: &str = "/linux/resources/cpu/quota";
const PERIOD: &str = "/linux/resources/cpu/period";
const BURST: &str = "/linux/resources/cpu/burst";
const SHARES: &str = "/linux/resources/cpu/shares";
const IDLE: &str = "/linux/resources/cpu/idle";

/// Microseconds; the kernel's own period (cgroup-v2.rst, cpu.max).
const DEFAULT_PERIOD: u64 = 100_000;

pub(super) fn writes(resources: &Resources<'_>, version: Version, list: &mut Vec<Write>) {
    let Some(cpu) = &resources.cpu else { return };
    match version {
        Version::V1 => legacy(cpu, list),
        Version::V2 => unified(cpu, list),
    }
    let placement = [
        ("cpuset.cpus", &cpu.cpus, "/linux/resources/cpu/cpus"),
        ("cpuset.mems", &cpu.mems, "/linux/resources/cpu/mems"),
    ];
    for (file, value, pointer) in placement {
        let value = value.as_deref().filter(|value| !value.is_empty());
        list.extend(value.map(|value| Write::new(Controller::Cpuset, file, value.to_string(), pointer)));
    }
}

fn write(file: &'static str, value: String, pointer: &'static str) -> Write {
    Write::new(Controller::Cpu, file, value, pointer)
}

fn set<T: Default + PartialEq + ToString>(value: Option<T>) -> Option<String> {
    value.filter(|value| *value != T::default()).map(|value| value.to_string())
}

fn legacy(cpu: &Cpu<'_>, list: &mut Vec<Write>) {
    list.extend(set(cpu.shares).map(|value| write("cpu.shares", value, SHARES).read_back()));
    list.extend(set(cpu.period).map(|value| write("cpu.cfs_period_us", value, PERIOD)));
    let burst = cpu.burst.map(|value| value.to_string());
    list.extend(burst.map(|value| write("cpu.cfs_burst_us", value, BURST).optional()));
    list.extend(set(cpu.quota).map(|value| write("cpu.cfs_quota_us", value, QUOTA)));
    list.extend(cpu.idle.map(|value| write("cpu.idle", value.to_string(), IDLE)));
    let period = set(cpu.realtime_period);
    list.extend(period.map(|value| write("cpu.rt_period_us", value, "/linux/resources/cpu/realtimePeriod")));
    let runtime = set(cpu.realtime_runtime);
    list.extend(runtime.map(|value| write("cpu.rt_runtime_us", value, "/linux/resources/cpu/realtimeRuntime")));
}

/// v2 has no real-time groups; those limits are left out (COMPAT(runc)).
fn unified(cpu: &Cpu<'_>, list: &mut Vec<Write>) {
    list.extend(cpu.idle.map(|value| write("cpu.idle", value.to_string(), IDLE)));
    let weight = cpu.shares.filter(|shares| *shares != 0).map(weight_of_shares);
    list.extend(weight.map(|value| write("cpu.weight", value.to_string(), SHARES)));
    list.extend(cpu.burst.map(|value| write("cpu.max.burst", value.to_string(), BURST)));
    let (quota, period) = (cpu.quota.unwrap_or(0), cpu.period.unwrap_or(0));
    if quota != 0 || period != 0 {
        let quota = if quota > 0 { quota.to_string() } else { "max".to_string() };
        let period = if period == 0 { DEFAULT_PERIOD } else { period };
        let pointer = if cpu.quota.is_some() { QUOTA } else { PERIOD };
        list.push(write("cpu.max", format!("{quota} {period}"), pointer));
    }
}

/// What EINVAL for a file means: an idle group has no weight.
pub(crate) fn explain_invalid(entry: &Entry, file: &str) -> Option<String> {
    let idle = file == "cpu.weight" && read_value(entry, "cpu.idle").is_ok_and(|value| value == "1");
    idle.then(|| format!("unable to apply both {file} and cpu.idle: an idle cgroup has no weight"))
}

/// v1's shares (2 to 262144, 1024 by default) as v2's weight (1 to 10000, 100 by default): the curve through these three
/// points that runc, crun and systemd agreed on, 10 ^ ((l² + 125 l) / 612 - 7/34) rounded up, l the binary logarithm.
pub(crate) fn weight_of_shares(shares: u64) -> u64 {
    match shares {
        0 => 0,
        1..=2 => 1,
        262_144.. => 10_000,
        _ => {
            // The least weight whose logarithm reaches the exponent; both sides are multiplied by 612 log2(10).
            let l = u128::from(binary_logarithm(shares));
            let exponent = ((l * l) >> FRACTION) + 125 * l - (126 << FRACTION);
            let reached = (exponent * u128::from(LOG2_OF_10)) >> FRACTION;
            let (mut low, mut high) = (1_u64, 10_000);
            while low < high {
                let middle = u64::midpoint(low, high);
                if u128::from(binary_logarithm(middle) + ROUNDING) * 612 >= reached {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            low
        }
    }
}

/// Bits behind the point of the logarithms here, which are integers: the programs use no floating point.
const FRACTION: u32 = 40;
/// log2(10), with [`FRACTION`] bits behind the point.
const LOG2_OF_10: u64 = 3_652_498_566_964;
/// More than the logarithms' rounding errors, less than their distance from any other case (tested for all shares).
const ROUNDING: u64 = 1 << 8;

/// The binary logarithm of `number` (not 0), bit by bit: the square of a number has twice its logarithm.
fn binary_logarithm(number: u64) -> u64 {
    let whole = number.ilog2();
    let mut mantissa = u128::from(number) << (63 - whole);
    let mut result = u64::from(whole);
    for _ in 0..FRACTION {
        mantissa = (mantissa * mantissa) >> 63;
        let bit = (mantissa >> 64) as u64;
        mantissa >>= bit;
        result = result << 1 | bit;
    }
    result
}
