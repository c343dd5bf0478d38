// SPDX-License-Identifier: Apache-2.0
//! `verify`: what the kernel holds now against what the plan promised. Cheap enough for a cron job: some sixty system
//! calls a container, and one walk over the host's processes for all of them.

use crate::expect::Expectation;
use crate::file;
use crate::handle::Handle;
use crate::record::{Held, Record, Status};
use crate::share::namespace_of;
use crate::spawn::now;
use crate::status;
use crate::store::{Home, Root};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use insula_error::Result;
use insula_ns::{Identity, Kind};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, statat};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{Timespec, nanosleep};
use serde::Serialize;

/// Something that is not as planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about: `init`, `namespace`, `mapping`, `member`, `cgroup`, `seccomp`, `noNewPrivs`, `capabilities`,
    /// `propagation`.
    pub property: &'static str,
    /// What the plan says.
    pub expected: String,
    /// What there is.
    pub found: String,
}

/// What became of one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The container's id.
    pub id: String,
    /// Where it is in its life. Of one that has stopped there is nothing to compare.
    pub status: &'static str,
    /// Its first process; 0 once it has ended.
    pub pid: i32,
    /// Whether all is as planned.
    pub holds: bool,
    /// What is not.
    pub findings: Vec<Finding>,
    /// Properties that could not be compared: `member` of a container without cgroup, by which its own processes, and
    /// those of `exec`, are told from others.
    pub not_compared: Vec<&'static str>,
}

/// Compares one container after the other.
#[derive(Debug)]
pub struct Audit<'r> {
    root: &'r Root,
    /// Processes by the inode of their pid namespace, gathered when first needed.
    members: Option<BTreeMap<u64, Vec<i32>>>,
}

const ATTEMPTED: &str = "look at the container's process";

/// ENOENT, ESRCH, EINVAL: what procfs says of a process that is ending.
const ENDING: [i32; 3] = [2, 3, 22];

/// How long a process may be in the pid namespace and not yet in the cgroup, in milliseconds.
const SETTLING: i64 = 100;

/// Largest file of procfs that is read: mountinfo of thousands of mounts.
const LARGEST: usize = 16 << 20;

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, property: &'static str, expected: impl Into<String>, found: impl Into<String>) {
        self.0.push(Finding { property, expected: expected.into(), found: found.into() });
    }
}

impl<'r> Audit<'r> {
    /// Looks for other containers in `root`.
    pub fn new(root: &'r Root) -> Self {
        Self { root, members: None }
    }

    /// Compares the container with this record.
    ///
    /// # Errors
    /// `Kernel` if the caller may not look at its process.
    pub fn check(&mut self, home: &Home, record: &Record) -> Result<Verdict> {
        let status = status::of(home, record);
        let mut findings = Findings(Vec::new());
        let pid = match record.init() {
            None => {
                replaced(record, &mut findings);
                0
            }
            Some(init) => match self.running(record, &init, status, &mut findings) {
                // It ended while it was looked at; on its way out it has left its mounts and namespaces already.
                Err(e) if init.has_ended() || e.errno().is_some_and(|errno| ENDING.contains(&errno)) => {
                    findings.0.clear();
                    0
                }
                done => done.map(|()| init.pid)?,
            },
        };
        let status = if pid == 0 { Status::Stopped } else { status };
        let blind = pid != 0 && record.cgroup.is_empty() && owns_processes(record);
        Ok(Verdict {
            not_compared: if blind { Vec::from(["member"]) } else { Vec::new() },
            id: record.id.clone(),
            status: status.name(),
            pid,
            holds: findings.0.is_empty(),
            findings: findings.0,
        })
    }

    fn running(&mut self, record: &Record, init: &Handle, status: Status, findings: &mut Findings) -> Result<()> {
        let process = file::open_dir(CWD, &format!("/proc/{}", init.pid))
            .map_err(|e| insula_error::Error::kernel(e.raw_os_error(), ATTEMPTED))?;
        let process = process.as_fd();
        namespaces(record, init, process, findings)?;
        cgroup(record, init.pid, process, findings)?;
        if let Some(expectation) = &record.expect {
            mappings(expectation, process, findings)?;
            privileges(expectation, status, process, findings)?;
            propagation(expectation, process, findings)?;
        }
        self.members(record, init.pid, findings)
    }

