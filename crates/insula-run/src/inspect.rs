// SPDX-License-Identifier: Apache-2.0
//! `inspect`: a container's eight namespaces as they are, with what belongs to each and who shares it.

use crate::audit::{line_of_map, shown_map};
use crate::file;
use crate::handle::Handle;
use crate::record::Record;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_ns::survey::Survey;
use insula_ns::{Kind, identity};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::CWD;
use serde::Serialize;

/// What there is to know of a running container's namespaces.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// The container's id.
    pub id: String,
    /// One word.
    pub status: &'static str,
    /// Its first process.
    pub pid: i32,
    /// It was continued from a checkpoint.
    pub restored: bool,
    /// One entry a kind, in the order of `insula_ns::Kind::all`.
    pub namespaces: Vec<Entry>,
    /// Lines of the user map, as the caller sees it: inside, outside, count.
    pub uid_map: Vec<[u32; 3]>,
    /// As `uid_map`, of groups.
    pub gid_map: Vec<[u32; 3]>,
    /// Lines of timens_offsets that are not zero: clock, seconds, nanoseconds.
    pub time_offsets: Vec<(String, i64, i64)>,
    /// Host name, if the caller may learn it.
    pub hostname: Option<String>,
    /// Domain name, likewise.
    pub domainname: Option<String>,
    /// Names of the network interfaces.
    pub interfaces: Vec<String>,
    /// How many mounts its process sees.
    pub mounts: usize,
    /// Its cgroup's path in each hierarchy: controllers (empty for version 2), path.
    pub cgroups: Vec<(String, String)>,
}

/// One kind.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// As config.json names it.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `created`, `joined` or `inherited`.
    pub how: String,
    /// `net:[4026532281]`
    pub identity: String,
    /// The number that is never used again, where the kernel has it.
    pub id: Option<u64>,
    /// The user namespace that owns it, where the caller may know.
    pub owner: Option<String>,
    /// The parent of a user or pid namespace, where the caller may know.
    pub parent: Option<String>,
    /// How many processes are in it.
    pub processes: usize,
    /// Other containers with processes in it.
    pub shared_with: Vec<String>,
    /// It is the one that the caller is in.
    pub host: bool,
    /// How it differs from the host's, or, where it is the host's, what that exposes.
    pub detail: String,
}

const ATTEMPTED: &str = "look into the container's process";
const LARGEST: usize = 16 << 20;

/// Looks at the container whose first process is `init`. `survey` was made while `init` was held.
///
/// The calling process joins the container's uts namespace to learn its name, and stays there.
///
/// # Errors
/// `Kernel` if the caller may not look into the process.
pub fn inspect(record: &Record, init: &Handle, status: &'static str, survey: &Survey) -> Result<Inspection> {
    let directory =
        file::open_dir(CWD, &format!("/proc/{}", init.pid)).map_err(|e| Error::kernel(e.raw_os_error(), ATTEMPTED))?;
    let process = directory.as_fd();
    let text = |name: &str| file::read_text(process, name, LARGEST, ATTEMPTED);
    let map = |name: &str| Ok::<_, Error>(text(name)?.lines().filter_map(line_of_map).collect::<Vec<_>>());
    let mut inspection = Inspection {
        id: record.id.clone(),
        status,
        pid: init.pid,
        restored: record.restored,
        namespaces: Vec::with_capacity(8),
        uid_map: map("uid_map")?,
        gid_map: map("gid_map")?,
        time_offsets: text("timens_offsets").map(|text| text.lines().filter_map(offset).collect()).unwrap_or_default(),
        hostname: None,
        domainname: None,
        interfaces: text("net/dev")?.lines().skip(2).filter_map(interface).collect(),
        mounts: text("mountinfo")?.lines().count(),
        cgroups: text("cgroup")?.lines().filter_map(cgroup).collect(),
    };
    let entries = entries(record, process, survey, &inspection.id)?;
    if init.has_ended() {
        return Err(Error::state(format!("inspect container {}", record.id), "it has stopped"));
    }
    if let Some((host, domain)) = names(init, entries.iter().any(|entry| entry.kind == "uts" && entry.host)) {
        (inspection.hostname, inspection.domainname) = (Some(host), Some(domain));
    }
    inspection.namespaces = entries;
    for index in 0..inspection.namespaces.len() {
        let entry = &inspection.namespaces[index];
        let exposes = Kind::from_spec_name(entry.kind).map_or("", |kind| kind.namespace().exposes);
        let detail = if entry.host { exposes.to_string() } else { inspection.detail(entry.kind) };
        inspection.namespaces[index].detail = detail;
    }
    Ok(inspection)
}

