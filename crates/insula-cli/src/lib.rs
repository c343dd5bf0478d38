// SPDX-License-Identifier: Apache-2.0
//! The command line as data, and what a command prints around its result.
//!
//! Owns: the one table of commands and flags ([`COMMANDS`], [`GLOBALS`]), which feeds the parser ([`parse`]), the
//! help ([`help`]), the shell completions ([`completion`]) and the man pages (`cargo xtask man`); the meaning of
//! argument texts (signals, users, durations, sizes); log records ([`log`]) and tables
//! ([`table`]). Names, shapes and exit habits are runc's, so that engines can call insula in its place.
//!
//! Must not know: the system. Nothing here makes a system call, reads a clock or an environment variable; `insula`
//! passes such values in. Start reading at [`command`] and [`parse()`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod amount;
pub mod command;
pub mod completion;
pub mod exec;
pub mod flag;
pub mod help;
mod id;
pub mod log;
mod nearest;
pub mod parse;
pub mod signal;
pub mod table;
pub mod time;
pub mod version;

pub use command::{COMMANDS, Command, GLOBALS};
pub use flag::{Flag, Takes};
pub use id::validate_id;
pub use parse::{Globals, Parsed, parse};
