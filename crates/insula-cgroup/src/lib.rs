// SPDX-License-Identifier: Apache-2.0
//! Control groups v1, hybrid and v2: create, limit, join, freeze, kill, measure, remove.
//!
//! A command goes through these in order: [`Layout::probe`] looks at the host; [`Group::plan`] chooses the directories,
//! which [`Group::record`] writes down before [`Group::create`] makes them; [`Created::apply`] sets the limits;
//! [`Group::open_for_join`] gives what a process needs to get in. Later commands start from [`Group::from_record`].
//!
//! With [`Driver::Systemd`] the directories are made by systemd, which is asked for a unit; then all is as ever.
//!
//! Everything is done through descriptors of directories below the hierarchies' roots. Owns: the files of cgroupfs.
//! Does not own: the cgroup namespace.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

mod apply;
mod create;
mod delegate;
mod devices;
mod file;
mod freezer;
mod group;
mod join;
mod kill;
mod layout;
mod limits;
mod members;
mod oom;
mod path;
mod place;
mod remove;
pub mod stats;
mod systemd;
mod wait;

pub use create::Created;
pub use devices::{DeviceAccess, DeviceKind, DeviceRules};
pub use group::{Driver, Group};
pub use join::{Doors, SubGroup};
pub use layout::{Controller, Hierarchy, Layout, Mode, Version};
pub use oom::{OomEvent, OomWatch};
pub use stats::Stats;
pub use systemd::Instance;