    /// Processes of the container's own pid namespace must be in its cgroup, or in that of a container that joined it.
    fn members(&mut self, record: &Record, init: i32, findings: &mut Findings) -> Result<()> {
        let Some(held) = record.held(Kind::PID).filter(|held| held.how == "created") else { return Ok(()) };
        if record.cgroup.is_empty() {
            return Ok(());
        }
        let members = match &mut self.members {
            Some(members) => members,
            none => none.insert(by_pid_namespace()?),
        };
        let pids = members.get(&held.ino).map(Vec::as_slice).unwrap_or_default();
        let mut others: Option<Vec<Vec<String>>> = None;
        let mut outside = |pid: i32| -> Option<String> {
            // One that ended meanwhile is nobody's concern.
            let text = file::read_text(CWD, &format!("/proc/{pid}/cgroup"), LARGEST, ATTEMPTED).ok()?;
            if is_inside(&record.cgroup, &text) {
                return None;
            }
            let others = others.get_or_insert_with(|| self.root.joiners(record, held));
            (!others.iter().any(|cgroup| is_inside(cgroup, &text)) && still_in(pid, held)).then_some(text)
        };
        let mut suspects: Vec<i32> = pids.iter().copied().filter(|pid| *pid != init).collect();
        suspects.retain(|pid| outside(*pid).is_some());
        // `exec` enters the namespaces first and the cgroup a moment later.
        let deadline = now() + SETTLING;
        while !suspects.is_empty() && now() < deadline {
            let _ = nanosleep(&Timespec { tv_sec: 0, tv_nsec: 5_000_000 });
            suspects.retain(|pid| outside(*pid).is_some());
        }
        for pid in suspects {
            let Some(text) = outside(pid) else { continue };
            let name = file::read_text(CWD, &format!("/proc/{pid}/comm"), 4096, ATTEMPTED).unwrap_or_default();
            findings.add(
                "member",
                format!("only the container's processes in pid:[{}]", held.ino),
                format!("process {pid} ({}) of cgroup {}", name.trim_end(), shown_cgroup(&text)),
            );
        }
        Ok(())
    }
}

impl Root {
    /// Cgroups of the containers that joined the pid namespace `held` of `owner`.
    fn joiners(&self, owner: &Record, held: &Held) -> Vec<Vec<String>> {
        let ids = self.ids().unwrap_or_default().into_iter().filter(|id| *id != owner.id);
        let records = ids.filter_map(|id| self.home(&id).ok().flatten()?.record().ok().flatten());
        records
            .filter(|other| other.held(Kind::PID).is_some_and(|other| other.same(held)))
            .map(|other| other.cgroup)
            .collect()
    }
}

/// Whether the pid namespace was made for the container.
fn owns_processes(record: &Record) -> bool {
    record.held(Kind::PID).is_some_and(|held| held.how == "created")
}

/// The container's init is gone: has its number become another process's?
fn replaced(record: &Record, findings: &mut Findings) {
    let another = Pid::from_raw(record.init.pid)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
        .is_some_and(|pidfd| !Handle { pid: record.init.pid, pidfd }.has_ended());
    if another {
        let name =
            file::read_text(CWD, &format!("/proc/{}/comm", record.init.pid), 4096, ATTEMPTED).unwrap_or_default();
        findings.add(
            "init",
            format!("process {} is the container's first", record.init.pid),
            format!("it has ended, and the number is another process's now ({})", name.trim_end()),
        );
    }
}

fn namespaces(record: &Record, init: &Handle, process: BorrowedFd<'_>, findings: &mut Findings) -> Result<()> {
    let given = insula_ns::identity::all_at(process)?;
    for held in &record.namespaces {
        let Ok(kind) = Kind::from_spec_name(&held.kind) else { continue };
        let is = match (given[kind], held.id) {
            // The inode could have been used again; the id could not.
            (Some(is), Some(_)) => namespace_of(init, kind).map_or(Some(is), |fd| Some(is.with_id(fd.as_fd()))),
            (is, _) => is,
        };
        if !is.is_some_and(|is| held.is(&is)) {
            let expected = format!("{}:[{}], {}", kind.namespace().proc_name, held.ino, held.how);
            findings.add("namespace", expected, is.map_or_else(|| String::from("none"), |is| is.to_string()));
        }
    }
    Ok(())
}

