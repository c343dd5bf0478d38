// SPDX-License-Identifier: Apache-2.0
//! Linux namespaces: the table of the eight kinds, identities, joining and creating, the survey of a host.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod containers;
mod enter;
pub mod identity;
pub mod kind;
mod open;
mod procfs;
pub mod render;
pub mod survey;

pub use enter::{join, join_all, unshare};
pub use identity::Identity;
pub use kind::{Kind, Namespace, PerKind};
pub use open::{open_path, open_path_as};
