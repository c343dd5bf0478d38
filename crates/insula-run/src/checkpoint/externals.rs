// SPDX-License-Identifier: Apache-2.0
//! Mounts that belong to the host: a dump leaves them out under a name, a restore says what is under that name now.
//!
//! The name is the destination in the document, with its links followed on dump; so images and runc's are alike.

use crate::gather;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_cgroup::Layout;
use insula_error::{Error, Result};
use insula_plan::{Bind, binds, default_devices};
use insula_spec::Spec;
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, openat2, readlinkat, statat};
use rustix::io::Errno;

/// The name of all masked files.
const NULL: &str = "/dev/null";

/// `path` below `root`, as a container's process finds it: never out of it, never through a link of procfs.
pub(super) fn resolve(root: BorrowedFd<'_>, path: &str) -> core::result::Result<OwnedFd, Errno> {
    let flags = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..128 {
        match openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), flags) {
            // A rename meanwhile.
            Err(Errno::AGAIN) => {}
            done => return done,
        }
    }
    Err(Errno::AGAIN)
}

/// The path of what is open, from the root of its mount namespace.
pub(super) fn path_of(fd: &OwnedFd) -> core::result::Result<String, Errno> {
    let link = readlinkat(CWD, format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new())?;
    link.into_string().map_err(|_| Errno::INVAL)
}

/// Cgroup hierarchies of version 1, which are binds where the container has no cgroup namespace of its own: directory
/// below the mount's destination, and the container's directory on the host.
fn hierarchies(spec: &Spec<'_>, cgroup: &[String]) -> Vec<(String, String)> {
    let own = spec.linux.namespaces.iter().any(|entry| entry.kind == *"cgroup");
    let Ok(layout) = Layout::probe() else { return Vec::new() };
    let hierarchies = gather::hierarchies(&layout);
    if own || !hierarchies.iter().any(|(list, _)| !list.is_empty()) {
        return Vec::new();
    }
    let Ok(group) = insula_cgroup::Group::from_record(cgroup, false) else { return Vec::new() };
    let paths: Vec<(String, String)> = group.paths().map(|(list, path)| (String::from(list), path)).collect();
    let mut found = Vec::new();
    for (list, mount_point) in hierarchies.iter().filter(|(list, _)| !list.is_empty()) {
        let Some((_, path)) = paths.iter().find(|(known, _)| known == list) else { continue };
        let directory = mount_point.rsplit('/').next().unwrap_or_default();
        for mount in spec.mounts.iter().filter(|mount| mount.kind.as_deref() == Some("cgroup")) {
            found.push((format!("{}/{directory}", mount.destination.trim_end_matches('/')), path.clone()));
        }
    }
    found
}

/// Every mount that may be the host's: its destination in the document, and what is there.
fn candidates(spec: &Spec<'_>, bundle: &str, cgroup: &[String]) -> Result<Vec<(String, String)>> {
    let mut all: Vec<(String, String)> =
        binds(spec, bundle)?.into_iter().map(|Bind { destination, source, .. }| (destination, source)).collect();
    all.extend(hierarchies(spec, cgroup));
    // In a user namespace devices are the host's, bound.
    let devices = spec.linux.devices.iter().map(|device| String::from(device.path.as_str()));
    for path in default_devices().map(String::from).chain(devices) {
        if !all.iter().any(|(destination, _)| *destination == path) {
            all.push((path.clone(), path));
        }
    }
    Ok(all)
}

/// `mnt[name]:value`. CRIU looks for what begins with `mnt[/a]:`, so a name with `]:` in it, which a link of the image can
/// have a mount point be called, would be found as another one, with a value out of the name.
fn told_of(name: &str, value: &str, pointer: &'static str) -> Result<String> {
    if name.contains("]:") {
        let reason = format!("the mount point {name:?} has \"]:\" in its name, with which CRIU takes it for another");
        return Err(Error::invalid(pointer, "name the host's mounts to CRIU", reason));
    }
    Ok(format!("mnt[{name}]:{value}"))
}

/// What CRIU is told on dump: `mnt[mount point]:name`. `root` is the root directory of the container's process.
pub(super) fn dumped(spec: &Spec<'_>, bundle: &str, cgroup: &[String], root: BorrowedFd<'_>) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for (destination, _) in candidates(spec, bundle, cgroup)? {
        // What is not there any more is no mount any more.
        let Ok(place) = resolve(root, &destination).and_then(|fd| path_of(&fd)) else { continue };
        told.push(told_of(&place, &place, "/mounts")?);
    }
    for path in &spec.linux.masked_paths {
        let Ok(fd) = resolve(root, path) else { continue };
        let is_directory = statat(&fd, c"", AtFlags::EMPTY_PATH)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
        // Over a directory lies a file system of the container's own.
        if let (false, Ok(place)) = (is_directory, path_of(&fd)) {
            told.push(told_of(&place, NULL, "/linux/maskedPaths")?);
        }
    }
    Ok(told)
}

