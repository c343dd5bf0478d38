// SPDX-License-Identifier: Apache-2.0
//! The words of `linux.seccomp`, each with what it means. The parser, its errors and `insula features` read these tables.

use crate::ATTEMPTED;
use alloc::format;
use alloc::string::String;
use insula_error::Error;

/// What a rule or the filter does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    KillThread,
    KillProcess,
    Trap,
    Errno,
    Notify,
    Trace,
    Log,
    Allow,
}

/// Returned for calls newer than what the profile knows.
pub(crate) const ENOSYS: u32 = ERRNO + 38;

const ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = 1;

impl Action {
    /// What the filter returns (linux/seccomp.h, `SECCOMP_RET_*`). `data`: the errno, or the tracer's message.
    ///
    /// COMPAT(runc): other actions pass over an `errnoRet`; the specification would have it refused.
    pub(crate) fn value(self, data: Option<u32>) -> u32 {
        let data = data.unwrap_or(EPERM) & 0xffff;
        match self {
            Self::KillThread => 0,
            Self::KillProcess => 0x8000_0000,
            Self::Trap => 0x0003_0000,
            Self::Errno => ERRNO | data,
            Self::Notify => 0x7fc0_0000,
            Self::Trace => 0x7ff0_0000 | data,
            Self::Log => 0x7ffc_0000,
            Self::Allow => 0x7fff_0000,
        }
    }
}

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    NotEqual,
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
    MaskedEqual,
}

/// An architecture that libseccomp knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Architecture {
    X86,
    X86_64,
    X32,
    Arm,
    Aarch64,
    /// None of ours, of the same byte order: no call on this machine can be of it.
    Foreign,
    /// None of ours, big-endian: libseccomp refuses both byte orders in one filter.
    ForeignBigEndian,
}

/// Values by word, ordered by word.
pub(crate) type Words<T> = [(&'static str, T)];

/// `defaultAction`, `syscalls[].action`.
pub(crate) static ACTIONS: &Words<Action> = &[
    ("SCMP_ACT_ALLOW", Action::Allow),
    ("SCMP_ACT_ERRNO", Action::Errno),
    ("SCMP_ACT_KILL", Action::KillThread),
    ("SCMP_ACT_KILL_PROCESS", Action::KillProcess),
    ("SCMP_ACT_KILL_THREAD", Action::KillThread),
    ("SCMP_ACT_LOG", Action::Log),
    ("SCMP_ACT_NOTIFY", Action::Notify),
    ("SCMP_ACT_TRACE", Action::Trace),
    ("SCMP_ACT_TRAP", Action::Trap),
];

/// `syscalls[].args[].op`.
pub(crate) static OPERATORS: &Words<Operator> = &[
    ("SCMP_CMP_EQ", Operator::Equal),
    ("SCMP_CMP_GE", Operator::GreaterOrEqual),
    ("SCMP_CMP_GT", Operator::Greater),
    ("SCMP_CMP_LE", Operator::LessOrEqual),
    ("SCMP_CMP_LT", Operator::Less),
    ("SCMP_CMP_MASKED_EQ", Operator::MaskedEqual),
    ("SCMP_CMP_NE", Operator::NotEqual),
];

/// `architectures`.
pub(crate) static ARCHITECTURES: &Words<Architecture> = &[
    ("SCMP_ARCH_AARCH64", Architecture::Aarch64),
    ("SCMP_ARCH_ARM", Architecture::Arm),
    ("SCMP_ARCH_LOONGARCH64", Architecture::Foreign),
    ("SCMP_ARCH_MIPS", Architecture::ForeignBigEndian),
    ("SCMP_ARCH_MIPS64", Architecture::ForeignBigEndian),
    ("SCMP_ARCH_MIPS64N32", Architecture::ForeignBigEndian),
    ("SCMP_ARCH_MIPSEL", Architecture::Foreign),
    ("SCMP_ARCH_MIPSEL64", Architecture::Foreign),
    ("SCMP_ARCH_MIPSEL64N32", Architecture::Foreign),
    ("SCMP_ARCH_PPC", Architecture::ForeignBigEndian),
    ("SCMP_ARCH_PPC64", Architecture::ForeignBigEndian),
    ("SCMP_ARCH_PPC64LE", Architecture::Foreign),
    ("SCMP_ARCH_RISCV64", Architecture::Foreign),
    ("SCMP_ARCH_S390", Architecture::ForeignBigEndian),
    ("SCMP_ARCH_S390X", Architecture::ForeignBigEndian),
    ("SCMP_ARCH_X32", Architecture::X32),
    ("SCMP_ARCH_X86", Architecture::X86),
    ("SCMP_ARCH_X86_64", Architecture::X86_64),
];

/// Log all actions but allowing (Linux 4.14).
pub(crate) const FLAG_LOG: u32 = 1 << 1;
/// Leave Speculative Store Bypass mitigation off (Linux 4.17).
pub(crate) const FLAG_SPEC_ALLOW: u32 = 1 << 2;
/// Return a listener for notifications (Linux 5.0). No word stands for it: a rule that notifies asks for it.
pub(crate) const FLAG_NEW_LISTENER: u32 = 1 << 3;
/// Only fatal signals interrupt a call that waits for the agent (Linux 5.19). Needs a listener.
pub(crate) const FLAG_WAIT_KILLABLE_RECV: u32 = 1 << 5;

/// `flags`, with their bits for seccomp(2).
pub(crate) static FLAGS: &Words<u32> = &[
    ("SECCOMP_FILTER_FLAG_LOG", FLAG_LOG),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", FLAG_SPEC_ALLOW),
    // COMPAT(runc): known and without effect, see `Program::flags`.
    ("SECCOMP_FILTER_FLAG_TSYNC", 0),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", FLAG_WAIT_KILLABLE_RECV),
];

/// The value of `word`; an unknown word is an error that names the known ones. `what`: "an action".
pub(crate) fn look_up<T: Copy>(
    table: &Words<T>,
    word: &str,
    what: &str,
    pointer: impl Fn() -> String,
) -> Result<T, Error> {
    match table.iter().find(|(known, _)| *known == word) {
        Some((_, value)) => Ok(*value),
        None => Err(unknown(table, word, what, pointer())),
    }
}

#[cold]
fn unknown<T>(table: &Words<T>, word: &str, what: &str, pointer: String) -> Error {
    let mut known = String::new();
    for (name, _) in table {
        known.push_str(if known.is_empty() { "" } else { ", " });
        known.push_str(name);
    }
    Error::invalid(pointer, ATTEMPTED, format!("{word:?} is not {what}")).advice(format!("known are {known}"))
}
