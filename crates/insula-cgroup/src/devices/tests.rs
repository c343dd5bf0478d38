// SPDX-License-Identifier: Apache-2.0
//! The rule list against runc's words, the program against the model, v1's writes against the model.

use super::*;
use insula_error::Kind;
use insula_spec::Str;
use insula_sys::bpf::Instruction;

/// Numbers from a fixed seed, so that a failure can be repeated (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

const KINDS: [DeviceKind; 2] = [DeviceKind::Block, DeviceKind::Character];
/// Few enough to collide often, with the edges of masks and of the numbers themselves.
const NUMBERS: [u32; 14] = [0, 1, 2, 3, 4, 5, 7, 31, 32, 63, 64, 65, 200, u32::MAX];

/// Runs `program` as the kernel does for one access; panics on whatever the verifier would refuse here.
fn run(program: &[Instruction], kind: DeviceKind, major: u32, minor: u32, access: u8) -> bool {
    let device_type = if kind == DeviceKind::Block { 1 } else { 2 };
    let context = [u32::from(access) << 16 | device_type, major, minor];
    let mut registers: [Option<u64>; 10] = [None; 10];
    let mut at = 0;
    loop {
        let Instruction { code, registers: pair, offset, immediate } = program[at];
        let (destination, source) = (usize::from(pair & 15), usize::from(pair >> 4));
        let value = registers[destination];
        let operand = u64::from(immediate.cast_unsigned());
        at += 1;
        let word = |value: Option<u64>| value.expect("a register is read before it is written") as u32;
        let jumps = match code {
            0x61 => {
                assert_eq!(source, 1, "only the context is memory");
                registers[destination] = Some(u64::from(context[offset as usize / 4]));
                continue;
            }
            0x18 => {
                let high = u64::from(program[at].immediate.cast_unsigned());
                registers[destination] = Some(high << 32 | operand);
                at += 1;
                continue;
            }
            0xb4 => {
                registers[destination] = Some(operand);
                continue;
            }
            0xbc => {
                registers[destination] = Some(u64::from(word(registers[source])));
                continue;
            }
            0x54 => {
                registers[destination] = Some(u64::from(word(value)) & operand);
                continue;
            }
            0x74 => {
                registers[destination] = Some(u64::from(word(value)) >> operand);
                continue;
            }
            0x7f => {
                let distance = registers[source].unwrap();
                assert!(distance < 64, "a shift beyond the register");
                registers[destination] = Some(value.unwrap() >> distance);
                continue;
            }
            0x95 => return registers[0].unwrap() == 1,
            0x05 => true,
            0x16 => word(value) == operand as u32,
            0x56 => word(value) != operand as u32,
            0x46 => word(value) & operand as u32 != 0,
            0x26 => word(value) > operand as u32,
            0xa6 => word(value) < operand as u32,
            0xb6 => word(value) <= operand as u32,
            _ => panic!("operation {code:#x}"),
        };
        assert!(offset >= 0, "programs lead forward");
        if jumps {
            at += offset as usize;
        }
    }
}

/// Whether every instruction can be reached, which the kernel insists on.
fn is_all_reachable(program: &[Instruction]) -> bool {
    let mut reached = vec![false; program.len()];
    reached[0] = true;
    for at in 0..program.len() {
        if !reached[at] {
            return false;
        }
        let Instruction { code, offset, .. } = program[at];
        let next = at + 1 + offset as usize;
        match code {
            0x95 => {}
            0x05 => reached[next] = true,
            0x16 | 0x56 | 0x46 | 0x26 | 0xa6 | 0xb6 => {
                reached[next] = true;
                reached[at + 1] = true;
            }
            _ => reached[at + 1] = true,
        }
    }
    true
}

fn rule(
    allow: bool,
    kind: &'static str,
    major: Option<i64>,
    minor: Option<i64>,
    access: &'static str,
) -> DeviceRule<'static> {
    DeviceRule { allow, kind: Some(Str::from(kind)), major, minor, access: Some(Str::from(access)) }
}

fn random_rule(random: &mut Random) -> DeviceRule<'static> {
    let number = |random: &mut Random| match random.below(3) {
        0 => random.of(&[None, Some(-1)]),
        _ => Some(i64::from(random.of(&NUMBERS))),
    };
    let kind = if random.below(12) == 0 { "a" } else { random.of(&["b", "c", "c"]) };
    let access = random.of(&["r", "w", "m", "rw", "rm", "wm", "rwm", "rwm", "mwr"]);
    rule(random.below(2) == 0, kind, number(random), number(random), access)
}

