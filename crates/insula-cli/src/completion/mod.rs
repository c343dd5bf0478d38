// SPDX-License-Identifier: Apache-2.0
//! Completion scripts, made from the command table: commands, flags, their values, and ids of existing containers
//! (asked from `insula list --quiet` under the `--root` on the line).

use alloc::string::String;
use core::fmt;

mod bash;
mod fish;
mod zsh;

/// A shell that completes insula's command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// GNU bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

impl Shell {
    /// Their names.
    pub const NAMES: &[&'static str] = &["bash", "zsh", "fish"];

    /// The shell of that name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "bash" => Some(Self::Bash),
            "zsh" => Some(Self::Zsh),
            "fish" => Some(Self::Fish),
            _ => None,
        }
    }
}

/// The script for a shell.
pub fn render(shell: Shell) -> String {
    let mut script = Script(String::from("# Completion of insula; made by `insula completion`.\n"));
    match shell {
        Shell::Bash => bash::render(&mut script),
        Shell::Zsh => zsh::render(&mut script),
        Shell::Fish => fish::render(&mut script),
    }
    script.0
}

struct Script(String);

impl Script {
    fn put(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = fmt::write(&mut self.0, text);
    }

    fn line(&mut self, text: fmt::Arguments<'_>) {
        self.put(text);
        self.0.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{COMMANDS, GLOBALS};

    #[test]
    fn every_shell_by_name() {
        for name in Shell::NAMES {
            assert!(render(Shell::named(name).unwrap()).contains("insula"), "{name}");
        }
        assert_eq!(Shell::named("csh"), None);
    }

    #[test]
    fn scripts_know_every_command_and_visible_flag() {
        for name in Shell::NAMES {
            let script = render(Shell::named(name).unwrap());
            // fish writes `-l bundle`, the others `--bundle`.
            let dashes = if *name == "fish" { "-l " } else { "--" };
            for command in COMMANDS {
                assert!(script.contains(command.name), "{name}: {}", command.name);
            }
            for flag in COMMANDS.iter().flat_map(|c| c.flags()).chain(GLOBALS) {
                assert_eq!(script.contains(&format!("{dashes}{}", flag.long)), !flag.hidden, "{name}: {}", flag.long);
            }
        }
    }
}
