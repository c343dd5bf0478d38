// SPDX-License-Identifier: Apache-2.0
//! `linux.intelRdt`: the container's class of service, a directory of resctrl. Source: the kernel's
//! Documentation/filesystems/resctrl.rst; runtime-spec, config-linux.md, "IntelRdt".

mod stats;

pub(crate) use stats::stats;

use crate::file;
use crate::launch::Log;
use crate::store::Home;
use alloc::format;
use alloc::string::String;
use insula_error::{Error, Result};
use insula_spec::IntelRdt;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, statat, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// Where resctrl is mounted unless somebody chose another place.
const MOUNT_POINT: &str = "/sys/fs/resctrl";
/// f_type of resctrl (linux/magic.h, RDTGROUP_SUPER_MAGIC).
const MAGIC: i64 = 0x0765_5821;
/// The note in the container's state directory, written before anything is made.
const NOTE: &str = "resctrl.json";
const FIELD: &str = "/linux/intelRdt";

/// A class of service to be made or used.
#[derive(Debug)]
pub(crate) struct Class {
    root: String,
    held: Held,
    /// Lines for the schemata file, each with its newline.
    schemata: String,
}

/// What a container has of resctrl.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    /// The class's directory.
    path: String,
    /// The container's monitoring group.
    monitor: Option<String>,
    /// The class is the container's own and ends with it.
    own: bool,
}

fn failed(errno: Errno, attempted: &'static str, path: &str, field: &'static str, root: &str) -> Error {
    let error = Error::kernel(errno.raw_os_error(), attempted).object(path).field(field);
    // The kernel says what it did not like in a file of its own.
    match file::read_text(CWD, &format!("{root}/info/last_cmd_status"), 4096, attempted) {
        Ok(status) if !status.trim().is_empty() && status.trim() != "ok" => error.reason(String::from(status.trim())),
        _ => error,
    }
}

/// Where resctrl is mounted.
fn mounted() -> Option<String> {
    let stat = rustix::fs::statfs(MOUNT_POINT).ok()?;
    if stat.f_type as i64 == MAGIC {
        return Some(String::from(MOUNT_POINT));
    }
    let text = file::read_text(CWD, "/proc/self/mountinfo", 16 << 20, "find resctrl").ok()?;
    text.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        (kind.split(' ').next() == Some("resctrl")).then(|| mount.split(' ').nth(4).map(String::from))?
    })
}

impl Class {
    /// What the document asks for, for container `id`.
    ///
    /// # Errors
    /// `Unsupported` where this host has no resctrl, or lacks what a schema is about; `Invalid` if a class that is only
    /// named is not there.
    pub(crate) fn of(rdt: &IntelRdt<'_>, id: &str) -> Result<Self> {
        let attempted = "put the container into a class of service";
        let root = mounted().ok_or_else(|| {
            Error::unsupported(FIELD, attempted, "resctrl is not mounted: Intel RDT is not enabled")
                .advice("mount -t resctrl resctrl /sys/fs/resctrl, on a host whose processor and kernel have it, or remove the field")
        })?;
        Self::below(rdt, id, root)
    }

    fn below(rdt: &IntelRdt<'_>, id: &str, root: String) -> Result<Self> {
        let attempted = "put the container into a class of service";
        let there = |path: &str| statat(CWD, path, AtFlags::empty()).is_ok();
        for (schema, part, field) in [
            (&rdt.l3_cache_schema, "L3", "/linux/intelRdt/l3CacheSchema"),
            (&rdt.mem_bw_schema, "MB", "/linux/intelRdt/memBwSchema"),
        ] {
            // A processor with separate code and data caches has two parts of that name.
            let known = || ["", "CODE"].iter().any(|suffix| there(&format!("{root}/info/{part}{suffix}")));
            if schema.as_deref().is_some_and(|schema| !schema.is_empty()) && !known() {
                return Err(Error::unsupported(field, attempted, format!("resctrl has no {part} on this host")));
            }
        }
        let named = rdt.clos_id.as_deref().filter(|class| !class.is_empty());
        let path = match named {
            Some("/") => root.clone(),
            Some(class) => format!("{root}/{class}"),
            None => format!("{root}/{id}"),
        };
        let lines = [&rdt.l3_cache_schema, &rdt.mem_bw_schema].into_iter().flatten().chain(&rdt.schemata);
        let schemata: String = lines.filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect();
        let exists = there(&path);
        if !exists && named.is_some() && schemata.is_empty() {
            return Err(Error::invalid("/linux/intelRdt/closID", attempted, format!("there is no class {path}"))
                .advice("make it first, or give schemata for a new one"));
        }
        let monitor = rdt.enable_monitoring.then(|| format!("{path}/mon_groups/{id}"));
        Ok(Self { root, held: Held { path, monitor, own: named.is_none() && !exists }, schemata })
    }

