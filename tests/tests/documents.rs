// SPDX-License-Identifier: Apache-2.0
//! The pages under docs/ are run: each `console` block's commands in one shell, what they print compared with what the
//! page shows.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use insula_tests::Lab;
use insula_tests::page::examples;

/// An ordinary user of the host, without a name or rights.
const USER: u32 = 61_235;

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

/// Runs a page in a directory of its own, with an insula whose containers are its own.
fn run(name: &str) {
    let lab = Lab::new();
    let dir = lab.path("page");
    let bin = lab.path("bin");
    fs::create_dir_all(&dir).expect("make a directory");
    fs::create_dir_all(&bin).expect("make a directory");
    let text = fs::read_to_string(page(name)).expect("read the page");
    let examples = examples(&text);
    assert!(examples.len() > 3, "{name} has examples");
    // The user could not enter the directory of the build.
    let program = bin.join("program");
    fs::copy(insula_tests::runtime(), &program).expect("copy the runtime");
    let root = if examples.iter().any(|example| example.ordinary) {
        chown(&dir, Some(USER), Some(USER)).expect("give the directory away");
        dir.join("state")
    } else {
        lab.state_root()
    };
    let wrapper = bin.join("insula");
    let script = format!("#!/bin/sh\nexec '{}' --root '{}' \"$@\"\n", program.display(), root.display());
    fs::write(&wrapper, script).expect("write a script");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("make it executable");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    for example in examples {
        // A file, not a pipe: a detached container keeps it open for as long as it lives.
        let file = lab.path("printed");
        let out = fs::File::create(&file).expect("make a file");
        let mut command = Command::new("timeout");
        command.arg("60");
        if example.ordinary {
            let id = USER.to_string();
            command.args(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"]);
            command.args(["--inh-caps=-all", "--bounding-set=-all"]);
        }
        let status = command
            .args(["sh", "-c", &example.command])
            .current_dir(&dir)
            .env("PATH", &path)
            .env("XDG_RUNTIME_DIR", &dir)
            .stdin(Stdio::null())
            .stderr(out.try_clone().expect("share the file"))
            .stdout(out)
            .status()
            .expect("run a shell");
        let printed = fs::read_to_string(&file).expect("read what was printed");
        let place = format!("docs/{name}:{}: {}\n{printed}", example.line, example.command);
        assert!(status.success(), "{place}");
        if let Err(reason) = example.compare(&printed) {
            panic!("{reason}\n{place}");
        }
    }
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
const RUN_ELSEWHERE: &[(&str, &str)] = &[("engines.md", "engines/page.rs"), ("kubernetes.md", "engines/page.rs")];

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
