// SPDX-License-Identifier: Apache-2.0
//! Starts commands through `benches/floor/stopwatch.c` and takes their figures.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What one command took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Nanoseconds from before fork(2) to its end.
    pub(crate) wall: u64,
    /// Microseconds of processor time, user and system, of it and the children it waited for.
    pub(crate) cpu: u64,
    /// Minor page faults.
    pub(crate) faults: u64,
    /// Peak resident set in KiB.
    pub(crate) peak: u64,
    /// The status that wait4(2) gave.
    status: u64,
}

impl Sample {
    /// Both together, as of commands one after the other.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            wall: self.wall + other.wall,
            cpu: self.cpu + other.cpu,
            faults: self.faults + other.faults,
            peak: self.peak.max(other.peak),
            status: self.status | other.status,
        }
    }

    /// What it cost apart from the time that others waited for it.
    pub(crate) fn work(self) -> Self {
        Self { wall: 0, peak: 0, ..self }
    }

    fn parse(line: &str) -> Option<Self> {
        let numbers: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let [wall, user, system, faults, peak, status] = numbers[..] else { return None };
        Some(Self { wall, cpu: user + system, faults, peak, status })
    }
}

/// The running stopwatch.
pub(crate) struct Stopwatch {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Stopwatch {
    /// Starts it; what measured commands print on standard error goes to `errors`.
    pub(crate) fn start(program: &Path, errors: &Path) -> Result<Self, String> {
        Self::start_by(&mut Command::new(program), errors)
    }

    /// The same, by a command that becomes the stopwatch.
    pub(crate) fn start_by(command: &mut Command, errors: &Path) -> Result<Self, String> {
        let fail = |error: std::io::Error| format!("the stopwatch: {error}");
        let errors = std::fs::File::options().append(true).create(true).open(errors).map_err(fail)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().map_err(fail)?;
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("the stopwatch has no standard output")?);
        Ok(Self { child, requests, answers })
    }

    /// Runs a command; an error unless it exits with 0.
    pub(crate) fn run(&mut self, words: &[String]) -> Result<Sample, String> {
        self.demand("run", words)
    }

    /// The same, and processes left to the stopwatch are reaped as they end.
    pub(crate) fn run_reaping(&mut self, words: &[String]) -> Result<Sample, String> {
        self.demand("reap", words)
    }

    /// Waits for a process whose parent has ended.
    pub(crate) fn wait(&mut self, pid: &str) -> Result<Sample, String> {
        self.demand("wait", &[pid.to_owned()])
    }

    fn demand(&mut self, verb: &str, words: &[String]) -> Result<Sample, String> {
        let request = format!("{verb}\t{}\n", words.join("\t"));
        let mut answer = String::new();
        let pipe = self.requests.as_mut().ok_or("the stopwatch was stopped")?;
        pipe.write_all(request.as_bytes()).map_err(|error| format!("the stopwatch: {error}"))?;
        self.answers.read_line(&mut answer).map_err(|error| format!("the stopwatch: {error}"))?;
        match Sample::parse(&answer) {
            Some(sample) if sample.status == 0 => Ok(sample),
            Some(sample) => Err(format!("{} ended with wait status {:#x}", words.join(" "), sample.status)),
            None => Err(format!("{}: the stopwatch says {answer:?}", words.join(" "))),
        }
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        drop(self.requests.take());
        // It ends at the end of its input; a failure to wait leaves a zombie until this process ends, no more.
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let sample = Sample { wall: 1_000, cpu: 5, faults: 4, peak: 900, status: 0 };
        assert_eq!(Sample::parse("1000 2 3 4 900 0 \n"), Some(sample));
        assert_eq!(Sample::parse("-10\n"), None);
        assert_eq!(sample.plus(sample).wall, 2_000);
        assert_eq!(sample.plus(sample).peak, 900);
    }
}
