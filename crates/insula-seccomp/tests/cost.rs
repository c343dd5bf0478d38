// SPDX-License-Identifier: Apache-2.0
//! What a filter costs: its length, and how far calls go through it.
#![cfg(target_arch = "x86_64")]

mod docker_like;
mod interpreter;

use interpreter::{I386, X32_BIT, X86_64, call, check, run};
use std::time::Instant;

#[test]
fn a_common_profile_is_short() {
    let program = insula_seccomp::compile(&docker_like::profile()).unwrap().unwrap();
    check(&program.instructions);
    let steps = |arch, base: u32| {
        (base..base + 500).map(|nr| run(&program.instructions, &call(arch, nr)).1.len()).sum::<usize>()
    };
    let steps = [steps(X86_64, 0), steps(I386, 0), steps(X86_64, X32_BIT)];
    println!("{} instructions; steps of 500 calls on x86_64, i386, x32: {steps:?}", program.instructions.len());
    assert!(program.instructions.len() <= 400);
    assert!(steps.iter().all(|&steps| steps < 500 * 13));
}

/// `cargo test --release -p insula-seccomp --test cost -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
fn compile_time() {
    let profile = docker_like::profile();
    let mut times: Vec<_> = (0..2001)
        .map(|_| {
            let start = Instant::now();
            let program = insula_seccomp::compile(&profile);
            let time = start.elapsed();
            assert!(program.is_ok_and(|program| program.is_some()));
            time
        })
        .collect();
    let first = times[0];
    times.sort_unstable();
    println!("first {first:?}, least {:?}, median {:?}", times[0], times[times.len() / 2]);
    assert!(times[times.len() / 2].as_micros() < 150);
}
