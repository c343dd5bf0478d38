// SPDX-License-Identifier: Apache-2.0
//! What resctrl tells of a class of service: its limits, and what was measured of it.

use super::{Held, held, mounted};
use crate::file;
use crate::store::Home;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cgroup::stats::{Bandwidth, IntelRdt, L3CacheInfo, MemBwInfo, Occupancy};
use insula_error::{Error, Result};
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags};

const ATTEMPTED: &str = "read the class of service";

/// What there is of the container's class; nothing for a container without one.
pub(crate) fn stats(home: &Home) -> Result<IntelRdt> {
    match (held(home)?, mounted()) {
        (Some(held), Some(root)) => of(&held, &root),
        _ => Ok(IntelRdt::default()),
    }
}

fn text(dir: &str, name: &str) -> Result<String> {
    let text = file::read_text(CWD, &format!("{dir}/{name}"), 64 << 10, ATTEMPTED)?;
    Ok(String::from(text.trim()))
}

fn number(dir: &str, name: &str) -> Result<u64> {
    let text = text(dir, name)?;
    text.parse().map_err(|_| Error::state(ATTEMPTED, format!("{text:?} is no number")).object(format!("{dir}/{name}")))
}

/// The last line about `resource`, as it is but for the blanks before it.
fn line(schemata: &str, resource: &str) -> String {
    schemata.lines().rfind(|line| line.contains(resource)).map_or_else(String::new, |line| String::from(line.trim()))
}

pub(super) fn of(held: &Held, root: &str) -> Result<IntelRdt> {
    let info = |part: &str| {
        let path = format!("{root}/info/{part}");
        rustix::fs::stat(path.as_str()).is_ok().then_some(path)
    };
    let (at_root, own) = (text(root, "schemata")?, text(&held.path, "schemata")?);
    let mut stats = IntelRdt { schemata: own.lines().map(String::from).collect(), ..IntelRdt::default() };
    if let Some(dir) = info("L3") {
        stats.l3_cache_info = Some(L3CacheInfo {
            cbm_mask: text(&dir, "cbm_mask")?,
            min_cbm_bits: number(&dir, "min_cbm_bits")?,
            num_closids: number(&dir, "num_closids")?,
        });
        (stats.l3_cache_schema_root, stats.l3_cache_schema) = (line(&at_root, "L3"), line(&own, "L3"));
    }
    if let Some(dir) = info("MB") {
        stats.mem_bw_info = Some(MemBwInfo {
            bandwidth_gran: number(&dir, "bandwidth_gran")?,
            delay_linear: number(&dir, "delay_linear")?,
            min_bandwidth: number(&dir, "min_bandwidth")?,
            num_closids: number(&dir, "num_closids")?,
        });
        (stats.mem_bw_schema_root, stats.mem_bw_schema) = (line(&at_root, "MB"), line(&own, "MB"));
    }
    if let Some(dir) = info("L3_MON") {
        // A class without a monitoring group is measured as a whole (COMPAT(runc)).
        measured(held.monitor.as_ref().unwrap_or(&held.path), &text(&dir, "mon_features")?, &mut stats)?;
    }
    Ok(stats)
}

/// Reads the counters of each cache, in the order of their names.
fn measured(group: &str, features: &str, stats: &mut IntelRdt) -> Result<()> {
    let has = |feature: &str| features.lines().any(|line| line == feature);
    let counter = |dir: &str, feature: &str| if has(feature) { number(dir, feature) } else { Ok(0) };
    let (mut bandwidth, mut occupancy) = (Vec::new(), Vec::new());
    for dir in caches(&format!("{group}/mon_data"))? {
        bandwidth.push(Bandwidth {
            mbm_total_bytes: counter(&dir, "mbm_total_bytes")?,
            mbm_local_bytes: counter(&dir, "mbm_local_bytes")?,
        });
        occupancy.push(Occupancy { llc_occupancy: counter(&dir, "llc_occupancy")? });
    }
    stats.mbm_stats = (has("mbm_total_bytes") || has("mbm_local_bytes")).then_some(bandwidth);
    stats.cmt_stats = has("llc_occupancy").then_some(occupancy);
    Ok(())
}

