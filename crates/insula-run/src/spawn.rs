// SPDX-License-Identifier: Apache-2.0
//! Programs of the host that insula runs: hooks and the id-map helpers. Each gets only what it is given, its output is
//! bounded, and when its time is over its whole process group ends with it.

use crate::confine::Confinement;
use crate::foreground::ending_signal;
use crate::handle::{Handle, Identity};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_sys::process::{Cloned, StringList, clone3, execve, setns};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// Output that is kept for an error message.
const OUTPUT: usize = 4096;

/// A program to run.
#[derive(Debug)]
pub struct Program<'a> {
    /// Absolute path on the host.
    pub path: &'a str,
    /// Its arguments, its name first.
    pub args: &'a [String],
    /// Its whole environment.
    pub env: &'a [String],
    /// What it reads on standard input.
    pub input: &'a [u8],
    /// Seconds after which it is killed.
    pub timeout: Option<i64>,
    /// A state directory to note the program in while it runs, so that `delete` can end it should this command die.
    pub note: Option<BorrowedFd<'a>>,
    /// Where the signals of this command are read (signalfd(2)): one that ends it ends the program, too.
    pub signals: Option<BorrowedFd<'a>>,
}

/// Name of the note.
pub(crate) const NOTE: &str = "hook";

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit status, or none if a signal ended it.
    pub status: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether that was because its time was over.
    pub timed_out: bool,
    /// The signal that has ended this command, and the program with it.
    pub interrupted: Option<u32>,
    /// The beginning of what it wrote to standard output and error.
    pub output: String,
}

impl Ended {
    /// Whether it exited with 0.
    pub fn success(&self) -> bool {
        self.status == Some(0)
    }
}

/// Namespaces of another process in which to run a program: its pidfd and clone flags.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// A process that is in them.
    pub pidfd: BorrowedFd<'a>,
    /// Which kinds.
    pub kinds: u64,
    /// A process whose root directory becomes the program's, where no namespace brings it.
    pub root_of: Option<i32>,
    /// Working directory in them; the root if empty.
    pub cwd: &'a str,
    /// The environment of programs that come without one.
    pub env: &'a [String],
    /// What the program may do; without, as much as the caller.
    pub confinement: Option<&'a Confinement>,
}

fn failed(errno: Errno, path: &str) -> Error {
    Error::kernel(errno.raw_os_error(), "run a program of the host").object(path)
}

