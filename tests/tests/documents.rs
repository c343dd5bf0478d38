// SPDX-License-Identifier: Apache-2.0
//! The pages under docs/ are run: each `console` block's commands in one shell, what they print compared with what the
//! page shows.

use std::fs;
use std::path::{Path, PathBuf};

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

/// Runs the page of that name.
fn run(name: &str) {
    insula_tests::page::run(name, &fs::read_to_string(page(name)).expect("read the page"));
}

/// A test for each page, and the list of them.
macro_rules! pages {
    ($($test:ident $name:literal,)*) => {
        /// The pages that are run here.
        const RUN: &[&str] = &[$($name),*];
        $(#[test] fn $test() { run($name); })*
    };
}

pages! {
    introduction "introduction.md",
    bundles "bundles.md",
    namespaces "namespaces.md",
    sharing "sharing.md",
    json "json.md",
    rootless "rootless.md",
    troubleshooting "troubleshooting.md",
}

/// Pages whose examples are run by other tests, which start what they need: page, the test's file.
const RUN_ELSEWHERE: &[(&str, &str)] =
    &[("checkpoint.md", "checkpoint/page.rs"), ("engines.md", "engines/page.rs"), ("kubernetes.md", "engines/page.rs")];

/// The names of all pages.
fn names() -> Vec<String> {
    let entries = fs::read_dir(page("")).expect("list the pages");
    let names = entries.map(|entry| entry.expect("a page").file_name().into_string().expect("UTF-8"));
    names.filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn no_example_is_left_out() {
    for name in names() {
        let text = fs::read_to_string(page(&name)).expect("read the page");
        let elsewhere = RUN_ELSEWHERE.iter().find(|(known, _)| *known == name);
        if text.contains("```console") && !RUN.contains(&name.as_str()) {
            let (_, file) = elsewhere.unwrap_or_else(|| panic!("nothing runs the examples of docs/{name}"));
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file);
            let test = fs::read_to_string(&path).expect("read the test");
            assert!(test.contains(&name), "{} does not name {name}", path.display());
        }
        for shell in ["```sh", "```bash", "```shell"] {
            assert!(!text.contains(shell), "docs/{name}: {shell} is not run; use console");
        }
    }
}

/// The targets of all links and pictures of a page, without their fragments.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    ends.map(|link| link.split('#').next().unwrap_or("")).filter(|link| !link.is_empty() && !link.contains("://"))
}

#[test]
fn every_link_leads_somewhere_and_the_summary_to_every_page() {
    let summary = fs::read_to_string(page("SUMMARY.md")).expect("read the summary");
    for name in names() {
        let text = fs::read_to_string(page(&name)).expect("read the page");
        for link in links(&text) {
            assert!(page("").join(link).exists(), "docs/{name}: {link} is not there");
        }
        assert!(name == "SUMMARY.md" || links(&summary).any(|link| link == name), "docs/SUMMARY.md lacks {name}");
    }
}