/// A source with its links followed, which CRIU does not do.
fn followed(source: String) -> String {
    let opened = rustix::fs::open(source.as_str(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    opened.and_then(|fd| path_of(&fd)).unwrap_or(source)
}

/// What CRIU is told on restore: `mnt[name]:path on the host`. `root` is the root file system with every bind in place.
pub(super) fn restored(
    spec: &Spec<'_>,
    bundle: &str,
    cgroup: &[String],
    places: &[(String, String)],
) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for (destination, source) in candidates(spec, bundle, cgroup)? {
        let place = places.iter().find(|(known, _)| *known == destination).map(|(_, place)| place.as_str());
        told.push(told_of(place.unwrap_or(&destination), &followed(source), "/mounts")?);
    }
    if !spec.linux.masked_paths.is_empty() {
        told.push(told_of(NULL, NULL, "/linux/maskedPaths")?);
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use std::os::unix::fs::symlink;
    use std::string::ToString;

    #[test]
    fn links_in_destinations_are_followed_inside_the_root_only() {
        let root = std::env::temp_dir().join(format!("insula-externals-{}", std::process::id()));
        std::fs::create_dir_all(root.join("real/conf")).unwrap();
        let _ = symlink("/real/conf", root.join("conf"));
        let _ = symlink("/../../etc/passwd", root.join("out"));
        let fd = crate::file::open_dir(CWD, root.to_str().unwrap()).unwrap();
        let place = |path: &str| resolve(fd.as_fd(), path).and_then(|fd| path_of(&fd));
        assert_eq!(place("/conf").unwrap(), root.canonicalize().unwrap().join("real/conf").to_str().unwrap());
        assert_eq!(place("/out").unwrap_err(), Errno::NOENT);
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_restore_names_what_the_dump_named() {
        let text = br#"{"ociVersion":"1.2.0","root":{"path":"rootfs"},
            "mounts":[{"destination":"/conf","source":"data","options":["bind"]}],
            "linux":{"maskedPaths":["/proc/kcore"],"namespaces":[{"type":"cgroup"}]}}"#;
        let spec = insula_spec::load(text).unwrap();
        let places = [("/conf".to_string(), "/real/conf".to_string())];
        let told = restored(&spec, "/b", &[], &places).unwrap();
        assert_eq!(told[0], "mnt[/real/conf]:/b/data", "what is not there is CRIU's to complain of");
        assert!(told.contains(&"mnt[/dev/null]:/dev/null".to_string()));
    }

    /// A link of the image leads a bind's destination, or a masked file, to a mount point whose name has CRIU's own marks.
    #[test]
    fn a_mount_point_is_never_taken_for_another() {
        let root = std::env::temp_dir().join(format!("insula-marks-{}", std::process::id()));
        for name in ["a]:", "b]", "c:", "d[e]"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
            std::fs::write(root.join(name).join("f"), "").unwrap();
        }
        let fd = crate::file::open_dir(CWD, root.to_str().unwrap()).unwrap();
        let told = |kind: &str, place: &str| {
            let link = root.join("link");
            let _ = std::fs::remove_file(&link);
            symlink(place, &link).unwrap();
            let text = match kind {
                "mounts" => r#"{"mounts":[{"destination":"/link","source":"/s","options":["bind"]}]}"#,
                _ => r#"{"linux":{"maskedPaths":["/link"]}}"#,
            };
            let spec = insula_spec::load(text.as_bytes()).unwrap();
            dumped(&spec, "/b", &[], fd.as_fd())
        };
        for kind in ["mounts", "maskedPaths"] {
            let error = told(kind, "a]:/f").unwrap_err();
            assert!(error.pointer().is_some_and(|pointer| pointer.ends_with(kind)), "{error}");
            for harmless in ["b]/f", "c:/f", "d[e]/f"] {
                let told = told(kind, harmless).unwrap();
                assert!(told.iter().any(|told| told.contains(&format!("/{harmless}]:"))), "{told:?}");
            }
        }
        std::fs::remove_dir_all(&root).unwrap();
        let text = br#"{"mounts":[{"destination":"/a]:/etc","source":"/s","options":["bind"]}]}"#;
        let spec = insula_spec::load(text).unwrap();
        for places in [vec![], vec![("/a]:/etc".to_string(), "/real]:".to_string())]] {
            assert!(restored(&spec, "/b", &[], &places).is_err());
        }
        let safe = [("/a]:/etc".to_string(), "/real".to_string())];
        assert_eq!(restored(&spec, "/b", &[], &safe).unwrap()[0], "mnt[/real]:/s");
    }

    #[test]
    fn a_source_that_is_a_link_is_followed() {
        let root = std::env::temp_dir().join(format!("insula-followed-{}", std::process::id()));
        std::fs::create_dir_all(root.join("real")).unwrap();
        symlink("real", root.join("link")).unwrap();
        let real = root.canonicalize().unwrap().join("real");
        assert_eq!(followed(root.join("link").to_str().unwrap().to_string()), real.to_str().unwrap());
        std::fs::remove_dir_all(&root).unwrap();
    }
}
