// SPDX-License-Identifier: Apache-2.0
//! The program that attacks: tests/hostile/hostile.c, static.

use crate::{Bundle, eventually};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Where it was built.
pub fn hostile() -> &'static Path {
    Path::new(env!("INSULA_HOSTILE"))
}

impl Bundle {
    /// Puts it into the root file system as `/hostile`.
    #[track_caller]
    pub fn hostile(&mut self) -> &mut Self {
        fs::copy(hostile(), self.rootfs().join("hostile")).expect("copy the hostile program");
        self
    }

    /// Adds capabilities to the bounding, effective and permitted sets.
    #[track_caller]
    pub fn capabilities(&mut self, names: &[&str]) -> &mut Self {
        for set in ["bounding", "effective", "permitted"] {
            for name in names {
                self.push(&format!("/process/capabilities/{set}"), crate::json!(name));
            }
        }
        self
    }
}

/// How long a race goes on, in the short form of the tests as well.
const RACE: Duration = Duration::from_secs(10);

/// Rounds of a race, as many as fit into ten seconds.
pub fn race() -> impl Iterator<Item = usize> {
    let end = Instant::now() + RACE;
    (0..).take_while(move |_| Instant::now() < end)
}

/// Does `disturb` without pause, with the number of the round, while `attacked` runs; what that returns.
#[track_caller]
pub fn while_disturbing<T>(disturb: impl Fn(usize) + Sync, attacked: impl FnOnce() -> T) -> T {
    // Ends the other thread also where an assertion fails.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (stop, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let stopping = Stop(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                disturb(rounds.load(Ordering::Relaxed));
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        eventually("the race's begin", || (rounds.load(Ordering::Relaxed) > 10).then_some(()));
        let result = attacked();
        drop(stopping);
        result
    })
}

/// Exchanges the two names without pause while `attacked` runs.
#[track_caller]
pub fn while_exchanging<T>(one: &Path, other: &Path, attacked: impl FnOnce() -> T) -> T {
    let exchange = |_| {
        // Whoever is attacked may remove one of them.
        let _gone = renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE);
    };
    while_disturbing(exchange, attacked)
}

/// Whether this is the long form, of minutes rather than seconds (`INSULA_LONG`).
pub fn long() -> bool {
    std::env::var_os("INSULA_LONG").is_some()
}
