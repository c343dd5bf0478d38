// SPDX-License-Identifier: Apache-2.0
//! Part of a survey: by kind, container or process.

use super::{Entry, Survey};
use crate::kind::Kind;

/// Which namespaces are wanted; all conditions that are given must hold.
#[derive(Copy, Clone, Debug, Default)]
pub struct Selection<'a> {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Used by the container with this name or id, or an id that begins so (12 characters at least).
    pub container: Option<&'a str>,
    /// That this process is in.
    pub pid: Option<i32>,
}

impl Survey {
    /// The survey without the namespaces that were not selected. Owners and parents are still named, and all containers
    /// stay, so that indices keep their meaning.
    #[must_use]
    pub fn select(&self, selection: &Selection<'_>) -> Self {
        let container = selection.container.map(|name| self.container(name));
        let wanted = |entry: &&Entry| {
            selection.kind.is_none_or(|kind| entry.identity.kind == kind)
                && selection.pid.is_none_or(|pid| entry.pids.binary_search(&pid).is_ok())
                && container.is_none_or(|index| index.is_some_and(|index| entry.containers.contains(&index)))
        };
        Self {
            namespaces: self.namespaces.iter().filter(wanted).cloned().collect(),
            containers: self.containers.clone(),
            users: self.users.clone(),
            unreadable: self.unreadable,
        }
    }

    /// Index of the container with this name or id, or of the first whose id begins so (12 characters at least).
    pub fn container(&self, name: &str) -> Option<usize> {
        let exact = |c: &crate::containers::Container| c.id == name || c.name.as_deref() == Some(name);
        self.containers
            .iter()
            .position(exact)
            .or_else(|| self.containers.iter().position(|container| name.len() >= 12 && container.id.starts_with(name)))
    }
}
