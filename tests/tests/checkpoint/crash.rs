// SPDX-License-Identifier: Apache-2.0
//! The command is killed in the middle: one `delete --force`, and nothing is left; what was saved before can be restored.
//!
//! By default at every tenth system call of the command and of its child until that is CRIU; `INSULA_SWEEP=1` takes all of
//! them, `INSULA_SWEEP=5` every fifth. `INSULA_FAULTS` names a file to which a line about each command is added.
#![cfg(target_arch = "x86_64")]

use crate::counter::{checkpoint, counter, needs_criu, restore, restored};
use insula_tests::injector::{Fault, Point, inject_alone};
use insula_tests::{Container, Invocation, Lab, Snapshot};
use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// How long `delete --force` may take; CRIU, which lives on for a moment, may hold the processes that long.
const PROMPT: Duration = Duration::from_secs(10);

fn step() -> usize {
    std::env::var("INSULA_SWEEP").map_or(10, |step| step.parse().unwrap_or(1).max(1))
}

/// Points of a trace: of calls made again and again without another in between, the first and the last.
fn chosen(all: &[Point]) -> Vec<Point> {
    let key = |at: usize| all.get(at).map(|point| (point.process, point.number));
    let repeats = |at: usize| at > 0 && key(at) == key(at - 1) && key(at) == key(at + 1);
    (0..all.len()).filter(|at| !repeats(*at)).map(|at| all[at]).step_by(step()).collect()
}

/// Kills `command` at points of its trace. `prepare` comes before each, `after` looks at what `delete --force` has left.
fn sweep<'l>(
    lab: &'l Lab,
    name: &str,
    clean: &Snapshot,
    prepare: &dyn Fn() -> Container<'l>,
    command: &dyn Fn(&Container<'l>) -> Invocation,
) {
    let trace = || {
        let container = prepare();
        let traced = inject_alone(command(&container), None);
        traced.output.assert_code(0);
        if lab.state_root().join(container.id()).exists() {
            container.delete_force().assert_code(0);
        }
        traced.points
    };
    let all = trace();
    assert!(all.len() > 50, "a trace of a whole command: {} calls", all.len());
    let points = chosen(&all);
    let mut hits = 0;
    for point in &points {
        let container = prepare();
        let injected = inject_alone(command(&container), Some((*point, Fault::Kill)));
        hits += usize::from(injected.hit);
        let deleting = Instant::now();
        let deleted = container.delete_force();
        let gone = deleted.stderr.contains("does not exist");
        assert!(deleted.code() == 0 || gone, "{name} at {point:?}: {deleted}");
        assert!(deleting.elapsed() < PROMPT, "{name} at {point:?}: delete took {:?}", deleting.elapsed());
        let left = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| clean.assert_clean(lab)));
        assert!(left.is_ok(), "{name} at {point:?}: {left:?}");
    }
    let line = format!("{name}: killed at {hits} of {} calls, nothing left\n", all.len());
    std::io::stderr().write_all(line.as_bytes()).expect("write to standard error");
    if let Some(path) = std::env::var_os("INSULA_FAULTS") {
        let mut file = File::options().create(true).append(true).open(path).expect("open $INSULA_FAULTS");
        file.write_all(line.as_bytes()).expect("write to $INSULA_FAULTS");
    }
    // Waiting may need fewer or more calls from one time to the other.
    assert!(hits * 10 >= points.len() * 9, "{hits} of {} points were reached", points.len());
}

#[test]
fn a_checkpoint_killed_at_its_calls() {
    needs_criu!();
    let lab = Lab::new();
    // The state root, which every later one finds.
    counter(&lab, |bundle| bundle).delete_force().assert_code(0);
    let clean = Snapshot::take(&lab);
    let prepare = || counter(&lab, |bundle| bundle);
    sweep(&lab, "checkpoint", &clean, &prepare, &|container| checkpoint(&lab, container));
    let last = prepare();
    checkpoint(&lab, &last).ok();
    restored(&lab, &last, &[]);
}

#[test]
fn a_restore_killed_at_its_calls() {
    needs_criu!();
    let lab = Lab::new();
    let bundle = crate::counter::counting(&lab);
    let saved = lab.container(&bundle);
    crate::counter::run(&saved);
    checkpoint(&lab, &saved).ok();
    let clean = Snapshot::take(&lab);
    let prepare = || lab.container(&bundle);
    sweep(&lab, "restore", &clean, &prepare, &|container| restore(&lab, container).arg(container.id()));
    restored(&lab, &saved, &[]);
}
