// SPDX-License-Identifier: Apache-2.0
//! Containers by the paths of their cgroups.

/// How an engine names cgroups: the component that holds the id.
struct Pattern {
    engine: &'static str,
    prefix: &'static str,
    suffix: &'static str,
    /// What an earlier component must begin with.
    below: &'static str,
}

const PATTERNS: &[Pattern] = &[
    Pattern { engine: "docker", prefix: "docker-", suffix: ".scope", below: "" },
    Pattern { engine: "docker", prefix: "", suffix: "", below: "docker" },
    Pattern { engine: "podman", prefix: "libpod-", suffix: ".scope", below: "" },
    Pattern { engine: "podman", prefix: "libpod-", suffix: "", below: "" },
    Pattern { engine: "cri-o", prefix: "crio-", suffix: ".scope", below: "" },
    Pattern { engine: "cri-o", prefix: "crio-", suffix: "", below: "" },
    Pattern { engine: "containerd", prefix: "cri-containerd-", suffix: ".scope", below: "" },
    Pattern { engine: "containerd", prefix: "nerdctl-", suffix: ".scope", below: "" },
    Pattern { engine: "containerd", prefix: "", suffix: "", below: "kubepods" },
];

/// Engine and id of the innermost container in `cgroups`, the contents of /proc/\<pid\>/cgroup. Processes that only
/// watch over a container have other names there (`libpod-conmon-…`).
pub(super) fn recognise(cgroups: &str) -> Option<(&'static str, &str)> {
    paths(cgroups).find_map(|path| {
        let components = || path.split('/').filter(|component| !component.is_empty());
        let count = components().count();
        (0..count).rev().find_map(|at| {
            let component = components().nth(at)?;
            PATTERNS.iter().find_map(|pattern| {
                let id = component.strip_prefix(pattern.prefix)?.strip_suffix(pattern.suffix)?;
                let placed = pattern.below.is_empty() || components().take(at).any(|c| c.starts_with(pattern.below));
                (is_long_id(id) && placed).then_some((pattern.engine, id))
            })
        })
    })
}

/// Whether `id` is one of the 64 hexadecimal digits that these engines use.
pub(super) fn is_long_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The paths in `cgroups`, the contents of /proc/\<pid\>/cgroup, but roots.
pub(super) fn paths(cgroups: &str) -> impl Iterator<Item = &str> {
    cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2)).filter(|path| path.len() > 1)
}

/// `path` and the paths above it, but the root.
pub(super) fn with_ancestors(path: &str) -> impl Iterator<Item = &str> {
    core::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(above, _)| above))
        .filter(|path| !path.is_empty())
}

/// The path in `cgroups` down to the component that is named after container `id`.
pub(super) fn named_after<'c>(id: &str, cgroups: &'c str) -> Option<&'c str> {
    if id.is_empty() {
        return None;
    }
    let named = |path: &&str| {
        let component = path.rsplit('/').next().unwrap_or_default();
        let component = component.strip_suffix(".scope").unwrap_or(component);
        component.strip_suffix(id).is_some_and(|before| before.is_empty() || before.ends_with(['-', ':', '_']))
    };
    paths(cgroups).flat_map(with_ancestors).find(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn engines_are_recognised_by_path() {
        let cases = [
            ("12:pids:/docker/ID\n0::/", Some("docker")),
            ("0::/system.slice/docker-ID.scope", Some("docker")),
            ("0::/system.slice/docker-ID.scope/init", Some("docker")),
            ("0::/machine.slice/libpod-ID.scope/container", Some("podman")),
            ("9:devices:/libpod_parent/libpod-ID", Some("podman")),
            ("0::/machine.slice/libpod-conmon-ID.scope", None),
            ("0::/kubepods.slice/kubepods-pod1.slice/crio-ID.scope", Some("cri-o")),
            ("0::/kubepods.slice/kubepods-pod1.slice/crio-conmon-ID.scope", None),
            ("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-ID.scope", Some("containerd")),
            ("4:cpu:/kubepods/burstable/pod12/ID", Some("containerd")),
            ("0::/system.slice/nerdctl-ID.scope", Some("containerd")),
            ("0::/system.slice/docker.service", None),
            ("0::/docker/abc", None),
            ("0::/other/ID", None),
            ("", None),
        ];
        for (cgroups, engine) in cases {
            let cgroups = cgroups.replace("ID", ID);
            assert_eq!(recognise(&cgroups), engine.map(|engine| (engine, ID)), "{cgroups}");
        }
    }

    #[test]
    fn the_innermost_container_counts() {
        let inner = ID.replace('0', "f");
        let cgroups = format!("0::/docker/{ID}/docker/{inner}");
        assert_eq!(recognise(&cgroups), Some(("docker", inner.as_str())));
    }

    #[test]
    fn own_cgroups_are_those_named_after_the_container() {
        assert_eq!(named_after("box", "3:cpu:/\n0::/default/box/sub"), Some("/default/box"));
        assert_eq!(named_after("box", "0::/user.slice/crun-box.scope/x"), Some("/user.slice/crun-box.scope"));
        assert_eq!(named_after("box", "0::/user.slice/session-3.scope"), None);
        assert_eq!(named_after("box", "0::/inbox"), None);
        assert_eq!(named_after("", "0::/a"), None);
        assert_eq!(with_ancestors("/a/b/c").collect::<Vec<_>>(), ["/a/b/c", "/a/b", "/a"]);
    }
}
