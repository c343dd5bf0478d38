// SPDX-License-Identifier: Apache-2.0
//! `linux.seccomp`. Source: runtime-spec, config-linux.md, "Seccomp".

use crate::Str;
use alloc::vec::Vec;

object! {
    /// `linux.seccomp`: the filter of system calls. Source: seccomp(2).
    pub struct Seccomp<'a> {
        /// Action for calls that no rule matches, such as `SCMP_ACT_ERRNO`; empty, and without rules, is no filter.
        default_action: Str<'a> = always "defaultAction",
        /// errno of that action; absent is EPERM.
        default_errno_ret: Option<u32> = optional "defaultErrnoRet",
        /// Further architectures, such as `SCMP_ARCH_X32`.
        architectures: Vec<Str<'a>> = optional "architectures",
        /// Names such as `SECCOMP_FILTER_FLAG_LOG`.
        /// Absent and empty differ: runc gives an absent list SPEC_ALLOW.
        flags: Option<Vec<Str<'a>>> = optional "flags",
        /// UNIX socket that is sent the listener's descriptor.
        listener_path: Option<Str<'a>> = optional "listenerPath",
        /// Opaque text that is sent with it.
        listener_metadata: Option<Str<'a>> = optional "listenerMetadata",
        /// The rules.
        syscalls: Vec<Syscall<'a>> = optional "syscalls",
    }
}

object! {
    /// `linux.seccomp.syscalls[]`: one action for some calls.
    pub struct Syscall<'a> {
        /// Names of system calls; ones that the host does not have are passed over.
        names: Vec<Str<'a>> = required "names",
        /// Action when the arguments match.
        action: Str<'a> = required "action",
        /// errno of that action; absent is EPERM.
        errno_ret: Option<u32> = optional "errnoRet",
        /// Conditions on the arguments, all of which must hold.
        args: Vec<SyscallArg<'a>> = optional "args",
    }
}

object! {
    /// `linux.seccomp.syscalls[].args[]`: a condition on one argument.
    pub struct SyscallArg<'a> {
        /// Which argument, 0 to 5.
        index: u32 = required "index",
        /// What it is compared with; the mask for `SCMP_CMP_MASKED_EQ`.
        value: u64 = required "value",
        /// The value for `SCMP_CMP_MASKED_EQ`.
        value_two: u64 = optional "valueTwo",
        /// Comparison, such as `SCMP_CMP_EQ`.
        op: Str<'a> = required "op",
    }
}
