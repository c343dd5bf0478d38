// SPDX-License-Identifier: Apache-2.0
//! What a document says its process is, compared with what the kernel says of it, all from outside the container.

use crate::documents::Base;
use insula_tests::{KINDS, Value};
use nix::sched::{CloneFlags, setns};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A container as it runs.
pub(crate) struct Seen {
    pub(crate) pid: i32,
    pub(crate) record: Value,
    pub(crate) bundle: PathBuf,
}

type Check = Result<(), String>;

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, said: &T) -> Check {
    if is == said { Ok(()) } else { Err(format!("{what}: is {is:?}, the document says {said:?}")) }
}

fn list<'v>(document: &'v Value, pointer: &str) -> &'v [Value] {
    document.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'v>(document: &'v Value, pointer: &str) -> Option<&'v str> {
    document.pointer(pointer).and_then(Value::as_str)
}

fn number(document: &Value, pointer: &str) -> Option<u64> {
    document.pointer(pointer).and_then(Value::as_u64)
}

/// Compares everything. A process that its own limits or filter have killed by now can only have been begun.
pub(crate) fn check(document: &Value, base: &Base, seen: &Seen) -> Check {
    let checked = compare(document, base, seen);
    if checked.is_err() {
        // It may be about to end.
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let status = fs::read_to_string(seen.path("status")).unwrap_or_default();
    let dead = field(&status, "Umask").is_none() || field(&status, "State").is_some_and(|s| s.starts_with(['Z', 'X']));
    if !dead {
        return checked;
    }
    let fragile = base.name == "seccomp" || document.pointer("/process/rlimits").is_some();
    // sleep that is told to sleep for nothing, or is called by another name.
    let odd = document.pointer("/process/args") != base.document.pointer("/process/args");
    let small = number(document, "/linux/resources/memory/limit").is_some_and(|limit| limit < 1 << 20);
    if fragile || odd || small { Ok(()) } else { Err(format!("its process has ended at once; {checked:?}")) }
}

fn compare(document: &Value, base: &Base, seen: &Seen) -> Check {
    let read = |file: &str| fs::read(seen.path(file)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let status = read("status").unwrap_or_default();
    process(document, seen, &status)?;
    limits(document, &read("limits").unwrap_or_default())?;
    namespaces(document, seen)?;
    inside(document, seen)?;
    let mounts = read("mountinfo").unwrap_or_default();
    mounted(document, seen, &mounts)?;
    devices(document, seen)?;
    control_groups(document, &read("cgroup").unwrap_or_default())?;
    annotations(document, seen)?;
    hooks(document, base, seen)
}

impl Seen {
    fn path(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.pid.to_string()).join(file)
    }
}

fn field<'t>(status: &'t str, name: &str) -> Option<&'t str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// An id as it is outside the user namespace, if the document has one.
fn outside(document: &Value, kind: &str, id: u64) -> u64 {
    let ranges = list(document, &format!("/linux/{kind}Mappings"));
    let range = ranges.iter().find_map(|range| {
        let (inside, host, size) = (number(range, "/containerID")?, number(range, "/hostID")?, number(range, "/size")?);
        (inside..inside + size).contains(&id).then(|| host + id - inside)
    });
    range.unwrap_or(id)
}

fn process(document: &Value, seen: &Seen, status: &str) -> Check {
    let ids = |name: &str| -> Vec<u64> {
        field(status, name).unwrap_or_default().split_whitespace().filter_map(|id| id.parse().ok()).collect()
    };
    let uid = outside(document, "uid", number(document, "/process/user/uid").unwrap_or(0));
    let gid = outside(document, "gid", number(document, "/process/user/gid").unwrap_or(0));
    same("uid", &ids("Uid"), &vec![uid; 4])?;
    same("gid", &ids("Gid"), &vec![gid; 4])?;
    let mut groups: Vec<u64> = list(document, "/process/user/additionalGids")
        .iter()
        .filter_map(Value::as_u64)
        .map(|gid| outside(document, "gid", gid))
        .collect();
    groups.sort_unstable();
    same("groups", &ids("Groups"), &groups)?;
    let umask = number(document, "/process/user/umask").unwrap_or(0o22);
    same("umask", &field(status, "Umask").unwrap_or_default(), &format!("{umask:04o}").as_str())?;
    capabilities(document, status)?;
    let nnp = document.pointer("/process/noNewPrivileges") == Some(&Value::Bool(true));
    same("no_new_privs", &field(status, "NoNewPrivs"), &Some(if nnp { "1" } else { "0" }))?;
    let filtered = text(document, "/linux/seccomp/defaultAction").is_some_and(|action| !action.is_empty());
    let seccomp = field(status, "Seccomp").unwrap_or_default();
    if document.pointer("/linux/seccomp").is_some_and(Value::is_object) {
        same("seccomp", &(seccomp == "2"), &filtered)?;
    }
    if let Some(score) = document.pointer("/process/oomScoreAdj").and_then(Value::as_i64) {
        let is = fs::read_to_string(seen.path("oom_score_adj")).unwrap_or_default();
        same("oom_score_adj", &is.trim().to_owned(), &score.to_string())?;
    }
    command_line(document, seen)?;
    if let Some(domain) = text(document, "/linux/personality/domain") {
        let is = fs::read_to_string(seen.path("personality")).unwrap_or_default();
        let said = if domain == "LINUX32" { "00000008" } else { "00000000" };
        same("personality", &is.trim(), &said)?;
    }
    scheduler(document, seen)
}

