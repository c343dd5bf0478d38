// SPDX-License-Identifier: Apache-2.0
use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn seen(recogniser: &mut Recogniser, pid: i32, cgroups: &str) -> Option<String> {
    let index = recogniser.container_of(pid, cgroups, &PerKind::default())?;
    Some(recogniser.containers[index].id.clone())
}

#[test]
fn processes_belong_by_cgroup_and_not_by_parent() {
    let known = [
        Known { id: "box", pid: 100, cgroup: Some("/insula/box") },
        Known { id: "bare", pid: 200, cgroup: None },
        Known { id: ID, pid: 300, cgroup: None },
    ];
    let mut recogniser = Recogniser::new(&known);
    assert_eq!(seen(&mut recogniser, 100, "0::/insula/box"), Some("box".into()));
    assert_eq!(seen(&mut recogniser, 101, "5:cpu:/insula/box/sub\n0::/"), Some("box".into()));
    assert_eq!(seen(&mut recogniser, 102, "0::/insula/boxer"), None);
    assert_eq!(seen(&mut recogniser, 199, "0::/user.slice"), None);
    assert_eq!(seen(&mut recogniser, 200, "0::/user.slice"), Some("bare".into()));
    assert_eq!(seen(&mut recogniser, 301, &format!("0::/docker/{ID}")), Some(ID.into()));
    let containers = recogniser.finish(&mut []);
    let mut summary: Vec<_> = containers.iter().map(|c| (c.label(), c.engine, c.pid, c.processes)).collect();
    summary.sort_unstable();
    // The long one runs under Docker, whoever else knows it.
    assert_eq!(summary, [(&ID[..12], "docker", 300, 1), ("bare", "insula", 200, 1), ("box", "insula", 100, 2)]);
}

#[test]
fn containers_without_processes_are_forgotten() {
    let mut recogniser = Recogniser::new(&[Known { id: "gone", pid: 0x7fff_0000, cgroup: Some("/gone") }]);
    assert_eq!(seen(&mut recogniser, 7, "0::/elsewhere"), None);
    assert!(recogniser.finish(&mut []).iter().all(|container| container.id != "gone"));
}
