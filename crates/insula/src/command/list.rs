// SPDX-License-Identifier: Apache-2.0
//! `insula list`

use super::state::{owner, shown};
use crate::context::Context;
use crate::output;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cli::Parsed;
use insula_cli::table::{Layout, Table};
use insula_error::Result;
use insula_run::Log;
use insula_run::record::{Record, Status};
use insula_run::status;

struct Row {
    record: Record,
    status: Status,
    owner: String,
}

pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let rows = rows(context)?;
    if parsed.is_set("quiet") {
        let ids: Vec<String> = rows.iter().map(|row| format!("{}\n", row.record.id)).collect();
        output::print(&ids.concat())?;
        return Ok(0);
    }
    if parsed.flag("format") == Some("json") {
        let states: Vec<_> = rows.iter().map(|row| shown(&row.record, row.status, &row.owner, true)).collect();
        let text = if states.is_empty() {
            // COMPAT(runc): Go's empty slice.
            String::from("null")
        } else {
            serde_json::to_string(&states).unwrap_or_default()
        };
        output::print(&text)?;
        return Ok(0);
    }
    let mut table = Table::new(&["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    for row in &rows {
        let pid = if row.status == Status::Stopped { 0 } else { row.record.init.pid };
        let pid = format!("{pid}");
        table.row(&[&row.record.id, &pid, row.status.name(), &row.record.bundle, &row.record.created, &row.owner]);
    }
    output::print(&table.render(Layout::Runc))?;
    Ok(0)
}

/// Every container that can be read; one that is being made or torn at this moment is passed over, with a word.
fn rows(context: &Context<'_>) -> Result<Vec<Row>> {
    let Some(root) = context.root()? else {
        // A root that was named and is not there is a mistake; the usual one is made with the first container.
        return if context.root_is_named() { Err(context.no_root()) } else { Ok(Vec::new()) };
    };
    let mut rows = Vec::new();
    let mut names: Vec<(u32, String)> = Vec::new();
    for id in root.ids()? {
        let read = root.home(&id).and_then(|home| match home {
            Some(home) => home.record().map(|record| record.map(|record| (home, record))),
            None => Ok(None),
        });
        match read {
            Ok(Some((home, record))) => {
                let uid = record.owner;
                if !names.iter().any(|(known, _)| *known == uid) {
                    names.push((uid, owner(uid)));
                }
                let owner =
                    names.iter().find(|(known, _)| *known == uid).map(|(_, name)| name.clone()).unwrap_or_default();
                rows.push(Row { status: status::of(&home, &record), record, owner });
            }
            Ok(None) => {}
            Err(e) => context.warn(&format!("{e}")),
        }
    }
    Ok(rows)
}
