// SPDX-License-Identifier: Apache-2.0
//! Id mappings. Source: user_namespaces(7), "User and group ID mappings".

use super::Check;
use crate::IdMapping;
use crate::pointer::At;
use alloc::format;
use alloc::vec::Vec;

/// How many lines the kernel takes (`UID_GID_MAP_MAX_EXTENTS`).
pub(super) const MAX_LINES: usize = 340;

/// A side of a mapping: its property, and its first id in a line.
type Side = (&'static str, fn(&IdMapping) -> u32);

const SIDES: [Side; 2] = [("containerID", |line| line.container_id), ("hostID", |line| line.host_id)];

/// Checks the two mappings of a mount: none, or both.
pub(super) fn both(uids: &[IdMapping], gids: &[IdMapping], at: At<'_>) -> Check {
    for (given, missing, other) in [(uids, gids, "gidMappings"), (gids, uids, "uidMappings")] {
        if !given.is_empty() && missing.is_empty() {
            return Err(at
                .name(other)
                .refuse("the mapping is missing")
                .advice("uidMappings and gidMappings go together"));
        }
    }
    mapping(uids, at.name("uidMappings"))?;
    mapping(gids, at.name("gidMappings"))
}

/// Checks the lines of one mapping, by the kernel's rules: none empty, none past the last id, none overlapping.
pub(super) fn mapping(lines: &[IdMapping], at: At<'_>) -> Check {
    if lines.len() > MAX_LINES {
        return Err(at.refuse(format!("the mapping has {} lines; the kernel takes {MAX_LINES}", lines.len())));
    }
    for (index, line) in lines.iter().enumerate() {
        let at = at.index(index);
        if line.size == 0 {
            return Err(at.name("size").refuse("the line maps no ids"));
        }
        for (name, first) in SIDES {
            // 4294967295 is (uid_t) -1, "no id", and is never mapped.
            if first(line).checked_add(line.size).is_none() {
                let reason = format!("{} ids from {} on go past 4294967294, the last id", line.size, first(line));
                return Err(at.name(name).refuse(reason));
            }
        }
    }
    SIDES.iter().try_for_each(|side| apart(lines, *side, at))
}

/// Refuses lines that overlap on one side.
fn apart(lines: &[IdMapping], (name, first): Side, at: At<'_>) -> Check {
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_unstable_by_key(|&index| (first(&lines[index]), index));
    for pair in order.windows(2) {
        let (low, high) = (&lines[pair[0]], &lines[pair[1]]);
        if first(high) < first(low) + low.size {
            let (earlier, later) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
            let reason = format!("the line overlaps line {earlier} at id {}", first(high));
            return Err(at.index(later).name(name).refuse(reason));
        }
    }
    Ok(())
}
