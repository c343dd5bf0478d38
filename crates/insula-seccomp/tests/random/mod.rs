// SPDX-License-Identifier: Apache-2.0
//! Random profiles from a seed.

use insula_spec::{Seccomp, Str, Syscall, SyscallArg};

/// A small generator (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    /// Another seed, other numbers.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }

    /// One of some values.
    pub(crate) fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}

/// Words that a rule's action may be.
const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_NOTIFY",
];

const OPERATORS: [&str; 7] =
    ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"];

const VALUES: [u64; 16] = [
    0,
    1,
    2,
    3,
    16,
    40,
    0x1000,
    0x7e02_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    0x7_0000_0028,
    0xffff_ffff_0000_0000,
    u64::MAX,
];

impl Random {
    /// A profile. Unless `conflicts`, its rules with conditions all have one action, so that their order does not matter.
    pub(crate) fn profile(&mut self, names: &[&'static str], conflicts: bool) -> Seccomp<'static> {
        // A default of notifying is refused.
        let default = self.pick(&ACTIONS[..8]);
        let conditional = self.pick(&ACTIONS);
        let conditional_errno = self.errno();
        let rules = 1 + self.below(12);
        let syscalls = (0..rules).map(|_| {
            let args = self.args();
            let (action, errno_ret) = if conflicts || args.is_empty() {
                (self.pick(&ACTIONS), self.errno())
            } else {
                (conditional, conditional_errno)
            };
            let most = self.pick(&[1, 3, 60]);
            let mut chosen: Vec<_> = (0..=self.below(most)).map(|_| Str::borrowed(self.pick(names))).collect();
            chosen.retain(|name| action != "SCMP_ACT_NOTIFY" || name != "write");
            Syscall { names: chosen, action: action.into(), errno_ret, args }
        });
        let syscalls = syscalls.collect();
        let lists: [&[&str]; 5] = [
            &[],
            &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            &["SCMP_ARCH_X86"],
            &["SCMP_ARCH_X32", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
            &["SCMP_ARCH_X86_64"],
        ];
        Seccomp {
            default_action: default.into(),
            default_errno_ret: self.errno(),
            architectures: self.pick(&lists).iter().copied().map(Str::borrowed).collect(),
            syscalls,
            ..Seccomp::default()
        }
    }

    fn errno(&mut self) -> Option<u32> {
        self.pick(&[None, None, Some(0), Some(1), Some(38), Some(4094)])
    }

    fn args(&mut self) -> Vec<SyscallArg<'static>> {
        let count = self.pick(&[0, 0, 1, 1, 2, 3]);
        // Mostly different arguments, sometimes the same one twice.
        let limit = self.pick(&[2, 6, 6, 6]);
        let argument = |random: &mut Self| SyscallArg {
            index: random.below(limit) as u32,
            op: Str::borrowed(random.pick(&OPERATORS)),
            value: random.pick(&VALUES),
            value_two: random.pick(&VALUES),
        };
        (0..count).map(|_| argument(self)).collect()
    }
}

/// Values around which comparisons change their answer, for each value in the profile.
pub(crate) fn boundaries(profile: &Seccomp<'_>) -> Vec<u64> {
    let mut values = vec![0, 1, u64::from(u32::MAX), 1 << 32, u64::MAX];
    for argument in profile.syscalls.iter().flat_map(|rule| &rule.args) {
        for value in [argument.value, argument.value_two, argument.value & argument.value_two] {
            let swapped = value.rotate_left(32);
            values.extend([value, value.wrapping_sub(1), value.wrapping_add(1), !value, value ^ (1 << 32), swapped]);
        }
    }
    values.sort_unstable();
    values.dedup();
    values
}
