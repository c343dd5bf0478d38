// SPDX-License-Identifier: Apache-2.0
//! What this host can do. Every line is tried, or read from where the kernel says it; nothing is concluded from a version.
//!
//! A new question is one row in the table of its group.

mod containers;
mod kernel;
mod namespaces;
mod ordinary;
mod probe;
mod programs;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Serialize;

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is there and works.
    Works,
    /// It is not there; something that some documents ask for will be refused.
    Missing,
    /// It is not there, and without it no container starts.
    Needed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What it belongs to: `kernel`, `namespaces`, `containers`, `ordinary users`, `programs`.
    pub group: &'static str,
    /// What it is.
    pub name: &'static str,
    /// How it is.
    pub state: State,
    /// What was seen: a version, a list, or what the kernel answered.
    pub found: String,
    /// What does not work without it; empty if it works.
    pub stops: Cow<'static, str>,
    /// How to get it; empty if it works.
    pub remedy: Cow<'static, str>,
}

/// What the caller knows of itself.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// `$PATH`.
    pub path: &'a str,
    /// `$XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<&'a str>,
}

/// What a probe saw, or what is in the way.
type Seen = core::result::Result<String, String>;

/// A question with the answer's meaning.
struct Check {
    name: &'static str,
    /// Whether no container starts without it.
    needed: bool,
    look: fn(&Caller<'_>) -> Seen,
    stops: &'static str,
    remedy: &'static str,
}

impl Check {
    fn ask(&self, group: &'static str, caller: &Caller<'_>) -> Finding {
        let (state, found) = match (self.look)(caller) {
            Ok(found) => (State::Works, found),
            Err(found) => (if self.needed { State::Needed } else { State::Missing }, found),
        };
        let text = |text: &'static str| Cow::Borrowed(if state == State::Works { "" } else { text });
        Finding { group, name: self.name, state, found, stops: text(self.stops), remedy: text(self.remedy) }
    }
}

/// Looks at everything, in the order in which it is shown.
pub fn examine(caller: &Caller<'_>) -> Vec<Finding> {
    let tables: [(&'static str, &[Check]); 4] = [
        ("kernel", &kernel::CHECKS),
        ("containers", &containers::CHECKS),
        ("ordinary users", &ordinary::CHECKS),
        ("programs", &programs::CHECKS),
    ];
    let mut findings = Vec::with_capacity(40);
    for (group, checks) in tables {
        findings.extend(checks.iter().map(|check| check.ask(group, caller)));
        if group == "kernel" {
            findings.extend(namespaces::examine());
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: Caller<'static> = Caller { path: "/usr/bin:/bin", runtime_dir: None };

    fn row(needed: bool, look: fn(&Caller<'_>) -> Seen) -> Finding {
        Check { name: "thing", needed, look, stops: "this", remedy: "that" }.ask("kernel", &CALLER)
    }

    #[test]
    fn only_what_is_missing_has_a_remedy() {
        let works = row(true, |_| Ok("6.1".into()));
        assert_eq!((works.state, &*works.found, &*works.stops, &*works.remedy), (State::Works, "6.1", "", ""));
        let missing = row(false, |_| Err("ENOSYS".into()));
        assert_eq!((missing.state, &*missing.stops, &*missing.remedy), (State::Missing, "this", "that"));
        assert_eq!(row(true, |_| Err("ENOSYS".into())).state, State::Needed);
    }

    #[test]
    fn every_row_says_what_stops_and_how_to_get_it() {
        for checks in [&kernel::CHECKS[..], &containers::CHECKS, &ordinary::CHECKS, &programs::CHECKS] {
            for check in checks {
                assert!(!check.stops.is_empty() && !check.remedy.is_empty(), "{}", check.name);
                assert!(!check.stops.ends_with('.') && !check.remedy.ends_with('.'), "{}", check.name);
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let findings = examine(&CALLER);
        for (index, finding) in findings.iter().enumerate() {
            assert!(findings[index + 1..].iter().all(|other| other.name != finding.name), "{}", finding.name);
        }
    }
}
