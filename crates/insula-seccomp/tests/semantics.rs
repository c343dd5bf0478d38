// SPDX-License-Identifier: Apache-2.0
//! Every rule of what a profile means, by example.
#![cfg(target_arch = "x86_64")]

mod interpreter;

use insula_error::{Error, Kind};
use insula_seccomp::{Program, compile};
use insula_spec::Seccomp;
use interpreter::{Call, I386, X32_BIT, X86_64, call, check, run};

const KILL: u32 = 0;
const ALLOW: u32 = 0x7fff_0000;
const TRAP: u32 = 0x0003_0000;
const LOG: u32 = 0x7ffc_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;

fn parse(json: &str) -> Seccomp<'_> {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn program(json: &str) -> Program {
    let program = compile(&parse(json)).unwrap_or_else(|error| panic!("{error}: {json}")).expect("a filter");
    check(&program.instructions);
    program
}

fn error(json: &str) -> Error {
    compile(&parse(json)).expect_err(json)
}

/// The answer to a call without interesting arguments.
fn answer(json: &str, arch: u32, nr: u32) -> u32 {
    run(&program(json).instructions, &call(arch, nr)).0
}

/// The answer to getpid on x86_64 (39), of a profile with `default` and one rule.
fn getpid(default: &str, rule: &str) -> u32 {
    answer(&format!(r#"{{"defaultAction": "{default}", "syscalls": [{{"names": ["getpid"], {rule}}}]}}"#), X86_64, 39)
}

/// The answer to `args` of getpriority on each ABI, trapped by `rules` (`args` of each), else allowed.
fn trapped(rules: &[&str], args: [u64; 6]) -> [bool; 3] {
    let rules: Vec<_> = rules
        .iter()
        .map(|args| format!(r#"{{"names": ["getpriority"], "action": "SCMP_ACT_TRAP", "args": [{args}]}}"#))
        .collect();
    let json = format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": [{}]}}"#,
        rules.join(", ")
    );
    let program = program(&json);
    [(X86_64, 140), (I386, 96), (X86_64, X32_BIT + 140)].map(|(arch, nr)| {
        let (answer, _) = run(&program.instructions, &Call { arch, nr, args });
        assert!(answer == TRAP || answer == ALLOW);
        answer == TRAP
    })
}

fn argument(index: u32, op: &str, value: u64, second: u64) -> String {
    format!(r#"{{"index": {index}, "op": "SCMP_CMP_{op}", "value": {value}, "valueTwo": {second}}}"#)
}

#[test]
fn nothing_is_asked_for() {
    assert_eq!(compile(&parse(r#"{"defaultAction": ""}"#)).unwrap(), None);
}

#[test]
fn allowing_without_rules_is_still_a_filter() {
    let json = r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#;
    assert_eq!(answer(json, X86_64, 39), ALLOW);
    assert_eq!(answer(json, X86_64, 100_000), ALLOW);
    assert_eq!(answer(json, I386, 39), KILL);
}

#[test]
fn actions() {
    for (rule, value) in [
        (r#""action": "SCMP_ACT_KILL""#, 0),
        (r#""action": "SCMP_ACT_KILL_THREAD""#, 0),
        (r#""action": "SCMP_ACT_KILL_PROCESS""#, 0x8000_0000),
        (r#""action": "SCMP_ACT_TRAP""#, 0x0003_0000),
        (r#""action": "SCMP_ACT_ERRNO""#, 0x0005_0001),
        (r#""action": "SCMP_ACT_ERRNO", "errnoRet": 0"#, 0x0005_0000),
        (r#""action": "SCMP_ACT_ERRNO", "errnoRet": 4095"#, 0x0005_0fff),
        (r#""action": "SCMP_ACT_TRACE""#, 0x7ff0_0001),
        (r#""action": "SCMP_ACT_TRACE", "errnoRet": 65535"#, 0x7ff0_ffff),
        (r#""action": "SCMP_ACT_LOG""#, 0x7ffc_0000),
        (r#""action": "SCMP_ACT_NOTIFY""#, 0x7fc0_0000),
        (r#""action": "SCMP_ACT_TRAP", "errnoRet": 7"#, 0x0003_0000),
    ] {
        assert_eq!(getpid("SCMP_ACT_ALLOW", rule), value, "{rule}");
    }
    assert_eq!(getpid("SCMP_ACT_KILL", r#""action": "SCMP_ACT_ALLOW""#), ALLOW);
    assert_eq!(answer(r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 5}"#, X86_64, 39), 0x0005_0005);
    assert_eq!(answer(r#"{"defaultAction": "SCMP_ACT_TRACE", "defaultErrnoRet": 5}"#, X86_64, 39), 0x7ff0_0005);
}

#[test]
fn comparisons() {
    let big = 0x0000_0002_0000_0005;
    // (operator, values, argument 2, whether it holds in full, whether for the lower halves)
    for (op, value, second, argument_two, wide, narrow) in [
        ("EQ", 5, 0, 5, true, true),
        ("EQ", 5, 0, 4, false, false),
        ("EQ", 5, 0, big, false, true),
        ("EQ", big, 0, big, true, true),
        ("NE", 5, 0, 5, false, false),
        ("NE", 5, 0, big, true, false),
        ("NE", big, 0, 5, true, false),
        ("LT", 5, 0, 4, true, true),
        ("LT", 5, 0, 5, false, false),
        ("LT", 6, 0, big, false, true),
        ("LT", big, 0, 0x1_ffff_ffff, true, false),
        ("LT", big, 0, big, false, false),
        ("LE", 5, 0, 5, true, true),
        ("LE", 5, 0, 6, false, false),
        ("LE", big, 0, big, true, true),
        ("LE", big, 0, big + 1, false, false),
        ("GT", 5, 0, 6, true, true),
        ("GT", 5, 0, 5, false, false),
        ("GT", 5, 0, big, true, false),
        ("GT", big, 0, 0x3_0000_0000, true, false),
        ("GE", 5, 0, 5, true, true),
        ("GE", 5, 0, 4, false, false),
        ("GE", 6, 0, big, true, false),
        ("GE", big, 0, big, true, true),
        ("GE", big, 0, big - 1, false, false),
        ("GE", 0, 0, 0, true, true),
        ("LE", u64::MAX, 0, u64::MAX, true, true),
        // The mask comes first, then the value, of which only what the mask keeps counts.
        ("MASKED_EQ", 0xf0, 0x50, 0x5f, true, true),
        ("MASKED_EQ", 0xf0, 0x5f, 0x50, true, true),
        ("MASKED_EQ", 0xf0, 0x50, 0x6f, false, false),
        ("MASKED_EQ", 0xf0, 0, 0x0f, true, true),
        ("MASKED_EQ", 0xf0, 0, 0x1f, false, false),
        ("MASKED_EQ", 0xf_0000_00f0, 0x5_0000_0050, 0x5_0000_0050, true, true),
        ("MASKED_EQ", 0xf_0000_00f0, 0x5_0000_0050, 0x50, false, true),
        ("MASKED_EQ", 0xf_0000_0000, 0x5_0000_0000, 0, false, true),
        ("MASKED_EQ", 0, 7, 9, true, true),
        ("MASKED_EQ", u64::MAX, big, big, true, true),
    ] {
        let answers = trapped(&[&argument(2, op, value, second)], [9, 9, argument_two, 9, 9, 9]);
        assert_eq!(answers, [wide, narrow, narrow], "{argument_two:#x} {op} {value:#x} {second:#x}");
    }
}

#[test]
fn conditions_and_rules_combine() {
    let (first, second) = (argument(0, "EQ", 1, 0), argument(5, "GT", 7, 0));
    let both = format!("{second}, {first}");
    // Of one rule all must hold.
    for (args, holds) in [([1, 0, 0, 0, 0, 8], true), ([1, 0, 0, 0, 0, 7], false), ([2, 0, 0, 0, 0, 8], false)] {
        assert_eq!(trapped(&[&both], args), [holds; 3], "{args:?}");
    }
    // Of two rules, one.
    for (args, holds) in [([1, 0, 0, 0, 0, 0], true), ([0, 0, 0, 0, 0, 8], true), ([2, 0, 0, 0, 0, 7], false)] {
        assert_eq!(trapped(&[&first, &second], args), [holds; 3], "{args:?}");
    }
    // Two conditions on one argument make all of the rule alternatives, as runc has it.
    let three = format!("{}, {}, {second}", argument(0, "EQ", 1, 0), argument(0, "EQ", 3, 0));
    for (args, holds) in [
        ([1, 0, 0, 0, 0, 0], true),
        ([3, 0, 0, 0, 0, 0], true),
        ([2, 0, 0, 0, 0, 8], true),
        ([2, 0, 0, 0, 0, 0], false),
    ] {
        assert_eq!(trapped(&[&three], args), [holds; 3], "{args:?}");
    }
}

#[test]
fn many_values_share_their_loads() {
    let values = [0, 8, 0x2_0000, 0xffff_ffff, 0x5_0000_0000, 0x5_0000_0001];
    let rules: Vec<_> = values.iter().map(|&value| argument(1, "EQ", value, 0)).collect();
    let rules: Vec<_> = rules.iter().map(String::as_str).collect();
    for value in values {
        assert_eq!(trapped(&rules, [3, value, 3, 3, 3, 3]), [true; 3], "{value:#x}");
    }
    // The last of these are 0 and 1 to a 32-bit ABI, which the rules name.
    for (value, narrow) in
        [(2, false), (9, false), (0x5_0000_0002, false), (0x4_0000_0000, true), (0x4_0000_0001, true)]
    {
        assert_eq!(trapped(&rules, [3, value, 3, 3, 3, 3]), [false, narrow, narrow], "{value:#x}");
    }
}

#[test]
fn rules_of_one_call_with_different_actions() {
    let unconditional = r#"{"names": ["getpid"], "action": "SCMP_ACT_TRAP"}"#;
    let later = r#"{"names": ["getpid"], "action": "SCMP_ACT_LOG"}"#;
    let conditional =
        r#"{"names": ["getpid"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]}"#;
    for (rules, value) in [
        ([unconditional, conditional], TRAP),
        ([conditional, unconditional], TRAP),
        ([unconditional, later], TRAP),
        ([later, unconditional], LOG),
    ] {
        let json = format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{}]}}"#, rules.join(", "));
        assert_eq!(answer(&json, X86_64, 39), value, "{json}");
    }
    // The least upper bound is tried first, the greatest lower bound likewise.
    let json = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["getpid"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 9, "op": "SCMP_CMP_LT"}]},
        {"names": ["getpid"], "action": "SCMP_ACT_TRAP", "args": [{"index": 0, "value": 3, "op": "SCMP_CMP_LT"}]}
    ]}"#;
    let program = program(json);
    for (argument, value) in [(2, TRAP), (3, LOG), (9, ALLOW)] {
        let call = Call { arch: X86_64, nr: 39, args: [argument, 0, 0, 0, 0, 0] };
        assert_eq!(run(&program.instructions, &call).0, value, "{argument}");
    }
}

#[test]
fn rules_without_effect() {
    // The default's action again, errno included.
    assert_eq!(getpid("SCMP_ACT_ERRNO", r#""action": "SCMP_ACT_ERRNO", "errnoRet": 1"#), EPERM);
    assert_eq!(getpid("SCMP_ACT_ERRNO", r#""action": "SCMP_ACT_ERRNO", "errnoRet": 2"#), 0x0005_0002);
    let unknown = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["no_such_call", "s390_pci_mmio_read", "getpid"], "action": "SCMP_ACT_TRAP"},
        {"names": [], "action": "SCMP_ACT_TRAP"}
    ]}"#;
    assert_eq!(answer(unknown, X86_64, 39), TRAP);
    assert_eq!(answer(unknown, X86_64, 40), ALLOW);
}

#[test]
fn architectures() {
    let json = |architectures: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": [{architectures}],
                "syscalls": [{{"names": ["readv", "ioctl", "lstat64"], "action": "SCMP_ACT_TRAP"}}]}}"#
        )
    };
    let alone = json("");
    assert_eq!(answer(&alone, X86_64, 19), TRAP);
    assert_eq!(answer(&alone, I386, 145), KILL);
    assert_eq!(answer(&alone, X86_64, X32_BIT + 515), KILL);
    assert_eq!(answer(&alone, X86_64, X32_BIT), KILL);
    // What a tracer skips a call with is no call of x32.
    assert_eq!(answer(&alone, X86_64, u32::MAX), ALLOW);
    assert_eq!(answer(&alone, 0xc000_00b7, 19), KILL);
    let x86 = json(r#""SCMP_ARCH_X86", "SCMP_ARCH_X86_64""#);
    assert_eq!([19, 195, 145].map(|nr| answer(&x86, X86_64, nr)), [TRAP, ALLOW, ALLOW]);
    assert_eq!([145, 196, 19].map(|nr| answer(&x86, I386, nr)), [TRAP, TRAP, ALLOW]);
    assert_eq!(answer(&x86, X86_64, X32_BIT + 515), KILL);
    let x32 = json(r#""SCMP_ARCH_X32", "SCMP_ARCH_X32""#);
    // These have numbers of their own there.
    assert_eq!([514, 515, 19, 16].map(|nr| answer(&x32, X86_64, X32_BIT + nr)), [TRAP, TRAP, ALLOW, ALLOW]);
    assert_eq!([514, 515, 19, 16].map(|nr| answer(&x32, X86_64, nr)), [ALLOW, ALLOW, TRAP, TRAP]);
    assert_eq!(answer(&x32, I386, 145), KILL);
    // Architectures that this machine cannot run change nothing.
    let foreign = json(r#""SCMP_ARCH_AARCH64", "SCMP_ARCH_RISCV64""#);
    assert_eq!(program(&foreign), program(&alone));
}

#[test]
fn multiplexed_calls_of_i386() {
    let json = r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "syscalls": [
        {"names": ["connect", "shmat", "send"], "action": "SCMP_ACT_TRAP"},
        {"names": ["socket"], "action": "SCMP_ACT_LOG", "args": [
            {"index": 0, "value": 40, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}]}
    ]}"#;
    let program = program(json);
    let answer =
        |arch, nr, first, second| run(&program.instructions, &Call { arch, nr, args: [first, second, 0, 0, 0, 0] }).0;
    // connect is 362, shmat 397, socketcall 102, ipc 117.
    assert_eq!(answer(I386, 362, 0, 0), TRAP);
    assert_eq!(answer(I386, 397, 0, 0), TRAP);
    assert_eq!([2, 3, 4, 9].map(|call| answer(I386, 102, call, 0)), [ALLOW, TRAP, ALLOW, TRAP]);
    assert_eq!([20, 21, 22].map(|call| answer(I386, 117, call, 0)), [ALLOW, TRAP, ALLOW]);
    // The first condition of the rule is lost, the other stays.
    assert_eq!([(1, 2), (1, 3), (40, 2)].map(|(first, second)| answer(I386, 102, first, second)), [LOG, ALLOW, ALLOW]);
    assert_eq!([(40, 2), (1, 2)].map(|(first, second)| answer(I386, 359, first, second)), [LOG, ALLOW]);
    assert_eq!([(40, 2), (1, 2)].map(|(first, second)| answer(X86_64, 41, first, second)), [LOG, ALLOW]);
    assert_eq!(answer(X86_64, 102, 3, 0), ALLOW);
}

#[test]
fn newer_calls_do_not_exist() {
    let json = |default: &str| {
        format!(
            r#"{{"defaultAction": "{default}", "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": [
                {{"names": ["getpid", "ppoll"], "action": "SCMP_ACT_ALLOW"}},
                {{"names": ["openat2"], "action": "SCMP_ACT_ERRNO"}},
                {{"names": ["recvmsg", "rt_sigaction"], "action": "SCMP_ACT_ALLOW"}}
            ]}}"#
        )
    };
    // openat2 (437) counts even where its rule is without effect; rt_sigaction is 512 on x32.
    for (default, value) in [("SCMP_ACT_ERRNO", EPERM), ("SCMP_ACT_KILL", KILL), ("SCMP_ACT_TRAP", TRAP)] {
        let answers = [38, 436, 438, 1000, 0x3fff_ffff].map(|nr| answer(&json(default), X86_64, nr));
        assert_eq!(answers, [value, value, ENOSYS, ENOSYS, ENOSYS], "{default}");
        let answers = [436, 438].map(|nr| answer(&json(default), I386, nr));
        assert_eq!(answers, [value, ENOSYS], "{default}");
        let answers = [438, 511, 513, 547].map(|nr| answer(&json(default), X86_64, X32_BIT + nr));
        // recvmsg is 519 there.
        assert_eq!(answers, [value, value, value, ENOSYS], "{default}");
        assert_eq!(answer(&json(default), X86_64, u32::MAX), ENOSYS);
    }
    for (default, value) in [("SCMP_ACT_LOG", LOG), ("SCMP_ACT_TRACE", 0x7ff0_0001), ("SCMP_ACT_ALLOW", ALLOW)] {
        assert_eq!([436, 438, 1000].map(|nr| answer(&json(default), X86_64, nr)), [value; 3], "{default}");
    }
}

#[test]
fn newer_calls_by_abi() {
    // recvmsg is 372 on i386, but as it is also a call of socketcall it does not count there; read is 0 on x86_64.
    let json = r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"], "syscalls": [
        {"names": ["recvmsg", "brk"], "action": "SCMP_ACT_ALLOW"}]}"#;
    assert_eq!([45, 44, 46, 372].map(|nr| answer(json, I386, nr)), [ALLOW, EPERM, ENOSYS, ENOSYS]);
    assert_eq!([47, 46, 48].map(|nr| answer(json, X86_64, nr)), [ALLOW, EPERM, ENOSYS]);
    let json = r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"], "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}"#;
    assert_eq!([0, 1, 1000].map(|nr| answer(json, X86_64, nr)), [ALLOW, EPERM, EPERM]);
    assert_eq!([3, 2, 4].map(|nr| answer(json, I386, nr)), [ALLOW, EPERM, ENOSYS]);
    // Without x32, its numbers stay those of another architecture.
    assert_eq!(answer(json, X86_64, X32_BIT + 1000), KILL);
    assert_eq!(answer(json, X86_64, u32::MAX), EPERM);
}

#[test]
fn flags() {
    let flags = |flags: &str, action: &str| {
        program(&format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", {flags} "syscalls": [{{"names": ["getpid"], "action": "{action}"}}]}}"#
        ))
    };
    for (list, bits) in [
        ("", 4),
        (r#""flags": ["SECCOMP_FILTER_FLAG_TSYNC"],"#, 0),
        (r#""flags": ["SECCOMP_FILTER_FLAG_LOG"],"#, 2),
        (r#""flags": ["SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_LOG"],"#, 6),
    ] {
        let program = flags(list, "SCMP_ACT_TRAP");
        assert_eq!((program.flags, program.uses_notify), (bits, false), "{list}");
        let program = flags(list, "SCMP_ACT_NOTIFY");
        assert_eq!((program.flags, program.uses_notify), (bits | 8, true), "{list}");
    }
    let program = flags(r#""flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],"#, "SCMP_ACT_NOTIFY");
    assert_eq!((program.flags, program.uses_notify), (0x28, true));
}

#[test]
fn a_rule_for_an_unknown_name_still_asks_for_a_listener() {
    let json = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["no_such_call"], "action": "SCMP_ACT_NOTIFY"}]}"#;
    assert!(program(json).uses_notify);
}

#[test]
fn errors_name_the_field_and_the_known_words() {
    let rule = |rule: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{{"names": [], "action": "SCMP_ACT_LOG"}}, {rule}]}}"#
        )
    };
    for (json, pointer, text) in [
        (r#"{"defaultAction": "ALLOW"}"#.into(), "/linux/seccomp/defaultAction", "SCMP_ACT_ALLOW"),
        (r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#.into(), "/linux/seccomp/defaultAction", "default"),
        (
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}"#.into(),
            "/linux/seccomp/defaultErrnoRet",
            "at most 4095",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_LOG", "architectures": ["SCMP_ARCH_X86", "amd64"]}"#.into(),
            "/linux/seccomp/architectures/1",
            "SCMP_ARCH_X86_64",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_LOG", "architectures": ["SCMP_ARCH_S390X"]}"#.into(),
            "/linux/seccomp/architectures/0",
            "big-endian",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_LOG", "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]}"#.into(),
            "/linux/seccomp/flags/0",
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_LOG", "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}"#
                .into(),
            "/linux/seccomp/flags/1",
            "notify",
        ),
        (rule(r#"{"names": [], "action": "SCMP_ACT_DENY"}"#), "/linux/seccomp/syscalls/1/action", "SCMP_ACT_ERRNO"),
        (
            rule(r#"{"names": [], "action": "SCMP_ACT_TRACE", "errnoRet": 65536}"#),
            "/linux/seccomp/syscalls/1/errnoRet",
            "65535",
        ),
        (
            rule(r#"{"names": ["getpid", ""], "action": "SCMP_ACT_LOG"}"#),
            "/linux/seccomp/syscalls/1/names/1",
            "empty",
        ),
        (
            rule(r#"{"names": ["getpid", "write"], "action": "SCMP_ACT_NOTIFY"}"#),
            "/linux/seccomp/syscalls/1/names/1",
            "listener",
        ),
        (
            rule(r#"{"names": [], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 0, "op": "=="}]}"#),
            "/linux/seccomp/syscalls/1/args/0/op",
            "SCMP_CMP_MASKED_EQ",
        ),
        (
            rule(r#"{"names": [], "action": "SCMP_ACT_LOG", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}"#),
            "/linux/seccomp/syscalls/1/args/0/index",
            "no argument 6",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["getpid"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
                {"names": ["getpid"], "action": "SCMP_ACT_TRAP", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}
            ]}"#
                .into(),
            "/linux/seccomp/syscalls/1",
            "rule 0",
        ),
    ] {
        let error = error(&json);
        assert_eq!(error.kind(), Kind::InvalidConfig, "{json}");
        assert_eq!(error.pointer(), Some(pointer), "{json}");
        assert!(error.to_string().contains(text), "{error} lacks {text:?}");
    }
}

#[test]
fn the_longest_program() {
    // Each value is one more comparison.
    let json = |values: u64| {
        let rules = (0..values).map(|value| {
            let argument = argument(0, "EQ", value, 0);
            format!(r#"{{"names": ["getpid"], "action": "SCMP_ACT_TRAP", "args": [{argument}]}}"#)
        });
        format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{}]}}"#, rules.collect::<Vec<_>>().join(","))
    };
    let program = program(&json(3900));
    assert!(program.instructions.len() > 3900);
    for value in [0, 1, 2000, 3899] {
        let call = Call { arch: X86_64, nr: 39, args: [value, 0, 0, 0, 0, 0] };
        assert_eq!(run(&program.instructions, &call).0, TRAP, "{value}");
    }
    let call = Call { arch: X86_64, nr: 39, args: [3900, 0, 0, 0, 0, 0] };
    assert_eq!(run(&program.instructions, &call).0, ALLOW);
    let error = error(&json(4100));
    assert_eq!(error.kind(), Kind::InvalidConfig);
    assert!(error.to_string().contains("BPF_MAXINSNS"), "{error}");
}

#[test]
fn bytes_are_those_of_the_kernel() {
    let program = program(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#);
    let bytes = program.bytes();
    assert_eq!(bytes.len(), program.instructions.len() * 8);
    // Load the architecture; compare it with that of x86_64.
    assert_eq!(bytes[..8], [0x20, 0, 0, 0, 4, 0, 0, 0]);
    assert_eq!([bytes[8], bytes[9]], [0x15, 0]);
    assert_eq!(bytes[12..16], X86_64.to_ne_bytes());
    assert_eq!(size_of::<insula_seccomp::Instruction>(), 8);
}

#[test]
fn features_are_sorted_and_accepted() {
    use insula_seccomp::features;
    let flags: Vec<_> = features::flags().map(|(word, _)| word).collect();
    let lists: [Vec<&str>; 5] = [
        features::actions().collect(),
        features::operators().collect(),
        features::architectures().collect(),
        features::system_calls().collect(),
        flags.clone(),
    ];
    for list in &lists {
        assert!(list.is_sorted_by(|a, b| a < b), "{list:?}");
    }
    assert_eq!(lists.each_ref().map(Vec::len)[..3], [9, 7, 18]);
    assert_eq!(flags.len(), 4);
    for name in &lists[3] {
        let json = format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
                "syscalls": [{{"names": ["{name}"], "action": "SCMP_ACT_TRAP"}}]}}"#
        );
        let empty = r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"]}"#;
        assert_ne!(program(&json), program(empty), "{name} does nothing");
    }
}
