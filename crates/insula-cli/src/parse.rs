// SPDX-License-Identifier: Apache-2.0
//! From arguments to a command with its flags.
//!
//! COMPAT(runc): what runc's own parser (Go's urfave/cli) accepts, this accepts: `--flag value`, `--flag=value`, `-f
//! value`, `-f=value`, long names after one dash (containerd sends `-no-subreaper`), `--switch=false`, words such as
//! `-9` that are no flags. More than runc: flags may follow the container id, and global flags may follow the command.
//! Letters are not bundled (`-it`).
//!
//! Every engine call passes here: no table is built, a few small vectors are all that is allocated.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use insula_error::{Error, Result};

use crate::command::{COMMANDS, Command, GLOBALS};
use crate::flag::{Begins, Flag, Means, Takes};
use crate::log::Format;
use crate::nearest::nearest;

/// One flag as it was given.
#[derive(Debug, Clone, Copy)]
struct Setting<'a> {
    flag: &'static Flag,
    /// A switch has `true` or `false`.
    value: &'a str,
}

/// The global flags, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Globals<'a> {
    /// `--root`; `None` means the default, which depends on the user.
    pub root: Option<&'a str>,
    /// `--log`.
    pub log: Option<&'a str>,
    /// `--log-format`.
    pub log_format: Format,
    /// `--debug`.
    pub debug: bool,
    /// `--systemd-cgroup`.
    pub systemd_cgroup: bool,
    /// `--rootless`; `None` means auto.
    pub rootless: Option<bool>,
}

/// A command line, taken apart and checked against the table.
#[derive(Debug, Clone, Default)]
pub struct Parsed<'a> {
    /// What to do; `None` if only global flags were given, which asks for the overview as `--help` does.
    pub command: Option<&'static Command>,
    globals: Globals<'a>,
    help: bool,
    version: bool,
    settings: Vec<Setting<'a>>,
    positionals: Vec<&'a str>,
    rest: Vec<&'a CStr>,
}

impl<'a> Parsed<'a> {
    /// The value of `--name`, or the table's default for it. The last one given counts; as in runc, an empty value
    /// counts as not given.
    pub fn flag(&self, name: &str) -> Option<&'a str> {
        match self.settings.iter().rfind(|setting| setting.flag.long == name) {
            Some(setting) if !setting.value.is_empty() => Some(setting.value),
            _ => self.command?.flags().find(|flag| flag.long == name)?.default,
        }
    }

    /// Whether `--name` was given; for a switch, whether it is on.
    pub fn is_set(&self, name: &str) -> bool {
        let setting = self.settings.iter().rfind(|setting| setting.flag.long == name);
        setting.is_some_and(|setting| setting.flag.takes != Takes::Nothing || setting.value == "true")
    }

    /// What the switch `--name` was set to, if it was given: tells `--name=false` from its absence.
    pub fn switch(&self, name: &str) -> Option<bool> {
        let setting = self.settings.iter().rfind(|setting| setting.flag.long == name)?;
        (setting.flag.takes == Takes::Nothing).then_some(setting.value == "true")
    }

    /// The number given to `--name`, or the table's default for it. Only for flags that take a number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.flag(name)?.parse().ok()
    }

    /// All values of `--name`, in their order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.settings.iter().filter(move |setting| setting.flag.long == name).map(|setting| setting.value)
    }

    /// The word at `index`, from 0: the container id, and so on.
    pub fn positional(&self, index: usize) -> Option<&'a str> {
        self.positionals.get(index).copied()
    }

    /// The part that belongs to another program, as it came.
    pub fn rest(&self) -> &[&'a CStr] {
        &self.rest
    }

    /// The global flags.
    pub fn globals(&self) -> &Globals<'a> {
        &self.globals
    }

    /// Whether help was asked for: of [`Self::command`] if there is one, else the overview.
    pub fn wants_help(&self) -> bool {
        self.help || (self.command.is_none() && !self.version)
    }

    /// Whether the version was asked for.
    pub fn wants_version(&self) -> bool {
        self.version && !self.help
    }
}

/// Takes a command line apart. `args` does not include the program's name.
///
/// Where help is asked for, missing and surplus words are no error; unknown flags are.
///
/// # Errors
/// [`Kind::Usage`](insula_error::Kind::Usage), naming the command, the flag or word at fault and the closest known
/// name; also for arguments that are not UTF-8 outside the part that belongs to another program.
pub fn parse<'a>(args: impl Iterator<Item = &'a CStr>) -> Result<Parsed<'a>> {
    let mut parser = Parser { parsed: Parsed::default(), surplus: None, stage: Stage::Flags };
    let mut args = args;
    while let Some(arg) = args.next() {
        parser.take(arg, &mut args)?;
    }
    parser.finish()
}

