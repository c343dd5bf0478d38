// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask soak`: the long forms of what CI runs in short: faults at every system call, races by the thousand, kills
//! at random moments beside the peers, and load. What comes out goes between the markers in `docs/reliability.md`.

mod faults;
mod kills;
mod leftovers;
mod load;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::Outcome;
use crate::bench::{VIEWS, from_view, machine, yardstick};
use crate::setup;
use crate::shell::{as_root, cargo, root, run as execute, succeeds, target};

/// What is chosen on the command line.
struct Choice {
    parts: Vec<&'static str>,
    /// `--step`: every so many of the fault points.
    step: usize,
    /// `--callers`: how many of them at a time.
    callers: usize,
    /// `--rounds`: kills of each runtime.
    rounds: usize,
    load: load::Load,
}

const PARTS: [&str; 4] = ["faults", "races", "kills", "load"];

/// `cargo xtask soak [--faults] [--races] [--kills] [--load] [--step N] [--callers N] [--rounds N] [--seconds N] [--running N]`
pub(crate) fn run(args: &[String]) -> Outcome {
    if let [first, part, view, rest @ ..] = args
        && first == "--inside"
    {
        return inside(part, view, rest);
    }
    let choice = choose(args)?;
    setup::ensure()?;
    execute(&mut cargo(["build", "--release", "--package", "insula"]))?;
    yardstick::build(&target().join("bench"))?;
    for part in &choice.parts {
        let text = match *part {
            "faults" => faults::report(choice.step, choice.callers)?,
            "races" => suite("races", &["races"], &[("INSULA_LONG", "1".into())])?.rendered()?,
            "kills" => in_views("kills", &[choice.rounds.to_string()])?,
            _ => in_views("load", &choice.load.words())?,
        };
        println!("{text}");
        write(part, &text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn choose(args: &[String]) -> Result<Choice, String> {
    let mut choice = Choice { parts: Vec::new(), step: 1, callers: 16, rounds: 200, load: load::Load::default() };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        if let Some(part) = PARTS.iter().find(|part| word.strip_prefix("--") == Some(part)) {
            choice.parts.push(part);
            continue;
        }
        let number = match word.as_str() {
            "--step" => &mut choice.step,
            "--callers" => &mut choice.callers,
            "--rounds" => &mut choice.rounds,
            "--seconds" => &mut choice.load.seconds,
            "--running" => &mut choice.load.running,
            _ => {
                return Err(format!(
                    "{word:?}: there are --{}, --step, --callers, --rounds, --seconds, --running",
                    PARTS.join(", --")
                ));
            }
        };
        let text = words.next().ok_or_else(|| format!("{word} needs a number"))?;
        *number =
            text.parse().ok().filter(|number| *number > 0).ok_or_else(|| format!("{word} {text:?}: not a number"))?;
    }
    if choice.parts.is_empty() {
        choice.parts = PARTS.to_vec();
    }
    Ok(choice)
}

/// What a test program reported.
struct Reported {
    part: &'static str,
    lines: Vec<String>,
    passed: bool,
}

impl Reported {
    /// A list of it, under a line about the machine; the lines alone are the error if a test failed.
    fn rendered(self) -> Result<String, String> {
        let list: String = self.lines.iter().map(|line| format!("- {line}\n")).collect();
        if !self.passed {
            return Err(format!("a test of {} failed:\n{list}", self.part));
        }
        Ok(format!("{}\n{list}", machine(&format!("soak --{}", self.part))?))
    }
}

/// Test programs in their long form. They have a pid namespace of their own, in which looking for what is left does not
/// look at the machine's other processes.
fn suite(part: &'static str, names: &[&str], variables: &[(&str, String)]) -> Result<Reported, String> {
    let path = target().join(format!("soak-{part}"));
    let fail = |error: std::io::Error| format!("{}: {error}", path.display());
    std::fs::write(&path, "").map_err(fail)?;
    let mut test = as_root("nice")?;
    test.args(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "--"]);
    // The first process takes up orphans.
    test.args(["sh", "-c", "\"$0\" \"$@\"; exit $?"]).arg(cargo([]).get_program());
    test.args(["test", "--release", "--no-fail-fast", "--package", "insula-tests"]);
    test.args(names.iter().flat_map(|name| ["--test", name])).args(["--", "--test-threads=1"]);
    test.env("INSULA", target().join("release/insula")).env("INSULA_FAULTS", &path).env("INSULA_PATIENCE", "120");
    test.envs(variables.iter().map(|(name, value)| (name, value)));
    let passed = succeeds(&mut test)?;
    let lines = std::fs::read_to_string(&path).map_err(fail)?.lines().map(String::from).collect();
    Ok(Reported { part, lines, passed })
}

/// A part that looks at one cgroup version at a time.
fn in_views(part: &str, words: &[String]) -> Result<String, String> {
    let mut text = machine(&format!("soak --{part}"))?;
    for (view, title, prepare) in VIEWS {
        let mut task = vec!["soak", "--inside", part, view];
        task.extend(words.iter().map(String::as_str));
        let table = from_view(prepare, &task).unwrap_or_else(|reason| format!("Not measured: {reason}\n"));
        text.extend(["\n", *title, ":\n\n", &table]);
    }
    Ok(text)
}

/// In the view that the caller made: prints the part's table.
fn inside(part: &str, view: &str, words: &[String]) -> Outcome {
    let place = PathBuf::from(format!("/dev/shm/insula-soak-{}", std::process::id()));
    let numbers: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let table = match (part, &numbers[..]) {
        ("kills", [rounds]) => kills::hold(view, *rounds, &place),
        ("load", [running, rate, seconds]) => {
            load::hold(view, &load::Load { running: *running, rate: *rate, seconds: *seconds }, &place)
        }
        _ => Err("not for people".into()),
    };
    let removed = std::fs::remove_dir_all(&place);
    print!("{}", table?);
    removed.map_err(|error| format!("{}: {error}", place.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Puts `text` between the markers of `part` in docs/reliability.md.
fn write(part: &str, text: &str) -> Result<(), String> {
    let path = root().join("docs/reliability.md");
    let fail = |error: std::io::Error| format!("{}: {error}", path.display());
    let old = std::fs::read_to_string(&path).map_err(fail)?;
    let new = splice(&old, part, text).ok_or_else(|| format!("{}: no markers of {part}", path.display()))?;
    std::fs::write(&path, new).map_err(fail)
}

fn splice(old: &str, part: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- soak: {part} -->\n"), format!("<!-- end of {part} -->\n"));
    let (before, rest) = old.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{text}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_markers() {
        let text = std::fs::read_to_string(root().join("docs/reliability.md")).unwrap();
        for part in PARTS {
            let new = splice(&text, part, "new").unwrap_or_else(|| panic!("{part}"));
            assert_eq!(splice(&new, part, "new"), Some(new.clone()));
        }
    }

    #[test]
    fn choices() {
        let words = |line: &str| line.split(' ').map(String::from).collect::<Vec<_>>();
        let choice = choose(&words("--kills --rounds 7 --load --seconds 30")).unwrap();
        assert_eq!((choice.parts, choice.rounds, choice.load.seconds), (vec!["kills", "load"], 7, 30));
        assert_eq!(choose(&[]).unwrap().parts, PARTS);
        for wrong in ["--rounds", "--rounds x", "--rounds 0", "kills"] {
            assert!(choose(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
