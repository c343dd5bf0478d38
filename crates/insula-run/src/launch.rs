// SPDX-License-Identifier: Apache-2.0
//! From a plan with its descriptors to a process that waits for the word to go on.
//!
//! One clone3(2), one socket. Init tells when it needs something, when it is done, and when it failed. Should this
//! process die at any point, the socket ends and init ends with it.

use crate::explain::{self, Fault};
use crate::foreground::ending_signal;
use crate::handle::Handle;
use crate::image::Image;
use crate::maps;
use crate::prepare::Filled;
use crate::spawn::now;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::OnceCell;
use core::convert::Infallible;
use core::mem::MaybeUninit;
use insula_error::{Error, Kind, Result};
use insula_plan::{Plan, Planned};
use insula_steps::message::{Call, GO, HEAD, MAX, Part, Tag};
use insula_steps::{Fd, Step, encode};
use insula_sys::credentials;
use insula_sys::process::{Cloned, clone3, set_signal_mask, spawn};
use insula_sys::weak::{self, Weakness};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, FdFlags, IoSliceMut, fcntl_setfd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType, recvmsg,
    send, socketpair,
};
use rustix::process::{PidfdGetfdFlags, WaitId, WaitIdOptions, pidfd_getfd, waitid};

/// Where warnings go while a container is made.
pub trait Log {
    /// Something that the user should know, and that stops nothing.
    fn warn(&self, text: &str);
    /// Something for whoever looks closely.
    fn debug(&self, text: &str);
}

/// What the host side does when init asks.
pub(crate) trait Host {
    /// Does `part` for the process `child`, whose /proc directory is `directory`; a signal that can be read from
    /// `signals` ends it early.
    fn part(&mut self, part: Part, child: &Handle, directory: BorrowedFd<'_>, signals: BorrowedFd<'_>) -> Result<()>;
    /// Takes the terminal's master.
    fn terminal(&mut self, master: OwnedFd) -> Result<()>;
    /// Takes the seccomp listener.
    fn listener(&mut self, listener: OwnedFd, child: &Handle) -> Result<()>;
    /// Nothing was heard of the child for [`SILENCE`].
    fn waits(&mut self, _child: &Handle) -> Result<()> {
        Ok(())
    }
}

/// How long the seccomp agent may take to answer for calls of init's own.
const ANSWER_MS: i64 = 10_000;

/// The filter sends a call to the agent that init has to make still.
fn silent_agent() -> Error {
    Error::new(Kind::State, "finish under the seccomp filter")
        .field("/linux/seccomp/syscalls")
        .reason("init waits for the agent to answer for a system call of its own, and it does not")
        .advice("have the agent answer, or leave read, close, sendmsg, prctl and capset out of SCMP_ACT_NOTIFY")
}

const SIGCHLD: u32 = 17;

/// How long the child may be silent before it is looked after.
const SILENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

/// A process being made.
#[derive(Debug)]
pub(crate) struct Launch<'p> {
    plan: &'p Plan,
    socket: OwnedFd,
    /// The process that will be the container's first; the intermediate one before it is forked.
    pub(crate) child: Handle,
    /// The child's /proc directory, once it is needed.
    directory: OnceCell<OwnedFd>,
    /// Signals that end this command.
    pub(crate) signals: OwnedFd,
    /// The process could not be reaped by us any more.
    reaped: bool,
    /// It was killed from outside, by the kernel for want of memory or by somebody.
    pub(crate) killed: bool,
    /// An intermediate process has ended already.
    has_forked: bool,
    /// The signals that this command was started with ignored, and init with it.
    ignored: OnceCell<u64>,
}

/// The number of the process behind `pidfd` in this command's pid namespace (proc(5), fdinfo).
fn own_number(pidfd: &OwnedFd) -> Result<i32> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    let text = crate::file::read_text(rustix::fs::CWD, &path, 4096, "find the number of init")?;
    let number = text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok());
    number.filter(|pid| *pid > 0).ok_or_else(|| failed(Errno::SRCH, "fdinfo"))
}

/// Raises this command's own hard limits to those that the plan sets inside a user namespace: the process inherits them,
/// and has no right over the machine's limits in there (CAP_SYS_RESOURCE counts in the initial user namespace alone).
/// Where this command may not either, init says so.
fn make_room(plan: &Plan) {
    let user = insula_ns::Kind::USER.namespace().clone_flag;
    let enters = |planned: &Planned| match planned.step {
        Step::Join { kinds, .. } | Step::Unshare { kinds } | Step::Fork { flags: kinds, .. } => kinds & user != 0,
        _ => false,
    };
    if plan.clone_flags & user == 0 && !plan.steps.iter().any(enters) {
        return;
    }
    for planned in &plan.steps {
        if let Step::Limit { resource, hard, .. } = planned.step
            && let Ok((soft, own)) = credentials::limit(resource)
            && hard > own
        {
            let _ = credentials::set_limit(resource, soft, hard);
        }
    }
}

