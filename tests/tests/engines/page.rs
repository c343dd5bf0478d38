// SPDX-License-Identifier: Apache-2.0
//! docs/engines.md: its examples are run on a machine that is set up as it says.

use crate::machine::machine_and_lab;
use insula_tests::page::examples;
use std::path::Path;

#[test]
fn the_page_about_engines() {
    let (machine, lab) = machine_and_lab!();
    let _alone = machine.alone();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/engines.md");
    let text = std::fs::read_to_string(page).expect("read the page");
    let examples = examples(&text);
    assert!(examples.len() > 20, "the page has examples");
    for example in examples {
        let output = machine.run(&lab, &format!("cd /run/page; exec 2>&1; {}", example.command));
        let place = format!("docs/engines.md:{}: {}\n{}", example.line, example.command, output.stdout);
        assert_eq!(output.code(), 0, "{place}\n{}", machine.log("containerd"));
        if let Err(reason) = example.compare(&output.stdout) {
            panic!("{reason}\n{place}");
        }
    }
}
