// SPDX-License-Identifier: Apache-2.0
//! A small D-Bus client: method calls, their answers, and signals, over a unix socket. Source: the D-Bus specification.
//!
//! Start at [`Connection`]. What is sent and received are [`Value`]s; [`text`] reads values as people write them.
//! Everything that a peer sends is bounded and checked before it is used. Owns: the wire format. Does not own: what
//! systemd's methods are called.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

mod address;
mod connection;
mod message;
mod read;
mod signature;
pub mod text;
mod value;
mod write;

pub use address::escape;
pub use connection::{Answer, Connection, Refusal};
pub use message::{Call, Message};
pub use value::Value;
