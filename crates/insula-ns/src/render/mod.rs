// SPDX-License-Identifier: Apache-2.0
//! Ways to show a survey, each a pure function from [`Survey`] to text: [`table`], [`tree`], [`json`], and as a graph
//! of containers and the namespaces that connect them [`dot`], [`mermaid`] and [`svg`].
//!
//! Names of containers, command lines and paths are chosen by others: no control character of theirs gets through.

use alloc::format;
use alloc::string::{String, ToString};

use crate::survey::{Entry, Keeper, Survey};

/// Appends formatted text to a string, which cannot fail.
macro_rules! push {
    ($text:expr, $($what:tt)*) => {
        core::fmt::Write::write_fmt(&mut $text, format_args!($($what)*)).unwrap_or_default()
    };
}

mod dot;
mod graph;
mod json;
mod mermaid;
mod svg;
mod table;
mod tree;

pub use dot::dot;
pub use json::json;
pub use mermaid::mermaid;
pub use svg::svg;
pub use table::table;
pub use tree::tree;

/// `text` on one line, with control characters and what could reorder text as escapes.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// At most `most` characters of `text`, the last of them an ellipsis if there were more.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// "1 process", "2 processes".
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// What keeps a namespace, in words; only mounts if there are processes in it.
fn kept_by(survey: &Survey, entry: &Entry) -> String {
    let mut shown = entry.kept_by.iter().filter(|k| entry.pids.is_empty() || matches!(k, Keeper::Mount { .. }));
    let Some(first) = shown.next() else {
        return if entry.pids.is_empty() { related(survey, entry) } else { String::new() };
    };
    let text = match first {
        Keeper::Thread { pid, tid } => format!("thread {tid} of {pid}"),
        Keeper::ForChildren { pid, tid } if pid == tid => format!("for children of {pid}"),
        Keeper::ForChildren { pid, tid } => format!("for children of thread {tid} of {pid}"),
        Keeper::Descriptor { pid, fd } => format!("descriptor {fd} of {pid}"),
        Keeper::Socket { pid, fd } => format!("socket {fd} of {pid}"),
        Keeper::Mount { path, within } => {
            let own = survey.find(within).is_none_or(|entry| entry.own);
            let elsewhere = if own { String::new() } else { format!(" in {within}") };
            format!("mount {}{elsewhere}", plain(path))
        }
    };
    match shown.count() {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// How many namespaces have this one as owner or parent, in words.
fn related(survey: &Survey, entry: &Entry) -> String {
    let is = |identity: &Option<crate::Identity>| identity.is_some_and(|one| one.same_object(&entry.identity));
    let owned = survey.namespaces.iter().filter(|other| is(&other.owner)).count();
    let below = survey.namespaces.iter().filter(|other| is(&other.parent) && !is(&other.owner)).count();
    match (owned, below) {
        (0, 0) => String::new(),
        (0, below) => format!("parent of {below}"),
        (owned, _) => format!("owner of {owned}"),
    }
}

/// Labels of the containers that use a namespace, separated by commas.
fn container_labels(survey: &Survey, entry: &Entry) -> String {
    let labels = entry.containers.iter().filter_map(|index| survey.containers.get(*index));
    labels.map(|container| plain(container.label())).collect::<alloc::vec::Vec<_>>().join(",")
}

/// Name of the user with this id, or the number.
fn user(survey: &Survey, uid: u32) -> String {
    survey.users.get(&uid).map_or_else(|| uid.to_string(), |name| plain(name))
}

#[cfg(test)]
mod made_up;
#[cfg(test)]
mod tests;
