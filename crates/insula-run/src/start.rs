// SPDX-License-Identifier: Apache-2.0
//! `start`: one byte to the init that waits.

use crate::create::poststart;
use crate::file;
use crate::foreground::take_signals;
use crate::handle::Handle;
use crate::notify::Notify;
use crate::record::{Record, Status};
use crate::spawn::Place;
use crate::status;
use crate::store::{CONFIG, FIFO, Home};
use alloc::format;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_ns::Kind;
use insula_sys::weak::{self, Weakness};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

/// Starts the user's program of a created container. With `notify`, the caller's `NOTIFY_SOCKET`, and for a container that
/// was created with one, the program's news and its process come back, to be waited for.
///
/// # Errors
/// `State` if it is not created.
pub fn start(home: &Home, notify: Option<&str>) -> Result<Option<(Notify, Handle)>> {
    home.lock()?;
    let record = home.record()?.ok_or_else(|| status::missing(&home.id))?;
    let attempted = format!("start container {}", home.id);
    match status::of(home, &record) {
        Status::Created => {}
        Status::Stopped => return Err(Error::state(attempted, "cannot start a container that has stopped")),
        Status::Running | Status::Paused => {
            return Err(Error::state(attempted, "cannot start an already running container"));
        }
        Status::Creating => return Err(Error::state(attempted, "cannot start a container that is being created")),
    }
    if !record.startable {
        return Err(
            Error::state(attempted, "cannot start a container without a process in its config.json").field("/process")
        );
    }
    let config = if record.hooks { document(home)? } else { Vec::new() };
    let mut hooked = None;
    if record.hooks {
        let spec = understood(home, &config)?;
        // A hook without a timeout ends with this command.
        let signals = take_signals()?;
        before(home, &record, &spec, signals.as_fd())?;
        hooked = Some((spec, signals));
    }
    // Before the program can say anything.
    let notify = notify.map(|host| Notify::listen(home, host)).transpose()?.flatten();
    let failed = |e: Errno| Error::kernel(e.raw_os_error(), attempted.clone()).object(format!("{}/{FIFO}", home.path));
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fifo = match openat(home.fd(), FIFO, flags, Mode::empty()) {
        // Nobody holds it open: init is past it, or gone.
        Err(Errno::NXIO) => return Err(Error::state(attempted, "its init does not wait for a start any more")),
        done => done.map_err(failed)?,
    };
    file::write_all(fifo.as_fd(), &[1]).map_err(failed)?;
    unlinkat(home.fd(), FIFO, AtFlags::empty()).map_err(failed)?;
    if let Some((spec, signals)) = hooked {
        poststart(home, &spec, &record, signals.as_fd())?;
    }
    Ok(notify.zip(record.init()))
}

/// The document as it was when the container was created.
///
/// # Errors
/// `Kernel` naming the file.
pub fn document(home: &Home) -> Result<Vec<u8>> {
    if weak::is(Weakness::ReadAgain)
        && let Some(record) = home.record()?
    {
        let path = alloc::format!("{}/config.json", record.bundle);
        return file::read(rustix::fs::CWD, &path, insula_spec::MAX_DOCUMENT, "read the container's document");
    }
    file::read(home.fd(), CONFIG, insula_spec::MAX_DOCUMENT, "read the container's document")
        .map_err(|e| e.object(format!("{}/{CONFIG}", home.path)))
}

/// The document's meaning; an error names the file, not the one of the bundle.
///
/// # Errors
/// `InvalidConfig` if it is torn.
pub fn understood<'a>(home: &Home, config: &'a [u8]) -> Result<insula_spec::Spec<'a>> {
    insula_spec::load(config).map_err(|e| e.object(format!("{}/{CONFIG}", home.path)))
}

/// startContainer hooks; one that fails ends the container, as the specification demands.
fn before(home: &Home, record: &Record, spec: &insula_spec::Spec<'_>, signals: BorrowedFd<'_>) -> Result<()> {
    if spec.hooks.start_container.is_empty() {
        return Ok(());
    }
    let init = record.init().ok_or_else(|| Error::state("start the container", "its init has ended"))?;
    let kinds = record
        .namespaces
        .iter()
        .filter(|held| held.how != "inherited")
        .filter_map(|held| Kind::from_spec_name(&held.kind).ok())
        .map(|kind| kind.namespace().clone_flag)
        .fold(0, |a, b| a | b);
    let subject = crate::hooks::Subject::of(record, home, Some(signals));
    let env = crate::create::process_env(spec);
    let confinement = crate::confine::Confinement::of(spec)?;
    let root_of = crate::create::chrooted(record).then_some(record.init.pid);
    let place =
        Place { pidfd: init.pidfd.as_fd(), kinds, root_of, cwd: "", env: &env, confinement: Some(&confinement) };
    subject.run(&spec.hooks.start_container, "startContainer", Status::Created, Some(place)).inspect_err(|_| {
        let _ = init.signal(9);
    })
}
