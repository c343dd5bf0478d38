// SPDX-License-Identifier: Apache-2.0
//! One step after the other.

use crate::devices::Node;
use crate::fault::{Of, On, Outcome};
use crate::mounts::NewMount;
use alloc::vec::Vec;
use core::ffi::CStr;
use insula_steps::Step;
use insula_steps::message::{Call, Tag};
use insula_sys::memory::{adopt, borrow};
use insula_sys::mount::MountAttr;
use insula_sys::process::{PrctlOp, SchedAttr, prctl, set_signal_mask, signalfd};
use insula_sys::weak::{self, Weakness};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::Mode;
use rustix::io::Errno;

/// What init knows while it walks.
pub(crate) struct Init {
    /// The steps, as the host side wrote them.
    pub(crate) steps: &'static [u8],
    /// The number of the step at hand.
    pub(crate) step: u32,
    /// To the host side.
    pub(crate) socket: BorrowedFd<'static>,
    /// The container's root directory; none before it is attached, and none for a process that joined it.
    pub(crate) root: Option<OwnedFd>,
    /// The directory that the last node or link went to.
    pub(crate) last_parent: Option<(Vec<u8>, OwnedFd)>,
    /// The last parent is the root of a file system that was made here: nobody else can change what is in it.
    pub(crate) own_parent: bool,
    /// The working directory is the last parent.
    pub(crate) in_parent: bool,
    /// The working directory is the root, which was pivoted to.
    pub(crate) at_root: bool,
    /// The ids may be other than those that init was started with, or called otherwise.
    pub(crate) other_ids: bool,
    /// The first masked directory, whose cover is not open.
    pub(crate) covered: Option<&'static CStr>,
    /// The first masked directory's and file's covers.
    pub(crate) mask_dir: Option<OwnedFd>,
    pub(crate) mask_file: Option<OwnedFd>,
    /// The last mount point lies on the root's own mount.
    pub(crate) on_root: bool,
    /// The container's procfs.
    pub(crate) own_procfs: Option<OwnedFd>,
    /// A procfs that nothing is mounted over.
    pub(crate) procfs: Option<OwnedFd>,
    /// Standard input is a terminal that this process made.
    pub(crate) own_terminal: bool,
    pub(crate) cwd_done: bool,
    /// `HOME=…` where the environment lacks it.
    pub(crate) home: Option<Vec<u8>>,
    /// The user's program, as found.
    pub(crate) program: Vec<u8>,
}

impl Init {
    pub(crate) fn new(socket: BorrowedFd<'static>, steps: &'static [u8]) -> Self {
        Self {
            steps,
            step: 0,
            socket,
            root: None,
            last_parent: None,
            on_root: false,
            own_procfs: None,
            own_parent: false,
            in_parent: false,
            at_root: false,
            other_ids: false,
            covered: None,
            mask_dir: None,
            mask_file: None,
            procfs: None,
            own_terminal: false,
            cwd_done: false,
            home: None,
            program: Vec::new(),
        }
    }

