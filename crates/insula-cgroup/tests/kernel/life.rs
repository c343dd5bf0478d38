// SPDX-License-Identifier: Apache-2.0
//! From plan to removal, on whatever layout the process sees. The v2 tests run these again in their view.

use crate::scratch::{PATIENCE, Scratch, Sleeper, cannot_run, default_rules, resources, rest};
use insula_cgroup::{Group, Layout, Mode, SubGroup};
use insula_error::Kind;
use insula_spec::Resources;
use insula_sys::process::{Cloned, clone3};
use rustix::process::Signal;
use std::path::Path;
use std::time::{Duration, Instant};

#[test]
fn a_plan_makes_nothing_and_its_record_finds_everything() {
    if cannot_run() {
        return;
    }
    let scratch = Scratch::new();
    let group = scratch.plan("a/b").unwrap();
    let record = group.record();
    assert!(!group.exists() && scratch.directories().is_empty());
    let created = group.create().unwrap();
    assert!(created.left_out().is_none());
    for (_, path) in created.paths() {
        assert!(Path::new(&path).join("cgroup.procs").exists(), "{path}");
    }
    let found = Group::from_record(&record, false).unwrap();
    assert_eq!(found.record(), created.record());
    assert!(found.exists() && found.is_empty().unwrap());
    found.remove(PATIENCE).unwrap();
    assert!(!found.exists());
    assert!(found.pids(true).unwrap().is_empty() && !found.frozen().unwrap());
    found.remove(PATIENCE).unwrap(); // again: fine
    found.kill_all(PATIENCE).unwrap();
    // what is above stays
    let left = scratch.directories();
    assert!(!left.is_empty() && left.iter().all(|dir| !dir.ends_with("b")), "{left:?}");
}

#[test]
fn a_rollback_leaves_no_trace() {
    if cannot_run() {
        return;
    }
    let scratch = Scratch::new();
    assert!(scratch.create("a/b/c").rollback(), "nothing stays");
    assert_eq!(scratch.directories(), [""; 0].map(std::path::PathBuf::from));
    // but what was there before stays
    let kept = scratch.create("a");
    assert!(scratch.create("a/b/c").rollback(), "nothing stays");
    assert!(kept.exists() && scratch.directories().iter().all(|dir| !dir.ends_with("b")));
}

#[test]
fn paths_stay_in_the_hierarchy() {
    if cannot_run() {
        return;
    }
    let scratch = Scratch::new();
    let escape = format!("/x/../../../..{}", scratch.path("canary"));
    let group = Group::plan(Layout::probe().unwrap(), "id", &escape, &Resources::default(), false).unwrap();
    for (_, path) in group.paths() {
        assert!(path.starts_with("/sys/fs/cgroup/") && path.ends_with(&scratch.path("canary")), "{path}");
    }
    for path in ["/", "..", "/..", "a/.."] {
        let error = Group::plan(Layout::probe().unwrap(), "id", path, &Resources::default(), false).unwrap_err();
        assert_eq!((error.kind(), error.pointer()), (Kind::InvalidConfig, Some("/linux/cgroupsPath")), "{path}");
    }
    // without a path the id is used, from where the caller is
    let group = Group::plan(Layout::probe().unwrap(), "insula-test-id", "", &Resources::default(), false).unwrap();
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    for (list, path) in group.paths().filter(|(list, _)| !list.is_empty()) {
        let line = own.lines().find_map(|line| line.split_once(&format!(":{list}:"))).unwrap().1;
        assert!(path.ends_with(&format!("{}/insula-test-id", line.trim_end_matches('/'))), "{path}");
    }
}

