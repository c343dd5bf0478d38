// SPDX-License-Identifier: Apache-2.0
//! `insula spec`: a document to start from.

use crate::context::{Context, absolute};
use alloc::format;
use insula_cli::Parsed;
use insula_error::{Error, Result};
use rustix::fd::AsFd;
use rustix::fs::CWD;
use rustix::io::Errno;

pub(super) fn perform(parsed: &Parsed<'_>, _context: &Context<'_>) -> Result<i32> {
    let unified = insula_cgroup::Layout::probe()?.mode() == insula_cgroup::Mode::Unified;
    let mut spec = insula_spec::default_spec(unified);
    if parsed.is_set("rootless") {
        insula_spec::rootless(&mut spec, rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    }
    let bundle = absolute(parsed.flag("bundle").unwrap_or("."));
    let failed = |e: Errno| {
        let error = Error::kernel(e.raw_os_error(), "write a document").object(format!("{bundle}/config.json"));
        if e == Errno::EXIST { error.advice("remove the existing one first") } else { error }
    };
    let dir = insula_run::file::open_dir(CWD, &bundle).map_err(failed)?;
    let text = insula_spec::to_json(&spec);
    insula_run::file::write_new(dir.as_fd(), "config.json", text.as_bytes(), 0o666).map_err(failed)?;
    Ok(0)
}
