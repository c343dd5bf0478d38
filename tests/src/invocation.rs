// SPDX-License-Identifier: Apache-2.0
//! Commands with a deadline, whose output goes to files: a container that keeps its creator's standard output
//! open must not keep the test waiting.

use crate::wait::patience;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A command to run.
#[derive(Debug)]
pub struct Invocation {
    command: Command,
    capture: PathBuf,
    patience: Duration,
}

/// What a command that ended left.
#[derive(Debug)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output so far.
    pub stdout: String,
    /// Its standard error so far.
    pub stderr: String,
    /// From start to end.
    pub elapsed: Duration,
}

impl Invocation {
    /// `program`, with output kept in files whose names start with `capture`.
    pub(crate) fn new(program: impl AsRef<OsStr>, capture: PathBuf) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self { command, capture, patience: patience() }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets one environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs the command in `directory`.
    #[must_use]
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Gives the command this standard input instead of `/dev/null`.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// Gives the command `text` as its standard input.
    #[must_use]
    pub fn stdin_text(mut self, text: &str) -> Self {
        let path = self.file("stdin");
        fs::write(&path, text).expect("write standard input");
        self.command.stdin(File::open(path).expect("open standard input"));
        self
    }

    /// Gives the command this long instead of [`patience`].
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Keeps the output in files whose names start with `capture`.
    #[must_use]
    pub(crate) fn capture_in(mut self, capture: &Path) -> Self {
        capture.clone_into(&mut self.capture);
        self
    }

    /// Connects standard output and error to `stdio()` each instead of files.
    #[must_use]
    #[track_caller]
    pub fn output_to(mut self, mut stdio: impl FnMut() -> Stdio) -> Background {
        self.command.stdout(stdio()).stderr(stdio());
        self.spawn()
    }

    /// Runs to the end. Panics if it does not end in time.
    #[track_caller]
    pub fn run(mut self) -> Output {
        self.capture_output();
        self.spawn().wait()
    }

    /// Runs to the end and asserts success.
    #[track_caller]
    pub fn ok(self) -> Output {
        let output = self.run();
        output.assert_code(0);
        output
    }

    /// Starts and returns at once.
    #[track_caller]
    pub fn start(mut self) -> Background {
        self.capture_output();
        self.spawn()
    }

    /// The command, and what the names of files with its output start with.
    pub(crate) fn into_parts(self) -> (Command, PathBuf) {
        (self.command, self.capture)
    }

    fn capture_output(&mut self) {
        let create = |path: &Path| File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (stdout, stderr) = (create(&self.file("stdout")), create(&self.file("stderr")));
        self.command.stdout(stdout).stderr(stderr);
    }

    #[track_caller]
    fn spawn(mut self) -> Background {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let line: Vec<_> = words.map(OsStr::to_string_lossy).collect();
        let line = line.join(" ");
        let child = self.command.spawn().unwrap_or_else(|error| panic!("{line}: {error}"));
        Background { child, line, started: Instant::now(), patience: self.patience, capture: self.capture }
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.capture.with_extension(extension)
    }
}

/// A command that runs. Killed when dropped.
#[derive(Debug)]
pub struct Background {
    child: Child,
    line: String,
    started: Instant,
    patience: Duration,
    capture: PathBuf,
}

impl Background {
    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("process ids fit")
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    /// Its standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.capture.with_extension("stdout"))
    }

    /// Waits for the end. Panics if it does not end in time.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        let deadline = self.started + self.patience;
        let mut pause = Duration::from_micros(200);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            if Instant::now() >= deadline {
                let (stdout, stderr) = self.printed();
                panic!("no end after {:?}: {}\nstdout: {stdout}\nstderr: {stderr}", self.patience, self.line);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        };
        let (stdout, stderr) = self.printed();
        Output { command: self.line.clone(), status, stdout, stderr, elapsed: self.started.elapsed() }
    }

    /// Waits for the end like [`wait`](Self::wait), but kills the command instead of panicking.
    pub fn wait_quietly(mut self) {
        let deadline = self.started + self.patience;
        while self.child.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn printed(&self) -> (String, String) {
        (self.stdout(), read(&self.capture.with_extension("stderr")))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // An error means that it has ended, which is what is wanted.
        if self.child.kill().is_ok() {
            self.child.wait().expect("reap a killed command");
        }
    }
}

impl Output {
    /// The exit code, or 128 and the signal as a shell says it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().expect("ended by a signal"))
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn assert_code(&self, code: i32) {
        assert_eq!(self.code(), code, "{self}");
    }

    /// Asserts a clean failure: exit code 1 (not a signal), and every one of `words` on standard error, whatever
    /// their case.
    #[track_caller]
    pub fn fails_with(&self, words: &[&str]) {
        assert_eq!(self.status.code(), Some(1), "{self}");
        self.says(words);
    }

    /// Asserts that every one of `words` is on standard error, whatever their case.
    #[track_caller]
    pub fn says(&self, words: &[&str]) {
        // A log record in text escapes quotes.
        let said = self.stderr.replace("\\\"", "\"").to_lowercase();
        for word in words {
            assert!(said.contains(&word.to_lowercase()), "the message does not say {word:?}: {self}");
        }
    }

    /// Standard output without white space at its ends.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, status, stdout, stderr, .. } = self;
        write!(f, "{command}\n{status}\nstdout: {stdout}\nstderr: {stderr}")
    }
}

/// What is in a captured file. Containers may print anything, so bytes that are no text are replaced.
fn read(path: &Path) -> String {
    fs::read(path).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}