fn mappings(expectation: &Expectation, process: BorrowedFd<'_>, findings: &mut Findings) -> Result<()> {
    for (name, expected) in [("uid_map", &expectation.uids), ("gid_map", &expectation.gids)] {
        if expected.is_empty() {
            continue;
        }
        let text = file::read_text(process, name, LARGEST, ATTEMPTED)?;
        let mut found: Vec<[u32; 3]> = text.lines().filter_map(line_of_map).collect();
        let mut expected = expected.clone();
        // The kernel sorts long maps.
        found.sort_unstable();
        expected.sort_unstable();
        if found != expected {
            findings.add("mapping", format!("{name} {}", shown_map(&expected)), shown_map(&found));
        }
    }
    Ok(())
}

pub(crate) fn line_of_map(line: &str) -> Option<[u32; 3]> {
    let mut numbers = line.split_ascii_whitespace().map(str::parse);
    Some([numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?])
}

/// `0:100000:65536,…`
pub(crate) fn shown_map(map: &[[u32; 3]]) -> String {
    let lines: Vec<String> = map.iter().map(|[inside, outside, count]| format!("{inside}:{outside}:{count}")).collect();
    lines.join(",")
}

/// Capabilities, seccomp and no_new_privs from /proc/\<pid\>/status.
fn privileges(
    expectation: &Expectation,
    status: Status,
    process: BorrowedFd<'_>,
    findings: &mut Findings,
) -> Result<()> {
    if !expectation.process {
        return Ok(());
    }
    let text = file::read_text(process, "status", LARGEST, ATTEMPTED)?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map_or("", str::trim);
    let set = |name: &str| u64::from_str_radix(field(name), 16).unwrap_or(0);
    let mut beyond = |what: &str, name: &str, allowed: u64| {
        let extra = set(name) & !allowed;
        if extra != 0 {
            findings.add(
                "capabilities",
                format!("{what} set without {}", capabilities(extra)),
                format!("{name} {:016x}", set(name)),
            );
        }
    };
    beyond("bounding", "CapBnd:", expectation.bounding);
    // Until it is started it still needs what it will then have given up.
    if status == Status::Created {
        return Ok(());
    }
    let reachable = expectation.bounding | expectation.inheritable;
    beyond("effective", "CapEff:", reachable);
    beyond("permitted", "CapPrm:", reachable);
    beyond("inheritable", "CapInh:", expectation.inheritable);
    beyond("ambient", "CapAmb:", expectation.ambient);
    if expectation.no_new_privs && field("NoNewPrivs:") != "1" {
        findings.add("noNewPrivs", "set", "not set");
    }
    if expectation.seccomp && field("Seccomp:") != "2" {
        findings.add("seccomp", "a filter is installed", "no filter");
    }
    Ok(())
}

fn capabilities(set: u64) -> String {
    let name = |number: u32| match insula_plan::capability_names().get(number as usize) {
        Some(name) => (*name).to_string(),
        None => format!("capability {number}"),
    };
    (0..64).filter(|number| set & 1 << number != 0).map(name).collect::<Vec<_>>().join(" ")
}

/// The container's root mount must not send its mounts to the host, unless the document says so.
fn propagation(expectation: &Expectation, process: BorrowedFd<'_>, findings: &mut Findings) -> Result<()> {
    if !expectation.own_mounts || expectation.shared_root {
        return Ok(());
    }
    let text = file::read_text(process, "mountinfo", LARGEST, ATTEMPTED)?;
    // The last mount on / is the one that is seen.
    let root = text.lines().rfind(|line| line.split(' ').nth(4) == Some("/")).unwrap_or_default();
    let shared = root.split(' ').skip(6).take_while(|word| *word != "-").find(|word| word.starts_with("shared:"));
    if let Some(group) = shared {
        findings.add("propagation", "mounts below / stay in the container", format!("/ is {group}"));
    }
    Ok(())
}

