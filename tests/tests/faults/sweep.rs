// SPDX-License-Identifier: Apache-2.0
//! Which points of a command are tried, by how many at once, and what is written about them.

use crate::attempt::{Case, Stage, Verdict};
use insula_tests::injector::{Fault, Point};
use insula_tests::{Value, json};
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// What each call is made to meet.
pub(crate) const FAULTS: [Fault; 7] = [
    Fault::Kill,
    Fault::Errno(Errno::ENOSPC),
    Fault::Errno(Errno::EMFILE),
    Fault::Errno(Errno::ENOMEM),
    Fault::Errno(Errno::EINTR),
    Fault::Errno(Errno::EIO),
    Fault::Errno(Errno::EAGAIN),
];

/// What takes its time: only some of these without `INSULA_SWEEP`.
pub(crate) const STOP: Fault = Fault::Stop(Duration::from_secs(2));

/// How often what took too long is tried again, with nothing else beside it.
const TRIES: usize = 3;

/// Which of the points are tried, if not just a few.
pub(crate) fn every() -> Option<usize> {
    std::env::var("INSULA_SWEEP").ok().map(|step| step.parse().unwrap_or(1).max(1))
}

/// How many points are tried at the same time.
fn callers() -> usize {
    std::env::var("INSULA_CALLERS").ok().and_then(|text| text.parse().ok()).unwrap_or(1).max(1)
}

/// Whether `$INSULA_KINDS`, names separated by commas, has this fault; without it all are tried.
fn is_wanted(fault: Fault) -> bool {
    let Ok(kinds) = std::env::var("INSULA_KINDS") else { return true };
    let name = name_of(fault);
    kinds.split(',').any(|kind| name.split(',').next() == Some(kind))
}

/// A point and its fault.
type Pair = (Point, Fault);

fn name_of(fault: Fault) -> String {
    match fault {
        Fault::Kill => "SIGKILL".into(),
        Fault::Stop(time) => format!("SIGSTOP, {} s, SIGKILL", time.as_secs()),
        Fault::Errno(errno) => format!("{errno:?}"),
    }
}

/// The file `$INSULA_POINTS`: an object a line for each point that was tried. What is in it is not tried again.
struct Book {
    file: Option<fs::File>,
}

/// What the book says of a point.
struct Outcome {
    hit: bool,
    wrong: bool,
}

impl Book {
    /// Opens it; what it says of the points of `case` that have been tried.
    fn open(case: &str) -> (Self, BTreeMap<String, Outcome>) {
        let Some(path) = std::env::var_os("INSULA_POINTS") else { return (Self { file: None }, BTreeMap::new()) };
        let file = fs::File::options().create(true).append(true).open(&path).expect("open $INSULA_POINTS");
        let text = fs::read_to_string(&path).expect("read $INSULA_POINTS");
        // The last line may have been cut short.
        let lines = text.lines().filter_map(|line| line.parse().ok());
        let own = lines.filter(|line: &Value| line["case"] == case);
        let known = own.map(|line| {
            let wrong = line["wrong"].as_array().is_some_and(|wrong| !wrong.is_empty());
            let outcome = Outcome { hit: line["hit"] == true, wrong };
            (line["point"].as_str().unwrap_or_default().to_owned(), outcome)
        });
        (Self { file: Some(file) }, known.collect())
    }

    fn write(&mut self, case: &str, (point, fault): Pair, verdict: &Verdict) {
        let Some(file) = &mut self.file else { return };
        let line = json!({
            "case": case,
            "point": key((point, fault)),
            "number": point.number,
            "hit": verdict.hit,
            "wrong": verdict.wrong,
            "slow": verdict.slow,
        });
        writeln!(file, "{line}").expect("write to $INSULA_POINTS");
    }
}

/// The name of a pair in the book.
fn key((point, fault): Pair) -> String {
    format!("{}:{}:{}", point.process, point.call, name_of(fault))
}

/// Says it at once: a sweep takes long.
fn note(line: &str) {
    std::io::stderr().write_all(line.as_bytes()).expect("write to standard error");
    if let Some(path) = std::env::var_os("INSULA_FAULTS") {
        let mut file = fs::File::options().create(true).append(true).open(path).expect("open $INSULA_FAULTS");
        file.write_all(line.as_bytes()).expect("write to $INSULA_FAULTS");
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no caller has panicked")
}

/// All that callers share.
struct Sweep<'a> {
    case: &'a Case<'a>,
    chosen: Vec<Pair>,
    next: AtomicUsize,
    book: Mutex<Book>,
    /// What took too long beside others.
    suspects: Mutex<Vec<Pair>>,
    wrong: Mutex<Vec<String>>,
    missed: AtomicUsize,
}

