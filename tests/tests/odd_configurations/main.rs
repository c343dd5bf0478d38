// SPDX-License-Identifier: Apache-2.0
//! Odd documents, on which runc, crun and youki differ, fail late, or do harm: each runs as it says, or is refused by
//! `plan` and `create` alike before anything is made.
//!
//! The numbers, 1 to 81, are those of the comparison that the list came from (shared/namespaces.md, section 10). It has no
//! words for ten of them, on which nobody differed; the documents under these numbers are marked with `~` and are
//! what their neighbours suggest.

mod fields;
mod nesting;
mod ownership;
mod paths;
mod rootless;
mod users;

use insula_tests::{Bundle, Donor, Lab, is_insula, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How a document ends.
#[derive(Clone, Copy)]
enum Ends {
    /// Refused, with these words.
    Refused(&'static [&'static str]),
    /// It runs.
    Runs,
}

use Ends::{Refused, Runs};

/// Namespaces to join.
struct Donors {
    /// Owned by the initial user namespace.
    plain: Donor,
    /// A user namespace with others in it.
    user: Donor,
}

impl Donors {
    fn new(lab: &Lab) -> Self {
        Self {
            plain: Donor::new(lab, &["network", "pid", "ipc", "uts", "cgroup", "time"]),
            user: Donor::new(lab, &["user", "network", "ipc", "uts", "pid"]),
        }
    }
}

/// Cases with a test of their own.
const ALONE: &[u32] = &[14, 52, 55, 74];

/// Cases that the notes name by number only: nobody differed on them. All but the last have a row marked with `~`.
const WITHOUT_WORDS: &[u32] = &[18, 23, 54, 56, 58, 75, 76, 77, 80, 26];

type Edit = fn(&Lab, &Donors, &mut Bundle);
type Row = (&'static str, Edit, Ends);

/// Tries every row in one lab.
#[track_caller]
fn try_all(rows: &[Row]) {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    let lab = Lab::new();
    let donors = Donors::new(&lab);
    for (case, edit, ends) in rows {
        let mut bundle = lab.bundle();
        edit(&lab, &donors, &mut bundle);
        let container = lab.container(&bundle);
        let output = container.run();
        match ends {
            Runs => assert_eq!(output.code(), 0, "case {case}: {output}"),
            Refused(words) => {
                assert_eq!(output.code(), 1, "case {case}: {output}");
                let plan = lab.insula().arg("plan").arg("--bundle").arg(bundle.path()).run();
                assert_eq!(plan.code(), 1, "case {case} is planned: {plan}");
                for word in *words {
                    assert!(output.stderr.contains(word), "case {case} does not say {word:?}: {output}");
                }
                assert!(!lab.state_root().join(container.id()).exists(), "case {case} leaves a state");
            }
        }
    }
}

/// The numbers at the beginning of a row's name.
fn numbers(name: &str) -> impl Iterator<Item = u32> + '_ {
    name.trim_start_matches('~').split(' ').map_while(|word| word.parse().ok())
}

#[test]
fn all_81_are_accounted_for() {
    let rows = [paths::ROWS, fields::ROWS, users::ROWS, ownership::ROWS].concat();
    let named: BTreeSet<u32> = rows.iter().flat_map(|(name, ..)| numbers(name)).chain(ALONE.iter().copied()).collect();
    let missing: Vec<u32> = (1..=81).filter(|number| !named.contains(number)).collect();
    assert_eq!(missing, WITHOUT_WORDS[WITHOUT_WORDS.len() - 1..]);
    let guessed: BTreeSet<u32> =
        rows.iter().filter(|(name, ..)| name.starts_with('~')).flat_map(|(name, ..)| numbers(name)).collect();
    assert_eq!(guessed, WITHOUT_WORDS[..WITHOUT_WORDS.len() - 1].iter().copied().collect());
}

fn join(bundle: &mut Bundle, kind: &str, path: impl Into<PathBuf>) {
    bundle.join(kind, path.into());
}

/// For edits that are one expression.
fn done(_: &mut Bundle) {}

fn no_hostname(bundle: &mut Bundle) {
    bundle.remove("/hostname");
}

fn sysctl(bundle: &mut Bundle, name: &str, value: &str) {
    bundle.set("/linux/sysctl", json!({name: value}));
}

/// Nothing that would need a mount namespace.
fn without_mounts(bundle: &mut Bundle) {
    for pointer in ["/linux/maskedPaths", "/linux/readonlyPaths"] {
        bundle.remove(pointer);
    }
    bundle.set("/mounts", json!([])).set("/root/readonly", json!(false));
}
