// SPDX-License-Identifier: Apache-2.0
//! `linux.resources.hugepageLimits`: pages in use, and (Linux 5.7) pages reserved.

use super::Write;
use crate::layout::{Controller, Version};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_spec::Resources;

pub(super) fn writes(resources: &Resources<'_>, version: Version, list: &mut Vec<Write>) -> Result<()> {
    let suffix = if version == Version::V1 { "limit_in_bytes" } else { "max" };
    for (index, limit) in resources.hugepage_limits.iter().enumerate() {
        let size = &*limit.page_size;
        if !is_page_size(size) {
            let reason = format!("{size:?} is not a page size such as 64KB, 2MB or 1GB");
            let pointer = format!("/linux/resources/hugepageLimits/{index}/pageSize");
            return Err(Error::invalid(pointer, "limit huge pages", reason));
        }
        for (file, optional) in
            [(format!("hugetlb.{size}.{suffix}"), false), (format!("hugetlb.{size}.rsvd.{suffix}"), true)]
        {
            let pointer = format!("/linux/resources/hugepageLimits/{index}/limit");
            let write = Write::new(Controller::Hugetlb, file, limit.limit.to_string(), pointer);
            list.push(Write { optional, ..write });
        }
    }
    Ok(())
}

/// The size becomes part of a file's name, so it is held to the specification's form `^[1-9][0-9]*[KMG]B$`.
fn is_page_size(text: &str) -> bool {
    let number = ["KB", "MB", "GB"].iter().find_map(|unit| text.strip_suffix(unit)).unwrap_or_default();
    !number.is_empty() && !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit())
}
