// SPDX-License-Identifier: Apache-2.0
//! SIGKILL at a random moment of `create`, one `delete --force`, and what is left then: for insula and its peers.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::leftovers::Leftovers;
use crate::bench::contest::furnish;
use crate::bench::subject::{Payload, Place, Subject};
use crate::shell::target;

/// How long a runtime has to take away what it is still taking away.
const SETTLE: Duration = Duration::from_secs(2);

/// A small generator (xorshift64*), with the same numbers for every runtime.
struct Random(u64);

impl Random {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = u32::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32).unwrap_or(0);
        f64::from(number) / f64::from(u32::MAX)
    }
}

/// What came of one runtime's rounds.
#[derive(Default)]
struct Tally {
    hit: usize,
    cgroups: usize,
    processes: usize,
    states: usize,
    mounts: usize,
    failed: usize,
}

/// The table of all runtimes that can create a container in this view.
pub(crate) fn hold(view: &str, rounds: usize, dir: &Path) -> Result<String, String> {
    let place = furnish(view, dir, &target())?;
    let mut text = String::from(
        "| runtime | rounds | killed in `create` | rounds that left cgroups | processes | states | mounts | `delete --force` failed |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let mut notes = String::new();
    for subject in Subject::all(&target()).into_iter().filter(|subject| subject.name != "floor") {
        eprintln!("killing {}", subject.name);
        match rehearse(&subject, &place) {
            Ok(median) => {
                let Tally { hit, cgroups, processes, states, mounts, failed } = row(&subject, &place, median, rounds)?;
                let name = &subject.name;
                let _ = writeln!(
                    text,
                    "| {name} | {rounds} | {hit} | {cgroups} | {processes} | {states} | {mounts} | {failed} |"
                );
            }
            Err(reason) => {
                let _ = writeln!(notes, "\n{} does not create the default container here: {reason}", subject.name);
            }
        }
    }
    Ok(text + &notes)
}

fn spawn(words: &[String], quiet: bool) -> Result<Child, String> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(if quiet { Stdio::null() } else { Stdio::inherit() });
    command.spawn().map_err(|error| format!("{}: {error}", words[0]))
}

fn succeeds(words: &[String]) -> Result<bool, String> {
    Ok(spawn(words, true)?.wait().map_err(|error| error.to_string())?.success())
}

/// How long a `create` takes, the median of some.
fn rehearse(subject: &Subject, place: &Place) -> Result<Duration, String> {
    let mut times = Vec::new();
    for index in 0..15 {
        let id = format!("soak-{}-rehearsal-{index}", std::process::id());
        let started = Instant::now();
        let created = spawn(&subject.create(place, &id, Payload::Waits), false)?.wait().map_err(|e| e.to_string())?;
        times.push(started.elapsed());
        succeeds(&subject.delete_force(place, &id))?;
        Leftovers::of(&id, &subject.state(place)).sweep();
        if !created.success() {
            return Err(format!("{created}"));
        }
    }
    times.sort();
    Ok(times[times.len() / 2])
}

fn mounts() -> usize {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines().count()
}

fn row(subject: &Subject, place: &Place, median: Duration, rounds: usize) -> Result<Tally, String> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut tally = Tally::default();
    for index in 0..rounds {
        let id = format!("soak-{}-{index}x", std::process::id());
        let before = mounts();
        let mut create = spawn(&subject.create(place, &id, Payload::Waits), true)?;
        std::thread::sleep(median.mul_f64(random.next() * 1.15));
        // It may have ended already.
        let _ended = create.kill();
        let status = create.wait().map_err(|error| error.to_string())?;
        tally.hit += usize::from(status.code().is_none());
        tally.failed += usize::from(!succeeds(&subject.delete_force(place, &id))?);
        let deadline = Instant::now() + SETTLE;
        let mut left = Leftovers::of(&id, &subject.state(place));
        while !left.is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
            left = Leftovers::of(&id, &subject.state(place));
        }
        tally.cgroups += usize::from(!left.cgroups.is_empty());
        tally.processes += usize::from(!left.processes.is_empty());
        tally.states += usize::from(!left.states.is_empty());
        tally.mounts += usize::from(mounts() > before);
        left.sweep();
    }
    Ok(tally)
}
