// SPDX-License-Identifier: Apache-2.0
//! Surveys that no kernel made, for the tests of renderings.

use crate::containers::Container;
use crate::identity::Identity;
use crate::kind::{Kind, PerKind};
use crate::survey::{Entry, Keeper, Survey};

/// Inode of the host's namespace of a kind; others come after.
const HOST: u64 = 4_026_531_830;

pub(crate) fn identity(kind: Kind, ino: u64) -> Identity {
    Identity { kind, dev: 4, ino, id: Some(ino - HOST) }
}

pub(crate) fn entry(kind: Kind, ino: u64) -> Entry {
    Entry {
        identity: identity(kind, ino),
        owner: (ino != host(Kind::USER).ino).then(|| host(Kind::USER)),
        parent: None,
        owner_uid: (kind == Kind::USER).then_some(0),
        own: false,
        pids: Vec::new(),
        uid: None,
        command: String::new(),
        kept_by: Vec::new(),
        containers: Vec::new(),
    }
}

fn host(kind: Kind) -> Identity {
    identity(kind, HOST + kind.index() as u64)
}

/// The host's eight namespaces and nothing else.
pub(crate) fn bare_host() -> Survey {
    let namespaces = Kind::all()
        .map(|kind| Entry {
            own: true,
            pids: vec![1, 2],
            uid: Some(0),
            command: "/sbin/init".into(),
            ..entry(kind, host(kind).ino)
        })
        .collect();
    Survey { namespaces, users: [(0, "root".into())].into(), ..Survey::default() }
}

/// Adds a container whose namespaces `inode` chooses: 0 for the host's, others are made when they are new.
pub(crate) fn add(survey: &mut Survey, name: &str, inode: impl Fn(Kind) -> u64) {
    let number = survey.containers.len();
    let pid = 1000 + number as i32;
    let mut namespaces = PerKind::default();
    for kind in Kind::all() {
        let ino = match inode(kind) {
            0 => host(kind).ino,
            own => HOST + 100 + own * 10 + kind.index() as u64,
        };
        let at = survey.position(&identity(kind, ino)).unwrap_or_else(|| {
            survey.namespaces.push(entry(kind, ino));
            survey.namespaces.sort_by_key(|entry| (entry.identity.kind, entry.identity.ino));
            survey.position(&identity(kind, ino)).unwrap()
        });
        let entry = &mut survey.namespaces[at];
        entry.pids.push(pid);
        if entry.command.is_empty() {
            (entry.uid, entry.command) = (Some(0), format!("{name} --serve"));
        }
        entry.containers.push(number);
        namespaces[kind] = Some(entry.identity);
    }
    survey.containers.push(Container {
        engine: "docker",
        id: format!("{number:064x}"),
        name: Some(name.into()),
        pid,
        processes: 1,
        namespaces,
    });
}

/// Two containers in a pod, one alone, one on the host's network, a namespace that a mount keeps.
pub(crate) fn small() -> Survey {
    let mut survey = bare_host();
    let shared = [Kind::NETWORK, Kind::IPC, Kind::UTS];
    add(&mut survey, "web", |kind| if shared.contains(&kind) { 9 } else { 1 });
    add(&mut survey, "db", |kind| if shared.contains(&kind) { 9 } else { 2 });
    add(&mut survey, "alone", |_| 3);
    add(&mut survey, "hostnet", |kind| if kind == Kind::NETWORK { 0 } else { 4 });
    let mut kept = entry(Kind::NETWORK, HOST + 90);
    kept.kept_by.push(Keeper::Mount { path: "/run/netns/blue".into(), within: host(Kind::MOUNT) });
    survey.namespaces.push(kept);
    survey.namespaces.sort_by_key(|entry| (entry.identity.kind, entry.identity.ino));
    survey
}

/// `count` containers that share at random, and namespaces of none, the same for the same `seed`.
pub(crate) fn random(count: usize, seed: u64) -> Survey {
    let mut state = seed;
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut survey = bare_host();
    for number in 0..count {
        let choice = PerKind::from_fn(|_| match next(10) {
            0 => 0,
            1..=3 => 1 + next(count as u64 / 3 + 1),
            _ => 1000 + number as u64,
        });
        let name: String = "Wm容<&\"i".chars().cycle().skip(next(8) as usize).take(1 + next(60) as usize).collect();
        add(&mut survey, &name, |kind| choice[kind]);
    }
    for number in 0..next(6) {
        let mut other = entry(Kind::UTS, HOST + 10 + number);
        other.command = "a \u{1b}[31m command".repeat(1 + next(20) as usize);
        other.pids.push(7);
        survey.namespaces.push(other);
    }
    survey.namespaces.sort_by_key(|entry| (entry.identity.kind, entry.identity.ino));
    survey
}
