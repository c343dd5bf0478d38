// SPDX-License-Identifier: Apache-2.0
//! The survey as a graph: containers, the namespaces that connect them, and what is left.

use alloc::vec;
use alloc::vec::Vec;

use crate::containers::Container;
use crate::kind::PerKind;
use crate::survey::Survey;

/// How a container comes by its namespace of one kind.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Use {
    /// Nothing is known of it, or it was not selected.
    Unknown,
    /// No other container uses it.
    Private,
    /// Other containers use it too.
    Shared,
    /// It is the surveyor's own: the host's.
    Host,
}

/// A container in the graph.
pub(super) struct Node<'a> {
    pub(super) container: &'a Container,
    pub(super) uses: PerKind<Use>,
}

/// A namespace that several containers use, or the host's that at least one uses.
pub(super) struct Shared {
    /// Index into the survey's namespaces.
    pub(super) entry: usize,
    /// Indices into the graph's nodes, ascending.
    pub(super) users: Vec<usize>,
}

/// Containers that are connected, directly or by others; a pod.
pub(super) struct Group {
    /// Indices into the graph's nodes, ascending.
    pub(super) nodes: Vec<usize>,
    /// Indices into [`Graph::shared`].
    pub(super) shared: Vec<usize>,
}

pub(super) struct Graph<'a> {
    pub(super) survey: &'a Survey,
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) shared: Vec<Shared>,
    pub(super) host: Vec<Shared>,
    /// Every node is in exactly one; the largest come first.
    pub(super) groups: Vec<Group>,
    /// Namespaces of no container and not the host's, as indices into the survey's.
    pub(super) others: Vec<usize>,
}

impl<'a> Graph<'a> {
    /// The graph of those containers that use a namespace of the survey.
    pub(super) fn new(survey: &'a Survey) -> Self {
        let mut node_of = vec![None; survey.containers.len()];
        let mut nodes = Vec::new();
        for (index, container) in survey.containers.iter().enumerate() {
            if survey.namespaces.iter().any(|entry| entry.containers.contains(&index)) {
                node_of[index] = Some(nodes.len());
                nodes.push(Node { container, uses: uses(survey, container) });
            }
        }
        let (mut shared, mut host, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for (index, entry) in survey.namespaces.iter().enumerate() {
            let users: Vec<usize> = entry.containers.iter().filter_map(|at| *node_of.get(*at)?).collect();
            match (entry.own, users.len()) {
                (true, 0) | (false, 1) => {}
                (true, _) => host.push(Shared { entry: index, users }),
                (false, 0) => others.push(index),
                (false, _) => shared.push(Shared { entry: index, users }),
            }
        }
        let groups = groups(nodes.len(), &shared);
        Self { survey, nodes, shared, host, groups, others }
    }
}

fn uses(survey: &Survey, container: &Container) -> PerKind<Use> {
    PerKind::from_fn(|kind| {
        let found = container.namespaces[kind].as_ref().and_then(|identity| survey.find(identity));
        found.map_or(Use::Unknown, |entry| match (entry.own, entry.containers.len()) {
            (true, _) => Use::Host,
            (false, 0 | 1) => Use::Private,
            (false, _) => Use::Shared,
        })
    })
}

fn groups(count: usize, shared: &[Shared]) -> Vec<Group> {
    // The lowest node that each node is connected to; joined until each points at a node that points at itself.
    let mut leader: Vec<usize> = (0..count).collect();
    let find = |leader: &[usize], mut node: usize| {
        while leader[node] != node {
            node = leader[node];
        }
        node
    };
    for Shared { users, .. } in shared {
        for user in users {
            let (a, b) = (find(&leader, users[0]), find(&leader, *user));
            leader[a.max(b)] = a.min(b);
        }
    }
    let mut groups: Vec<Group> = Vec::new();
    let mut group_of = vec![usize::MAX; count];
    for node in 0..count {
        let lead = find(&leader, node);
        if lead == node {
            group_of[node] = groups.len();
            groups.push(Group { nodes: Vec::new(), shared: Vec::new() });
        }
        groups[group_of[lead]].nodes.push(node);
    }
    for (index, one) in shared.iter().enumerate() {
        groups[group_of[find(&leader, one.users[0])]].shared.push(index);
    }
    groups.sort_by_key(|group| core::cmp::Reverse(group.nodes.len()));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_what_is_connected() {
        let shared = |users: &[usize]| Shared { entry: 0, users: users.to_vec() };
        let groups = groups(6, &[shared(&[4, 5]), shared(&[0, 3]), shared(&[3, 5])]);
        let nodes: Vec<_> = groups.iter().map(|group| group.nodes.clone()).collect();
        assert_eq!(nodes, [vec![0, 3, 4, 5], vec![1], vec![2]]);
        assert_eq!(groups[0].shared, [0, 1, 2]);
        assert!(super::groups(0, &[]).is_empty());
    }
}
