// SPDX-License-Identifier: Apache-2.0
//! Log records in the shapes that engines parse: those of Go's logrus, which runc uses.
//!
//! containerd and Docker start a runtime with `--log FILE --log-format json`; when it fails they read the last record
//! of level error in FILE and show its `msg`. What the command has to do, so that nothing is lost and nothing is said
//! twice (runc's `fatal` and `configLogrus`):
//!
//! - With `--log FILE`: open FILE for appending, create it with mode 0644; write records there, one `write` each. The
//!   final error goes there as a record, **and** its bare text and a newline to stderr.
//! - Without: write records to stderr. The final error is written once: as a record if stderr is no terminal, else
//!   as [`on_terminal`] shows it.
//! - Records of level debug are written only with `--debug`.
//!
//! The format applies to FILE and stderr alike.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use crate::time::rfc3339;

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `time="2026-11-23T18:00:00Z" level=error msg="…"`
    #[default]
    Text,
    /// `{"level":"error","msg":"…","time":"2026-11-23T18:00:00Z"}`
    Json,
}

/// How much a record matters; the names are logrus's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What is done, step by step.
    Debug,
    /// What a user may want to know.
    Info,
    /// Something asked for is not done or not possible, but the command goes on.
    Warning,
    /// The command fails.
    Error,
}

impl Level {
    /// The word in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Makes records; writing them is the command's work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Logger {
    /// Their shape.
    pub format: Format,
    /// Whether to make records of level debug.
    pub debug: bool,
}

impl Logger {
    /// Whether a record of this level would be made; ask before composing an expensive message.
    pub fn wants(&self, level: Level) -> bool {
        self.debug || level > Level::Debug
    }

    /// One record with its newline, or `None` if the level is not wanted. `seconds` is the time, since 1970.
    pub fn record(&self, level: Level, message: &str, seconds: i64) -> Option<String> {
        if !self.wants(level) {
            return None;
        }
        let time = rfc3339(seconds);
        let level = level.name();
        let mut line = String::with_capacity(message.len() + 80);
        match self.format {
            Format::Text => {
                line.push_str("time=\"");
                line.push_str(&time);
                line.push_str("\" level=");
                line.push_str(level);
                // logrus leaves out an empty message.
                if !message.is_empty() {
                    line.push_str(" msg=");
                    text_value(&mut line, message);
                }
            }
            Format::Json => {
                line.push_str("{\"level\":\"");
                line.push_str(level);
                line.push_str("\",\"msg\":\"");
                json_text(&mut line, message);
                line.push_str("\",\"time\":\"");
                line.push_str(&time);
                line.push_str("\"}");
            }
        }
        line.push('\n');
        Some(line)
    }
}

/// The final error for a person at a terminal: `insula: …` and a newline. Control characters are escaped, because
/// texts from documents and containers must not steer the terminal.
pub fn on_terminal(message: &str, colour: bool) -> String {
    let name = if colour { "\x1b[1;31minsula:\x1b[0m" } else { "insula:" };
    format!("{name} {}\n", printable(message))
}

/// `text` with its control characters escaped as `\u{1b}`, fit for a terminal.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_bidi(c) {
            let _ = write!(safe, "{}", c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Characters that reorder the text around them, and so can make it read as something else.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A value as logrus's text formatter writes it: bare if it is plain, else quoted as Go's `%q`.
fn text_value(line: &mut String, value: &str) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._/@^+".contains(&b);
    if value.bytes().all(plain) {
        line.push_str(value);
        return;
    }
    line.push('"');
    for c in value.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\x07' => line.push_str("\\a"),
            '\x08' => line.push_str("\\b"),
            '\x0c' => line.push_str("\\f"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '\x0b' => line.push_str("\\v"),
            c if c.is_ascii_control() => hex(line, "\\x", u32::from(c), 2),
            c if c.is_control() || is_bidi(c) => hex(line, "\\u", u32::from(c), 4),
            c => line.push(c),
        }
    }
    line.push('"');
}

