// SPDX-License-Identifier: Apache-2.0
//! `insula exec`

use super::create::passed_on;
use crate::context::Context;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cli::{Parsed, exec as arguments};
use insula_error::{Error, Result};
use insula_plan::Options;
use insula_run::exec::{Request, exec};
use insula_run::foreground::{Console, wait};
use insula_run::start::{document, understood};
use insula_run::{file, status};
use insula_spec::{Capabilities, Process, Spec, Str};
use rustix::fs::CWD;

pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let id = super::id(parsed)?;
    if parsed.rest().is_empty() && !parsed.is_set("process") {
        return Err(Error::usage("exec: a command is needed, or --process"));
    }
    let (home, record) = status::find(context.root()?.as_ref(), id)?;
    let config = document(&home)?;
    let mut spec = understood(&home, &config)?;
    let given = parsed
        .flag("process")
        .map(|path| file::read_stream(CWD, path, insula_spec::MAX_DOCUMENT, "read the process"))
        .transpose()?;
    let process = match &given {
        Some(bytes) => {
            let process = insula_spec::load_process(bytes)?;
            insula_spec::validate_process(&process)?;
            process
        }
        None => from_flags(parsed, &mut spec)?,
    };
    let detach = parsed.is_set("detach");
    let (preserve_fds, extra_env) = passed_on(parsed)?;
    let request = Request {
        pid_file: parsed.flag("pid-file"),
        console_socket: parsed.flag("console-socket"),
        pidfd_socket: parsed.flag("pidfd-socket"),
        serve_terminal: !detach,
        ignore_paused: parsed.is_set("ignore-paused"),
        cgroups: parsed.values("cgroup").map(String::from).collect(),
        options: Options {
            id: String::from(id),
            run: true,
            no_new_keyring: true,
            preserve_fds,
            extra_env,
            ..Options::default()
        },
    };
    let only = reduced(spec, process);
    let started = exec(&home, &record, &only, &request, context)?;
    if detach {
        return Ok(0);
    }
    wait(&started.child, &started.signals, started.console.map(Console::new), None)
}

/// What of the document concerns an added process: its filter, and which ids exist.
fn reduced<'d>(spec: Spec<'d>, process: Process<'d>) -> Spec<'d> {
    let mut only = Spec { oci_version: spec.oci_version, process: Some(process), ..Spec::default() };
    only.linux.seccomp = spec.linux.seccomp;
    only.linux.uid_mappings = spec.linux.uid_mappings;
    only.linux.gid_mappings = spec.linux.gid_mappings;
    only.linux.personality = spec.linux.personality;
    only.linux.memory_policy = spec.linux.memory_policy;
    only
}

/// The container's own process, changed as the flags say.
fn from_flags<'d>(parsed: &Parsed<'d>, spec: &mut Spec<'d>) -> Result<Process<'d>> {
    let mut process = spec.process.take().unwrap_or_default();
    process.args = Vec::with_capacity(parsed.rest().len());
    for argument in parsed.rest() {
        let text = argument.to_str().map_err(|_| Error::usage("exec: the command must be UTF-8"))?;
        process.args.push(Str::from(text));
    }
    process.terminal = parsed.is_set("tty");
    process.console_size = None;
    if let Some(cwd) = parsed.flag("cwd") {
        if !cwd.starts_with('/') {
            return Err(Error::usage(format!("exec: --cwd {cwd}: must be an absolute path")));
        }
        process.cwd = Str::from(cwd);
    }
    for entry in parsed.values("env") {
        arguments::variable(entry)?;
        process.env.push(Str::from(entry));
    }
    // An empty one is given, and is no user.
    if let Some(user) = parsed.values("user").last() {
        let (uid, gid) = arguments::user(user)?;
        process.user.uid = uid;
        // CVE-2026-30892: a user without a group is group 0, not whatever the container's process has.
        process.user.gid = gid.unwrap_or(0);
    }
    for gid in parsed.values("additional-gids") {
        process.user.additional_gids.push(arguments::group(gid)?);
    }
    if let Some(nnp) = parsed.switch("no-new-privs") {
        process.no_new_privileges = nnp;
    }
    if let Some(profile) = parsed.flag("apparmor") {
        process.apparmor_profile = Some(Str::from(profile));
    }
    if let Some(label) = parsed.flag("process-label") {
        process.selinux_label = Some(Str::from(label));
    }
    for capability in parsed.values("cap") {
        let name: Str<'d> = Str::from(arguments::capability(capability)?);
        let sets = process.capabilities.get_or_insert_with(Capabilities::default);
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            set.push(name.clone());
        }
        // The kernel takes ambient ones only where inheritable ones are (COMPAT(runc)).
        if !sets.inheritable.is_empty() {
            sets.ambient.push(name);
        }
    }
    Ok(process)
}