impl Program<'_> {
    /// Runs the program to its end, in the namespaces of `place` where given.
    ///
    /// # Errors
    /// `Kernel` if it cannot be started; how it ended is the result.
    pub fn run(&self, place: Option<Place<'_>>) -> Result<Ended> {
        self.run_bounded(place, OUTPUT)
    }

    /// As [`Self::run`], keeping up to `limit` bytes of output.
    pub fn run_for_output(&self, limit: usize) -> Result<Ended> {
        self.run_bounded(None, limit)
    }

    fn run_bounded(&self, place: Option<Place<'_>>, limit: usize) -> Result<Ended> {
        let (input_read, input_write) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| failed(e, self.path))?;
        let (output_read, output_write) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| failed(e, self.path))?;
        let (exec_read, exec_write) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| failed(e, self.path))?;
        let (go_read, go_write) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| failed(e, self.path))?;
        let (pid, pidfd) = match clone3(0, None).map_err(|e| failed(e, self.path))? {
            Cloned::Child => {
                // A process that stays between us and the program must not keep the program's input from ending.
                for ours in [&input_write, &output_read, &exec_read, &go_write] {
                    insula_sys::memory::close(ours.as_fd());
                }
                // Not before it is noted; should this command die first, the pipe ends.
                if rustix::io::read(&go_read, &mut [0; 1]) != Ok(1) {
                    insula_sys::process::exit(127);
                }
                self.become_program(place, &input_read, &output_write, &exec_write)
            }
            Cloned::Parent { pid, pidfd } => (pid, pidfd),
        };
        drop((input_read, output_write, exec_write, go_read));
        // In this process alone: the child has left it already.
        let _deaf = DeafToPipes::begin();
        let child = Handle { pid, pidfd };
        let noted = self.note_down(&child);
        if noted.is_ok() {
            let _ = rustix::io::write(&go_write, &[1]);
        }
        drop(go_write);
        let outcome = self.talk(&child, input_write, &output_read, limit);
        let mut errno = [0; 4];
        let not_started = matches!(rustix::io::read(&exec_read, &mut errno), Ok(4));
        let status =
            waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED).map_err(|e| failed(e, self.path))?;
        if let Some(dir) = self.note {
            let _ = rustix::fs::unlinkat(dir, NOTE, rustix::fs::AtFlags::empty());
        }
        noted?;
        let Talk { timed_out, interrupted, text } = outcome?;
        let output = String::from_utf8_lossy(&text).into_owned();
        if not_started {
            return Err(failed(Errno::from_raw_os_error(i32::from_le_bytes(errno)), self.path));
        }
        let status = status.ok_or_else(|| failed(Errno::CHILD, self.path))?;
        Ok(Ended { status: status.exit_status(), signal: status.terminating_signal(), timed_out, interrupted, output })
    }

    /// Writes down who the program is.
    fn note_down(&self, child: &Handle) -> Result<()> {
        let Some(dir) = self.note else { return Ok(()) };
        let identity = Identity::of(child.pid, child.pidfd.as_fd());
        let text = serde_json::to_string(&identity).unwrap_or_default();
        crate::file::replace(dir, NOTE, text.as_bytes(), 0o600).map_err(|e| failed(e, self.path))
    }

    /// In the child: becomes the program, or says through `told` why not.
    fn become_program(&self, place: Option<Place<'_>>, input: &OwnedFd, output: &OwnedFd, told: &OwnedFd) -> ! {
        let errno = self.enter_and_execute(place, input, output, told);
        let _ = rustix::io::write(told, &errno.raw_os_error().to_le_bytes());
        insula_sys::process::exit(127)
    }

    fn enter_and_execute(&self, place: Option<Place<'_>>, input: &OwnedFd, output: &OwnedFd, told: &OwnedFd) -> Errno {
        let prepared = (|| {
            // A group of its own: what it leaves behind ends with it.
            rustix::process::setsid()?;
            insula_sys::process::set_signal_mask(0)?;
            insula_sys::memory::place(input.as_fd(), 0)?;
            insula_sys::memory::place(output.as_fd(), 1)?;
            insula_sys::memory::place(output.as_fd(), 2)?;
            if let Some(place) = place {
                // This is still the runtime's own program: what is in there must not look into it.
                insula_sys::process::prctl(insula_sys::process::PrctlOp::SetDumpable, 0, 0)?;
                let root = place.root_of.map(root_of).transpose()?;
                setns(place.pidfd, place.kinds)?;
                if let Some(root) = root {
                    rustix::process::fchdir(&root)?;
                    rustix::process::chroot(c".")?;
                }
                if !place.cwd.is_empty() {
                    rustix::process::chdir(place.cwd)?;
                }
                // Whoever stays in between holds nothing of the runtime's: not the lock, not a pipe's end.
                insula_sys::process::close_all_but(told.as_fd())?;
                // A pid namespace is entered by a child.
                if place.kinds & insula_sys::process::clone::NEWPID != 0
                    && let Cloned::Parent { pidfd, .. } = clone3(0, None)?
                {
                    let ended = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
                    let status =
                        ended.and_then(|status| status.exit_status().or(status.terminating_signal().map(|s| 128 + s)));
                    insula_sys::process::exit(status.unwrap_or(255));
                }
            }
            insula_sys::process::cloexec_from(3)?;
            place.and_then(|place| place.confinement).map_or(Ok(()), Confinement::apply)
        })();
        if let Err(errno) = prepared {
            return errno;
        }
        let strings = |list: &[String]| list.iter().map(|s| insula_plan::c_str(s)).collect::<StringList<'static>>();
        let fallback = [String::from(self.path)];
        let args = if self.args.is_empty() { &fallback } else { self.args };
        let env = if self.env.is_empty() { place.map_or(self.env, |place| place.env) } else { self.env };
        execve(insula_plan::c_str(self.path), &strings(args), &strings(env))
    }

    /// Feeds input, collects output, and ends the program when its time is over.
    fn talk(&self, child: &Handle, input: OwnedFd, output: &OwnedFd, limit: usize) -> Result<Talk> {
        let deadline = self.timeout.map(|seconds| now() + seconds.saturating_mul(1000));
        let mut input = Some(input);
        if let Some(fd) = &input {
            let _ = rustix::io::ioctl_fionbio(fd, true);
        }
        let _ = rustix::io::ioctl_fionbio(output, true);
        let mut left = self.input;
        let mut talk = Talk::default();
        let mut open = true;
        loop {
            input = feed(input, &mut left);
            open = open && collect(output, &mut talk.text, limit);
            if child.has_ended() {
                collect(output, &mut talk.text, limit);
                return Ok(talk);
            }
            let timeout = deadline.map(|deadline| deadline - now());
            talk.timed_out = timeout.is_some_and(|left| left <= 0);
            if talk.timed_out || talk.interrupted.is_some() {
                end_group(child);
                return Ok(talk);
            }
            let mut polled = Vec::with_capacity(4);
            polled.push(PollFd::new(&child.pidfd, PollFlags::IN));
            if let Some(signals) = &self.signals {
                polled.push(PollFd::new(signals, PollFlags::IN));
            }
            if open {
                polled.push(PollFd::new(output, PollFlags::IN));
            }
            if let Some(fd) = &input {
                polled.push(PollFd::new(fd, PollFlags::OUT));
            }
            let wait = timeout.map(|ms| Timespec { tv_sec: ms / 1000, tv_nsec: (ms % 1000) * 1_000_000 });
            match poll(&mut polled, wait.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => {
                    // Whoever waits for it next must not do so for ever.
                    end_group(child);
                    return Err(failed(e, self.path));
                }
            }
            let signalled = self.signals.filter(|_| !polled[1].revents().is_empty());
            talk.interrupted = signalled.and_then(ending_signal);
        }
    }
}

