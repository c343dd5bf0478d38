// SPDX-License-Identifier: Apache-2.0
//! Many containers running, and others created and deleted at a steady rate by several callers at once: nothing fails,
//! the time of each does not grow, and nothing is left of it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::leftovers::Leftovers;
use crate::bench::contest::furnish;
use crate::bench::subject::{Payload, Place, Subject};
use crate::shell::target;

/// Callers at the same time.
const CALLERS: usize = 8;

/// How much.
pub(crate) struct Load {
    /// Containers that run all the time.
    pub(crate) running: usize,
    /// Containers that are created and deleted each second.
    pub(crate) rate: usize,
    /// For how long.
    pub(crate) seconds: usize,
}

impl Default for Load {
    fn default() -> Self {
        Self { running: 500, rate: 50, seconds: 300 }
    }
}

impl Load {
    /// For this program's other self.
    pub(crate) fn words(&self) -> Vec<String> {
        [self.running, self.rate, self.seconds].map(|number| number.to_string()).to_vec()
    }
}

/// What the kernel counts.
struct Counts {
    descriptors: u64,
    mounts: u64,
    cgroups: u64,
    /// KiB
    memory: u64,
}

impl Counts {
    fn take() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let number = |text: &str| text.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or(0);
        let field = |text: &str, name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map_or(0, number);
        let memory = read("/proc/meminfo");
        Self {
            descriptors: number(&read("/proc/sys/fs/file-nr")),
            mounts: read("/proc/self/mountinfo").lines().count() as u64,
            cgroups: count(Path::new("/sys/fs/cgroup")),
            // What cannot be given back: the page cache comes and goes.
            memory: field(&memory, "AnonPages:") + field(&memory, "SUnreclaim:") + field(&memory, "KernelStack:"),
        }
    }
}

fn count(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    dirs.map(|entry| 1 + count(&entry.path())).sum()
}

fn perform(words: &[String]) -> Result<(), String> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().map_err(|error| format!("{}: {error}", words[0]))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", words.join(" "))) }
}

/// Loads insula, and renders what came of it.
pub(crate) fn hold(view: &str, load: &Load, dir: &Path) -> Result<String, String> {
    let place = furnish(view, dir, &target())?;
    let subjects = Subject::all(&target());
    let insula = subjects.iter().find(|subject| subject.name == "insula").ok_or("insula is not built")?;
    let id = |kind: &str, index: usize| format!("load-{}-{kind}-{index}", std::process::id());
    // Whatever the first one alone makes (caches, directories) is no leak.
    life(insula, &place, &id("first", 0))?;
    let before = Counts::take();
    for index in 0..load.running {
        let name = id("stays", index);
        perform(&insula.create_plainly(&place, &name, Payload::Waits))?;
        perform(&insula.start(&place, &name))?;
    }
    let measured = work(insula, &place, load, &id);
    for index in 0..load.running {
        perform(&insula.delete_force(&place, &id("stays", index)))?;
    }
    // Teardown of namespaces goes on in the background.
    std::thread::sleep(Duration::from_secs(5));
    let after = Counts::take();
    let own = Leftovers::of(&format!("load-{}-", std::process::id()), &insula.state(&place));
    let states = fs::read_dir(insula.state(&place)).map_or(0, Iterator::count);
    let left = format!(
        "Of these containers {} cgroups, {} processes and {states} states are left.\n",
        own.cgroups.len(),
        own.processes.len()
    );
    Ok(render(load, &measured?, (&before, &after)) + &left)
}

/// Creates, starts and deletes one.
fn life(insula: &Subject, place: &Place, name: &str) -> Result<(), String> {
    perform(&insula.create_plainly(place, name, Payload::Waits))?;
    perform(&insula.start(place, name))?;
    perform(&insula.delete_force(place, name))
}

/// When each life began, in seconds, and how long it took.
type Samples = Vec<(f64, Duration)>;

/// How many lives had ended at a moment, and the processor time of all commands until then.
#[derive(Clone, Copy, Default)]
struct Mark {
    lives: usize,
    /// Milliseconds of this program's children, which are the commands; the containers' own processes are not.
    processor: f64,
}