fn failed(errno: Errno, object: &'static str) -> Error {
    Error::kernel(errno.raw_os_error(), "start init").object(object)
}

impl<'p> Launch<'p> {
    /// Starts the first process. The signals that end a command, and SIGCHLD, must be blocked and readable from
    /// `signals`.
    pub(crate) fn start(
        plan: &'p Plan,
        filled: Filled,
        cgroup: Option<BorrowedFd<'_>>,
        signals: OwnedFd,
    ) -> Result<Self> {
        // What only init needs has its numbers in a row, to be closed by one call.
        let image = Image::begin()?;
        let (theirs, ours) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(|e| failed(e, "socketpair"))?;
        fcntl_setfd(&theirs, FdFlags::empty()).map_err(|e| failed(e, "fcntl"))?;
        let socket_number = Fd(theirs.as_raw_fd() as u32);
        // The socket is no slot: its number passes through unchanged.
        let number = |slot: Fd| if slot == SOCKET { socket_number } else { filled.number(slot) };
        let steps = encode(plan.steps.iter().map(|planned| &planned.step), SOCKET, &number);
        let image = Image::finish(image, &steps)?;
        let cgroup = cgroup.filter(|_| plan.born_in_cgroup);
        make_room(plan);
        let (pid, pidfd) = if plan.mapped_first || plan.held {
            // It waits for this process before it becomes init, so it needs memory of its own.
            match clone3(plan.clone_flags, cgroup).map_err(|e| clone_failed(plan, e))? {
                Cloned::Child => become_init(&image, Some((ours.as_fd(), theirs.as_fd())), plan.mapped_first),
                Cloned::Parent { pid, pidfd } => (pid, pidfd),
            }
        } else {
            spawn(plan.clone_flags, cgroup, &|| -> Infallible { become_init(&image, None, false) })
                .map_err(|e| clone_failed(plan, e))?
        };
        let child = Handle { pid, pidfd };
        insula_sys::memory::close_all(filled.into_fds().chain([theirs, image.into_fd()]));
        Ok(Self {
            plan,
            socket: ours,
            child,
            directory: OnceCell::new(),
            signals,
            reaped: false,
            killed: false,
            has_forked: false,
            ignored: OnceCell::new(),
        })
    }

