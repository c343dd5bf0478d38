// SPDX-License-Identifier: Apache-2.0
//! What resctrl tells of a container's class of service, in the shape of `runc events`. Who has a class fills it in:
//! resctrl is no control group.

use alloc::string::String;
use alloc::vec::Vec;
use serde::Serialize;

/// The class of service, its limits, and what was measured.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct IntelRdt {
    /// What the host's level 3 caches can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l3_cache_info: Option<L3CacheInfo>,
    /// The root class's line about level 3 caches.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub l3_cache_schema_root: String,
    /// The container's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub l3_cache_schema: String,
    /// What can be done about memory bandwidth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_bw_info: Option<MemBwInfo>,
    /// The root class's line about memory bandwidth.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mem_bw_schema_root: String,
    /// The container's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mem_bw_schema: String,
    /// All lines of the container's class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemata: Vec<String>,
    /// Memory bandwidth, one entry a cache; none where the host does not measure it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mbm_stats: Option<Vec<Bandwidth>>,
    /// Use of the caches, one entry each; none where the host does not measure it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmt_stats: Option<Vec<Occupancy>>,
}

/// `info/L3` of resctrl.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are those of the kernel's files")]
pub struct L3CacheInfo {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cbm_mask: String,
    #[serde(skip_serializing_if = "super::is_zero")]
    pub min_cbm_bits: u64,
    #[serde(skip_serializing_if = "super::is_zero")]
    pub num_closids: u64,
}

/// `info/MB` of resctrl.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are those of the kernel's files")]
pub struct MemBwInfo {
    #[serde(skip_serializing_if = "super::is_zero")]
    pub bandwidth_gran: u64,
    #[serde(skip_serializing_if = "super::is_zero")]
    pub delay_linear: u64,
    #[serde(skip_serializing_if = "super::is_zero")]
    pub min_bandwidth: u64,
    #[serde(skip_serializing_if = "super::is_zero")]
    pub num_closids: u64,
}

/// Bytes that went through one cache to and from memory.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are those of the kernel's files")]
pub struct Bandwidth {
    pub mbm_total_bytes: u64,
    pub mbm_local_bytes: u64,
}

/// Bytes held in one cache.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are those of the kernel's files")]
pub struct Occupancy {
    pub llc_occupancy: u64,
}
