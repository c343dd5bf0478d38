// SPDX-License-Identifier: Apache-2.0
//! The table of attacks (docs/security-tests.md): every case has tests that exist or a reason, and every protection that a
//! weak build can leave out is shown to be missed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const TABLE: &str = include_str!("../../docs/security-tests.md");
const WEAK: &str = include_str!("../../crates/insula-sys/src/weak.rs");

/// How many cases each letter has.
const CASES: [(char, usize); 13] = [
    ('A', 7),
    ('B', 6),
    ('C', 17),
    ('D', 5),
    ('E', 17),
    ('F', 7),
    ('G', 7),
    ('H', 15),
    ('I', 9),
    ('J', 7),
    ('K', 9),
    ('L', 6),
    ('M', 4),
];

struct Row {
    case: &'static str,
    tests: &'static str,
    bites: &'static str,
}

fn rows() -> Vec<Row> {
    let cells = |line: &'static str| line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>();
    let rows = TABLE.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| case")).map(cells);
    rows.map(|cells| match cells[..] {
        [case, what, tests, bites] if !what.is_empty() => Row { case, tests, bites },
        _ => panic!("a row has four cells: {cells:?}"),
    })
    .collect()
}

/// What stands between backquotes.
fn quoted(cell: &'static str) -> impl Iterator<Item = &'static str> {
    cell.split('`').skip(1).step_by(2)
}

fn tests_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The text of a file of tests, with that of the directory that it may be.
fn file_of_tests(name: &str) -> Option<String> {
    let directory = tests_directory().join(name);
    if directory.is_dir() {
        let files = fs::read_dir(directory).expect("list").flatten();
        return Some(files.filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect());
    }
    fs::read_to_string(tests_directory().join(format!("{name}.rs"))).ok()
}

/// `file::test`, or `file` for all of its tests.
fn assert_exists(case: &str, name: &str) {
    let (file, test) = name.split_once("::").map_or((name, None), |(file, test)| (file, Some(test)));
    let text = file_of_tests(file).unwrap_or_else(|| panic!("{case}: no file of tests is called {file}"));
    if let Some(test) = test {
        let there = text.contains(&format!("fn {test}()")) || text.contains(&format!("    {test}: \""));
        assert!(there, "{case}: {file} has no test {test}");
    }
}

#[test]
fn every_case_stands_in_the_table_once() {
    let mut expected = BTreeSet::new();
    for (letter, count) in CASES {
        expected.extend((1..=count).map(|number| format!("{letter}{number}")));
    }
    let rows = rows();
    let listed: BTreeSet<_> = rows.iter().map(|row| row.case.to_owned()).collect();
    assert_eq!(listed, expected);
    assert_eq!(rows.len(), listed.len(), "a case is listed twice");
}

#[test]
fn every_case_has_tests_that_exist_or_a_reason() {
    for row in rows() {
        let names: Vec<_> = quoted(row.tests).collect();
        for name in &names {
            assert_exists(row.case, name);
        }
        let reason = row.tests.starts_with("not here: ") || row.tests.starts_with("every test");
        assert!(reason || !names.is_empty(), "{} has neither tests nor a reason", row.case);
        assert!(!row.bites.is_empty(), "{}: nothing shows that its tests bite", row.case);
    }
}

#[test]
fn every_weakness_is_shown_to_be_noticed() {
    let known: BTreeSet<_> = WEAK.lines().filter_map(|line| line.split_once(" = \"")?.1.strip_suffix("\",")).collect();
    assert!(known.len() > 10, "{known:?}");
    let mut used = BTreeSet::new();
    for row in rows() {
        // Weaknesses, each with the test that must fail with it.
        for pair in quoted(row.bites).collect::<Vec<_>>().chunks(2) {
            match *pair {
                [weakness, test] if known.contains(weakness) => {
                    used.insert(weakness);
                    assert_exists(row.case, test);
                }
                _ => assert!(!pair.iter().any(|word| known.contains(word)), "{}: a weakness and one test", row.case),
            }
        }
    }
    assert_eq!(used, known);
}