    /// The child's /proc directory. It is our unreaped child, so that its number cannot be another's.
    pub(crate) fn directory(&self) -> Result<BorrowedFd<'_>> {
        if self.directory.get().is_none() {
            let _ = self.directory.set(maps::directory(self.child.pid)?);
        }
        self.directory.get().map(AsFd::as_fd).ok_or_else(|| failed(Errno::SRCH, "its directory"))
    }

    /// Serves init until it reports that everything is done.
    ///
    /// # Errors
    /// Whatever failed, on either side; init is gone then.
    pub(crate) fn until_ready(&mut self, host: &mut dyn Host, log: &dyn Log) -> Result<()> {
        // COMPAT(runc): people, and tests, look for these words.
        log.debug("nsexec container setup: the first process is made, in its namespaces");
        // While init works.
        let ignored = *self.ignored.get_or_init(ignored_signals);
        if ignored & 1 << (SIGCHLD - 1) != 0 {
            // Its end would be lost.
            insula_sys::process::default_signal(SIGCHLD).map_err(|e| failed(e, "SIGCHLD"))?;
        }
        let done = self.serve(host, log, true);
        if done.is_ok() {
            log.debug("child process in init(): everything is set up");
        }
        if done.is_err() {
            self.end();
        }
        done
    }

    /// After the word to go on was given: waits until init became the user's program.
    ///
    /// # Errors
    /// Whatever failed in the last steps; init is gone then.
    pub(crate) fn until_executed(&mut self, host: &mut dyn Host, log: &dyn Log) -> Result<()> {
        let done = self.serve(host, log, false);
        if done.is_ok() {
            log.debug("init: closing the pipe to signal completion: the program runs");
        }
        if done.is_err() {
            self.end();
        }
        done
    }

    /// Lets init go on.
    pub(crate) fn go(&self) -> Result<()> {
        let ignored = *self.ignored.get_or_init(ignored_signals);
        let mut word = [GO; insula_steps::message::WORD];
        word[1..].copy_from_slice(&ignored.to_le_bytes());
        match send(&self.socket, &word, SendFlags::NOSIGNAL) {
            Ok(_) => Ok(()),
            // It died; the next receive says how.
            Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(e) => Err(failed(e, "send")),
        }
    }

    /// Kills the child and waits for it.
    pub(crate) fn end(&mut self) {
        let _ = self.child.signal(9);
        if !self.reaped {
            let _ = waitid(WaitId::PidFd(self.child.pidfd.as_fd()), WaitIdOptions::EXITED);
            self.reaped = true;
        }
    }

    /// Gives the parts away: the child and the descriptor of signals.
    pub(crate) fn into_parts(self) -> (Handle, OwnedFd) {
        // Both are of no more use, and few: they are closed when this command ends.
        core::mem::forget((self.socket, self.directory));
        (self.child, self.signals)
    }

    fn serve(&mut self, host: &mut dyn Host, log: &dyn Log, until_ready: bool) -> Result<()> {
        let mut answer_by = None;
        loop {
            if until_ready {
                // Later ones are the program's.
                while !self.heard()? {
                    host.waits(&self.child)?;
                    if answer_by.is_some_and(|time| time < now()) && !weak::is(Weakness::NoDeadline) {
                        return Err(silent_agent());
                    }
                }
            }
            let Some((message, fd)) = self.receive()? else {
                return if until_ready { Err(self.died()) } else { Ok(()) };
            };
            match message.tag {
                Tag::Ready => return Ok(()),
                Tag::Failed => return Err(explain::error(self.plan, &message.fault())),
                Tag::Warning => log.warn(&format!("{}", explain::error(self.plan, &message.fault()))),
                Tag::Forked => self.forked(message.numbers[0] as i32, fd)?,
                Tag::Ask => {
                    let part = Part::from_number(message.numbers[0]).ok_or_else(|| failed(Errno::PROTO, "ask"))?;
                    host.part(part, &self.child, self.directory()?, self.signals.as_fd())?;
                    self.go()?;
                }
                Tag::Terminal => {
                    host.terminal(fd.ok_or_else(|| failed(Errno::PROTO, "terminal"))?)?;
                    self.go()?;
                }
                Tag::Tree => {
                    let tree = fd.ok_or_else(|| failed(Errno::PROTO, "tree"))?;
                    let [users, recursive, _] = message.numbers;
                    crate::mount_ids::of_init(&self.child, &tree, users as i32, recursive != 0)?;
                    self.go()?;
                }
                Tag::Listener => {
                    // Taken out of the process, which under its filter can say little more than a number.
                    let number = message.numbers[0] as i32;
                    let listener = pidfd_getfd(&self.child.pidfd, number, PidfdGetfdFlags::empty())
                        .map_err(|e| failed(e, "pidfd_getfd"))?;
                    host.listener(listener, &self.child)?;
                    self.go()?;
                    answer_by = Some(now() + ANSWER_MS);
                }
            }
        }
    }

    /// The intermediate process has made the one that goes on, as our child.
    fn forked(&mut self, pid: i32, pidfd: Option<OwnedFd>) -> Result<()> {
        let pidfd = pidfd.ok_or_else(|| failed(Errno::PROTO, "forked"))?;
        // One who has joined a pid namespace knows the number only as it is there.
        let pid = if core::mem::replace(&mut self.has_forked, true) { own_number(&pidfd)? } else { pid };
        let intermediate = core::mem::replace(&mut self.child, Handle { pid, pidfd });
        waitid(WaitId::PidFd(intermediate.pidfd.as_fd()), WaitIdOptions::EXITED).map_err(|e| failed(e, "waitid"))?;
        self.directory = OnceCell::new();
        // It has waited for this, so that none of its messages could overtake the one about it.
        self.go()
    }

    /// Waits for a message or a signal; a signal that ends this command ends the making. Whether there is a message.
    ///
    /// An intermediate process that dies without a word may have forked the next one, which holds the connection open and
    /// waits for us: its end ends the making, too.
    fn heard(&mut self) -> Result<bool> {
        loop {
            let mut polled = [
                PollFd::new(&self.socket, PollFlags::IN),
                PollFd::new(&self.signals, PollFlags::IN),
                PollFd::new(&self.child.pidfd, PollFlags::IN),
            ];
            match poll(&mut polled, Some(&SILENCE)) {
                Err(Errno::INTR) => continue,
                Ok(0) => return Ok(false),
                done => done.map_err(|e| failed(e, "poll"))?,
            };
            let [message, signalled, ended] = polled.map(|one| !one.revents().is_empty());
            if signalled && let Some(signal) = ending_signal(self.signals.as_fd()) {
                return Err(Error::new(Kind::State, "finish").reason(format!("interrupted by signal {signal}")));
            }
            // Its last message may have come after the socket was looked at.
            if message || (ended && self.has_message()) {
                return Ok(true);
            }
            if ended {
                return Err(self.died());
            }
        }
    }

    fn has_message(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&now)) != Ok(0)
    }

    fn receive(&self) -> Result<Option<(Message, Option<OwnedFd>)>> {
        let mut bytes = [0_u8; MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            match recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Ok(None),
                done => break done.map_err(|e| failed(e, "recvmsg"))?,
            }
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let message = Message::read(&bytes[..received.bytes]).ok_or_else(|| failed(Errno::PROTO, "message"))?;
        Ok(Some((message, fd)))
    }

    /// Init ended without a word.
    fn died(&mut self) -> Error {
        let status = waitid(WaitId::PidFd(self.child.pidfd.as_fd()), WaitIdOptions::EXITED).ok().flatten();
        self.reaped = true;
        self.killed = status.as_ref().is_some_and(|status| status.terminating_signal() == Some(9));
        let how = status.map_or_else(String::new, |status| match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => format!(" with status {code}"),
            (_, Some(9)) => {
                String::from(" by SIGKILL: the cgroup's memory limit may be too low, or somebody killed it")
            }
            (_, Some(signal)) => format!(" by signal {signal}"),
            _ => String::new(),
        });
        Error::new(Kind::State, "create the container").reason(format!("its first process ended early{how}"))
    }
}

