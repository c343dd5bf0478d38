// SPDX-License-Identifier: Apache-2.0
//! One error type for the whole runtime.
//!
//! An [`Error`] says what was attempted, on which object, which `config.json` field asked for it (as a JSON
//! pointer, RFC 6901), what the kernel answered, and what to do about it. It renders on one line, because engines
//! show one line. Libraries return it; only the command prints it.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

mod errno;
pub use errno::{name as errno_name, text as errno_text};

/// Shorthand for results of this runtime.
pub type Result<T> = core::result::Result<T, Error>;

/// What sort of failure it was; tests and exit codes match on this, never on text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The document asks for something contradictory, malformed or out of range.
    InvalidConfig,
    /// The document or command line asks for something that insula or this host cannot do.
    Unsupported,
    /// The command line is wrong.
    Usage,
    /// The kernel refused; the value is the positive errno.
    Kernel(i32),
    /// The kernel gave something other than what the plan asked for.
    NotIsolated,
    /// A container's record is missing, torn, or in the wrong state for the command.
    State,
    /// The program to run cannot be run.
    Exec,
}

#[derive(Debug, Clone)]
struct Parts {
    kind: Kind,
    attempted: Cow<'static, str>,
    object: Option<String>,
    field: Option<String>,
    reason: Option<Cow<'static, str>>,
    advice: Option<Cow<'static, str>>,
}

/// One failure. Boxed inside, so that a `Result` stays one word.
#[derive(Debug, Clone)]
pub struct Error(Box<Parts>);

impl Error {
    /// An error of `kind` while attempting `attempted` (an infinitive without "to": `"join the network namespace"`).
    pub fn new(kind: Kind, attempted: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            kind,
            attempted: attempted.into(),
            object: None,
            field: None,
            reason: None,
            advice: None,
        }))
    }

    /// The kernel answered `errno` (positive) to a call made to `attempted`.
    pub fn kernel(errno: i32, attempted: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Kernel(errno), attempted)
    }

    /// The document is wrong at `pointer` (JSON pointer): `reason`.
    pub fn invalid(
        pointer: impl Into<String>,
        attempted: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Kind::InvalidConfig, attempted).field(pointer).reason(reason)
    }

    /// The document asks at `pointer` for something that this build or host cannot do: `reason`.
    pub fn unsupported(
        pointer: impl Into<String>,
        attempted: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Kind::Unsupported, attempted).field(pointer).reason(reason)
    }

    /// The command line is wrong.
    pub fn usage(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Usage, "").reason(reason)
    }

    /// The container's record does not allow the command.
    pub fn state(attempted: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::State, attempted).reason(reason)
    }

    /// Names the object of the failing call: a path, a call with its arguments.
    #[must_use]
    pub fn object(mut self, object: impl Into<String>) -> Self {
        self.0.object = Some(object.into());
        self
    }

    /// Names the `config.json` field (JSON pointer) that asked for it.
    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>) -> Self {
        self.0.field = Some(pointer.into());
        self
    }

    /// Says why, where there is no errno or it misleads.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.0.reason = Some(reason.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.0.advice = Some(advice.into());
        self
    }

    /// The sort of failure.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The errno, if the kernel refused.
    pub fn errno(&self) -> Option<i32> {
        match self.0.kind {
            Kind::Kernel(errno) => Some(errno),
            _ => None,
        }
    }

    /// The JSON pointer of the field at fault, if one is known.
    pub fn pointer(&self) -> Option<&str> {
        self.0.field.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p = &*self.0;
        let mut separator = "";
        if !p.attempted.is_empty() {
            // Engines match runc's texts for these two; they stand alone.
            if p.kind == Kind::Exec {
                write!(f, "{}", p.attempted)?;
            } else {
                write!(f, "cannot {}", p.attempted)?;
            }
            separator = ": ";
        }
        if let Some(field) = &p.field {
            write!(f, "{}(config.json: {field})", if separator.is_empty() { "" } else { " " })?;
            separator = ": ";
        }
        if let Some(object) = &p.object {
            write!(f, "{separator}{object}")?;
            separator = ": ";
        }
        if let Kind::Kernel(errno) = p.kind {
            write!(f, "{separator}{}, {}", errno::name(errno), errno::text(errno))?;
            separator = ": ";
        }
        if let Some(reason) = &p.reason {
            write!(f, "{separator}{reason}")?;
        }
        if let Some(advice) = &p.advice {
            write!(f, "; {advice}")?;
        }
        Ok(())
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_with_all_parts() {
        let e = Error::kernel(34, "shift the monotonic clock by 9 s")
            .field("/linux/timeOffsets/monotonic")
            .object("write \"monotonic 9 0\" to /proc/7/timens_offsets")
            .advice("keep the shifted clock between 0 and about 146 years");
        assert_eq!(
            e.to_string(),
            "cannot shift the monotonic clock by 9 s (config.json: /linux/timeOffsets/monotonic): write \"monotonic 9 \
             0\" to /proc/7/timens_offsets: ERANGE, numerical result out of range; keep the shifted clock between 0 \
             and about 146 years"
        );
    }
}
