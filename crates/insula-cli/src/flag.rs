// SPDX-License-Identifier: Apache-2.0
//! What a row of the command table is made of: flags, positionals, the command part, examples.

use alloc::string::String;
use alloc::vec::Vec;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: a switch, on when present; `--flag=false` turns it off.
    Nothing,
    /// Any text; the field is what help calls it.
    Text(&'static str),
    /// A file or directory; shells complete paths.
    Path(&'static str),
    /// A decimal number, possibly negative, checked by the parser.
    Integer(&'static str),
    /// One of these words, checked by the parser.
    OneOf(&'static [&'static str]),
}

impl Takes {
    /// What help calls the value: `DIR`, `table|json`; empty for a switch.
    pub fn meta(self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Text(meta) | Self::Path(meta) | Self::Integer(meta) => meta.into(),
            Self::OneOf(words) => words.join("|"),
        }
    }

    /// The values that are plain words: those of [`Self::OneOf`], and the alternatives of a text's meta name that are
    /// in lower case (`private` and `host` of `private|host|container:ID`).
    pub fn words(self) -> Vec<&'static str> {
        match self {
            Self::OneOf(words) => words.to_vec(),
            Self::Text(meta) if meta.contains('|') => meta
                .split('|')
                .filter(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// One flag, global or of a command.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Name without dashes: `bundle`. Written `--bundle` or, as Go programs may, `-bundle`.
    pub long: &'static str,
    /// One-letter name: `b`.
    pub short: Option<char>,
    /// What follows it.
    pub takes: Takes,
    /// Each occurrence adds a value. Otherwise the last one wins.
    pub repeat: bool,
    /// What holds when the flag is not given; `None` where the environment or the document decides.
    pub default: Option<&'static str>,
    /// One line: lower case, no full stop.
    pub summary: &'static str,
    /// Accepted for compatibility; not shown.
    pub hidden: bool,
}

impl Flag {
    const fn new(long: &'static str, takes: Takes, summary: &'static str) -> Self {
        Self { long, short: None, takes, repeat: false, default: None, summary, hidden: false }
    }

    /// A flag without a value.
    pub const fn switch(long: &'static str, summary: &'static str) -> Self {
        Self::new(long, Takes::Nothing, summary)
    }

    /// A flag with a free text, which help calls `meta`.
    pub const fn text(long: &'static str, meta: &'static str, summary: &'static str) -> Self {
        Self::new(long, Takes::Text(meta), summary)
    }

    /// A flag with a path, which help calls `meta`.
    pub const fn path(long: &'static str, meta: &'static str, summary: &'static str) -> Self {
        Self::new(long, Takes::Path(meta), summary)
    }

    /// A flag with a number, which help calls `meta`.
    pub const fn integer(long: &'static str, meta: &'static str, summary: &'static str) -> Self {
        Self::new(long, Takes::Integer(meta), summary)
    }

    /// A flag with one of a few words.
    pub const fn one_of(long: &'static str, words: &'static [&'static str], summary: &'static str) -> Self {
        Self::new(long, Takes::OneOf(words), summary)
    }

    /// Adds a one-letter name.
    #[must_use]
    pub const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// Says what holds when it is not given.
    #[must_use]
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    /// Lets it be given several times, each adding a value.
    #[must_use]
    pub const fn repeat(mut self) -> Self {
        self.repeat = true;
        self
    }

    /// Leaves it out of help, completions and man pages.
    #[must_use]
    pub const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Whether `name` (without dashes) means this flag.
    pub fn is(&self, name: &str) -> bool {
        if self.long == name {
            return true;
        }
        let mut letters = name.chars();
        self.short.is_some() && letters.next() == self.short && letters.next().is_none()
    }
}

/// Flags that help shows together.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// Capitals, without colon: `OPTIONS`.
    pub heading: &'static str,
    /// The flags, in the order of the help.
    pub flags: &'static [Flag],
}

/// What a positional stands for; shells complete it accordingly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// A container that exists.
    Container,
    /// A name for a container to be.
    NewContainer,
    /// A signal by name or number.
    Signal,
    /// One of insula's commands.
    Command,
    /// One of these words, checked by the parser.
    OneOf(&'static [&'static str]),
}

/// One word that a command expects.
#[derive(Debug, Clone, Copy)]
pub struct Positional {
    /// What help calls it, without brackets: `container-id`.
    pub name: &'static str,
    /// What it stands for.
    pub means: Means,
    /// Whether the command needs it. Optional ones come last.
    pub required: bool,
    /// One line: lower case, no full stop.
    pub summary: &'static str,
}

/// Where the part of the command line begins that belongs to another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// At the first word after the positionals; flags of the command may stand between.
    AtFirstWord,
    /// Directly after the positionals, flags or not.
    AfterPositionals,
}

/// The part of the command line that belongs to another program; taken as it is, UTF-8 or not.
#[derive(Debug, Clone, Copy)]
pub struct Rest {
    /// How help writes it: `COMMAND [ARG...]`.
    pub usage: &'static str,
    /// Where it begins.
    pub begins: Begins,
    /// Whether it may be left out.
    pub optional: bool,
    /// One line: lower case, no full stop.
    pub summary: &'static str,
}

/// A command line that a reader can type.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// What it does: lower case, no full stop, no colon.
    pub what: &'static str,
    /// The line, without prompt.
    pub line: &'static str,
}
