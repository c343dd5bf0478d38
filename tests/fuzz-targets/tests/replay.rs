// SPDX-License-Identifier: Apache-2.0
//! The committed corpus, and some seconds of mutations of it: libFuzzer without coverage, on stable Rust.
//!
//! `INSULA_FUZZ_SECONDS` is how long each target is tried, 3 by default; the mutations are the same in every run.

use insula_fuzz_targets::{TARGETS, target};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A small generator (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as usize
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() % limit.max(1)
    }

    /// Changes `bytes` in one of the ways that libFuzzer does.
    fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        const ODD: [&[u8]; 12] =
            [b"\"", b"\\u0000", b"{", b"[", b"null", b"-1", b"4294967295", b"1e99", b"..", b"/", b"\0", b"\xff\xfe"];
        let at = self.below(bytes.len() + 1);
        let end = (at + 1 + self.below(8)).min(bytes.len());
        match self.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.next() as u8,
            2 => drop(bytes.drain(at..end.max(at))),
            3 => drop(bytes.splice(at..at, ODD[self.below(ODD.len())].iter().copied())),
            4 if !other.is_empty() => {
                let from = self.below(other.len());
                let until = (from + 1 + self.below(64)).min(other.len());
                drop(bytes.splice(at..end.max(at), other[from..until].iter().copied()));
            }
            5 if at < end => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            6 => bytes.truncate(at),
            _ => bytes.push(self.next() as u8),
        }
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("list the corpus").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", directory.display());
    paths.iter().map(|path| fs::read(path).expect("read an input")).collect()
}

fn replay(name: &str) {
    let fuzz = target(name);
    let corpus = corpus(name);
    for input in &corpus {
        fuzz(input);
    }
    let seconds = std::env::var("INSULA_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut tried = 0_u64;
    while Instant::now() < deadline {
        let mut input = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(6) {
            let other = random.below(corpus.len());
            random.mutate(&mut input, &corpus[other]);
        }
        // The input at fault is in the message.
        let passed = std::panic::catch_unwind(|| fuzz(&input)).is_ok();
        assert!(passed, "target {name} fails after {tried} inputs on {:?}", String::from_utf8_lossy(&input));
        tried += 1;
    }
    println!("{name}: {} inputs of the corpus, {tried} mutations", corpus.len());
    assert!(tried > 10, "only {tried} inputs in {seconds} s");
}

#[test]
fn config() {
    replay("config");
}

#[test]
fn record() {
    replay("record");
}

#[test]
fn steps() {
    replay("steps");
}

#[test]
fn command_line() {
    replay("command_line");
}

#[test]
fn annotations() {
    replay("annotations");
}

#[test]
fn answers() {
    replay("answers");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn seccomp() {
    replay("seccomp");
}

#[test]
#[cfg(all(target_arch = "x86_64", feature = "libseccomp"))]
fn libseccomp() {
    replay("libseccomp");
}

/// Every target is one that libFuzzer knows, too.
#[test]
fn every_target_has_its_program() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    for (name, _) in TARGETS {
        let text = fs::read_to_string(programs.join(format!("{name}.rs"))).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(text.contains(&format!("\"{name}\"")), "{name}");
    }
}
