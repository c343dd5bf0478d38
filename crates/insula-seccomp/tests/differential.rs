// SPDX-License-Identifier: Apache-2.0
//! The same profiles through this crate and through libseccomp, used as runc uses it: the same answer to every call.
//!
//! Needs libseccomp (Debian: libseccomp-dev); run with `cargo test -p insula-seccomp --features differential`.
//! Allowed differences, each told at the function that finds it:
//! - Names that the installed libseccomp does not know, or knows with another number on some ABI (its tables are
//!   older), are left out of the compared profiles (`agrees`).
//! - Profiles that it refuses are counted and not compared.
//! - Its program is wrong in itself: a comparison that depends on the way to it (`ambiguous`).
//! - It mixes up rules that bound one 64-bit argument (`mixed_up`).
//! - Of rules with different actions that match one call, a test with a mask may come earlier or later (`unordered`).
//!
//! Where libseccomp is no judge, the answer is still compared with what the profile means, rule by rule.
#![cfg(all(feature = "differential", target_arch = "x86_64"))]

mod docker_like;
mod engine_profile;
mod interpreter;
mod libseccomp;
mod meaning;
mod random;

use insula_spec::Seccomp;
use interpreter::{Call, I386, X32_BIT, X86_64, check, run};
use libseccomp::{Reference, mixed_up, unordered};
use meaning::{ABIS, Meaning, number};
use random::Random;

/// Number of random profiles without conflicts, and with.
const PROFILES: u64 = 200;

/// Numbers of every ABI, and some that no ABI has.
fn numbers() -> impl Iterator<Item = (u32, u32)> {
    let x86_64 =
        (0..1000).chain([0x3fff_ffff, 0x7fff_ffff, 0x8000_0000, 0xbfff_ffff, 0xc000_0000, 0xffff_fffe, u32::MAX]);
    let x32 = (0..1000).map(|number| number + X32_BIT);
    let i386 = (0..1000).chain([X32_BIT, 0x8000_0000, u32::MAX]);
    let others = [0xc000_00b7, 0x4000_0028, 0].map(|arch| (arch, 1));
    x86_64.chain(x32).map(|nr| (X86_64, nr)).chain(i386.map(|nr| (I386, nr))).chain(others)
}

/// Numbers of calls for which libseccomp was asked, and for which it is no judge.
#[derive(Debug, Default)]
struct Counts {
    compared: usize,
    passed_over: usize,
}

/// Compares all answers; stops with the first difference.
fn compare(
    profile: &Seccomp<'_>,
    reference: &Reference,
    random: &mut Random,
    counts: &mut Counts,
) -> Result<(), String> {
    let program = insula_seccomp::compile(profile).expect("it compiles").expect("it has a default action");
    check(&program.instructions);
    let meaning = Meaning::new(profile);
    let values = random::boundaries(profile);
    for (arch, nr) in numbers() {
        let mut calls = vec![[0; 6]];
        let mixed_up = mixed_up(&meaning, arch, nr);
        if meaning.looks_at_arguments(arch, nr) {
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
            let (meant, matching) = meaning.answer(&call);
            if meant.is_some_and(|meant| ours != meant) {
                return Err(format!("ours {ours:#x}, meant {meant:x?}: {call:x?} by {matching:x?}"));
            }
            match reference.verdict(&call) {
                Ok(theirs) if !(mixed_up || unordered(meant, &matching)) => {
                    if ours != theirs {
                        return Err(format!("ours {ours:#x}, libseccomp {theirs:#x}: {call:x?} by {matching:x?}"));
                    }
                    counts.compared += 1;
                }
                _ => counts.passed_over += 1,
            }
        }
    }
    Ok(())
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
    let mut counts = Counts::default();
    compare(&profile, &reference, &mut Random::new(1), &mut counts).expect("the same answers");
    assert!(counts.compared > 5_000 && counts.passed_over == 0, "{counts:?}");
}

/// Compares a profile in the form that engines keep, for an ordinary container and for one with many capabilities.
fn compare_engine_profile(text: &str) {
    for capabilities in [engine_profile::ORDINARY, engine_profile::PRIVILEGED] {
        let section = engine_profile::section(text, capabilities);
        let mut profile: Seccomp<'_> = serde_json::from_str(&section).expect("a section of a document");
        for rule in &mut profile.syscalls {
            rule.names.retain(|name| libseccomp::agrees(name) || insula_seccomp_knows_not(name));
        }
        let reference = Reference::new(&profile).expect("libseccomp takes it");
        let mut counts = Counts::default();
        compare(&profile, &reference, &mut Random::new(1), &mut counts).expect("the same answers");
        println!("{counts:?}");
        assert!(counts.compared > 5_000 && counts.passed_over == 0, "{counts:?}");
    }
}

/// A name of another architecture's calls, which both pass over.
fn insula_seccomp_knows_not(name: &str) -> bool {
    !insula_seccomp::features::system_calls().any(|known| known == name)
}

/// Podman's own default profile, from the Debian package that it needs (packages.apt).
#[test]
fn podmans_default_profile() {
    let path = "/usr/share/containers/seccomp.json";
    compare_engine_profile(&std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}")));
}

/// Docker's default profile as its source has it, or any other in that form:
/// `INSULA_PROFILE=default.json cargo test -p insula-seccomp --features differential given -- --ignored`
#[test]
#[ignore = "the file is not part of insula"]
fn a_given_profile() {
    let path = std::env::var("INSULA_PROFILE").expect("INSULA_PROFILE names a file");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    compare_engine_profile(&text);
    // And what stands for Docker's in the tests answers as it does.
    let section = engine_profile::section(&text, engine_profile::ORDINARY);
    let docker: Seccomp<'_> = serde_json::from_str(&section).expect("a section of a document");
    let programs = [&docker, &docker_like::profile()].map(|profile| {
        insula_seccomp::compile(profile).expect("it compiles").expect("it has a default action").instructions
    });
    let values = random::boundaries(&docker);
    for (arch, nr) in numbers() {
        for value in &values {
            for index in 0..6 {
                let mut args = [0; 6];
                args[index] = *value;
                let call = Call { arch, nr, args };
                let [theirs, ours] = [0, 1].map(|which| run(&programs[which], &call).0);
                assert_eq!(theirs, ours, "{call:x?}");
            }
        }
    }
}

fn compare_random_profiles(conflicts: bool) {
    let names: Vec<_> = insula_seccomp::features::system_calls().filter(|name| libseccomp::agrees(name)).collect();
    assert!(names.len() > 400, "{} names in common", names.len());
    let (mut counts, mut refused, mut differences) = (Counts::default(), 0, Vec::new());
    for seed in 0..PROFILES {
        let mut random = Random::new(seed);
        let profile = random.profile(&names, conflicts);
        match Reference::new(&profile) {
            Ok(reference) => {
                if let Err(difference) = compare(&profile, &reference, &mut random, &mut counts) {
                    differences.push(format!("profile {seed}: {difference}"));
                }
            }
            Err(_) => refused += 1,
        }
    }
    println!("{counts:?}, {refused} profiles refused by libseccomp");
    assert!(differences.is_empty(), "{} profiles differ:\n{}", differences.len(), differences.join("\n"));
    assert!(refused < PROFILES / 4, "libseccomp refused {refused} profiles");
    assert!(counts.compared > 1_000_000 && counts.passed_over < counts.compared / 10, "{counts:?}");
}

#[test]
fn random_profiles() {
    compare_random_profiles(false);
}

#[test]
fn random_profiles_with_conflicts() {
    compare_random_profiles(true);
}
