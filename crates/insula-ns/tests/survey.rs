// SPDX-License-Identifier: Apache-2.0
//! The survey against the real kernel: every hiding place, and nothing less than lsns(8) finds. Needs root.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use insula_ns::containers::Known;
use insula_ns::render;
use insula_ns::survey::{Entry, Keeper, Scope, Selection, Survey};
use insula_ns::{Identity, Kind};

/// Namespaces in hiding, as long as this lives.
struct Hidden {
    helper: Child,
    input: Option<ChildStdin>,
    directory: PathBuf,
    /// Kind and inode by place.
    places: BTreeMap<String, (Kind, u64)>,
}

impl Hidden {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("insula-ns-hidden-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        // In the program: the machine that runs it may have no sources.
        let mut helper = Command::new("python3")
            .args(["-c", include_str!("hiding_places.py")])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed");
        let mut places = BTreeMap::new();
        let mut ready = false;
        for line in BufReader::new(helper.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if line == "ready" {
                ready = true;
                break;
            }
            let mut words = line.split(' ');
            let (place, kind, ino) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            let kind = Kind::from_proc_name(kind).unwrap();
            places.insert(place.to_string(), (kind, ino.parse().unwrap()));
        }
        assert!(ready, "the helper failed after {places:?}");
        Self { input: helper.stdin.take(), helper, directory, places }
    }

    fn pid(&self) -> i32 {
        self.helper.id() as i32
    }

    fn find<'s>(&self, survey: &'s Survey, place: &str) -> Option<&'s Entry> {
        let (kind, ino) = self.places[place];
        survey.find(&Identity { kind, dev: 0, ino, id: None })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // The helper ends with its input, and unmounts.
        drop(self.input.take());
        let status = self.helper.wait();
        let removed = std::fs::remove_dir_all(&self.directory);
        if !std::thread::panicking() {
            assert!(status.unwrap().success());
            removed.unwrap();
        }
    }
}

#[test]
fn eleven_of_twelve_hiding_places_are_found() {
    let hidden = Hidden::new();
    assert_eq!(hidden.places.len(), 12, "{:?}", hidden.places);
    let survey = Survey::of_host(Scope::Everything, &[]).unwrap();
    let pid = hidden.pid();
    let kept = |place: &str, matches: &dyn Fn(&Keeper) -> bool| {
        let entry = hidden.find(&survey, place).unwrap_or_else(|| panic!("{place} was not found"));
        assert!(entry.kept_by.iter().any(matches), "{place}: {entry:?}");
        assert!(entry.pids.is_empty(), "{place}: {entry:?}");
        assert!(entry.owner.is_some(), "{place} could not be asked for its owner: {entry:?}");
        entry
    };
    assert_eq!(hidden.find(&survey, "member").unwrap().pids.len(), 1);
    kept("thread", &|keeper| matches!(keeper, Keeper::Thread { pid: of, tid } if *of == pid && *tid != pid));
    kept("children", &|keeper| matches!(keeper, Keeper::ForChildren { .. }));
    kept("descriptor", &|keeper| matches!(keeper, Keeper::Descriptor { pid: of, .. } if *of == pid));
    kept("socket", &|keeper| matches!(keeper, Keeper::Socket { pid: of, .. } if *of == pid));
    kept("mount", &|keeper| matches!(keeper, Keeper::Mount { path, .. } if path.ends_with("/own mount")));
    kept("mount-elsewhere", &|keeper| {
        matches!(keeper, Keeper::Mount { path, within } if path.ends_with("/mount-elsewhere")
            && survey.find(within).is_some_and(|mount| !mount.own && mount.pids.len() == 1))
    });
    kept("mount-in-descriptor", &|keeper| {
        matches!(keeper, Keeper::Mount { within, .. }
            if survey.find(within).is_some_and(|mount| mount.pids.is_empty()))
    });
    kept("mount-namespace", &|keeper| matches!(keeper, Keeper::Descriptor { pid: of, .. } if *of == pid));
    let refers = |to: &Entry, from: fn(&Entry) -> Option<Identity>| {
        survey.namespaces.iter().filter(|entry| from(entry).is_some_and(|one| one.same_object(&to.identity))).count()
    };
    let owner = hidden.find(&survey, "owner").expect("owner was not found");
    assert!(owner.pids.is_empty() && owner.kept_by.is_empty());
    assert_eq!(refers(owner, |entry| entry.owner), 1);
    let parent = hidden.find(&survey, "parent").expect("parent was not found");
    assert!(parent.pids.is_empty() && parent.kept_by.is_empty());
    assert_eq!(refers(parent, |entry| entry.parent), 1);
    let found = hidden.places.keys().filter(|place| hidden.find(&survey, place).is_some()).count();
    assert!(found >= 11, "{found}");
    // What was found is shown, too.
    for text in [render::table(&survey), render::tree(&survey), render::json(&survey)] {
        assert!(text.contains(&hidden.places["mount-in-descriptor"].1.to_string()));
    }
}

