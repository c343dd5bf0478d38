// SPDX-License-Identifier: Apache-2.0
//! `insula verify`

use crate::context::Context;
use crate::output;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cli::Parsed;
use insula_cli::table::{Layout, Table};
use insula_error::{Error, Result};
use insula_run::Log;
use insula_run::audit::{Audit, Verdict};
use insula_run::status;

/// Something is not as planned.
const DIFFERS: i32 = 2;

pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let verdicts = match (parsed.positional(0), parsed.is_set("all")) {
        (Some(_), true) => return Err(Error::usage("verify takes a container or --all, not both")),
        (None, false) => return Err(Error::usage("verify needs a container, or --all")),
        (Some(_), false) => one(super::id(parsed)?, context)?,
        (None, true) => all(context)?,
    };
    if parsed.flag("format") == Some("json") {
        output::print(&format!("{}\n", super::state::pretty(&verdicts)?))?;
    } else {
        output::print(&table(&verdicts))?;
    }
    Ok(if verdicts.iter().all(|verdict| verdict.holds) { 0 } else { DIFFERS })
}

fn one(id: &str, context: &Context<'_>) -> Result<Vec<Verdict>> {
    let root = context.root()?;
    let (home, record) = status::find(root.as_ref(), id)?;
    let Some(root) = root.as_ref() else { return Err(status::missing(id)) };
    Ok(Vec::from([Audit::new(root).check(&home, &record)?]))
}

fn all(context: &Context<'_>) -> Result<Vec<Verdict>> {
    let Some(root) = context.root()? else { return Ok(Vec::new()) };
    let mut audit = Audit::new(&root);
    let mut verdicts = Vec::new();
    for id in root.ids()? {
        let Some(home) = root.home(&id)? else { continue };
        match home.record() {
            Ok(Some(record)) => verdicts.push(audit.check(&home, &record)?),
            // Being made at this moment, or a leftover for `delete`.
            Ok(None) => {}
            Err(e) => context.warn(&format!("{e}")),
        }
    }
    Ok(verdicts)
}

fn table(verdicts: &[Verdict]) -> String {
    let bold = output::in_colour(1);
    let mut table = Table::new(&["ID", "STATUS", "RESULT", "PROPERTY", "EXPECTED", "FOUND"]);
    for verdict in verdicts {
        if verdict.holds {
            let result = match (verdict.pid, verdict.not_compared.is_empty()) {
                (0, _) => "-",
                (_, true) => "as planned",
                (_, false) => "as planned; members not compared, for want of a cgroup",
            };
            table.row(&[verdict.id.as_str(), verdict.status, result]);
        }
        for finding in &verdict.findings {
            table.row(&[
                verdict.id.as_str(),
                verdict.status,
                "differs",
                finding.property,
                &finding.expected,
                &finding.found,
            ]);
        }
    }
    table.render(Layout::Own { bold })
}
