// SPDX-License-Identifier: Apache-2.0
//! The state directory: `<root>/<id>/`, one container each. Making it claims the id; a lock on it serialises commands and
//! ends with its holder.

use crate::file;
use crate::record::Record;
use crate::spawn::now;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_sys::weak::{self, Weakness};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, mkdirat, openat, statat, unlinkat};
use rustix::io::Errno;
use rustix::thread::{Timespec, nanosleep};

/// The record of a created container.
pub const STATE: &str = "state.json";
/// What is about to exist, written before it does: lines of the cgroup's record.
pub const INTENT: &str = "intent";
/// The record before it is committed.
const DRAFT: &str = ".state.json";
/// Where init waits for `start`.
pub const FIFO: &str = "exec.fifo";
/// The document as it was read; later changes to the bundle have no effect.
pub const CONFIG: &str = "config.json";

/// Largest record that is read.
const LARGEST: usize = 4 << 20;

/// The directory of all containers.
#[derive(Debug)]
pub struct Root {
    path: String,
    fd: Rc<OwnedFd>,
}

/// One container's directory.
#[derive(Debug)]
pub struct Home {
    /// The container's id.
    pub id: String,
    /// Its path, for messages.
    pub path: String,
    root: Rc<OwnedFd>,
    fd: OwnedFd,
}

fn failed(errno: Errno, attempted: &'static str, path: &str) -> Error {
    Error::kernel(errno.raw_os_error(), attempted).object(path)
}

impl Root {
    /// Opens the root at `path`, made with all above it if `make`.
    ///
    /// # Errors
    /// `Kernel`, or `State` if others than the caller could change what is in it.
    pub fn open(path: &str, make: bool) -> Result<Option<Self>> {
        let attempted = "open the state directory";
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = match openat(CWD, path, flags, Mode::empty()) {
            Err(Errno::NOENT) if make => {
                make_all(path)?;
                openat(CWD, path, flags, Mode::empty()).map_err(|e| failed(e, attempted, path))?
            }
            Err(Errno::NOENT) => return Ok(None),
            done => done.map_err(|e| failed(e, attempted, path))?,
        };
        check_owner(&fd, path)?;
        Ok(Some(Self { path: String::from(path), fd: Rc::new(fd) }))
    }

    /// Claims `id`: exactly one caller gets it. The new directory is locked.
    ///
    /// # Errors
    /// `State` if there is such a container.
    pub fn claim(&self, id: &str) -> Result<Home> {
        let path = format!("{}/{id}", self.path);
        // Searchable by the container's user, who opens nothing in it: the shims of engines look for it.
        match mkdirat(self.fd.as_fd(), id, Mode::from_raw_mode(0o711)) {
            Ok(()) => {}
            Err(Errno::EXIST) if weak::is(Weakness::NoClaim) => {}
            Err(Errno::EXIST) => {
                return Err(exists(id, &path));
            }
            Err(errno) => return Err(failed(errno, "make the container's state directory", &path)),
        }
        let opened = self.home(id).inspect_err(|_| {
            // Ours, and empty: no descriptor was left to open it with.
            let _ = unlinkat(self.fd.as_fd(), id, AtFlags::REMOVEDIR);
        })?;
        let home = opened.ok_or_else(|| failed(Errno::NOENT, "open the container's state directory", &path))?;
        home.lock().inspect_err(|e| {
            // Ours still, unless somebody has deleted it meanwhile, which is no error of the kernel's.
            if e.errno().is_some() {
                let _ = unlinkat(self.fd.as_fd(), id, AtFlags::REMOVEDIR);
            }
        })?;
        Ok(home)
    }

    /// The directory of container `id`, if there is one. Links are not followed.
    pub fn home(&self, id: &str) -> Result<Option<Home>> {
        let path = format!("{}/{id}", self.path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let flags = if weak::is(Weakness::AnyState) { flags.difference(OFlags::NOFOLLOW) } else { flags };
        let fd = match openat(self.fd.as_fd(), id, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            done => done.map_err(|e| failed(e, "open the container's state directory", &path))?,
        };
        Ok(Some(Home { id: String::from(id), path, root: Rc::clone(&self.fd), fd }))
    }

    /// The ids of all containers, sorted; also of half-made ones.
    pub fn ids(&self) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for entry in Dir::read_from(self.fd.as_fd()).map_err(|e| failed(e, "list containers", &self.path))? {
            let entry = entry.map_err(|e| failed(e, "list containers", &self.path))?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name.starts_with('.') {
                continue;
            }
            let is_dir = match entry.file_type() {
                FileType::Unknown => statat(self.fd.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)
                    .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
                kind => kind == FileType::Directory,
            };
            if is_dir {
                ids.push(String::from(name));
            }
        }
        ids.sort();
        Ok(ids)
    }
}