#[test]
fn a_process_enters_every_hierarchy() {
    if cannot_run() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    created.apply(&resources("{}"), &default_rules()).unwrap();
    let doors = created.open_for_join(&[]).unwrap();
    assert_eq!(doors.clone_target().is_some(), Layout::probe().unwrap().mode() != Mode::Legacy);
    let sleeper = Sleeper::enter(&doors);
    let lines = sleeper.cgroups();
    for (list, _) in created.paths() {
        assert!(
            lines.lines().any(|line| line.ends_with(&format!(":{list}:{}", scratch.path("box")))),
            "{list}: {lines}"
        );
    }
    assert_eq!(created.pids(false).unwrap(), [sleeper.pid]);
    assert!(!created.is_empty().unwrap());
    assert!(!created.wait_empty(Duration::from_millis(30)).unwrap());
    // busy: removal fails in the end, and says so
    let error = created.remove(Duration::from_millis(30)).unwrap_err();
    assert_eq!(error.kind(), Kind::Kernel(16), "{error}");
    assert!(sleeper.is_alive() && created.exists());
    drop(sleeper);
    assert!(created.wait_empty(PATIENCE).unwrap());
    created.remove(PATIENCE).unwrap();
}

#[test]
fn a_running_process_can_be_moved_too() {
    if cannot_run() {
        return;
    }
    let scratch = Scratch::new();
    let (first, second) = (scratch.create("first"), scratch.create("second"));
    let sleeper = Sleeper::enter(&first.open_for_join(&[]).unwrap());
    second.open_for_join(&[]).unwrap().join_pid(sleeper.pid).unwrap();
    assert!(first.is_empty().unwrap());
    assert_eq!(second.pids(true).unwrap(), [sleeper.pid]);
}

#[test]
fn exec_enters_sub_cgroups() {
    if cannot_run() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    let inner = scratch.nested("box/inner");
    let sub = |argument: &str| SubGroup::parse(&[argument]).unwrap();
    let sleeper = Sleeper::enter(&created.open_for_join(&sub("inner")).unwrap());
    assert_eq!(inner.pids(false).unwrap(), [sleeper.pid]);
    assert_eq!(created.pids(true).unwrap(), [sleeper.pid]);
    assert!(created.pids(false).unwrap().is_empty());
    assert!(created.open_for_join(&sub("/")).is_ok());
    assert_eq!(created.open_for_join(&sub("../box")).err().unwrap().kind(), Kind::Usage);
    assert_eq!(created.open_for_join(&sub("absent")).err().unwrap().kind(), Kind::Kernel(2));
    assert_eq!(created.open_for_join(&sub("nonsense:inner")).err().unwrap().kind(), Kind::Usage);
    if Layout::probe().unwrap().mode() != Mode::Unified {
        let one = Sleeper::enter(&created.open_for_join(&sub("pids:inner")).unwrap());
        let lines = one.cgroups();
        assert!(lines.contains(&format!(":pids:{}\n", scratch.path("box/inner"))), "{lines}");
        assert!(lines.contains(&format!(":devices:{}\n", scratch.path("box"))), "{lines}");
    }
}

#[test]
fn strangers_keep_their_cgroup() {
    if cannot_run() {
        return;
    }
    let scratch = Scratch::new();
    let theirs = scratch.create("shared");
    let stranger = Sleeper::enter(&theirs.open_for_join(&[]).unwrap());
    let error = scratch.plan("shared").unwrap_err();
    assert_eq!(error.kind(), Kind::State);
    assert!(error.to_string().contains("cgroup is not empty: 1 process(es) found"), "{error}");
    assert!(stranger.is_alive() && theirs.exists());
    // also if they come between the plan and the deed, below it
    let late = scratch.plan("late").unwrap();
    let nested = scratch.nested("late/nested");
    let second = Sleeper::enter(&nested.open_for_join(&[]).unwrap());
    assert_eq!(late.create().unwrap_err().kind(), Kind::State);
    assert!(second.is_alive() && nested.exists());
    drop((stranger, second));
    // an empty one is adopted
    theirs.wait_empty(PATIENCE).unwrap();
    let adopted = scratch.create("shared");
    assert!(adopted.rollback(), "what was there before is not counted");
    assert!(theirs.exists(), "what another made is not rolled back");
}

#[test]
fn frozen_cgroups_are_refused() {
    if cannot_run() {
        return;
    }
    let scratch = Scratch::new();
    let theirs = scratch.create("cold");
    theirs.freeze().unwrap();
    assert!(theirs.frozen().unwrap());
    let error = scratch.plan("cold").unwrap_err();
    assert_eq!(error.kind(), Kind::State);
    assert!(error.to_string().contains("unexpectedly frozen"), "{error}");
    theirs.thaw().unwrap();
    assert!(scratch.plan("cold").is_ok());
}

