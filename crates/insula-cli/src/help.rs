// SPDX-License-Identifier: Apache-2.0
//! Help that teaches: what a command does, its words and flags, and lines to type.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::command::{COMMANDS, Command, GLOBALS, Section};
use crate::flag::{Flag, Group, Rest};

/// What insula is, in two paragraphs.
pub const OVERVIEW: &str = "\
insula runs a process in namespaces of its own, as config.json in a bundle asks (OCI runtime specification), says \
beforehand what it will ask of the kernel, and proves afterwards what it got. Engines that call runc can call it \
instead.

A bundle is a directory with config.json and the container's root file system. A container has a name that you choose.";

/// How to lay the help out.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Columns of the terminal; text is wrapped at 100 at most, 40 at least.
    pub width: usize,
    /// Whether headings are set in bold, for terminals.
    pub bold: bool,
}

impl Default for Page {
    fn default() -> Self {
        Self { width: 80, bold: false }
    }
}

/// The help of a command, or the overview of all.
pub fn render(command: Option<&Command>, page: Page) -> String {
    let mut writer = Writer { text: String::new(), width: page.width.clamp(40, 100), bold: page.bold };
    match command {
        Some(command) => writer.command(command),
        None => writer.overview(),
    }
    writer.text
}

/// How the command is written, without the program's name: `run [options] <container-id>`.
pub fn usage(command: &Command) -> String {
    let mut usage = String::from(command.name);
    if command.flags().next().is_some() {
        usage.push_str(" [options]");
    }
    for positional in command.positionals {
        let (open, close) = if positional.required { (" <", ">") } else { (" [", "]") };
        usage.extend([open, positional.name, close]);
    }
    if let Some(rest) = command.rest {
        let (open, close) = match rest {
            _ if rest.usage.starts_with('[') => (" ", ""),
            Rest { optional: true, .. } => (" [[--] ", "]"),
            Rest { .. } => (" [--] ", ""),
        };
        usage.extend([open, rest.usage, close]);
    }
    usage
}

/// How a flag is written: `-b, --bundle DIR`.
pub fn spelling(flag: &Flag) -> String {
    let meta = flag.takes.meta();
    let value = if meta.is_empty() { meta } else { format!(" {meta}") };
    match flag.short {
        Some(short) => format!("-{short}, --{}{value}", flag.long),
        None => format!("--{}{value}", flag.long),
    }
}

/// A flag's summary with what else is to know: its default, whether it may be repeated.
pub fn explanation(flag: &Flag) -> String {
    let mut text = String::from(flag.summary);
    if let Some(default) = flag.default {
        text.extend([" (default: ", default, ")"]);
    }
    if flag.repeat {
        text.push_str(" (repeatable)");
    }
    text
}

/// The words that a command expects, as its usage writes them, and what each stands for.
pub fn arguments(command: &Command) -> Vec<(String, &'static str)> {
    let mut words: Vec<_> = command.positionals.iter().map(|p| (format!("<{}>", p.name), p.summary)).collect();
    words.extend(command.rest.map(|rest| (rest.usage.into(), rest.summary)));
    words
}

