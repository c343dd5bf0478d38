// SPDX-License-Identifier: Apache-2.0
//! What the tests that start real containers share. Start reading at [`Lab`].
//!
//! A test makes a [`Lab`]: a private corner of the host with its own mount namespace, state root and names. In it
//! the test makes [`Bundle`]s and [`Container`]s, runs the runtime with [`Lab::insula`], and observes from outside
//! ([`identities`], [`cgroups`]) and from inside (what the container prints). When the lab ends, the host must
//! look as it did before: no process, mount, cgroup, state or file may be left ([`Snapshot`]).
//!
//! The runtime under test is `$INSULA`; without it, `release/insula` in the workspace's target directory. Any
//! runtime with runc's command line will do, which tells whether a failing test or insula is wrong.
//!
//! Run as root: `cargo build --release && cargo test -p insula-tests --no-fail-fast`. Further variables:
//! `INSULA_PATIENCE` (seconds that a command may take, 120), `INSULA_LONG` (10,000 instead of 1,000 short runs), `INSULA_VM` (set in the
//! virtual machine of `cargo xtask vm-test`: 100 of them, and tests that need a machine of their own),
//! `INSULA_SKIPS` (a file to which every skip is appended). Needed besides insula: busybox-static, util-linux,
//! iproute2, bash, and for tests/engines docker.io, containerd, podman; an engine that is missing is a skip.
#![deny(unsafe_code)]
// Tests fail by panicking, and so does all of this.
#![allow(clippy::missing_panics_doc)]

mod bundle;
pub mod cgroups;
mod container;
mod donor;
mod hostile;
mod identities;
#[cfg(target_arch = "x86_64")]
pub mod injector;
mod invocation;
mod lab;
pub mod page;
mod printed;
mod runtime;
mod skip;
mod snapshot;
pub mod terminal;
mod wait;

pub use bundle::{Bundle, parse_json, populate_rootfs};
pub use container::Container;
pub use donor::Donor;
pub use hostile::{hostile, long, race, while_disturbing, while_exchanging};
pub use identities::{Identities, Identity, KINDS, identities, own_identities, owner_at};
pub use invocation::{Background, Invocation, Output};
pub use lab::Lab;
pub use printed::{MountEntry, assert_rfc3339, parse_mounts};
pub use runtime::{is_insula, runtime};
pub use skip::record_skip;
pub use snapshot::Snapshot;
pub use wait::{eventually, patience};

/// The JSON value type and literal that the tests edit documents with.
pub use serde_json::{Value, json};