/// The inside of a JSON string as Go's encoder writes it, which also escapes what HTML would take for markup.
fn json_text(line: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\x08' => line.push_str("\\b"),
            '\x0c' => line.push_str("\\f"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => hex(line, "\\u", u32::from(c), 4),
            c if c.is_control() || is_bidi(c) => hex(line, "\\u", u32::from(c), 4),
            c => line.push(c),
        }
    }
}

fn hex(line: &mut String, prefix: &str, value: u32, digits: usize) {
    let _ = write!(line, "{prefix}{value:0digits$x}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_795_456_800;

    fn text(message: &str) -> String {
        Logger { format: Format::Text, debug: false }.record(Level::Error, message, AT).unwrap()
    }

    fn json(message: &str) -> String {
        Logger { format: Format::Json, debug: false }.record(Level::Error, message, AT).unwrap()
    }

    #[test]
    fn the_two_shapes() {
        assert_eq!(text("no such thing"), "time=\"2026-11-23T18:00:00Z\" level=error msg=\"no such thing\"\n");
        assert_eq!(
            json("no such thing"),
            "{\"level\":\"error\",\"msg\":\"no such thing\",\"time\":\"2026-11-23T18:00:00Z\"}\n"
        );
    }

    #[test]
    fn text_values_are_quoted_as_go_does() {
        for (message, value) in [
            ("plain-Word_1./@^+", "msg=plain-Word_1./@^+\n"),
            ("say \"hi\" \\", "msg=\"say \\\"hi\\\" \\\\\"\n"),
            ("a\nb\tc\rd", "msg=\"a\\nb\\tc\\rd\"\n"),
            ("\x1b[31m", "msg=\"\\x1b[31m\"\n"),
            ("\x7f\u{85}\u{202e}", "msg=\"\\x7f\\u0085\\u202e\"\n"),
            ("köln", "msg=\"köln\"\n"),
        ] {
            let line = text(message);
            assert!(line.ends_with(&format!("level=error {value}")), "{line}");
        }
        assert!(text("").ends_with("level=error\n"));
    }

    #[test]
    fn json_values_are_escaped() {
        for (message, value) in [
            ("say \"hi\" \\", r#""msg":"say \"hi\" \\","#),
            ("a\nb\tc", r#""msg":"a\nb\tc","#),
            ("\x1b\x00\x7f", r#""msg":"\u001b\u0000\u007f","#),
            ("<a>&", r#""msg":"\u003ca\u003e\u0026","#),
            ("köln", r#""msg":"köln","#),
            ("", r#""msg":"","#),
        ] {
            let line = json(message);
            assert!(line.contains(value), "{line}");
        }
    }

    #[test]
    fn a_record_is_one_line_whatever_the_message() {
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        for line in [text(&all), json(&all)] {
            assert_eq!(line.matches('\n').count(), 1);
            assert!(line.trim_end_matches('\n').chars().all(|c| !c.is_control()));
        }
    }

    #[test]
    fn debug_only_when_asked_for() {
        let quiet = Logger::default();
        assert_eq!(quiet.record(Level::Debug, "x", AT), None);
        assert!(quiet.wants(Level::Info) && quiet.wants(Level::Warning) && quiet.wants(Level::Error));
        let chatty = Logger { debug: true, ..quiet };
        assert_eq!(chatty.record(Level::Debug, "x", AT).unwrap(), "time=\"2026-11-23T18:00:00Z\" level=debug msg=x\n");
        assert!(chatty.record(Level::Warning, "x", AT).unwrap().contains(" level=warning "));
    }

    #[test]
    fn terminals_get_no_escape_sequences_from_messages() {
        assert_eq!(on_terminal("bad \x1b[2J id", false), "insula: bad \\u{1b}[2J id\n");
        assert_eq!(on_terminal("no", true), "\x1b[1;31minsula:\x1b[0m no\n");
    }
}
