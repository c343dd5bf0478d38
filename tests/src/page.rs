// SPDX-License-Identifier: Apache-2.0
//! Pages whose examples are run: the commands of their `console` blocks, and what the page shows that they print.

use crate::lab::Lab;
use crate::runtime::runtime;
use crate::wait::patience;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// One command of a page with the output that the page shows.
#[derive(Debug)]
pub struct Example {
    /// Where it stands in the page.
    pub line: usize,
    /// Whether it stands behind `$`, as commands of ordinary users do.
    pub ordinary: bool,
    /// For a shell.
    pub command: String,
    /// Line by line.
    pub shown: Vec<String>,
}

/// The examples of all `console` blocks of `text`, in order.
pub fn examples(text: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match line.strip_prefix("# ").or_else(|| line.strip_prefix("$ ")) {
                Some(command) => {
                    let ordinary = line.starts_with('$');
                    found.push(Example { line: number + 1, ordinary, command: command.into(), shown: Vec::new() });
                }
                None => found.last_mut().expect("a block begins with a command").shown.push(line.into()),
            },
        }
    }
    found
}

/// Whether `printed` is what a page's line shows: `…` is any text, runs of blanks count as one.
fn matches(shown: &str, printed: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let printed = words(printed);
    let mut rest = printed.as_str();
    let pieces: Vec<String> = shown.split('…').map(words).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let at = match rest.find(piece.as_str()) {
            Some(at) if index > 0 || at == 0 => at,
            _ => return false,
        };
        rest = rest[at + piece.len()..].trim_start();
    }
    rest.is_empty() || pieces.last().is_some_and(String::is_empty)
}

impl Example {
    /// Compares what the command printed with what the page shows.
    ///
    /// # Errors
    /// What differs.
    pub fn compare(&self, printed: &str) -> Result<(), String> {
        let lines: Vec<&str> = printed.lines().filter(|line| !line.trim().is_empty()).collect();
        compare(&self.shown, &lines)
    }
}

/// Compares line by line; a line of the page that is only `…` stands for any number of lines.
fn compare(shown: &[String], printed: &[&str]) -> Result<(), String> {
    match shown.split_first() {
        None if printed.is_empty() => Ok(()),
        None => Err(format!("more than shown: {printed:?}")),
        Some((line, rest)) if line == "…" => {
            let fits = (0..=printed.len()).any(|skipped| compare(rest, &printed[skipped..]).is_ok());
            if fits { Ok(()) } else { Err(format!("nothing printed fits {rest:?}: {printed:?}")) }
        }
        Some((line, rest)) => match printed.split_first() {
            Some((first, others)) if matches(line, first) => compare(rest, others),
            other => Err(format!("shown is {line:?}, printed {:?}", other.map(|(first, _)| first))),
        },
    }
}

/// Runs the examples of the page `name` in order; it has at least `least` of them. `run` runs a command, whose status must
/// be zero, and tells what it printed; `None` if that command is not for it.
#[track_caller]
pub fn follow(name: &str, text: &str, least: usize, mut run: impl FnMut(&Example) -> Option<(i32, String)>) {
    let examples = examples(text);
    assert!(examples.len() >= least, "{name} has examples");
    for example in examples {
        let Some((status, printed)) = run(&example) else { continue };
        let place = format!("{name}:{}: {}\n{printed}", example.line, example.command);
        assert_eq!(status, 0, "{place}");
        if let Err(reason) = example.compare(&printed) {
            panic!("{reason}\n{place}");
        }
    }
}

/// What stands for a page's command on a machine that has what `cargo build` makes, but no sources. `None`: CI itself
/// runs it, since it is the way to all tests.
#[track_caller]
pub fn on_a_machine(command: &str) -> Option<String> {
    if let Some(words) = command.strip_prefix("cargo run --release -- ") {
        return Some(format!("insula {words}"));
    }
    if command == "cargo build --release" {
        return Some("mkdir -p target/release && cp /usr/bin/insula target/release/".to_owned());
    }
    if command.starts_with("cargo ") {
        let ci = include_str!("../../.ci/run");
        assert!(ci.lines().any(|line| line.starts_with(command)), ".ci/run has no {command:?}");
        return None;
    }
    Some(command.to_owned())
}

/// Runs a command whose output goes to the new file `place`, not to a pipe: a detached container keeps its standard
/// output open for as long as it lives.
#[track_caller]
pub fn run_into(place: &Path, command: &mut Command) -> (i32, String) {
    let out = fs::File::create(place).expect("make a file");
    let errors = out.try_clone().expect("share the file");
    let status = command.stdin(Stdio::null()).stderr(errors).stdout(out).status().expect("run a command");
    (status.code().unwrap_or(-1), fs::read_to_string(place).expect("read what was printed"))
}

/// An ordinary user of the host, without a name or rights.
const USER: u32 = 61_235;

/// Runs the page `docs/<name>`, which has this text, in a directory of its own, with an insula whose containers are its
/// own: each command in a shell, and what it prints compared with what the page shows.
#[track_caller]
pub fn run(name: &str, text: &str) {
    let lab = Lab::new();
    let dir = lab.path("page");
    let bin = lab.path("bin");
    fs::create_dir_all(&dir).expect("make a directory");
    fs::create_dir_all(&bin).expect("make a directory");
    // The user could not enter the directory of the build.
    let program = bin.join("program");
    fs::copy(runtime(), &program).expect("copy the runtime");
    let root = if examples(text).iter().any(|example| example.ordinary) {
        chown(&dir, Some(USER), Some(USER)).expect("give the directory away");
        dir.join("state")
    } else {
        lab.state_root()
    };
    let wrapper = bin.join("insula");
    let script = format!("#!/bin/sh\nexec '{}' --root '{}' \"$@\"\n", program.display(), root.display());
    fs::write(&wrapper, script).expect("write a script");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("make it executable");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let patience = patience().max(Duration::from_mins(1)).as_secs().to_string();
    follow(&format!("docs/{name}"), text, 4, |example| {
        let mut command = Command::new("timeout");
        command.arg(&patience);
        if example.ordinary {
            let id = USER.to_string();
            command.args(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"]);
            command.args(["--inh-caps=-all", "--bounding-set=-all"]);
        }
        command.args(["sh", "-c", &example.command]).current_dir(&dir);
        Some(run_into(&lab.path("printed"), command.env("PATH", &path).env("XDG_RUNTIME_DIR", &dir)))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_gaps() {
        assert!(matches("a … c", "a   b c"));
        assert!(matches("user:[…]", "user:[4711]"));
        assert!(!matches("user:[…]", "pid:[4711]"));
        assert!(matches("web …", "web"));
        assert!(!matches("web", "web2"));
        assert!(compare(&["…".into(), "x".into()], &["a", "b", "x"]).is_ok());
        assert!(compare(&["a".into()], &["a", "b"]).is_err());
    }
}
