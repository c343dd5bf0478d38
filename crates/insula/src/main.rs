// SPDX-License-Identifier: Apache-2.0
//! insula, the command: arguments in, output and exit status out. What is done stands in insula-run.
//!
//! Start reading at [`insula_main`], then `command/`, one file each.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod command;
mod context;
mod output;

use context::Context;
use insula_cli::Parsed;
use insula_error::{Error, Kind};

/// Version of this build.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

#[allow(unsafe_code)] // the name by which insula-start calls it
#[unsafe(no_mangle)]
extern "C" fn insula_main() -> i32 {
    // A caller that closed 0, 1 or 2 must not have our own files end up there.
    output::fill_standard_streams();
    #[cfg(feature = "weak")]
    if let Some(name) = context::variable("INSULA_WEAK") {
        assert!(insula_sys::weak::choose(name.as_bytes()), "no such weakness: {name}");
    }
    if let Some([_, uid, _, gid]) = insula_start::ids() {
        insula_sys::credentials::remember_effective_ids((uid, gid));
    }
    let parsed = match insula_cli::parse(insula_start::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(error) => {
            output::usage_error(&error);
            return 1;
        }
    };
    let context = Context::new(&parsed);
    match run(&parsed, &context) {
        Ok(status) => status,
        Err(error) => {
            context.fatal(&error);
            failure_status(&parsed, &error)
        }
    }
}

/// runc's exit status for its own failures: 255 for `exec`, whose other values are the process's, else 1.
fn failure_status(parsed: &Parsed<'_>, error: &Error) -> i32 {
    if error.kind() != Kind::Usage && parsed.command.is_some_and(|command| command.name == "exec") { 255 } else { 1 }
}

fn run(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32, Error> {
    if parsed.wants_version() {
        return command::version();
    }
    if parsed.wants_help() {
        return command::help(parsed.command);
    }
    let name = parsed.command.map_or("help", |command| command.name);
    match command::COMMANDS.iter().find(|(known, _)| *known == name) {
        Some((_, perform)) => perform(parsed, context),
        None => {
            Err(Error::new(Kind::Unsupported, alloc::format!("perform {name}")).reason("insula does not do this yet"))
        }
    }
}
