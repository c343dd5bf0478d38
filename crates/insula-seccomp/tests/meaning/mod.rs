// SPDX-License-Identifier: Apache-2.0
//! What a profile means, told a second time and without regard to speed: rule by rule, for one call.

use crate::interpreter::{Call, I386, X32_BIT, X86_64, call, run};
use insula_spec::{Seccomp, Syscall, SyscallArg};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// An ABI, by libseccomp's number for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(crate) enum Abi {
    X86_64 = 0xc000_003e,
    X86 = 0x4000_0003,
    X32 = 0x4000_003e,
}

/// All of this machine's.
pub(crate) const ABIS: [Abi; 3] = [Abi::X86_64, Abi::X86, Abi::X32];

const ENOSYS: u32 = 0x0005_0026;

const SOCKETCALL: [&str; 21] = [
    "",
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];

const IPC: [&str; 25] = [
    "",
    "semop",
    "semget",
    "semctl",
    "semtimedop",
    "",
    "",
    "",
    "",
    "",
    "",
    "msgsnd",
    "msgrcv",
    "msgget",
    "msgctl",
    "",
    "",
    "",
    "",
    "",
    "",
    "shmat",
    "shmdt",
    "shmget",
    "shmctl",
];

impl Abi {
    /// The kernel's number for it.
    pub(crate) fn audit(self) -> u32 {
        if self == Self::X86 { I386 } else { X86_64 }
    }

    fn word(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::X86 => "SCMP_ARCH_X86",
            Self::X32 => "SCMP_ARCH_X32",
        }
    }
}

/// The number of a call on an ABI, as seen from outside: the one that a rule for it traps.
pub(crate) fn number(abi: Abi, name: &str) -> Option<u32> {
    static NUMBERS: OnceLock<BTreeMap<(Abi, &'static str), u32>> = OnceLock::new();
    let numbers = NUMBERS.get_or_init(|| {
        let mut numbers = BTreeMap::new();
        for name in insula_seccomp::features::system_calls() {
            let profile = Seccomp {
                default_action: "SCMP_ACT_ALLOW".into(),
                architectures: vec!["SCMP_ARCH_X86".into(), "SCMP_ARCH_X32".into()],
                syscalls: vec![Syscall {
                    names: vec![name.into()],
                    action: "SCMP_ACT_TRAP".into(),
                    ..Syscall::default()
                }],
                ..Seccomp::default()
            };
            let program = insula_seccomp::compile(&profile).expect("it compiles").expect("it has a default action");
            for abi in ABIS {
                let base = if abi == Abi::X32 { X32_BIT } else { 0 };
                let traps = |&nr: &u32| run(&program.instructions, &call(abi.audit(), nr)).0 == 0x0003_0000;
                let trapped: Vec<u32> = (base..base + 1000).filter(traps).collect();
                assert!(trapped.len() <= 1, "{name} has the numbers {trapped:?} on {abi:?}");
                numbers.extend(trapped.first().map(|&nr| ((abi, name), nr)));
            }
        }
        numbers
    });
    numbers.get(&(abi, name)).copied()
}

/// What an action returns.
pub(crate) fn action(word: &str, data: Option<u32>) -> u32 {
    let data = data.unwrap_or(1);
    match word {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => 0,
        "SCMP_ACT_KILL_PROCESS" => 0x8000_0000,
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_ERRNO" => 0x0005_0000 | data,
        "SCMP_ACT_NOTIFY" => 0x7fc0_0000,
        "SCMP_ACT_TRACE" => 0x7ff0_0000 | data,
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        "SCMP_ACT_ALLOW" => 0x7fff_0000,
        _ => panic!("unknown action {word}"),
    }
}

fn holds(condition: &SyscallArg<'_>, abi: Abi, call: &Call) -> bool {
    let bits = if abi == Abi::X86_64 { u64::MAX } else { u64::from(u32::MAX) };
    let argument = call.args[condition.index as usize] & bits;
    let (value, second) = (condition.value & bits, condition.value_two & bits);
    match condition.op.as_str() {
        "SCMP_CMP_NE" => argument != value,
        "SCMP_CMP_LT" => argument < value,
        "SCMP_CMP_LE" => argument <= value,
        "SCMP_CMP_EQ" => argument == value,
        "SCMP_CMP_GE" => argument >= value,
        "SCMP_CMP_GT" => argument > value,
        "SCMP_CMP_MASKED_EQ" => argument & value == second & value,
        _ => panic!("unknown operator"),
    }
}

/// What a rule returns.
fn value(rule: &Syscall<'_>) -> u32 {
    action(&rule.action, rule.errno_ret)
}

/// A rule that concerns a number, with the first argument that a multiplexing call must have.
type Concern<'p> = (&'p Syscall<'p>, Option<u32>);

/// A profile, with the rules of each call.
pub(crate) struct Meaning<'p> {
    profile: &'p Seccomp<'p>,
    default: u32,
    /// Rules that do anything, by number.
    rules: BTreeMap<(Abi, u32), Vec<Concern<'p>>>,
    /// The greatest number that the profile names, if calls above get `ENOSYS`.
    newest: BTreeMap<Abi, u32>,
}

