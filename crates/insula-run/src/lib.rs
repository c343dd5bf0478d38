// SPDX-License-Identifier: Apache-2.0
//! The host side: gathers facts, launches a plan, keeps the state, performs every later command.
//!
//! Data moves to the right: [`gather`] → `insula_plan::compile` → [`prepare`] → [`launch`] → [`record`]. Crash-only: the
//! intent is on disk before the first effect, init dies with its creator until the commit, and `delete` works from every
//! state that a kill can leave.
//!
//! Owns: the life cycle and the state directory. Must not know: the command line's texts. Start reading at
//! [`create::create`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

mod anchor;
pub mod audit;
pub mod checkpoint;
mod confine;
pub mod create;
mod deeds;
pub mod delete;
pub mod doctor;
pub mod events;
pub mod exec;
pub mod expect;
mod explain;
pub mod file;
pub mod foreground;
mod gather;
pub mod handle;
mod handover;
pub mod hooks;
mod image;
pub mod inspect;
pub mod kill;
mod launch;
mod maps;
mod mount_ids;
mod netdevices;
mod netlink;
pub mod notify;
pub mod outline;
pub mod pause;
mod preparation;
mod prepare;
pub mod record;
pub mod resctrl;
pub mod running;
pub mod share;
pub mod spawn;
pub mod start;
pub mod status;
pub mod store;
pub mod update;
mod verify;
pub mod view;
#[cfg(feature = "weak")]
mod weakened;

pub use launch::Log;
