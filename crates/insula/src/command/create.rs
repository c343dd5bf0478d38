// SPDX-License-Identifier: Apache-2.0
//! `insula create` and `insula run`: they differ in when the user's program begins, and who waits for it.

use crate::context::{Context, absolute, now, variable};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cli::Parsed;
use insula_cli::time::rfc3339_nano;
use insula_cli::validate_id;
use insula_error::{Error, Result};
use insula_ns::Kind;
use insula_plan::Options;
use insula_run::create::{Container, Request, create, poststart};
use insula_run::foreground::{Console, wait};
use insula_run::share::{self, Choice, Pinned};
use insula_run::{Log, delete, file, notify};
use insula_spec::Spec;
use insula_sys::weak::{self, Weakness};
use rustix::fd::AsFd;
use rustix::fs::CWD;

/// `create`
pub(super) fn perform(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let (bundle, config) = read(parsed)?;
    let (spec, pinned) = document(parsed, &config, context)?;
    let container = make(parsed, context, &bundle, &config, &spec, pinned, false)?;
    // The process ends here, and with it everything that is open.
    core::mem::forget(container);
    Ok(0)
}

/// `run`
pub(super) fn perform_run(parsed: &Parsed<'_>, context: &Context<'_>) -> Result<i32> {
    let (bundle, config) = read(parsed)?;
    let (spec, pinned) = document(parsed, &config, context)?;
    if spec.process.is_none() {
        return Err(Error::invalid("/process", "run the container", "there is no process to run")
            .advice("`insula create` makes a container without one"));
    }
    let container = make(parsed, context, &bundle, &config, &spec, pinned, true)?;
    if let Err(error) = poststart(&container.home, &spec, &container.record, container.signals.as_fd()) {
        container.home.unlock();
        if let Some(home) = context.make_root()?.home(&container.home.id)? {
            delete::delete(home, true, context)?;
        }
        return Err(error);
    }
    if parsed.is_set("detach") {
        container.home.unlock();
        if let Some(notify) = &container.notify {
            notify.wait(&container.child)?;
        }
        return Ok(0);
    }
    stay(container, parsed.is_set("keep"), context)
}

/// Waits for the process and, unless the container is to be kept, deletes what it leaves.
pub(super) fn stay(container: Container, keep: bool, context: &Context<'_>) -> Result<i32> {
    let Container { home, record, child, signals, console, notify, group } = container;
    home.unlock();
    let status = wait(&child, &signals, console.map(Console::new), notify)?;
    if !keep {
        delete::after_end(home, &record, group, context)?;
    }
    core::mem::forget((child, signals));
    Ok(status)
}

/// The bundle's absolute path and the text of its document, read once.
pub(super) fn read(parsed: &Parsed<'_>) -> Result<(String, Vec<u8>)> {
    let bundle = absolute(parsed.flag("bundle").unwrap_or("."));
    let path = format!("{bundle}/config.json");
    let config = file::read(CWD, &path, insula_spec::MAX_DOCUMENT, "read the bundle's document")
        .map_err(|e| if e.errno() == Some(2) { e.advice("`insula spec` writes one") } else { e })?;
    Ok((bundle, config))
}

/// Parses and checks the document, and puts the command line's choices in the place of its namespaces.
pub(super) fn document<'d>(parsed: &Parsed<'_>, config: &'d [u8], context: &Context<'_>) -> Result<(Spec<'d>, Pinned)> {
    let mut spec = insula_spec::load(config)?;
    if !weak::is(Weakness::Unchecked) {
        insula_spec::validate(&spec)?;
    }
    if context.debugs() {
        for pointer in insula_spec::unknown_properties(config) {
            context.debug(&format!("config.json: the specification knows no {pointer}; ignored"));
        }
    }
    if notify_socket().is_some() {
        notify::extend(&mut spec, &context.root_path(), super::id(parsed)?);
    }
    let choices = choices(parsed)?;
    if choices.is_empty() {
        return Ok((spec, Pinned::default()));
    }
    let applied = share::apply(&mut spec, &choices, context.root()?.as_ref())?;
    for pointer in &applied.left_out {
        context.warn(&format!(
            "config.json: {pointer} is left out, since the command line chooses another namespace for it"
        ));
    }
    Ok((spec, applied.pinned))
}

