// SPDX-License-Identifier: Apache-2.0
//! docs/conformance.md against the code: every field of `config.json` has one row, each row names a test that speaks of
//! the field, and what is said to be refused is what the plan refuses.
//!
//! `INSULA_BLESS=1 cargo test -p insula-spec conformance` writes the table anew.

use crate::Spec;
use crate::object::{Shape, Shaped};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const TABLE: &str = "docs/conformance.md";
/// Which of a field's tests is named: the first that speaks of it.
const TESTS: &[&str] = &[
    "tests/tests",
    "crates/insula-cgroup/tests/kernel",
    "crates/insula-cgroup/src/limits/tests.rs",
    "crates/insula-cgroup/src/devices/tests.rs",
    "crates/insula-seccomp/src/tests.rs",
    "crates/insula-spec/src/validate/tests.rs",
    "crates/insula-spec/src/load/tests.rs",
    // Loaded whole, and by name, in the tests of the loader.
    "crates/insula-spec/testdata",
];
/// Parts of other systems.
const FOREIGN: &[&str] = &["/solaris", "/windows", "/vm", "/zos", "/freebsd"];
/// Meant for Windows alone, and said so by the specification.
const IGNORED: &str = "/process/user/username";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every property, as a JSON pointer with `*` for what is free.
fn fields(shape: &Shape, at: &str, list: &mut Vec<String>) {
    match shape {
        Shape::Leaf => {}
        Shape::Object(properties) => {
            for (name, below) in *properties {
                let pointer = format!("{at}/{name}");
                list.push(pointer.clone());
                fields(below, &pointer, list);
            }
        }
        Shape::List(below) | Shape::Map(below) => fields(below, &format!("{at}/*"), list),
    }
}

/// The pointers that the plan refuses, as it has them.
fn refused() -> BTreeSet<String> {
    let code = read("crates/insula-plan/src/compile.rs");
    let body =
        code.split("fn refuse_unknown_parts").nth(1).and_then(|rest| rest.split("\n}").next()).expect("the function");
    body.split('"').filter(|text| text.starts_with('/')).map(String::from).collect()
}

fn status(field: &str, refused: &BTreeSet<String>) -> &'static str {
    let within = |part: &str| field == part || field.strip_prefix(part).is_some_and(|rest| rest.starts_with('/'));
    if field == IGNORED {
        "ignored: another platform's"
    } else if FOREIGN.iter().any(|part| within(part)) {
        "refused: another platform's"
    } else if refused.iter().any(|part| within(part)) {
        "refused"
    } else {
        "done"
    }
}

/// Whether a test's text speaks of the field: its own name and that of what holds it.
fn speaks_of(text: &str, field: &str) -> bool {
    let mut names = field.rsplit('/').filter(|name| !name.is_empty() && *name != "*");
    names.next().is_some_and(|name| text.contains(name)) && names.next().is_none_or(|name| text.contains(name))
}

fn tests() -> BTreeMap<String, String> {
    let mut tests = BTreeMap::new();
    for (rank, place) in TESTS.iter().enumerate() {
        let whole = workspace().join(place);
        let files: Vec<PathBuf> = if whole.is_dir() {
            fs::read_dir(&whole).expect("list tests").map(|entry| entry.expect("an entry").path()).collect()
        } else {
            vec![whole]
        };
        for file in files
            .iter()
            .filter(|file| file.extension().is_some_and(|extension| extension == "rs" || extension == "json"))
        {
            let name = file.strip_prefix(workspace()).expect("it is below").display().to_string();
            // Documents that are wrong, or merely there, show less than containers.
            let late = name.contains("bad_documents") || name.contains("combinations") || name.contains("odd_");
            tests.insert(format!("{rank}{}{name}", u8::from(late)), fs::read_to_string(file).expect("read a test"));
        }
    }
    tests
}

fn written() -> String {
    let (refused, tests) = (refused(), tests());
    let mut list = Vec::new();
    fields(Spec::SHAPE, "", &mut list);
    let mut text = String::from(
        "# Conformance: every field of config.json\n\n\
         Runtime specification 1.3.0. `*` stands for an index or a free key. *done*: the container is what the field says, or\n\
         there is an error that names the field. *refused*: a document with it is an error that names the field. A test in\n\
         crates/insula-spec/src/conformance.rs fails when this table and the code disagree.\n\n\
         | Field | Status | A test of it |\n|---|---|---|\n",
    );
    for field in list {
        let test = tests.iter().find(|(_, text)| speaks_of(text, &field)).map_or("", |(name, _)| &name[2..]);
        text += &format!("| `{field}` | {} | {test} |\n", status(&field, &refused));
    }
    text
}

#[test]
fn the_table_and_the_code_agree() {
    if std::env::var_os("INSULA_BLESS").is_some() {
        fs::write(workspace().join(TABLE), written()).expect("write the table");
    }
    let table = read(TABLE);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    let mut known = Vec::new();
    fields(Spec::SHAPE, "", &mut known);
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), known, "one row a field, in order");
    let refused = refused();
    for row in &rows {
        let [field, said, test] = row[..] else { panic!("{row:?} has not three cells") };
        assert_eq!(said, status(field, &refused), "{field}");
        assert!(!test.is_empty(), "{field} has no test");
        assert!(speaks_of(&read(test), field), "{test} does not speak of {field}");
    }
}
