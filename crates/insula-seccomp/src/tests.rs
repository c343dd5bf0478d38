// SPDX-License-Identifier: Apache-2.0
//! What cannot be seen through [`compile`](crate::compile) on one machine: the other family of ABIs, the name tables,
//! and jumps that are too far for one instruction.

#[path = "../tests/interpreter/mod.rs"]
mod interpreter;

use crate::abi;
use crate::compile_for;
use crate::emit::{Compare, Emitter, Target};
use crate::names::{self, NONE};
use insula_spec::{Seccomp, Syscall};
use interpreter::{Call, I386, X32_BIT, X86_64, call, check, run};

const AARCH64: u32 = 0xc000_00b7;
const ARM: u32 = 0x4000_0028;

/// The answers of a filter for aarch64 that traps `names` and otherwise does `default`.
fn arm_answers(default: &'static str, names: &[&'static str], calls: &[(u32, u32)]) -> Vec<u32> {
    let seccomp = Seccomp {
        default_action: default.into(),
        architectures: vec!["SCMP_ARCH_ARM".into()],
        syscalls: vec![Syscall {
            names: names.iter().copied().map(Into::into).collect(),
            action: "SCMP_ACT_TRAP".into(),
            ..Syscall::default()
        }],
        ..Seccomp::default()
    };
    let program = compile_for(&abi::ARM, &seccomp).unwrap().unwrap();
    check(&program.instructions);
    calls.iter().map(|&(arch, nr)| run(&program.instructions, &call(arch, nr)).0).collect()
}

#[test]
fn arm() {
    const TRAP: u32 = 0x0003_0000;
    const ALLOW: u32 = 0x7fff_0000;
    let answers = arm_answers(
        "SCMP_ACT_ALLOW",
        &["getpid", "set_tls", "newfstatat", "futex_time64"],
        &[
            (AARCH64, 172),
            (AARCH64, 79),
            (AARCH64, 422),
            (ARM, 20),
            (ARM, 422),
            (ARM, 0xf_0005),
            (ARM, 0xf_0004),
            (ARM, 605),
            (X86_64, 39),
            (I386, 20),
            (X86_64, X32_BIT + 39),
        ],
    );
    assert_eq!(answers, [TRAP, TRAP, ALLOW, TRAP, TRAP, TRAP, ALLOW, ALLOW, 0, 0, 0]);
    // The private calls are the newest.
    let calls = [(ARM, 1000), (ARM, 0xf_0006), (AARCH64, 173)];
    let answers = arm_answers("SCMP_ACT_KILL", &["getpid", "set_tls"], &calls);
    assert_eq!(answers, [0, 0x0005_0026, 0x0005_0026]);
}

#[test]
fn every_name_is_found() {
    for (table, least) in [(&names::X86, 450), (&names::ARM, 400)] {
        let all: Vec<_> = names::all(table).collect();
        assert!(all.len() > least, "{} names", all.len());
        for name in all {
            let entry = table.find(name).unwrap_or_else(|| panic!("{name} is lost"));
            assert!(entry.call != 0 || entry.numbers.iter().any(|&number| number != NONE), "{name} has no number");
        }
        for name in ["", "no_such_call", "getpi", "getpidd"] {
            assert!(table.find(name).is_none(), "{name:?} is found");
        }
    }
}

#[test]
fn known_numbers() {
    // x86_64, i386, x32; call of socketcall, or of ipc from 128 on.
    for (name, numbers, call) in [
        ("read", [0, 3, 0], 0),
        ("break", [NONE, 17, NONE], 0),
        ("ioctl", [16, 54, 514], 0),
        ("execveat", [322, 358, 545], 0),
        ("pwritev2", [328, 379, 547], 0),
        ("uselib", [134, 86, NONE], 0),
        ("socketcall", [NONE, 102, NONE], 0),
        ("socket", [41, 359, 41], 1),
        ("send", [NONE; 3], 9),
        ("sendmmsg", [307, 345, 538], 20),
        ("semop", [65, NONE, 65], 0x81),
        ("shmctl", [31, 396, 31], 0x98),
        ("futex_time64", [NONE, 422, NONE], 0),
        ("rseq_slice_yield", [471, 471, 471], 0),
    ] {
        let entry = names::X86.find(name).unwrap_or_else(|| panic!("{name} is lost"));
        assert_eq!((entry.numbers, entry.call), (numbers, call), "{name}");
    }
}

#[test]
fn far_jumps() {
    // A thousand comparisons, each with a target at the very end, so that most need stepping stones.
    let mut emitter = Emitter::default();
    let last = emitter.load(16, Target::Return(77));
    let mut next = Target::Return(1);
    for value in (0..1000).rev() {
        let yes = if value % 2 == 0 { last } else { Target::Return(value) };
        next = emitter.compare(Compare::Equal, value, yes, next);
    }
    let start = emitter.load(0, next);
    let program = emitter.finish(start);
    check(&program);
    assert!(program.len() > 1000 && program.len() < 2000, "{} instructions", program.len());
    for nr in 0..1001 {
        let expected = match nr {
            1000 => 1,
            _ if nr % 2 == 0 => 77,
            _ => nr,
        };
        assert_eq!(run(&program, &Call { arch: 0, nr, args: [0; 6] }).0, expected, "{nr}");
    }
}

#[test]
fn comparisons_without_a_choice_vanish() {
    let mut emitter = Emitter::default();
    let target = emitter.compare(Compare::Greater, 5, Target::Return(3), Target::Return(3));
    assert_eq!(emitter.finish(target).len(), 1);
}
