// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask fuzz`: libFuzzer on the targets of tests/fuzz-targets, built as cargo-fuzz builds it. It needs neither that
//! program nor a nightly compiler, as no sanitizer is built in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};

use crate::Outcome;
use crate::setup;
use crate::shell::{cargo, host, program, root, run as execute, target};

const SECONDS: usize = 60;

/// How cargo-fuzz has programs built for libFuzzer, without a sanitizer: the runtime's unsafe code is not fuzzed.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-sanitizer-coverage-stack-depth \
                     -Cllvm-args=-simplifycfg-branch-fold-threshold=0 -Cdebug-assertions -Ccodegen-units=1 --cfg fuzzing";

/// `cargo xtask fuzz [TARGET...] [--seconds N] [--at-once N]`: those targets, or all, each for so long, as many side by
/// side as there are processors.
pub(crate) fn run(args: &[String]) -> Outcome {
    let mut wanted = Vec::new();
    let mut seconds = SECONDS;
    let mut at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|text| text.parse().ok()).ok_or(format!("{word} needs a number"));
        match &**word {
            "--seconds" => seconds = number()?,
            "--at-once" => at_once = number()?.max(1),
            _ => wanted.push(word.clone()),
        }
    }
    let known = targets(&root().join("fuzz/fuzz_targets"))?;
    if let Some(odd) = wanted.iter().find(|name| !known.contains(name)) {
        return Err(format!("no target {odd:?}; there are {}", known.join(", ")));
    }
    setup::ensure()?;
    let directory = target().join("fuzz");
    let host = host()?;
    let mut build = cargo(["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", &host]);
    // Beside what others build, which has other flags.
    execute(build.arg("--target-dir").arg(&directory).env("RUSTFLAGS", FLAGS))?;
    let programs = directory.join(&host).join("release");
    let mut failed = Vec::new();
    println!("| target | inputs | coverage | corpus | processor seconds |\n|---|---|---|---|---|");
    for names in (if wanted.is_empty() { known } else { wanted }).chunks(at_once) {
        let runs: Vec<_> = names.iter().map(|name| Run::start(&programs, name, seconds)).collect::<Result<_, _>>()?;
        for run in runs {
            let (row, passed) = run.finish()?;
            println!("{row}");
            if !passed {
                failed.push(row);
            }
        }
    }
    if failed.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(format!("found something:\n{}", failed.join("\n"))) }
}

/// One target's fuzzer at work.
struct Run {
    name: String,
    log: PathBuf,
    shell: Child,
}

impl Run {
    fn start(programs: &Path, name: &str, seconds: usize) -> Result<Self, String> {
        // What is found on the way stays outside the repository.
        let found = target().join("fuzz-corpus").join(name);
        let bad = found.with_extension("bad");
        for directory in [&found, &bad] {
            fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        }
        let log = found.with_extension("log");
        // `times` tells the time of all that was waited for: libFuzzer starts a process after the other.
        let mut shell = program("sh");
        shell.args(["-c", "log=$1; shift; nice -n 19 \"$@\" >\"$log\" 2>&1; status=$?; times; exit $status", "sh"]);
        shell.arg(&log).arg(programs.join(name)).arg(&found).arg(root().join("fuzz/corpus").join(name));
        // The runtime never frees, so each process is given up after a while.
        shell.args(["-fork=1", "-ignore_ooms=1", "-rss_limit_mb=1500", "-max_len=8192", "-timeout=120"]);
        shell.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", bad.display()));
        let shell = shell.stdout(Stdio::piped()).spawn().map_err(|error| format!("sh: {error}"))?;
        Ok(Self { name: name.to_owned(), log, shell })
    }

    /// A row of the report, and whether nothing was found.
    fn finish(self) -> Result<(String, bool), String> {
        let output = self.shell.wait_with_output().map_err(|error| format!("{}: {error}", self.name))?;
        let log = fs::read_to_string(&self.log).map_err(|error| format!("{}: {error}", self.log.display()))?;
        let processor = processor_seconds(&String::from_utf8_lossy(&output.stdout));
        let [inputs, coverage, corpus] = reached(&log);
        let mut row = format!("| {} | {inputs} | {coverage} | {corpus} | {processor:.0} |", self.name);
        if !output.status.success() {
            row.push_str(&format!(" {}: see {}", output.status, self.log.display()));
        }
        Ok((row, output.status.success()))
    }
}

/// The number of inputs, of edges that they reached, and of inputs that were kept, of libFuzzer's last report:
/// `#3375000: cov: 1234 ft: 3456 corp: 789 exec/s ...`.
fn reached(log: &str) -> [&str; 3] {
    let last = log.lines().rev().find(|line| line.starts_with('#') && line.contains(" cov: ")).unwrap_or_default();
    let after = |word: &str| last.split_whitespace().skip_while(|other| *other != word).nth(1).unwrap_or("?");
    let inputs = last.split([':', '\t', ' ']).next().unwrap_or_default().trim_start_matches('#');
    [inputs, after("cov:"), after("corp:")]
}

/// The sum of what the shell's `times` says of its children, such as `1m2.50s 0m0.10s`.
fn processor_seconds(times: &str) -> f64 {
    let of = |word: &str| {
        let (minutes, seconds) = word.strip_suffix('s')?.split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
    };
    times.lines().nth(1).unwrap_or_default().split_whitespace().filter_map(of).sum()
}

fn targets(dir: &Path) -> Result<Vec<String>, String> {
    let fail = |error: std::io::Error| format!("{}: {error}", dir.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read() {
        let log =
            "INFO: x\n#12: cov: 7 ft: 8 corp: 9 exec/s 1\n#3400: cov: 70 ft: 80 corp: 90 exec/s 12 time: 60s\nend\n";
        assert_eq!(reached(log), ["3400", "70", "90"]);
        assert_eq!(reached(""), ["", "?", "?"]);
        assert!((processor_seconds("0m0.00s 0m0.00s\n1m2.50s 0m0.25s\n") - 62.75).abs() < 1e-9);
    }

    #[test]
    fn each_target_has_a_corpus() {
        let names = targets(&root().join("fuzz/fuzz_targets")).unwrap();
        assert!(names.len() >= 8, "{names:?}");
        for name in names {
            assert!(fs::read_dir(root().join("fuzz/corpus").join(&name)).unwrap().next().is_some(), "{name}");
        }
    }
}
