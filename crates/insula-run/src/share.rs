// SPDX-License-Identifier: Apache-2.0
//! Choices on the command line about one kind of namespace, which take the place of what the document says of it.
//!
//! Another container's namespace is taken from that container's init, held by pidfd and checked against the identity in
//! its record, and goes on as a descriptor: no path is looked up that could mean something else a moment later.

use crate::file;
use crate::handle::Handle;
use crate::record::{Held, Record};
use crate::status;
use crate::store::Root;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::{Error, Kind as ErrorKind, Result};
use insula_ns::{Identity, Kind, PerKind};
use insula_spec::{Namespace, Spec};
use insula_sys::pidfs;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

/// What is chosen for a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<'a> {
    /// A new one.
    Private,
    /// The runtime's own.
    Host,
    /// That of the container with this id.
    Container(&'a str),
    /// The one at this absolute path.
    Path(&'a str),
}

impl<'a> Choice<'a> {
    /// Reads `private`, `host`, `container:ID` or `ns:PATH`. `flag` is for the error. The id is not looked at.
    ///
    /// # Errors
    /// [`Usage`](ErrorKind::Usage).
    pub fn parse(flag: &str, value: &'a str) -> Result<Self> {
        let refuse = |why: &str| Error::usage(format!("--{flag} {value:?}: {why}"));
        match value.split_once(':') {
            None if value == "private" => Ok(Self::Private),
            None if value == "host" => Ok(Self::Host),
            Some(("container", id)) => Ok(Self::Container(id)),
            Some(("ns", path)) if path.starts_with('/') => Ok(Self::Path(path)),
            Some(("ns", _)) => Err(refuse("the path must be absolute, such as ns:/proc/4711/ns/net")),
            _ => Err(refuse("must be private, host, container:ID or ns:PATH")),
        }
    }
}

/// Namespaces that are open already and are to be joined as they are.
pub type Pinned = PerKind<Option<OwnedFd>>;

/// What [`apply`] did.
#[derive(Debug)]
pub struct Applied {
    /// Namespaces of other containers.
    pub pinned: Pinned,
    /// Fields of the document that went with the namespaces it asked for, as JSON pointers: they would have reached the
    /// host, or another container.
    pub left_out: Vec<String>,
}

/// Puts `choices` in the place of the document's entries. `root` is where containers are looked for.
///
/// # Errors
/// `State` if a container cannot give the namespace: it is not there, has stopped, its init is another process now, or
/// the namespace is not its own; then whose it is.
pub fn apply(spec: &mut Spec<'_>, choices: &[(Kind, Choice<'_>)], root: Option<&Root>) -> Result<Applied> {
    let mut applied = Applied { pinned: Pinned::default(), left_out: Vec::new() };
    for (kind, choice) in choices {
        let path = match choice {
            Choice::Host => {
                spec.linux.namespaces.retain(|entry| entry.kind != *kind.namespace().spec_name);
                leave_out(spec, *kind, &mut applied.left_out);
                continue;
            }
            Choice::Private => None,
            Choice::Path(path) => Some(String::from(*path)),
            Choice::Container(id) => {
                applied.pinned[*kind] = Some(of_container(root, id, *kind)?);
                Some(format!("container:{id}"))
            }
        };
        if path.is_some() {
            leave_out(spec, *kind, &mut applied.left_out);
        }
        put(spec, *kind, path);
    }
    Ok(applied)
}

/// Changes the kind's entry, or adds one.
fn put(spec: &mut Spec<'_>, kind: Kind, path: Option<String>) {
    let name = kind.namespace().spec_name;
    let path = path.map(Into::into);
    match spec.linux.namespaces.iter_mut().find(|entry| entry.kind == *name) {
        Some(entry) => entry.path = path,
        None => spec.linux.namespaces.push(Namespace { kind: name.into(), path }),
    }
}

