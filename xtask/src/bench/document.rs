// SPDX-License-Identifier: Apache-2.0
//! The measured part of `docs/performance.md`.

use std::path::Path;

const BEGIN: &str = "<!-- measured: written by `cargo xtask bench` -->\n";
const END: &str = "<!-- end of what was measured -->\n";

/// Before each comparison.
const RUN: &str = "<!-- a run -->\n";
/// Before the tables of the last run.
const TABLES: &str = "<!-- its tables -->\n";
/// How many comparisons are kept.
const RUNS: usize = 3;

/// Puts the comparison `summary` before the last ones, and the tables in place of the last ones.
pub(crate) fn update(path: &Path, summary: &str, tables: &str) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("{}: {error}", path.display());
    let old = std::fs::read_to_string(path).map_err(fail)?;
    let missing = || format!("{}: the markers are missing", path.display());
    let text = with_runs_of(between(&old).ok_or_else(missing)?, summary, tables);
    let new = splice(&old, &text).ok_or_else(missing)?;
    std::fs::write(path, new).map_err(fail)
}

fn between(text: &str) -> Option<&str> {
    Some(text.split_once(BEGIN)?.1.split_once(END)?.0)
}

/// What replaces `old`.
fn with_runs_of(old: &str, summary: &str, tables: &str) -> String {
    let runs = old.split_once(TABLES).map_or(old, |(runs, _)| runs);
    let runs = runs.split(RUN).skip(1).take(RUNS - 1);
    let runs: String =
        std::iter::once(summary).chain(runs.map(str::trim)).map(|run| format!("{RUN}\n{}\n\n", run.trim())).collect();
    format!("{runs}{TABLES}\n{tables}")
}

fn splice(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{text}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_three_runs_are_kept() {
        let mut text = String::from("older ones\n");
        for run in 1..=4 {
            text = with_runs_of(&text, &format!("run {run}\n"), &format!("tables {run}\n"));
        }
        let kept: Vec<&str> =
            text.lines().filter(|line| line.starts_with("run") || line.starts_with("tables")).collect();
        assert_eq!(kept, ["run 4", "run 3", "run 2", "tables 4"]);
    }

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let old = format!("a\n{BEGIN}old\n{END}z\n");
        let new = splice(&old, "new").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\nnew\n{END}z\n"));
        assert_eq!(splice(&new, "new"), Some(new));
        assert_eq!(splice("no markers", "new"), None);
    }
}
