// SPDX-License-Identifier: Apache-2.0
//! `insula state`, and what `list` shows of the same.

use crate::context::Context;
use crate::output;
use alloc::format;
use alloc::string::String;
use insula_cli::Parsed;
use insula_error::{Error, Result};
use insula_run::record::{Record, State, Status};
use insula_run::status;
use serde::Serialize;

pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let id = super::id(parsed)?;
    let (home, record) = status::find(context.root()?.as_ref(), id)?;
    let owner = owner(record.owner);
    let state = shown(&record, status::of(&home, &record), &owner, true);
    output::print(&format!("{}\n", pretty(&state)?))?;
    Ok(0)
}

/// A record as runc shows it.
pub(super) fn shown<'r>(record: &'r Record, status: Status, owner: &'r str, annotations: bool) -> State<'r> {
    State {
        oci_version: &record.oci_version,
        id: &record.id,
        pid: if status == Status::Stopped { 0 } else { record.init.pid },
        status: status.name(),
        bundle: &record.bundle,
        rootfs: Some(&record.rootfs),
        created: Some(&record.created),
        annotations: (annotations && !record.annotations.is_empty()).then_some(&record.annotations),
        owner: Some(owner),
    }
}

/// JSON with an indent of two, as runc prints it.
pub(super) fn pretty(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| Error::state("write JSON", format!("{e}")))
}

/// The name of a user, its number where it has none. runc leaves it empty in `state`'s JSON for root's own containers.
pub(super) fn owner(uid: u32) -> String {
    let passwd =
        insula_run::file::read_text(rustix::fs::CWD, "/etc/passwd", 1 << 20, "look a user up").unwrap_or_default();
    passwd
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse::<u32>().ok()? == uid).then(|| String::from(name))
        })
        .unwrap_or_else(|| format!("#{uid}"))
}