/// Removes what the document wanted of a namespace of its own.
fn leave_out(spec: &mut Spec<'_>, kind: Kind, left_out: &mut Vec<String>) {
    for pointer in kind.namespace().owns {
        let was_set = match *pointer {
            "/hostname" => spec.hostname.take().is_some_and(|name| !name.is_empty()),
            "/domainname" => spec.domainname.take().is_some_and(|name| !name.is_empty()),
            "/linux/timeOffsets" => taken(&mut spec.linux.time_offsets, insula_spec::Map::is_empty),
            "/linux/uidMappings" => taken(&mut spec.linux.uid_mappings, Vec::is_empty),
            "/linux/gidMappings" => taken(&mut spec.linux.gid_mappings, Vec::is_empty),
            // Devices are moved on purpose; where that cannot be, the plan says so.
            _ => false,
        };
        if was_set {
            left_out.push(String::from(*pointer));
        }
    }
    for (key, _) in spec.linux.sysctl.iter().filter(|(key, _)| Kind::of_sysctl(key) == Some(kind)) {
        left_out.push(format!("/linux/sysctl/{}", key.replace('~', "~0").replace('/', "~1")));
    }
    spec.linux.sysctl.retain(|key| Kind::of_sysctl(key) != Some(kind));
}

/// Empties `value`; whether it was not empty before.
fn taken<T: Default>(value: &mut T, is_empty: impl Fn(&T) -> bool) -> bool {
    !is_empty(&core::mem::take(value))
}

/// The namespace of `kind` that container `id` has of its own.
fn of_container(root: Option<&Root>, id: &str, kind: Kind) -> Result<OwnedFd> {
    let attempted = || format!("join the {kind} namespace of container {id}");
    let refuse = |reason: String| Error::state(attempted(), reason);
    let (_, record) = status::find(root, id)?;
    let Some(held) = record.held(kind) else {
        return Err(refuse(format!("it has no {kind} namespace: the kernel had none when it was created")));
    };
    match held.how.as_str() {
        "created" => {}
        "inherited" => {
            let option = kind.namespace().option.unwrap_or(kind.namespace().spec_name);
            return Err(refuse(format!(
                "it has none of its own and uses its creator's, {kind_text}",
                kind_text = text(kind, held)
            ))
            .advice(format!("use --{option} host")));
        }
        _ => return Err(shared_one(root, &record, kind, held, refuse)),
    }
    let init =
        record.init().ok_or_else(|| refuse(String::from("it has stopped, or its first process is another one now")))?;
    let fd = namespace_of(&init, kind).map_err(|errno| {
        let error = Error::kernel(errno.raw_os_error(), attempted()).object(format!("process {}", init.pid));
        match errno {
            Errno::SRCH | Errno::NOENT => refuse(String::from("it has stopped")),
            Errno::ACCESS | Errno::PERM => error.advice("the caller may not look into it: it is another user's"),
            _ => error,
        }
    })?;
    let is = Identity::of_fd(fd.as_fd(), kind)?.with_id(fd.as_fd());
    if !held.is(&is) {
        return Err(Error::new(ErrorKind::NotIsolated, attempted())
            .reason(format!("its process is in {is}, and was given {} when it was created", text(kind, held)))
            .advice(format!("`insula verify {id}` tells what else changed")));
    }
    Ok(fd)
}

