// SPDX-License-Identifier: Apache-2.0
//! `run` of a document as engines write it, and its seccomp profile alone.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::contest::{Contest, float, median, shuffle};
use super::figures::Figure;
use super::subject::Payload;
use crate::shell::{output, program};

/// Fresh processes that compile the profile.
const FILTERS: usize = 31;

/// One who runs: the subject, and whether what it keeps of earlier runs is taken from it before each.
type Runner = (usize, bool);

pub(super) fn measure(contest: &mut Contest, rounds: usize, target: &Path) -> Result<String, String> {
    let document = contest.place.dir.join("engine/config.json");
    if !document.exists() {
        return Ok("\nThis machine has no default seccomp profile to measure with.\n".into());
    }
    let size = fs::metadata(&document).map_or(0, |data| data.len());
    let mut text = format!(
        "\n**`run` of a document as engines write it: {size} bytes, 40 mounts, the default seccomp profile**\n\n\
         | | median ms | min ms | CPU ms | × insula |\n|---|---:|---:|---:|---:|\n"
    );
    eprintln!("  `run` of an engine's document");
    let mut runners: Vec<Runner> = Vec::new();
    for index in 1..contest.subjects.len() {
        match once(contest, (index, false)) {
            Ok(_) => runners.push((index, false)),
            Err(reason) if index == 1 => return Err(reason),
            Err(_) => continue,
        }
        // Only what it has kept by now can be taken from it.
        if contest.subjects[index].cache(&contest.place).is_some_and(|cache| cache.exists()) {
            runners.push((index, true));
        }
    }
    let mut order: Vec<usize> = (0..runners.len()).collect();
    let mut rows = vec![Vec::new(); runners.len()];
    for _ in 0..rounds {
        shuffle(&mut order);
        for &at in &order {
            let sample = once(contest, runners[at])?;
            rows[at].push(sample);
        }
    }
    for (at, samples) in rows.iter().enumerate() {
        let (index, cold) = runners[at];
        let name = contest.subjects[index].name.clone();
        let name = if cold { format!("cold {name}") } else { name };
        let walls: Vec<f64> = samples.iter().map(|sample| float(sample.wall) / 1e6).collect();
        let against = samples.iter().zip(&rows[0]).map(|(one, own)| float(one.wall) / float(own.wall)).collect();
        let ratio = median(against);
        let _ = writeln!(
            text,
            "| {name} | {:.2} | {:.2} | {:.2} | {ratio:.2} |",
            median(walls.clone()),
            walls.iter().copied().fold(f64::INFINITY, f64::min),
            median(samples.iter().map(|sample| float(sample.cpu) / 1e3).collect()),
        );
        contest.figures.push(Figure::new(&contest.view, "engine.insula", &name, ratio));
    }
    text.push_str("\nCold: what it keeps of a compiled filter is removed before each run.\n");
    Ok(text + &filter(contest, &document, target)?)
}

fn once(contest: &mut Contest, (index, cold): Runner) -> Result<super::stopwatch::Sample, String> {
    let id = contest.fresh();
    if let Some(cache) = contest.subjects[index].cache(&contest.place).filter(|cache| cold && cache.exists()) {
        fs::remove_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    }
    let words = contest.subjects[index].run(&contest.place, &id, Payload::Engine);
    contest.watch.run(&words)
}

/// The profile alone, in fresh processes.
fn filter(contest: &mut Contest, document: &Path, target: &Path) -> Result<String, String> {
    let example = target.join("release/examples/first_filter").display().to_string();
    let (mut compiled, mut installed, mut length) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..FILTERS {
        let line = output(program(&example).arg(document))?;
        let numbers: Vec<&str> = line.split_whitespace().collect();
        let [one, two, three] = numbers[..] else { return Err(format!("{example}: {line:?}")) };
        compiled.push(one.parse::<f64>().unwrap_or(f64::NAN) / 1e6);
        installed.push(two.parse::<f64>().unwrap_or(f64::NAN) / 1e6);
        three.clone_into(&mut length);
    }
    let (compiled, installed) = (median(compiled), median(installed));
    contest.figures.push(Figure::new(&contest.view, "seccomp.ms", "insula", compiled + installed));
    Ok(format!(
        "\nIts seccomp section alone, {length} instructions, in a fresh process, medians of {FILTERS}: compiled in \
         {compiled:.3} ms, installed in {installed:.3} ms.\n"
    ))
}
