// SPDX-License-Identifier: Apache-2.0
//! `linux.resources.pids`.

use super::Write;
use crate::layout::Controller;
use alloc::string::ToString;
use alloc::vec::Vec;
use insula_spec::Resources;

pub(super) fn writes(resources: &Resources<'_>, list: &mut Vec<Write>) {
    let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) else { return };
    let value = match limit {
        ..0 => "max".to_string(),
        // COMPAT(runc): systemd knows no 0, and a container with one task cannot fork either.
        0 => "1".to_string(),
        limit => limit.to_string(),
    };
    list.push(Write::new(Controller::Pids, "pids.max", value, "/linux/resources/pids/limit"));
}