fn caches(path: &str) -> Result<Vec<String>> {
    let failed = |e: rustix::io::Errno| Error::kernel(e.raw_os_error(), ATTEMPTED).object(path);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    let mut caches = Vec::new();
    for entry in Dir::read_from(&dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy();
        if entry.file_type() == FileType::Directory && !name.starts_with('.') {
            caches.push(format!("{path}/{name}"));
        }
    }
    caches.sort();
    Ok(caches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A tree of files as resctrl has them.
    fn made_up(name: &str, files: &[(&str, &str)]) -> String {
        let root = std::env::temp_dir().join(format!("insula-resctrl-stats-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for (path, content) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root.to_str().unwrap().into()
    }

    const LIMITS: [(&str, &str); 9] = [
        ("schemata", "    MB:0=100;1=100\n    L3:0=fffff;1=fffff\n"),
        ("web/schemata", "    MB:0=20;1=70\n    L3:0=f0;1=f\n"),
        ("info/L3/cbm_mask", "fffff\n"),
        ("info/L3/min_cbm_bits", "1\n"),
        ("info/L3/num_closids", "16\n"),
        ("info/MB/bandwidth_gran", "10\n"),
        ("info/MB/delay_linear", "1\n"),
        ("info/MB/min_bandwidth", "10\n"),
        ("info/MB/num_closids", "8\n"),
    ];

    #[test]
    fn limits_and_what_was_measured() {
        let mut files = LIMITS.to_vec();
        files.extend([
            ("info/L3_MON/mon_features", "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes\n"),
            ("web/mon_groups/one/mon_data/mon_L3_00/llc_occupancy", "1024\n"),
            ("web/mon_groups/one/mon_data/mon_L3_00/mbm_total_bytes", "4096\n"),
            ("web/mon_groups/one/mon_data/mon_L3_00/mbm_local_bytes", "2048\n"),
            ("web/mon_groups/one/mon_data/mon_L3_01/llc_occupancy", "7\n"),
            ("web/mon_groups/one/mon_data/mon_L3_01/mbm_total_bytes", "8\n"),
            ("web/mon_groups/one/mon_data/mon_L3_01/mbm_local_bytes", "9\n"),
        ]);
        let root = made_up("all", &files);
        let held =
            Held { path: format!("{root}/web"), monitor: Some(format!("{root}/web/mon_groups/one")), own: false };
        let json = serde_json::to_value(of(&held, &root).unwrap()).unwrap();
        let expected = serde_json::json!({
            "l3_cache_info": {"cbm_mask": "fffff", "min_cbm_bits": 1, "num_closids": 16},
            "l3_cache_schema_root": "L3:0=fffff;1=fffff",
            "l3_cache_schema": "L3:0=f0;1=f",
            "mem_bw_info": {"bandwidth_gran": 10, "delay_linear": 1, "min_bandwidth": 10, "num_closids": 8},
            "mem_bw_schema_root": "MB:0=100;1=100",
            "mem_bw_schema": "MB:0=20;1=70",
            "schemata": ["MB:0=20;1=70", "    L3:0=f0;1=f"],
            "mbm_stats": [
                {"mbm_total_bytes": 4096, "mbm_local_bytes": 2048}, {"mbm_total_bytes": 8, "mbm_local_bytes": 9},
            ],
            "cmt_stats": [{"llc_occupancy": 1024}, {"llc_occupancy": 7}],
        });
        assert_eq!(json, expected);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_class_without_a_monitoring_group_on_a_host_that_measures_half() {
        let mut files = LIMITS.to_vec();
        files
            .extend([("info/L3_MON/mon_features", "llc_occupancy\n"), ("web/mon_data/mon_L3_00/llc_occupancy", "5\n")]);
        let root = made_up("half", &files);
        let held = Held { path: format!("{root}/web"), monitor: None, own: true };
        let stats = of(&held, &root).unwrap();
        assert_eq!((stats.mbm_stats, stats.cmt_stats), (None, Some(vec![Occupancy { llc_occupancy: 5 }])));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_counter_that_is_none_is_named() {
        let mut files = LIMITS.to_vec();
        files.extend([
            ("info/L3_MON/mon_features", "llc_occupancy\n"),
            ("web/mon_data/mon_L3_00/llc_occupancy", "Unavailable\n"),
        ]);
        let root = made_up("none", &files);
        let held = Held { path: format!("{root}/web"), monitor: None, own: true };
        let error = of(&held, &root).unwrap_err().to_string();
        assert!(error.contains("Unavailable") && error.contains("mon_L3_00/llc_occupancy"), "{error}");
        fs::remove_dir_all(root).unwrap();
    }
}