    /// Makes the class where it is missing, its monitoring group, and writes its schemata. What is made is noted before.
    pub(crate) fn make(&self, home: &Home) -> Result<()> {
        let note = serde_json::to_string(&self.held).unwrap_or_default();
        file::write_new(home.fd(), NOTE, note.as_bytes(), 0o600)
            .map_err(|e| Error::kernel(e.raw_os_error(), "note the class of service").object(home.path.clone()))?;
        self.make_dirs()
    }

    fn make_dirs(&self) -> Result<()> {
        let make = |path: &str, attempted, field| match mkdirat(CWD, path, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(failed(errno, attempted, path, field, &self.root)),
        };
        make(&self.held.path, "make the class of service", FIELD)?;
        if let Some(monitor) = &self.held.monitor {
            make(monitor, "make the monitoring group", "/linux/intelRdt/enableMonitoring")?;
        }
        self.held.set(&self.schemata, &self.root)
    }

    /// Puts process `pid`, and what it will fork, into the class.
    pub(crate) fn enter(&self, pid: i32) -> Result<()> {
        self.held.enter(pid, &self.root)
    }
}

/// Writes a file of resctrl, which takes a text in one write or not at all.
fn write(path: &str, text: &str) -> core::result::Result<(), Errno> {
    let fd = openat(CWD, path, OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC, Mode::from_raw_mode(0o600))?;
    file::write_all(rustix::fd::AsFd::as_fd(&fd), text.as_bytes())
}

impl Held {
    fn set(&self, schemata: &str, root: &str) -> Result<()> {
        if schemata.is_empty() {
            return Ok(());
        }
        let path = format!("{}/schemata", self.path);
        write(&path, schemata).map_err(|e| failed(e, "set the schemata", &path, "/linux/intelRdt/schemata", root))
    }

    fn enter(&self, pid: i32, root: &str) -> Result<()> {
        for group in core::iter::once(&self.path).chain(&self.monitor) {
            let path = format!("{group}/tasks");
            write(&path, &format!("{pid}"))
                .map_err(|e| failed(e, "put the process into its class of service", &path, FIELD, root))?;
        }
        Ok(())
    }

    fn is_of_resctrl(&self) -> bool {
        rustix::fs::statfs(self.path.as_str()).is_ok_and(|stat| stat.f_type as i64 == MAGIC)
    }

    /// A class that others made, or that has a name of its own, stays; its tasks fall back to the root class otherwise.
    fn remove(&self) -> Result<()> {
        let path = if self.own { Some(&self.path) } else { self.monitor.as_ref() };
        let Some(path) = path else { return Ok(()) };
        match unlinkat(CWD, path.as_str(), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::kernel(errno.raw_os_error(), "remove the class of service")
                .object(path.clone())
                .field(FIELD)),
        }
    }
}

/// The container's note, if it has one.
fn held(home: &Home) -> Result<Option<Held>> {
    let attempted = "read the container's class of service";
    match file::read(home.fd(), NOTE, 64 << 10, attempted) {
        Err(e) if e.errno() == Some(Errno::NOENT.raw_os_error()) => Ok(None),
        Err(e) => Err(e),
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            Error::state(attempted, format!("the note is torn: {e}")).object(format!("{}/{NOTE}", home.path))
        }),
    }
}

/// Puts a process of `exec` where the container's are.
pub(crate) fn enter(home: &Home, pid: i32) -> Result<()> {
    held(home)?.map_or(Ok(()), |held| held.enter(pid, &mounted().unwrap_or_default()))
}

/// Removes what the container has of its own; never anything outside of resctrl, whatever the note says. A note that is
/// torn says nothing, and keeps no container from being deleted.
pub(crate) fn remove(home: &Home, log: Option<&dyn Log>) -> Result<()> {
    match held(home) {
        Ok(Some(held)) if held.is_of_resctrl() => held.remove(),
        Ok(_) => Ok(()),
        Err(e) => match log {
            Some(log) => {
                log.warn(&format!("{e}: its class of service, if it had one, stays"));
                Ok(())
            }
            None => Err(e),
        },
    }
}

