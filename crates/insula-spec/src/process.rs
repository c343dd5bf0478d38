// SPDX-License-Identifier: Apache-2.0
//! `process`. Source: runtime-spec, config.md, "Process".

use crate::Str;
use alloc::vec::Vec;

object! {
    /// `process`: the program to run. Source: runtime-spec, config.md, "Process".
    pub struct Process<'a> {
        /// Whether a pseudoterminal is attached.
        terminal: bool = optional "terminal",
        /// Size of that terminal.
        console_size: Option<ConsoleSize> = optional "consoleSize",
        /// Whom to run as; absent is user 0, group 0.
        user: User<'a> = always "user",
        /// The program and its arguments, as execvp(3) has them.
        args: Vec<Str<'a>> = optional "args",
        /// The command line, on Windows.
        command_line: Option<Str<'a>> = optional "commandLine",
        /// The environment, `NAME=value`.
        env: Vec<Str<'a>> = optional "env",
        /// Working directory, an absolute path in the container.
        cwd: Str<'a> = required "cwd",
        /// Capabilities to keep; absent is none at all.
        capabilities: Option<Capabilities<'a>> = optional "capabilities",
        /// Resource limits.
        rlimits: Vec<Rlimit<'a>> = optional "rlimits",
        /// Whether execve(2) can give no privileges.
        no_new_privileges: bool = optional "noNewPrivileges",
        /// AppArmor profile.
        apparmor_profile: Option<Str<'a>> = optional "apparmorProfile",
        /// `/proc/self/oom_score_adj`, -1000 to 1000; absent keeps the runtime's.
        oom_score_adj: Option<i64> = optional "oomScoreAdj",
        /// Scheduling policy.
        scheduler: Option<Scheduler<'a>> = optional "scheduler",
        /// SELinux label.
        selinux_label: Option<Str<'a>> = optional "selinuxLabel",
        /// Priority of disk access.
        io_priority: Option<IoPriority<'a>> = optional "ioPriority",
        /// CPUs of processes that `exec` adds.
        exec_cpu_affinity: Option<ExecCpuAffinity<'a>> = optional "execCPUAffinity",
    }
}

object! {
    /// `process.user`: ids as seen in the container.
    pub struct User<'a> {
        /// User id.
        uid: u32 = always "uid",
        /// Group id.
        gid: u32 = always "gid",
        /// File mode creation mask, permission bits only.
        umask: Option<u32> = optional "umask",
        /// Supplementary group ids.
        additional_gids: Vec<u32> = optional "additionalGids",
        /// User name, on Windows.
        username: Option<Str<'a>> = optional "username",
    }
}

object! {
    /// `process.consoleSize`, in characters.
    pub struct ConsoleSize {
        /// Rows.
        height: u64 = required "height",
        /// Columns.
        width: u64 = required "width",
    }
}

object! {
    /// `process.capabilities`: names such as `CAP_KILL`. An absent set is an empty one.
    pub struct Capabilities<'a> {
        /// Bounding set.
        bounding: Vec<Str<'a>> = optional "bounding",
        /// Effective set.
        effective: Vec<Str<'a>> = optional "effective",
        /// Inheritable set.
        inheritable: Vec<Str<'a>> = optional "inheritable",
        /// Permitted set.
        permitted: Vec<Str<'a>> = optional "permitted",
        /// Ambient set.
        ambient: Vec<Str<'a>> = optional "ambient",
    }
}

object! {
    /// `process.rlimits[]`. Source: getrlimit(2).
    pub struct Rlimit<'a> {
        /// Name such as `RLIMIT_NOFILE`.
        kind: Str<'a> = required "type",
        /// Ceiling of the soft limit; `u64::MAX` is no limit.
        hard: u64 = required "hard",
        /// What the kernel enforces; `u64::MAX` is no limit.
        soft: u64 = required "soft",
    }
}

object! {
    /// `process.scheduler`. Source: sched_setattr(2).
    pub struct Scheduler<'a> {
        /// Name such as `SCHED_OTHER`.
        policy: Str<'a> = required "policy",
        /// Nice value.
        nice: i32 = optional "nice",
        /// Static priority.
        priority: i32 = optional "priority",
        /// Names such as `SCHED_FLAG_RESET_ON_FORK`.
        flags: Vec<Str<'a>> = optional "flags",
        /// `SCHED_DEADLINE`: nanoseconds of work per period.
        runtime: u64 = optional "runtime",
        /// `SCHED_DEADLINE`: nanoseconds until the work must be done.
        deadline: u64 = optional "deadline",
        /// `SCHED_DEADLINE`: nanoseconds of a period.
        period: u64 = optional "period",
    }
}

object! {
    /// `process.ioPriority`. Source: ioprio_set(2).
    pub struct IoPriority<'a> {
        /// `IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` or `IOPRIO_CLASS_IDLE`.
        class: Str<'a> = required "class",
        /// 0 (highest) to 7.
        priority: i32 = always "priority",
    }
}

object! {
    /// `process.execCPUAffinity`: lists of CPUs such as `0-3,7`.
    pub struct ExecCpuAffinity<'a> {
        /// Before the process enters the container's cgroup.
        initial: Option<Str<'a>> = optional "initial",
        /// After it has.
        final_: Option<Str<'a>> = optional "final",
    }
}
