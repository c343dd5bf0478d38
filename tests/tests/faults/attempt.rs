// SPDX-License-Identifier: Apache-2.0
//! One command, one point, one fault: what must hold then.

use insula_tests::injector::{Fault, Point, inject};
use insula_tests::{Bundle, Container, Donor, Invocation, Lab, Snapshot};
use std::time::{Duration, Instant};

/// How long a command may take, with a fault, and `delete --force` after it.
const PROMPT: Duration = Duration::from_secs(5);

/// How long the container's first process may outlive its creator where there is no container yet.
const ORPHAN: Duration = Duration::from_secs(2);

/// A command, and how it is tried.
pub(crate) struct Case<'a> {
    pub(crate) name: &'a str,
    /// How many points are tried if not all are.
    pub(crate) few: usize,
    pub(crate) edit: &'a (dyn Fn(&mut Bundle) + Sync),
    /// Who lends the container a namespace.
    pub(crate) donor: &'a (dyn Fn(&Lab, &mut Bundle) -> Option<Donor> + Sync),
    /// Brings the container to where the command is expected.
    pub(crate) prepare: &'a (dyn Fn(&Container<'_>) + Sync),
    /// The command's words; `BUNDLE` and `ID` are put in.
    pub(crate) words: &'a [&'a str],
    /// Whether what it started ends with it, unless there is a container by then.
    pub(crate) dies_with_creator: bool,
    /// What must hold after the command has failed by itself, before anything is deleted.
    pub(crate) failed: &'a (dyn Fn(&Lab, &Container<'_>, &Snapshot) -> Result<(), String> + Sync),
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self {
            name: "",
            few: 12,
            edit: &|_| {},
            donor: &|_, _| None,
            prepare: &|_| {},
            words: &[],
            dies_with_creator: false,
            failed: &|_, _, _| Ok(()),
        }
    }
}

/// What came of one point.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Whether the command came to the point.
    pub(crate) hit: bool,
    /// What was left or untrue.
    pub(crate) wrong: Vec<String>,
    /// What took too long, which on a busy machine may be the machine's doing.
    pub(crate) slow: Vec<String>,
}

/// A lab for a case, its bundle, and what the host is like before.
pub(crate) struct Stage {
    /// Ends before the lab does.
    _donor: Option<Donor>,
    pub(crate) lab: Lab,
    pub(crate) bundle: Bundle,
    pub(crate) before: Snapshot,
}

impl Stage {
    pub(crate) fn new(case: &Case<'_>) -> Self {
        let lab = Lab::new();
        let mut bundle = lab.bundle();
        bundle.args(&["sleep", "60"]);
        (case.edit)(&mut bundle);
        let donor = (case.donor)(&lab, &mut bundle);
        let before = Snapshot::take(&lab);
        Self { _donor: donor, lab, bundle, before }
    }

    /// The command of `words` for this container.
    pub(crate) fn command(&self, container: &Container<'_>, words: &[&str]) -> Invocation {
        let bundle = self.bundle.path().to_str().expect("paths are text");
        let place = |word: &&str| match *word {
            "BUNDLE" => bundle.to_owned(),
            "ID" => container.id().to_owned(),
            word => word.to_owned(),
        };
        self.lab.insula().args(words.iter().map(place))
    }

    /// All points of the command's trace.
    pub(crate) fn points(&self, case: &Case<'_>) -> Vec<Point> {
        let trace = || {
            let container = self.lab.container(&self.bundle);
            (case.prepare)(&container);
            let traced = inject(self.command(&container, case.words), None);
            traced.output.assert_code(0);
            container.delete_force().assert_code(0);
            self.before.assert_clean(&self.lab);
            traced
        };
        // The first one makes the state root, which those after it find.
        trace();
        let traced = trace();
        assert!(traced.points.len() > 15, "a trace of a whole command: {} calls", traced.points.len());
        traced.points
    }

    /// Tries one point with one fault.
    pub(crate) fn attempt(&self, case: &Case<'_>, point: Point, fault: Fault) -> Verdict {
        let Self { lab, bundle, before, .. } = self;
        let container = lab.container(bundle);
        (case.prepare)(&container);
        let injected = inject(self.command(&container, case.words), Some((point, fault)));
        let code = injected.output.code();
        let by_us = injected.hung() || (matches!(fault, Fault::Kill | Fault::Stop(_)) && point.process == 0);
        let mut verdict = Verdict { hit: injected.hit, ..Verdict::default() };
        if injected.lasted > PROMPT {
            verdict.slow.push(format!("the command went on for {:?}", injected.lasted));
        }
        if code > 127 && !(by_us && code == 137) && code != 255 {
            verdict.wrong.push(format!("it was killed: {}", injected.output));
        }
        if code != 0 && !by_us {
            if injected.output.stderr.trim().is_empty() {
                verdict.wrong.push(format!("it says nothing: {}", injected.output));
            }
            verdict.wrong.extend((case.failed)(lab, &container, before).err());
        }
        if by_us && case.dies_with_creator {
            after_the_creators_death(self, &container, &mut verdict);
        }
        self.delete(&container, &mut verdict);
        // The id is free again.
        let again = container.finish(container.launch("run").arg("--detach"));
        if again.code() != 0 {
            verdict.wrong.push(format!("the id is not free: {again}"));
        }
        self.delete(&container, &mut verdict);
        if !verdict.wrong.is_empty() {
            // What stays would be found again after every further point.
            let _again = container.delete_force();
        }
        verdict
    }

    /// One `delete --force`, after which nothing may be left.
    fn delete(&self, container: &Container<'_>, verdict: &mut Verdict) {
        let started = Instant::now();
        let deleted = container.delete_force();
        if deleted.code() != 0 {
            verdict.wrong.push(format!("delete fails: {deleted}"));
        }
        if started.elapsed() > PROMPT {
            verdict.slow.push(format!("delete took {:?}", started.elapsed()));
        }
        verdict.wrong.extend(caught(|| self.before.assert_clean(&self.lab)).err());
    }
}

/// The result of an assertion that panics.
fn caught(assertion: impl FnOnce()) -> Result<(), String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(assertion))
        .map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".into()))
}

pub(crate) fn nothing_left(lab: &Lab, _: &Container<'_>, before: &Snapshot) -> Result<(), String> {
    caught(|| before.assert_clean(lab)).map_err(|changes| format!("failed, and left something: {changes}"))
}

/// The container has its first process and no other.
pub(crate) fn alone(lab: &Lab, container: &Container<'_>, _: &Snapshot) -> Result<(), String> {
    let listed = lab.words(&["ps", "--format", "json", container.id()]).run();
    if listed.json().as_array().map(Vec::len) == Some(1) { Ok(()) } else { Err(format!("failed, and left: {listed}")) }
}

/// Where `create` has died before the record was there, nobody lingers; afterwards init waits for its start.
fn after_the_creators_death(stage: &Stage, container: &Container<'_>, verdict: &mut Verdict) {
    let Stage { lab, before, .. } = stage;
    if lab.state_root().join(container.id()).join("state.json").exists() {
        let status = container.status();
        // Killed between the record and the word to go on.
        if status != "created" && status != "stopped" {
            verdict.wrong.push(format!("the container is {status}"));
        }
        return;
    }
    let deadline = Instant::now() + ORPHAN;
    loop {
        let mut left = Snapshot::take(lab).processes().clone();
        left.retain(|pid, _| !before.processes().contains_key(pid));
        if left.is_empty() {
            return;
        }
        if Instant::now() > deadline {
            return verdict.slow.push(format!("init outlives its creator: {left:?}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