fn command_line(document: &Value, seen: &Seen) -> Check {
    let strings = |file: &str| -> Vec<String> {
        let bytes = fs::read(seen.path(file)).unwrap_or_default();
        let mut strings: Vec<String> =
            bytes.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        strings.pop();
        strings
    };
    let said = |pointer: &str| -> Vec<String> {
        list(document, pointer).iter().filter_map(Value::as_str).map(String::from).collect()
    };
    same("arguments", &strings("cmdline"), &said("/process/args"))?;
    let mut wanted = BTreeMap::new();
    for entry in said("/process/env") {
        let name = entry.split('=').next().unwrap_or_default().to_owned();
        wanted.insert(name, entry);
    }
    let is = strings("environ");
    for entry in wanted.values() {
        let known = is.contains(entry) || entry == "HOME=";
        if !known {
            return Err(format!("environment: {entry:?} is not in {is:?}"));
        }
    }
    let cwd = text(document, "/process/cwd").unwrap_or_default();
    if !cwd.contains("..") {
        let plain: String = cwd.split('/').filter(|part| !part.is_empty()).map(|part| format!("/{part}")).collect();
        // Without a mount namespace of its own, the process has the host's paths and another root.
        let (is, root) = (fs::read_link(seen.path("cwd")), fs::read_link(seen.path("root")));
        let (is, root) = (is.unwrap_or_default(), root.unwrap_or_default());
        let is = is.strip_prefix(&root).map(|below| Path::new("/").join(below)).unwrap_or(is);
        same("cwd", &is.display().to_string().as_str(), &if plain.is_empty() { "/" } else { plain.as_str() })?;
    }
    Ok(())
}

/// Names of capabilities by number.
fn names() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let output =
            std::process::Command::new(insula_tests::runtime()).arg("features").output().expect("run features");
        let features = insula_tests::parse_json(&output.stdout);
        list(&features, "/linux/capabilities").iter().filter_map(Value::as_str).map(String::from).collect()
    })
}

/// capabilities(7), "Transformation of capabilities during execve()".
fn capabilities(document: &Value, status: &str) -> Check {
    if !document.pointer("/process/capabilities").is_some_and(Value::is_object) {
        return Ok(());
    }
    let set = |name: &str| -> u64 {
        list(document, &format!("/process/capabilities/{name}"))
            .iter()
            .filter_map(Value::as_str)
            .filter_map(|name| names().iter().position(|known| known == name))
            .fold(0, |set, number| set | 1 << number)
    };
    let is = |name: &str| u64::from_str_radix(field(status, name).unwrap_or_default(), 16).unwrap_or(u64::MAX);
    let (bounding, permitted, inheritable) = (set("bounding"), set("permitted"), set("inheritable"));
    same("CapBnd", &is("CapBnd"), &bounding)?;
    same("CapInh", &is("CapInh"), &inheritable)?;
    let ambient = set("ambient") & inheritable & permitted;
    if number(document, "/process/user/uid").unwrap_or(0) == 0 {
        // Root's program gains them; with no_new_privs no more than it had.
        let nnp = document.pointer("/process/noNewPrivileges") == Some(&Value::Bool(true));
        let all = inheritable | bounding;
        let said = if nnp { all & permitted } else { all };
        same("CapPrm", &is("CapPrm"), &said)?;
        same("CapEff", &is("CapEff"), &said)
    } else {
        same("CapAmb", &is("CapAmb"), &ambient)?;
        same("CapPrm", &is("CapPrm"), &ambient)?;
        same("CapEff", &is("CapEff"), &ambient)
    }
}

