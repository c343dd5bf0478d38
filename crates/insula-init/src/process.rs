// SPDX-License-Identifier: Apache-2.0
//! What the process is: its namespaces, ids, capabilities, limits, labels.

use crate::fault::{Fault, Of, On, Outcome};
use crate::paths::open_in;
use crate::temporary::temporary;
use crate::walk::Init;
use core::ffi::CStr;
use insula_steps::Fd;
use insula_steps::message::{Call, Tag};
use insula_sys::credentials::{SECCOMP_NEW_LISTENER, install_filter, set_gid, set_groups, set_uid};
use insula_sys::memory::borrow;
use insula_sys::process::{Cloned, PrctlOp, SchedAttr, clone, clone3, prctl};
use insula_sys::weak::{self, Weakness};
use rustix::fd::{AsFd, AsRawFd};
use rustix::fs::{FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

/// The highest capability number that any kernel could have (two 32-bit words).
const CAPABILITIES: u64 = 64;
const AMBIENT_RAISE: u64 = 2;
const AMBIENT_CLEAR_ALL: u64 = 4;

/// Value of `set_groups` in [`insula_steps::Step::User`].
const UNLESS_FORBIDDEN: u32 = 2;

impl Init {
    /// [`insula_steps::Step::Fork`]: the child goes on; this process tells the host side and ends.
    pub(crate) fn fork(&mut self, flags: u64, cgroup: Fd) -> Outcome<()> {
        crate::temporary::sweep();
        self.other_ids = true;
        let cgroup = cgroup.is_some().then(|| borrow(cgroup.0 as i32));
        match clone3(flags | clone::PARENT, cgroup).of(Call::Clone)? {
            // Nothing of this process may reach the host side before the message that says who it is.
            Cloned::Child => {
                // First of all: the container may see this process, and the directory leads up to the host's root.
                if let Some(cgroup) = cgroup {
                    insula_sys::memory::close(cgroup);
                }
                self.await_go()
            }
            Cloned::Parent { pid, pidfd } => {
                self.tell(Tag::Forked, [pid as u32, 0, 0], &[], Some(pidfd.as_fd())).of(Call::Send)?;
                insula_start::exit(0)
            }
        }
    }

    /// [`insula_steps::Step::WriteTo`]
    pub(crate) fn write_to(&self, fd: Fd, text: &[u8]) -> Outcome<()> {
        rustix::io::write(borrow(fd.0 as i32), text).map(drop).of(Call::Write).on(text)
    }

    /// [`insula_steps::Step::BecomeRoot`]: right after entering a user namespace, before anything is created in it
    /// (file creation by an unmapped id is EOVERFLOW).
    pub(crate) fn become_root(&mut self) -> Outcome<()> {
        self.other_ids = true;
        set_gid(0).of(Call::Setgid)?;
        set_uid(0).of(Call::Setuid)
    }

    /// [`insula_steps::Step::Loopback`]
    pub(crate) fn loopback(&self) -> Outcome<()> {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).of(Call::Socket)?;
        insula_sys::network::loopback_up(temporary(socket)).of(Call::Ioctl).on(b"SIOCSIFFLAGS lo")
    }

    /// [`insula_steps::Step::NullStreams`]: whatever the image has in its place is not waited for, and not used.
    pub(crate) fn null_streams(&self, fds: u32) -> Outcome<()> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let Ok(null) = open_in(self.root(), c"/dev/null", flags, Mode::empty(), ResolveFlags::empty()) else {
            return Ok(());
        };
        let null = temporary(null);
        let stat = rustix::fs::fstat(null).of(Call::Stat)?;
        let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
        if !is_device || stat.st_rdev != rustix::fs::makedev(1, 3) {
            return Ok(());
        }
        rustix::fs::fcntl_setfl(null, OFlags::RDWR).of(Call::Open)?;
        for fd in (0..3).filter(|fd| fds & 1 << fd != 0) {
            insula_sys::memory::place(null, fd).of(Call::Dup)?;
        }
        Ok(())
    }

    /// [`insula_steps::Step::Keyring`]: a kernel without keyrings, or a full quota, is no reason not to start.
    pub(crate) fn keyring(&self, name: &CStr) -> Outcome<()> {
        match insula_sys::process::new_session_keyring() {
            Ok(_) | Err(Errno::NOSYS) => Ok(()),
            Err(errno @ (Errno::DQUOT | Errno::PERM | Errno::ACCESS)) => {
                self.warn(&Fault::new(Call::Keyctl, errno).on(name.to_bytes()));
                Ok(())
            }
            Err(errno) => Err(Fault::new(Call::Keyctl, errno).on(name.to_bytes())),
        }
    }

    /// [`insula_steps::Step::Bounding`]: the first number the kernel does not know (EINVAL) ends it.
    pub(crate) fn bounding(&self, keep: u64) -> Outcome<()> {
        for capability in 0..CAPABILITIES {
            if keep & (1 << capability) != 0 {
                continue;
            }
            match prctl(PrctlOp::DropBounding, capability, 0) {
                Ok(_) => {}
                Err(Errno::INVAL) => break,
                Err(errno) => return Err(Fault::new(Call::Prctl, errno).on(b"PR_CAPBSET_DROP")),
            }
        }
        Ok(())
    }

    /// [`insula_steps::Step::User`]
    pub(crate) fn user(&self, uid: u32, gid: u32, groups: &[u8], set: u32) -> Outcome<()> {
        if self.own_terminal && uid != 0 {
            // Only a terminal that we made ourselves changes hands.
            rustix::fs::fchown(insula_sys::memory::borrow(0), Some(Uid::from_raw(uid)), None::<Gid>).of(Call::Chown)?;
        }
        if uid != 0 {
            prctl(PrctlOp::SetKeepCaps, 1, 0).of(Call::Prctl).on(b"PR_SET_KEEPCAPS")?;
        }
        if weak::is(Weakness::GivenStreams) {
            for stream in 0..3 {
                let _ = rustix::fs::fchown(borrow(stream), Some(Uid::from_raw(uid)), None::<Gid>);
            }
        }
        if set != 0 && !weak::is(Weakness::KeepGroups) {
            match set_groups(groups) {
                Err(Errno::PERM) if set == UNLESS_FORBIDDEN && groups.is_empty() => {}
                done => done.of(Call::Setgroups)?,
            }
        }
        // Root with all of its ids since execve, which also sets the saved ones, has nothing to change.
        if (uid, gid, self.other_ids) == (0, 0, false) && insula_start::ids() == Some([0; 4]) {
            return Ok(());
        }
        set_gid(gid).of(Call::Setgid)?;
        set_uid(uid).of(Call::Setuid)
    }

    /// [`insula_steps::Step::Capabilities`]
    pub(crate) fn capabilities(&self, effective: u64, permitted: u64, inheritable: u64, ambient: u64) -> Outcome<()> {
        insula_sys::credentials::capset(insula_sys::credentials::Capabilities { effective, permitted, inheritable })
            .of(Call::Capset)?;
        // What is not both permitted and inheritable has left the ambient set with capset(2).
        if permitted & inheritable != 0 {
            match prctl(PrctlOp::Ambient, AMBIENT_CLEAR_ALL, 0) {
                Ok(_) | Err(Errno::INVAL) => {}
                Err(errno) => return Err(Fault::new(Call::Prctl, errno).on(b"PR_CAP_AMBIENT_CLEAR_ALL")),
            }
        }
        for capability in (0..CAPABILITIES).filter(|capability| ambient & (1 << capability) != 0) {
            // The kernel refuses one that is not both permitted and inheritable; runc warns and goes on.
            if let Err(errno) = prctl(PrctlOp::Ambient, AMBIENT_RAISE, capability) {
                self.warn(&Fault::new(Call::Ambient, errno).on(&[capability as u8]));
            }
        }
        Ok(())
    }

    /// [`insula_steps::Step::Seccomp`]
    pub(crate) fn seccomp(&self, flags: u32, program: &[u8]) -> Outcome<()> {
        let listener = install_filter(program, flags).of(Call::Seccomp)?;
        if let Some(listener) = listener.filter(|_| flags & SECCOMP_NEW_LISTENER != 0) {
            self.tell_listener(listener.as_raw_fd() as u32).of(Call::Send)?;
            drop(listener);
        }
        Ok(())
    }

    /// [`insula_steps::Step::Cwd`]: opened like every other path, so that a link into /proc/self/fd leads nowhere
    /// (CVE-2024-21626).
    pub(crate) fn cwd(&mut self, path: &CStr, make: bool) -> Outcome<()> {
        if self.cwd_done {
            return Ok(());
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let open = || open_in(self.root(), path, flags, Mode::empty(), ResolveFlags::empty()).map(temporary);
        let dir = match (&self.root, open) {
            (Some(_), _) if path == c"/" && self.at_root => {
                self.cwd_done = true;
                return Ok(());
            }
            (Some(root), _) if path == c"/" => Ok(root.as_fd()),
            (_, open) => match open() {
                Err(Errno::NOENT) if make => {
                    match self.ensure_dir(path) {
                        Err(fault) if fault.errno() == Errno::ACCESS => return Ok(()),
                        made => drop(made?),
                    }
                    open()
                }
                Err(Errno::ACCESS) if make => return Ok(()),
                done => done,
            },
        };
        match rustix::process::fchdir(dir.of(Call::Chdir).on(path.to_bytes())?) {
            Err(Errno::ACCESS) if make => Ok(()),
            done => {
                self.cwd_done = true;
                done.of(Call::Chdir).on(path.to_bytes())
            }
        }
    }

    /// [`insula_steps::Step::Label`]
    pub(crate) fn label(&self, file: &CStr, label: &[u8]) -> Outcome<()> {
        let procfs = crate::mounts::new_mount(c"proc", insula_steps::Strings::EMPTY, 0)?;
        let mut path = alloc::vec::Vec::from(&b"thread-self/attr/"[..]);
        path.extend_from_slice(file.to_bytes());
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        let file =
            rustix::fs::openat2(&procfs, path.as_slice(), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), beneath)
                .of(Call::Openat2)
                .on(file.to_bytes())?;
        rustix::io::write(&file, label).map(drop).of(Call::Write).on(label)
    }

    /// [`insula_steps::Step::Scheduler`]
    pub(crate) fn scheduler(&self, attr: SchedAttr) -> Outcome<()> {
        insula_sys::process::sched_setattr(&attr).of(Call::Sched)
    }

    /// [`insula_steps::Step::MemoryPolicy`]
    pub(crate) fn memory_policy(&self, mode: u32, bytes: &[u8]) -> Outcome<()> {
        let mut nodes = [0_u64; 16];
        for (node, word) in nodes.iter_mut().zip(bytes.chunks_exact(8)) {
            *node = u64::from_le_bytes(word.try_into().unwrap_or_default());
        }
        insula_sys::process::set_mempolicy(mode, &nodes).of(Call::Mempolicy)
    }

    /// [`insula_steps::Step::Affinity`]: no list means every CPU that there could be, of which the kernel takes those that
    /// the cgroup allows; it may refuse that, as inheriting the caller's does no harm.
    pub(crate) fn affinity(&self, cpus: &[u8]) -> Outcome<()> {
        if cpus.is_empty() {
            let _ = insula_sys::process::set_affinity(&[0xff; 1024]);
            return Ok(());
        }
        insula_sys::process::set_affinity(cpus).of(Call::Affinity)
    }

    /// A created container may wait for its start for days: it holds nothing of the host's but what it waits with and
    /// what was passed on to it.
    pub(crate) fn close_all_but(&mut self, fifo: u32, first: u32) {
        // All of them by number, below.
        let covers = [self.mask_dir.take(), self.mask_file.take()];
        for fd in [self.root.take(), self.procfs.take(), self.own_procfs.take()].into_iter().chain(covers) {
            core::mem::forget(fd);
        }
        core::mem::forget(self.last_parent.take());
        let socket = self.socket.as_raw_fd() as u32;
        let (low, high) = (fifo.min(socket), fifo.max(socket));
        for (first, last) in [(first, low), (low + 1, high), (high + 1, u32::MAX)] {
            if first < last {
                insula_sys::memory::close_range(first, last - 1);
            }
        }
    }

    /// [`insula_steps::Step::Place`]
    pub(crate) fn place(&self, fd: Fd, to: u32) -> Outcome<()> {
        insula_sys::memory::place(borrow(fd.0 as i32), to as i32).of(Call::Dup)
    }
}
