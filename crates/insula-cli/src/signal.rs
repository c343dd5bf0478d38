// SPDX-License-Identifier: Apache-2.0
//! Signal names and numbers. Source: signal(7), the column for x86, ARM and most others.

use alloc::format;
use alloc::string::String;

use insula_error::{Error, Result};

/// Number and name without SIG. The first name of a number is the one to print; the others are its aliases.
static SIGNALS: &[(i32, &str)] = &[
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (4, "ILL"),
    (5, "TRAP"),
    (6, "ABRT"),
    (6, "IOT"),
    (7, "BUS"),
    (8, "FPE"),
    (9, "KILL"),
    (10, "USR1"),
    (11, "SEGV"),
    (12, "USR2"),
    (13, "PIPE"),
    (14, "ALRM"),
    (15, "TERM"),
    (16, "STKFLT"),
    (17, "CHLD"),
    (17, "CLD"),
    (18, "CONT"),
    (19, "STOP"),
    (20, "TSTP"),
    (21, "TTIN"),
    (22, "TTOU"),
    (23, "URG"),
    (24, "XCPU"),
    (25, "XFSZ"),
    (26, "VTALRM"),
    (27, "PROF"),
    (28, "WINCH"),
    (29, "IO"),
    (29, "POLL"),
    (30, "PWR"),
    (31, "SYS"),
];

/// The first real-time signal that C programs may use; 32 and 33 are the C library's own.
const RTMIN: i32 = 34;
/// The last signal of Linux.
const RTMAX: i32 = 64;

/// The number of a signal given as `TERM`, `SIGTERM`, `term`, `15`, `RTMIN+3` or `RTMAX-1`. 0 sends none but checks
/// that the process is there, as in kill(2).
///
/// # Errors
/// [`Kind::Usage`](insula_error::Kind::Usage) in runc's words: `unknown signal "x"`.
pub fn parse(text: &str) -> Result<i32> {
    number(text).or_else(|| named(text)).ok_or_else(|| Error::usage(format!("unknown signal {text:?}")))
}

/// The name of a signal with SIG, such as `SIGTERM` or `SIGRTMIN+3`; `None` outside 1 to 64.
pub fn name(signal: i32) -> Option<String> {
    if let Some((_, name)) = SIGNALS.iter().find(|(number, _)| *number == signal) {
        return Some(format!("SIG{name}"));
    }
    match signal {
        RTMIN => Some("SIGRTMIN".into()),
        RTMAX => Some("SIGRTMAX".into()),
        32 | 33 => Some(format!("SIG{signal}")),
        _ if (RTMIN..RTMAX).contains(&signal) => Some(format!("SIGRTMIN+{}", signal - RTMIN)),
        _ => None,
    }
}

/// The names without SIG, for completions.
pub fn names() -> impl Iterator<Item = &'static str> {
    SIGNALS.iter().map(|(_, name)| *name)
}

/// Digits only: a sign or space would be a typing error.
fn number(text: &str) -> Option<i32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|signal| digits && (0..=RTMAX).contains(signal))
}

fn named(text: &str) -> Option<i32> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((signal, _)) = SIGNALS.iter().find(|(_, known)| *known == name) {
        return Some(*signal);
    }
    let signal = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) => RTMIN,
        (Some(more), _) => RTMIN.checked_add(number(more.strip_prefix('+')?)?)?,
        (_, Some("")) => RTMAX,
        (_, Some(less)) => RTMAX - number(less.strip_prefix('-')?)?,
        _ => return None,
    };
    (RTMIN..=RTMAX).contains(&signal).then_some(signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_every_spelling() {
        for text in ["TERM", "SIGTERM", "term", "sigterm", "SigTerm", "15"] {
            assert_eq!(parse(text).unwrap(), 15, "{text}");
        }
        for (text, signal) in [
            ("KILL", 9),
            ("SIGWINCH", 28),
            ("CHLD", 17),
            ("CLD", 17),
            ("POLL", 29),
            ("0", 0),
            ("64", 64),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("rtmin+30", 64),
            ("RTMAX", 64),
            ("RTMAX-14", 50),
        ] {
            assert_eq!(parse(text).unwrap(), signal, "{text}");
        }
    }

    #[test]
    fn unknown_ones_are_refused_in_runcs_words() {
        for text in [
            "",
            "SIG",
            "FOO",
            "SIGSIGTERM",
            "65",
            "-9",
            "+9",
            " 9",
            "9 ",
            "0x9",
            "RTMIN+31",
            "RTMIN-1",
            "RTMAX+1",
            "RTMAX-31",
            "RTMIN+",
            "RTMIN+-1",
            "99999999999",
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.to_string(), format!("unknown signal {text:?}"));
        }
    }

    #[test]
    fn every_number_has_a_name_that_leads_back() {
        for signal in 1..=64 {
            let name = name(signal).unwrap();
            if signal != 32 && signal != 33 {
                assert_eq!(parse(&name).unwrap(), signal, "{name}");
            }
        }
        assert_eq!((name(0), name(65), name(-1)), (None, None, None));
        assert_eq!(name(6).as_deref(), Some("SIGABRT"));
        assert_eq!(name(37).as_deref(), Some("SIGRTMIN+3"));
    }
}
