// SPDX-License-Identifier: Apache-2.0
//! `insula delete`

use crate::context::Context;
use insula_cli::Parsed;
use insula_error::Result;
use insula_run::{delete, status};

pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let id = super::id(parsed)?;
    let force = parsed.is_set("force");
    match context.root()?.map(|root| root.home(id)).transpose()?.flatten() {
        Some(home) => delete::delete(home, force, context)?,
        // What is not there needs no force.
        None if force => {}
        None => return Err(status::missing(id)),
    }
    Ok(0)
}
