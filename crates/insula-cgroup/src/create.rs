// SPDX-License-Identifier: Apache-2.0
//! Making a container's directories, and taking back what was made if something fails.

use crate::file;
use crate::group::{Entry, Group, POINTER};
use crate::layout::{Controller, Version};
use crate::path::{self, open_beneath};
use crate::systemd::Placeholder;
use crate::wait::{Pauses, Until};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ops::Deref;
use core::time::Duration;
use insula_error::{Error, Result};
use insula_spec::{Pids, Resources};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

/// Mode of new directories.
const MODE: Mode = Mode::from_raw_mode(0o755);
/// How directories are opened.
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

/// A cgroup that this process made, or found empty and adopted.
#[derive(Debug)]
pub struct Created {
    group: Group,
    made: Vec<Made>,
    permission: Option<Error>,
    /// What keeps a scope of systemd from ending before init is in it.
    placeholder: RefCell<Option<Placeholder>>,
    /// A limit on tasks that has no room for the placeholder beside init.
    pub(crate) narrow: RefCell<Option<Pids>>,
}

/// A directory that was not there before.
#[derive(Debug)]
struct Made {
    mount: String,
    path: String,
}

impl Deref for Created {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.group
    }
}

impl Group {
    /// Makes the directories, with those above them that are missing, and readies them for processes: v1's cpuset is
    /// inherited, v2's controllers are enabled all the way down. Limits come next, by [`Group::apply`].
    ///
    /// Where a rootless caller lacks permission and the document chose no path, the hierarchy is left out instead.
    ///
    /// # Errors
    /// `Kernel` naming the directory; `State` if meanwhile somebody else put a process into the cgroup or froze it.
    /// What was made is removed again.
    pub fn create(self) -> Result<Created> {
        let mut created = Created {
            group: self,
            made: Vec::new(),
            permission: None,
            placeholder: RefCell::new(None),
            narrow: RefCell::new(None),
        };
        match created.start_unit().and_then(|()| created.make_all()) {
            Ok(()) => Ok(created),
            Err(e) => {
                // No process was ever in them, so nothing but another's use can keep them.
                let _ = created.rollback();
                Err(e)
            }
        }
    }
}

impl Created {
    /// Ends the container's use of the cgroup as if it had never been made: removes the directories made here, deepest
    /// first. One that is in use by now stays. Says whether the container's own directories are gone.
    #[must_use = "what stays must be remembered"]
    pub fn rollback(self) -> bool {
        let mut gone = true;
        self.placeholder.take();
        if let Some(unit) = &self.group.unit {
            gone = unit.stop().is_ok();
        }
        for entry in &self.group.entries {
            for made in self.made.iter().rev().filter(|made| made.mount == entry.mount) {
                gone &= remove_made(entry, &made.path);
            }
        }
        gone
    }

    /// Has systemd make its unit, if the cgroup is one's, and sees that it is where it was planned.
    fn start_unit(&mut self) -> Result<()> {
        let Some(unit) = &self.group.unit else { return Ok(()) };
        let version = self.group.version();
        if unit.is_slice() {
            return unit.start(version, None);
        }
        let placeholder = Placeholder::start()?;
        let pid = placeholder.pid();
        self.placeholder.replace(Some(placeholder));
        unit.start(version, Some(pid))?;
        self.group.check_place(pid)
    }

    /// The cgroup, which stays.
    pub fn into_group(self) -> Group {
        self.abandon();
        self.group
    }

    /// Nothing will come to be in the cgroup: what kept it in being ends.
    pub fn abandon(&self) {
        self.placeholder.take();
    }

    /// Init is in the cgroup: what kept it in being until then is no longer needed.
    ///
    /// # Errors
    /// As [`Group::apply`], for a limit that had to wait for this.
    pub fn inhabited(&self) -> Result<()> {
        self.placeholder.take();
        match self.narrow.take() {
            Some(pids) => self.group.apply(&Resources { pids: Some(pids), ..Resources::default() }, None),
            None => Ok(()),
        }
    }

    /// Whether the directory of `entry` did not exist before.
    pub(crate) fn is_fresh(&self, entry: &Entry) -> bool {
        self.made.iter().any(|made| made.mount == entry.mount && made.path == entry.path)
    }

    /// Why hierarchies were left out, if any were: the first refusal.
    pub fn left_out(&self) -> Option<&Error> {
        self.permission.as_ref()
    }

