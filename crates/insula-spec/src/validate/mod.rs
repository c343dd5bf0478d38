// SPDX-License-Identifier: Apache-2.0
//! Rules that need the document alone: no host, and no table of namespaces, mount options or system calls.

use crate::pointer::At;
use crate::{Hook, Hooks, Mount, Root, Spec};
use alloc::format;
use insula_error::Error;

mod linux;
mod mappings;
mod process;
mod resources;
#[cfg(test)]
mod tests;

pub use process::validate_process;
pub use resources::validate_resources;

/// A verdict on a part of the document.
type Check = Result<(), Error>;

/// How many mounts a document can have; the kernel's own default for a mount namespace (`fs.mount-max`).
pub const MAX_MOUNTS: usize = 100_000;

/// How many device nodes a document can have.
pub const MAX_DEVICES: usize = 100_000;

/// How many hooks each point of the life cycle can have.
pub const MAX_HOOKS: usize = 10_000;

/// The longest that a hook can be given, in seconds (some 30 years), so that no clock overflows.
pub const MAX_TIMEOUT: i64 = 1_000_000_000;

/// The longest host or domain name in bytes; the kernel's `__NEW_UTS_LEN`.
const MAX_UTS_NAME: usize = 64;

/// Checks everything that can be known from the document alone, and returns what is wrong first.
///
/// What belongs to namespaces, mount options, capabilities and seccomp is left to the plan, and so is
/// whether a part for another platform is acceptable.
pub fn validate(spec: &Spec<'_>) -> Result<(), Error> {
    let at = At::ROOT;
    version(&spec.oci_version).map_err(|reason| {
        at.name("ociVersion").refuse(reason).advice("insula implements version 1 of the runtime specification")
    })?;
    if let Some(process) = &spec.process {
        process::process(process, at.name("process"))?;
    }
    root(spec.root.as_ref(), at.name("root"))?;
    for (name, value) in [("hostname", &spec.hostname), ("domainname", &spec.domainname)] {
        if value.as_ref().is_some_and(|value| value.len() > MAX_UTS_NAME) {
            return Err(at.name(name).refuse(format!("the name is longer than {MAX_UTS_NAME} bytes")));
        }
    }
    mounts(&spec.mounts, at.name("mounts"))?;
    hooks(&spec.hooks, at.name("hooks"))?;
    if spec.annotations.get("").is_some() {
        return Err(at.name("annotations").name("").refuse("the key of an annotation is empty"));
    }
    linux::linux(&spec.linux, at.name("linux"))
}

/// Whether `version` is SemVer 2.0.0 with major version 1; if not, why.
fn version(version: &str) -> Result<(), alloc::string::String> {
    if version.is_empty() {
        return Err("the property is required and must not be empty".into());
    }
    let (rest, build) = version.split_once('+').map_or((version, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
    let number = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
    };
    let label = |part: &str| {
        part.split('.').all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    if core.split('.').count() != 3
        || !core.split('.').all(number)
        || !pre.is_none_or(label)
        || !build.is_none_or(label)
    {
        return Err(format!("{version:?} is not a version such as \"{}\" (SemVer 2.0.0)", crate::OCI_VERSION));
    }
    if !core.starts_with("1.") {
        return Err(format!("version {version:?} is not a version 1 of the specification"));
    }
    Ok(())
}

fn root(root: Option<&Root<'_>>, at: At<'_>) -> Check {
    match root {
        None => Err(at.refuse("the property is required").advice("name the root file system in root.path")),
        Some(root) if root.path.is_empty() => Err(at.name("path").refuse("the path is empty")),
        Some(_) => Ok(()),
    }
}

/// Refuses a list of more than `most` entries.
fn limit(length: usize, most: usize, at: At<'_>) -> Check {
    if length > most { Err(at.refuse(format!("the list has {length} entries; the limit is {most}"))) } else { Ok(()) }
}

/// Refuses a path that is not absolute.
fn absolute(path: &str, at: At<'_>) -> Check {
    if path.starts_with('/') { Ok(()) } else { Err(at.refuse(format!("{path:?} is not an absolute path"))) }
}

/// Whether a path leads to the root whatever lies on its way, links aside.
fn is_root(path: &str) -> bool {
    let mut depth = 0_usize;
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        depth = if part == ".." { depth.saturating_sub(1) } else { depth + 1 };
    }
    depth == 0
}

fn mounts(mounts: &[Mount<'_>], at: At<'_>) -> Check {
    limit(mounts.len(), MAX_MOUNTS, at)?;
    for (index, mount) in mounts.iter().enumerate() {
        let at = at.index(index);
        if mount.destination.is_empty() {
            return Err(at.name("destination").refuse("the path is empty"));
        }
        if is_root(&mount.destination) {
            let error = at.name("destination").refuse("the destination is the root itself");
            return Err(error.advice("use /root for the root file system"));
        }
        mappings::both(&mount.uid_mappings, &mount.gid_mappings, at)?;
    }
    Ok(())
}

fn hooks(hooks: &Hooks<'_>, at: At<'_>) -> Check {
    for (name, list) in [
        ("prestart", &hooks.prestart),
        ("createRuntime", &hooks.create_runtime),
        ("createContainer", &hooks.create_container),
        ("startContainer", &hooks.start_container),
        ("poststart", &hooks.poststart),
        ("poststop", &hooks.poststop),
    ] {
        let at = at.name(name);
        limit(list.len(), MAX_HOOKS, at)?;
        list.iter().enumerate().try_for_each(|(index, entry)| hook(entry, at.index(index)))?;
    }
    Ok(())
}

fn hook(hook: &Hook<'_>, at: At<'_>) -> Check {
    absolute(&hook.path, at.name("path"))?;
    match hook.timeout {
        Some(timeout) if !(1..=MAX_TIMEOUT).contains(&timeout) => {
            Err(at.name("timeout").refuse(format!("{timeout} is not a number of seconds from 1 to {MAX_TIMEOUT}")))
        }
        _ => Ok(()),
    }
}
