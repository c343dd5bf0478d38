// SPDX-License-Identifier: Apache-2.0
//! Names of units, and where in the tree systemd puts them. Source: systemd.slice(5), systemd.unit(5); the form
//! `slice:prefix:name` is runc's (its docs/systemd.md).

use super::Instance;
use crate::group::POINTER;
use crate::path;
use alloc::format;
use alloc::string::{String, ToString};
use insula_error::{Error, Result};

pub(super) const SYSTEM_SLICE: &str = "system.slice";
pub(super) const USER_SLICE: &str = "user.slice";
const SLICE: &str = ".slice";
/// What stands for the root of all slices.
const ROOT_SLICE: &str = "-.slice";
/// Longest name of a unit (UNIT_NAME_MAX less its zero).
const LONGEST: usize = 255;

/// What follows from a document's path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) unit: String,
    pub(super) slice: String,
    pub(super) container: String,
    /// Path of the unit's cgroup below the manager's.
    pub(super) path: String,
}

fn refused(reason: String) -> Error {
    Error::invalid(POINTER, "choose the systemd unit", reason)
}

/// Reads `slice:prefix:name`; an empty path is `:runc:id`.
pub(super) fn choose(id: &str, path: &str, instance: Instance) -> Result<Names> {
    let (slice, prefix, name) = if path.is_empty() {
        ("", "runc", id)
    } else {
        let mut parts = path.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(slice), Some(prefix), Some(name), None) => (slice, prefix, name),
            _ => {
                let reason = format!(
                    "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {path:?} instead"
                );
                return Err(refused(reason).advice("leave out --systemd-cgroup to give a path"));
            }
        }
    };
    let slice = match (slice, instance) {
        ("", Instance::System) => SYSTEM_SLICE,
        ("", Instance::User) => USER_SLICE,
        ("-", _) => ROOT_SLICE,
        (slice, _) => slice,
    };
    let above = expand(slice)?;
    let unit = if is_slice(name) { name.to_string() } else { format!("{prefix}-{name}.scope") };
    if !is_unit(&unit) {
        let reason = format!("{unit:?} cannot be the name of a unit: letters, digits and any of :_.\\@- can be in one");
        return Err(refused(reason).advice("give another cgroupsPath, or the container another id"));
    }
    // The name of a slice says where it is.
    let path = if is_slice(&unit) { expand(&unit)? } else { path::join(&above, &unit) };
    if path.is_empty() {
        return Err(refused("the root slice is no container's".to_string()));
    }
    Ok(Names { unit, slice: slice.to_string(), container: name.to_string(), path })
}

pub(super) fn is_slice(unit: &str) -> bool {
    unit.ends_with(SLICE)
}

/// Whether this is a name that systemd takes for a scope or slice.
pub(super) fn is_unit(name: &str) -> bool {
    let stem = name.strip_suffix(".scope").or(name.strip_suffix(SLICE)).unwrap_or_default();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b":_.\\@-".contains(&byte);
    name.len() <= LONGEST && !stem.is_empty() && stem.bytes().all(is_part)
}

/// Path of a slice: `a-b.slice` is in `a.slice`.
fn expand(slice: &str) -> Result<String> {
    let invalid = || refused(format!("invalid slice name: {slice}"));
    if slice == ROOT_SLICE {
        return Ok(String::new());
    }
    let stem = slice.strip_suffix(SLICE).filter(|_| is_unit(slice)).ok_or_else(invalid)?;
    let mut path = String::new();
    for (end, _) in stem.match_indices('-').chain([(stem.len(), "")]) {
        let above = stem[..end].rsplit_once('-').map_or(&stem[..end], |(_, last)| last);
        if above.is_empty() {
            return Err(invalid());
        }
        path::push(&mut path, &format!("{}{SLICE}", &stem[..end]));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> Result<Names> {
        choose("web", path, Instance::System)
    }

    #[test]
    fn a_path_is_slice_prefix_and_name() {
        for (path, unit, slice, place) in [
            ("", "runc-web.scope", "system.slice", "system.slice/runc-web.scope"),
            ("::", "-.scope", "system.slice", "system.slice/-.scope"),
            (":runc:x", "runc-x.scope", "system.slice", "system.slice/runc-x.scope"),
            ("machine.slice:libpod:1234", "libpod-1234.scope", "machine.slice", "machine.slice/libpod-1234.scope"),
            ("a-b-c.slice:p:n", "p-n.scope", "a-b-c.slice", "a.slice/a-b.slice/a-b-c.slice/p-n.scope"),
            ("-.slice:p:n", "p-n.scope", "-.slice", "p-n.scope"),
            ("-:p:n", "p-n.scope", "-.slice", "p-n.scope"),
            ("a.slice:ignored:a-b.slice", "a-b.slice", "a.slice", "a.slice/a-b.slice"),
            (
                "kubepods-besteffort-pod1_2.slice:cri-containerd:0a",
                "cri-containerd-0a.scope",
                "kubepods-besteffort-pod1_2.slice",
                "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice/cri-containerd-0a.scope",
            ),
        ] {
            let names = names(path).unwrap();
            assert_eq!((&*names.unit, &*names.slice, &*names.path), (unit, slice, place), "{path}");
        }
        assert_eq!(choose("web", "", Instance::User).unwrap().path, "user.slice/runc-web.scope");
    }

    #[test]
    fn other_paths_are_refused() {
        for (path, part) in [
            ("/a/b", "slice:prefix:name"),
            ("a:b", "slice:prefix:name"),
            ("a:b:c:d", "slice:prefix:name"),
            ("a:b:c", "invalid slice name"),
            (".slice:b:c", "invalid slice name"),
            ("a/b.slice:b:c", "invalid slice name"),
            ("../b.slice:b:c", "invalid slice name"),
            ("a--b.slice:b:c", "invalid slice name"),
            ("-a.slice:b:c", "invalid slice name"),
            ("a-.slice:b:c", "invalid slice name"),
            ("a.slice:b:../c", "cannot be the name"),
            ("a.slice:b:c d", "cannot be the name"),
            ("a.slice:b/c:d", "cannot be the name"),
            ("a.slice:b:c\nd", "cannot be the name"),
            ("a.slice:b:a--c.slice", "invalid slice name"),
            (":b:-.slice", "root slice"),
        ] {
            let error = names(path).unwrap_err();
            assert!(error.to_string().contains(part), "{path}: {error}");
            assert_eq!((error.kind(), error.pointer()), (insula_error::Kind::InvalidConfig, Some(POINTER)), "{path}");
        }
        assert!(names(&format!("a.slice:b:{}", "c".repeat(250))).is_err(), "too long");
        assert!(choose("a+b", "", Instance::System).is_err(), "an id that systemd does not take");
    }
}
