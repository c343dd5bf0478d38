// SPDX-License-Identifier: Apache-2.0
//! The system calls that rustix lacks, one safe function each, in files named after the man-page family.
//!
//! Owns: the raw entry into the kernel. Decides nothing: functions take borrowed descriptors, return owned ones and the
//! errno. Every other crate but insula-start forbids `unsafe`. Start reading at [`process`].
#![cfg_attr(not(test), no_std)]
extern crate alloc;

mod raw;

pub mod bpf;
pub mod credentials;
pub mod memory;
pub mod mount;
pub mod network;
pub mod nsfs;
pub mod pidfs;
pub mod process;
pub mod weak;
