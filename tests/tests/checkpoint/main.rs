// SPDX-License-Identifier: Apache-2.0
//! Containers into files and back. What needs a CRIU that works on this kernel skips itself without one; the virtual
//! machine of `cargo xtask vm-test` has it.

mod counter;
mod crash;
mod engines;
mod failures;
mod flags;
mod life;
mod machine;
mod page;
mod requests;