#[test]
fn freezing_stops_and_thawing_resumes() {
    if cannot_run() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
    let ticking = Sleeper::start(&created.open_for_join(&[]).unwrap(), || {
        loop {
            let _ = rustix::io::write(&writer, b".");
            let _ = rustix::thread::nanosleep(&rustix::thread::Timespec { tv_sec: 0, tv_nsec: 1_000_000 });
        }
    });
    let ticks = |time: u64| {
        let mut buffer = [0; 4096];
        while rustix::io::read(&reader, &mut buffer).is_ok() {}
        std::thread::sleep(Duration::from_millis(time));
        rustix::io::read(&reader, &mut buffer).unwrap_or(0)
    };
    assert!(ticks(500) > 0);
    created.freeze().unwrap();
    assert!(created.frozen().unwrap());
    assert_eq!(ticks(100), 0);
    created.thaw().unwrap();
    assert!(!created.frozen().unwrap());
    assert!(ticks(500) > 0);
    // below a frozen one, a cgroup is not itself frozen
    let inner = scratch.nested("box/inner");
    created.freeze().unwrap();
    assert!(!inner.frozen().unwrap());
    // the frozen die as well
    created.kill_all(PATIENCE).unwrap();
    assert!(!ticking.is_alive());
}

/// A process that forks without end, each child living for a moment: listing and killing alone never catches up.
pub(crate) fn forks() {
    loop {
        match clone3(0, None) {
            Ok(Cloned::Child) => {
                let _ = rustix::process::set_parent_process_death_signal(None);
            }
            Ok(Cloned::Parent { .. }) => {
                let _ = rustix::thread::nanosleep(&rustix::thread::Timespec { tv_sec: 0, tv_nsec: 500_000 });
                let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
            }
            Err(_) => {}
        }
    }
}

#[test]
fn killing_ends_fork_storms_and_sub_cgroups() {
    if cannot_run() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    let nested = [scratch.nested("box/a"), scratch.nested("box/a/b"), scratch.nested("box/c")];
    let storms: Vec<Sleeper> = (0..8).map(|_| Sleeper::start(&created.open_for_join(&[]).unwrap(), forks)).collect();
    let sleepers: Vec<Sleeper> =
        nested.iter().map(|group| Sleeper::enter(&group.open_for_join(&[]).unwrap())).collect();
    assert!(!created.pids(false).unwrap().is_empty());
    let started = Instant::now();
    created.kill_all(PATIENCE).unwrap();
    assert!(created.is_empty().unwrap() && sleepers.iter().all(|sleeper| !sleeper.is_alive()));
    created.remove(PATIENCE).unwrap();
    assert!(!created.exists() && nested.iter().all(|group| !group.exists()));
    println!("took {:?}", started.elapsed());
    drop(storms);
}

#[test]
fn signals_reach_all_members() {
    if cannot_run() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    let inner = scratch.nested("box/inner");
    let members = [&created, &inner].map(|group| Sleeper::enter(&group.open_for_join(&[]).unwrap()));
    created.signal_all(Signal::TERM).unwrap();
    assert!(created.wait_empty(PATIENCE).unwrap() && members.iter().all(Sleeper::ends));
    // an ignored one harms nobody, and a frozen cgroup stays frozen
    let deaf = Sleeper::start(&created.open_for_join(&[]).unwrap(), || {
        loop {
            rest();
        }
    });
    created.freeze().unwrap();
    created.signal_all(Signal::CONT).unwrap();
    assert!(created.frozen().unwrap() && deaf.is_alive());
    created.signal_all(Signal::KILL).unwrap();
    assert!(created.wait_empty(PATIENCE).unwrap() && deaf.ends());
    created.remove(PATIENCE).unwrap();
    assert_eq!(created.signal_all(Signal::TERM).unwrap_err().kind(), Kind::State);
}