fn entries(record: &Record, process: BorrowedFd<'_>, survey: &Survey, id: &str) -> Result<Vec<Entry>> {
    let (given, own) = (identity::all_at(process)?, identity::all_of_self()?);
    let this = survey.container(id);
    let mut entries = Vec::with_capacity(8);
    for kind in Kind::all() {
        let Some(is) = given[kind] else { continue };
        let seen = survey.find(&is);
        let others = seen.into_iter().flat_map(|entry| entry.containers.iter()).filter(|index| Some(**index) != this);
        entries.push(Entry {
            kind: kind.namespace().spec_name,
            how: record.held(kind).map_or_else(|| String::from("inherited"), |held| held.how.clone()),
            identity: is.to_string(),
            id: seen.and_then(|entry| entry.identity.id),
            owner: seen.and_then(|entry| entry.owner).map(|owner| owner.to_string()),
            parent: seen.and_then(|entry| entry.parent).map(|parent| parent.to_string()),
            processes: seen.map_or(0, |entry| entry.pids.len()),
            shared_with: others
                .filter_map(|index| survey.containers.get(*index))
                .map(|c| c.label().to_string())
                .collect(),
            host: own[kind].is_some_and(|own| own.same_object(&is)),
            detail: String::new(),
        });
    }
    Ok(entries)
}

impl Inspection {
    /// How a namespace of the container's own differs from the host's.
    fn detail(&self, kind: &str) -> String {
        match kind {
            "user" => format!("uids {}, gids {}", shown_map(&self.uid_map), shown_map(&self.gid_map)),
            "pid" => format!("process {} of the host is seen in it", self.pid),
            "network" => match self.interfaces.as_slice() {
                [] => String::from("no interfaces"),
                some => format!("interfaces {}", some.join(" ")),
            },
            "mount" => format!("{} mounts", self.mounts),
            "uts" => self
                .hostname
                .as_ref()
                .map_or_else(|| String::from("a name of its own"), |name| format!("host name {name}")),
            "ipc" => String::from("queues, semaphores and shared memory of its own"),
            "cgroup" => {
                let path = self.cgroups.iter().map(|(_, path)| path.as_str()).find(|path| *path != "/").unwrap_or("/");
                format!("its tree begins at or above {path}")
            }
            _ if self.time_offsets.is_empty() => String::from("clocks without an offset"),
            _ => {
                let offsets: Vec<String> = self
                    .time_offsets
                    .iter()
                    .map(|(clock, s, ns)| {
                        let fraction = if *ns == 0 { String::new() } else { format!(".{ns:09}") };
                        format!("{clock} {s:+}{fraction} s")
                    })
                    .collect();
                offsets.join(", ")
            }
        }
    }
}

/// `boottime   86400   0`, unless it is zero.
fn offset(line: &str) -> Option<(String, i64, i64)> {
    let mut words = line.split_ascii_whitespace();
    let clock = words.next()?;
    let (seconds, nanoseconds) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (seconds != 0 || nanoseconds != 0).then(|| (clock.to_string(), seconds, nanoseconds))
}

/// The name before the colon in a line of /proc/net/dev.
fn interface(line: &str) -> Option<String> {
    line.split_once(':').map(|(name, _)| name.trim().to_string())
}

fn cgroup(line: &str) -> Option<(String, String)> {
    let mut parts = line.splitn(3, ':').skip(1);
    Some((parts.next()?.to_string(), parts.next()?.to_string()))
}

/// Host and domain name. An ordinary user may enter only with the user namespace.
fn names(init: &Handle, own: bool) -> Option<(String, String)> {
    let (user, uts) = (Kind::USER.namespace().clone_flag, Kind::UTS.namespace().clone_flag);
    let enter = |kinds| insula_sys::process::setns(init.pidfd.as_fd(), kinds).is_ok();
    (own || enter(uts) || enter(user | uts)).then(|| {
        let names = rustix::system::uname();
        (names.nodename().to_string_lossy().into_owned(), names.domainname().to_string_lossy().into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_procfs() {
        assert_eq!(offset("monotonic       5000000         0"), Some(("monotonic".into(), 5_000_000, 0)));
        assert_eq!(offset("boottime           0         0"), None);
        assert_eq!(interface("  eth0: 1 2 3"), Some("eth0".into()));
        assert_eq!(cgroup("4:cpu,cpuacct:/a:b"), Some(("cpu,cpuacct".into(), "/a:b".into())));
    }
}