/// Whoever can write to the directory of states decides which processes are signalled and which cgroups are removed.
fn check_owner(fd: &OwnedFd, path: &str) -> Result<()> {
    let attempted = "use the state directory";
    let stat = rustix::fs::fstat(fd).map_err(|e| failed(e, attempted, path))?;
    let own = insula_sys::credentials::effective_ids().0;
    if weak::is(Weakness::AnyState) {
        return Ok(());
    }
    let reason = if stat.st_uid != own && stat.st_uid != 0 {
        format!("it belongs to user {}", stat.st_uid)
    } else if stat.st_mode & 0o002 != 0 {
        String::from("everybody may write to it")
    } else if stat.st_mode & 0o020 != 0 {
        format!("group {} may write to it", stat.st_gid)
    } else {
        return Ok(());
    };
    Err(Error::state(attempted, reason).object(path).advice("choose a directory that only you can change, with --root"))
}

/// The error for an id that is taken, in runc's words.
pub(crate) fn exists(id: &str, path: &str) -> Error {
    Error::state(format!("create container {id}"), "container with given ID already exists").object(path)
}

/// Makes `path` with all above it: below /run for root, where others may look but not write.
fn make_all(path: &str) -> Result<()> {
    let mut end = 0;
    while end < path.len() {
        end = path[end + 1..].find('/').map_or(path.len(), |at| end + 1 + at);
        let mode = Mode::from_raw_mode(if end == path.len() { 0o711 } else { 0o755 });
        match mkdirat(CWD, &path[..end], mode) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed(errno, "make the state directory", &path[..end])),
        }
    }
    Ok(())
}

/// Lines, and the sum of them all.
pub fn sealed(lines: &[String]) -> String {
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    format!("{text}{:016x}\n", file::sum(text.as_bytes()))
}

/// The lines that [`sealed`] has made the text from, if nothing of it has changed.
pub fn unsealed(text: &str) -> Option<Vec<String>> {
    let (lines, sum) = text.split_at_checked(text.len().checked_sub(17)?)?;
    let whole = sum == format!("{:016x}\n", file::sum(lines.as_bytes()));
    (whole || weak::is(Weakness::TrustTorn)).then(|| lines.lines().map(String::from).collect())
}

/// How long a command waits for another one on the same container.
const PATIENCE_MS: i64 = 10_000;

impl Home {
    /// The directory's descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Locks out other commands on this container, and sees that it was not deleted meanwhile.
    ///
    /// # Errors
    /// `State` if another command holds the lock for too long, or the container is gone.
    pub fn lock(&self) -> Result<()> {
        let attempted = "lock the container";
        let mut until = None;
        loop {
            match insula_sys::process::flock(self.fd(), false) {
                Ok(()) => break,
                Err(Errno::AGAIN) if now() < *until.get_or_insert_with(|| now() + PATIENCE_MS) => {
                    let _ = nanosleep(&Timespec { tv_sec: 0, tv_nsec: 2_000_000 });
                }
                Err(Errno::AGAIN) => {
                    return Err(Error::state(attempted, "another command has been working on it for 10 s")
                        .object(&*self.path)
                        .advice("end that command, or wait for it"));
                }
                Err(errno) => return Err(failed(errno, attempted, &self.path)),
            }
        }
        match rustix::fs::fstat(self.fd.as_fd()) {
            Ok(stat) if stat.st_nlink > 0 => Ok(()),
            Err(errno) => Err(failed(errno, attempted, &self.path)),
            Ok(_) => Err(Error::state(attempted, "container does not exist").object(&*self.path)),
        }
    }

