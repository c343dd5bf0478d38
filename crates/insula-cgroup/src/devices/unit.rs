// SPDX-License-Identifier: Apache-2.0
//! Device rules as systemd's `DeviceAllow=` has them. Source: systemd.resource-control(5); its paths without globbing are
//! COMPAT(runc).

use super::{DeviceKind, DeviceRules, Target};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

impl DeviceRules {
    /// Specifier and access of what is allowed, where the default is to deny; empty otherwise. Rules for one minor number
    /// of every major have no specifier and are left out: the cgroup's own rules have them.
    pub(crate) fn allow_list(&self) -> Vec<(String, String)> {
        if self.default_allow {
            return Vec::new();
        }
        let entry = |exception: &super::Exception| Some((specifier(&exception.target)?, exception.access.to_string()));
        self.exceptions.iter().filter_map(entry).collect()
    }
}

fn specifier(target: &Target) -> Option<String> {
    let (group, directory) = match target.kind {
        DeviceKind::Block => ("block", "block"),
        DeviceKind::Character => ("char", "char"),
    };
    match (target.major, target.minor) {
        (Some(major), Some(minor)) => Some(format!("/dev/{directory}/{major}:{minor}")),
        // A number for a group: systemd 240.
        (Some(major), None) => Some(format!("{group}-{major}")),
        (None, None) => Some(format!("{group}-*")),
        (None, Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insula_spec::DeviceRule;

    fn rule(allow: bool, kind: &'static str, major: i64, minor: i64, access: &'static str) -> DeviceRule<'static> {
        DeviceRule {
            allow,
            kind: Some(kind.into()),
            major: Some(major),
            minor: Some(minor),
            access: Some(access.into()),
        }
    }

    #[test]
    fn what_is_allowed_is_listed() {
        let rules = [
            rule(false, "a", -1, -1, "rwm"),
            rule(true, "c", -1, -1, "m"),
            rule(true, "b", -1, -1, "m"),
            rule(true, "c", 1, 3, "rw"),
            rule(true, "b", 8, 0, "r"),
            rule(true, "c", 136, -1, "rwm"),
            rule(true, "c", -1, 7, "r"),
        ];
        let mut list = DeviceRules::new(&rules).unwrap().allow_list();
        list.sort();
        let expected =
            [("/dev/block/8:0", "r"), ("/dev/char/1:3", "rw"), ("block-*", "m"), ("char-*", "m"), ("char-136", "rwm")];
        assert_eq!(list, expected.map(|(path, access)| (path.to_string(), access.to_string())));
        let all_but = [rule(true, "a", -1, -1, "rwm"), rule(false, "c", 1, 3, "rw")];
        assert_eq!(DeviceRules::new(&all_but).unwrap().allow_list(), []);
    }
}