/// The namespace of `kind` of the process behind `handle`.
pub(crate) fn namespace_of(handle: &Handle, kind: Kind) -> core::result::Result<OwnedFd, Errno> {
    match pidfs::namespace(handle.pidfd.as_fd(), kind.namespace().clone_flag) {
        Err(Errno::NOTTY | Errno::INVAL) => {}
        done => return done,
    }
    // KERNEL(6.11): before, through /proc. The directory is the process's as long as its pidfd says that it lives.
    let process = file::open_dir(CWD, &format!("/proc/{}", handle.pid))?;
    if handle.has_ended() {
        return Err(Errno::SRCH);
    }
    openat(&process, format!("ns/{}", kind.namespace().proc_name), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// The container shares the kind itself: says with whom.
fn shared_one(
    root: Option<&Root>,
    record: &Record,
    kind: Kind,
    held: &Held,
    refuse: impl Fn(String) -> Error,
) -> Error {
    let option = kind.namespace().option.unwrap_or(kind.namespace().spec_name);
    let what = text(kind, held);
    match root.and_then(|root| maker(root, record, kind, held)) {
        Some(owner) => refuse(format!("it shares {what}, which is container {owner}'s"))
            .advice(format!("use --{option} container:{owner}")),
        None => refuse(format!("it joined {what} itself, which is no container's here"))
            .advice(format!("use --{option} ns:PATH with the path that it joined")),
    }
}

/// The container that the namespace was made for.
fn maker(root: &Root, sharer: &Record, kind: Kind, held: &Held) -> Option<String> {
    root.ids().ok()?.into_iter().filter(|id| *id != sharer.id).find(|id| {
        let record = root.home(id).ok().flatten().and_then(|home| home.record().ok().flatten());
        record
            .and_then(|record| record.held(kind).cloned())
            .is_some_and(|other| other.how == "created" && other.same(held))
    })
}

fn text(kind: Kind, held: &Held) -> String {
    format!("{}:[{}]", kind.namespace().proc_name, held.ino)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec<'static> {
        let text = br#"{"ociVersion":"1.2.0","hostname":"web","linux":{
            "namespaces":[{"type":"pid"},{"type":"network","path":"/run/netns/a"},{"type":"uts"}],
            "uidMappings":[{"containerID":0,"hostID":1,"size":1}],
            "sysctl":{"net.ipv4.ip_forward":"1","kernel.shmmax":"4096"}}}"#;
        insula_spec::load(text).unwrap()
    }

    fn entries(spec: &Spec<'_>) -> Vec<(String, Option<String>)> {
        let own = |text: &insula_spec::Str<'_>| String::from(text.as_str());
        spec.linux.namespaces.iter().map(|entry| (own(&entry.kind), entry.path.as_ref().map(own))).collect()
    }

    #[test]
    fn four_choices() {
        for (value, expected) in [
            ("private", Choice::Private),
            ("host", Choice::Host),
            ("container:web-1", Choice::Container("web-1")),
            ("ns:/run/netns/a:b", Choice::Path("/run/netns/a:b")),
        ] {
            assert_eq!(Choice::parse("pid", value).unwrap(), expected, "{value}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for (value, why) in [
            ("", "must be private, host"),
            ("Host", "must be private, host"),
            ("host:", "must be private, host"),
            ("none", "must be private, host"),
            ("bridge:x", "must be private, host"),
            ("ns:relative", "must be absolute"),
            ("ns:", "must be absolute"),
        ] {
            assert!(Choice::parse("pid", value).expect_err(value).to_string().contains(why), "{value}");
        }
    }

    #[test]
    fn private_takes_the_path_away_or_adds_an_entry() {
        let mut spec = spec();
        let applied =
            apply(&mut spec, &[(Kind::NETWORK, Choice::Private), (Kind::TIME, Choice::Private)], None).unwrap();
        assert!(applied.left_out.is_empty());
        let of = |kind: &str| entries(&spec).into_iter().find(|(name, _)| name == kind);
        assert_eq!(of("network"), Some(("network".into(), None)));
        assert_eq!(of("time"), Some(("time".into(), None)));
        assert_eq!(entries(&spec).len(), 4);
    }

    #[test]
    fn host_drops_the_entry_and_what_belonged_to_it() {
        let mut spec = spec();
        let applied = apply(&mut spec, &[(Kind::NETWORK, Choice::Host), (Kind::UTS, Choice::Host)], None).unwrap();
        assert_eq!(applied.left_out, ["/linux/sysctl/net.ipv4.ip_forward", "/hostname"]);
        assert_eq!(entries(&spec), [("pid".into(), None)]);
        assert!(spec.hostname.is_none());
        assert_eq!(spec.linux.sysctl.len(), 1);
    }

    #[test]
    fn a_path_takes_the_place_of_a_new_one() {
        let mut spec = spec();
        let choices = [(Kind::PID, Choice::Path("/proc/7/ns/pid")), (Kind::USER, Choice::Path("/run/u"))];
        let applied = apply(&mut spec, &choices, None).unwrap();
        assert_eq!(applied.left_out, ["/linux/uidMappings"]);
        assert_eq!(entries(&spec)[0], ("pid".into(), Some("/proc/7/ns/pid".into())));
        assert_eq!(entries(&spec)[3], ("user".into(), Some("/run/u".into())));
    }

    #[test]
    fn a_container_that_is_not_there_is_named() {
        let error = apply(&mut spec(), &[(Kind::PID, Choice::Container("ghost"))], None).unwrap_err();
        assert!(error.to_string().contains("ghost"), "{error}");
    }
}