#[test]
fn a_survey_of_processes_is_part_of_the_whole() {
    let part = Survey::of_host(Scope::Processes, &[]).unwrap();
    let own = Identity::of_self(Kind::PID).unwrap();
    let me = std::process::id() as i32;
    let entry = part.find(&own).unwrap();
    assert!(entry.own && entry.pids.contains(&me));
    assert!(entry.pids.is_sorted());
    let mine = part.select(&Selection { pid: Some(me), ..Selection::default() });
    assert_eq!(mine.namespaces.len(), Kind::all().len());
    assert!(mine.namespaces.iter().all(|entry| entry.own));
}

#[test]
fn a_known_container_is_found_with_its_namespaces() {
    let mut inside = Command::new("unshare").args(["--uts", "sleep", "60"]).spawn().unwrap();
    let pid = inside.id() as i32;
    let own = Identity::of_self(Kind::UTS).unwrap();
    let known = [Known { id: "probe", pid, cgroup: None }, Known { id: "ended", pid: i32::MAX, cgroup: None }];
    let mut survey = Survey::default();
    for _ in 0..500 {
        survey = Survey::of_host(Scope::Processes, &known).unwrap();
        let probe = survey.container("probe").map(|index| &survey.containers[index]);
        if probe.is_some_and(|probe| !probe.namespaces[Kind::UTS].unwrap().same_object(&own)) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    inside.kill().unwrap();
    inside.wait().unwrap();
    let index = survey.container("probe").unwrap();
    let probe = &survey.containers[index];
    assert_eq!((probe.engine, probe.pid, probe.processes), ("insula", pid, 1));
    let uts = survey.find(&probe.namespaces[Kind::UTS].unwrap()).unwrap();
    assert_eq!((uts.own, &uts.pids[..], &uts.containers[..]), (false, &[pid][..], &[index][..]));
    assert!(survey.find(&probe.namespaces[Kind::NETWORK].unwrap()).unwrap().own);
    assert!(survey.container("ended").is_none());
    assert!(render::svg(&survey).contains(">probe</text>"));
}

/// What lsns lists: type and inode.
fn lsns() -> Vec<(String, u64)> {
    let output = Command::new("lsns").args(["--noheadings", "--raw", "--output", "TYPE,NS"]).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let rows = text.lines().filter_map(|line| line.split_once(' '));
    rows.map(|(kind, ino)| (kind.to_string(), ino.trim().parse().unwrap())).collect()
}

#[test]
fn nothing_that_lsns_lists_is_missing() {
    let hidden = Hidden::new();
    let before = lsns();
    let survey = Survey::of_host(Scope::Everything, &[]).unwrap();
    let after = lsns();
    // What is listed both times was there all the time.
    let stable: Vec<_> = before.iter().filter(|row| after.contains(row)).collect();
    assert!(stable.len() >= Kind::all().len());
    for (kind, ino) in stable {
        let identity = Identity { kind: Kind::from_proc_name(kind).unwrap(), dev: 0, ino: *ino, id: None };
        assert!(survey.find(&identity).is_some(), "{identity} is missing");
    }
    let missed = hidden.places.values().filter(|(_, ino)| !after.iter().any(|(_, listed)| listed == ino)).count();
    println!("of the twelve hiding places lsns misses {missed}");
}

#[test]
fn surveys_leave_nothing_behind() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let limit = || std::fs::read_to_string("/proc/self/limits").unwrap();
    drop(Survey::of_host(Scope::Everything, &[]).unwrap());
    let (before, limit_before) = (descriptors(), limit());
    let surveys: Vec<_> = (0..5).map(|_| Survey::of_host(Scope::Everything, &[]).unwrap()).collect();
    // Other tests of this program run at the same time and hold descriptors for moments.
    let settled = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        descriptors() <= before && limit() == limit_before
    });
    assert!(settled, "{} surveys left descriptors or another limit", surveys.len());
}