impl<'p> Meaning<'p> {
    pub(crate) fn new(profile: &'p Seccomp<'p>) -> Self {
        let default = action(&profile.default_action, profile.default_errno_ret);
        let lets_newer =
            ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"].contains(&profile.default_action.as_str());
        let mut meaning = Self { profile, default, rules: BTreeMap::new(), newest: BTreeMap::new() };
        let all = profile.syscalls.iter().flat_map(|rule| rule.names.iter().map(move |name| (rule, name)));
        for ((rule, name), abi) in all.flat_map(|pair| ABIS.map(|abi| (pair, abi))) {
            let find = |calls: &[&str]| calls.iter().position(|call| abi == Abi::X86 && name == call);
            let multiplexed = find(&SOCKETCALL).map(|call| (102, call)).or(find(&IPC).map(|call| (117, call)));
            let direct = number(abi, name);
            if let (Some(direct), None) = (direct, multiplexed)
                && !lets_newer
                && direct != 0
            {
                let newest = meaning.newest.entry(abi).or_insert(direct);
                *newest = direct.max(*newest);
            }
            if value(rule) == default {
                continue;
            }
            if let Some((number, call)) = multiplexed {
                meaning.rules.entry((abi, number)).or_default().push((rule, Some(call as u32)));
            }
            if let Some(direct) = direct {
                meaning.rules.entry((abi, direct)).or_default().push((rule, None));
            }
        }
        meaning
    }

    /// Rules that concern a number.
    pub(crate) fn rules(&self, abi: Abi, number: u32) -> &[Concern<'p>] {
        self.rules.get(&(abi, number)).map_or(&[], Vec::as_slice)
    }

    /// Whether the answer to a call may depend on its arguments.
    pub(crate) fn looks_at_arguments(&self, arch: u32, nr: u32) -> bool {
        let abis = ABIS.into_iter().filter(|abi| abi.audit() == arch);
        abis.flat_map(|abi| self.rules(abi, nr)).any(|(rule, call)| call.is_some() || !rule.args.is_empty())
    }

    /// The answer to a call, and the rules with conditions that match it. There is no answer if those have different
    /// actions.
    pub(crate) fn answer(&self, call: &Call) -> (Option<u32>, Vec<&'p Syscall<'p>>) {
        let listed = |abi: Abi| abi == Abi::X86_64 || self.profile.architectures.iter().any(|word| word == abi.word());
        let wants_x32 = call.nr & X32_BIT != 0;
        let abi = match call.arch {
            I386 => Abi::X86,
            X86_64 if wants_x32 => Abi::X32,
            X86_64 => Abi::X86_64,
            _ => return (Some(0), Vec::new()),
        };
        if self.newest.get(&abi).is_some_and(|&newest| listed(abi) && call.nr > newest) {
            return (Some(ENOSYS), Vec::new());
        }
        // libseccomp takes any great number for one of x32, but for the one that tracers skip a call with.
        let abi = if call.arch == X86_64 && call.nr >= X32_BIT { Abi::X32 } else { abi };
        if !listed(abi) {
            return (Some(if abi == Abi::X32 && call.nr == u32::MAX { self.default } else { 0 }), Vec::new());
        }
        let mut matching = Vec::new();
        for &(rule, multiplexed) in self.rules(abi, call.nr) {
            match matches(rule, abi, call, multiplexed) {
                Match::Always => return (Some(value(rule)), Vec::new()),
                Match::Now => matching.push(rule),
                Match::Not => {}
            }
        }
        let first = matching.first().map_or(self.default, |rule| value(rule));
        (matching.iter().all(|rule| value(rule) == first).then_some(first), matching)
    }
}

/// Whether a rule matches a call, and whether it always does.
enum Match {
    Always,
    Now,
    Not,
}

fn matches(rule: &Syscall<'_>, abi: Abi, call: &Call, multiplexed: Option<u32>) -> Match {
    let mut indices: Vec<_> = rule.args.iter().map(|condition| condition.index).collect();
    indices.sort_unstable();
    let alternatives: Vec<&[SyscallArg<'_>]> = if indices.windows(2).any(|pair| pair[0] == pair[1]) {
        rule.args.iter().map(std::slice::from_ref).collect()
    } else {
        vec![&rule.args]
    };
    let mut result = Match::Not;
    for alternative in alternatives {
        // Of a multiplexing call, the first argument says which call it is.
        let mut rest = alternative.iter().filter(|condition| multiplexed.is_none() || condition.index != 0);
        if multiplexed.is_none() && rest.clone().all(|condition| always_holds(condition, abi)) {
            return Match::Always;
        }
        if multiplexed.is_none_or(|number| call.args[0] as u32 == number)
            && rest.all(|condition| holds(condition, abi, call))
        {
            result = Match::Now;
        }
    }
    result
}

fn always_holds(condition: &SyscallArg<'_>, abi: Abi) -> bool {
    let mask = if abi == Abi::X86_64 { condition.value } else { u64::from(condition.value as u32) };
    condition.op == "SCMP_CMP_MASKED_EQ" && mask == 0
}
