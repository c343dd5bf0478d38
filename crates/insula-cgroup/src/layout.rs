// SPDX-License-Identifier: Apache-2.0
//! Which hierarchies the host has, where they are mounted, and where in them the caller is. Source: cgroups(7).
//!
//! Found from /proc/self/cgroup and one open and one fstatfs per hierarchy. /proc/self/mountinfo, whose length is the
//! host's number of mounts, is read only if a hierarchy is not where every distribution mounts it.

use crate::path;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use insula_error::{Error, Result};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, OFlags};
use rustix::io::Errno;

/// Where cgroup hierarchies are mounted (systemd and cgroups(7); runc knows no other place either).
pub(crate) const ROOT: &str = "/sys/fs/cgroup";

/// Below [`ROOT`]: the v2 hierarchy of the hybrid layout.
const HYBRID: &str = "unified";

// linux/magic.h
const CGROUP_SUPER_MAGIC: u64 = 0x0027_e0eb;
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

/// A controller. Named hierarchies without one are known by systemd's only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// CPU and memory placement.
    Cpuset,
    /// CPU time.
    Cpu,
    /// CPU accounting (v1).
    Cpuacct,
    /// Memory.
    Memory,
    /// Device access (v1).
    Devices,
    /// Freezer (v1).
    Freezer,
    /// Block devices: `blkio` on v1, `io` on v2.
    Io,
    /// Number of tasks.
    Pids,
    /// Huge pages.
    Hugetlb,
    /// Class of packets (v1).
    NetCls,
    /// Priority of packets (v1).
    NetPrio,
    /// perf_event_open(2).
    PerfEvent,
    /// RDMA.
    Rdma,
    /// Scalar resources of the host.
    Misc,
    /// systemd's own hierarchy (v1).
    Systemd,
}

/// Names of the controllers in /proc/self/cgroup, and in `cgroup.controllers` where v2 has another.
static NAMES: [(Controller, &str, &str); 15] = [
    (Controller::Cpuset, "cpuset", "cpuset"),
    (Controller::Cpu, "cpu", "cpu"),
    (Controller::Cpuacct, "cpuacct", "cpu"),
    (Controller::Memory, "memory", "memory"),
    (Controller::Devices, "devices", "devices"),
    (Controller::Freezer, "freezer", "freezer"),
    (Controller::Io, "blkio", "io"),
    (Controller::Pids, "pids", "pids"),
    (Controller::Hugetlb, "hugetlb", "hugetlb"),
    (Controller::NetCls, "net_cls", "net_cls"),
    (Controller::NetPrio, "net_prio", "net_prio"),
    (Controller::PerfEvent, "perf_event", "perf_event"),
    (Controller::Rdma, "rdma", "rdma"),
    (Controller::Misc, "misc", "misc"),
    (Controller::Systemd, "name=systemd", "name=systemd"),
];

impl Controller {
    fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Its name in hierarchies of `version`.
    pub fn name(self, version: Version) -> &'static str {
        let row = &NAMES[self as usize];
        if version == Version::V1 { row.1 } else { row.2 }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Version of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy for one or some controllers.
    V1,
    /// The unified hierarchy.
    V2,
}

/// A set of v1 controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Controllers(u32);

impl Controllers {
    pub(crate) fn contains(self, controller: Controller) -> bool {
        self.0 & controller.bit() != 0
    }

    /// Reads a list such as `cpu,cpuacct`; unknown names are left out.
    pub(crate) fn parse(list: &str) -> Self {
        Self(list.split(',').filter_map(Controller::named).fold(0, |set, controller| set | controller.bit()))
    }
}

/// One mounted hierarchy.
#[derive(Debug)]
pub struct Hierarchy {
    /// Mount point's name below /sys/fs/cgroup; empty if it is mounted there itself.
    pub(crate) mount: String,
    /// Its v1 controllers as /proc/self/cgroup lists them; empty on v2.
    pub(crate) list: String,
    pub(crate) controllers: Controllers,
    pub(crate) version: Version,
    /// The caller's own cgroup in it: a clean path.
    pub(crate) own: String,
    pub(crate) root: OwnedFd,
}

/// The hierarchies that a container's cgroups are made in.
#[derive(Debug, Default)]
pub struct Layout {
    pub(crate) hierarchies: Vec<Hierarchy>,
}

/// Which of the three arrangements of cgroups(7) a host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// v1 hierarchies only.
    Legacy,
    /// v1 hierarchies, and v2 beside them for tracking processes.
    Hybrid,
    /// v2 only.
    Unified,
}

