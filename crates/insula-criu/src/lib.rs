// SPDX-License-Identifier: Apache-2.0
//! CRIU's RPC (criu.org/RPC; images/rpc.proto of its source): what is asked of `criu swrk`, what it answers, and the
//! socket between.
//!
//! Owns: numbers of fields and messages. Must not know: containers. Start reading at [`Request`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

mod connection;
mod request;
mod response;
mod wire;

pub use connection::{Connection, Received};
pub use request::{CgroupMode, Features, Options, Request};
pub use response::{Answer, Notification, Response, Torn};
