// SPDX-License-Identifier: Apache-2.0
//! CRIU as a child process: found, started, talked to, waited for.

use super::journal::Journal;
use crate::file;
use crate::foreground::ending_signal;
use crate::handle::Handle;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_criu::{Answer, Connection, Features, Notification, Received, Request, Response};
use insula_error::{Error, Kind, Result};
use insula_sys::process::{Cloned, StringList, clone3, execve, set_signal_mask};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Access, AtFlags, CWD, MemfdFlags, Mode, OFlags, SeekFrom, accessat, memfd_create, openat, seek};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// The oldest CRIU that does all of what is asked of it (2021).
const OLDEST: [u32; 2] = [3, 16];

/// Where programs are found when the environment does not say (confstr(3), _CS_PATH, with sbin).
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The number under which CRIU finds its end of the connection; what it inherits besides comes after it.
const SOCKET: i32 = 3;

/// What CRIU is started with.
#[derive(Debug, Default)]
pub(super) struct Start<'a> {
    pub(super) env: &'a [String],
    /// Descriptors that it finds from 4 on.
    pub(super) inherited: Vec<BorrowedFd<'a>>,
    /// The version 2 cgroup that it is born in.
    pub(super) cgroup: Option<BorrowedFd<'a>>,
    /// `tasks` files that it writes itself into.
    pub(super) tasks: Vec<OwnedFd>,
    /// It gets a cgroup namespace of its own, whose root is the cgroup that it is in.
    pub(super) cgroup_namespace: bool,
    /// It gets this command's standard input and output, rather than /dev/null.
    pub(super) streams: bool,
}

/// The number of the first inherited descriptor.
pub(super) const FIRST_INHERITED: i32 = SOCKET + 1;

/// What this command does when CRIU has come to a point.
pub(super) type Host<'a> = dyn FnMut(&Notification, Option<OwnedFd>) -> Result<()> + 'a;

/// A CRIU that waits for a request.
#[derive(Debug)]
pub(super) struct Criu {
    process: Handle,
    connection: Option<Connection>,
    /// What it writes to standard error, before it has a log.
    early: OwnedFd,
    attempted: String,
    ended: bool,
}

/// The program, along $PATH of `env`.
fn find(env: &[String]) -> Option<String> {
    let path = env.iter().find_map(|entry| entry.strip_prefix("PATH=")).filter(|path| !path.is_empty());
    let candidates = path.unwrap_or(PATH).split(':').filter(|dir| dir.starts_with('/'));
    candidates
        .map(|dir| format!("{dir}/criu"))
        .find(|path| accessat(CWD, path.as_str(), Access::EXEC_OK, AtFlags::empty()).is_ok())
}

impl Criu {
    /// Starts CRIU and sees that it is recent enough. `attempted` is what it is needed for.
    pub(super) fn start(start: &Start<'_>, attempted: String) -> Result<Self> {
        let program = find(start.env).ok_or_else(|| {
            Error::new(Kind::Unsupported, attempted.clone())
                .reason("CRIU is not installed: there is no criu in $PATH")
                .advice(
                    "install the package criu, version 3.16 or newer (Debian 13, Fedora, openSUSE and Arch have it)",
                )
        })?;
        let failed = |e: Errno| Error::kernel(e.raw_os_error(), "start CRIU").object(program.clone());
        let (connection, theirs) = Connection::pair().map_err(failed)?;
        let early = memfd_create(c"criu", MemfdFlags::CLOEXEC).map_err(failed)?;
        let null = openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
        // High numbers, so that none is in the place of another.
        let high = |fd: BorrowedFd<'_>| fcntl_dupfd_cloexec(fd, 64).map_err(failed);
        let streams = if start.streams { None } else { Some(high(null.as_fd())?) };
        let mut places: Vec<(OwnedFd, i32)> = Vec::with_capacity(start.inherited.len() + 2);
        places.push((high(early.as_fd())?, 2));
        for (fd, number) in core::iter::once(&theirs.as_fd()).chain(&start.inherited).zip(SOCKET..) {
            places.push((high(*fd)?, number));
        }
        let (pid, pidfd) = match clone3(0, start.cgroup).map_err(failed)? {
            Cloned::Child => {
                let errno = become_criu(start, &program, &places, streams.as_ref());
                let text = format!("Error (insula): {}\n", insula_error::errno_text(errno.raw_os_error()));
                let _ = rustix::io::write(&early, text.as_bytes());
                insula_sys::process::exit(127)
            }
            Cloned::Parent { pid, pidfd } => (pid, pidfd),
        };
        drop((theirs, places));
        let mut criu =
            Self { process: Handle { pid, pidfd }, connection: Some(connection), early, attempted, ended: false };
        criu.check_version()?;
        Ok(criu)
    }

