// SPDX-License-Identifier: Apache-2.0
//! The plan: what will be asked of the kernel, in order, as data.
//!
//! [`compile`] is a pure function of the document, a few facts of the host and the command's options. It opens no file
//! and makes no call, so it is tested without root and printed without running. What is printed is what is executed:
//! the launch fills the [`Slot`]s with descriptors and hands the very same steps to init.
//!
//! Owns: every decision. Must not know: how a step is performed, or any descriptor's number. Start reading at
//! [`compile`], then [`namespaces`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

mod compile;
mod facts;
mod field;
mod label;
mod mount;
mod namespaces;
mod process;
mod rootfs;
mod sysctl;
mod text;
mod trees;

pub use compile::{EarlyMount, MountIds, Plan, Planned, Planner, Slot, TreeSource, compile, compile_exec};
pub use facts::{CgroupView, ExecTarget, Facts, Hierarchy, JoinFact, JoinedMaps, Options, Streams};
pub use field::Field;
pub use mount::{Bind, binds, known_options};
pub use namespaces::{Phase, Want};
pub use process::{capability, capability_names};
pub use rootfs::default_devices;
pub use text::c_str;
