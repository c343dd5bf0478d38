// SPDX-License-Identifier: Apache-2.0
//! `linux.resources.rdma`.

use super::Write;
use crate::layout::Controller;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt::Write as _;
use insula_error::{Error, Result};
use insula_spec::Resources;

pub(super) fn writes(resources: &Resources<'_>, list: &mut Vec<Write>) -> Result<()> {
    for (device, limits) in &resources.rdma {
        // JSON pointers escape these two (RFC 6901).
        let pointer = format!("/linux/resources/rdma/{}", device.replace('~', "~0").replace('/', "~1"));
        if device.is_empty() || device.contains(char::is_whitespace) {
            let reason = format!("{:?} cannot be the name of an RDMA device", &**device);
            return Err(Error::invalid(pointer, "limit RDMA", reason));
        }
        let mut line = device.to_string();
        for (name, value) in [("hca_handle", limits.hca_handles), ("hca_object", limits.hca_objects)] {
            if let Some(value) = value {
                let _ = write!(line, " {name}={value}");
            }
        }
        list.push(Write::new(Controller::Rdma, "rdma.max", line, pointer));
    }
    Ok(())
}
