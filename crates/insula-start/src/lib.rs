// SPDX-License-Identifier: Apache-2.0
//! What a C library's start files would do, for the two programs of this workspace.
//!
//! glibc's own start executes dozens of CPUID instructions, each a trap of several microseconds on a virtual
//! machine, in every one of the three commands of a container's life. insula needs nothing of it, so the programs
//! start here: `_start` hands the arguments to `insula_main`, the memory functions that the compiler calls are
//! provided, memory comes from an arena that only grows (a command lives for milliseconds), and a panic prints one
//! line and ends the process with status 134.
//!
//! Owns: process entry, `memcpy` and friends, the global allocator, the panic handler. Must not know: anything of
//! containers. Only the two programs may depend on it; a library or test that did would define these symbols twice.
#![no_std]

mod arena;
mod entry;
mod memory;
mod wait;

pub use arena::{mark, reset};
pub use entry::{Args, Env, args, env, exit, ids};
pub use wait::wait_for_either;
