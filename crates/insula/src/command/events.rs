// SPDX-License-Identifier: Apache-2.0
//! `insula events`

use crate::context::Context;
use crate::output;
use alloc::format;
use core::time::Duration;
use insula_cli::{Parsed, amount};
use insula_error::Result;
use insula_run::Log as _;
use insula_run::{events, status};

pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let (home, record) = status::find(context.root()?.as_ref(), super::id(parsed)?)?;
    let interval = Duration::from_nanos(amount::duration(parsed.flag("interval").unwrap_or("5s"))?);
    if parsed.is_set("stats") {
        let (line, counted) = events::once(&home, &record)?;
        output::print(&line)?;
        if !counted {
            context.warn(&format!(
                "container {} has no cgroup: nothing is counted for it, and all figures are zero",
                record.id
            ));
        }
        return Ok(0);
    }
    events::follow(&home, &record, interval, &mut output::print)?;
    Ok(0)
}
