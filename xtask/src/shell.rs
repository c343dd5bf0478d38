// SPDX-License-Identifier: Apache-2.0
//! Starting programs from the repository's root, and where things are.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ lies in the repository")
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The cargo that runs this task.
pub(crate) fn cargo<const N: usize>(args: [&str; N]) -> Command {
    let mut command = program(std::env::var("CARGO").as_deref().unwrap_or("cargo"));
    command.args(args);
    command
}

/// The compiler's name for this machine.
pub(crate) fn host() -> Result<String, String> {
    let version = output(program("rustc").arg("-vV"))?;
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or("rustc -vV names no host".into())
}

/// A program that runs in the repository's root.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// A program that runs as root: itself, or through sudo.
pub(crate) fn as_root(name: &str) -> Result<Command, String> {
    if is_root()? {
        return Ok(program(name));
    }
    let mut command = program("sudo");
    command.arg(name);
    Ok(command)
}

/// Whether this is root.
pub(crate) fn is_root() -> Result<bool, String> {
    Ok(output(program("id").arg("-u"))?.trim() == "0")
}

/// Runs it, shows the command line first, and fails unless it exits with 0.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    if succeeds(command)? { Ok(()) } else { Err(format!("{} failed", line(command))) }
}

/// Runs it, shows the command line first; whether it exited with 0.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool, String> {
    eprintln!("+ {}", line(command));
    let status = command.status().map_err(|error| format!("{}: {error}", line(command)))?;
    Ok(status.success())
}

/// What it prints on standard output; fails unless it exits with 0.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{}: {error}", line(command)))?;
    if !output.status.success() {
        return Err(format!("{}: {}", line(command), String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command line as a person would type it, nearly.
fn line(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let words = command.get_args().map(|arg| {
        let arg = arg.to_string_lossy();
        if arg.contains([' ', ';', '\n']) { format!("'{arg}'") } else { arg.into_owned() }
    });
    [name].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}