impl Sweep<'_> {
    /// Tries one after the other, until none is left.
    fn work(&self, stage: &Stage, alone: bool) {
        while let Some(pair) = self.chosen.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let verdict = stage.attempt(self.case, pair.0, pair.1);
            if verdict.slow.is_empty() || alone || !verdict.wrong.is_empty() {
                self.settle(stage, *pair, verdict);
            } else {
                locked(&self.suspects).push(*pair);
            }
        }
    }

    /// Writes down what came of a point. What took too long is tried again first; what was left never is.
    fn settle(&self, stage: &Stage, pair: Pair, mut verdict: Verdict) {
        for _ in 0..TRIES {
            if verdict.slow.is_empty() || !verdict.wrong.is_empty() {
                break;
            }
            verdict = stage.attempt(self.case, pair.0, pair.1);
        }
        let slow = std::mem::take(&mut verdict.slow);
        verdict.wrong.extend(slow);
        self.missed.fetch_add(usize::from(!verdict.hit), Ordering::Relaxed);
        locked(&self.book).write(self.case.name, pair, &verdict);
        if !verdict.wrong.is_empty() {
            let line = format!("{}: {:?} {}: {}", self.case.name, pair.0, name_of(pair.1), verdict.wrong.join("; "));
            note(&format!("{line}\n"));
            locked(&self.wrong).push(line);
        }
    }
}

/// Leaves out calls between two of the same kind.
fn without_rows(all: &[Point]) -> Vec<Point> {
    let same = |one: &Point, other: Option<&Point>| {
        other.is_some_and(|other| (other.process, other.number) == (one.process, one.number))
    };
    let before = |at: usize| at.checked_sub(1).and_then(|at| all.get(at));
    let in_a_row = |at: usize| same(&all[at], before(at)) && same(&all[at], all.get(at + 1));
    (0..all.len()).filter(|at| !in_a_row(*at)).map(|at| all[at]).collect()
}

/// Tries `case` with `faults` at its points: each that is so many (`choose`) after the last.
pub(crate) fn sweep(case: &Case<'_>, faults: &[Fault], choose: impl Fn(usize) -> usize) {
    let stage = Stage::new(case);
    let traced = stage.points(case);
    let points = if every() == Some(1) { traced } else { without_rows(&traced) };
    let faults: Vec<Fault> = faults.iter().copied().filter(|fault| is_wanted(*fault)).collect();
    let pairs: Vec<Pair> = points.iter().flat_map(|point| faults.iter().map(|fault| (*point, *fault))).collect();
    let all = pairs.len();
    // Prime to the number of faults, so that each fault gets its turn.
    let mut step = choose(all).max(1);
    while step > 1 && faults.len() > 1 && step.is_multiple_of(faults.len()) {
        step += 1;
    }
    let chosen: Vec<_> = pairs.into_iter().step_by(step).collect();
    let (book, known) = Book::open(case.name);
    let tried = chosen.len();
    let before: Vec<&Outcome> = chosen.iter().filter_map(|pair| known.get(&key(*pair))).collect();
    let wrong_before = before.iter().filter(|outcome| outcome.wrong).count();
    let missed_before = before.iter().filter(|outcome| !outcome.hit).count();
    let sweep = Sweep {
        case,
        chosen: chosen.into_iter().filter(|pair| !known.contains_key(&key(*pair))).collect(),
        next: AtomicUsize::new(0),
        book: Mutex::new(book),
        suspects: Mutex::default(),
        wrong: Mutex::default(),
        missed: AtomicUsize::new(missed_before),
    };
    let callers = callers().min(sweep.chosen.len());
    if callers > 1 {
        std::thread::scope(|scope| {
            for _ in 0..callers {
                // The mount namespace is the thread's.
                scope.spawn(|| sweep.work(&Stage::new(case), false));
            }
        });
    } else {
        sweep.work(&stage, true);
    }
    for pair in std::mem::take(&mut *locked(&sweep.suspects)) {
        let verdict = stage.attempt(case, pair.0, pair.1);
        sweep.settle(&stage, pair, verdict);
    }
    let wrong = locked(&sweep.wrong);
    let processes = points.iter().map(|point| point.process).collect::<BTreeSet<_>>().len();
    let line = format!(
        "{}: {} calls of {processes} process(es), {tried} of {all} points tried, {} not reached, {} wrong\n",
        case.name,
        points.len(),
        sweep.missed.load(Ordering::Relaxed),
        wrong_before + wrong.len(),
    );
    note(&line);
    assert!(wrong.is_empty() && wrong_before == 0, "{line}{}", wrong.join("\n"));
}
