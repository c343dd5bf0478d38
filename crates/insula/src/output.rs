// SPDX-License-Identifier: Apache-2.0
//! Standard streams.

use alloc::format;
use insula_error::{Error, Result};
use insula_sys::memory::borrow;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{BorrowedFd, IntoRawFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

/// Opens /dev/null in place of a missing standard stream. The lowest free number is given out first.
pub(crate) fn fill_standard_streams() {
    let streams = [borrow(0), borrow(1), borrow(2)];
    let mut polled = [0, 1, 2].map(|number| PollFd::from_borrowed_fd(streams[number], PollFlags::empty()));
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut polled, Some(&now)).is_ok() && polled.iter().all(|fd| !fd.revents().contains(PollFlags::NVAL)) {
        return;
    }
    for number in 0..3 {
        if rustix::io::fcntl_getfd(borrow(number)) == Err(Errno::BADF)
            && let Ok(null) = openat(CWD, c"/dev/null", OFlags::RDWR, Mode::empty())
        {
            // It stays open for the life of the process.
            let _ = null.into_raw_fd();
        }
    }
}

pub(crate) fn write(fd: BorrowedFd<'_>, text: &str) -> core::result::Result<(), Errno> {
    insula_run::file::write_all(fd, text.as_bytes())
}

/// Prints to standard output.
///
/// # Errors
/// `Kernel` if it is full or closed: a result that nobody got is no success.
pub(crate) fn print(text: &str) -> Result<()> {
    write(borrow(1), text).map_err(|e| Error::kernel(e.raw_os_error(), "write to standard output"))
}

/// Prints to standard error.
pub(crate) fn print_error(text: &str) {
    let _ = write(borrow(2), text);
}

/// A command line that makes no sense.
pub(crate) fn usage_error(error: &Error) {
    print_error(&insula_cli::log::on_terminal(&format!("{error}"), false));
}

/// Whether what is written to `fd` may be in colour and bold: on a terminal, unless `$NO_COLOR` says something.
/// Source: no-color.org.
pub(crate) fn in_colour(fd: i32) -> bool {
    terminal(fd).is_some() && crate::context::variable("NO_COLOR").is_none_or(str::is_empty)
}

/// Whether `fd` is a terminal, and its width in columns.
pub(crate) fn terminal(fd: i32) -> Option<usize> {
    rustix::termios::tcgetwinsize(borrow(fd))
        .ok()
        .map(|size| if size.ws_col == 0 { 80 } else { usize::from(size.ws_col) })
}
