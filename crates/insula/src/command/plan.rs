// SPDX-License-Identifier: Apache-2.0
//! `insula plan`

use super::create::{document, read};
use crate::context::Context;
use crate::output;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cli::Parsed;
use insula_cli::log::printable;
use insula_cli::table::{Layout, Table};
use insula_error::Result;
use insula_plan::Options;
use insula_run::create::Request;
use insula_run::outline::{Action, Outline, Summary, outline};

/// Stands for the id that create will be given, in the names of cgroups.
const ID: &str = "CONTAINER";

pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let (bundle, config) = read(parsed)?;
    let (spec, pinned) = document(parsed, &config, context)?;
    let options = Options { id: String::from(ID), ..Options::default() };
    let request = Request {
        id: ID,
        bundle: &bundle,
        options,
        systemd: parsed.globals().systemd_cgroup,
        pinned,
        ..Request::default()
    };
    let outline = outline(&spec, &config, &request, context.root()?.as_ref(), parsed.is_set("as-root"), context)?;
    if parsed.flag("format") == Some("json") {
        output::print(&format!("{}\n", super::state::pretty(&outline)?))?;
    } else {
        output::print(&text(&outline))?;
    }
    Ok(0)
}

fn text(outline: &Outline) -> String {
    let bold = output::in_colour(1);
    let mut text = format!("Plan of {}\n", printable(&outline.bundle));
    for note in &outline.notes {
        text += &format!("Note: {note}\n");
    }
    for pointer in &outline.unknown_properties {
        text += &format!("Ignored, since the specification does not know it: {}\n", printable(pointer));
    }
    text.push('\n');
    let mut table = Table::new(&["NAMESPACE", "HOW", "WHICH AND WHAT IT MEANS", "FIELD"]);
    for summary in &outline.namespaces {
        table.row(&[summary.kind, summary.how, &meaning(summary), summary.field.as_deref().unwrap_or("-")]);
    }
    text += &table.render(Layout::Own { bold });
    let mut phase = "";
    for (number, step) in outline.steps.iter().enumerate() {
        if step.phase != phase {
            phase = step.phase;
            let (on, off) = if bold { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
            text += &format!("\n{on}{phase}{off}, by {}\n", by(&outline.steps[number..], phase));
        }
        text += &line(number + 1, step);
    }
    text
}

/// Who performs the steps of this phase, each named once.
fn by(steps: &[Action], phase: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for step in steps.iter().take_while(|step| step.phase == phase) {
        if !names.contains(&step.by) {
            names.push(step.by);
        }
    }
    names.join(" and ")
}

fn meaning(summary: &Summary) -> String {
    let mut parts = Vec::new();
    parts.extend(summary.identity.clone());
    parts.extend(summary.owner.as_ref().map(|owner| format!("owned by {owner}")));
    if !summary.shared_with.is_empty() {
        parts.push(format!("shared with {}", summary.shared_with.join(", ")));
    }
    parts.extend(summary.exposes.map(String::from));
    if parts.is_empty() { String::from("a new one") } else { parts.join("; ") }
}

fn line(number: usize, step: &Action) -> String {
    let calls = if step.conditional { format!("if present: {}", step.calls.join(", ")) } else { step.calls.join(", ") };
    let field = step.field.as_ref().map(|field| format!("  [{}]", printable(field))).unwrap_or_default();
    format!("{number:4}  {}{field}\n        {}\n", printable(&step.purpose), printable(&calls))
}
