// SPDX-License-Identifier: Apache-2.0
//! The only table of mount options: those of mount(8) that the kernel keeps as attributes, those of the specification,
//! and everything else passed on to the file system.

use alloc::format;
use alloc::vec::Vec;
use insula_error::{Error, Result};
use insula_spec::Mount;
use insula_sys::mount::{attr, propagation};

/// What an option does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Sets or clears a mount attribute; with an `r` before its name on the whole tree.
    Set(u64),
    Clear(u64),
    /// Clears a way of keeping access times, which mount(8) and mount(2) pass over; for a whole tree it means relatime.
    ClearAtime,
    /// Chooses how access times are kept.
    Atime(u64),
    /// Propagation type, and whether for the whole tree.
    Propagate(u64, bool),
    /// A bind mount, and whether of the whole tree.
    Bind(bool),
    Remount,
    /// A flag of the superblock.
    Superblock(&'static str),
    CopyUp,
    /// Ids of the mount are mapped; whether of the whole tree.
    IdMap(bool),
    /// Accepted and without effect.
    Nothing,
}

impl Effect {
    /// Whether it changes an attribute of a mount, and so has a form for the whole tree.
    fn is_attribute(self) -> bool {
        matches!(self, Set(_) | Clear(_) | Atime(_) | ClearAtime)
    }
}

use Effect::{Atime, Bind, Clear, ClearAtime, CopyUp, IdMap, Nothing, Propagate, Remount, Set, Superblock};

/// Options by name.
static TABLE: &[(&str, Effect)] = &[
    ("async", Nothing),
    ("atime", ClearAtime),
    ("bind", Bind(false)),
    ("copyup", CopyUp),
    ("defaults", Nothing),
    ("dev", Clear(attr::NODEV)),
    ("diratime", Clear(attr::NODIRATIME)),
    ("dirsync", Superblock("dirsync")),
    ("exec", Clear(attr::NOEXEC)),
    ("idmap", IdMap(false)),
    ("iversion", Superblock("iversion")),
    ("lazytime", Superblock("lazytime")),
    ("loud", Nothing),
    ("mand", Superblock("mand")),
    ("noatime", Atime(attr::NOATIME)),
    ("nodev", Set(attr::NODEV)),
    ("nodiratime", Set(attr::NODIRATIME)),
    ("noexec", Set(attr::NOEXEC)),
    ("noiversion", Nothing),
    ("nolazytime", Nothing),
    ("nomand", Nothing),
    ("norelatime", ClearAtime),
    ("nostrictatime", ClearAtime),
    ("nosuid", Set(attr::NOSUID)),
    ("nosymfollow", Set(attr::NOSYMFOLLOW)),
    ("private", Propagate(propagation::PRIVATE, false)),
    ("rbind", Bind(true)),
    ("relatime", Atime(attr::RELATIME)),
    ("remount", Remount),
    ("ridmap", IdMap(true)),
    ("ro", Set(attr::RDONLY)),
    ("rprivate", Propagate(propagation::PRIVATE, true)),
    ("rshared", Propagate(propagation::SHARED, true)),
    ("rslave", Propagate(propagation::SLAVE, true)),
    ("runbindable", Propagate(propagation::UNBINDABLE, true)),
    ("rw", Clear(attr::RDONLY)),
    ("shared", Propagate(propagation::SHARED, false)),
    // Of what the kernel would write to its log.
    ("silent", Nothing),
    ("slave", Propagate(propagation::SLAVE, false)),
    ("strictatime", Atime(attr::STRICTATIME)),
    ("suid", Clear(attr::NOSUID)),
    ("symfollow", Clear(attr::NOSYMFOLLOW)),
    ("sync", Superblock("sync")),
    ("tmpcopyup", CopyUp),
    ("unbindable", Propagate(propagation::UNBINDABLE, false)),
];

/// Every option that is not the file system's own, recursive forms included: for `features`.
pub fn known_options() -> impl Iterator<Item = (&'static str, bool)> {
    let plain = TABLE.iter().map(|(name, _)| (*name, false));
    let recursive = TABLE.iter().filter(|(_, effect)| effect.is_attribute());
    plain.chain(recursive.map(|(name, _)| (*name, true)))
}

fn find(name: &str) -> Option<Effect> {
    TABLE.binary_search_by_key(&name, |entry| entry.0).ok().map(|at| TABLE[at].1)
}

/// An entry's options, sorted by what they mean.
#[derive(Debug, Default)]
pub(crate) struct Parsed<'s> {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    pub(crate) set_all: u64,
    pub(crate) clear_all: u64,
    /// An attribute of the top mount was named, be it to set or to clear it.
    pub(crate) given: bool,
    pub(crate) propagation: Vec<(u64, bool)>,
    /// A bind mount: of the whole tree?
    pub(crate) bind: Option<bool>,
    pub(crate) remount: bool,
    pub(crate) copy_up: bool,
    /// Ids are mapped: of the whole tree?
    pub(crate) idmap: Option<bool>,
    pub(crate) superblock: Vec<&'static str>,
    /// The file system's own options.
    pub(crate) data: Vec<&'s str>,
}