fn cgroup(record: &Record, pid: i32, process: BorrowedFd<'_>, findings: &mut Findings) -> Result<()> {
    if record.cgroup.is_empty() {
        return Ok(());
    }
    let text = file::read_text(process, "cgroup", LARGEST, ATTEMPTED)?;
    let moved = record.cgroup.iter().find(|line| !is_inside(core::slice::from_ref(*line), &text));
    // Where the hierarchy is mounted from below its root the paths differ; the list of members tells.
    let Some(line) =
        moved.filter(|_| !status::group(record).and_then(|g| g.pids(true)).is_ok_and(|pids| pids.contains(&pid)))
    else {
        return Ok(());
    };
    let mut parts = line.splitn(3, ':');
    let (list, path) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
    let found = path_in(&text, list).unwrap_or("none");
    findings.add("cgroup", format!("{path} ({})", if list.is_empty() { "version 2" } else { list }), found);
    Ok(())
}

/// The path that /proc/\<pid\>/cgroup has for the hierarchy with these controllers.
fn path_in<'t>(text: &'t str, list: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        (parts.nth(1)? == list).then(|| parts.next()).flatten()
    })
}

/// Whether a process with this /proc/\<pid\>/cgroup is in, or below, the cgroup of a record in one hierarchy at least.
fn is_inside(record: &[String], text: &str) -> bool {
    record.iter().any(|line| {
        let mut parts = line.splitn(3, ':');
        let (Some(list), Some(path)) = (parts.next(), parts.nth(1)) else { return false };
        path_in(text, list)
            .and_then(|is| is.strip_prefix(path))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn shown_cgroup(text: &str) -> &str {
    text.lines().find_map(|line| line.splitn(3, ':').nth(2).filter(|path| *path != "/")).unwrap_or("/")
}

/// All processes by their pid namespace.
fn by_pid_namespace() -> Result<BTreeMap<u64, Vec<i32>>> {
    let failed =
        |e: rustix::io::Errno| insula_error::Error::kernel(e.raw_os_error(), "look at all processes").object("/proc");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc: OwnedFd = openat(CWD, "/proc", flags, Mode::empty()).map_err(failed)?;
    let mut members: BTreeMap<u64, Vec<i32>> = BTreeMap::new();
    for entry in Dir::read_from(&proc).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(pid) = entry.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if let Ok(stat) = statat(&proc, format!("{pid}/ns/pid"), AtFlags::empty()) {
            members.entry(stat.st_ino).or_default().push(pid);
        }
    }
    Ok(members)
}

/// Whether process `pid` is (still) in the pid namespace: its number may be another's by now.
fn still_in(pid: i32, held: &Held) -> bool {
    insula_ns::identity::all_of_process(pid)
        .ok()
        .and_then(|all| all[Kind::PID])
        .is_some_and(|is: Identity| (is.dev, is.ino) == (held.dev, held.ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_below_the_cgroup_is_inside_and_a_neighbour_is_not() {
        let record = ["memory:memory:/insula/web".to_string(), ":unified:/insula/web".to_string()];
        for (text, inside) in [
            ("5:memory:/insula/web\n", true),
            ("5:memory:/insula/web/below\n", true),
            ("0::/insula/web\n", true),
            ("5:memory:/insula/web2\n", false),
            ("5:memory:/\n0::/\n", false),
            ("5:cpu:/insula/web\n", false),
        ] {
            assert_eq!(is_inside(&record, text), inside, "{text}");
        }
    }

    #[test]
    fn capabilities_are_named() {
        assert_eq!(capabilities(1 << 21 | 1), "CAP_CHOWN CAP_SYS_ADMIN");
        assert_eq!(capabilities(1 << 62), "capability 62");
    }

    #[test]
    fn a_map_is_read_as_the_kernel_writes_it() {
        assert_eq!(line_of_map("         0     100000      65536"), Some([0, 100_000, 65536]));
        assert_eq!(line_of_map(""), None);
        assert_eq!(shown_map(&[[0, 100_000, 65536], [65536, 1, 1]]), "0:100000:65536,65536:1:1");
    }
}
