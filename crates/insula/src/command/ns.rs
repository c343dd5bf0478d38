// SPDX-License-Identifier: Apache-2.0
//! `insula ns`: the survey of insula-ns, told of insula's own containers, and shown.

use crate::context::Context;
use crate::output;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cli::Parsed;
use insula_error::{Error, Result};
use insula_ns::containers::Known;
use insula_ns::survey::{Scope, Survey};
use insula_ns::{Kind, render};
use insula_run::running::{self, Running};

/// How a survey is shown.
type Render = fn(&Survey) -> String;

/// View and format, and what shows it. A graph without a format is Mermaid, which can be read as it is.
const RENDERINGS: &[(&str, &str, Render)] = &[
    ("list", "table", render::table),
    ("list", "json", render::json),
    ("tree", "table", render::tree),
    ("tree", "json", render::json),
    ("graph", "table", render::mermaid),
    ("graph", "mermaid", render::mermaid),
    ("graph", "dot", render::dot),
    ("graph", "svg", render::svg),
    ("graph", "json", render::json),
];

pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let view = parsed.positional(0).unwrap_or("list");
    let format = parsed.flag("format").unwrap_or("table");
    let Some((_, _, show)) = RENDERINGS.iter().find(|known| (known.0, known.1) == (view, format)) else {
        return Err(Error::usage(format!("ns {view} cannot be printed as {format}; that is for `insula ns graph`")));
    };
    let kinds = kinds(parsed)?;
    let running = match context.root()? {
        Some(root) => running::all(&root, context)?,
        None => Vec::new(),
    };
    let mut survey = survey(&running)?;
    // The handles are open until now, so that no number could come to mean another process.
    drop(running);
    select(&mut survey, parsed, &kinds)?;
    output::print(&show(&survey))?;
    Ok(0)
}

/// Looks at the whole host, with these containers known by name.
pub(super) fn survey(running: &[Running]) -> Result<Survey> {
    let known: Vec<Known<'_>> =
        running.iter().map(|one| Known { id: &one.record.id, pid: one.init.pid, cgroup: one.cgroup() }).collect();
    Survey::of_host(Scope::Everything, &known)
}

fn kinds(parsed: &Parsed<'_>) -> Result<Vec<Kind>> {
    parsed
        .values("type")
        .map(|name| match Kind::from_any_name(name) {
            Some(kind) => Ok(kind),
            // Its error names the kinds.
            None => Kind::from_spec_name(name).map_err(|e| Error::usage(format!("--type {name}: {e}"))),
        })
        .collect()
}

/// Leaves what was asked for: within one flag any value will do, and every flag that is given must hold.
fn select(survey: &mut Survey, parsed: &Parsed<'_>, kinds: &[Kind]) -> Result<()> {
    let mut containers = Vec::new();
    for name in parsed.values("container") {
        containers.push(survey.container(name).ok_or_else(|| {
            Error::state(format!("show the namespaces of container {name}"), "no running container has this name or id")
        })?);
    }
    let mut pids = Vec::new();
    for value in parsed.values("pid") {
        let pid: i32 = value.parse().map_err(|_| Error::usage(format!("--pid {value}: that is no process")))?;
        pids.push(pid);
    }
    survey.namespaces.retain(|entry| {
        (kinds.is_empty() || kinds.contains(&entry.identity.kind))
            && (containers.is_empty() || containers.iter().any(|index| entry.containers.contains(index)))
            && (pids.is_empty() || pids.iter().any(|pid| entry.pids.binary_search(pid).is_ok()))
    });
    Ok(())
}
