// SPDX-License-Identifier: Apache-2.0
//! The seccomp compiler, against what a profile means rule by rule.

use crate::check;
use crate::entropy::Entropy;
use crate::interpreter::{Call, X32_BIT, run};
use crate::meaning::{ABIS, Abi, Meaning, number};
use insula_seccomp::{compile, features};
use insula_spec::{Seccomp, Str, Syscall, SyscallArg};
use std::sync::OnceLock;

/// Programs that the kernel takes, with the answers that the profile demands.
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut entropy = Entropy::new(bytes);
    let profile = entropy.profile(names());
    let program = match compile(&profile) {
        Ok(Some(program)) => program.instructions,
        Ok(None) => return,
        Err(error) => return check(&error),
    };
    crate::interpreter::check(&program);
    let meaning = Meaning::new(&profile);
    for call in calls(&profile, &mut entropy) {
        if let (Some(expected), _) = meaning.answer(&call) {
            assert_eq!(run(&program, &call).0, expected, "{call:?} of {profile:?}");
        }
    }
}

fn names() -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| features::system_calls().collect())
}

impl Entropy<'_> {
    /// A profile with calls of these names.
    pub(crate) fn profile(&mut self, names: &[&'static str]) -> Seccomp<'static> {
        let actions: Vec<&'static str> = features::actions().collect();
        let architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];
        let wanted = self.byte();
        let listed = architectures.iter().enumerate().filter(|(bit, _)| wanted & 1 << bit != 0);
        Seccomp {
            default_action: self.pick(&actions).into(),
            default_errno_ret: self.errno(),
            architectures: listed.map(|(_, word)| Str::borrowed(word)).collect(),
            syscalls: (0..self.below(16)).map(|_| self.rule(&actions, names)).collect(),
            ..Seccomp::default()
        }
    }

    fn rule(&mut self, actions: &[&'static str], names: &[&'static str]) -> Syscall<'static> {
        let count = 1 + self.pick(&[0, 1, 2, 8]);
        Syscall {
            names: (0..count).map(|_| Str::borrowed(names[self.below(names.len())])).collect(),
            action: self.pick(actions).into(),
            errno_ret: self.errno(),
            args: (0..self.pick(&[0, 0, 1, 2, 3])).map(|_| self.condition()).collect(),
        }
    }

    fn errno(&mut self) -> Option<u32> {
        self.pick(&[None, Some(0), Some(1), Some(38), Some(4095)])
    }

    fn condition(&mut self) -> SyscallArg<'static> {
        let operators: Vec<&'static str> = features::operators().collect();
        SyscallArg {
            index: self.pick(&[0, 1, 2, 5]),
            value: self.value(),
            value_two: self.value(),
            op: Str::borrowed(self.pick(&operators)),
        }
    }

    fn value(&mut self) -> u64 {
        match self.pick(&[0, 1, 2, 3, 4, 5]) {
            0 => self.long(),
            1 => u64::from(self.byte()),
            2 => u64::from(self.byte()) << 32,
            3 => u64::MAX - u64::from(self.byte()),
            4 => u64::from(u32::MAX) + u64::from(self.byte()),
            _ => 0,
        }
    }
}

/// Calls that the profile names, with arguments around its values, and some that it does not name.
pub(crate) fn calls(profile: &Seccomp<'_>, entropy: &mut Entropy<'_>) -> Vec<Call> {
    let mut values = vec![0, 1, u64::MAX];
    for condition in profile.syscalls.iter().flat_map(|rule| &rule.args) {
        let value = condition.value;
        values.extend([value, value.wrapping_add(1), value.wrapping_sub(1), condition.value_two, value ^ 1 << 32]);
    }
    let mut calls = Vec::new();
    let mut add = |abi: Abi, nr: u32| {
        let mut args = [0; 6];
        for argument in &mut args {
            *argument = values[entropy.below(values.len())];
        }
        calls.push(Call { arch: abi.audit(), nr, args });
    };
    for name in profile.syscalls.iter().flat_map(|rule| &rule.names) {
        for abi in ABIS {
            if let Some(nr) = number(abi, name) {
                for _ in 0..6 {
                    add(abi, nr);
                }
                add(abi, nr.wrapping_add(1));
            }
        }
    }
    for abi in ABIS {
        for nr in [0, 39, 102, 117, 999, X32_BIT, X32_BIT + 1, u32::MAX] {
            add(abi, nr);
        }
    }
    calls
}
