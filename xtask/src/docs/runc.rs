// SPDX-License-Identifier: Apache-2.0
//! docs/migrating-from-runc.md beside the help of a real runc: every command and flag is on the page, and insula has it.

use std::collections::BTreeMap;
use std::fs;

use insula_cli::{Command, GLOBALS};

use crate::setup::require;
use crate::shell::{output, program, root};

/// Debian's runc, or the one that `$INSULA_RUNC` names.
fn help(words: &[&str]) -> String {
    let runc = std::env::var("INSULA_RUNC").unwrap_or_else(|_| "runc".into());
    require(&runc);
    output(program(&runc).args(words).arg("--help")).unwrap()
}

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "COMMANDS:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names.map(|name| name.trim_end_matches(',').to_owned()).filter(|name| name != "help").collect()
}

/// The flags that a help text lists first: long name, and short one. A command's help may list the global ones after.
fn flags(help: &str) -> Vec<(String, Option<char>)> {
    let options = help.lines().skip_while(|line| !line.ends_with("OPTIONS:")).skip(1);
    let options = options.take_while(|line| !line.ends_with("OPTIONS:"));
    let mut found = Vec::new();
    for line in options.map(str::trim_start).filter(|line| line.starts_with('-')) {
        // What follows two blanks explains.
        let spelling = line.split("  ").next().unwrap_or_default();
        let words = spelling.split([' ', ',']).filter(|word| word.starts_with('-'));
        let (long, short): (Vec<&str>, Vec<&str>) = words.partition(|word| word.starts_with("--"));
        let short = short.first().and_then(|word| word.chars().nth(1));
        found.extend(long.iter().map(|word| (word[2..].to_owned(), short)));
    }
    found.retain(|(name, _)| name != "help");
    found
}

/// The rows of the page: what stands in the first cell, and all that is written as code in the row.
fn rows() -> BTreeMap<String, Vec<String>> {
    let page = fs::read_to_string(root().join("docs/migrating-from-runc.md")).unwrap();
    let code = |text: &str| -> Vec<String> {
        text.split('`').skip(1).step_by(2).flat_map(str::split_whitespace).map(String::from).collect()
    };
    let mut rows = BTreeMap::<String, Vec<String>>::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        for name in code(line.split('|').nth(1).unwrap()) {
            rows.entry(name).or_default().extend(code(line));
        }
    }
    rows
}

#[test]
fn every_command_and_flag_of_runc_is_on_the_page() {
    let rows = rows();
    let overview = help(&[]);
    for (flag, short) in flags(&overview) {
        let known = GLOBALS.iter().find(|known| known.is(&flag));
        assert!(known.is_some() || flag == "version", "runc --{flag}: insula has no such flag");
        assert!(flag == "version" || known.unwrap().short == short, "runc -{short:?}, --{flag}");
        assert!(rows.contains_key(&format!("--{flag}")), "runc --{flag} is not on the page");
    }
    let commands = commands(&overview);
    assert!(commands.len() > 16, "{overview}");
    let mut count = 0;
    for name in &commands {
        let row = rows.get(name).unwrap_or_else(|| panic!("runc {name} is not on the page"));
        let command = Command::find(name).unwrap_or_else(|| panic!("insula has no {name}"));
        for (flag, short) in flags(&help(&[name])) {
            assert!(row.contains(&format!("--{flag}")), "runc {name} --{flag} is not on the page");
            let known = command.flags().find(|known| known.is(&flag));
            let known = known.unwrap_or_else(|| panic!("insula {name} has no --{flag}"));
            assert!(short.is_none() || known.short == short, "runc {name} -{short:?}, --{flag}");
            count += 1;
        }
    }
    assert!(count > 80, "{count} flags were found");
}

#[test]
fn the_pages_behaviours_have_their_tests() {
    let page = fs::read_to_string(root().join("docs/migrating-from-runc.md")).unwrap();
    let named = page.split('`').filter_map(|word| word.split_once(".rs::"));
    let mut count = 0;
    for (file, test) in named {
        let source = fs::read_to_string(root().join("tests/tests").join(file).with_extension("rs")).unwrap();
        assert!(source.contains(&format!("#[test]\nfn {test}()")), "{file}.rs has no test {test}");
        count += 1;
    }
    assert!(count > 15, "{count}");
}