/// The service manager's socket (sd_notify(3)): a path, or a name in the abstract name space.
pub(super) fn notify_socket() -> Option<&'static str> {
    variable("NOTIFY_SOCKET").filter(|socket| socket.starts_with(['/', '@']))
}

/// `--pid`, `--network` and the like.
fn choices<'a>(parsed: &Parsed<'a>) -> Result<Vec<(Kind, Choice<'a>)>> {
    let mut choices = Vec::new();
    for kind in Kind::all() {
        let Some(option) = kind.namespace().option else { continue };
        let Some(value) = parsed.flag(option) else { continue };
        let choice = Choice::parse(option, value)?;
        if let Choice::Container(id) = choice {
            validate_id(id)?;
        }
        choices.push((kind, choice));
    }
    Ok(choices)
}

fn make(
    parsed: &Parsed<'_>,
    context: &Context<'_>,
    bundle: &str,
    config: &[u8],
    spec: &Spec<'_>,
    pinned: Pinned,
    run: bool,
) -> Result<Container> {
    let id = super::id(parsed)?;
    let detach = !run || parsed.is_set("detach");
    let (preserve_fds, extra_env) = passed_on(parsed)?;
    let (seconds, nanoseconds) = now();
    let request = Request {
        id,
        bundle,
        pid_file: parsed.flag("pid-file"),
        console_socket: parsed.flag("console-socket"),
        pidfd_socket: parsed.flag("pidfd-socket"),
        serve_terminal: !detach,
        options: Options {
            id: String::from(id),
            run,
            no_pivot: parsed.is_set("no-pivot"),
            no_new_keyring: parsed.is_set("no-new-keyring"),
            preserve_fds,
            extra_env,
        },
        systemd: parsed.globals().systemd_cgroup,
        pinned,
        notify: notify_socket(),
        created: rfc3339_nano(seconds, nanoseconds),
    };
    create(&context.make_root()?, spec, config, &request, context)
}

/// Descriptors that the process keeps beside its standard streams: those of socket activation (sd_listen_fds(3)) and
/// `--preserve-fds`. Whatever else the caller left open is closed at the next execve.
pub(super) fn passed_on(parsed: &Parsed<'_>) -> Result<(u32, Vec<String>)> {
    let listen = variable("LISTEN_FDS").and_then(|count| count.parse::<u32>().ok()).unwrap_or(0);
    let preserve = parsed.integer("preserve-fds").unwrap_or(0);
    let preserve = u32::try_from(preserve).map_err(|_| Error::usage("--preserve-fds must not be negative"))?;
    let total = listen.saturating_add(preserve);
    if total > 65536 {
        return Err(Error::usage(format!("{total} descriptors cannot be passed on")));
    }
    for number in 3..3 + total {
        if rustix::io::fcntl_getfd(insula_sys::memory::borrow(number as i32)).is_err() {
            return Err(Error::usage(format!("descriptor {number} is to be passed on and is not open")));
        }
    }
    insula_sys::process::cloexec_from(3 + total)
        .map_err(|e| Error::kernel(e.raw_os_error(), "close inherited descriptors"))?;
    let mut env = Vec::new();
    if listen > 0 {
        env.push(format!("LISTEN_FDS={listen}"));
        env.push(String::from("LISTEN_PID=1"));
        if let Some(names) = variable("LISTEN_FDNAMES") {
            env.push(format!("LISTEN_FDNAMES={names}"));
        }
    }
    Ok((total, env))
}