/// Policy and nice value, fields 41 and 19 of proc_pid_stat(5).
fn scheduler(document: &Value, seen: &Seen) -> Check {
    let Some(policy) = text(document, "/process/scheduler/policy") else { return Ok(()) };
    let policies =
        ["SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"];
    let stat = fs::read_to_string(seen.path("stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let said = policies.iter().position(|known| *known == policy).map(|number| number.to_string());
    same("scheduling policy", &fields.get(38).map(|text| (*text).to_owned()), &said)?;
    if matches!(policy, "SCHED_OTHER" | "SCHED_BATCH") {
        let nice = document.pointer("/process/scheduler/nice").and_then(Value::as_i64).unwrap_or(0);
        same("nice", &fields.get(16).map(|text| (*text).to_owned()), &Some(nice.to_string()))?;
    }
    Ok(())
}

fn limits(document: &Value, table: &str) -> Check {
    let names = [("RLIMIT_NOFILE", "Max open files"), ("RLIMIT_CORE", "Max core file size")];
    for limit in list(document, "/process/rlimits") {
        let Some((_, row)) = names.iter().find(|(name, _)| limit["type"] == *name) else { continue };
        let is: Vec<&str> = table
            .lines()
            .find_map(|line| line.strip_prefix(row))
            .map(|line| line.split_whitespace().take(2).collect())
            .unwrap_or_default();
        let said: Vec<String> = ["soft", "hard"]
            .iter()
            .map(|which| match limit[*which].as_u64() {
                Some(u64::MAX) => "unlimited".into(),
                value => value.unwrap_or(0).to_string(),
            })
            .collect();
        same(row, &is.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), &said)?;
    }
    Ok(())
}

fn namespaces(document: &Value, seen: &Seen) -> Check {
    let listed = list(document, "/linux/namespaces");
    for (kind, name) in KINDS {
        let entry = listed.iter().find(|entry| entry["type"] == kind);
        let own = fs::read_link(Path::new("/proc/thread-self/ns").join(name)).unwrap_or_default();
        let is = fs::read_link(seen.path("ns").join(name)).unwrap_or_default();
        let new = entry.is_some_and(|entry| entry["path"].as_str().is_none_or(str::is_empty));
        if own.as_os_str().is_empty() || is.as_os_str().is_empty() {
            return Err(format!("namespace {kind} cannot be seen"));
        }
        same(kind, &(own != is), &new)?;
    }
    for (clock, offset) in document.pointer("/linux/timeOffsets").and_then(Value::as_object).into_iter().flatten() {
        let is = fs::read_to_string(seen.path("timens_offsets")).unwrap_or_default();
        let line = is.lines().find_map(|line| line.strip_prefix(clock.as_str())).unwrap_or_default();
        let is: Vec<i64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let part = |name: &str| offset[name].as_i64().unwrap_or(0);
        same(clock, &is, &vec![part("secs"), part("nanosecs")])?;
    }
    Ok(())
}

/// What only somebody in its namespaces can see: names and kernel parameters.
fn inside(document: &Value, seen: &Seen) -> Check {
    let sysctls: Vec<(String, String)> = document
        .pointer("/linux/sysctl")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let path = if name.contains('/') { name.clone() } else { name.replace('.', "/") };
            Some((format!("/proc/sys/{path}"), value.as_str()?.trim().to_owned()))
        })
        .collect();
    let names = [("/hostname", "kernel/hostname"), ("/domainname", "kernel/domainname")];
    let names = names.iter().filter_map(|(pointer, file)| {
        let name = text(document, pointer).filter(|name| !name.is_empty())?;
        Some((format!("/proc/sys/{file}"), name.to_owned()))
    });
    let wanted: Vec<(String, String)> = sysctls.into_iter().chain(names).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let files = ["uts", "ipc", "net"].map(|name| fs::File::open(seen.path("ns").join(name)));
    // A thread can go and need not come back.
    std::thread::scope(|scope| {
        let looked = scope.spawn(move || {
            for file in files {
                setns(file.map_err(|error| error.to_string())?, CloneFlags::empty())
                    .map_err(|error| error.to_string())?;
            }
            for (path, said) in wanted {
                let is = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
                same(&path, &is.trim_end_matches('\n').replace('\t', " "), &said.replace('\t', " "))?;
            }
            Ok(())
        });
        looked.join().map_err(|_| "the look inside failed")?
    })
}