    /// Its number, and that of its cgroups in /proc.
    pub(super) fn pid(&self) -> i32 {
        self.process.pid
    }

    fn check_version(&mut self) -> Result<()> {
        let Answer::Version([major, minor, _]) = self.ask(&Request::Version, None)?.answer else {
            return Err(self.nonsense());
        };
        if [major, minor] < OLDEST {
            return Err(Error::new(Kind::Unsupported, self.attempted.clone())
                .reason(format!("CRIU {major}.{minor} is too old"))
                .advice(format!("install CRIU {}.{} or newer", OLDEST[0], OLDEST[1])));
        }
        Ok(())
    }

    /// Sees that CRIU and the kernel can do `wanted`.
    pub(super) fn check_features(&mut self, wanted: Features) -> Result<()> {
        let Answer::Features(has) = self.ask(&Request::Features(wanted), None)?.answer else {
            return Err(self.nonsense());
        };
        let missing = |reason: &'static str| Err(Error::new(Kind::Unsupported, self.attempted.clone()).reason(reason));
        if wanted.mem_track && !has.mem_track {
            return missing("the kernel does not track changed memory (CONFIG_MEM_SOFT_DIRTY), which a pre-dump needs");
        }
        if wanted.lazy_pages && !has.lazy_pages {
            return missing("the kernel cannot bring memory over on demand (userfaultfd(2) with events)");
        }
        Ok(())
    }

    /// Asks for a dump or restore, and does what CRIU wants done on the way.
    ///
    /// # Errors
    /// What `host` failed with, or what CRIU says.
    pub(super) fn perform(
        &mut self,
        request: &Request<'_>,
        journal: &Journal<'_>,
        signals: Option<&OwnedFd>,
        host: &mut Host<'_>,
    ) -> Result<()> {
        journal.forget();
        self.send(request)?;
        let mut failure: Option<Error> = None;
        loop {
            let (response, fd) = match self.receive(signals) {
                Ok(Some(received)) => received,
                Ok(None) => return Err(failure.unwrap_or_else(|| self.died(journal))),
                Err(e) => return Err(failure.unwrap_or(e)),
            };
            let Answer::Notify(notification) = &response.answer else {
                return match failure {
                    Some(failure) => Err(failure),
                    None if response.success => Ok(()),
                    None => Err(self.refused(&response, journal)),
                };
            };
            let done = if failure.is_none() { host(notification, fd) } else { Ok(()) };
            let success = done.is_ok() && failure.is_none();
            if let Err(e) = done {
                failure = Some(e);
            }
            self.send(&Request::Notified(success))?;
        }
    }

    fn ask(&mut self, request: &Request<'_>, signals: Option<&OwnedFd>) -> Result<Response> {
        self.send(request)?;
        match self.receive(signals)? {
            Some((response, _)) if response.success => Ok(response),
            Some(_) => Err(self.nonsense()),
            None => {
                let reason = self.early_words();
                Err(Error::new(Kind::Unsupported, self.attempted.clone())
                    .reason(format!("CRIU ended at once: {reason}")))
            }
        }
    }

    fn connection(&self) -> Result<&Connection> {
        self.connection.as_ref().ok_or_else(|| self.nonsense())
    }

    fn send(&self, request: &Request<'_>) -> Result<()> {
        match self.connection()?.send(request) {
            // It died; the next receive says how.
            Ok(()) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(Errno::MSGSIZE) => Err(Error::new(Kind::Unsupported, self.attempted.clone())
                .reason("the container has more mounts than fit into one message to CRIU")),
            Err(e) => Err(Error::kernel(e.raw_os_error(), "talk to CRIU")),
        }
    }

    fn receive(&self, signals: Option<&OwnedFd>) -> Result<Option<(Response, Option<OwnedFd>)>> {
        let failed = |e: Errno| Error::kernel(e.raw_os_error(), "talk to CRIU");
        let connection = self.connection()?;
        if let Some(signals) = signals {
            await_message(connection, signals).map_err(failed)??;
        }
        match connection.receive().map_err(failed)? {
            Received::Answer(response, fd) => Ok(Some((response, fd))),
            Received::Torn => Err(self.nonsense()),
            Received::End => Ok(None),
        }
    }

    fn nonsense(&self) -> Error {
        Error::state(self.attempted.clone(), "CRIU answered something that is no answer")
    }

