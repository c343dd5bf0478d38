// SPDX-License-Identifier: Apache-2.0
//! The ways of calling the kernel that a filter tells apart, by family: what one machine can run.

use crate::names::{self, Entry, Names};
use crate::words::Architecture;

/// Slots for the calls of one ABI: numbers below [`PRIVATE`] stand for themselves.
pub(crate) const SLOTS: usize = 640;

/// First slot of an ABI's private calls.
const PRIVATE: u16 = 600;

/// First private call of 32-bit ARM (arch/arm/include/uapi/asm/unistd.h, `__ARM_NR_BASE`).
#[cfg(any(target_arch = "aarch64", test))]
const ARM_PRIVATE: u32 = 0x000f_0000;

/// The bit that x32 has in its numbers (`__X32_SYSCALL_BIT`).
pub(crate) const X32_BIT: u32 = 0x4000_0000;

/// One ABI. Source: linux/audit.h for `audit`.
#[derive(Debug)]
pub(crate) struct Abi {
    pub(crate) architecture: Architecture,
    /// `seccomp_data.arch`.
    pub(crate) audit: u32,
    /// Added to all numbers.
    base: u32,
    /// Number of the first private call.
    private: u32,
    /// Whether arguments have 64 bits. libseccomp compares the lower half alone on the other ABIs, so also for x32.
    pub(crate) wide: bool,
    /// The numbers of socketcall(2) and ipc(2), if there are such calls.
    multiplexers: Option<(u16, u16)>,
}

impl Abi {
    /// The number that stands in a slot. Greater slots have greater numbers.
    pub(crate) fn number(&self, slot: u16) -> u32 {
        match slot.checked_sub(PRIVATE) {
            Some(private) => self.private + u32::from(private),
            None => self.base + u32::from(slot),
        }
    }

    /// The multiplexing call's slot and its first argument for the call of an entry.
    pub(crate) fn multiplexed(&self, entry: &Entry) -> Option<(u16, u64)> {
        let (socketcall, ipc) = self.multiplexers?;
        match entry.call {
            0 => None,
            call if call & 0x80 != 0 => Some((ipc, u64::from(call & 0x7f))),
            call => Some((socketcall, u64::from(call))),
        }
    }
}

/// The ABIs of one machine.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) names: &'static Names,
    /// The native one first; a filter always has it.
    pub(crate) abis: &'static [Abi],
}

#[cfg(target_arch = "x86_64")]
pub(crate) use X86 as NATIVE;

#[cfg(target_arch = "aarch64")]
pub(crate) use ARM as NATIVE;

#[cfg(any(target_arch = "x86_64", test))]
pub(crate) static X86: Family = Family {
    names: &names::X86,
    abis: &[
        Abi {
            architecture: Architecture::X86_64,
            audit: 0xc000_003e,
            base: 0,
            private: PRIVATE as u32,
            wide: true,
            multiplexers: None,
        },
        Abi {
            architecture: Architecture::X86,
            audit: 0x4000_0003,
            base: 0,
            private: PRIVATE as u32,
            wide: false,
            multiplexers: Some((102, 117)),
        },
        // The kernel reports x32 as x86_64: only the number tells them apart.
        Abi {
            architecture: Architecture::X32,
            audit: 0xc000_003e,
            base: X32_BIT,
            private: X32_BIT + PRIVATE as u32,
            wide: false,
            multiplexers: None,
        },
    ],
};

#[cfg(any(target_arch = "aarch64", test))]
pub(crate) static ARM: Family = Family {
    names: &names::ARM,
    abis: &[
        Abi {
            architecture: Architecture::Aarch64,
            audit: 0xc000_00b7,
            base: 0,
            private: PRIVATE as u32,
            wide: true,
            multiplexers: None,
        },
        Abi {
            architecture: Architecture::Arm,
            audit: 0x4000_0028,
            base: 0,
            private: ARM_PRIVATE,
            wide: false,
            multiplexers: None,
        },
    ],
};
