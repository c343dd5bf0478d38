// SPDX-License-Identifier: Apache-2.0
//! `linux.resources.network`: marks of packets, v1 only. v2 leaves them to BPF, and they are left out (COMPAT(runc)).

use super::Write;
use crate::layout::{Controller, Version};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_spec::Resources;

pub(super) fn writes(resources: &Resources<'_>, version: Version, list: &mut Vec<Write>) -> Result<()> {
    let Some(network) = resources.network.as_ref().filter(|_| version == Version::V1) else { return Ok(()) };
    if let Some(class) = network.class_id.filter(|class| *class != 0) {
        let pointer = "/linux/resources/network/classID";
        list.push(Write::new(Controller::NetCls, "net_cls.classid", class.to_string(), pointer));
    }
    for (index, priority) in network.priorities.iter().enumerate() {
        let (name, value) = (&*priority.name, priority.priority);
        let pointer = format!("/linux/resources/network/priorities/{index}");
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '/') {
            let reason = format!("{name:?} cannot be the name of a network interface");
            return Err(Error::invalid(pointer + "/name", "set network priorities", reason));
        }
        list.push(Write::new(Controller::NetPrio, "net_prio.ifpriomap", format!("{name} {value}"), pointer));
    }
    Ok(())
}
