// SPDX-License-Identifier: Apache-2.0
//! `insula kill`

use crate::context::Context;
use insula_cli::{Parsed, signal};
use insula_error::Result;
use insula_run::{kill, status};

pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let id = super::id(parsed)?;
    let signal = signal::parse(parsed.positional(1).unwrap_or("SIGTERM"))?;
    let (_, record) = status::find(context.root()?.as_ref(), id)?;
    kill::kill(&record, signal, parsed.is_set("all"))?;
    Ok(0)
}