/// A list that is accepted: rules that would make holes are left out.
fn random_rules(random: &mut Random) -> (Vec<DeviceRule<'static>>, DeviceRules) {
    let mut list = Vec::new();
    for _ in 0..random.below(24) {
        list.push(random_rule(random));
        if DeviceRules::new(&list).is_err() {
            list.pop();
        }
    }
    let rules = if random.below(2) == 0 { DeviceRules::for_container(&list, &[]) } else { DeviceRules::new(&list) };
    match rules {
        Ok(rules) => (list, rules),
        Err(_) => random_rules(random),
    }
}

/// runc's decision, told another way: the state of each single (device, access bits) exception is followed through the
/// list, with wildcards as numbers of their own.
fn oracle(list: &[DeviceRule<'_>], kind: DeviceKind, major: u32, minor: u32, access: u8) -> bool {
    let letter = if kind == DeviceKind::Block { "b" } else { "c" };
    let bits = |text: &str| {
        text.bytes().fold(0, |set, c| {
            set | match c {
                b'm' => 1,
                b'r' => 2,
                _ => 4,
            }
        })
    };
    let mut default = false;
    // (any major, any minor) -> access bits of the exception that would match this device
    let mut held = [[0_u8; 2]; 2];
    for rule in list {
        if rule.kind.as_deref() == Some("a") {
            default = rule.allow;
            held = [[0; 2]; 2];
            continue;
        }
        let any = |number: Option<i64>| number.is_none_or(|number| number == -1);
        let (any_major, any_minor) = (any(rule.major), any(rule.minor));
        let matches = rule.kind.as_deref() == Some(letter)
            && (any_major || rule.major == Some(i64::from(major)))
            && (any_minor || rule.minor == Some(i64::from(minor)));
        if matches {
            let cell = &mut held[usize::from(any_major)][usize::from(any_minor)];
            let asked = bits(rule.access.as_deref().unwrap());
            if rule.allow == default { *cell &= !asked } else { *cell |= asked }
        }
    }
    let excepted = held.iter().flatten().any(|set| *set != 0 && access & !set == 0);
    default != excepted
}

#[test]
fn the_program_decides_as_the_rules_do() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut allowed = 0_u32;
    let mut longest = 0;
    for _ in 0..4000 {
        let (list, rules) = random_rules(&mut random);
        let program = rules.program().unwrap();
        assert!(is_all_reachable(&program), "{list:?}");
        longest = longest.max(program.len());
        for _ in 0..60 {
            let (kind, access) = (random.of(&KINDS), 1 + random.below(7) as u8);
            let (major, minor) = (random.of(&NUMBERS), random.of(&NUMBERS));
            let decision = rules.decide(kind, major, minor, DeviceAccess::from_bits(access));
            let got = run(&program, kind, major, minor, access);
            assert_eq!(got, decision, "{kind:?} {major}:{minor} {access} with {list:?}");
            allowed += u32::from(decision);
        }
    }
    // both answers must have been asked for often
    assert!((40_000..200_000).contains(&allowed), "{allowed}");
    assert!(longest > 40, "{longest}");
}

#[test]
fn denying_a_part_denies_the_whole() {
    let list = [
        DeviceRule { allow: true, kind: Some("a".into()), ..DeviceRule::default() },
        DeviceRule { allow: false, kind: Some("c".into()), major: Some(1), minor: Some(5), access: Some("w".into()) },
    ];
    let rules = DeviceRules::new(&list).unwrap();
    let (read, write) = (DeviceAccess::READ, DeviceAccess::WRITE);
    let both = DeviceAccess::from_bits(read.bits() | write.bits());
    let program = rules.program().unwrap();
    for (access, allowed) in [(read, true), (write, false), (both, false)] {
        assert_eq!(rules.decide(DeviceKind::Character, 1, 5, access), allowed);
        assert_eq!(run(&program, DeviceKind::Character, 1, 5, access.bits()), allowed);
        assert!(rules.decide(DeviceKind::Character, 1, 3, access));
    }
}

#[test]
fn the_rules_decide_as_runc_does() {
    let mut random = Random(0x0bad_cafe_0bad_cafe);
    for _ in 0..4000 {
        let mut list = Vec::new();
        for _ in 0..random.below(24) {
            list.push(random_rule(&mut random));
            if DeviceRules::new(&list).is_err() {
                list.pop();
            }
        }
        let rules = DeviceRules::new(&list).unwrap();
        for _ in 0..60 {
            let (kind, access) = (random.of(&KINDS), 1 + random.below(7) as u8);
            let (major, minor) = (random.of(&NUMBERS), random.of(&NUMBERS));
            let decision = rules.decide(kind, major, minor, DeviceAccess::from_bits(access));
            // Where the default is to allow, what is asked for at once is allowed if each part of it is.
            let expected = if rules.default_allow {
                [1, 2, 4].iter().filter(|bit| access & **bit != 0).all(|bit| oracle(&list, kind, major, minor, *bit))
            } else {
                oracle(&list, kind, major, minor, access)
            };
            assert_eq!(decision, expected, "{kind:?} {major}:{minor} {access} {list:?}");
        }
    }
}

