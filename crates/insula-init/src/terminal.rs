// SPDX-License-Identifier: Apache-2.0
//! The process's terminal, made in the container's own devpts.

use crate::fault::{Fault, Of, On, Outcome};
use crate::mounts::{attach, clone_tree};
use crate::paths::open_in;
use crate::walk::Init;
use insula_steps::message::{Call, Tag};
use insula_sys::weak::{self, Weakness};
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

/// f_type of devpts (statfs(2)).
const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;

impl Init {
    /// [`insula_steps::Step::Terminal`]: every object is reached by descriptor, so that nothing which the image or a
    /// neighbour puts under /dev/console or /dev/pts is opened in its place (CVE-2025-52565).
    pub(crate) fn terminal(&mut self, rows: u32, columns: u32, console: bool) -> Outcome<()> {
        // Opening a device has effects, so the file system is looked at first; nobody can put anything else into a devpts.
        let directory = OFlags::PATH | OFlags::DIRECTORY;
        let pts = open_in(self.root(), c"/dev/pts", directory, Mode::empty(), ResolveFlags::empty())
            .of(Call::Ptmx)
            .on(b"/dev/pts")?;
        if rustix::fs::fstatfs(&pts).of(Call::Stat)?.f_type as i64 != DEVPTS_SUPER_MAGIC
            && !weak::is(Weakness::AnyTerminal)
        {
            return Err(Fault::new(Call::Ptmx, Errno::NODEV).on(b"/dev/pts"));
        }
        let open = OFlags::RDWR | OFlags::NOCTTY;
        let inside = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let master = open_in(pts.as_fd(), c"ptmx", open, Mode::empty(), inside).of(Call::Ptmx).on(b"/dev/pts/ptmx")?;
        unlockpt(&master).of(Call::Ioctl)?;
        let peer = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = ioctl_tiocgptpeer(&master, peer).of(Call::Ioctl).on(b"TIOCGPTPEER")?;
        if rows != 0 || columns != 0 {
            let size =
                rustix::termios::Winsize { ws_row: rows as u16, ws_col: columns as u16, ws_xpixel: 0, ws_ypixel: 0 };
            rustix::termios::tcsetwinsize(&slave, size).of(Call::Ioctl).on(b"TIOCSWINSZ")?;
        }
        if console {
            let target = self.ensure_file(c"/dev/console")?;
            let tree = clone_tree(slave.as_fd(), false).on(b"/dev/console")?;
            attach(tree.as_fd(), target).on(b"/dev/console")?;
        }
        self.tell(Tag::Terminal, [0; 3], &[], Some(master.as_fd())).of(Call::Send)?;
        self.await_go()?;
        rustix::process::ioctl_tiocsctty(&slave).of(Call::Ioctl).on(b"TIOCSCTTY")?;
        rustix::stdio::dup2_stdin(&slave).of(Call::Dup)?;
        rustix::stdio::dup2_stdout(&slave).of(Call::Dup)?;
        rustix::stdio::dup2_stderr(&slave).of(Call::Dup)?;
        self.own_terminal = true;
        Ok(())
    }
}