    fn make_all(&mut self) -> Result<()> {
        let mut index = 0;
        while let Some(entry) = self.group.entries.get(index) {
            let before = self.made.len();
            let ours = self.placeholder.borrow().as_ref().map(Placeholder::pid);
            match make(&self.group, entry, &mut self.made, ours) {
                Ok(()) => index += 1,
                Err(e) => {
                    if !entry.is_for_tracking() {
                        if !self.group.rootless || self.group.explicit || !is_permission(&e) {
                            return Err(e);
                        }
                        self.permission.get_or_insert(e);
                    }
                    for made in self.made.drain(before..).rev() {
                        remove_made(entry, &made.path);
                    }
                    self.group.entries.remove(index);
                }
            }
        }
        Ok(())
    }
}

/// Makes and readies the directory of `entry`.
fn make(group: &Group, entry: &Entry, made: &mut Vec<Made>, ours: Option<i32>) -> Result<()> {
    let existed = !make_directory(entry, made)?;
    if existed {
        entry.check_unused(ours)?;
    }
    entry.check_above()?;
    if entry.controllers.contains(Controller::Cpuset) {
        inherit_cpuset(group, entry)?;
    }
    if entry.version == Version::V2 && entry.mount.is_empty() {
        enable_controllers(entry)?;
    }
    Ok(())
}

/// Removes a directory made here; `false` if it is the container's own and stays.
fn remove_made(entry: &Entry, path: &str) -> bool {
    let path_is_own = path == entry.path;
    let (parent, name) = path::split(path);
    let parent = entry.root().and_then(|root| open_beneath(root, parent, DIRECTORY));
    let Ok(parent) = parent else { return true };
    // The container's own directory stays busy for a moment after its last process ended. What keeps one above it from
    // going is somebody else's by now.
    let until = Until::after(if path_is_own { LINGERING } else { Duration::ZERO });
    let mut pauses = Pauses::new();
    loop {
        let removed = rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR);
        if removed != Err(Errno::BUSY) || until.has_passed() {
            return !path_is_own || matches!(removed, Ok(()) | Err(Errno::NOENT));
        }
        pauses.next(&until);
    }
}

/// How long the directory of a container that could not be made is tried to be removed.
const LINGERING: Duration = Duration::from_secs(2);

fn is_permission(error: &Error) -> bool {
    let refusals = [Errno::ACCESS, Errno::PERM, Errno::ROFS];
    refusals.iter().any(|errno| error.errno() == Some(errno.raw_os_error()))
}

/// Makes the directory of `entry` and opens it; says whether it was not there before.
fn make_directory(entry: &Entry, made: &mut Vec<Made>) -> Result<bool> {
    if entry.dir.get().is_some() {
        return Ok(false);
    }
    let (parent, name) = path::split(&entry.path);
    let held;
    let parent = if parent.is_empty() {
        entry.root().map_err(|e| refused(entry, "", e))?
    } else {
        held = make_above(entry, parent, made)?;
        held.as_fd()
    };
    match rustix::fs::mkdirat(parent, name, MODE) {
        Ok(()) => made.push(Made { mount: entry.mount.clone(), path: entry.path.clone() }),
        Err(Errno::EXIST) => return entry.dir().map(|_| false).map_err(|e| refused(entry, &entry.path, e)),
        Err(e) => return Err(refused(entry, &entry.path, e)),
    }
    let dir = open_beneath(parent, name, DIRECTORY).map_err(|e| refused(entry, &entry.path, e))?;
    let _ = entry.dir.set(dir);
    Ok(true)
}

/// Opens the directory `path` above the container's, making it and those above if they are missing.
fn make_above(entry: &Entry, path: &str, made: &mut Vec<Made>) -> Result<OwnedFd> {
    let root = entry.root().map_err(|e| refused(entry, "", e))?;
    match open_beneath(root, path, DIRECTORY) {
        Err(Errno::NOENT) => {}
        result => return result.map_err(|e| refused(entry, path, e)),
    }
    let (above, name) = path::split(path);
    let above = make_above(entry, above, made)?;
    match rustix::fs::mkdirat(&above, name, MODE) {
        Ok(()) => made.push(Made { mount: entry.mount.clone(), path: path.to_string() }),
        Err(Errno::EXIST) => {}
        Err(e) => return Err(refused(entry, path, e)),
    }
    open_beneath(above.as_fd(), name, DIRECTORY).map_err(|e| refused(entry, path, e))
}

