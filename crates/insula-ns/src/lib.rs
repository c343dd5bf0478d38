// SPDX-License-Identifier: Apache-2.0
//! Linux namespaces: the table of the eight kinds, identities, joining and creating, the survey of a host.
//!
//! Owns: what a kind of namespace is ([`kind`], the only list), which namespace something is ([`identity`]), how to get
//! from a path to one safely ([`open_path`]), the order of joining ([`join_all`]), and finding all namespaces of a
//! machine with the containers that use them ([`survey`], [`containers`], [`render`]). Must not know: config.json as a
//! whole, plans, states. Start reading at [`kind::Namespace`].
//!
//! The kernel's rules behind it are in namespaces(7) and the pages of the kinds; what those leave out was found by
//! experiment and is said where it matters.
//!
//! ```
//! use insula_ns::{Identity, Kind, open_path_as};
//! use rustix::fd::AsFd;
//!
//! // From a path to a namespace: checked on the descriptor, which is then all that is used.
//! let ns = open_path_as("/proc/self/ns/net", Kind::NETWORK)?;
//! let identity = Identity::of_fd(ns.as_fd(), Kind::NETWORK)?;
//! assert!(identity.same_object(&Identity::of_self(Kind::NETWORK)?));
//! assert!(identity.to_string().starts_with("net:["));
//!
//! // The table says the rest.
//! assert_eq!(Kind::from_spec_name("network")?, Kind::NETWORK);
//! assert_eq!(Kind::NETWORK.namespace().exposes, "the container sees and can use all host interfaces");
//! # Ok::<(), insula_error::Error>(())
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
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