fn mounted(document: &Value, seen: &Seen, table: &str) -> Check {
    let plain = |path: &str| -> String {
        let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
        let path: String = parts.map(|part| format!("/{part}")).collect();
        if path.is_empty() { "/".into() } else { path }
    };
    // Later mounts cover earlier ones.
    let rows: Vec<(&str, &str, &str)> = table
        .lines()
        .rev()
        .filter_map(|line| {
            let (mount, kind) = line.split_once(" - ")?;
            let mut words = mount.split(' ').skip(4);
            Some((words.next()?, words.next()?, kind.split(' ').next()?))
        })
        .collect();
    let find = |path: &str| rows.iter().find(|(point, ..)| *point == path);
    let readonly = document.pointer("/root/readonly") == Some(&Value::Bool(true));
    let root = find("/").ok_or("no root in mountinfo")?;
    same("read-only root", &root.1.split(',').any(|option| option == "ro"), &readonly)?;
    for entry in list(document, "/mounts") {
        let destination = entry["destination"].as_str().unwrap_or_default();
        if destination.contains("..") || !destination.is_ascii() || destination.contains([' ', '\n', '\u{1}']) {
            continue;
        }
        let point = plain(destination);
        let Some((_, options, kind)) = find(&point) else { return Err(format!("nothing is mounted on {point}")) };
        let given: Vec<&str> = list(entry, "/options").iter().filter_map(Value::as_str).collect();
        let binds = given.iter().any(|option| *option == "bind" || *option == "rbind") || entry["type"] == "bind";
        let twice = list(document, "/mounts")
            .iter()
            .filter(|other| plain(other["destination"].as_str().unwrap_or_default()) == point)
            .count()
            > 1;
        if twice {
            continue;
        }
        if !binds {
            same(&format!("type of {point}"), kind, &entry["type"].as_str().unwrap_or_default())
                .or_else(|error| if kind.starts_with("cgroup") { Ok(()) } else { Err(error) })?;
        }
        for (option, opposite) in [("ro", "rw"), ("nosuid", "suid"), ("nodev", "dev"), ("noexec", "exec")] {
            let last = given.iter().rposition(|one| *one == option || *one == format!("r{option}"));
            let against = given.iter().rposition(|one| *one == opposite || *one == format!("r{opposite}"));
            if last > against && !options.split(',').any(|is| is == option) {
                return Err(format!("{point} is not {option} but {options}"));
            }
        }
    }
    hidden(document, seen, &find, &plain)
}

type Row<'t> = (&'t str, &'t str, &'t str);

/// maskedPaths and readonlyPaths that are there.
fn hidden<'t>(
    document: &Value,
    seen: &Seen,
    find: &impl Fn(&str) -> Option<&'t Row<'t>>,
    plain: &impl Fn(&str) -> String,
) -> Check {
    for (pointer, masked) in [("/linux/maskedPaths", true), ("/linux/readonlyPaths", false)] {
        for path in list(document, pointer).iter().filter_map(Value::as_str) {
            let path = plain(path);
            let inside = seen.path("root").join(&path[1..]);
            if path.contains("..") || path == "/" || !inside.exists() || inside.is_symlink() {
                continue;
            }
            let Some((_, options, kind)) = find(&path) else { return Err(format!("{path} is not covered")) };
            if masked {
                let empty = inside.is_dir() && *kind == "tmpfs" && fs::read_dir(&inside).is_ok_and(|d| d.count() == 0);
                let null =
                    inside.metadata().is_ok_and(|meta| meta.file_type().is_char_device() && meta.rdev() == 0x103);
                same(&format!("{path} masked"), &(empty || null), &true)?;
            } else {
                same(&format!("{path} read-only"), &options.split(',').any(|one| one == "ro"), &true)?;
            }
        }
    }
    Ok(())
}

