// SPDX-License-Identifier: Apache-2.0
//! Single figures, by what they are of, and the table that compares them with what was aimed at.

use std::fmt::Write as _;

/// One figure of one subject.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    /// The view of the host's cgroups: `v2` or `v1`.
    pub(crate) view: String,
    /// What was measured.
    pub(crate) work: String,
    /// Whose it is.
    pub(crate) subject: String,
    pub(crate) value: f64,
}

/// Begins a line that holds a figure, between those that are to be shown.
const MARK: &str = "@figure\t";

impl Figure {
    pub(crate) fn new(view: &str, work: impl Into<String>, subject: &str, value: f64) -> Self {
        Self { view: view.into(), work: work.into(), subject: subject.into(), value }
    }

    /// As a line of a text that another process reads.
    pub(crate) fn line(&self) -> String {
        format!("{MARK}{}\t{}\t{}\t{}\n", self.view, self.work, self.subject, self.value)
    }

    fn parse(line: &str) -> Option<Self> {
        let parts: Vec<&str> = line.strip_prefix(MARK)?.split('\t').collect();
        let [view, work, subject, value] = parts[..] else { return None };
        Some(Self::new(view, work, subject, value.parse().ok()?))
    }
}

/// Takes the figures out of a text.
pub(crate) fn split(text: &str) -> (String, Vec<Figure>) {
    let (mut shown, mut figures) = (String::new(), Vec::new());
    for line in text.lines() {
        match Figure::parse(line) {
            Some(figure) => figures.push(figure),
            None => shown.extend([line, "\n"]),
        }
    }
    (shown, figures)
}

/// What is asked of the figure `work` in `view`.
struct Target {
    text: &'static str,
    view: &'static str,
    work: &'static str,
    /// Whose figure: insula's own, or those of peers whose names begin so.
    of: &'static str,
    aim: Aim,
    unit: &'static str,
}

enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

use Aim::{AtLeast, AtMost};

const fn row(
    text: &'static str,
    view: &'static str,
    work: &'static str,
    of: &'static str,
    aim: Aim,
    unit: &'static str,
) -> Target {
    Target { text, view, work, of, aim, unit }
}

/// All that is aimed at.
const TARGETS: &[Target] = &[
    row("`run` against the floor", "v2", "run.floor", "insula", AtMost(1.4), "×"),
    row("`run` against crun", "v2", "run.insula", "crun", AtLeast(3.0), "×"),
    row("`run` against runc", "v2", "run.insula", "runc", AtLeast(10.0), "×"),
    row("`run` against youki", "v2", "run.insula", "youki", AtLeast(10.0), "×"),
    row("`run` on cgroup v1 against crun", "v1", "run.insula", "crun", AtLeast(2.5), "×"),
    row("`create`, `start`, `delete` against the floor", "v2", "life.floor", "insula", AtMost(1.4), "×"),
    row("`create`, `start`, `delete` against crun", "v2", "life.insula", "crun", AtLeast(4.0), "×"),
    row("`create`, `start`, `delete` against runc", "v2", "life.insula", "runc", AtLeast(10.0), "×"),
    row("`create`, `start`, `delete` against youki", "v2", "life.insula", "youki", AtLeast(10.0), "×"),
    row("`exec` against crun", "v2", "exec.insula", "crun", AtLeast(3.0), "×"),
    row(
        "`run` of an engine's document against crun, its cache cold",
        "v2",
        "engine.insula",
        "cold crun",
        AtLeast(3.0),
        "×",
    ),
    row("`run` of an engine's document against crun, its cache warm", "v2", "engine.insula", "crun", AtLeast(1.0), "×"),
    row("PSS of a created, waiting container", "v2", "pss", "insula", AtMost(40.0), "KiB"),
    row("charged to its cgroup", "v1", "charge", "insula", AtMost(1024.0), "KiB"),
    row("peak resident set of one command", "v2", "peak", "insula", AtMost(1024.0), "KiB"),
    row("`delete --force` of a running container", "v2", "delete.ms", "insula", AtMost(2.0), "ms"),
    row("default seccomp profile: compile and install", "v2", "seccomp.ms", "insula", AtMost(0.3), "ms"),
    row("`create` with 1,000 mounts on the host against few", "v2", "mounts", "insula", AtMost(1.1), "×"),
    row("`create`, the last of 500 against the first", "v2", "many.create", "insula", AtMost(1.1), "×"),
    row("`start`, the last of 500 against the first", "v2", "many.start", "insula", AtMost(1.1), "×"),
    row("`delete`, the last of 500 against the first", "v2", "many.delete", "insula", AtMost(1.1), "×"),
    row("`list` of 500", "v2", "list.ms", "insula", AtMost(20.0), "ms"),
    row("8 callers that create, against crun", "v2", "parallel.insula", "crun", AtLeast(3.0), "×"),
    row("system calls of `run`, all processes", "v2", "calls", "insula", AtMost(220.0), ""),
];

/// The rows of the table, `work | aim | found | holds`.
pub(crate) fn compare(figures: &[Figure]) -> String {
    let mut text = String::from("| work | aim | found | |\n|---|---:|---:|---|\n");
    for target in TARGETS {
        let is_of = |figure: &&Figure| {
            figure.view == target.view && figure.work == target.work && figure.subject.starts_with(target.of)
        };
        let found: Vec<&Figure> = figures.iter().filter(is_of).collect();
        let (sign, aim) = match target.aim {
            AtMost(aim) => ("≤", aim),
            AtLeast(aim) => ("≥", aim),
        };
        let holds = |value: f64| if sign == "≤" { value <= aim } else { value >= aim };
        let unit = if target.unit.is_empty() { String::new() } else { format!(" {}", target.unit) };
        let shown: Vec<String> = found
            .iter()
            .map(|figure| {
                let name = if target.of == "insula" { String::new() } else { format!(" ({})", figure.subject) };
                let digits = if figure.value >= 100.0 { 0 } else { 2 };
                format!("{:.digits$}{unit}{name}", figure.value)
            })
            .collect();
        let verdict = match found.as_slice() {
            [] => "not measured here",
            found if found.iter().all(|figure| holds(figure.value)) => "holds",
            _ => "does not hold",
        };
        let _ = writeln!(text, "| {} | {sign} {aim}{unit} | {} | {verdict} |", target.text, shown.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_travel_as_lines() {
        let figure = Figure::new("v2", "run.floor", "insula", 1.25);
        let (text, figures) = split(&format!("a\n{}b\n", figure.line()));
        assert_eq!((text.as_str(), figures), ("a\nb\n", vec![figure]));
    }

    #[test]
    fn what_was_found_is_judged() {
        let table =
            compare(&[Figure::new("v2", "run.floor", "insula", 1.25), Figure::new("v2", "run.insula", "crun 1", 2.0)]);
        assert!(table.contains("| `run` against the floor | ≤ 1.4 × | 1.25 × | holds |"));
        assert!(table.contains("| `run` against crun | ≥ 3 × | 2.00 × (crun 1) | does not hold |"));
        assert!(table.contains("| not measured here |"));
    }
}