/// The signals that are ignored here: bit n-1 for signal n (SigIgn of proc_pid_status(5)). They would stay ignored in the
/// user's program; one look is less than giving 64 of them their default. All, where it cannot be told.
fn ignored_signals() -> u64 {
    /// Enough for what comes before it, however many groups.
    const ROOM: usize = 4096;
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    let mut text = [0_u8; ROOM];
    let read = rustix::fs::open(c"/proc/thread-self/status", flags, rustix::fs::Mode::empty()).and_then(|file| {
        let length = rustix::io::read(&file, &mut text[..]);
        insula_sys::memory::leave(file);
        length
    });
    let text = &text[..read.unwrap_or(0)];
    let digits = text.windows(8).position(|words| words == b"SigIgn:\t").and_then(|at| text.get(at + 8..at + 24));
    let digits = digits.and_then(|digits| core::str::from_utf8(digits).ok());
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(u64::MAX)
}

/// Stands for the socket in the encoder.
const SOCKET: Fd = Fd(u32::MAX - 1);

/// In the child: no signal blocked, then init's program. Signals that are ignored stay so until the word to go on.
fn become_init(image: &Image, wait: Option<(BorrowedFd<'_>, BorrowedFd<'_>)>, mapped: bool) -> ! {
    if let Some((ours, socket)) = wait {
        // Should the host side die instead of doing its part, the connection ends, and this process with it: it must not
        // hold the other end itself.
        insula_sys::memory::close(ours);
        let mut word = [0];
        let go = matches!(rustix::net::recv(socket, &mut word, RecvFlags::empty()), Ok((1, _)) if word[0] == GO);
        let root = || insula_sys::credentials::set_gid(0).and_then(|()| insula_sys::credentials::set_uid(0)).is_ok();
        if !go || mapped && !root() {
            insula_sys::process::exit(255);
        }
    }
    let _ = set_signal_mask(0);
    let _ = image.execute();
    insula_sys::process::exit(255)
}

fn clone_failed(plan: &Plan, errno: Errno) -> Error {
    let error = Error::kernel(errno.raw_os_error(), "make the container's first process and its namespaces")
        .object(format!("clone3 {:#x}", plan.clone_flags))
        .field("/linux/namespaces");
    match errno {
        Errno::NOSPC => error.advice("a limit in /proc/sys/user, or the nesting limit of 32 levels, is reached"),
        Errno::PERM => error.advice("the caller needs CAP_SYS_ADMIN, or a user namespace in the document"),
        Errno::BUSY | Errno::AGAIN => {
            error.advice("the cgroup takes no processes, or its limit of processes is reached")
        }
        _ => error,
    }
}

struct Message {
    tag: Tag,
    numbers: [u32; 3],
    text: Vec<u8>,
}

impl Message {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (head, text) = bytes.split_at_checked(HEAD)?;
        let mut words = head.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap_or_default()));
        let tag = Tag::from_number(words.next()?)?;
        Some(Self { tag, numbers: [words.next()?, words.next()?, words.next()?], text: Vec::from(text) })
    }

    fn fault(&self) -> Fault {
        Fault {
            step: self.numbers[0],
            call: Call::from_number(self.numbers[1]),
            errno: self.numbers[2] as i32,
            object: String::from(String::from_utf8_lossy(&self.text)),
        }
    }
}