impl<'s> Parsed<'s> {
    pub(crate) fn parse(mount: &'s Mount<'_>, index: usize) -> Result<Self> {
        let mut parsed = Self::default();
        for (place, option) in mount.options.iter().enumerate() {
            let option = option.as_str();
            if let Some(effect) = find(option) {
                parsed.apply(effect);
            } else if let Some(effect) = option.strip_prefix('r').and_then(find).filter(|e| e.is_attribute()) {
                parsed.apply_recursive(effect);
            } else if option.is_empty() || option.starts_with('=') {
                return Err(Error::invalid(
                    format!("/mounts/{index}/options/{place}"),
                    "mount",
                    "the option has no name",
                ));
            } else {
                parsed.data.push(option);
            }
        }
        Ok(parsed)
    }

    fn apply(&mut self, effect: Effect) {
        self.given |= effect.is_attribute();
        match effect {
            Set(bits) => change(&mut self.set, &mut self.clear, bits, 0),
            Clear(bits) => change(&mut self.set, &mut self.clear, 0, bits),
            Atime(bits) => change(&mut self.set, &mut self.clear, bits, attr::ATIME),
            Propagate(kind, tree) => self.propagation.push((kind, tree)),
            Bind(tree) => self.bind = Some(tree || self.bind == Some(true)),
            Remount => self.remount = true,
            Superblock(flag) => self.superblock.push(flag),
            CopyUp => self.copy_up = true,
            IdMap(tree) => self.idmap = Some(tree),
            ClearAtime | Nothing => {}
        }
    }

    fn apply_recursive(&mut self, effect: Effect) {
        match effect {
            Set(bits) => change(&mut self.set_all, &mut self.clear_all, bits, 0),
            Clear(bits) => change(&mut self.set_all, &mut self.clear_all, 0, bits),
            Atime(bits) => change(&mut self.set_all, &mut self.clear_all, bits, attr::ATIME),
            ClearAtime => change(&mut self.set_all, &mut self.clear_all, attr::RELATIME, attr::ATIME),
            _ => {}
        }
    }
}

/// What a bind mount can have.
const ATTRIBUTES: u64 = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC | attr::NOSYMFOLLOW;

impl Parsed<'_> {
    /// What to clear on the top of a bind mount. Where any attribute is named, the others are cleared too: the mount has
    /// what the document says, not what the source happens to have (COMPAT(runc): mount(8) is of two minds here). How
    /// access times are kept changes only if that is named.
    pub(crate) fn bind_clear(&self) -> u64 {
        if !self.given {
            return 0;
        }
        let times = if self.clear & attr::ATIME != 0 || self.set & attr::NODIRATIME != 0 {
            attr::ATIME | attr::NODIRATIME
        } else {
            0
        };
        (ATTRIBUTES & !self.set) | times | (self.clear & attr::NODIRATIME)
    }
}

/// Later options win: what is set is no longer cleared, and the other way round. The access-time mode is a field of its
/// own, which mount_setattr(2) wants cleared whole before a value is set.
fn change(set: &mut u64, clear: &mut u64, on: u64, off: u64) {
    if off & attr::ATIME != 0 {
        *set &= !attr::ATIME;
        *clear |= attr::ATIME;
    }
    *set = (*set & !off) | on;
    *clear = ((*clear & !on) | (off & !attr::ATIME)) | (*clear & attr::ATIME);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_name_twice() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    fn parse(options: &[&'static str]) -> Parsed<'static> {
        let mount = Mount { options: options.iter().map(|o| (*o).into()).collect(), ..Mount::default() };
        Parsed::parse(Box::leak(Box::new(mount)), 0).unwrap()
    }

    #[test]
    fn options_in_order() {
        let p = parse(&["nosuid", "ro", "rw", "noatime", "relatime", "mode=755"]);
        assert_eq!((p.set, p.clear), (attr::NOSUID, attr::RDONLY | attr::ATIME));
        assert_eq!(p.data, ["mode=755"]);
        let p = parse(&["rbind", "rro", "rslave"]);
        assert_eq!((p.bind, p.set_all, p.set), (Some(true), attr::RDONLY, 0));
        assert_eq!(p.propagation, [(propagation::SLAVE, true)]);
        let p = parse(&["noatime"]);
        assert_eq!((p.set, p.clear), (attr::NOATIME, attr::ATIME));
    }

    #[test]
    fn an_option_without_name_is_refused() {
        let mount = Mount { options: vec!["=x".into()], ..Mount::default() };
        assert_eq!(Parsed::parse(&mount, 3).unwrap_err().pointer(), Some("/mounts/3/options/0"));
    }
}
