// SPDX-License-Identifier: Apache-2.0
//! Device rules in force: a process in the cgroup opens nodes, and the outcome is compared with the model's decision.

use crate::scratch::{Scratch, Sleeper, cannot_run, default_rules, resources};
use insula_cgroup::{DeviceAccess, DeviceKind, DeviceRules, Group, Layout, Mode};
use insula_spec::{DeviceRule, Resources, Str};
use rustix::fs::{FileType, Mode as Permissions, OFlags};
use rustix::io::Errno;
use std::ffi::CString;

/// Majors that the kernel keeps for local use (devices.txt): no driver is behind them, so an allowed open fails with
/// ENXIO and touches nothing.
const MAJORS: [u32; 3] = [240, 241, 242];
const MINORS: [u32; 5] = [0, 3, 31, 63, 200];
const LISTS: usize = 150;
/// How each node is tried: reading, writing, both; mknod is tried beside it.
const OPENS: [(OFlags, u8); 3] = [(OFlags::RDONLY, 2), (OFlags::WRONLY, 4), (OFlags::RDWR, 6)];

/// Removed whatever happens.
struct Directory(String);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Node {
    kind: DeviceKind,
    major: u32,
    minor: u32,
    path: CString,
    second: CString,
}

fn file_type(kind: DeviceKind) -> FileType {
    if kind == DeviceKind::Block { FileType::BlockDevice } else { FileType::CharacterDevice }
}

fn nodes(dir: &str) -> Vec<Node> {
    std::fs::create_dir_all(dir).unwrap();
    let mut nodes = Vec::new();
    for kind in [DeviceKind::Block, DeviceKind::Character] {
        for major in MAJORS {
            for minor in MINORS {
                let name = |suffix: &str| CString::new(format!("{dir}/{kind:?}-{major}-{minor}{suffix}")).unwrap();
                let node = Node { kind, major, minor, path: name(""), second: name("x") };
                make(&node, &node.path).unwrap();
                nodes.push(node);
            }
        }
    }
    nodes
}

fn make(node: &Node, path: &CString) -> rustix::io::Result<()> {
    let device = rustix::fs::makedev(node.major, node.minor);
    rustix::fs::mknodat(rustix::fs::CWD, path, file_type(node.kind), Permissions::from_raw_mode(0o600), device)
}

/// One bit per access that the kernel lets through. Allocates nothing.
fn attempts(node: &Node) -> u8 {
    let mut allowed = 0;
    for (index, (flags, _)) in OPENS.iter().enumerate() {
        let result = rustix::fs::open(&node.path, *flags | OFlags::NONBLOCK | OFlags::CLOEXEC, Permissions::empty());
        allowed |= u8::from(!matches!(result, Err(Errno::PERM))) << index;
    }
    if make(node, &node.second).is_ok() {
        allowed |= 8;
        let _ = rustix::fs::unlink(&node.second);
    }
    allowed
}

fn random_rules(seed: &mut u64, strict: bool) -> (Vec<DeviceRule<'static>>, DeviceRules) {
    let mut below = |bound: u64| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % bound
    };
    let mut list: Vec<DeviceRule<'static>> = Vec::new();
    for index in 0..below(14) {
        let any = below(4);
        let kind = if index == 0 && !strict && below(3) == 0 { "a" } else { ["b", "c"][below(2) as usize] };
        list.push(DeviceRule {
            allow: below(3) != 0,
            kind: Some(Str::from(kind)),
            major: (any != 0).then(|| i64::from(MAJORS[below(3) as usize])),
            minor: (any != 1).then(|| i64::from(MINORS[below(5) as usize])),
            access: Some(Str::from(["r", "w", "m", "rw", "rwm", "rm"][below(6) as usize])),
        });
        if DeviceRules::new(&list).is_err() {
            list.pop();
        }
    }
    let rules = DeviceRules::new(&list).unwrap();
    (list, rules)
}

#[test]
fn opening_devices_agrees_with_the_model() {
    if cannot_run() {
        return;
    }
    let unified = Layout::probe().unwrap().mode() == Mode::Unified;
    let scratch = Scratch::new();
    let created = scratch.create("box");
    created.apply(&Resources::default(), &default_rules()).unwrap();
    // Where device nodes work: systemd mounts /tmp without.
    let dir = Directory(format!("/var/tmp{}", scratch.path("").trim_end_matches('/')));
    let nodes = nodes(&dir.0);
    let (order, orders) = rustix::pipe::pipe().unwrap();
    let (results, result) = rustix::pipe::pipe().unwrap();
    let doors = created.open_for_join(&[]).unwrap();
    let _opener = Sleeper::start(&doors, || {
        while rustix::io::read(&order, &mut [0; 1]).is_ok() {
            for node in &nodes {
                let _ = rustix::io::write(&result, &[attempts(node)]);
            }
        }
    });
    let mut seed = 42;
    let (mut compared, mut let_through) = (0, 0);
    for _ in 0..LISTS {
        // v1's kernel is stricter where the default is to allow and only a part of the access is denied
        let (list, rules) = random_rules(&mut seed, !unified);
        Group::apply(&created, &Resources::default(), Some(&rules)).unwrap();
        rustix::io::write(&orders, b".").unwrap();
        for node in &nodes {
            let mut outcome = [0];
            assert_eq!(rustix::io::read(&results, &mut outcome), Ok(1));
            for (index, access) in [2, 4, 6, 1].into_iter().enumerate() {
                let expected = rules.decide(node.kind, node.major, node.minor, DeviceAccess::from_bits(access));
                let got = outcome[0] >> index & 1 == 1;
                assert_eq!(
                    got, expected,
                    "{:?} {}:{} access {access} with {list:?}",
                    node.kind, node.major, node.minor
                );
                compared += 1;
                let_through += u32::from(got);
            }
        }
    }
    println!("{compared} attempts, {let_through} allowed");
    assert!(compared >= 2000 && let_through > 500 && compared - let_through > 500);
}

#[test]
fn default_rules_hold_at_once() {
    if cannot_run() {
        return;
    }
    let scratch = Scratch::new();
    let created = scratch.create("box");
    created.apply(&resources(r#"{"devices":[{"allow":false,"access":"rwm"}]}"#), &default_rules()).unwrap();
    let (results, result) = rustix::pipe::pipe().unwrap();
    let _opener = Sleeper::start(&created.open_for_join(&[]).unwrap(), || {
        for path in [c"/dev/null", c"/dev/kmsg"] {
            let denied = matches!(rustix::fs::open(path, OFlags::RDONLY, Permissions::empty()), Err(Errno::PERM));
            let _ = rustix::io::write(&result, &[u8::from(denied)]);
        }
        loop {
            crate::scratch::rest();
        }
    });
    let mut outcomes = [0; 2];
    for outcome in &mut outcomes {
        rustix::io::read(&results, core::slice::from_mut(outcome)).unwrap();
    }
    assert_eq!(outcomes, [0, 1], "/dev/null is to be allowed and /dev/kmsg denied");
}
