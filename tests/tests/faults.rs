// SPDX-License-Identifier: Apache-2.0
//! Faults at every system call of a command and of the container's first process, one after the other: killed, stopped
//! and then killed, or the call fails. The command must end by itself within seconds; what fails leaves nothing; and one
//! `delete --force` brings everything back to where it was.
//!
//! Of calls that are made again and again without another in between, the first and the last are taken. By default some
//! points of each command, spread over its calls and the faults. `INSULA_SWEEP=1` takes all of them, `INSULA_SWEEP=5`
//! every fifth; `INSULA_FAULTS` names a file to which a line about each command is added.
#![cfg(target_arch = "x86_64")]

use insula_tests::injector::{Fault, Point, inject};
use insula_tests::{Bundle, Container, Invocation, Lab, Snapshot, json};
use nix::errno::Errno;
use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// How long a command may take, with a fault, and `delete --force` after it.
const PROMPT: Duration = Duration::from_secs(5);

/// What each call is made to meet.
const FAULTS: [Fault; 7] = [
    Fault::Kill,
    Fault::Errno(Errno::ENOSPC),
    Fault::Errno(Errno::EMFILE),
    Fault::Errno(Errno::ENOMEM),
    Fault::Errno(Errno::EINTR),
    Fault::Errno(Errno::EIO),
    Fault::Errno(Errno::EAGAIN),
];

/// A command, and how it is tried.
struct Case<'a> {
    name: &'a str,
    /// How many points are tried if not all are.
    few: usize,
    edit: &'a dyn Fn(&mut Bundle),
    /// Brings the container to where the command is expected.
    prepare: &'a dyn Fn(&Container<'_>),
    /// The command's words; `BUNDLE` and `ID` are put in.
    words: &'a [&'a str],
    /// Whether what it started ends with it, unless there is a container by then.
    dies_with_creator: bool,
    /// What must hold after the command has failed by itself, before anything is deleted.
    failed: &'a dyn Fn(&Lab, &Container<'_>, &Snapshot) -> Result<(), String>,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self {
            name: "",
            few: 12,
            edit: &|_| {},
            prepare: &|_| {},
            words: &[],
            dies_with_creator: false,
            failed: &|_, _, _| Ok(()),
        }
    }
}

/// Which of the points are tried, if not just a few.
fn every() -> Option<usize> {
    std::env::var("INSULA_SWEEP").ok().map(|step| step.parse().unwrap_or(1).max(1))
}

fn command(lab: &Lab, bundle: &Bundle, container: &Container<'_>, words: &[&str]) -> Invocation {
    let bundle = bundle.path().to_str().expect("paths are text");
    let place = |word: &&str| match *word {
        "BUNDLE" => bundle.to_owned(),
        "ID" => container.id().to_owned(),
        word => word.to_owned(),
    };
    lab.insula().args(words.iter().map(place))
}

/// The result of an assertion that panics.
fn caught(assertion: impl FnOnce()) -> Result<(), String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(assertion))
        .map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".into()))
}

fn nothing_left(lab: &Lab, _: &Container<'_>, before: &Snapshot) -> Result<(), String> {
    caught(|| before.assert_clean(lab)).map_err(|changes| format!("failed, and left something: {changes}"))
}

/// The container has its first process and no other.
fn alone(lab: &Lab, container: &Container<'_>, _: &Snapshot) -> Result<(), String> {
    let listed = lab.words(&["ps", "--format", "json", container.id()]).run();
    if listed.json().as_array().map(Vec::len) == Some(1) { Ok(()) } else { Err(format!("failed, and left: {listed}")) }
}

/// The points of the command's trace.
fn points(lab: &Lab, bundle: &Bundle, case: &Case<'_>, before: &Snapshot) -> Vec<Point> {
    let trace = || {
        let container = lab.container(bundle);
        (case.prepare)(&container);
        let traced = inject(command(lab, bundle, &container, case.words), None);
        traced.output.assert_code(0);
        container.delete_force().assert_code(0);
        before.assert_clean(lab);
        traced
    };
    // The first one makes the state root, which those after it find.
    trace();
    let traced = trace();
    assert!(traced.points.len() > 15, "a trace of a whole command: {} calls", traced.points.len());
    let all = traced.points;
    let same = |one: usize, other: Option<usize>| {
        other
            .and_then(|other| all.get(other))
            .is_some_and(|point| (point.process, point.number) == (all[one].process, all[one].number))
    };
    let in_a_row = |at: usize| same(at, at.checked_sub(1)) && same(at, Some(at + 1));
    (0..all.len()).filter(|at| !in_a_row(*at)).map(|at| all[at]).collect()
}