/// The flags that are shown to people.
pub fn listed(flags: &'static [Flag]) -> impl Iterator<Item = &'static Flag> {
    flags.iter().filter(|flag| !flag.hidden)
}

/// The paragraphs of a text, and whether a paragraph keeps its line breaks.
pub fn paragraphs(text: &str) -> impl Iterator<Item = (&str, bool)> {
    text.split("\n\n").map(|paragraph| (paragraph, paragraph.starts_with(' ')))
}

struct Writer {
    text: String,
    width: usize,
    bold: bool,
}

impl Writer {
    // COMPAT(runc): its help.bats expects "NAME:" first and then "<program> <command>".
    fn command(&mut self, command: &Command) {
        self.heading("NAME");
        self.wrapped(&format!("insula {} - {}", command.name, command.summary), 3, 6);
        self.heading("USAGE");
        self.wrapped(&format!("insula {}", usage(command)), 3, 6);
        self.heading("DESCRIPTION");
        self.paragraphs(command.about);
        let words: Vec<_> = arguments(command).into_iter().map(|(word, summary)| (word, summary.into())).collect();
        if !words.is_empty() {
            self.heading("ARGUMENTS");
            self.pairs(&words);
        }
        for Group { heading, flags } in command.options {
            self.flags(heading, flags);
        }
        self.heading("EXAMPLES");
        for (index, example) in command.examples.iter().enumerate() {
            if index > 0 {
                self.text.push('\n');
            }
            self.wrapped(&format!("{}:", sentence(example.what)), 3, 3);
            self.verbatim(example.line, 6);
        }
        self.text.push('\n');
        self.wrapped("Global options such as --root and --debug: insula --help.", 0, 0);
    }

    fn overview(&mut self) {
        self.heading("NAME");
        self.wrapped("insula - Open Container Initiative runtime", 3, 6);
        self.heading("USAGE");
        self.verbatim("insula [global options] COMMAND [options] [arguments]", 3);
        self.heading("DESCRIPTION");
        self.paragraphs(OVERVIEW);
        for section in Section::ALL {
            let rows: Vec<(String, String)> = COMMANDS
                .iter()
                .filter(|command| command.section == *section)
                .map(|command| (command.name.into(), command.summary.into()))
                .collect();
            self.heading(section.heading());
            self.pairs(&rows);
        }
        self.flags("GLOBAL OPTIONS", GLOBALS);
        self.heading("EXAMPLES");
        for name in ["try", "plan", "run"] {
            if let Some(example) = Command::find(name).and_then(|command| command.examples.first()) {
                self.wrapped(&format!("{}:", sentence(example.what)), 3, 3);
                self.verbatim(example.line, 6);
            }
        }
        self.text.push('\n');
        self.wrapped("Each command explains itself: insula COMMAND --help.", 0, 0);
    }

    fn heading(&mut self, heading: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let (on, off) = if self.bold { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        self.text.extend([on, heading, ":", off, "\n"]);
    }

    fn flags(&mut self, heading: &str, flags: &'static [Flag]) {
        // Flags without a letter line up below those with one.
        let column = |flag: &Flag| match flag.short {
            Some(_) => spelling(flag),
            None => format!("    {}", spelling(flag)),
        };
        let rows: Vec<(String, String)> = listed(flags).map(|flag| (column(flag), explanation(flag))).collect();
        self.heading(heading);
        self.pairs(&rows);
    }

    /// Names on the left, texts beside them, or below where the name is long.
    fn pairs(&mut self, rows: &[(String, String)]) {
        let most = (self.width / 3).max(16);
        let widths = rows.iter().map(|(name, _)| name.chars().count());
        let left = widths.filter(|width| *width <= most).max().unwrap_or(most);
        let indent = 3 + left + 2;
        for (name, text) in rows {
            self.text.extend(["   ", name]);
            let used = 3 + name.chars().count();
            if used + 2 > indent {
                self.text.push('\n');
                self.wrapped(text, indent, indent);
            } else {
                self.blanks(indent - used);
                self.words(text, indent, indent);
            }
        }
    }

    fn paragraphs(&mut self, text: &str) {
        for (index, (paragraph, verbatim)) in paragraphs(text).enumerate() {
            if index > 0 {
                self.text.push('\n');
            }
            if verbatim {
                self.verbatim(paragraph, 3);
            } else {
                self.wrapped(paragraph, 3, 3);
            }
        }
    }

    fn verbatim(&mut self, lines: &str, indent: usize) {
        for line in lines.lines() {
            self.blanks(indent);
            self.text.extend([line, "\n"]);
        }
    }

    /// Words of `text` in lines, the first indented by `first`, the others by `indent`.
    fn wrapped(&mut self, text: &str, first: usize, indent: usize) {
        self.blanks(first);
        self.words(text, first, indent);
    }

    /// Words of `text` from the present column on; further lines are indented by `indent`.
    fn words(&mut self, text: &str, mut column: usize, indent: usize) {
        let mut begins = true;
        for word in text.split_whitespace() {
            let length = word.chars().count();
            if !begins && column + 1 + length > self.width {
                self.text.push('\n');
                self.blanks(indent);
                (column, begins) = (indent, true);
            }
            if !begins {
                self.text.push(' ');
                column += 1;
            }
            self.text.push_str(word);
            column += length;
            begins = false;
        }
        self.text.push('\n');
    }

    fn blanks(&mut self, count: usize) {
        self.text.extend(core::iter::repeat_n(' ', count));
    }
}

/// With a capital at the beginning.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_shows_all_it_has() {
        for command in COMMANDS {
            let help = render(Some(command), Page::default());
            assert!(help.starts_with(&format!("NAME:\n   insula {} - ", command.name)), "{help}");
            for flag in command.flags() {
                assert_eq!(
                    help.contains(&format!("--{}", flag.long)),
                    !flag.hidden,
                    "{} --{}",
                    command.name,
                    flag.long
                );
            }
            for example in command.examples {
                assert!(help.contains(example.line), "{}", example.line);
            }
        }
    }

    #[test]
    fn the_overview_lists_every_command_once() {
        let help = render(None, Page::default());
        assert!(help.starts_with("NAME:\n   insula - Open Container Initiative runtime\n"), "{help}");
        for command in COMMANDS {
            let line = format!("   {} ", command.name);
            assert_eq!(help.lines().filter(|l| l.starts_with(&line)).count(), 1, "{}", command.name);
        }
    }

    #[test]
    fn lines_fit_the_page() {
        for width in [40, 60, 80, 100] {
            let page = Page { width, bold: false };
            for command in COMMANDS {
                let verbatim: Vec<&str> =
                    command.examples.iter().map(|e| e.line).chain(command.about.lines()).collect();
                for line in render(Some(command), page).lines() {
                    let name_too_long = command.flags().any(|f| line.trim() == spelling(f));
                    let words = line.split_whitespace().count() < 2;
                    let kept = verbatim.iter().any(|v| line.trim() == v.trim());
                    assert!(line.chars().count() <= width || name_too_long || words || kept, "{width}: {line:?}");
                }
            }
        }
    }

    #[test]
    fn usage_lines() {
        for (name, expected) in [
            ("run", "run [options] <container-id>"),
            ("exec", "exec [options] <container-id> [[--] COMMAND [ARG...]]"),
            ("kill", "kill [options] <container-id> [signal]"),
            ("ps", "ps [options] <container-id> [PS OPTION...]"),
            ("features", "features"),
        ] {
            assert_eq!(usage(Command::find(name).unwrap()), expected);
        }
    }

    #[test]
    fn bold_only_where_asked_for() {
        assert!(!render(None, Page::default()).contains('\x1b'));
        assert!(render(None, Page { bold: true, width: 80 }).starts_with("\x1b[1mNAME:\x1b[0m\n"));
    }

    #[test]
    fn a_flag_is_shown_with_its_value_default_and_summary() {
        let help = render(Command::find("list"), Page { width: 100, bold: false });
        assert!(help.contains("   -f, --format table|json  how to print it (default: table)\n"), "{help}");
        assert!(help.contains("   -q, --quiet              print only the ids, one a line\n"), "{help}");
    }
}