fn refused(entry: &Entry, path: &str, errno: Errno) -> Error {
    // runc's tests look for these words.
    let object =
        format!("unable to apply cgroup configuration: mkdir {}/{path}", crate::layout::mount_point(&entry.mount));
    let error = Error::kernel(errno.raw_os_error(), "make the cgroup").object(object).field(POINTER);
    if matches!(errno, Errno::ACCESS | Errno::PERM | Errno::ROFS) {
        return error.advice("run as root, or in a cgroup that is delegated to you (systemd: Delegate=yes)");
    }
    error
}

/// The directories above `path`, from the hierarchy's root down.
fn above(path: &str) -> impl Iterator<Item = &str> {
    core::iter::once("").chain(path.match_indices('/').map(|(at, _)| &path[..at]))
}

/// Fills `cpuset.cpus` and `cpuset.mems` from the parent wherever they are empty: no process can enter before.
/// The container's own are left to [`Group::apply`] if the document has them, lest they clash with an exclusive sibling.
fn inherit_cpuset(group: &Group, entry: &Entry) -> Result<()> {
    let failed = |e: Errno| entry.error(e, "inherit the cpuset", "cpuset.cpus");
    let root = entry.root().map_err(failed)?;
    let mut parent: Option<OwnedFd> = None;
    for path in above(&entry.path).skip(1) {
        let dir = open_beneath(root, path, DIRECTORY).map_err(failed)?;
        let above = parent.as_ref().map_or(root, AsFd::as_fd);
        inherit(above, dir.as_fd(), "cpuset.cpus")
            .and_then(|()| inherit(above, dir.as_fd(), "cpuset.mems"))
            .map_err(failed)?;
        parent = Some(dir);
    }
    let above = parent.as_ref().map_or(root, AsFd::as_fd);
    let dir = entry.dir().map_err(failed)?;
    for (name, own) in [("cpuset.cpus", group.own_cpus), ("cpuset.mems", group.own_mems)] {
        if !own {
            inherit(above, dir, name).map_err(failed)?;
        }
    }
    Ok(())
}

fn inherit(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &str) -> rustix::io::Result<()> {
    if file::read(to, name)?.trim_end().is_empty() {
        file::write(to, name, file::read(from, name)?.trim_end())?;
    }
    Ok(())
}

/// Enables every controller that the host offers in all directories above the container's.
///
/// A refusal is not an error here: the limit that needs the controller reports it, and others may not need it.
fn enable_controllers(entry: &Entry) -> Result<()> {
    let failed = |e: Errno| entry.error(e, "enable the controllers", "cgroup.type");
    let root = entry.root().map_err(failed)?;
    let offered = file::read(root, "cgroup.controllers").map_err(failed)?;
    for path in above(&entry.path) {
        if offered.trim_end().is_empty() {
            break;
        }
        let held;
        let dir = if path.is_empty() {
            root
        } else {
            held = open_beneath(root, path, DIRECTORY).map_err(failed)?;
            leave_invalid_domain(held.as_fd());
            held.as_fd()
        };
        enable_missing(dir, &offered);
    }
    if entry.path.contains('/') {
        leave_invalid_domain(entry.dir().map_err(failed)?);
    }
    Ok(())
}

fn enable_missing(dir: BorrowedFd<'_>, offered: &str) {
    let Ok(enabled) = file::read(dir, "cgroup.subtree_control") else { return };
    let is_enabled = |name: &str| enabled.split_ascii_whitespace().any(|other| other == name);
    let mut request = String::new();
    for name in offered.split_ascii_whitespace().filter(|name| !is_enabled(name)) {
        request.push_str(if request.is_empty() { "+" } else { " +" });
        request.push_str(name);
    }
    if request.is_empty() || file::write(dir, "cgroup.subtree_control", &request).is_ok() {
        return;
    }
    // One of them is refused; the others need not be.
    for name in request.split(' ') {
        let _ = file::write(dir, "cgroup.subtree_control", name);
    }
}

/// Below a threaded cgroup a new one is "domain invalid" and takes no process; as "threaded" it does (cgroups(7),
/// "Thread mode"). The controllers that a threaded cgroup lacks are missed when a limit is written.
fn leave_invalid_domain(dir: BorrowedFd<'_>) {
    if file::read(dir, "cgroup.type").is_ok_and(|kind| kind.trim_end() == "domain invalid") {
        let _ = file::write(dir, "cgroup.type", "threaded");
    }
}
