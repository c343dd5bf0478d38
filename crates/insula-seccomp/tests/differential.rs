// SPDX-License-Identifier: Apache-2.0
//! The same profiles through this crate and through libseccomp, used as runc uses it: the same answer to every call.
//!
//! Needs libseccomp (Debian: libseccomp-dev); run with `cargo test -p insula-seccomp --features differential`.
//! Allowed differences: names that the installed libseccomp does not know, or knows with another number on some ABI
//! (its tables are older), are left out of the compared profiles; profiles that it refuses are not compared, but
//! counted.
#![cfg(all(feature = "differential", target_arch = "x86_64"))]

mod docker_like;
mod interpreter;
mod libseccomp;
mod meaning;
mod random;

use insula_spec::{Seccomp, Syscall};
use interpreter::{Call, I386, X32_BIT, X86_64, call, check, run};
use libseccomp::Reference;
use meaning::{ABIS, answer, number};
use random::Random;

/// Number of random profiles.
const PROFILES: u64 = 200;

/// Values around which comparisons change their answer, for each value in the profile.
fn boundaries(profile: &Seccomp<'_>) -> Vec<u64> {
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

/// Numbers of every ABI, and some that no ABI has.
fn numbers() -> impl Iterator<Item = (u32, u32)> {
    let x86_64 = (0..1000).chain([0x3fff_ffff, 0x7fff_ffff, 0x8000_0000, 0xbfff_ffff, 0xc000_0000, 0xffff_fffe, u32::MAX]);
    let x32 = (0..1000).map(|number| number + X32_BIT);
    let i386 = (0..1000).chain([X32_BIT, 0x8000_0000, u32::MAX]);
    let others = [0xc000_00b7, 0x4000_0028, 0].map(|arch| (arch, 1));
    x86_64.chain(x32).map(|nr| (X86_64, nr)).chain(i386.map(|nr| (I386, nr))).chain(others)
}

/// Compares all answers: the number of calls that were compared, or the first difference.
fn compare(profile: &Seccomp<'_>, reference: &Reference, random: &mut Random) -> Result<usize, String> {
    let program = insula_seccomp::compile(profile).expect("it compiles").expect("it has a default action");
    check(&program.instructions);
    let values = boundaries(profile);
    let mut compared = 0;
    for (arch, nr) in numbers() {
        let mut calls = vec![[0; 6]];
        let checked = reference.looks_at_arguments(arch, nr);
        if checked {
            for &value in &values {
                calls.extend((0..6).map(|index| {
                    let mut args = [0; 6];
                    args[index] = value;
                    args
                }));
                calls.push([value; 6]);
            }
            let any = |random: &mut Random| random.pick(&values);
            calls.extend((0..200).map(|_| std::array::from_fn(|_| any(random))));
            // The calls of socketcall and ipc, with other arguments.
            calls.extend((0..30).map(|call| [call, any(random), any(random), any(random), any(random), any(random)]));
        }
        for args in calls {
            let call = Call { arch, nr, args };
            let (ours, _) = run(&program.instructions, &call);
            let (meant, matching) = answer(profile, &call);
            if ours != meant {
                return Err(format!("ours {ours:#x}, meant {meant:#x}: {call:x?} by {matching:x?}"));
            }
            let theirs = match reference.verdict(&call) {
                Ok(theirs) if theirs != ours && !matching.is_empty() && matching.iter().all(|rule| is_lost(rule)) => continue,
                Ok(theirs) => theirs,
                Err(_) => continue,
            };
            if ours != theirs {
                eprintln!("{}", reference.dump(&call));
                return Err(format!("ours {ours:#x}, libseccomp {theirs:#x}: {call:x?} by {matching:x?}"));
            }
            compared += 1;
        }
    }
    Ok(compared)
}

/// Whether libseccomp lost a rule: it does so with one of several conditions that bounds a 64-bit argument, if another
/// rule's bound on that argument already decides for some values of the upper half.
fn is_lost(rule: &Syscall<'_>) -> bool {
    rule.args.len() > 1 && rule.args.iter().any(|condition| ["LT", "LE", "GT", "GE"].contains(&&condition.op[9..]))
}

#[test]
fn the_tables_agree() {
    let mut compared = 0;
    let mut older = Vec::new();
    for name in insula_seccomp::features::system_calls() {
        for abi in ABIS {
            match libseccomp::number(abi, name) {
                Some(theirs @ 0..) => {
                    assert_eq!(number(abi, name), Some(theirs as u32), "{name} on {abi:?}");
                    compared += 1;
                }
                Some(-299..=-100) => {}
                _ => older.extend(number(abi, name).map(|nr| (nr & !X32_BIT, name, abi))),
            }
        }
    }
    println!("{compared} numbers agree; unknown to this libseccomp: {older:?}");
    assert!(compared > 1000, "{compared} numbers compared");
}

#[test]
fn a_profile_like_dockers() {
    let mut profile = docker_like::profile();
    for rule in &mut profile.syscalls {
        rule.names.retain(|name| libseccomp::agrees(name));
    }
    let reference = Reference::new(&profile).expect("libseccomp takes it");
    let compared = compare(&profile, &reference, &mut Random::new(1)).expect("the same answers");
    assert!(compared > 10_000, "{compared} calls compared");
}

#[test]
fn random_profiles() {
    let names: Vec<_> = insula_seccomp::features::system_calls().filter(|name| libseccomp::agrees(name)).collect();
    assert!(names.len() > 400, "{} names in common", names.len());
    let (mut compared, mut refused, mut differences) = (0, 0, Vec::new());
    for seed in 0..PROFILES {
        let mut random = Random::new(seed);
        let profile = random.profile(&names);
        match Reference::new(&profile) {
            Ok(reference) => match compare(&profile, &reference, &mut random) {
                Ok(calls) => compared += calls,
                Err(difference) => differences.push(format!("profile {seed}: {difference}")),
            },
            Err(_) => refused += 1,
        }
    }
    println!("{compared} calls compared, {refused} profiles refused by libseccomp");
    assert!(differences.is_empty(), "{} profiles differ:\n{}", differences.len(), differences.join("\n"));
    assert!(refused < PROFILES / 4, "libseccomp refused {refused} profiles");
    assert!(compared > 1_000_000, "{compared} calls compared");
}