fn devices(document: &Value, seen: &Seen) -> Check {
    for device in list(document, "/linux/devices") {
        let path = device["path"].as_str().unwrap_or_default().trim_end_matches('/');
        let covered = list(document, "/mounts").iter().any(|mount| mount["destination"] == path);
        if path.contains("..") || covered {
            continue;
        }
        let twice = list(document, "/linux/devices").iter().filter(|other| other["path"] == path).count() > 1;
        let at = seen.path("root").join(path.trim_start_matches('/'));
        let meta = fs::symlink_metadata(&at).map_err(|error| format!("device {path}: {error}"))?;
        if twice {
            continue;
        }
        let fifo = device["type"] == "p";
        let kind = if fifo {
            0o010_000
        } else if device["type"] == "b" {
            0o060_000
        } else {
            0o020_000
        };
        // The set-id bits mean nothing on a device, and go when the owner is set.
        let mode = number(device, "/fileMode").unwrap_or(0o666) & 0o1777;
        same(&format!("mode of {path}"), &u64::from(meta.mode() & !0o6000), &(kind | mode))?;
        let owner = (number(device, "/uid").unwrap_or(0), number(device, "/gid").unwrap_or(0));
        same(&format!("owner of {path}"), &(u64::from(meta.uid()), u64::from(meta.gid())), &owner)?;
        if !fifo {
            let part = |name: &str| device[name].as_u64().unwrap_or(0);
            let (major, minor) = (part("major"), part("minor"));
            let said = (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12);
            same(&format!("numbers of {path}"), &meta.rdev(), &said)?;
        }
    }
    Ok(())
}

fn control_groups(document: &Value, memberships: &str) -> Check {
    let path_of = |controller: &str| {
        memberships.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let list = parts.next()?;
            list.split(',').any(|one| one == controller).then(|| parts.next()).flatten()
        })
    };
    let own_namespace = list(document, "/linux/namespaces").iter().any(|entry| entry["type"] == "cgroup");
    if let Some(said) = text(document, "/linux/cgroupsPath").filter(|path| path.starts_with('/'))
        && !said.contains("..")
        && !own_namespace
    {
        let said = said.trim_end_matches('/').to_owned();
        let parts: Vec<&str> = said.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let is = path_of("pids").or_else(|| path_of("")).unwrap_or_default().to_owned();
        same("cgroup", &is, &format!("/{}", parts.join("/")))?;
    }
    let read = |controller: &str, file: &str| {
        let path = path_of(controller)?;
        let text = fs::read_to_string(format!("/sys/fs/cgroup/{controller}{path}/{file}")).ok()?;
        Some(text.trim().to_owned())
    };
    let page = |bytes: u64| bytes / 4096 * 4096;
    let value = |pointer: &str| document.pointer(&format!("/linux/resources/{pointer}")).and_then(Value::as_i64);
    for (pointer, controller, file) in [
        ("memory/limit", "memory", "memory.limit_in_bytes"),
        ("memory/reservation", "memory", "memory.soft_limit_in_bytes"),
        ("pids/limit", "pids", "pids.max"),
        ("cpu/quota", "cpu", "cpu.cfs_quota_us"),
        ("cpu/period", "cpu", "cpu.cfs_period_us"),
    ] {
        let (Some(said), Some(is)) = (value(pointer), read(controller, file)) else { continue };
        let said = match (controller, u64::try_from(said)) {
            ("memory", Ok(bytes)) if bytes > 0 && bytes < 1 << 62 => page(bytes).to_string(),
            ("pids" | "cpu", Ok(number)) if number > 0 => number.to_string(),
            // Zero and what is below zero mean no limit, or to leave what is.
            _ => continue,
        };
        same(pointer, &is, &said)?;
    }
    Ok(())
}

fn annotations(document: &Value, seen: &Seen) -> Check {
    let said = document.pointer("/annotations").filter(|map| map.as_object().is_some_and(|map| !map.is_empty()));
    same("annotations", &seen.record.get("annotations"), &said)
}

/// The hooks that are as they were have left their names.
fn hooks(document: &Value, base: &Base, seen: &Seen) -> Check {
    let before = ["prestart", "createRuntime", "createContainer", "poststart"];
    if base.name != "hooks" {
        return Ok(());
    }
    let marks = seen.bundle.parent().map(|place| place.join("ran")).unwrap_or_default();
    let marks = fs::read_to_string(marks).unwrap_or_default();
    let place = seen.bundle.parent().map(|place| place.display().to_string()).unwrap_or_default();
    let place = place.rsplit('-').next().unwrap_or_default().to_owned();
    let original = base.document["hooks"].to_string().replace(crate::documents::PLACE, &place);
    let original: Value = serde_json::from_str(&original).map_err(|error| error.to_string())?;
    for name in before {
        let count = marks.lines().filter(|line| *line == name).count();
        let now = document.pointer(&format!("/hooks/{name}"));
        if now == original.get(name) {
            same(&format!("hook {name} ran"), &count, &1)?;
        } else if now.is_none() {
            same(&format!("hook {name} ran"), &count, &0)?;
        }
    }
    Ok(())
}
