// SPDX-License-Identifier: Apache-2.0
//! One file a command.

mod checkpoint;
mod completion;
mod create;
mod delete;
mod doctor;
mod events;
mod exec;
mod features;
mod inspect;
mod kill;
mod list;
mod ns;
mod pause;
mod plan;
mod ps;
mod spec;
mod start;
mod state;
mod try_;
mod update;
mod verify;

use crate::context::Context;
use crate::output;
use insula_cli::help::Page;
use insula_cli::{Command, Parsed};
use insula_error::{Error, Result};

/// Performs a command; its exit status.
type Perform = fn(&Parsed<'_>, &Context<'_>) -> Result<i32>;

/// What is performed, by name.
pub(crate) static COMMANDS: &[(&str, Perform)] = &[
    ("try", try_::perform),
    ("plan", plan::perform),
    ("doctor", doctor::perform),
    ("spec", spec::perform),
    ("create", create::perform),
    ("start", start::perform),
    ("run", create::perform_run),
    ("state", state::perform),
    ("list", list::perform),
    ("kill", kill::perform),
    ("delete", delete::perform),
    ("exec", exec::perform),
    ("ps", ps::perform),
    ("inspect", inspect::perform),
    ("verify", verify::perform),
    ("ns", ns::perform),
    ("features", features::perform),
    ("events", events::perform),
    ("pause", pause::perform),
    ("resume", pause::perform_resume),
    ("update", update::perform),
    ("checkpoint", checkpoint::perform),
    ("restore", checkpoint::perform_restore),
    ("completion", completion::perform),
    ("help", help_for),
];

/// `--version`
pub(crate) fn version() -> Result<i32> {
    let commit = option_env!("INSULA_COMMIT").unwrap_or("unknown");
    output::print(&insula_cli::version::render(crate::VERSION, commit, insula_spec::OCI_VERSION))?;
    Ok(0)
}

/// `--help`
pub(crate) fn help(command: Option<&Command>) -> Result<i32> {
    let page = Page { width: output::terminal(1).unwrap_or(80), bold: output::in_colour(1) };
    output::print(&insula_cli::help::render(command, page))?;
    Ok(0)
}

fn help_for(parsed: &Parsed<'_>, _context: &Context<'_>) -> Result<i32> {
    let Some(name) = parsed.positional(0) else { return help(None) };
    match Command::find(name) {
        Some(command) => help(Some(command)),
        None => Err(insula_cli::parse::unknown_command(name)),
    }
}

/// The container id, which the table demands.
pub(crate) fn id<'a>(parsed: &Parsed<'a>) -> Result<&'a str> {
    let id = parsed.positional(0).ok_or_else(|| Error::usage("a container id is needed"))?;
    insula_cli::validate_id(id)?;
    Ok(id)
}
