// SPDX-License-Identifier: Apache-2.0
//! Man pages in man(7) markup.

use insula_cli::command::Section;
use insula_cli::flag::Flag;
use insula_cli::help::{OVERVIEW, arguments, explanation, listed, paragraphs, sentence, usage};
use insula_cli::{COMMANDS, Command, GLOBALS};

/// insula(8).
pub(crate) fn overview() -> String {
    let mut page = Page::new("insula", "Open Container Initiative runtime");
    page.heading("SYNOPSIS");
    page.line("\\fBinsula\\fR [\\fIglobal options\\fR] \\fICOMMAND\\fR [\\fIoptions\\fR] [\\fIarguments\\fR]");
    page.heading("DESCRIPTION");
    page.paragraphs(OVERVIEW);
    page.heading("COMMANDS");
    for section in Section::ALL {
        page.line(&format!(".SS {}", escaped(&title(section.heading()))));
        for command in COMMANDS.iter().filter(|command| command.section == *section) {
            page.item(&format!("\\fBinsula\\-{}\\fR(8)", command.name), &sentence(command.summary));
        }
    }
    page.flags("GLOBAL OPTIONS", GLOBALS);
    page.heading("EXIT STATUS");
    page.paragraphs(
        "0 on success, 1 on failure. `run` and `exec` return the status of the process, 128 + n if signal n ended \
         it; `exec` returns 255 if insula itself failed. `verify` returns 2 if something is not as planned.",
    );
    page.text
}

/// insula-COMMAND(8).
pub(crate) fn page(command: &Command) -> String {
    let mut page = Page::new(&format!("insula-{}", command.name), command.summary);
    page.heading("SYNOPSIS");
    page.line(&format!("\\fBinsula {}\\fR{}", command.name, synopsis(command)));
    page.heading("DESCRIPTION");
    page.paragraphs(command.about);
    let words = arguments(command);
    if !words.is_empty() {
        page.heading("ARGUMENTS");
    }
    for (word, summary) in words {
        page.item(&format!("\\fI{}\\fR", escaped(word.trim_matches(['<', '>']))), &sentence(summary));
    }
    for group in command.options {
        page.flags(group.heading, group.flags);
    }
    page.heading("EXAMPLES");
    for example in command.examples {
        page.paragraphs(&format!("{}:", sentence(example.what)));
        page.verbatim(example.line);
    }
    page.heading("SEE ALSO");
    page.line("\\fBinsula\\fR(8)");
    page.text
}

fn synopsis(command: &Command) -> String {
    let usage = usage(command);
    escaped(usage.strip_prefix(command.name).unwrap_or(&usage))
}

struct Page {
    text: String,
}

impl Page {
    fn new(name: &str, summary: &str) -> Self {
        let mut page = Self { text: String::new() };
        // The date is left out, so that two builds give the same bytes.
        page.line(&format!(
            ".TH {} 8 \"\" \"insula {}\" \"insula manual\"",
            escaped(&name.to_uppercase()),
            env!("CARGO_PKG_VERSION")
        ));
        page.heading("NAME");
        page.line(&format!("{} \\- {}", escaped(name), escaped(summary)));
        page
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        self.line(&format!(".SH {}", escaped(heading)));
    }

    fn paragraphs(&mut self, text: &str) {
        for (paragraph, verbatim) in paragraphs(text) {
            if verbatim {
                self.verbatim(paragraph.trim());
            } else {
                self.line(".PP");
                self.line(&marked(paragraph));
            }
        }
    }

    fn verbatim(&mut self, text: &str) {
        self.line(".PP\n.RS 4\n.nf");
        self.line(&escaped(text));
        self.line(".fi\n.RE");
    }

    fn item(&mut self, name: &str, text: &str) {
        self.line(".TP");
        self.line(name);
        self.line(&format!("{}.", marked(text)));
    }

    fn flags(&mut self, heading: &str, flags: &'static [Flag]) {
        self.heading(heading);
        for flag in listed(flags) {
            let short = flag.short.map_or_else(String::new, |letter| format!("\\fB\\-{letter}\\fR, "));
            let meta = flag.takes.meta();
            let value = if meta.is_empty() { meta } else { format!(" \\fI{}\\fR", escaped(&meta)) };
            self.item(&format!("{short}\\fB\\-\\-{}\\fR{value}", escaped(flag.long)), &sentence(&explanation(flag)));
        }
    }
}

/// Text with `code` in bold.
fn marked(text: &str) -> String {
    let pieces = text.split('`').enumerate();
    pieces.map(|(i, piece)| if i % 2 == 1 { format!("\\fB{}\\fR", escaped(piece)) } else { escaped(piece) }).collect()
}

/// Text that roff prints as it is.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace('`', "\\(ga");
    let text = text.replace('~', "\\(ti").replace('^', "\\(ha");
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}

/// `LIFE CYCLE` as `Life cycle`.
fn title(heading: &str) -> String {
    sentence(&heading.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::require;
    use std::io::Write;
    use std::process::{Command as Process, Stdio};

    /// The page as man(1) shows it; asserts that groff has nothing to complain about.
    fn shown(page: &str) -> String {
        require("groff");
        let mut groff = Process::new("groff")
            .args(["-man", "-Tascii", "-P-cbou", "-ww", "-rLL=400n"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        groff.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let output = groff.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{page}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn pages_show_all_that_a_command_has() {
        for command in COMMANDS {
            let text = shown(&page(command));
            assert!(text.contains(&format!("insula {}", command.name)), "{text}");
            for flag in command.flags() {
                assert_eq!(
                    text.contains(&format!("--{}", flag.long)),
                    !flag.hidden,
                    "{} --{}\n{text}",
                    command.name,
                    flag.long
                );
            }
            for example in command.examples {
                assert!(text.contains(example.line), "{}\n{text}", example.line);
            }
        }
    }

    #[test]
    fn the_overview_names_every_command() {
        let text = shown(&overview());
        for command in COMMANDS {
            assert!(text.contains(&format!("insula-{}(8)", command.name)), "{text}");
        }
    }
}
