// SPDX-License-Identifier: Apache-2.0
//! `insula completion`

use crate::context::Context;
use crate::output;
use alloc::format;
use insula_cli::Parsed;
use insula_cli::completion::{Shell, render};
use insula_error::{Error, Result};

pub(super) fn perform(parsed: &Parsed<'_>, _context: &Context<'_>) -> Result<i32> {
    let name = parsed.positional(0).unwrap_or_default();
    let shell = Shell::named(name).ok_or_else(|| {
        Error::usage(format!("completion: {name:?} is no shell that insula knows")).advice("use bash, zsh or fish")
    })?;
    output::print(&render(shell))?;
    Ok(0)
}
