// SPDX-License-Identifier: Apache-2.0
//! A command that stays: it waits for the process, passes signals on, serves its terminal, and ends as it ended.

use crate::handle::Handle;
use crate::handover;
use crate::notify::Notify;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_sys::process::{set_signal_mask, signalfd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use rustix::termios::{OptionalActions, OutputModes, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

/// The signals that end a command while it makes a container or runs a hook: HUP, INT, QUIT, TERM.
const ENDING: u64 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14;
const SIGCHLD: u32 = 17;
const SIGWINCH: u32 = 28;
/// SIGKILL and SIGSTOP cannot be blocked; faults of our own must stay fatal: ILL, TRAP, ABRT, BUS, FPE, SEGV.
const NOT_BLOCKED: u64 = 1 << 8 | 1 << 18 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10;

/// Blocks every signal that can be passed on, and makes them readable.
pub fn take_signals() -> Result<OwnedFd> {
    let set = !NOT_BLOCKED;
    let failed = |e: Errno| Error::kernel(e.raw_os_error(), "take over signals");
    set_signal_mask(set).map_err(failed)?;
    signalfd(set).map_err(failed)
}

/// The next signal, 0 if there is none.
pub(crate) fn read_signal(signals: impl AsFd) -> u32 {
    // struct signalfd_siginfo is 128 bytes and begins with the signal's number.
    let mut info = [0_u8; 128];
    match rustix::io::read(signals, &mut info) {
        Ok(128) => u32::from_le_bytes([info[0], info[1], info[2], info[3]]),
        _ => 0,
    }
}

/// The next signal if it is one of those that end a command, without waiting for it. Any other is dropped.
pub(crate) fn ending_signal(signals: BorrowedFd<'_>) -> Option<u32> {
    Some(read_signal(signals)).filter(|signal| (1..=64).contains(signal) && ENDING & 1 << (signal - 1) != 0)
}

/// Hands the terminal over to whoever listens at the console socket; without one it comes back, to be served here.
pub(crate) fn hand_over(master: OwnedFd, console_socket: Option<&str>) -> Result<Option<OwnedFd>> {
    if let Some(path) = console_socket {
        return handover::terminal(path, master.as_fd()).map(|()| None);
    }
    plain_lines(&master);
    Ok(Some(master))
}

/// Keeps a terminal that this command serves from adding carriage returns, before anything is written to it.
pub(crate) fn plain_lines(master: &OwnedFd) {
    if let Ok(mut settings) = tcgetattr(master) {
        settings.output_modes &= !OutputModes::ONLCR;
        let _ = tcsetattr(master, OptionalActions::Now, &settings);
    }
}

/// The process's terminal, served by this command: bytes go both ways between it and our own standard streams.
#[derive(Debug)]
pub struct Console {
    master: OwnedFd,
    /// Our own terminal's settings, to be put back.
    saved: Option<Termios>,
    to_container: Vec<u8>,
    input_open: bool,
}

fn stdin() -> BorrowedFd<'static> {
    insula_sys::memory::borrow(0)
}

fn stdout() -> BorrowedFd<'static> {
    insula_sys::memory::borrow(1)
}

impl Console {
    /// Serves `master`; our own terminal, if there is one, is made raw.
    pub fn new(master: OwnedFd) -> Self {
        let saved = tcgetattr(stdin()).ok();
        if let Some(saved) = &saved {
            let mut raw = saved.clone();
            raw.make_raw();
            // Line ends are made here, once, rather than by the container's terminal: output into a pipe has none of them
            // (COMPAT(runc)).
            raw.output_modes |= OutputModes::OPOST;
            let _ = tcsetattr(stdin(), OptionalActions::Now, &raw);
        }
        let _ = rustix::io::ioctl_fionbio(&master, true);
        let console = Self { master, saved, to_container: Vec::new(), input_open: true };
        console.resize();
        console
    }

    /// Gives the container's terminal the size of ours.
    fn resize(&self) {
        if let Ok(size) = tcgetwinsize(stdin()) {
            let _ = tcsetwinsize(&self.master, size);
        }
    }