    /// CRIU refused or failed, and lives.
    fn refused(&self, response: &Response, journal: &Journal<'_>) -> Error {
        let early = self.early_words();
        let words = if early.trim().is_empty() { response.message.as_deref().unwrap_or_default() } else { &early };
        let error = Error::state(self.attempted.clone(), format!("CRIU failed: {}", journal.explain(words)));
        match response.errno {
            0 => error.advice("`criu check` says whether this CRIU works on this kernel"),
            errno => error.advice(format!("CRIU says: {}", insula_error::errno_text(errno))),
        }
    }

    /// CRIU ended in the middle.
    fn died(&mut self, journal: &Journal<'_>) -> Error {
        let how = match self.wait() {
            Some((Some(status), _)) => format!("exit status {status}"),
            Some((_, Some(signal))) => format!("signal {signal}"),
            _ => String::from("it ended"),
        };
        let reason = format!("CRIU ended early ({how}): {}", journal.explain(&self.early_words()));
        Error::state(self.attempted.clone(), reason).advice("`criu check` says whether this CRIU works on this kernel")
    }

    fn early_words(&self) -> String {
        let _ = seek(&self.early, SeekFrom::Start(0));
        let text = file::read_all(self.early.as_fd(), 64 << 10).ok().flatten().unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    fn wait(&mut self) -> Option<(Option<i32>, Option<i32>)> {
        self.connection = None;
        if self.ended {
            return None;
        }
        self.ended = true;
        loop {
            match waitid(WaitId::PidFd(self.process.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Err(Errno::INTR) => {}
                done => return done.ok()?.map(|status| (status.exit_status(), status.terminating_signal())),
            }
        }
    }

    /// Ends it and whatever it was about to bring back; it has a moment to take back what is not the container's.
    pub(super) fn abandon(mut self) {
        self.connection = None;
        if !self.ended && !self.process.wait(2000) {
            let _ = self.process.signal(9);
        }
    }

    /// Lets it end, now that it is done.
    pub(super) fn finish(mut self) {
        let _ = self.wait();
    }
}

impl Drop for Criu {
    /// One that is in the middle is not waited for as long as it likes: without its other end it gives up by itself,
    /// which lets the processes of a dump go on.
    fn drop(&mut self) {
        self.connection = None;
        if !self.ended && !self.process.wait(10_000) {
            let _ = self.process.signal(9);
        }
        let _ = self.wait();
    }
}

/// Waits for a message or the end, unless a signal ends this command.
fn await_message(connection: &Connection, signals: &OwnedFd) -> core::result::Result<Result<()>, Errno> {
    loop {
        let mut polled = [PollFd::new(connection, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        match poll(&mut polled, None) {
            Err(Errno::INTR) => continue,
            done => done?,
        };
        let message = !polled[0].revents().is_empty();
        if !polled[1].revents().is_empty()
            && let Some(signal) = ending_signal(signals.as_fd())
        {
            return Ok(Err(Error::state("finish", format!("interrupted by signal {signal}"))));
        }
        if message {
            return Ok(Ok(()));
        }
    }
}

/// In the child: becomes CRIU, or says why not.
fn become_criu(start: &Start<'_>, program: &str, places: &[(OwnedFd, i32)], streams: Option<&OwnedFd>) -> Errno {
    let prepared = (|| {
        for signal in 1..=64 {
            // SIGKILL and SIGSTOP refuse.
            let _ = insula_sys::process::default_signal(signal);
        }
        set_signal_mask(0)?;
        for tasks in &start.tasks {
            rustix::io::write(tasks, b"0")?;
        }
        if start.cgroup_namespace {
            insula_sys::process::unshare(insula_sys::process::clone::NEWCGROUP)?;
        }
        if let Some(null) = streams {
            insula_sys::memory::place(null.as_fd(), 0)?;
            insula_sys::memory::place(null.as_fd(), 1)?;
        }
        for (fd, number) in places {
            insula_sys::memory::place(fd.as_fd(), *number)?;
        }
        insula_sys::process::cloexec_from((FIRST_INHERITED as usize + start.inherited.len()) as u32)
    })();
    if let Err(errno) = prepared {
        return errno;
    }
    let args: StringList<'_> = [c"criu", c"swrk", c"3"].into_iter().collect();
    let env: StringList<'static> = start.env.iter().map(|entry| insula_plan::c_str(entry)).collect();
    execve(insula_plan::c_str(program), &args, &env)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_criu_the_error_names_the_package() {
        let env = [String::from("PATH=/nowhere")];
        let start = Start { env: &env, ..Start::default() };
        let error = Criu::start(&start, String::from("checkpoint container c")).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        let text = std::format!("{error}");
        assert!(text.contains("install the package criu") && text.contains("checkpoint container c"), "{text}");
    }
}
