// SPDX-License-Identifier: Apache-2.0
//! `linux.resources.blockIO`. Weights work with the BFQ scheduler; v2 has a second model for them (`io.weight`), v1 had
//! one (CFQ, `blkio.weight`) before Linux 5.0.

use super::Write;
use crate::layout::{Controller, Version};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use insula_spec::{BlockIo, Resources, ThrottleDevice, WeightDevice};

const POINTER: &str = "/linux/resources/blockIO";

type Throttles = (fn(&BlockIo) -> &[ThrottleDevice], &'static str, &'static str, &'static str);

/// Property, its name, v1's file, v2's key in `io.max`.
static THROTTLES: [Throttles; 4] = [
    (|io| &io.throttle_read_bps_device, "throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"),
    (|io| &io.throttle_write_bps_device, "throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"),
    (|io| &io.throttle_read_iops_device, "throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"),
    (|io| &io.throttle_write_iops_device, "throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"),
];

pub(super) fn writes(resources: &Resources<'_>, version: Version, list: &mut Vec<Write>) {
    let Some(io) = &resources.block_io else { return };
    weights(io, version, list);
    for (devices, property, file, key) in &THROTTLES {
        for (index, device) in devices(io).iter().enumerate() {
            let ThrottleDevice { major, minor, rate } = device;
            let (file, value) = match version {
                Version::V1 => (*file, format!("{major}:{minor} {rate}")),
                Version::V2 => ("io.max", format!("{major}:{minor} {key}={rate}")),
            };
            list.push(write(file, value, format!("{POINTER}/{property}/{index}")));
        }
    }
}

fn write(file: &'static str, value: String, pointer: String) -> Write {
    Write::new(Controller::Io, file, value, pointer)
}

fn weights(io: &BlockIo, version: Version, list: &mut Vec<Write>) {
    let set = |weight: Option<u16>| weight.filter(|weight| *weight != 0);
    if let Some(weight) = set(io.weight) {
        let pointer = format!("{POINTER}/weight");
        list.push(match version {
            Version::V1 => {
                write("blkio.weight", weight.to_string(), pointer).otherwise("blkio.bfq.weight", weight.to_string())
            }
            Version::V2 => {
                write("io.bfq.weight", weight.to_string(), pointer).otherwise("io.weight", weight_of_v2(weight))
            }
        });
    }
    if version == Version::V1 {
        let weight = set(io.leaf_weight);
        list.extend(
            weight.map(|weight| write("blkio.leaf_weight", weight.to_string(), format!("{POINTER}/leafWeight"))),
        );
    }
    for (index, device) in io.weight_device.iter().enumerate() {
        let WeightDevice { major, minor, weight, leaf_weight } = device;
        let line = |weight: u16| format!("{major}:{minor} {weight}");
        if let Some(weight) = set(*weight) {
            let pointer = format!("{POINTER}/weightDevice/{index}/weight");
            list.push(match version {
                Version::V1 => write("blkio.weight_device", line(weight), pointer)
                    .otherwise("blkio.bfq.weight_device", line(weight)),
                // COMPAT(runc): without BFQ there are no weights by device, and that is no error.
                Version::V2 => write("io.bfq.weight", line(weight), pointer).optional(),
            });
        }
        if let (Some(weight), Version::V1) = (set(*leaf_weight), version) {
            let pointer = format!("{POINTER}/weightDevice/{index}/leafWeight");
            list.push(write("blkio.leaf_weight_device", line(weight), pointer));
        }
    }
}

/// Weight 10 to 1000 as v2's 1 to 10000.
fn weight_of_v2(weight: u16) -> String {
    (1 + u64::from(weight.saturating_sub(10)) * 9999 / 990).to_string()
}
