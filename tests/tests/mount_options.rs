// SPDX-License-Identifier: Apache-2.0
//! Every mount option that `features` lists, one by one: a bind mount and a new file system have it, with and without a
//! user namespace, and the kernel shows what it did. Source: runtime-spec, config.md "Linux mount options"; mount(8);
//! proc_pid_mountinfo(5).

use insula_tests::{Bundle, Lab, Value};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What an option shows.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Effect {
    /// An attribute of the mount is there.
    Has(&'static str),
    /// It was there and is no longer.
    Lacks(&'static str),
    /// How access times are kept, as the table shows it: `noatime`, `relatime`, or nothing for strictatime.
    Times(&'static str),
    /// Access times are kept as the source's are: mount(8) passes over the option.
    SameTimes,
    /// An option of the superblock is there.
    Superblock(&'static str),
    /// The propagation that the table shows: `shared`, `master`, `unbindable` or nothing.
    Propagation(&'static str),
    /// The mounts below come along, or do not.
    Tree(bool),
    /// What the directory held is in the new file system.
    CopyUp,
    /// Ids are mapped.
    Mapped,
    /// An earlier mount is changed.
    Remount,
    /// The mount is as without it.
    Nothing,
}

use Effect::{CopyUp, Has, Lacks, Mapped, Nothing, Propagation, Remount, SameTimes, Superblock, Times, Tree};

/// Each option without the `r` that makes it one of a whole tree, and what the option with it does there, if there is one.
const OPTIONS: &[(&str, Effect, Option<Effect>)] = &[
    ("async", Nothing, None),
    ("atime", SameTimes, Some(Times("relatime"))),
    ("bind", Tree(false), None),
    ("copyup", CopyUp, None),
    ("defaults", Nothing, None),
    ("dev", Lacks("nodev"), Some(Lacks("nodev"))),
    ("diratime", Lacks("nodiratime"), Some(Lacks("nodiratime"))),
    ("dirsync", Superblock("dirsync"), None),
    ("exec", Lacks("noexec"), Some(Lacks("noexec"))),
    ("idmap", Mapped, None),
    ("iversion", Nothing, None),
    ("lazytime", Superblock("lazytime"), None),
    ("loud", Nothing, None),
    ("mand", Superblock("mand"), None),
    ("noatime", Times("noatime"), Some(Times("noatime"))),
    ("nodev", Has("nodev"), Some(Has("nodev"))),
    ("nodiratime", Has("nodiratime"), Some(Has("nodiratime"))),
    ("noexec", Has("noexec"), Some(Has("noexec"))),
    ("noiversion", Nothing, None),
    ("nolazytime", Nothing, None),
    ("nomand", Nothing, None),
    ("norelatime", SameTimes, Some(Times("relatime"))),
    ("nostrictatime", SameTimes, Some(Times("relatime"))),
    ("nosuid", Has("nosuid"), Some(Has("nosuid"))),
    ("nosymfollow", Has("nosymfollow"), Some(Has("nosymfollow"))),
    ("private", Propagation(""), Some(Propagation(""))),
    ("rbind", Tree(true), None),
    ("relatime", Times("relatime"), Some(Times("relatime"))),
    ("remount", Remount, None),
    ("ridmap", Mapped, None),
    ("ro", Has("ro"), Some(Has("ro"))),
    ("rw", Lacks("ro"), Some(Lacks("ro"))),
    ("shared", Propagation("shared"), Some(Propagation("shared"))),
    ("silent", Nothing, None),
    ("slave", Propagation("master"), Some(Propagation("master"))),
    ("strictatime", Times(""), Some(Times(""))),
    ("suid", Lacks("nosuid"), Some(Lacks("nosuid"))),
    ("symfollow", Lacks("nosymfollow"), Some(Lacks("nosymfollow"))),
    ("sync", Superblock("sync"), None),
    ("tmpcopyup", CopyUp, None),
    ("unbindable", Propagation("unbindable"), Some(Propagation("unbindable"))),
];

/// Every option with its effect, and whether that is on all mounts below, too.
fn all() -> impl Iterator<Item = (String, Effect, bool)> {
    OPTIONS.iter().flat_map(|(name, effect, recursive)| {
        let plain = (String::from(*name), *effect, false);
        std::iter::once(plain).chain(recursive.map(|effect| (format!("r{name}"), effect, true)))
    })
}

/// What opposes an option, so that it has something to take back.
fn opposite(effect: Effect) -> Option<&'static str> {
    match effect {
        Lacks(attribute) => Some(attribute),
        Times("noatime") => Some("strictatime"),
        Times(_) => Some("noatime"),
        _ => None,
    }
}

/// The options of mountinfo(5) for one mount point: of the mount, its propagation, of the superblock.
#[derive(Debug, Clone, PartialEq)]
struct Shown {
    mount: Vec<String>,
    propagation: Vec<String>,
    superblock: Vec<String>,
}

impl Shown {
    fn of(table: &str, point: &str) -> Option<Self> {
        let words = |text: &str| text.split(',').map(String::from).collect::<Vec<_>>();
        table.lines().rev().find_map(|line| {
            let (head, tail) = line.split_once(" - ")?;
            let head: Vec<&str> = head.split(' ').collect();
            (head.get(4) == Some(&point)).then(|| Self {
                mount: words(head[5]),
                propagation: head[6..].iter().map(|tag| String::from(tag.split(':').next().unwrap_or(tag))).collect(),
                superblock: words(tail.split(' ').nth(2).unwrap_or_default()),
            })
        })
    }

    fn has(&self, attribute: &str) -> bool {
        self.mount.iter().any(|one| one == attribute)
    }

    fn times(&self) -> &str {
        ["noatime", "relatime"].into_iter().find(|kind| self.has(kind)).unwrap_or("")
    }

    fn shows(&self, effect: Effect) -> bool {
        match effect {
            Has(attribute) => self.has(attribute),
            Lacks(attribute) => !self.has(attribute),
            Times(kind) => self.times() == kind,
            Superblock(option) => self.superblock.iter().any(|one| one == option),
            Propagation("") => self.propagation.is_empty(),
            // A slave may have peers of its own.
            Propagation(kind) => self.propagation.iter().any(|one| one == kind),
            _ => true,
        }
    }
}

/// Mounts that a script prints the table of.
struct Trial<'l> {
    lab: &'l Lab,
    bundle: Bundle,
    user: bool,
    /// Option, effect, whether for all below, mount point.
    tried: Vec<(String, Effect, bool, String)>,
}

impl<'l> Trial<'l> {
    fn new(lab: &'l Lab, user: bool) -> Self {
        let mut bundle = lab.bundle();
        bundle.writable();
        if user {
            bundle.user_namespace();
        }
        Self { lab, bundle, user, tried: Vec::new() }
    }

    fn point(&mut self, option: &str, effect: Effect, below: bool) -> String {
        let point = format!("/tried/{option}");
        self.tried.push((String::from(option), effect, below, point.clone()));
        point
    }

    /// Runs the container and compares.
    fn check(mut self) -> String {
        let script = "cat /proc/self/mountinfo; for dir in /tried/*; do stat -c \"at %n owner %u\" $dir; \
                      test -e $dir/of-the-image && echo copied $dir; done; true";
        self.bundle.shell(script);
        let table = self.lab.output_of(&self.bundle);
        for (option, effect, below, point) in &self.tried {
            let shown = Shown::of(&table, point).unwrap_or_else(|| panic!("{option}: no mount: {table}"));
            assert!(shown.shows(*effect), "{option}, user namespace {}: not {effect:?}: {shown:?}", self.user);
            let inner = Shown::of(&table, &format!("{point}/below"));
            if *below && let Some(inner) = inner {
                assert!(inner.shows(*effect), "{option} of what is below: not {effect:?}: {inner:?}");
            }
        }
        table
    }
}

fn flag(name: &str) -> MsFlags {
    match name {
        "noatime" => MsFlags::MS_NOATIME,
        "strictatime" => MsFlags::MS_STRICTATIME,
        "nodev" => MsFlags::MS_NODEV,
        "nodiratime" => MsFlags::MS_NODIRATIME,
        "noexec" => MsFlags::MS_NOEXEC,
        "nosuid" => MsFlags::MS_NOSUID,
        "nosymfollow" => MsFlags::from_bits_retain(256),
        "ro" => MsFlags::MS_RDONLY,
        other => panic!("{other} is no attribute"),
    }
}

/// A source with another file system below it, both with one attribute; those of one name are made once.
fn source(lab: &Lab, attribute: Option<&'static str>) -> PathBuf {
    let path = lab.path(format!("source-{}", attribute.unwrap_or("plain")));
    if path.exists() {
        return path;
    }
    let flags = attribute.map_or(MsFlags::empty(), flag);
    let tmpfs = |at: &Path, flags: MsFlags| {
        fs::create_dir(at).expect("make a directory");
        mount(Some("tmpfs"), at, Some("tmpfs"), flags, Some("mode=755")).expect("mount a tmpfs");
    };
    tmpfs(&path, MsFlags::empty());
    tmpfs(&path.join("below"), flags);
    let remount = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags;
    mount(None::<&str>, &path, None::<&str>, remount, None::<&str>).expect("change a mount");
    path
}

fn unmount_sources(lab: &Lab) {
    for entry in fs::read_dir(lab.path("")).expect("list").flatten() {
        if entry.file_name().to_string_lossy().starts_with("source-") {
            umount2(&entry.path(), MntFlags::MNT_DETACH).expect("unmount");
        }
    }
}

#[test]
fn each_on_a_bind_mount() {
    for user in [false, true] {
        let lab = Lab::new();
        let mut trial = Trial::new(&lab, user);
        for (option, effect, below) in all() {
            if matches!(effect, Superblock(_) | Remount | CopyUp) || (option.ends_with("idmap") && !user) {
                // Of a new file system alone, or tried below.
                continue;
            }
            let attribute = match effect {
                SameTimes => Some("noatime"),
                // What locks a source stays for a user namespace, and is tried below; access times are among it.
                Times("noatime") if user => Some("noatime"),
                Times("") if user => Some("strictatime"),
                Has("nodiratime") if user => Some("nodiratime"),
                _ if user => None,
                effect => opposite(effect),
            };
            let source = source(&lab, attribute);
            let point = trial.point(&option, effect, below);
            let options: Vec<&str> = if below { vec!["rbind", &option] } else { vec![&option] };
            trial.bundle.bind(source, &point, &options);
        }
        let table = trial.check();
        let tree = |option: &str| Shown::of(&table, &format!("/tried/{option}/below")).is_some();
        assert!(tree("rbind") && !tree("bind"), "{table}");
        assert_eq!(Shown::of(&table, "/tried/atime").map(|shown| shown.has("noatime")), Some(true), "{table}");
        if user {
            // The source's owner, root of the host, is root inside.
            for option in ["idmap", "ridmap"] {
                assert!(table.contains(&format!("at /tried/{option} owner 0")), "{table}");
            }
            assert!(table.contains("at /tried/bind owner 65534"), "{table}");
        }
        unmount_sources(&lab);
    }
}

#[test]
fn each_on_a_new_file_system() {
    for user in [false, true] {
        let lab = Lab::new();
        let mut trial = Trial::new(&lab, user);
        for (option, effect, below) in all() {
            if matches!(effect, Tree(_) | Mapped | Remount) {
                continue;
            }
            // A new one has no peers to be a slave of, and keeps access times relative.
            let effect = match effect {
                Propagation("master") => Propagation(""),
                SameTimes => Times("relatime"),
                other => other,
            };
            let point = trial.point(&option, effect, below);
            let place = trial.bundle.rootfs().join(&point[1..]);
            fs::create_dir_all(&place).expect("make a directory");
            fs::write(place.join("of-the-image"), "").expect("write a file");
            // An option that takes something back comes after what it takes back.
            let before = match (effect, below) {
                (Lacks(attribute), true) => Some(format!("r{attribute}")),
                (Lacks(attribute), false) => Some(String::from(attribute)),
                _ => None,
            };
            let options: Vec<&str> = before.as_deref().into_iter().chain([option.as_str()]).collect();
            trial.bundle.tmpfs(&point, &options);
        }
        let table = trial.check();
        let copied = |option: &str| table.lines().any(|line| line == format!("copied /tried/{option}"));
        assert!(copied("tmpcopyup") && copied("copyup") && !copied("defaults"), "{table}");
    }
}

#[test]
fn an_earlier_mount_is_changed() {
    for user in [false, true] {
        let lab = Lab::new();
        let mut trial = Trial::new(&lab, user);
        for (option, effect, below) in all() {
            if matches!(effect, Has(_) | Lacks(_)) {
                let point = trial.point(&option, effect, below);
                let before: Vec<&str> = opposite(effect).into_iter().collect();
                trial.bundle.tmpfs(&point, &before).tmpfs(&point, &["remount", &option]);
            }
        }
        trial.check();
    }
}

#[test]
fn what_locks_a_source_stays_for_a_user_namespace() {
    let lab = Lab::new();
    for (option, effect, below) in all() {
        let Lacks(attribute) = effect else { continue };
        // Neither of the two is ever locked (mount_namespaces(7)).
        if ["nosymfollow", "nodiratime"].contains(&attribute) {
            continue;
        }
        let mut bundle = lab.bundle();
        let options: &[&str] = if below { &["rbind", &option] } else { &[&option] };
        bundle.user_namespace().bind(source(&lab, Some(attribute)), "/locked", options);
        let index = bundle.mount_index("/locked");
        lab.container(&bundle).run().fails_with(&[&format!("/mounts/{index}"), "locked", "EPERM"]);
    }
    unmount_sources(&lab);
}

/// What `features` says.
fn listed(lab: &Lab) -> BTreeSet<String> {
    let document = lab.words(&["features"]).ok().json();
    let options = document["mountOptions"].as_array().expect("a list").clone();
    options.iter().filter_map(Value::as_str).map(String::from).collect()
}

#[test]
fn features_lists_these_and_no_others() {
    let lab = Lab::new();
    let tried: BTreeSet<String> = all().map(|(option, ..)| option).collect();
    assert_eq!(listed(&lab), tried, "an option is either tried here or not there");
}

/// What runc 1.5 lists (its `features`): engines that look for a word find it.
const RUNC: &str = "async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev nodiratime \
    noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime \
    relatime remount rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate \
    rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime suid \
    symfollow sync tmpcopyup unbindable";

/// The specification's own list (config.md, "Linux mount options").
const SPECIFICATION: &str = "async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev \
    nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev \
    rdiratime relatime remount rexec rnoatime rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro \
    rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime \
    suid symfollow sync tmpcopyup unbindable idmap ridmap";

#[test]
fn no_option_of_the_specification_or_of_runc_is_missing() {
    let lab = Lab::new();
    let listed = listed(&lab);
    for option in RUNC.split_whitespace().chain(SPECIFICATION.split_whitespace()) {
        assert!(listed.contains(option), "{option}");
    }
}