    /// Whether the directory is there still after the machine was started anew.
    pub fn outlives_boot(&self) -> bool {
        /// f_type of tmpfs and ramfs (statfs(2)).
        const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];
        rustix::fs::fstatfs(self.fd.as_fd()).is_ok_and(|statfs| !IN_MEMORY.contains(&(statfs.f_type as i64)))
    }

    /// Locks the container again, after [`Self::unlock`]; false if it was deleted meanwhile.
    ///
    /// # Errors
    /// As [`Self::lock`].
    pub fn lock_again(&self) -> Result<bool> {
        match self.lock() {
            Err(_) if rustix::fs::fstat(self.fd.as_fd()).is_ok_and(|stat| stat.st_nlink == 0) => Ok(false),
            done => done.map(|()| true),
        }
    }

    /// Lets other commands work on this container.
    pub fn unlock(&self) {
        let _ = insula_sys::process::funlock(self.fd());
    }

    /// The container's record; `None` while it is not created (or its creator died).
    ///
    /// # Errors
    /// `State` naming the file if it is torn.
    pub fn record(&self) -> Result<Option<Record>> {
        match file::read(self.fd(), STATE, LARGEST, "read the container's state") {
            Ok(bytes) => Record::parse(&bytes).map(Some).map_err(|e| e.object(format!("{}/{STATE}", self.path))),
            Err(e) if e.errno() == Some(Errno::NOENT.raw_os_error()) => Ok(None),
            Err(e) => Err(e.object(format!("{}/{STATE}", self.path))),
        }
    }

    /// Whether there is a record, readable or not.
    pub fn has_record(&self) -> bool {
        statat(self.fd.as_fd(), STATE, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Writes the record to where it is renamed from.
    fn draft(&self, record: &Record) -> Result<()> {
        let text = record.to_json();
        match file::write_new(self.fd(), DRAFT, text.as_bytes(), 0o600) {
            Err(Errno::EXIST) => unlinkat(self.fd.as_fd(), DRAFT, AtFlags::empty())
                .and_then(|()| file::write_new(self.fd(), DRAFT, text.as_bytes(), 0o600)),
            done => done,
        }
        .map_err(|e| failed(e, "write the container's state", &self.path))
    }

    /// Writes the record, in one step.
    pub fn commit(&self, record: &Record) -> Result<()> {
        self.draft(record)?;
        rustix::fs::renameat(self.fd.as_fd(), DRAFT, self.fd.as_fd(), STATE)
            .map_err(|e| failed(e, "write the container's state", &self.path))
    }

    /// Writes down what is about to exist, before it does.
    pub fn intend(&self, cgroup: &[String]) -> Result<()> {
        if weak::is(Weakness::NoIntent) {
            return Ok(());
        }
        file::write_new(self.fd(), INTENT, sealed(cgroup).as_bytes(), 0o600)
            .map_err(|e| failed(e, "write down the intent", &self.path))
    }

    /// The cgroup's record as it was intended; `None` where it is missing or torn: cut short, a line would name another
    /// cgroup.
    pub fn intent(&self) -> Option<Vec<String>> {
        unsealed(&file::read_text(self.fd(), INTENT, LARGEST, "read the intent").ok()?)
    }

    /// Makes the fifo on which init waits, and opens it for init: for reading and writing, so that neither end waits for
    /// the other to be opened, and surviving execve.
    pub fn make_fifo(&self) -> Result<OwnedFd> {
        let attempted = "make the start fifo";
        let path = || format!("{}/{FIFO}", self.path);
        rustix::fs::mknodat(self.fd.as_fd(), FIFO, FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .map_err(|e| failed(e, attempted, &path()))?;
        openat(self.fd.as_fd(), FIFO, OFlags::RDWR | OFlags::NOFOLLOW, Mode::empty())
            .map_err(|e| failed(e, attempted, &path()))
    }

    /// Whether init was not started yet: the fifo goes when it is.
    pub fn waits_for_start(&self) -> bool {
        statat(self.fd.as_fd(), FIFO, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Removes the directory with all files in it, by descriptor; links and directories in it are not followed.
    pub fn remove(self) -> Result<()> {
        let attempted = "remove the container's state";
        // Nearly always these are all of its files, and they need not be looked for.
        let known = [STATE, CONFIG, INTENT].map(|name| unlinkat(self.fd.as_fd(), name, AtFlags::empty()));
        if known.iter().all(core::result::Result::is_ok)
            && unlinkat(self.root.as_fd(), &*self.id, AtFlags::REMOVEDIR).is_ok()
        {
            core::mem::forget(self);
            return Ok(());
        }
        for entry in Dir::read_from(self.fd.as_fd()).map_err(|e| failed(e, attempted, &self.path))? {
            let entry = entry.map_err(|e| failed(e, attempted, &self.path))?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let flags = if entry.file_type() == FileType::Directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
            let removed = match unlinkat(self.fd.as_fd(), name, flags) {
                Err(Errno::NOTEMPTY) => {
                    crate::notify::remove(&self);
                    unlinkat(self.fd.as_fd(), name, flags)
                }
                done => done,
            };
            match removed {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(failed(errno, attempted, &self.path)),
            }
        }
        match unlinkat(self.root.as_fd(), &*self.id, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed(errno, attempted, &self.path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_intent_is_none() {
        for lines in [&[][..], &["::/a/b".into()], &["memory:memory:/a".into(), ":unified:/ä".into()]] {
            let text = sealed(lines);
            assert_eq!(unsealed(&text).as_deref(), Some(lines));
            for length in (0..text.len()).filter(|length| text.is_char_boundary(*length)) {
                assert_eq!(unsealed(&text[..length]), None, "{length} bytes of {text:?}");
            }
            for at in 0..text.len() {
                let mut bytes = Vec::from(text.as_bytes());
                bytes[at] ^= 1;
                let flipped = String::from_utf8_lossy(&bytes).into_owned();
                assert_eq!(unsealed(&flipped), None, "byte {at} of {text:?}");
            }
        }
    }
}
