// SPDX-License-Identifier: Apache-2.0
//! The table of commands: one file each, one line each in [`COMMANDS`].
//!
//! runc's commands have runc's flags. Where several commands share flags, the shared group is in [`shared`].

use crate::flag::{Example, Flag, Group, Positional, Rest};

mod checkpoint;
mod completion;
mod create;
mod delete;
mod doctor;
mod events;
mod exec;
mod features;
mod globals;
mod help;
mod inspect;
mod kill;
mod list;
mod ns;
mod pause;
mod plan;
mod ps;
mod restore;
mod resume;
mod run;
mod shared;
mod spec;
mod start;
mod state;
mod try_;
mod update;
mod verify;

pub use globals::GLOBALS;

/// Every command, in the order of the help.
pub static COMMANDS: &[&Command] = &[
    &try_::COMMAND,
    &plan::COMMAND,
    &doctor::COMMAND,
    &spec::COMMAND,
    &create::COMMAND,
    &start::COMMAND,
    &run::COMMAND,
    &exec::COMMAND,
    &kill::COMMAND,
    &delete::COMMAND,
    &pause::COMMAND,
    &resume::COMMAND,
    &update::COMMAND,
    &checkpoint::COMMAND,
    &restore::COMMAND,
    &list::COMMAND,
    &state::COMMAND,
    &ps::COMMAND,
    &events::COMMAND,
    &inspect::COMMAND,
    &verify::COMMAND,
    &ns::COMMAND,
    &features::COMMAND,
    &completion::COMMAND,
    &help::COMMAND,
];

/// Where the overview shows a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Before there is a container.
    First,
    /// From creation to deletion.
    LifeCycle,
    /// Looking at what runs.
    Look,
    /// About the program itself.
    Program,
}

impl Section {
    /// All sections, in the order of the help.
    pub const ALL: &[Self] = &[Self::First, Self::LifeCycle, Self::Look, Self::Program];

    /// The heading, in capitals without colon.
    pub fn heading(self) -> &'static str {
        match self {
            Self::First => "START HERE",
            Self::LifeCycle => "LIFE CYCLE",
            Self::Look => "LOOK",
            Self::Program => "PROGRAM",
        }
    }
}

/// One command.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// A second name, where runc has one.
    pub alias: Option<&'static str>,
    /// Where the overview shows it.
    pub section: Section,
    /// One line: lower case, no full stop.
    pub summary: &'static str,
    /// Paragraphs of prose, separated by an empty line; a paragraph that starts with spaces keeps its line breaks.
    pub about: &'static str,
    /// The words it expects, required ones first.
    pub positionals: &'static [Positional],
    /// The part that belongs to another program.
    pub rest: Option<Rest>,
    /// Its flags; `--help` is everyone's and not listed.
    pub options: &'static [Group],
    /// At least one line to type.
    pub examples: &'static [Example],
}

impl Command {
    /// The command called `name`, or that has it as its second name.
    pub fn find(name: &str) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| command.name == name || command.alias == Some(name)).copied()
    }

    /// All its flags, of all groups.
    pub fn flags(&self) -> impl Iterator<Item = &'static Flag> + Clone + use<> {
        let options: &'static [Group] = self.options;
        options.iter().flat_map(|group| group.flags)
    }
}

