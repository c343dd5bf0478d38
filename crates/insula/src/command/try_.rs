// SPDX-License-Identifier: Apache-2.0
//! `insula try`

use crate::context::Context;
use insula_cli::Parsed;
use insula_error::Result;

pub(super) fn perform(_parsed: &Parsed<'_>, _context: &Context<'_>) -> Result<i32> {
    Ok(0)
}
