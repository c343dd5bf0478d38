// SPDX-License-Identifier: Apache-2.0
//! `config.json`: the OCI runtime-spec 1.3 document as borrowed types, loaded with limits and precise errors.
//!
//! The types say what the document said, nothing more. How absence is kept is the same everywhere:
//!
//! - `null` means the same as leaving an optional property out; a required one refuses it.
//! - A list, map or `bool` that is absent is empty or `false`, as no part of the specification tells them apart.
//! - A number, string or object whose absence means something (no limit, no hostname, keep) is an `Option`.
//!   An empty string is kept as it is: `Some("")`.
//! - Strings are [`Str`]: borrowed from the text unless it has escapes, and never with a NUL.
//! - Values that are names (namespace types, mount options, capabilities, seccomp actions) stay strings; the plan knows them.
//! - Unknown properties are ignored, as the specification demands ("Extensibility").
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

#[macro_use]
mod object;

#[cfg(test)]
mod conformance;
mod document;
mod example;
mod hooks;
mod linux;
mod load;
mod map;
mod mounts;
mod names;
mod pointer;
mod process;
mod ranges;
mod resources;
mod root;
mod seccomp;
mod sysctl;
mod text;
mod unknown;
mod validate;

pub use document::{Present, Spec};
pub use example::{OCI_VERSION, default_spec, rootless, to_json};
pub use hooks::{Hook, Hooks};
pub use linux::{Device, IdMapping, IntelRdt, Linux, MemoryPolicy, Namespace, NetDevice, Personality, TimeOffset};
pub use load::{MAX_DOCUMENT, load, load_process, load_resources};
pub use map::Map;
pub use mounts::Mount;
pub use names::{
    IO_PRIORITY_CLASSES, MEMORY_POLICY_FLAGS, MEMORY_POLICY_MODES, Names, PERSONALITY_DOMAINS, RLIMITS,
    SCHEDULER_FLAGS, SCHEDULER_POLICIES,
};
pub use pointer::push_segment;
pub use process::{Capabilities, ConsoleSize, ExecCpuAffinity, IoPriority, Process, Rlimit, Scheduler, User};
pub use ranges::ranges;
pub use resources::{
    BlockIo, Cpu, DeviceRule, HugepageLimit, InterfacePriority, Memory, Network, Pids, Rdma, Resources, ThrottleDevice,
    WeightDevice,
};
pub use root::Root;
pub use seccomp::{Seccomp, Syscall, SyscallArg};
pub use sysctl::sysctl_path;
pub use text::Str;
pub use unknown::unknown_properties;
pub use validate::{MAX_DEVICES, MAX_HOOKS, MAX_MOUNTS, MAX_TIMEOUT, validate, validate_process, validate_resources};
