// SPDX-License-Identifier: Apache-2.0
//! The machines that there are, and which tests run in each.

/// A kind of machine.
#[derive(Debug)]
pub(super) struct Lane {
    /// What it is called on the command line.
    pub(super) name: &'static str,
    /// The Debian release in it. Lanes of one release share its image.
    pub(super) release: &'static str,
    /// What it has on its kernel's command line besides what all have.
    pub(super) kernel: &'static str,
    /// The test programs of tests/tests and of the crates that run there unless others are named.
    programs: &'static [&'static str],
}

/// The lanes; the first is the one that is meant when none is named.
pub(super) const LANES: &[Lane] = &[
    // Linux 6.12, systemd 257.
    Lane {
        name: "trixie",
        release: "trixie",
        kernel: "",
        programs: &[
            "kernel",
            "limits",
            "systemd",
            "cgroups",
            "update",
            "pause",
            "events",
            "exec",
            "share",
            "survey",
            "machine",
            "apparmor",
            "checkpoint",
        ],
    },
    // Linux 6.1, systemd 252.
    Lane {
        name: "bookworm",
        release: "bookworm",
        kernel: "",
        programs: &[
            "kernel", "limits", "systemd", "cgroups", "update", "pause", "events", "exec", "machine", "apparmor",
        ],
    },
    // The same with version 1, in which all controllers are, as systemd mounts it.
    Lane {
        name: "bookworm-v1",
        release: "bookworm",
        kernel: "systemd.unified_cgroup_hierarchy=0",
        programs: &["kernel", "limits", "systemd", "cgroups", "update", "pause", "events"],
    },
];

impl Lane {
    /// The programs to run, in order: the lane's own, or those that are named.
    pub(super) fn choose<'a>(&self, names: &'a [String]) -> Vec<&'a str> {
        if names.is_empty() { self.programs.to_vec() } else { names.iter().map(String::as_str).collect() }
    }

    /// The names in the list of tests that may skip themselves, without those that are for other lanes alone.
    pub(super) fn skips(&self, list: &str) -> String {
        let here = |line: &&str| {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace().skip(1).peekable();
            words.peek().is_none() || words.any(|lane| lane == self.name)
        };
        let name = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned() + "\n";
        list.lines().filter(here).map(name).collect()
    }
}

/// `cgroups` of `…/deps/cgroups-0f3d…`.
pub(super) fn program_name(path: &std::path::Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.rsplit_once('-').map_or(&*name, |(name, _)| name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_chosen_by_name() {
        assert_eq!(LANES[0].choose(&["exec".into()]), ["exec"]);
        assert_eq!(LANES[0].choose(&[]), LANES[0].programs);
    }

    #[test]
    fn skips_may_be_for_a_lane_alone() {
        let list = "# tests\nanywhere # reason\nhere trixie bookworm # reason\nthere bookworm\n";
        assert_eq!(LANES[0].skips(list), "#\nanywhere\nhere\n");
    }

    #[test]
    fn lanes_name_each_program_once() {
        for lane in LANES {
            for (index, name) in lane.programs.iter().enumerate() {
                assert!(!lane.programs[index + 1..].contains(name), "{name} twice");
            }
        }
    }
}