/// What the next argument may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A flag or a word.
    Flags,
    /// A word; `--` came.
    Words,
    /// The other program's part may begin with a `--` of ours.
    RestOrDashes,
    /// The other program's part.
    Rest,
}

struct Parser<'a> {
    parsed: Parsed<'a>,
    /// The first word too many; reported last, because `--help` may follow.
    surplus: Option<&'a str>,
    stage: Stage,
}

impl<'a> Parser<'a> {
    fn take(&mut self, arg: &'a CStr, more: &mut impl Iterator<Item = &'a CStr>) -> Result<()> {
        let bytes = arg.to_bytes();
        match self.stage {
            Stage::RestOrDashes if bytes == b"--" => self.stage = Stage::Rest,
            Stage::Rest | Stage::RestOrDashes => {
                self.stage = Stage::Rest;
                self.parsed.rest.push(arg);
            }
            Stage::Flags if bytes == b"--" => self.end_of_flags(),
            Stage::Flags if is_flag(bytes) => {
                let text = self.utf8(arg)?;
                self.flag(text, more)?;
            }
            Stage::Flags | Stage::Words => self.word(arg)?,
        }
        Ok(())
    }

    /// After `--`: before the command it changes nothing but what a flag is; after the last positional, the other
    /// program's part begins.
    fn end_of_flags(&mut self) {
        let complete = self.parsed.command.is_some_and(|command| {
            command.rest.is_some() && self.parsed.positionals.len() == command.positionals.len()
        });
        self.stage = if complete { Stage::Rest } else { Stage::Words };
    }

    fn word(&mut self, arg: &'a CStr) -> Result<()> {
        let Some(command) = self.parsed.command else {
            let name = self.utf8(arg)?;
            self.parsed.command = Some(Command::find(name).ok_or_else(|| unknown_command(name))?);
            self.stage = Stage::Flags;
            return Ok(());
        };
        if self.parsed.positionals.len() < command.positionals.len() {
            let word = self.utf8(arg)?;
            self.parsed.positionals.push(word);
            let complete = self.parsed.positionals.len() == command.positionals.len();
            if complete && command.rest.is_some_and(|rest| rest.begins == Begins::AfterPositionals) {
                self.stage = Stage::RestOrDashes;
            }
        } else if command.rest.is_some() {
            self.stage = Stage::Rest;
            self.parsed.rest.push(arg);
        } else if self.surplus.is_none() {
            self.surplus = Some(self.utf8(arg)?);
        }
        Ok(())
    }

    fn flag(&mut self, text: &'a str, more: &mut impl Iterator<Item = &'a CStr>) -> Result<()> {
        let (name, given) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let name = name.strip_prefix("--").or_else(|| name.strip_prefix('-')).unwrap_or(name);
        let Some(flag) = self.find(name) else {
            return Err(self.unknown_flag(text.split('=').next().unwrap_or(text), name));
        };
        let value = match (flag.takes, given) {
            // Go takes `--switch=` for `--switch`.
            (Takes::Nothing, None | Some("")) => "true",
            (Takes::Nothing, Some(value)) => match boolean(value) {
                Some(true) => "true",
                Some(false) => "false",
                None => return Err(self.usage(format!("--{} is a switch: {value:?} is not true or false", flag.long))),
            },
            (_, Some(value)) => value,
            (takes, None) => match more.next() {
                Some(value) => self.utf8(value)?,
                None => return Err(self.usage(format!("flag needs an argument: --{} {}", flag.long, takes.meta()))),
            },
        };
        self.check(flag, value)?;
        match flag.long {
            "help" => self.parsed.help = value == "true",
            "version" if self.parsed.command.is_none() => self.parsed.version = value == "true",
            _ if GLOBALS.iter().any(|global| core::ptr::eq(global, flag)) => self.global(flag, value)?,
            _ => self.parsed.settings.push(Setting { flag, value }),
        }
        Ok(())
    }