/// `update --l3-cache-schema` and `--mem-bw-schema`; a container without a class gets one (COMPAT(runc)).
///
/// # Errors
/// As `create` has them.
pub fn update(home: &Home, id: &str, pid: i32, rdt: &IntelRdt<'_>) -> Result<()> {
    let class = Class::of(rdt, id)?;
    match held(home)? {
        Some(held) => held.set(&class.schemata, &class.root),
        None => {
            class.make(home)?;
            class.enter(pid)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// A directory with the files that resctrl would have.
    struct Fake(PathBuf);

    impl Fake {
        fn new(name: &str, parts: &[&str]) -> Self {
            let path = std::env::temp_dir().join(format!("insula-resctrl-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            for part in parts {
                fs::create_dir_all(path.join("info").join(part)).unwrap();
            }
            fs::create_dir_all(path.join("info")).unwrap();
            Self(path)
        }

        fn class(&self, rdt: &IntelRdt<'_>) -> Result<Class> {
            Class::below(rdt, "web", self.0.to_str().unwrap().into())
        }

        fn text(&self, path: &str) -> String {
            fs::read_to_string(self.0.join(path)).unwrap()
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_class_of_its_own_is_made_and_removed() {
        let fake = Fake::new("own", &["L3", "MB"]);
        let rdt = IntelRdt {
            l3_cache_schema: Some("L3:0=f".into()),
            mem_bw_schema: Some("MB:0=20".into()),
            schemata: vec!["L2:0=3".into()],
            ..IntelRdt::default()
        };
        let class = fake.class(&rdt).unwrap();
        class.make_dirs().unwrap();
        class.enter(42).unwrap();
        assert_eq!(fake.text("web/schemata"), "L3:0=f\nMB:0=20\nL2:0=3\n");
        assert_eq!(fake.text("web/tasks"), "42");
        // resctrl removes a directory with its files; a plain one must be empty.
        fs::remove_file(fake.0.join("web/schemata")).unwrap();
        fs::remove_file(fake.0.join("web/tasks")).unwrap();
        class.held.remove().unwrap();
        assert!(!fake.0.join("web").exists());
    }

    #[test]
    fn a_named_class_stays_and_only_its_monitoring_group_goes() {
        let fake = Fake::new("named", &[]);
        let named = IntelRdt { clos_id: Some("gold".into()), enable_monitoring: true, ..IntelRdt::default() };
        let error = fake.class(&named).unwrap_err();
        assert_eq!(error.pointer(), Some("/linux/intelRdt/closID"));
        fs::create_dir_all(fake.0.join("gold/mon_groups")).unwrap();
        let class = fake.class(&named).unwrap();
        class.make_dirs().unwrap();
        class.enter(7).unwrap();
        assert_eq!(fake.text("gold/tasks"), "7");
        assert_eq!(fake.text("gold/mon_groups/web/tasks"), "7");
        assert!(!fake.0.join("gold/schemata").exists(), "nothing was asked of the schemata");
        fs::remove_file(fake.0.join("gold/mon_groups/web/tasks")).unwrap();
        class.held.remove().unwrap();
        assert!(fake.0.join("gold").exists() && !fake.0.join("gold/mon_groups/web").exists());
    }

    #[test]
    fn a_named_class_with_schemata_is_made_and_kept() {
        let fake = Fake::new("kept", &[]);
        let rdt = IntelRdt { clos_id: Some("new".into()), schemata: vec!["L3:0=1".into()], ..IntelRdt::default() };
        let class = fake.class(&rdt).unwrap();
        class.make_dirs().unwrap();
        class.held.remove().unwrap();
        assert_eq!(fake.text("new/schemata"), "L3:0=1\n");
    }

    #[test]
    fn the_root_class_is_named_by_a_slash() {
        let fake = Fake::new("root", &[]);
        let rdt = IntelRdt { clos_id: Some("/".into()), ..IntelRdt::default() };
        let class = fake.class(&rdt).unwrap();
        class.make_dirs().unwrap();
        class.enter(9).unwrap();
        class.held.remove().unwrap();
        assert_eq!(fake.text("tasks"), "9");
    }

    #[test]
    fn a_schema_that_the_host_lacks_is_refused_by_name() {
        let fake = Fake::new("lacks", &["L3"]);
        let bandwidth = IntelRdt { mem_bw_schema: Some("MB:0=20".into()), ..IntelRdt::default() };
        assert_eq!(fake.class(&bandwidth).unwrap_err().pointer(), Some("/linux/intelRdt/memBwSchema"));
        let cache = IntelRdt { l3_cache_schema: Some("L3:0=1".into()), ..IntelRdt::default() };
        assert!(fake.class(&cache).is_ok());
    }

    #[test]
    fn the_kernels_own_words_are_passed_on() {
        let fake = Fake::new("words", &[]);
        fs::write(fake.0.join("info/last_cmd_status"), "mask f0f has non-consecutive 1-bits\n").unwrap();
        let error = failed(Errno::INVAL, "set the schemata", "x", FIELD, fake.0.to_str().unwrap());
        assert!(format!("{error}").contains("non-consecutive"), "{error}");
    }
}