/// The table's basis: a row states only what it has.
const EMPTY: Command = Command {
    name: "",
    alias: None,
    section: Section::LifeCycle,
    summary: "",
    about: "",
    positionals: &[],
    rest: None,
    options: &[],
    examples: &[],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flag::Takes;
    use std::collections::HashSet;

    /// Lower case, one line, no full stop: the help reads as one list.
    fn assert_summary(summary: &str, of: &str) {
        assert!(!summary.is_empty(), "{of} has no summary");
        assert!(!summary.ends_with('.') && !summary.contains('\n'), "{of}: {summary:?}");
        let first = summary.split(' ').next().unwrap();
        let initial = first.chars().next().unwrap();
        let acronym = first.chars().skip(1).any(char::is_uppercase);
        assert!(!initial.is_uppercase() || acronym, "{of} starts with a capital: {summary:?}");
    }

    #[test]
    fn command_names_are_unique_and_plain() {
        let mut seen = HashSet::new();
        for command in COMMANDS {
            for name in [Some(command.name), command.alias].into_iter().flatten() {
                assert!(seen.insert(name), "{name} twice");
                assert!(name.bytes().all(|b| b.is_ascii_lowercase()), "{name}");
            }
        }
    }

    #[test]
    fn every_command_is_documented_with_examples_of_itself() {
        for command in COMMANDS {
            assert_summary(command.summary, command.name);
            assert!(command.about.len() > command.summary.len(), "{} is not explained", command.name);
            assert!(!command.examples.is_empty(), "{} has no example", command.name);
            for example in command.examples {
                assert_summary(example.what, command.name);
                assert!(example.line.contains("insula "), "{}: {:?}", command.name, example.line);
            }
            let used = |e: &Example| e.line.split_whitespace().any(|w| w == command.name);
            assert!(command.examples.iter().any(used), "{}: no example uses it", command.name);
        }
    }

    #[test]
    fn flags_are_unique_and_documented() {
        for command in COMMANDS {
            let mut seen = HashSet::new();
            for flag in command.flags() {
                assert_summary(flag.summary, flag.long);
                assert!(seen.insert(flag.long.to_string()), "{} --{} twice", command.name, flag.long);
                if let Some(short) = flag.short {
                    assert!(seen.insert(short.to_string()), "{} -{short} twice", command.name);
                }
                assert!(flag.long.len() > 1, "one letter goes to `short`: {}", flag.long);
                assert!(flag.long != "help" && flag.short != Some('h'), "{}: help is everyone's", command.name);
            }
        }
    }

    #[test]
    fn globals_are_unique_and_documented() {
        let mut seen = HashSet::new();
        for flag in GLOBALS {
            assert_summary(flag.summary, flag.long);
            assert!(seen.insert(flag.long), "--{} twice", flag.long);
        }
    }

    #[test]
    fn switches_have_no_default_and_choices_contain_theirs() {
        for flag in COMMANDS.iter().flat_map(|c| c.flags()).chain(GLOBALS) {
            match flag.takes {
                Takes::Nothing => assert_eq!(flag.default, None, "--{}", flag.long),
                Takes::OneOf(words) => assert!(flag.default.is_none_or(|d| words.contains(&d)), "--{}", flag.long),
                Takes::Integer(_) => {
                    assert!(flag.default.is_none_or(|d| d.parse::<i64>().is_ok()), "--{}", flag.long);
                }
                Takes::Text(meta) | Takes::Path(meta) => assert!(!meta.is_empty(), "--{}", flag.long),
            }
        }
    }

    #[test]
    fn required_positionals_come_first() {
        for command in COMMANDS {
            let required: Vec<bool> = command.positionals.iter().map(|p| p.required).collect();
            assert!(required.is_sorted_by(|a, b| a >= b), "{}", command.name);
            for positional in command.positionals {
                assert_summary(positional.summary, command.name);
            }
        }
    }

    /// The flags of runc 1.1 to 1.5, by command; a drop-in must accept every one.
    #[test]
    fn runc_flags_are_all_here() {
        let rows = [
            (
                "checkpoint",
                "image-path work-path parent-path leave-running tcp-established tcp-skip-in-flight link-remap ext-unix-sk shell-job lazy-pages status-fd page-server file-locks pre-dump manage-cgroups-mode empty-ns auto-dedup",
            ),
            ("create", "bundle b console-socket pidfd-socket pid-file no-pivot no-new-keyring preserve-fds"),
            ("delete", "force f"),
            ("events", "interval stats"),
            (
                "exec",
                "console-socket pidfd-socket cwd env e tty t user u additional-gids g process p detach d pid-file process-label apparmor no-new-privs cap c preserve-fds cgroup ignore-paused",
            ),
            ("features", ""),
            ("kill", "all a"),
            ("list", "format f quiet q"),
            ("pause", ""),
            ("ps", "format f"),
            (
                "restore",
                "console-socket image-path work-path tcp-established ext-unix-sk shell-job file-locks manage-cgroups-mode bundle b detach d pid-file no-subreaper no-pivot empty-ns auto-dedup lazy-pages lsm-profile lsm-mount-context",
            ),
            ("resume", ""),
            (
                "run",
                "bundle b console-socket pidfd-socket detach d keep pid-file no-subreaper no-pivot no-new-keyring preserve-fds",
            ),
            ("spec", "bundle b rootless"),
            ("start", ""),
            ("state", ""),
            (
                "update",
                "resources r blkio-weight cpu-period cpu-quota cpu-burst cpu-share cpu-rt-period cpu-rt-runtime cpuset-cpus cpuset-mems kernel-memory kernel-memory-tcp memory cpu-idle memory-reservation memory-swap pids-limit l3-cache-schema mem-bw-schema",
            ),
        ];
        for (name, flags) in rows {
            let command = Command::find(name).unwrap_or_else(|| panic!("no {name}"));
            for flag in flags.split_whitespace() {
                assert!(command.flags().any(|f| f.is(flag)), "{name}: no flag {flag}");
            }
        }
        for flag in "debug log log-format root criu systemd-cgroup rootless help h version v".split_whitespace() {
            assert!(GLOBALS.iter().any(|f| f.is(flag)), "no global flag {flag}");
        }
        assert!(Command::find("h").is_some_and(|command| command.name == "help"));
    }
}