    /// The command's flag of that name, else the global one. After a command, `version` is none of them.
    fn find(&self, name: &str) -> Option<&'static Flag> {
        let own = self.parsed.command.and_then(|command| command.flags().find(|flag| flag.is(name)));
        own.or_else(|| {
            let before = self.parsed.command.is_none();
            GLOBALS.iter().find(|flag| flag.is(name) && (before || flag.long != "version"))
        })
    }

    fn check(&self, flag: &Flag, value: &str) -> Result<()> {
        match flag.takes {
            Takes::Integer(_) if value.parse::<i64>().is_err() => {
                Err(self.usage(format!("--{}: {value:?} is not a whole number", flag.long)))
            }
            Takes::OneOf(words) if !words.contains(&value) => {
                Err(self.usage(format!("--{}: {value:?} is none of {}", flag.long, words.join(", "))))
            }
            _ => Ok(()),
        }
    }

    fn global(&mut self, flag: &Flag, value: &'a str) -> Result<()> {
        let globals = &mut self.parsed.globals;
        match flag.long {
            // An empty root would otherwise silently mean the default one.
            "root" if value.is_empty() => return Err(self.usage("--root needs a directory")),
            "root" => globals.root = Some(value),
            "log" => globals.log = Some(value).filter(|file| !file.is_empty()),
            "log-format" => globals.log_format = if value == "json" { Format::Json } else { Format::Text },
            "debug" => globals.debug = value == "true",
            "systemd-cgroup" => globals.systemd_cgroup = value == "true",
            "rootless" if value.is_empty() || value.eq_ignore_ascii_case("auto") => globals.rootless = None,
            "rootless" => match boolean(value) {
                Some(rootless) => globals.rootless = Some(rootless),
                None => return Err(self.usage(format!("--rootless: {value:?} is none of true, false, auto"))),
            },
            // Accepted and ignored, like --criu.
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Parsed<'a>> {
        if self.parsed.help {
            return Ok(self.parsed);
        }
        let Some(command) = self.parsed.command else { return Ok(self.parsed) };
        if let Some(missing) = command.positionals.get(self.parsed.positionals.len()).filter(|p| p.required) {
            return Err(self.usage(format!("missing <{}>", missing.name)));
        }
        if let Some(surplus) = self.surplus {
            let most = command.positionals.len();
            return Err(self.usage(format!("one argument too many: {surplus:?} ({} takes {most})", command.name)));
        }
        for (word, positional) in self.parsed.positionals.iter().zip(command.positionals) {
            match positional.means {
                Means::OneOf(words) if !words.contains(word) => {
                    let known = words.join(", ");
                    return Err(self.usage(format!("{}: {word:?} is none of {known}", positional.name)));
                }
                _ => {}
            }
        }
        if self.parsed.rest.is_empty() && command.rest.is_some_and(|rest| !rest.optional) {
            return Err(self.usage("missing command to run"));
        }
        Ok(self.parsed)
    }

    fn utf8(&self, arg: &'a CStr) -> Result<&'a str> {
        arg.to_str().map_err(|_| self.usage(format!("argument {arg:?} is not UTF-8")))
    }

    fn unknown_flag(&self, written: &str, name: &str) -> Error {
        let own = self.parsed.command.into_iter().flat_map(Command::flags);
        let known = own.chain(GLOBALS).filter(|flag| !flag.hidden).map(|flag| flag.long);
        // Not runc's "flag provided but not defined": that does not say where.
        match nearest(name, known) {
            Some(near) => self.usage(format!("unknown flag {written}, did you mean --{near}?")),
            None => self.usage(format!("unknown flag {written}")),
        }
    }

    /// A usage error in the present command.
    fn usage(&self, reason: impl Into<String>) -> Error {
        let reason = reason.into();
        match self.parsed.command {
            Some(command) => Error::usage(format!("{}: {reason}", command.name))
                .advice(format!("see insula {} --help", command.name)),
            None => Error::usage(reason).advice("see insula --help"),
        }
    }
}

/// Help for an unknown command, `insula help foo` or `insula foo --help`, as much as for its use.
pub fn unknown_command(name: &str) -> Error {
    // COMPAT(runc): the words that its help.bats expects.
    let reason = match nearest(name, COMMANDS.iter().map(|command| command.name)) {
        Some(near) => format!("No help topic for '{name}': no such command, did you mean {near}?"),
        None => format!("No help topic for '{name}': no such command"),
    };
    Error::usage(reason).advice("see insula --help")
}

/// A dash alone means standard input or output, and `-9` a number: words.
fn is_flag(arg: &[u8]) -> bool {
    matches!(arg, [b'-', second, ..] if *second == b'-' || second.is_ascii_alphabetic())
}

/// What Go's strconv.ParseBool takes.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