impl Mark {
    fn set(lives: &AtomicUsize) -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // cutime and cstime, fields 16 and 17 of proc(5), in hundredths of a second; the name, in parentheses, is the second.
        let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').skip(13).take(2);
        let ticks: usize = fields.filter_map(|field| field.parse::<usize>().ok()).sum();
        Self { lives: lives.load(Ordering::Relaxed), processor: float(ticks) * 10.0 }
    }

    /// Processor time of a life between `earlier` and this, in milliseconds.
    fn since(self, earlier: Self) -> f64 {
        (self.processor - earlier.processor) / float(self.lives.saturating_sub(earlier.lives).max(1))
    }
}

/// What was measured while the load was on.
struct Measured {
    samples: Samples,
    failures: Vec<String>,
    /// At the beginning, after the first minute, before the last minute, at the end.
    marks: [Mark; 4],
}

/// The first and the last of these seconds are compared.
fn part(load: &Load) -> f64 {
    (float(load.seconds) / 2.0).min(60.0)
}

fn work(
    insula: &Subject,
    place: &Place,
    load: &Load,
    id: &(dyn Fn(&str, usize) -> String + Sync),
) -> Result<Measured, String> {
    let (next, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (begun, total) = (Instant::now(), load.rate * load.seconds);
    let caller = || {
        let (mut samples, mut failures) = (Vec::new(), Vec::new());
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let due = Duration::from_secs(1) * u32::try_from(index).unwrap_or(u32::MAX)
                / u32::try_from(load.rate).unwrap_or(1);
            // A machine that is too slow makes fewer, in the same time.
            if index >= total || begun.elapsed() > Duration::from_secs(load.seconds as u64) {
                return (samples, failures);
            }
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
            let started = Instant::now();
            failures.extend(life(insula, place, &id("goes", index)).err());
            samples.push(((started - begun).as_secs_f64(), started.elapsed()));
            ended.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut marks = [Mark::set(&ended); 4];
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(caller)).collect();
        for (mark, at) in marks[1..].iter_mut().zip([part(load), float(load.seconds) - part(load)]) {
            std::thread::sleep(Duration::from_secs_f64(at).saturating_sub(begun.elapsed()));
            *mark = Mark::set(&ended);
        }
        let (mut samples, mut failures) = (Vec::new(), Vec::new());
        for one in callers {
            let (some, failed) = one.join().map_err(|_| "a caller panicked")?;
            samples.extend(some);
            failures.extend(failed);
        }
        marks[3] = Mark::set(&ended);
        Ok(Measured { samples, failures, marks })
    })
}

fn float(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Milliseconds, the middle one.
fn median(samples: impl Iterator<Item = Duration>) -> f64 {
    let mut times: Vec<Duration> = samples.collect();
    times.sort();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

fn render(load: &Load, measured: &Measured, (before, after): (&Counts, &Counts)) -> String {
    let Measured { samples, failures, marks } = measured;
    let (length, part) = (float(load.seconds), part(load));
    let growth = |first: f64, last: f64| (last / first - 1.0) * 100.0;
    let processor = (marks[1].since(marks[0]), marks[3].since(marks[2]));
    let of = |range: std::ops::Range<f64>| {
        median(samples.iter().filter(|(at, _)| range.contains(at)).map(|(_, time)| *time))
    };
    let (first, last) = (of(0.0..part), of(length - part..length));
    let mut text = format!(
        "{} containers running, {} created, started and deleted in {} s by {CALLERS} callers ({:.1} a second; {} were asked \
         for): {} failed. One life took {first:.1} ms in the first {part:.0} s and {last:.1} ms in the last (median, {:+.0} %), \
         of which {:.2} ms and {:.2} ms were the commands' processor time (mean, {:+.0} %).\n",
        load.running,
        samples.len(),
        load.seconds,
        float(samples.len()) / length,
        load.rate,
        failures.len(),
        growth(first, last),
        processor.0,
        processor.1,
        growth(processor.0, processor.1),
    );
    for failure in failures.iter().take(5) {
        let _ = writeln!(text, "- {failure}");
    }
    let rows = [
        ("open files", before.descriptors, after.descriptors),
        ("mounts", before.mounts, after.mounts),
        ("cgroups", before.cgroups, after.cgroups),
        ("memory that cannot be reclaimed, KiB", before.memory, after.memory),
    ];
    text += "\n| on the whole host | before | after all were deleted |\n|---|---|---|\n";
    for (name, before, after) in rows {
        let _ = writeln!(text, "| {name} | {before} | {after} |");
    }
    text.push('\n');
    text
}
