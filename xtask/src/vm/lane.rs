// SPDX-License-Identifier: Apache-2.0
//! The machines that there are, and which tests run in each.

use std::path::PathBuf;

/// A kind of machine.
#[derive(Debug)]
pub(super) struct Lane {
    /// What it is called on the command line; also the Debian release in it.
    pub(super) name: &'static str,
    /// The test programs of tests/tests and of the crates that run there unless others are named.
    programs: &'static [&'static str],
}

/// The lanes; the first is the one that is meant when none is named.
pub(super) const LANES: &[Lane] = &[
    // Linux 6.12, systemd 257.
    Lane {
        name: "trixie",
        programs: &[
            "kernel", "limits", "systemd", "cgroups", "update", "pause", "events", "exec", "share", "survey", "machine",
        ],
    },
    // Linux 6.1, systemd 252.
    Lane {
        name: "bookworm",
        programs: &["kernel", "limits", "systemd", "cgroups", "update", "pause", "events", "exec"],
    },
];

impl Lane {
    /// The programs to run, in order: the lane's own, or those that are named.
    pub(super) fn choose(&self, built: &[PathBuf], names: &[String]) -> Result<Vec<PathBuf>, String> {
        let names: Vec<&str> =
            if names.is_empty() { self.programs.to_vec() } else { names.iter().map(String::as_str).collect() };
        names
            .iter()
            .map(|name| {
                built.iter().find(|path| program_name(path) == *name).cloned().ok_or_else(|| {
                    let known: Vec<_> = built.iter().map(|path| program_name(path)).collect();
                    format!("no test program called {name:?}; there are {}", known.join(", "))
                })
            })
            .collect()
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
        let built = [PathBuf::from("/t/deps/pause-01ab"), PathBuf::from("/t/deps/exec-02cd")];
        let chosen = LANES[0].choose(&built, &["exec".into()]).unwrap();
        assert_eq!(chosen, [PathBuf::from("/t/deps/exec-02cd")]);
        let error = LANES[0].choose(&built, &["nonsense".into()]).unwrap_err();
        assert!(error.contains("nonsense") && error.contains("pause, exec"), "{error}");
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
