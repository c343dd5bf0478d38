// SPDX-License-Identifier: Apache-2.0
//! Hooks (runtime-spec, config.md, "POSIX-platform Hooks"): each gets the container's state on standard input.

use crate::create::Request;
use crate::record::{Record, State, Status};
use crate::spawn::{Place, Program, explain};
use crate::store::Home;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Kind, Result};
use insula_spec::{Hook, Spec};
use insula_sys::weak::{self, Weakness};
use rustix::fd::BorrowedFd;
use rustix::fs::CWD;

/// What hooks are told of the container.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// Version of the specification.
    pub oci_version: &'a str,
    /// The container's id.
    pub id: &'a str,
    /// Its first process.
    pub pid: i32,
    /// Absolute path of the bundle.
    pub bundle: &'a str,
    /// The document's annotations.
    pub annotations: &'a BTreeMap<String, String>,
    /// The container's state directory.
    pub home: Option<BorrowedFd<'a>>,
    /// Where the signals of this command are read, which end a hook early.
    pub signals: Option<BorrowedFd<'a>>,
}

impl<'a> Subject<'a> {
    /// The container that `request` makes at `home`, which has no process yet.
    pub(crate) fn new(
        spec: &'a Spec<'_>,
        request: &Request<'a>,
        annotations: &'a BTreeMap<String, String>,
        home: &'a Home,
    ) -> Self {
        Self {
            oci_version: &spec.oci_version,
            id: request.id,
            pid: 0,
            bundle: request.bundle,
            annotations,
            home: Some(home.fd()),
            signals: None,
        }
    }

    /// The container of `record`, whose process is there.
    pub(crate) fn of(record: &'a Record, home: &'a Home, signals: Option<BorrowedFd<'a>>) -> Self {
        Self {
            oci_version: &record.oci_version,
            id: &record.id,
            pid: record.init.pid,
            bundle: &record.bundle,
            annotations: &record.annotations,
            home: Some(home.fd()),
            signals,
        }
    }

    fn state(&self, status: Status) -> String {
        let state = State {
            oci_version: self.oci_version,
            id: self.id,
            pid: self.pid,
            status: status.name(),
            bundle: self.bundle,
            rootfs: None,
            created: None,
            annotations: (!self.annotations.is_empty()).then_some(self.annotations),
            owner: None,
        };
        serde_json::to_string(&state).unwrap_or_default()
    }

    /// Runs the hooks of one list in order; the first failure ends it.
    ///
    /// # Errors
    /// `Exec` naming the hook's pointer and what became of it.
    pub fn run(&self, hooks: &[Hook<'_>], list: &str, status: Status, place: Option<Place<'_>>) -> Result<()> {
        if hooks.is_empty() {
            return Ok(());
        }
        let state = self.state(status);
        for (index, hook) in hooks.iter().enumerate() {
            one(hook, (list, index), (&state, self), place)?;
        }
        Ok(())
    }

    /// As [`Self::run`], going on after a failure; the failures come back (poststop must not stop the rest).
    pub fn run_all(&self, hooks: &[Hook<'_>], list: &str, status: Status) -> Vec<Error> {
        if hooks.is_empty() {
            return Vec::new();
        }
        let state = self.state(status);
        let each = hooks.iter().enumerate().map(|(index, hook)| one(hook, (list, index), (&state, self), None));
        each.filter_map(Result::err).collect()
    }
}

/// COMPAT(runc): a hook on the host's side that has no environment gets the runtime's; scripts count on its PATH.
fn own_environment() -> Vec<String> {
    let text = crate::file::read(CWD, "/proc/self/environ", 1 << 20, "read the environment").unwrap_or_default();
    let entries = text.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    entries.filter_map(|entry| core::str::from_utf8(entry).ok().map(String::from)).collect()
}

fn one(
    hook: &Hook<'_>,
    (list, index): (&str, usize),
    (state, subject): (&str, &Subject<'_>),
    place: Option<Place<'_>>,
) -> Result<()> {
    let args: Vec<String> = hook.args.iter().map(|arg| String::from(arg.as_str())).collect();
    let mut env: Vec<String> = hook.env.iter().map(|entry| String::from(entry.as_str())).collect();
    if env.is_empty() && place.is_none() {
        env = own_environment();
    }
    let program = Program {
        path: &hook.path,
        args: &args,
        env: &env,
        input: state.as_bytes(),
        timeout: hook.timeout,
        note: subject.home,
        signals: subject.signals,
    };
    let program = if weak::is(Weakness::PatientHooks) { Program { timeout: None, ..program } } else { program };
    let program = if weak::is(Weakness::DeafHooks) { Program { signals: None, ..program } } else { program };
    let ended = program.run(place).map_err(|e| e.field(format!("/hooks/{list}/{index}")))?;
    if ended.success() {
        return Ok(());
    }
    Err(Error::new(
        Kind::Exec,
        format!(
            "error running {list} hook #{index}: {} (config.json: /hooks/{list}/{index}): {}",
            hook.path,
            explain(&ended, hook.timeout)
        ),
    ))
}
