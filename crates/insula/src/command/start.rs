// SPDX-License-Identifier: Apache-2.0
//! `insula start`

use crate::context::Context;
use insula_cli::Parsed;
use insula_error::Result;
use insula_run::{start, status};

pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let id = super::id(parsed)?;
    let home = context.root()?.map(|root| root.home(id)).transpose()?.flatten().ok_or_else(|| status::missing(id))?;
    if let Some((notify, init)) = start::start(&home, super::create::notify_socket())? {
        home.unlock();
        notify.wait(&init)?;
    }
    // The process ends here, and with it everything that is open.
    core::mem::forget(home);
    Ok(0)
}
