// SPDX-License-Identifier: Apache-2.0
//! Random profiles: the program answers every call as the profile means it, told rule by rule.
#![cfg(target_arch = "x86_64")]

mod interpreter;
mod meaning;
mod random;

use interpreter::{Call, I386, X32_BIT, X86_64, check, run};
use meaning::Meaning;
use random::Random;

#[test]
fn programs_mean_what_profiles_mean() {
    let names: Vec<_> = insula_seccomp::features::system_calls().collect();
    let (mut checked, mut longest, mut refused) = (0, 0, 0);
    for seed in 1000..1100 {
        let mut random = Random::new(seed);
        let profile = random.profile(&names, false);
        let program = match insula_seccomp::compile(&profile) {
            Ok(program) => program.expect("it has a default action"),
            // Two unconditional rules for a call of socketcall, say.
            Err(error) => {
                assert!(error.to_string().contains("another action"), "{error}");
                refused += 1;
                continue;
            }
        };
        check(&program.instructions);
        longest = longest.max(program.instructions.len());
        let meaning = Meaning::new(&profile);
        let values = random::boundaries(&profile);
        for (arch, nr) in (0..600).flat_map(|nr| [(X86_64, nr), (X86_64, nr | X32_BIT), (I386, nr)]) {
            let calls = if meaning.looks_at_arguments(arch, nr) { 300 } else { 1 };
            for _ in 0..calls {
                let mut args = std::array::from_fn(|_| random.pick(&values));
                if random.below(2) == 0 {
                    // The calls of socketcall and ipc.
                    args[0] = random.below(30) as u64;
                }
                let call = Call { arch, nr, args };
                let (answer, _) = run(&program.instructions, &call);
                if let (Some(meant), matching) = meaning.answer(&call) {
                    assert_eq!(answer, meant, "profile {seed}, {call:x?}, matched by {matching:x?}");
                    checked += 1;
                }
            }
        }
    }
    println!(
        "{checked} calls checked, {refused} profiles contradict themselves, the longest program has {longest} instructions"
    );
    assert!(checked > 500_000, "{checked} calls checked");
    assert!(refused < 20, "{refused} profiles refused");
    // Long enough that jumps need stepping stones.
    assert!(longest > 700, "{longest} instructions at most");
}