    /// Moves what is there from the container to standard output; says whether more may come.
    fn drain(&self) -> bool {
        let mut buffer = [0; 16384];
        loop {
            match rustix::io::read(&self.master, &mut buffer) {
                // EIO: the last process closed the terminal.
                Ok(0) | Err(Errno::IO) => return false,
                Ok(length) => {
                    if crate::file::write_all(stdout(), &buffer[..length]).is_err() {
                        return false;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
    }

    fn take_input(&mut self) {
        let mut buffer = [0; 4096];
        match rustix::io::read(stdin(), &mut buffer) {
            Ok(0) => self.input_open = false,
            Ok(length) => self.to_container.extend_from_slice(&buffer[..length]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.input_open = false,
        }
    }

    fn give_input(&mut self) {
        while !self.to_container.is_empty() {
            match rustix::io::write(&self.master, &self.to_container) {
                Ok(written) => drop(self.to_container.drain(..written)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.to_container.clear();
                    self.input_open = false;
                }
            }
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Some(saved) = &self.saved {
            let _ = tcsetattr(stdin(), OptionalActions::Now, saved);
        }
    }
}

/// Waits for the process's end; its exit status, 128 and the signal's number if a signal ended it.
///
/// Signals are passed on as they come. The end is seen on the pidfd, so none can be missed, whoever else is reaped.
///
/// Once `notify` says that the program is ready, the service manager is told to look after this command.
pub fn wait(child: &Handle, signals: &OwnedFd, console: Option<Console>, notify: Option<Notify>) -> Result<i32> {
    let failed = |e: Errno| Error::kernel(e.raw_os_error(), "wait for the container's process");
    let (mut console, mut notify) = (console, notify);
    let mut output_open = console.is_some();
    loop {
        let mut polled = Vec::with_capacity(4);
        polled.push(PollFd::new(&child.pidfd, PollFlags::IN));
        polled.push(PollFd::new(signals, PollFlags::IN));
        let stdin = stdin();
        if let Some(notify) = &notify {
            polled.push(PollFd::new(notify.socket(), PollFlags::IN));
        }
        let before_console = polled.len();
        if let Some(console) = &console {
            let want = if console.to_container.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            if output_open {
                polled.push(PollFd::new(&console.master, PollFlags::IN | want));
            }
            if console.input_open && console.to_container.is_empty() {
                polled.push(PollFd::new(&stdin, PollFlags::IN));
            }
        }
        match poll(&mut polled, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(e) => return Err(failed(e)),
        }
        let (ended, signalled) = (!polled[0].revents().is_empty(), !polled[1].revents().is_empty());
        let news = notify.is_some() && !polled[2].revents().is_empty();
        let typed = polled.len() > before_console && polled.last().is_some_and(|last| !last.revents().is_empty());
        if signalled {
            pass_on(child, signals, console.as_ref());
        }
        if news && let Some(told) = notify.as_ref().and_then(|notify| notify.pass_on(own_pid())) {
            // This command stays, so nothing need wait for the barrier; nobody being there to be told ends no container.
            drop(told);
            notify = None;
        }
        if let Some(console) = &mut console {
            output_open = output_open && console.drain();
            if typed && console.input_open && console.to_container.is_empty() && is_readable(stdin) {
                console.take_input();
            }
            console.give_input();
        }
        if ended {
            if let Some(console) = &console {
                console.drain();
            }
            return reap(child).map_err(failed);
        }
    }
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&now)), Ok(1))
}

fn pass_on(child: &Handle, signals: &OwnedFd, console: Option<&Console>) {
    loop {
        match read_signal(signals) {
            0 => return,
            SIGCHLD => {}
            SIGWINCH if console.is_some() => {
                if let Some(console) = console {
                    console.resize();
                }
            }
            signal => drop(child.signal(signal as i32)),
        }
    }
}

fn reap(child: &Handle) -> core::result::Result<i32, Errno> {
    loop {
        match waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED) {
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
            Ok(status) => {
                return Ok(status.map_or(255, |status| {
                    status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(255)
                }));
            }
        }
    }
}
