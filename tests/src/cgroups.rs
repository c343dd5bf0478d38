// SPDX-License-Identifier: Apache-2.0
//! The cgroup file systems as the calling thread sees them. Source: cgroups(7), proc(5).

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// One mounted hierarchy.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Version 1: its controllers or `name=…`, as mounted. Version 2: empty.
    pub controllers: Vec<String>,
}

/// All hierarchies mounted in the calling thread's mount namespace.
#[track_caller]
pub fn hierarchies() -> Vec<Hierarchy> {
    let mountinfo = fs::read_to_string("/proc/thread-self/mountinfo").expect("read mountinfo");
    mountinfo.lines().filter_map(parse).collect()
}

/// Whether version 2 is all there is.
#[track_caller]
pub fn is_unified() -> bool {
    let all = hierarchies();
    all.len() == 1 && all[0].controllers.is_empty() && all[0].mount == Path::new("/sys/fs/cgroup")
}

/// Whether containers can have limits of `controller` here, in whichever version; `Some("")` for version 2, as
/// [`read`] takes it.
#[track_caller]
pub fn hierarchy_with(controller: &'static str) -> Option<&'static str> {
    if is_unified() {
        let offered = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").expect("read the controllers");
        return offered.split_whitespace().any(|one| one == controller).then_some("");
    }
    hierarchies().iter().any(|one| one.controllers.iter().any(|name| name == controller)).then_some(controller)
}

/// `… <mount point> … - <type> <source> <super options>`
fn parse(line: &str) -> Option<Hierarchy> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mount = PathBuf::from(mount.split(' ').nth(4)?);
    let mut words = file_system.split(' ');
    let kind = words.next()?;
    let options = words.nth(1)?;
    match kind {
        "cgroup2" => Some(Hierarchy { mount, controllers: Vec::new() }),
        "cgroup" => {
            let named = |option: &&str| !["rw", "ro", "xattr"].contains(option);
            Some(Hierarchy { mount, controllers: options.split(',').filter(named).map(String::from).collect() })
        }
        _ => None,
    }
}

/// All cgroups, in all hierarchies, whose own name contains `name` as [`mentions`] has it; also plain directories that
/// somebody took for cgroups, beside the mounts.
#[track_caller]
pub fn named(name: &str) -> Vec<PathBuf> {
    let usual = Path::new("/sys/fs/cgroup");
    let elsewhere = hierarchies().into_iter().map(|one| one.mount).filter(|mount| !mount.starts_with(usual));
    let mut found = Vec::new();
    for place in elsewhere.chain([usual.to_owned()]) {
        collect(&place, name, &mut found);
    }
    found
}

/// Whether `text` contains `name`, and not a longer number than the one at its end: `insula-lab-9-1` is not meant by
/// `insula-lab-9-12`.
pub(crate) fn mentions(text: &[u8], name: &str) -> bool {
    let mut places = text.windows(name.len()).enumerate();
    places.any(|(at, window)| window == name.as_bytes() && !text.get(at + name.len()).is_some_and(u8::is_ascii_digit))
}

fn collect(directory: &Path, name: &str, found: &mut Vec<PathBuf>) {
    // Other programs' cgroups come and go.
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if mentions(entry.file_name().as_bytes(), name) {
                found.push(entry.path());
            }
            collect(&entry.path(), name, found);
        }
    }
}

/// The directory of process `pid`'s cgroup in the hierarchy that has `controller` (version 1), or in the version 2
/// hierarchy for `""`. `None` if no such hierarchy is mounted.
#[track_caller]
pub fn directory_of(pid: i32, controller: &str) -> Option<PathBuf> {
    let has = |hierarchy: &Hierarchy| match controller {
        "" => hierarchy.controllers.is_empty(),
        _ => hierarchy.controllers.iter().any(|one| one == controller),
    };
    let hierarchy = hierarchies().into_iter().find(has)?;
    let lines = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("read the process' cgroups");
    // id:controllers:path
    let path = lines.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let controllers = parts.next()?;
        let path = parts.next()?;
        controllers.split(',').any(|one| one == controller).then_some(path)
    })?;
    Some(hierarchy.mount.join(path.trim_start_matches('/')))
}

/// Reads `file` of process `pid`'s cgroup, without white space at its ends.
#[track_caller]
pub fn read(pid: i32, controller: &str, file: &str) -> String {
    let directory =
        directory_of(pid, controller).unwrap_or_else(|| panic!("no hierarchy with {controller:?} is mounted"));
    let path = directory.join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_owned()
}

/// Removes a cgroup and all below it. What has processes stays, and so does what holds it.
pub fn remove_tree(path: &Path) {
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let _in_use = fs::remove_dir(path);
}
