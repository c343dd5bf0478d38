// SPDX-License-Identifier: Apache-2.0
//! User namespaces with what they own below them, and PID namespaces below their parents.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{container_labels, count, cut, kept_by, plain, user};
use crate::identity::Identity;
use crate::kind::Kind;
use crate::survey::{Entry, Survey};

/// Longest command line shown, in characters.
const LONGEST: usize = 40;

/// The survey as a tree. Each namespace is below the user namespace that owns it, or below its parent if the same one
/// owns both; those whose owner is not part of the survey begin a tree of their own.
pub fn tree(survey: &Survey) -> String {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); survey.namespaces.len()];
    let mut roots = Vec::new();
    for (index, entry) in survey.namespaces.iter().enumerate() {
        match above(survey, entry) {
            Some(above) if above != index => children[above].push(index),
            _ => roots.push(index),
        }
    }
    for list in children.iter_mut().chain([&mut roots]) {
        // What is owned first, so that it stays next to its owner; then user namespaces, with all of theirs.
        list.sort_by_key(|index| survey.namespaces[*index].identity.kind == Kind::USER);
    }
    let mut drawing = Drawing { survey, children: &children, text: String::new(), drawn: vec![false; children.len()] };
    for root in roots {
        drawing.draw(root, "", "", "");
    }
    drawing.text
}

/// Where the line above in the tree is.
fn above(survey: &Survey, entry: &Entry) -> Option<usize> {
    let same = |a: &Option<Identity>, b: &Option<Identity>| match (a, b) {
        (Some(a), Some(b)) => a.same_object(b),
        _ => false,
    };
    let parent = entry.parent.as_ref().and_then(|parent| survey.position(parent));
    let owner = entry.owner.as_ref().and_then(|owner| survey.position(owner));
    parent.filter(|index| same(&survey.namespaces[*index].owner, &entry.owner)).or(owner)
}

struct Drawing<'a> {
    survey: &'a Survey,
    children: &'a [Vec<usize>],
    text: String,
    /// Guards against a circle in a survey that was not the kernel's.
    drawn: Vec<bool>,
}

impl Drawing<'_> {
    fn draw(&mut self, index: usize, indent: &str, branch: &str, below: &str) {
        if core::mem::replace(&mut self.drawn[index], true) {
            return;
        }
        push!(self.text, "{indent}{branch}{}\n", line(self.survey, &self.survey.namespaces[index]));
        let children = &self.children[index];
        let indent = format!("{indent}{below}");
        for (at, child) in children.iter().enumerate() {
            let (branch, below) = if at + 1 == children.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.draw(*child, &indent, branch, below);
        }
    }
}

fn line(survey: &Survey, entry: &Entry) -> String {
    let mut text = format!("{}", entry.identity);
    if entry.own {
        text += " own";
    }
    push!(text, "  {}", count(entry.pids.len(), "process", "processes"));
    if let Some(pid) = entry.pids.first() {
        push!(text, ", {pid} {}", cut(&plain(&entry.command), LONGEST));
    }
    if let Some(uid) = entry.owner_uid {
        push!(text, ", made by {}", user(survey, uid));
    }
    let labels = [("containers", container_labels(survey, entry)), ("kept by", kept_by(survey, entry))];
    for (label, value) in labels {
        if !value.is_empty() {
            push!(text, ", {label} {value}");
        }
    }
    text
}