/// Where `create` has died before the record was there, nobody lingers; afterwards init waits for its start.
fn after_the_creators_death(lab: &Lab, container: &Container<'_>) -> Option<String> {
    if lab.state_root().join(container.id()).join("state.json").exists() {
        let status = container.status();
        // Killed between the record and the word to go on.
        return (status != "created" && status != "stopped").then(|| format!("the container is {status}"));
    }
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        let left = Snapshot::take(lab).processes().clone();
        if left.is_empty() {
            return None;
        }
        if Instant::now() > deadline {
            return Some(format!("init outlives its creator: {left:?}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Tries one point with one fault; what is wrong then.
fn attempt(
    lab: &Lab,
    bundle: &Bundle,
    case: &Case<'_>,
    before: &Snapshot,
    point: Point,
    fault: Fault,
) -> Result<(), String> {
    let container = lab.container(bundle);
    (case.prepare)(&container);
    let started = Instant::now();
    let injected = inject(command(lab, bundle, &container, case.words), Some((point, fault)));
    let took = injected.output.elapsed;
    let (code, stopped) = (injected.output.code(), matches!(fault, Fault::Stop(_)));
    let by_us = matches!(fault, Fault::Kill | Fault::Stop(_)) && point.process == 0;
    let mut wrong = Vec::new();
    if took > PROMPT && !stopped {
        wrong.push(format!("the command took {took:?}"));
    }
    if code > 127 && !(by_us && code == 137) && code != 255 {
        wrong.push(format!("it was killed: {}", injected.output));
    }
    if code != 0 && !by_us {
        if injected.output.stderr.trim().is_empty() {
            wrong.push(format!("it says nothing: {}", injected.output));
        }
        wrong.extend((case.failed)(lab, &container, before).err());
    }
    if by_us && case.dies_with_creator {
        wrong.extend(after_the_creators_death(lab, &container));
    }
    let deleting = Instant::now();
    let deleted = container.delete_force();
    if deleted.code() != 0 {
        wrong.push(format!("delete fails: {deleted}"));
    }
    if deleting.elapsed() > PROMPT {
        wrong.push(format!("delete took {:?}", deleting.elapsed()));
    }
    wrong.extend(caught(|| before.assert_clean(lab)).err());
    if wrong.is_empty() {
        return Ok(());
    }
    // What stays would be found again after every further point.
    let _again = container.delete_force();
    Err(format!("{point:?} {fault:?} after {:?}: {}", started.elapsed(), wrong.join("; ")))
}

/// Says it at once: a sweep takes long.
fn note(line: &str) {
    std::io::stderr().write_all(line.as_bytes()).expect("write to standard error");
    if let Some(path) = std::env::var_os("INSULA_FAULTS") {
        let mut file = fs::File::options().create(true).append(true).open(path).expect("open $INSULA_FAULTS");
        file.write_all(line.as_bytes()).expect("write to $INSULA_FAULTS");
    }
}

/// Tries `case` with `faults` at its points: each that is so many (`choose`) after the last.
fn sweep(case: &Case<'_>, faults: &[Fault], choose: impl Fn(usize) -> usize) {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    (case.edit)(&mut bundle);
    let before = Snapshot::take(&lab);
    let points = points(&lab, &bundle, case, &before);
    let pairs: Vec<(Point, Fault)> =
        points.iter().flat_map(|point| faults.iter().map(|fault| (*point, *fault))).collect();
    // Prime to the number of faults, so that each fault gets its turn.
    let mut step = choose(pairs.len()).max(1);
    while step > 1 && faults.len() > 1 && step.is_multiple_of(faults.len()) {
        step += 1;
    }
    let chosen: Vec<_> = pairs.into_iter().step_by(step).collect();
    let mut wrong = Vec::new();
    for (point, fault) in &chosen {
        if let Err(reason) = attempt(&lab, &bundle, case, &before, *point, *fault) {
            note(&format!("{}: {reason}\n", case.name));
            wrong.push(reason);
        }
    }
    let processes = 1 + points.iter().map(|point| point.process).max().unwrap_or(0);
    let line = format!(
        "{}: {} calls of {processes} process(es), {} of {} points tried, {} wrong\n",
        case.name,
        points.len(),
        chosen.len(),
        points.len() * faults.len(),
        wrong.len()
    );
    note(&line);
    assert!(wrong.is_empty(), "{line}{}", wrong.join("\n"));
    // The names are free again.
    let again = lab.container(&bundle);
    again.create().assert_code(0);
}

fn faults(case: &Case<'_>) {
    sweep(case, &FAULTS, |pairs| every().unwrap_or(pairs / case.few));
}

fn created(container: &Container<'_>) {
    container.create().assert_code(0);
}

fn running(container: &Container<'_>) {
    container.finish(container.launch("run").arg("--detach")).assert_code(0);
}

const CREATE: &[&str] = &["create", "--bundle", "BUNDLE", "ID"];

#[test]
fn create() {
    faults(&Case {
        name: "create",
        few: 50,
        words: CREATE,
        dies_with_creator: true,
        failed: &nothing_left,
        ..Case::default()
    });
}

#[test]
fn create_with_every_namespace() {
    let edit = |bundle: &mut Bundle| {
        for kind in ["cgroup", "time"] {
            bundle.namespace(kind);
        }
        bundle.user_namespace().set("/linux/timeOffsets/monotonic", json!({"secs": 5}));
    };
    let name = "create with eight namespaces";
    faults(&Case {
        name,
        few: 24,
        edit: &edit,
        words: CREATE,
        dies_with_creator: true,
        failed: &nothing_left,
        ..Case::default()
    });
}

/// Without a pid namespace the end of init takes nobody along.
#[test]
fn create_in_the_hosts_pid_namespace() {
    let edit = |bundle: &mut Bundle| {
        bundle.inherit("pid");
    };
    let name = "create with the host's processes";
    faults(&Case {
        name,
        edit: &edit,
        words: CREATE,
        dies_with_creator: true,
        failed: &nothing_left,
        ..Case::default()
    });
}

#[test]
fn create_with_hooks() {
    let edit = |bundle: &mut Bundle| {
        let hook = json!([{"path": "/bin/true"}]);
        for list in ["createRuntime", "createContainer", "poststop"] {
            bundle.set(&format!("/hooks/{list}"), hook.clone());
        }
    };
    let name = "create with hooks";
    faults(&Case { name, edit: &edit, words: CREATE, failed: &nothing_left, ..Case::default() });
}

#[test]
fn run() {
    let words = &["run", "--detach", "--bundle", "BUNDLE", "ID"];
    faults(&Case { name: "run", few: 24, words, failed: &nothing_left, ..Case::default() });
}

#[test]
fn start() {
    faults(&Case { name: "start", prepare: &created, words: &["start", "ID"], ..Case::default() });
}

#[test]
fn exec() {
    let words = &["exec", "--detach", "ID", "sleep", "60"];
    faults(&Case { name: "exec", few: 24, prepare: &running, words, failed: &alone, ..Case::default() });
}

#[test]
fn kill() {
    faults(&Case { name: "kill", prepare: &running, words: &["kill", "ID", "KILL"], ..Case::default() });
}

#[test]
fn delete() {
    let words = &["delete", "--force", "ID"];
    faults(&Case { name: "delete", few: 16, prepare: &running, words, ..Case::default() });
}

#[test]
fn update() {
    let words = &["update", "--memory", "64m", "ID"];
    faults(&Case { name: "update", prepare: &running, words, ..Case::default() });
}

#[test]
fn pause() {
    faults(&Case { name: "pause", prepare: &running, words: &["pause", "ID"], ..Case::default() });
}

#[test]
fn resume() {
    let prepare = |container: &Container<'_>| {
        running(container);
        container.command("pause").ok();
    };
    faults(&Case { name: "resume", prepare: &prepare, words: &["resume", "ID"], ..Case::default() });
}

/// A command that stands still for a while before it dies: nothing that waits for it does so for ever.
#[test]
fn stopped_and_then_killed() {
    let stop = [Fault::Stop(Duration::from_secs(2))];
    let few = |some: usize| move |pairs| pairs / if every().is_some() { 8 * some } else { some };
    sweep(
        &Case {
            name: "create, stopped",
            words: CREATE,
            dies_with_creator: true,
            failed: &nothing_left,
            ..Case::default()
        },
        &stop,
        few(3),
    );
    let words = &["delete", "--force", "ID"];
    sweep(&Case { name: "delete, stopped", prepare: &running, words, ..Case::default() }, &stop, few(2));
    let words = &["exec", "--detach", "ID", "sleep", "60"];
    sweep(&Case { name: "exec, stopped", prepare: &running, words, ..Case::default() }, &stop, few(2));
}

/// The process between `exec` and what it starts is killed around its fork: nobody waits for its word for ever.
#[test]
fn the_process_in_between_is_killed() {
    /// sendmsg(2), clone3(2)
    const AROUND: [u64; 2] = [46, 435];
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let before = Snapshot::take(&lab);
    let words = &["exec", "--detach", "ID", "sleep", "60"];
    let case = Case { name: "exec", prepare: &running, words, failed: &alone, ..Case::default() };
    let points = points(&lab, &bundle, &case, &before);
    let chosen: Vec<_> = points.iter().filter(|point| point.process == 1 && AROUND.contains(&point.number)).collect();
    assert!(chosen.len() > 1, "a fork, and the word about it: {chosen:?}");
    for point in chosen {
        if let Err(wrong) = attempt(&lab, &bundle, &case, &before, *point, Fault::Kill) {
            panic!("{wrong}");
        }
    }
}