    /// Performs one step.
    pub(crate) fn perform(&mut self, step: &Step<'static>) -> Outcome<()> {
        if is_left_out(step) {
            return Ok(());
        }
        match *step {
            Step::Join { fd, kinds } => {
                insula_sys::process::setns(borrow(fd.0 as i32), kinds).of(Call::Setns)?;
                // Paths were relative to the old root; a joined mount namespace brings its own.
                self.forget_parent();
                self.at_root = false;
                self.other_ids = true;
                Ok(())
            }
            Step::Unshare { kinds } => {
                self.other_ids = true;
                insula_sys::process::unshare(kinds).of(Call::Unshare)
            }
            Step::Ask { part } => self.ask(part),
            Step::Fork { flags, cgroup } => self.fork(flags, cgroup),
            Step::BecomeRoot {} => self.become_root(),
            Step::WriteTo { fd, text } => self.write_to(fd, text),
            Step::Loopback {} => self.loopback(),
            Step::Hostname { name } => rustix::system::sethostname(name).of(Call::Sethostname).on(name),
            Step::Domainname { name } => rustix::system::setdomainname(name).of(Call::Setdomainname).on(name),
            Step::HostnameIs { name } => same_name(rustix::system::uname().nodename().to_bytes(), name),
            Step::DomainnameIs { name } => same_name(rustix::system::uname().domainname().to_bytes(), name),
            Step::Session {} => match rustix::process::setsid() {
                // Already a leader: the first process of a pid namespace that an engine started in its own session.
                Ok(_) | Err(Errno::PERM) => Ok(()),
                Err(errno) => Err(errno).of(Call::Setsid),
            },
            Step::Propagate { propagation, recursive } => self.propagate(propagation, recursive != 0),
            Step::Root { fd, at } => {
                let tree = adopt_from_plan(fd.0);
                self.attach_root(tree, at)
            }
            Step::Mount { fstype, options, attributes, propagation, target, flags } => {
                self.mount(&NewMount { fstype, options, attributes, propagation, target, flags })
            }
            Step::Detach { fd, path, recursive } => crate::mounts::detach(fd.0, path, recursive != 0),
            Step::Adjust { fd, set, clear, least, propagation, recursive } => {
                let wanted = MountAttr { set, clear, propagation, userns_fd: 0 };
                crate::mounts::adjust(borrow(fd.0 as i32), recursive != 0, &wanted, least)
            }
            Step::Early { fd, fstype, options, attributes } => {
                crate::mounts::keep(&crate::mounts::new_mount(fstype, options, attributes)?, fd.0)
            }
            Step::DropGroups {} => insula_sys::credentials::set_groups(&[]).of(Call::Setgroups),
            Step::Procfs { fd } => {
                self.procfs = Some(adopt_from_plan(fd.0));
                Ok(())
            }
            Step::Attach { fd, target, flags } => self.attach_tree(borrow(fd.0 as i32), target, flags),
            Step::Rebind { source, target, set, clear, set_all, clear_all, recursive, users, all_ids } => self.rebind(
                (source, target),
                recursive != 0,
                (users, all_ids),
                &MountAttr { set, clear, ..MountAttr::default() },
                &MountAttr { set: set_all, clear: clear_all, ..MountAttr::default() },
            ),
            Step::Change { target, set, clear, propagation, recursive } => {
                self.change_mount(target, recursive != 0, &MountAttr { set, clear, propagation, userns_fd: 0 })
            }
            Step::Device { path, mode, major, minor, uid, gid, bind } => {
                self.device(&Node { path, mode, device: (major, minor), owner: (uid, gid), bind })
            }
            Step::Link { path, to } => self.link(path, to),
            Step::Mask { path, null, options } => self.mask(path, null.0, options),
            Step::FileLabel { target, label } => self.label_file(target, label),
            Step::ReadOnly { path, alone } => self.read_only(path, alone != 0),
            Step::Pivot {} if weak::is(Weakness::ChrootOnly) => self.chroot_only(),
            Step::Pivot {} => self.pivot(),
            Step::MoveRoot {} => self.move_root(),
            Step::Anchor { fd, at } => self.anchor_root(adopt_from_plan(fd.0), borrow(at.0 as i32)),
            Step::Chroot { fd } => self.chroot(fd.is_some().then(|| adopt_from_plan(fd.0))),
            Step::Sysctl { name, value } => self.sysctl(name, value),
            Step::Terminal { rows, columns, console } => self.terminal(rows, columns, console != 0),
            _ => self.perform_late(step),
        }
    }

    /// The steps that concern the process rather than its surroundings.
    fn perform_late(&mut self, step: &Step<'static>) -> Outcome<()> {
        match *step {
            Step::Limit { resource, soft, hard } => {
                insula_sys::credentials::set_limit(resource, soft, hard).of(Call::Setrlimit)
            }
            Step::Keyring { name } => self.keyring(name),
            Step::Bounding { keep } => self.bounding(keep),
            Step::User { uid, gid, groups, set_groups } => self.user(uid, gid, groups, set_groups),
            Step::Capabilities { effective, permitted, inheritable, ambient } => {
                self.capabilities(effective, permitted, inheritable, ambient)
            }
            Step::Regain { mask } => {
                let sets = insula_sys::credentials::capget().of(Call::Capset)?;
                let effective = sets.permitted & mask;
                insula_sys::credentials::capset(insula_sys::credentials::Capabilities { effective, ..sets })
                    .of(Call::Capset)
            }
            Step::Lower { keep } => {
                let permitted = insula_sys::credentials::capget().of(Call::Capset)?.permitted & keep;
                let sets = insula_sys::credentials::Capabilities { effective: permitted, permitted, inheritable: 0 };
                insula_sys::credentials::capset(sets).of(Call::Capset)
            }
            Step::Umask { mask } => {
                rustix::process::umask(Mode::from_raw_mode(mask));
                Ok(())
            }
            Step::NoNewPrivs {} => {
                prctl(PrctlOp::SetNoNewPrivs, 1, 0).map(drop).of(Call::Prctl).on(b"PR_SET_NO_NEW_PRIVS")
            }
            Step::Seccomp { flags, program } => self.seccomp(flags, program),
            Step::Cwd { path, make } => self.cwd(path, make != 0),
            Step::NullStreams { fds } => self.null_streams(fds),
            Step::Home { uid } => {
                self.home(uid);
                Ok(())
            }
            Step::Find { program, path } => self.find(program, path),
            Step::Ready {} => {
                self.tell(Tag::Ready, [0; 3], &[], None).of(Call::Send)?;
                self.await_go()
            }
            Step::AwaitStart { fd, first } => {
                self.close_all_but(fd.0, first);
                await_start(borrow(fd.0 as i32), self.steps)
            }
            Step::CloseFrom { first } => insula_sys::process::cloexec_from(first).of(Call::CloseRange),
            Step::Exec { argv, env } => self.exec(argv, env),
            Step::Personality { persona } => insula_sys::process::personality(persona).of(Call::Personality),
            Step::IoPriority { priority } => insula_sys::process::set_io_priority(priority).of(Call::Ioprio),
            Step::Scheduler { policy, flags, nice, priority, runtime, deadline, period } => {
                self.scheduler(SchedAttr { size: 48, policy, flags, nice, priority, runtime, deadline, period })
            }
            Step::MemoryPolicy { mode, nodes } => self.memory_policy(mode, nodes),
            Step::Label { file, label } => self.label(file, label),
            Step::Place { fd, to } => self.place(fd, to),
            Step::Undumpable {} => prctl(PrctlOp::SetDumpable, 0, 0).map(drop).of(Call::Prctl).on(b"PR_SET_DUMPABLE"),
            Step::Affinity { cpus } => self.affinity(cpus),
            // Everything else is performed by `perform`.
            _ => Err(Errno::INVAL).of(Call::Plan),
        }
    }
}

