// SPDX-License-Identifier: Apache-2.0
//! Real cgroups on this machine's hierarchies, and in a mount namespace that shows v2 alone. Needs root; every value is
//! read back from the kernel. What the kernel lacks is skipped with a printed reason.

#[path = "kernel/scratch.rs"]
mod scratch;

#[path = "kernel/counters.rs"]
mod counters;
#[path = "kernel/devices.rs"]
mod devices;
#[path = "kernel/legacy.rs"]
mod legacy;
#[path = "kernel/life.rs"]
mod life;
#[path = "kernel/rootless.rs"]
mod rootless;
#[path = "kernel/unified.rs"]
mod unified;
