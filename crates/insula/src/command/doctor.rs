// SPDX-License-Identifier: Apache-2.0
//! `insula doctor`

use crate::context::{Context, variable};
use crate::output;
use alloc::format;
use alloc::string::String;
use insula_cli::Parsed;
use insula_error::Result;
use insula_run::doctor::{Caller, Finding, State, examine};

/// No container can start here.
const UNFIT: i32 = 2;

pub(super) fn perform(parsed: &Parsed<'_>, _context: &Context<'_>) -> Result<i32> {
    let path = variable("PATH").unwrap_or_default();
    let findings = examine(&Caller { path, runtime_dir: variable("XDG_RUNTIME_DIR") });
    if parsed.flag("format") == Some("json") {
        output::print(&format!("{}\n", super::state::pretty(&findings)?))?;
    } else {
        let color = output::in_colour(1);
        output::print(&report(&findings, color))?;
    }
    Ok(if findings.iter().any(|finding| finding.state == State::Needed) { UNFIT } else { 0 })
}

/// A line for each finding below its group; what is missing has two more, on what stops and how to get it.
fn report(findings: &[Finding], color: bool) -> String {
    let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    let mut group = "";
    for finding in findings {
        if finding.group != group {
            group = finding.group;
            let heading = group.to_uppercase();
            let gap = if text.is_empty() { "" } else { "\n" };
            text.push_str(&if color { format!("{gap}\x1b[1m{heading}\x1b[0m\n") } else { format!("{gap}{heading}\n") });
        }
        let (word, paint) = match finding.state {
            State::Works => ("works  ", "\x1b[32m"),
            State::Missing => ("missing", "\x1b[33m"),
            State::Needed => ("needed ", "\x1b[31m"),
        };
        let (paint, plain) = if color { (paint, "\x1b[0m") } else { ("", "") };
        let found = insula_cli::log::printable(&finding.found);
        let name = finding.name;
        text.push_str(format!("  {paint}{word}{plain}  {name:width$}  {found}").trim_end());
        text.push('\n');
        if finding.state != State::Works {
            text.push_str(&format!("           stops: {}\n           to get it: {}\n", finding.stops, finding.remedy));
        }
    }
    text
}