impl Layout {
    /// Looks at the host. An empty layout (no cgroup mounted at all) is not an error here.
    pub fn probe() -> Result<Self> {
        let own = read_proc("/proc/self/cgroup")?;
        let root = match open_directory(CWD, ROOT) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Self { hierarchies: Vec::new() }),
            result => {
                result.map_err(|e| Error::kernel(e.raw_os_error(), "find the cgroup hierarchies").object(ROOT))?
            }
        };
        if is_filesystem(root.as_fd(), CGROUP2_SUPER_MAGIC) {
            let own = own_path(own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/"))?;
            let unified = Hierarchy {
                mount: String::new(),
                list: String::new(),
                controllers: Controllers::default(),
                version: Version::V2,
                own,
                root,
            };
            return Ok(Self { hierarchies: Vec::from([unified]) });
        }
        let mut hierarchies = Vec::with_capacity(16);
        for line in own.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(_), Some(list), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(Error::state("read /proc/self/cgroup", format!("the line {line:?} is malformed")));
            };
            let found = if list.is_empty() {
                open_mount(root.as_fd(), HYBRID, CGROUP2_SUPER_MAGIC).map(|fd| (HYBRID.to_string(), fd))
            } else if Controllers::parse(list).0 == 0 {
                None // a named hierarchy that is somebody else's
            } else {
                find_mount(root.as_fd(), list)
            };
            if let Some((mount, fd)) = found {
                hierarchies.push(Hierarchy {
                    mount,
                    list: list.to_string(),
                    controllers: Controllers::parse(list),
                    version: if list.is_empty() { Version::V2 } else { Version::V1 },
                    own: own_path(path)?,
                    root: fd,
                });
            }
        }
        Ok(Self { hierarchies })
    }

    /// The host's arrangement; `Legacy` if nothing is mounted.
    pub fn mode(&self) -> Mode {
        let v2 = self.hierarchies.iter().any(|hierarchy| hierarchy.version == Version::V2);
        match (v2, self.hierarchies.iter().any(|hierarchy| hierarchy.version == Version::V1)) {
            (true, false) => Mode::Unified,
            (true, true) => Mode::Hybrid,
            (false, _) => Mode::Legacy,
        }
    }

    /// The mount points and controllers, in the host's order: (`cpu,cpuacct`, `/sys/fs/cgroup/cpu,cpuacct`).
    /// v2 has no controllers here.
    pub fn hierarchies(&self) -> impl Iterator<Item = (&str, String)> {
        self.hierarchies.iter().map(|hierarchy| (&*hierarchy.list, mount_point(&hierarchy.mount)))
    }

    /// Mount points with the full path of the caller's own cgroup; what cannot be found is left out.
    pub fn own(&self) -> impl Iterator<Item = (String, String)> {
        self.hierarchies.iter().filter_map(|hierarchy| {
            let mount_point = mount_point(&hierarchy.mount);
            let own = hierarchy.own_beneath().ok()?;
            let path = if own.is_empty() { mount_point.clone() } else { format!("{mount_point}/{own}") };
            Some((mount_point, path))
        })
    }
}

impl Hierarchy {
    /// The caller's own cgroup below this mount.
    ///
    /// In a container that has no cgroup namespace, /proc/self/cgroup counts from the host's root while only a part of
    /// the hierarchy is mounted; then, and only then, the mount's root is read from /proc/self/mountinfo.
    pub(crate) fn own_beneath(&self) -> Result<String> {
        if self.own.is_empty() || path::open_beneath(self.root.as_fd(), &self.own, OFlags::PATH).is_ok() {
            return Ok(self.own.clone());
        }
        let mounts = read_proc("/proc/self/mountinfo")?;
        let mount_point = mount_point(&self.mount);
        let root = mounts.lines().rev().find_map(|line| {
            let mut words = line.split(' ').skip(3);
            let (root, at) = (words.next()?, words.next()?);
            (at == mount_point).then_some(root)
        });
        let root = own_path(root.unwrap_or("/"))?;
        Ok(match self.own.strip_prefix(root.as_str()) {
            Some(rest) if !root.is_empty() && (rest.is_empty() || rest.starts_with('/')) => {
                rest.trim_start_matches('/').to_string()
            }
            _ => self.own.clone(),
        })
    }
}

/// The full path of a mount below [`ROOT`].
pub(crate) fn mount_point(mount: &str) -> String {
    if mount.is_empty() { ROOT.to_string() } else { format!("{ROOT}/{mount}") }
}

fn own_path(path: &str) -> Result<String> {
    // The kernel escapes nothing but appends this when somebody removed the cgroup under a dying process.
    path::clean(path.strip_suffix(" (deleted)").unwrap_or(path), "")
}

