// SPDX-License-Identifier: Apache-2.0
//! What every command needs: where states are kept, where log records go, the environment.

use crate::output;
use alloc::format;
use alloc::string::String;
use insula_cli::Parsed;
use insula_cli::log::{Level, Logger, on_terminal};
use insula_error::{Error, Result};
use insula_run::Log;
use insula_run::store::Root;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

/// Where root keeps its containers.
const ROOT: &str = "/run/insula";

/// A command's surroundings.
pub(crate) struct Context<'a> {
    logger: Logger,
    log: Option<OwnedFd>,
    root: Option<&'a str>,
}

/// The value of an environment variable, if it is UTF-8.
pub(crate) fn variable(name: &str) -> Option<&'static str> {
    insula_start::env().find_map(|entry| entry.to_str().ok()?.strip_prefix(name)?.strip_prefix('='))
}

/// Seconds since 1970, and nanoseconds.
pub(crate) fn now() -> (i64, u32) {
    insula_sys::process::wall_clock()
}

/// Whether this is root of the host, not one that an ordinary user's engine (podman) has made in a user namespace,
/// whose variables are still the user's. COMPAT(runc): `USER=root` says that the former is meant.
fn is_real_root() -> bool {
    if insula_sys::credentials::effective_ids().0 != 0 {
        return false;
    }
    let map = insula_run::file::read_text(CWD, "/proc/self/uid_map", 4096, "read the user ids of this namespace");
    let is_everybody = |line: &str| line.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
    variable("USER") == Some("root") || map.map_or(true, |map| map.lines().next().is_some_and(is_everybody))
}

impl<'a> Context<'a> {
    pub(crate) fn new(parsed: &Parsed<'a>) -> Self {
        let globals = parsed.globals();
        let logger = Logger { format: globals.log_format, debug: globals.debug };
        // Opened at once: an engine wants the record of whatever fails later. Never through a fifo nobody reads.
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let log = globals
            .log
            .filter(|path| !path.is_empty())
            .and_then(|path| openat(CWD, path, flags, Mode::from_raw_mode(0o644)).ok());
        Self { logger, log, root: globals.root }
    }

    /// Where containers are kept: `--root`, else /run/insula, for an ordinary user below $XDG_RUNTIME_DIR.
    pub(crate) fn root_path(&self) -> String {
        match self.root {
            Some(path) => absolute(path),
            None => match variable("XDG_RUNTIME_DIR").filter(|dir| dir.starts_with('/')) {
                Some(dir) if !is_real_root() => format!("{dir}/insula"),
                _ if insula_sys::credentials::effective_ids().0 == 0 => String::from(ROOT),
                _ => format!("/tmp/insula-{}", insula_sys::credentials::effective_ids().0),
            },
        }
    }

    /// Whether `--root` was given.
    pub(crate) fn root_is_named(&self) -> bool {
        self.root.is_some()
    }

    /// The error for a root that is not there.
    pub(crate) fn no_root(&self) -> Error {
        Error::kernel(Errno::NOENT.raw_os_error(), "list containers").object(self.root_path()).advice("see --root")
    }

    /// The state root, if it exists.
    pub(crate) fn root(&self) -> Result<Option<Root>> {
        Root::open(&self.root_path(), false)
    }

    /// The state root, made where it is missing.
    pub(crate) fn make_root(&self) -> Result<Root> {
        let path = self.root_path();
        Root::open(&path, true)?
            .ok_or_else(|| Error::state("make the state directory", "it is gone again").object(path))
    }

    /// Whether `--debug` was given.
    pub(crate) fn debugs(&self) -> bool {
        self.logger.wants(Level::Debug)
    }

    fn record(&self, level: Level, text: &str) {
        if !self.logger.wants(level) {
            return;
        }
        let Some(record) = self.logger.record(level, text, now().0) else { return };
        match &self.log {
            Some(file) => drop(output::write(file.as_fd(), &record)),
            None => output::print_error(&record),
        }
    }

    /// The error that ends the command, said once to people and once to the log.
    pub(crate) fn fatal(&self, error: &Error) {
        let text = format!("{error}");
        // COMPAT(runc): where execve itself fails, nothing but the words is printed.
        if error.kind() == insula_error::Kind::Exec && text.starts_with("exec ") && self.log.is_none() {
            output::print_error(&format!("{}\n", insula_cli::log::printable(&text)));
            return;
        }
        if self.log.is_some() {
            self.record(Level::Error, &text);
            output::print_error(&format!("{}\n", insula_cli::log::printable(&text)));
        } else if output::terminal(2).is_some() {
            output::print_error(&on_terminal(&text, output::in_colour(2)));
        } else {
            self.record(Level::Error, &text);
        }
    }
}

impl Log for Context<'_> {
    fn warn(&self, text: &str) {
        self.record(Level::Warning, text);
    }

    fn debug(&self, text: &str) {
        self.record(Level::Debug, text);
    }
}

/// The absolute form of a path, without resolving links: what a state records must hold from any directory.
pub(crate) fn absolute(path: &str) -> String {
    let mut whole = if path.starts_with('/') {
        String::new()
    } else {
        rustix::process::getcwd(alloc::vec::Vec::new()).ok().and_then(|dir| dir.into_string().ok()).unwrap_or_default()
    };
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            let cut = whole.rfind('/').unwrap_or(0);
            whole.truncate(cut);
        } else {
            whole.push('/');
            whole.push_str(part);
        }
    }
    if whole.is_empty() {
        whole.push('/');
    }
    whole
}
