// SPDX-License-Identifier: Apache-2.0
//! `insula inspect`

use crate::context::Context;
use crate::output;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cli::Parsed;
use insula_cli::table::{Layout, Table};
use insula_error::{Error, Result};
use insula_run::inspect::{Inspection, inspect};
use insula_run::running::{self, Running};
use insula_run::status;

pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let id = super::id(parsed)?;
    let root = context.root()?;
    let (home, record) = status::find(root.as_ref(), id)?;
    let running: Vec<Running> = root.as_ref().map(|root| running::all(root, context)).transpose()?.unwrap_or_default();
    let Some(this) = running.iter().find(|one| one.record.id == record.id) else {
        return Err(Error::state(format!("inspect container {id}"), "it has stopped"));
    };
    let survey = super::ns::survey(&running)?;
    let inspection = inspect(&record, &this.init, status::of(&home, &record).name(), &survey)?;
    if parsed.flag("format") == Some("json") {
        output::print(&format!("{}\n", super::state::pretty(&inspection)?))?;
    } else {
        output::print(&text(&inspection))?;
    }
    Ok(0)
}

/// How many containers are named before the others are counted.
const NAMED: usize = 5;

fn names(containers: &[String]) -> String {
    match containers.len() {
        0 => String::from("-"),
        count if count > NAMED => format!("{} and {} more", containers[..NAMED].join(","), count - NAMED),
        _ => containers.join(","),
    }
}

fn text(inspection: &Inspection) -> String {
    let bold = output::in_colour(1);
    let headings = ["TYPE", "HOW", "NAMESPACE", "OWNER", "PARENT", "PROCESSES", "SHARED WITH", "DETAIL"];
    let mut table = Table::new(&headings).right(5);
    for entry in &inspection.namespaces {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| String::from("-"));
        let shared = names(&entry.shared_with);
        let detail = if entry.host { format!("the host's: {}", entry.detail) } else { entry.detail.clone() };
        table.row(&[
            entry.kind,
            &entry.how,
            &entry.identity,
            &or_dash(&entry.owner),
            &or_dash(&entry.parent),
            &format!("{}", entry.processes),
            &shared,
            &detail,
        ]);
    }
    let Inspection { id, status, pid, .. } = inspection;
    let restored = if inspection.restored { ", restored from a checkpoint" } else { "" };
    format!("container {id}, {status}, process {pid}{restored}\n\n{}", table.render(Layout::Own { bold }))
}
