// SPDX-License-Identifier: Apache-2.0
//! Every fault at every system call: what the test program wrote about each point becomes a table.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::PathBuf;

use super::suite;
use crate::bench::machine;
use crate::shell::target;

/// What came of the points of one command.
#[derive(Debug, Default, PartialEq, Eq)]
struct Row {
    tried: usize,
    missed: usize,
    wrong: usize,
}

/// Runs the sweep, and those of torn files; a table of each command's points, and the lines of what was wrong. A sweep
/// that was interrupted goes on where it was, as long as insula is the same.
pub(crate) fn report(step: usize, callers: usize) -> Result<String, String> {
    let points = book()?;
    let variables = [
        ("INSULA_SWEEP", step.to_string()),
        ("INSULA_CALLERS", callers.to_string()),
        ("INSULA_POINTS", points.display().to_string()),
    ];
    let reported = suite("faults", &["faults", "torn"], &variables)?;
    let written = std::fs::read_to_string(&points).map_err(|error| format!("{}: {error}", points.display()))?;
    let mut text = machine(&format!("soak --faults --step {step}"))?;
    text += &table(&written);
    for line in reported.lines.iter().filter(|line| line.contains("torn")) {
        let _ = writeln!(text, "- {line}");
    }
    if reported.passed { Ok(text) } else { Err(format!("{text}{}", reported.lines.join("\n"))) }
}

/// Where the points that were tried with this build of insula are written down.
fn book() -> Result<PathBuf, String> {
    let insula = target().join("release/insula");
    let bytes = std::fs::read(&insula).map_err(|error| format!("{}: {error}", insula.display()))?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    Ok(target().join(format!("soak-faults-{:016x}.jsonl", hasher.finish())))
}

fn table(written: &str) -> String {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for line in written.lines().filter_map(|line| line.parse::<Value>().ok()) {
        let row = rows.entry(line["case"].as_str().unwrap_or_default().to_owned()).or_default();
        row.tried += 1;
        row.missed += usize::from(line["hit"] == false);
        row.wrong += usize::from(line["wrong"].as_array().is_none_or(|wrong| !wrong.is_empty()));
    }
    let total = rows.values().fold(Row::default(), |sum, row| Row {
        tried: sum.tried + row.tried,
        missed: sum.missed + row.missed,
        wrong: sum.wrong + row.wrong,
    });
    let mut text = String::from("\n| command | points tried | not reached | wrong |\n|---|---|---|---|\n");
    for (name, Row { tried, missed, wrong }) in rows.iter().chain([(&"all".to_owned(), &total)]) {
        let _ = writeln!(text, "| {name} | {tried} | {missed} | {wrong} |");
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_counted() {
        let written = r#"{"case":"start","hit":true,"number":1,"point":"0:1:EIO","slow":[],"wrong":[]}
{"case":"start","hit":false,"number":1,"point":"0:2:EIO","slow":[],"wrong":["left"]}
{"case":"sta"#;
        let text = table(written);
        assert!(text.contains("| start | 2 | 1 | 1 |") && text.contains("| all | 2 | 1 | 1 |"), "{text}");
    }
}
