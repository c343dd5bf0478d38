// SPDX-License-Identifier: Apache-2.0
//! `linux.resources` as a list of writes into the files of a cgroup. Pure: nothing is opened here.
//!
//! One file per object of the document. Each knows the names of its files on both versions of cgroups; the list can be
//! printed, compared, and performed by `apply`. Source: runtime-spec, config-linux.md, "Control groups"; the kernel's
//! Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst. What a zero means is not in the specification: COMPAT(runc), it is "unset"
//! except where said.

mod block_io;
mod cpu;
mod hugetlb;
mod memory;
mod network;
mod pids;
mod rdma;
mod unified;

use crate::layout::{Controller, Version};
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::Result;
use insula_spec::Resources;

pub(crate) use cpu::{explain_invalid, weight_of_shares};
pub(crate) use memory::{check_usage, explain_busy, swap_limit};

/// One value for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) controller: Controller,
    pub(crate) file: Cow<'static, str>,
    pub(crate) value: String,
    /// JSON pointer of the property.
    pub(crate) pointer: Cow<'static, str>,
    /// File and value where the kernel does not have `file`.
    pub(crate) otherwise: Option<(&'static str, String)>,
    /// Whether a kernel that has not this file does no harm.
    pub(crate) optional: bool,
    /// Whether to read the value back: the kernel cuts it to its range without a word.
    pub(crate) read_back: bool,
}

impl Write {
    fn new(
        controller: Controller,
        file: impl Into<Cow<'static, str>>,
        value: String,
        pointer: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (file, pointer) = (file.into(), pointer.into());
        Self { controller, file, value, pointer, otherwise: None, optional: false, read_back: false }
    }

    fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    fn otherwise(mut self, file: &'static str, value: String) -> Self {
        self.otherwise = Some((file, value));
        self
    }

    fn read_back(mut self) -> Self {
        self.read_back = true;
        self
    }
}

/// All writes that `resources` asks for, in the order to perform them. Those that depend on each other (a limit and the
/// sum it is part of) may be refused with EINVAL at first; the kernel takes them once the others are written.
pub(crate) fn writes(resources: &Resources<'_>, version: Version) -> Result<Vec<Write>> {
    let mut list = Vec::new();
    pids::writes(resources, &mut list);
    memory::writes(resources, version, &mut list)?;
    block_io::writes(resources, version, &mut list);
    cpu::writes(resources, version, &mut list);
    hugetlb::writes(resources, version, &mut list)?;
    network::writes(resources, version, &mut list)?;
    rdma::writes(resources, &mut list)?;
    unified::writes(resources, version, &mut list)?;
    Ok(list)
}

#[cfg(test)]
mod tests;