#[test]
fn v1_writes_lead_from_any_rules_to_any_others() {
    let mut random = Random(77);
    for _ in 0..2000 {
        let (_, old) = random_rules(&mut random);
        let (_, new) = random_rules(&mut random);
        let mut state = old.clone();
        for change in old.changes(&new) {
            if change.line == "a" {
                state = DeviceRules { default_allow: change.allow, exceptions: Vec::new() };
                continue;
            }
            let line = DeviceRules::parse_list(&change.line).unwrap().exceptions[0];
            if change.allow == state.default_allow {
                state.reduce(line.target, line.access);
            } else {
                state.except(line.target, line.access);
            }
            // no gap: what both allow by the same exception stays allowed on the way
            for kept in old.exceptions.iter().filter(|_| !old.default_allow && !new.default_allow) {
                let both = kept.access.intersection(new.access_of(kept.target));
                assert!(state.access_of(kept.target).contains(both));
            }
        }
        assert_eq!(state, new);
    }
}

#[test]
fn the_default_list_is_short() {
    let rules = DeviceRules::for_container(&[rule(false, "a", None, None, "rwm")], &[]).unwrap();
    let program = rules.program().unwrap();
    assert!(program.len() <= 24, "{} instructions", program.len());
    assert!(run(&program, DeviceKind::Character, 1, 3, 6) && !run(&program, DeviceKind::Character, 1, 1, 2));
    assert!(run(&program, DeviceKind::Block, 8, 0, 1) && !run(&program, DeviceKind::Block, 8, 0, 2));
    assert!(run(&program, DeviceKind::Character, 136, 77, 7) && run(&program, DeviceKind::Character, 10, 200, 7));
    let everything = DeviceRules::for_container(&[rule(true, "a", None, None, "rwm")], &[]).unwrap();
    assert!(everything.allow_all());
    assert_eq!(everything.program().unwrap().len(), 2);
}

#[test]
fn a_node_of_the_same_path_replaces_the_default() {
    let node = Device { path: Str::from("/dev/null"), kind: Str::from("c"), major: 5, minor: 5, ..Device::default() };
    let rules = DeviceRules::for_container(&[], &[node]).unwrap();
    assert!(!rules.decide(DeviceKind::Character, 1, 3, DeviceAccess::READ));
    assert!(!rules.decide(DeviceKind::Character, 5, 5, DeviceAccess::READ), "COMPAT(runc): the node gets no rule");
    assert!(rules.decide(DeviceKind::Character, 1, 5, DeviceAccess::READ));
}

#[test]
fn holes_in_wildcards_are_refused() {
    let list = [rule(true, "c", Some(1), None, "rw"), rule(false, "c", Some(1), Some(3), "w")];
    let error = DeviceRules::new(&list).unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (Kind::InvalidConfig, Some("/linux/resources/devices/1")));
    assert!(error.to_string().contains("c 1:3 w would make a hole in the wildcard rule c 1:* rw"), "{error}");
    assert!(DeviceRules::new(&[list[0].clone(), rule(false, "c", Some(1), Some(3), "m")]).is_ok());
    // denying a list's own wildcard is no hole
    assert!(DeviceRules::new(&[list[0].clone(), rule(false, "c", Some(1), None, "w")]).is_ok());
}

#[test]
fn malformed_rules_name_their_property() {
    let cases = [
        (rule(true, "p", None, None, "r"), "/linux/resources/devices/0/type"),
        (rule(true, "c", Some(-2), None, "r"), "/linux/resources/devices/0/major"),
        (rule(true, "c", None, Some(1 << 32), "r"), "/linux/resources/devices/0/minor"),
        (rule(true, "c", None, None, "rx"), "/linux/resources/devices/0/access"),
        (rule(true, "c", None, None, ""), "/linux/resources/devices/0/access"),
    ];
    for (rule, pointer) in cases {
        let error = DeviceRules::new(&[rule]).unwrap_err();
        assert_eq!((error.kind(), error.pointer()), (Kind::InvalidConfig, Some(pointer)));
    }
}

#[test]
fn lists_are_read_as_the_kernel_writes_them() {
    let rules = DeviceRules::parse_list("c 1:3 rwm\nb *:* m\nc 136:* rw\n").unwrap();
    assert!(rules.decide(DeviceKind::Character, 136, 9, DeviceAccess::READ));
    assert!(!rules.decide(DeviceKind::Block, 1, 3, DeviceAccess::READ));
    assert!(DeviceRules::parse_list("a *:* rwm\n").unwrap().allow_all());
    for torn in ["d 1:3 r", "c 1 r", "c 1:3 x", "c 1:3 r more", ""] {
        assert!(torn.is_empty() == DeviceRules::parse_list(torn).is_some(), "{torn:?}");
    }
}
