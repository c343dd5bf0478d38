// SPDX-License-Identifier: Apache-2.0
//! Putting device rules into force: `devices.allow` and `devices.deny` on v1, a BPF program on v2.

use super::DeviceRules;
use crate::file;
use crate::group::{Entry, Group};
use crate::layout::{Controller, Version};
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_sys::bpf;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const ATTEMPTED: &str = "limit access to devices";
const POINTER: &str = "/linux/resources/devices";

/// The kernel's own limit of programs per cgroup (BPF_CGROUP_MAX_PROGS).
const MOST_PROGRAMS: usize = 64;

impl Group {
    /// Replaces the device rules of the cgroup. Access that both the old and the new rules allow is not interrupted.
    ///
    /// A rootless caller may lack permission; the host's devices are out of its reach anyway, so that is no error.
    pub(crate) fn limit_devices(&self, rules: &DeviceRules, fresh: bool) -> Result<()> {
        let Some(entry) = self.of(Controller::Devices) else {
            let missing = || Error::unsupported(POINTER, ATTEMPTED, "the devices controller is not mounted");
            return if self.rootless { Ok(()) } else { Err(missing()) };
        };
        let result = match entry.version {
            Version::V1 => limit_v1(entry, rules),
            Version::V2 => limit_v2(entry, rules, fresh),
        };
        if self.rootless { Ok(()) } else { result }
    }
}

fn limit_v1(entry: &Entry, rules: &DeviceRules) -> Result<()> {
    const LIST: &str = "devices.list";
    let failed = |e: Errno, name: &str| entry.error(e, ATTEMPTED, name).field(POINTER);
    let present = || {
        let text = entry.dir().and_then(|dir| file::read(dir, LIST)).map_err(|e| failed(e, LIST))?;
        let torn =
            || Error::state(ATTEMPTED, "a line is not understood").object(alloc::format!("{}/{LIST}", entry.display()));
        DeviceRules::parse_list(&text).ok_or_else(torn)
    };
    let mut files: [Option<OwnedFd>; 2] = [None, None];
    for change in present()?.changes(rules) {
        let name = ["devices.deny", "devices.allow"][usize::from(change.allow)];
        let file = &mut files[usize::from(change.allow)];
        let opened = match file.take() {
            Some(fd) => Ok(fd),
            None => entry.dir().and_then(|dir| file::open(dir, name, OFlags::WRONLY)),
        };
        let fd = opened.map_err(|e| failed(e, name))?;
        file::write_to(fd.as_fd(), &change.line).map_err(|e| {
            failed(e, name).object(alloc::format!("write {:?} to {}/{name}", change.line, entry.display()))
        })?;
        *file = Some(fd);
    }
    // The kernel ignores some requests without a word; an access list is not to be taken on trust.
    if present()?.shows(rules) {
        return Ok(());
    }
    Err(Error::new(insula_error::Kind::NotIsolated, ATTEMPTED)
        .field(POINTER)
        .object(alloc::format!("{}/{LIST}", entry.display()))
        .reason("the kernel did not take the device rules as they were written"))
}

fn limit_v2(entry: &Entry, rules: &DeviceRules, fresh: bool) -> Result<()> {
    if fresh && rules.allow_all() {
        return Ok(());
    }
    let failed = |e: Errno| {
        let error = entry.error(e, ATTEMPTED, "(BPF_CGROUP_DEVICE)").field(POINTER);
        if e == Errno::PERM { error.advice("device rules on cgroup v2 need CAP_BPF or CAP_SYS_ADMIN") } else { error }
    };
    let dir = entry.dir().map_err(failed)?;
    let program = load(&rules.program()?).map_err(failed)?;
    let old = if fresh { Vec::new() } else { attached(dir).map_err(failed)? };
    if let [only] = &*old {
        match bpf::attach_cgroup_device(dir, program.as_fd(), Some(only.as_fd())) {
            // KERNEL(5.6): no replacing; both are in force for a moment, which allows less, never more.
            Err(Errno::INVAL) => {}
            result => return result.map_err(failed),
        }
    }
    bpf::attach_cgroup_device(dir, program.as_fd(), None).map_err(failed)?;
    // Attached, it lives as long as the cgroup.
    insula_sys::memory::leave(program);
    old.iter().try_for_each(|old| bpf::detach_cgroup_device(dir, old.as_fd())).map_err(failed)
}

fn load(program: &[bpf::Instruction]) -> rustix::io::Result<OwnedFd> {
    match bpf::load_cgroup_device(program) {
        // KERNEL(5.11): before, programs count against this limit, which is small by default.
        Err(Errno::PERM) => {}
        result => return result,
    }
    let before = getrlimit(Resource::Memlock);
    setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None })?;
    let result = bpf::load_cgroup_device(program);
    setrlimit(Resource::Memlock, before)?;
    result
}

/// The device programs attached to the cgroup itself. One that a security module hides is left out: programs only
/// take access away, so leaving it in place is safe.
fn attached(dir: BorrowedFd<'_>) -> rustix::io::Result<Vec<OwnedFd>> {
    let mut ids = [0; MOST_PROGRAMS];
    let count = bpf::query_cgroup_device(dir, &mut ids)?;
    let mut programs = Vec::with_capacity(count);
    for id in ids.iter().take(count) {
        match bpf::program_by_id(*id) {
            Ok(fd) => programs.push(fd),
            Err(Errno::PERM | Errno::ACCESS | Errno::NOENT) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(programs)
}
