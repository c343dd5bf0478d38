// SPDX-License-Identifier: Apache-2.0
//! docs/conformance.md against the code: every field of `config.json` has one row, each row names a test that speaks of
//! the field, and what is said to be refused is what the plan refuses.
//!
//! `INSULA_BLESS=1 cargo test -p insula-spec conformance` writes the table anew.

use crate::Spec;
use crate::object::{Shape, Shaped};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const TABLE: &str = "docs/conformance.md";
/// Where tests are, those that show most first.
const TESTS: &[&str] = &[
    "tests/tests",
    "crates/insula-cgroup/tests/kernel",
    "crates/insula-cgroup/src/limits/tests.rs",
    "crates/insula-cgroup/src/devices/tests.rs",
    "crates/insula-run/src/resctrl.rs",
    "crates/insula-plan/tests/plans.rs",
    "crates/insula-seccomp/src/tests.rs",
    "crates/insula-seccomp/tests/semantics.rs",
    "crates/insula-spec/src/validate/tests.rs",
    "crates/insula-spec/src/load/tests.rs",
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

/// One test function, or one row of a table of tests.
struct Test {
    /// `file::name`
    name: String,
    /// 0 for real containers, more for what shows less.
    rank: usize,
    body: String,
}

/// How well a test's text shows that it exercises the field: 3 if it names the field's pointer, 2 if it names the pointer
/// of what holds it and the field itself as a key, 1 if it sets the field of the type that stands for it, 0 otherwise.
fn strength(body: &str, field: &str) -> u8 {
    let names: Vec<&str> = field.split('/').skip(1).collect();
    let pointers: Vec<Vec<&str>> = body
        .match_indices("\"/")
        .filter_map(|(at, _)| body[at + 1..].split('"').next())
        .map(|pointer| pointer.split('/').skip(1).collect())
        .collect();
    let leads = |pointer: &[&str], wanted: &[&str]| {
        pointer.len() == wanted.len() && pointer.iter().zip(wanted).all(|(is, wanted)| *wanted == "*" || is == wanted)
    };
    if pointers.iter().any(|pointer| leads(pointer, &names)) {
        return 3;
    }
    let Some(key) = names.iter().rev().find(|name| **name != "*") else { return 0 };
    let quoted = body.contains(&format!("\"{key}\"")) || body.contains(&format!("\\\"{key}\\\""));
    let held = (1..names.len()).any(|end| {
        let holder = &names[..end];
        // `/linux` alone, or the whole document, hold too much to say anything.
        (end > 1 || !["linux", "process"].contains(&holder[0])) && pointers.iter().any(|pointer| leads(pointer, holder))
    });
    if quoted && held {
        return 2;
    }
    let mut snake = String::new();
    for c in key.chars() {
        if c.is_ascii_uppercase() && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    let snake = match snake.as_str() {
        "kernel_t_c_p" => "kernel_tcp",
        "disable_o_o_m_killer" => "disable_oom_killer",
        "class_i_d" => "class_id",
        "throttle_read_i_o_p_s_device" => "throttle_read_iops_device",
        "throttle_write_i_o_p_s_device" => "throttle_write_iops_device",
        "type" => "kind",
        other => other,
    };
    u8::from(
        body.contains(&format!("{snake}:"))
            && ["/linux/resources/", "/linux/intelRdt/"].iter().any(|part| field.starts_with(part)),
    )
}

/// A test of the check itself: what is not exercised is seen.
#[test]
fn a_field_is_exercised_only_by_what_names_it() {
    assert_eq!(strength(r#"bundle.set("/process/user/umask", json!(7))"#, "/process/user/umask"), 3);
    assert_eq!(strength(r#"bundle.set("/process/user", json!({"umask": 7}))"#, "/process/user/umask"), 2);
    assert_eq!(strength(r#"bundle.push("/mounts/7/options", json!("ro"))"#, "/mounts/*/options"), 3);
    for other in [r#"set("/process/umask", 7)"#, r#"set("/process/user/umasks", 7)"#, r#"json!({"umask": 7})"#, ""] {
        assert_eq!(strength(other, "/process/user/umask"), 0, "{other}");
    }
}

/// The name of the last function in `part` of a file, what is in it, and whether it is a test.
fn function(part: &str) -> Option<(&str, &str, bool)> {
    let at = part.rfind("\nfn ")?;
    let body = &part[at..];
    let name = body.trim_start().strip_prefix("fn ")?.split(['(', '<']).next()?;
    Some((name, body, part[..at].ends_with("#[test]")))
}

fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for (rank, place) in TESTS.iter().enumerate() {
        let whole = workspace().join(place);
        let mut files: Vec<PathBuf> = if whole.is_dir() {
            fs::read_dir(&whole).expect("list tests").map(|entry| entry.expect("an entry").path()).collect()
        } else {
            vec![whole]
        };
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
            let name = file.strip_prefix(workspace()).expect("it is below").display().to_string();
            // Documents that are wrong, or merely there, show less than containers.
            let late = name.contains("bad_documents") || name.contains("combinations") || name.contains("odd_");
            let text = fs::read_to_string(file).expect("read a test");
            let functions: Vec<(&str, &str, bool)> = text.split("\n}\n").filter_map(function).collect();
            for (function, body, _) in functions.iter().filter(|(.., is_test)| *is_test) {
                // What it calls of the same file is part of it.
                let called = |name: &str| body.contains(&format!("{name}("));
                let parts = functions.iter().filter(|(name, _, is_test)| !is_test && called(name));
                tests.push(Test {
                    name: format!("{name}::{function}"),
                    rank: 2 * rank + usize::from(late),
                    body: core::iter::once(*body).chain(parts.map(|(_, body, _)| *body)).collect(),
                });
            }
        }
    }
    tests
}

/// Files of tests/tests that are about a part of the document, before any other.
const HOMES: &[(&str, &[&str])] = &[
    ("/process/terminal", &["terminals"]),
    ("/process/consoleSize", &["terminals"]),
    ("/process", &["process", "process_extra", "small_print", "fields"]),
    ("/root", &["rootfs", "fields"]),
    ("/mounts", &["mounts", "mounts_extra", "mount_options"]),
    ("/hooks", &["hooks", "fields"]),
    ("/annotations", &["hooks", "share"]),
    ("/linux/namespaces", &["namespaces", "share"]),
    ("/linux/uidMappings", &["namespaces", "odd_configurations", "plan"]),
    ("/linux/gidMappings", &["namespaces", "odd_configurations", "plan"]),
    ("/linux/timeOffsets", &["namespaces"]),
    ("/linux/netDevices", &["netdevices"]),
    ("/linux/resources", &["cgroups", "limits", "fields"]),
    ("/linux/seccomp", &["process", "seccomp_notify", "fields", "small_print"]),
    ("/linux/rootfsPropagation", &["mounts"]),
    ("/linux", &["rootfs", "mounts", "fields"]),
];

/// How near a test is to the field: 0 in the first file that is about it, more in others.
fn distance(name: &str, field: &str) -> usize {
    let within = |part: &str| field.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let homes = HOMES.iter().find(|(part, _)| within(part)).map_or(&[][..], |(_, homes)| homes);
    let at = |home: &str| name.starts_with(&format!("tests/tests/{home}.rs:"));
    homes.iter().position(|home| at(home)).unwrap_or(homes.len())
}

/// The test that shows most: of a real container, in a file about the field, naming it, and little else.
fn best<'t>(tests: &'t [Test], field: &str) -> Option<&'t Test> {
    tests
        .iter()
        .filter(|test| strength(&test.body, field) > 0)
        .min_by_key(|test| (test.rank, distance(&test.name, field), 3 - strength(&test.body, field), test.body.len()))
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
         A test in tests/tests/mutations changes every field that is done, but for those that this machine cannot have, and\n\
         compares what runs with what the document says.\n\n\
         | Field | Status | A test of it |\n|---|---|---|\n",
    );
    // What people have written below the table stays.
    let rest = fs::read_to_string(workspace().join(TABLE)).unwrap_or_default();
    let rest = rest.find("\n## ").map_or("", |at| &rest[at..]).to_owned();
    for field in list {
        let test = best(&tests, &field).map_or("", |test| test.name.as_str());
        text += &format!("| `{field}` | {} | {test} |\n", status(&field, &refused));
    }
    text + &rest
}

#[test]
fn the_table_and_the_code_agree() {
    if std::env::var_os("INSULA_BLESS").is_some() {
        fs::write(workspace().join(TABLE), written()).expect("write the table");
    }
    let table = read(TABLE);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `/"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    let mut known = Vec::new();
    fields(Spec::SHAPE, "", &mut known);
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), known, "one row a field, in order");
    let (refused, tests) = (refused(), tests());
    for row in &rows {
        let [field, said, test] = row[..] else { panic!("{row:?} has not three cells") };
        assert_eq!(said, status(field, &refused), "{field}");
        if said.starts_with("ignored") {
            continue;
        }
        // The very test that is named, not one of its neighbours.
        let named = tests.iter().find(|known| known.name == test);
        let known = named.is_some_and(|known| strength(&known.body, field) > 0);
        assert!(known, "{test:?} is no test that exercises {field}; INSULA_BLESS=1 finds another");
    }
}