/// The mount of the v1 hierarchy with the controllers in `list`: by the name that the list gives, or by one of its
/// controllers' (where `cpu` is a link to `cpu,cpuacct`, or the order differs).
fn find_mount(root: BorrowedFd<'_>, list: &str) -> Option<(String, OwnedFd)> {
    let plain = list.strip_prefix("name=").unwrap_or(list);
    let mut names = core::iter::once(plain).chain(plain.split(',').filter(|name| *name != plain));
    names.find_map(|name| open_mount(root, name, CGROUP_SUPER_MAGIC).map(|fd| (name.to_string(), fd)))
}

fn open_mount(root: BorrowedFd<'_>, name: &str, magic: u64) -> Option<OwnedFd> {
    open_directory(root, name).ok().filter(|fd| is_filesystem(fd.as_fd(), magic))
}

fn open_directory(at: BorrowedFd<'_>, name: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(at, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, rustix::fs::Mode::empty())
}

fn is_filesystem(fd: BorrowedFd<'_>, magic: u64) -> bool {
    rustix::fs::fstatfs(fd).is_ok_and(|found| found.f_type as u64 == magic)
}

fn read_proc(name: &'static str) -> Result<String> {
    let failed = |e: Errno| Error::kernel(e.raw_os_error(), "find the cgroup hierarchies").object(name);
    let fd = rustix::fs::open(name, OFlags::RDONLY | OFlags::CLOEXEC, rustix::fs::Mode::empty()).map_err(failed)?;
    let text = crate::file::read_all(fd.as_fd()).map_err(failed);
    insula_sys::memory::leave(fd);
    text
}

/// Opens the root of the hierarchy mounted at `mount` below [`ROOT`], as a record names it.
pub(crate) fn open_root(mount: &str) -> rustix::io::Result<OwnedFd> {
    open_directory(CWD, &mount_point(mount))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_the_enumeration() {
        for (index, row) in NAMES.iter().enumerate() {
            assert_eq!(row.0 as usize, index);
            assert_eq!(Controller::named(row.1), Some(row.0));
            assert!(Controllers::parse(row.1).contains(row.0));
        }
        assert_eq!(Controller::Io.name(Version::V1), "blkio");
        assert_eq!(Controller::Io.name(Version::V2), "io");
    }

    #[test]
    fn lists_of_controllers() {
        let both = Controllers::parse("cpu,cpuacct");
        assert!(both.contains(Controller::Cpu) && both.contains(Controller::Cpuacct));
        assert!(!both.contains(Controller::Cpuset));
        assert_eq!(Controllers::parse("name=elogind"), Controllers::default());
    }

    #[test]
    fn this_machine_has_a_layout() {
        let layout = Layout::probe().unwrap();
        for (controllers, mount) in layout.hierarchies() {
            assert!(std::path::Path::new(&mount).join("cgroup.procs").exists(), "{controllers} at {mount}");
        }
        let v1_lines =
            std::fs::read_to_string("/proc/self/cgroup").unwrap().lines().filter(|l| !l.starts_with("0:")).count();
        assert_eq!(layout.mode() == Mode::Unified, layout.hierarchies.iter().all(|h| h.version == Version::V2));
        assert!(layout.hierarchies.len() <= v1_lines + 1);
    }

    #[test]
    fn controllers_mounted_together_are_found_by_any_of_their_names() {
        let Some(real) = ["cpu", "memory", "pids"]
            .map(|name| format!("{ROOT}/{name}"))
            .into_iter()
            .find(|path| open_directory(CWD, path).is_ok_and(|fd| is_filesystem(fd.as_fd(), CGROUP_SUPER_MAGIC)))
        else {
            println!("skipped: no v1 hierarchy");
            return;
        };
        for (link, list, found) in [
            ("cpu,cpuacct", "cpu,cpuacct", true),
            ("cpuacct,cpu", "cpu,cpuacct", false),
            ("cpu", "cpu,cpuacct", true),
            ("cpuacct", "cpu,cpuacct", true),
            ("systemd", "name=systemd", true),
            ("memory", "cpu,cpuacct", false),
        ] {
            let dir = std::env::temp_dir().join(format!("insula-cgroup-layout-{}-{link}", std::process::id()));
            std::fs::create_dir(&dir).unwrap();
            std::os::unix::fs::symlink(&real, dir.join(link)).unwrap();
            let root = open_directory(CWD, dir.to_str().unwrap()).unwrap();
            let mount = find_mount(root.as_fd(), list);
            std::fs::remove_dir_all(&dir).unwrap();
            assert_eq!(mount.map(|(name, _)| name), found.then(|| link.to_string()), "{list} at {link}");
        }
        // a directory of that name that is no cgroup file system is none
        assert!(open_mount(open_directory(CWD, "/").unwrap().as_fd(), "tmp", CGROUP_SUPER_MAGIC).is_none());
    }
}