/// The root directory of process `pid`, which its pidfd keeps from being another's.
fn root_of(pid: i32) -> core::result::Result<OwnedFd, Errno> {
    let path = format!("/proc/{pid}/root");
    rustix::fs::open(path.as_str(), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// As long as this lives, writing to a program that does not read is an error instead of the end of this command.
struct DeafToPipes;

const SIGPIPE: u32 = 13;

impl DeafToPipes {
    /// None if the caller ignores the signal anyway.
    fn begin() -> Option<Self> {
        let ignored = insula_sys::process::is_ignored(SIGPIPE);
        (!ignored && insula_sys::process::ignore_signal(SIGPIPE).is_ok()).then_some(Self)
    }
}

impl Drop for DeafToPipes {
    fn drop(&mut self) {
        let _ = insula_sys::process::default_signal(SIGPIPE);
    }
}

/// What became of talking to a program.
#[derive(Debug, Default)]
struct Talk {
    timed_out: bool,
    interrupted: Option<u32>,
    /// What it wrote.
    text: Vec<u8>,
}

/// Kills a program and the group that it leads, and waits for its end.
fn end_group(leader: &Handle) {
    if let Some(group) = Pid::from_raw(leader.pid) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = leader.signal(9);
    leader.wait(5000);
}

/// Writes what the program takes; a program that does not read its input is fine.
fn feed(input: Option<OwnedFd>, left: &mut &[u8]) -> Option<OwnedFd> {
    let fd = input?;
    while !left.is_empty() {
        match rustix::io::write(&fd, left) {
            Ok(written) => *left = &left[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Some(fd),
            Err(_) => return None,
        }
    }
    None
}

/// Takes what the program wrote; the rest of too much is thrown away. Says whether more may come.
fn collect(output: &OwnedFd, text: &mut Vec<u8>, limit: usize) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(output, &mut buffer) {
            Ok(0) => return false,
            Ok(length) => {
                let room = limit.saturating_sub(text.len()).min(length);
                text.extend_from_slice(&buffer[..room]);
            }
            Err(Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}

/// Milliseconds on the monotonic clock.
pub(crate) fn now() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// Ends the program that a command noted in the state directory `dir` and did not live to see the end of, with its
/// whole process group.
pub(crate) fn end_noted(dir: BorrowedFd<'_>) {
    let noted = crate::file::read(dir, NOTE, 4096, "read the note of a hook").ok();
    let identity: Option<Identity> = noted.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    // Only one that is still the very process: a group number is recycled, too.
    let Some(handle) = identity.and_then(|identity| identity.open()) else { return };
    end_group(&handle);
}

/// What a seccomp filter ends a process with.
const SIGSYS: i32 = 31;

/// A failure of the program, in words.
pub fn explain(ended: &Ended, timeout: Option<i64>) -> String {
    let how = match (ended.timed_out, ended.status, ended.signal) {
        _ if ended.interrupted.is_some() => format!("interrupted by signal {}", ended.interrupted.unwrap_or(0)),
        (true, ..) => format!("it did not end within {} s", timeout.unwrap_or(0)),
        // A program in another pid namespace is waited for by one in between, which says it as a shell does.
        (_, Some(status), _) if status == 128 + SIGSYS => {
            format!("exit status {status}: bad system call, which the seccomp filter forbids")
        }
        (_, Some(status), _) => format!("exit status {status}"),
        (_, _, Some(SIGSYS)) => format!("ended by signal {SIGSYS}: bad system call, which the seccomp filter forbids"),
        (_, _, Some(signal)) => format!("ended by signal {signal}"),
        _ => String::from("it ended"),
    };
    if ended.output.trim().is_empty() { how } else { format!("{how}, and it wrote: {}", ended.output.trim()) }
}
