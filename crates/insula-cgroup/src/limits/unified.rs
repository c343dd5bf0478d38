// SPDX-License-Identifier: Apache-2.0
//! `linux.resources.unified`: files of cgroup v2 by their names, written last.

use super::Write;
use crate::layout::{Controller, Version};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_spec::Resources;

const ATTEMPTED: &str = "set unified resources";

pub(super) fn writes(resources: &Resources<'_>, version: Version, list: &mut Vec<Write>) -> Result<()> {
    for (key, value) in &resources.unified {
        let pointer = format!("/linux/resources/unified/{}", key.replace('~', "~0").replace('/', "~1"));
        if version == Version::V1 {
            let reason = "invalid configuration: cannot use unified on cgroup v1";
            return Err(Error::invalid("/linux/resources/unified", ATTEMPTED, reason));
        }
        if key.contains('/') {
            let reason = format!("unified resource {:?} must be a file name (no slashes)", &**key);
            return Err(Error::invalid(pointer, ATTEMPTED, reason));
        }
        if !is_file_name(key) {
            let reason = format!("unified resource {:?} must be in the form CONTROLLER.PARAMETER", &**key);
            return Err(Error::invalid(pointer, ATTEMPTED, reason));
        }
        // The controller decides nothing here: the file is looked for in the one v2 directory.
        list.push(Write::new(Controller::Misc, key.to_string(), value.to_string(), pointer));
    }
    Ok(())
}

/// A controller (or `cgroup`), then parts that the kernel's files have: `memory.swap.max`, `hugetlb.2MB.max`.
fn is_file_name(key: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    key.contains('.') && key.split('.').all(part)
}
