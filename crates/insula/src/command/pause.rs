// SPDX-License-Identifier: Apache-2.0
//! `insula pause` and `insula resume`

use crate::context::Context;
use insula_cli::Parsed;
use insula_error::Result;
use insula_run::{pause, status};

/// `pause`
pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let (home, record) = status::find(context.root()?.as_ref(), super::id(parsed)?)?;
    pause::pause(&home, &record)?;
    Ok(0)
}

/// `resume`
pub(super) fn perform_resume(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let (home, record) = status::find(context.root()?.as_ref(), super::id(parsed)?)?;
    pause::resume(&home, &record)?;
    Ok(0)
}
