// SPDX-License-Identifier: Apache-2.0
//! The completions, asked through the shells themselves. Each harness prints one candidate a line; the insula that it
//! sees is a stand-in with two containers under the default root and one under /other.

use std::fs;
use std::process::Command;

use super::{Shell, render};
use crate::setup::require;

const STAND_IN: &str = "#!/bin/sh\nif [ \"$*\" = 'list --quiet' ]; then echo web1; echo web2; fi\n\
                        if [ \"$*\" = '--root /other list --quiet' ]; then echo other1; fi\n";

/// What is typed up to the cursor, what must be offered, what must not.
const CASES: &[(&str, &[&str], &[&str])] = &[
    ("insula cre", &["create"], &["run"]),
    ("insula ", &["try", "create", "help"], &["web1"]),
    ("insula --lo", &["--log", "--log-format"], &["--bundle"]),
    ("insula --log-format ", &["text", "json"], &["create"]),
    ("insula --root /other kill ", &["other1"], &["web1", "TERM"]),
    ("insula start ", &["web1", "web2"], &["other1", "create"]),
    ("insula start web", &["web1", "web2"], &["try"]),
    ("insula create --b", &["--bundle"], &["--root"]),
    ("insula create --pid", &["--pid", "--pid-file", "--pidfd-socket"], &["--bundle"]),
    ("insula create --network ", &["private", "host"], &["web1"]),
    ("insula list --format ", &["table", "json"], &["web1"]),
    ("insula list -f ", &["table", "json"], &["web1"]),
    ("insula kill web1 WIN", &["WINCH"], &["web1"]),
    ("insula kill --all web1 TER", &["TERM"], &["web1"]),
    ("insula --debug run --detach --ke", &["--keep"], &["--detach"]),
    ("insula completion ", &["bash", "zsh", "fish"], &["web1"]),
    ("insula ns gr", &["graph"], &["tree"]),
    ("insula help comp", &["completion"], &["create"]),
    ("insula update --kernel", &[], &["--kernel-memory"]),
];

/// A directory of a test's own with the stand-in as `insula` and the script; it goes when the test ends.
struct Desk(std::path::PathBuf);

impl Desk {
    fn new(shell: Shell, test: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("insula-completion-{test}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        // The name matters only to zsh.
        fs::write(dir.join("_insula"), render(shell)).unwrap();
        fs::write(dir.join("insula"), STAND_IN).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(dir.join("insula"), mode).unwrap();
        Self(dir)
    }

    /// The lines that a shell prints when it runs `harness` with the directory and what was typed as arguments.
    fn lines(&self, shell: &str, harness: &[&str], typed: &[&str]) -> Vec<String> {
        let path = format!("{}:{}", self.0.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(shell);
        command.args(harness).arg(&self.0).args(typed).env("PATH", path).env("HOME", &self.0).env("TERM", "dumb");
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell}: {typed:?}: {text}");
        text.lines().map(|line| line.trim().to_string()).collect()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("remove the test's directory");
    }
}

/// Compares what a shell offers for each case, in their order.
fn check(offered: impl IntoIterator<Item = Vec<String>>) {
    let mut offered = offered.into_iter();
    for (typed, wanted, unwanted) in CASES {
        let lines = offered.next().unwrap_or_else(|| panic!("{typed:?}: nothing printed"));
        for word in *wanted {
            assert!(lines.iter().any(|line| line == word), "{typed:?}: no {word} in {lines:?}");
        }
        for word in *unwanted {
            assert!(!lines.iter().any(|line| line == word), "{typed:?}: {word} in {lines:?}");
        }
    }
}

#[test]
fn bash() {
    require("bash");
    let desk = Desk::new(Shell::Bash, "bash");
    // As bash itself splits the line; none of the cases has a quote.
    let harness = "source \"$0/_insula\"; read -ra COMP_WORDS <<< \"$1\"; [[ $1 == *' ' ]] && COMP_WORDS+=(''); \
                   COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); _insula; printf '%s\\n' \"${COMPREPLY[@]}\"";
    check(CASES.iter().map(|(typed, ..)| desk.lines("bash", &["--norc", "-c", harness], &[typed])));
}

#[test]
fn bash_values_after_an_equals_sign() {
    require("bash");
    let desk = Desk::new(Shell::Bash, "bash-equals");
    let harness = "source \"$0/_insula\"; COMP_WORDS=($1); COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); _insula; \
                   printf '%s\\n' \"${COMPREPLY[@]}\"";
    let offered = |typed| desk.lines("bash", &["--norc", "-c", harness], &[typed]);
    assert_eq!(offered("insula list --format ="), ["table", "json"]);
    assert_eq!(offered("insula list --format = js"), ["json"]);
    assert_eq!(offered("insula --log-format = json sta"), ["start", "state"]);
    assert_eq!(offered("insula --root = /other start o"), ["other1"]);
}

#[test]
fn fish() {
    require("fish");
    let desk = Desk::new(Shell::Fish, "fish");
    // fish prints a description after a tab.
    let harness = "source $argv[1]/_insula; complete -C $argv[2] | string replace -r '\\t.*' ''";
    check(CASES.iter().map(|(typed, ..)| desk.lines("fish", &["--no-config", "-c", harness], &[typed])));
}

#[test]
fn zsh() {
    require("zsh");
    let desk = Desk::new(Shell::Zsh, "zsh");
    let typed: Vec<&str> = CASES.iter().map(|(typed, ..)| *typed).collect();
    // One zsh for all cases, because loading its completions takes a second.
    let lines = desk.lines("zsh", &["-f", "-c", include_str!("zsh-harness"), "zsh"], &typed);
    check(lines.split(|line| line == "DONE").map(<[String]>::to_vec));
}

#[test]
fn the_reference_is_what_the_program_says() {
    let path = crate::shell::root().join("docs/reference.md");
    let page = fs::read_to_string(&path).unwrap();
    assert!(page == super::reference_page(), "docs/reference.md is old: cargo xtask reference");
}

#[test]
fn the_page_on_migrating_names_flags_that_exist() {
    let path = crate::shell::root().join("docs/migrating-from-runc.md");
    let page = fs::read_to_string(&path).unwrap();
    let mut rows = 0;
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let words = |cell: &str| {
            cell.split('`').skip(1).step_by(2).flat_map(str::split_whitespace).map(String::from).collect::<Vec<_>>()
        };
        let names: Vec<String> = words(cells[1]).into_iter().filter(|word| *word != "insula").collect();
        if names.iter().all(|name| name.starts_with("--")) {
            for name in names {
                assert!(insula_cli::GLOBALS.iter().any(|flag| flag.is(&name[2..])), "no global flag {name}");
            }
            continue;
        }
        let Some(command) = names.first().and_then(|name| insula_cli::Command::find(name)) else { continue };
        rows += 1;
        for flag in words(cells[2]).iter().filter(|word| word.starts_with("--")) {
            assert!(command.flags().any(|known| known.is(&flag[2..])), "insula {} has no {flag}", command.name);
        }
    }
    assert!(rows > 15, "the tables were not found: {rows}");
}
