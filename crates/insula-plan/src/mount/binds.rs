// SPDX-License-Identifier: Apache-2.0
//! Which entries of `mounts` show something of the host's: a checkpoint leaves it where it is, and a restore takes it from
//! there again.

use super::{Parsed, clean, host_path, in_root_of};
use alloc::string::String;
use alloc::vec::Vec;
use insula_error::Result;
use insula_spec::Spec;

/// A bind mount of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Absolute path in the container, without empty parts and dots; links in it are not followed yet.
    pub destination: String,
    /// Absolute path on the host.
    pub source: String,
    /// Index in `mounts`.
    pub index: usize,
}

/// The document's bind mounts, in order. `bundle` is what relative sources are relative to.
///
/// # Errors
/// `InvalidConfig` for an option without a name.
pub fn binds(spec: &Spec<'_>, bundle: &str) -> Result<Vec<Bind>> {
    let mut binds = Vec::new();
    for (index, mount) in spec.mounts.iter().enumerate() {
        let parsed = Parsed::parse(mount, index)?;
        if parsed.remount || (parsed.bind.is_none() && mount.kind.as_deref() != Some("bind")) {
            continue;
        }
        binds.push(Bind {
            destination: in_root_of(spec, bundle, &mount.destination),
            source: clean(&host_path(bundle, mount.source.as_deref().unwrap_or_default())),
            index,
        });
    }
    Ok(binds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_are_known_by_type_or_option() {
        let text = br#"{"ociVersion":"1.2.0","root":{"path":"rootfs"},"mounts":[
            {"destination":"/proc","type":"proc","source":"proc"},
            {"destination":"//a/./b","source":"data","options":["rbind","ro"]},
            {"destination":"/c","type":"bind","source":"/srv/c"},
            {"destination":"/c","options":["remount","bind","ro"]},
            {"destination":"/bundle/rootfs/d","source":"/srv/d","options":["bind"]}]}"#;
        let spec = insula_spec::load(text).unwrap();
        let found: Vec<(String, String, usize)> =
            binds(&spec, "/bundle").unwrap().into_iter().map(|b| (b.destination, b.source, b.index)).collect();
        let row = |destination: &str, source: &str, index| (destination.into(), source.into(), index);
        assert_eq!(found, [row("/a/b", "/bundle/data", 1), row("/c", "/srv/c", 2), row("/d", "/srv/d", 4)]);
    }
}
