// SPDX-License-Identifier: Apache-2.0
//! `insula try`: a process in eight new namespaces, over a view of this system that forgets what is written to it.
//!
//! The view is an overlay whose upper layer lies in memory, mounted in a mount namespace of this command's own, so
//! nothing of it is ever on the host. From there on it is a document like any other, planned and launched as `run` does.

use super::create::stay;
use crate::context::{Context, absolute, now, variable};
use crate::output;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cli::Parsed;
use insula_cli::table::{Layout, Table};
use insula_cli::time::rfc3339_nano;
use insula_error::{Error, Kind as ErrorKind, Result};
use insula_ns::kind::ALL;
use insula_ns::{Identity, Kind, PerKind, identity};
use insula_plan::Options;
use insula_run::create::{Request, create};
use insula_run::record::Held;
use insula_run::store::Root;
use insula_run::view;
use insula_run::{Log, file};
use insula_spec::{IdMapping, Namespace, Spec, Str};

/// Capabilities over the namespaces it gets: what Docker gives.
const CAPABILITIES: [&str; 13] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Variables of the caller that mean the same inside.
const KEPT: [&str; 8] = ["PATH", "HOME", "TERM", "SHELL", "USER", "LANG", "LC_ALL", "COLORTERM"];

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let host = identity::all_of_self()?;
    let cwd = absolute(".");
    let lower = parsed.flag("rootfs").map_or_else(|| String::from("/"), absolute);
    insula_sys::process::cloexec_from(3).map_err(|e| Error::kernel(e.raw_os_error(), "close inherited descriptors"))?;
    let user = rustix::process::geteuid().as_raw();
    let view = view::make(&lower, parsed.is_set("ro"))?;
    // Root's containers are known to `list` and `delete`; an ordinary user's state lies in the view's own memory.
    let root = match view.state() {
        Some(path) => Root::open(&path, true)?.ok_or_else(|| Error::state("make the state directory", "it is gone"))?,
        None => context.make_root()?,
    };
    let id = format!("try-{}", rustix::process::getpid().as_raw_nonzero());
    let spec = document(parsed, &view, &cwd, user)?;
    let config = insula_spec::to_json(&spec);
    let (seconds, nanoseconds) = now();
    let request = Request {
        id: &id,
        bundle: "/",
        serve_terminal: true,
        options: Options { id: id.clone(), run: true, ..Options::default() },
        created: rfc3339_nano(seconds, nanoseconds),
        ..Request::default()
    };
    let container = create(&root, &spec, config.as_bytes(), &request, &Quiet(context))?;
    let given = container.record.namespaces.clone();
    let status = stay(container, false, context)?;
    if parsed.is_set("report") {
        output::print_error(&report(&host, &given));
    }
    Ok(status)
}

/// Whoever tries something out is not told what an ordinary user cannot have anyway (a cgroup); `--debug` shows it.
struct Quiet<'c, 'a>(&'c Context<'a>);

impl Log for Quiet<'_, '_> {
    fn warn(&self, text: &str) {
        self.0.debug(text);
    }

    fn debug(&self, text: &str) {
        self.0.debug(text);
    }
}

fn document(parsed: &Parsed<'_>, view: &view::View, cwd: &str, user: u32) -> Result<Spec<'static>> {
    let mut spec = insula_spec::default_spec(true);
    let root = spec.root.get_or_insert_with(Default::default);
    root.path = Str::from(view.root());
    root.readonly = parsed.is_set("ro");
    spec.hostname = Some(Str::from(String::from(parsed.flag("hostname").unwrap_or("insula"))));
    spec.linux.namespaces = ALL.iter().map(|kind| Namespace { kind: Str::from(kind.spec_name), path: None }).collect();
    // Everybody who is known out there is known in there; an ordinary user has one id to give, and is root with it.
    let size = if user == 0 { u32::MAX } else { 1 };
    let mapping = IdMapping { container_id: 0, host_id: 0, size };
    spec.linux.uid_mappings = Vec::from([mapping.clone()]);
    spec.linux.gid_mappings = Vec::from([mapping]);
    spec.linux.resources = None;
    let process = spec.process.get_or_insert_with(Default::default);
    process.terminal = output::terminal(0).is_some() && output::terminal(1).is_some();
    process.args = arguments(parsed)?;
    // A directory that the view does not show is none to start in.
    let shown = file::open_dir(rustix::fs::CWD, &format!("{}{cwd}", view.root())).is_ok();
    process.cwd = if shown { Str::from(String::from(cwd)) } else { Str::from("/") };
    process.env = environment();
    process.rlimits = Vec::new();
    process.no_new_privileges = true;
    if let Some(sets) = &mut process.capabilities {
        let list: Vec<Str<'static>> = CAPABILITIES.iter().map(|name| Str::from(*name)).collect();
        sets.bounding.clone_from(&list);
        sets.effective.clone_from(&list);
        sets.permitted = list;
        sets.ambient = Vec::new();
        sets.inheritable = Vec::new();
    }
    Ok(spec)
}

fn arguments(parsed: &Parsed<'_>) -> Result<Vec<Str<'static>>> {
    if parsed.rest().is_empty() {
        let shell = variable("SHELL").filter(|shell| shell.starts_with('/')).unwrap_or("/bin/sh");
        return Ok(Vec::from([Str::from(shell)]));
    }
    let text = |argument: &&core::ffi::CStr| match argument.to_str() {
        Ok(text) => Ok(Str::from(String::from(text))),
        Err(_) => Err(Error::new(ErrorKind::Usage, "").reason("try: the command must be UTF-8")),
    };
    parsed.rest().iter().map(text).collect()
}

fn environment() -> Vec<Str<'static>> {
    let mut env: Vec<Str<'static>> = Vec::with_capacity(KEPT.len() + 1);
    for name in KEPT {
        match (variable(name), name) {
            (Some(value), _) => env.push(Str::from(format!("{name}={value}"))),
            (None, "PATH") => env.push(Str::from(format!("PATH={DEFAULT_PATH}"))),
            (None, _) => {}
        }
    }
    env
}

/// The eight kinds, the host's identity beside the container's.
fn report(host: &PerKind<Option<Identity>>, given: &[Held]) -> String {
    let mut table = Table::new(&["NAMESPACE", "HOST", "CONTAINER", "ISOLATED"]);
    for kind in Kind::all() {
        let namespace = kind.namespace();
        let outside = host[kind].as_ref().map(|identity| format!("{identity}")).unwrap_or_default();
        let held = given.iter().find(|held| held.kind == namespace.spec_name);
        let inside = held.map(|held| format!("{}:[{}]", namespace.proc_name, held.ino)).unwrap_or_default();
        let isolated = if inside.is_empty() || inside == outside { "no" } else { "yes" };
        table.row(&[namespace.spec_name, &outside, &inside, isolated]);
    }
    let bold = output::in_colour(2);
    table.render(Layout::Own { bold })
}