/// Whether a weakness leaves this step out.
fn is_left_out(step: &Step<'_>) -> bool {
    weak::is(match step {
        Step::Keyring { .. } => Weakness::SharedKeyring,
        Step::CloseFrom { .. } => Weakness::KeepDescriptors,
        Step::Undumpable {} => Weakness::Dumpable,
        Step::Session {} => Weakness::CallersSession,
        Step::NoNewPrivs {} => Weakness::NewPrivileges,
        Step::Bounding { .. } | Step::Capabilities { .. } => Weakness::KeepCapabilities,
        Step::Mask { .. } | Step::ReadOnly { .. } => Weakness::NoMasks,
        Step::Adjust { .. } | Step::Change { .. } => Weakness::PlainMounts,
        Step::Propagate { .. } => Weakness::SharedMounts,
        _ => return false,
    })
}

#[allow(unsafe_code)] // each descriptor number stands in one step only
pub(crate) fn adopt_from_plan(fd: u32) -> OwnedFd {
    // SAFETY: the host side opened this descriptor for this one step.
    unsafe { adopt(fd as i32) }
}

/// A joined uts namespace is named already; other members would be renamed with it.
fn same_name(is: &[u8], wanted: &[u8]) -> Outcome<()> {
    if is == wanted { Ok(()) } else { Err(Errno::EXIST).of(Call::Sethostname).on(is) }
}

/// One byte from the fifo. Init holds it open for writing too, so the end of the file never comes; the container's
/// deletion kills init first.
///
/// The kernel keeps signals that have no handler from the first process of a pid namespace, but not blocked ones: those
/// that ask a program to end are blocked meanwhile and read, so that `kill` ends a container that was never started.
fn await_start(fifo: BorrowedFd<'_>, steps: &'static [u8]) -> Outcome<()> {
    /// HUP, INT, QUIT, TERM: bit n-1 for signal n.
    const ENDING: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 14;
    let before = set_signal_mask(ENDING).of(Call::Signals)?;
    let signals = signalfd(ENDING).of(Call::Signals)?;
    let mut byte = [0_u8; 1];
    loop {
        #[allow(unsafe_code)]
        // SAFETY: the steps lie in a sealed memfd.
        let ready = unsafe { insula_start::wait_for_either(fifo.as_raw_fd(), signals.as_raw_fd(), steps) };
        let signalled = match ready.map_err(Errno::from_raw_os_error) {
            Err(Errno::INTR) => continue,
            done => done.of(Call::Read)?.1,
        };
        if signalled {
            let mut info = [0_u8; 128];
            let _ = rustix::io::read(&signals, &mut info);
            insula_start::exit(128 + i32::from(info[0]));
        }
        set_signal_mask(before).of(Call::Signals)?;
        match rustix::io::read(fifo, &mut byte) {
            Ok(1) => return Ok(()),
            Err(Errno::INTR) => {}
            Ok(_) => return Err(Errno::PIPE).of(Call::Read),
            Err(errno) => return Err(errno).of(Call::Read),
        }
    }
}
