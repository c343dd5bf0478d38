// SPDX-License-Identifier: Apache-2.0
//! What CRIU answers: `criu_resp` of rpc.proto.

use crate::request::{DUMP, FEATURE_CHECK, Features, NOTIFY, PRE_DUMP, RESTORE, VERSION};
use crate::wire::{Reader, Value};
use alloc::string::String;

/// A message that is no answer of CRIU's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn;

/// Something that CRIU has come to and waits at, until it is told to go on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notification {
    /// `post-dump`, `setup-namespaces` and so on, as criu(8) names them for action scripts.
    pub script: String,
    /// The first process that is restored, where there is one.
    pub pid: i32,
}

/// What an answer is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Which version it is: major, minor, and the last number.
    Version([u32; 3]),
    /// What it can do of what was asked.
    Features(Features),
    /// It goes no further before it is told to.
    Notify(Notification),
    /// A dump or pre-dump is done.
    Dumped,
    /// The first process is restored; its number, as CRIU sees it.
    Restored(i32),
    /// Something else, by its number.
    Other(i64),
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Whether what was asked is done.
    pub success: bool,
    /// What it is about.
    pub answer: Answer,
    /// An errno that explains a failure; 0 where there is none.
    pub errno: i32,
    /// Words that explain a failure.
    pub message: Option<String>,
}

impl Response {
    /// Reads one packet.
    pub fn decode(bytes: &[u8]) -> Result<Self, Torn> {
        let (mut kind, mut success) = (None, None);
        let (mut errno, mut message) = (0, None);
        let (mut notify, mut pid, mut features, mut version) =
            (Notification::default(), 0, Features::default(), [0; 3]);
        for field in Reader::new(bytes) {
            let (number, value) = field.ok_or(Torn)?;
            match number {
                1 => kind = value.number(),
                2 => success = value.number(),
                4 => pid = inner(value, 1)?.unwrap_or(0),
                5 => {
                    notify.pid = inner(value, 2)?.unwrap_or(0) as i32;
                    notify.script = text(value, 1)?.unwrap_or_default();
                }
                7 => errno = value.number().unwrap_or(0) as i32,
                8 => {
                    features =
                        Features { mem_track: inner(value, 1)? == Some(1), lazy_pages: inner(value, 2)? == Some(1) };
                }
                9 => message = value.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
                10 => {
                    for (place, field) in version.iter_mut().zip([1, 2, 4]) {
                        *place = inner(value, field)?.unwrap_or(0) as u32;
                    }
                }
                _ => {}
            }
        }
        let answer = match kind.ok_or(Torn)? {
            VERSION => Answer::Version(version),
            FEATURE_CHECK => Answer::Features(features),
            NOTIFY => Answer::Notify(notify),
            DUMP | PRE_DUMP => Answer::Dumped,
            RESTORE => Answer::Restored(pid as i32),
            other => Answer::Other(other),
        };
        Ok(Self { success: success.ok_or(Torn)? == 1, answer, errno, message })
    }
}

fn find(value: Value<'_>, wanted: u32) -> Result<Option<Value<'_>>, Torn> {
    let mut found = None;
    for field in Reader::new(value.bytes().ok_or(Torn)?) {
        let (number, value) = field.ok_or(Torn)?;
        if number == wanted {
            found = Some(value);
        }
    }
    Ok(found)
}

fn inner(value: Value<'_>, field: u32) -> Result<Option<i64>, Torn> {
    Ok(find(value, field)?.and_then(Value::number))
}

fn text(value: Value<'_>, field: u32) -> Result<Option<String>, Torn> {
    Ok(find(value, field)?.and_then(Value::bytes).map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(answer: Answer) -> Response {
        Response { success: true, answer, errno: 0, message: None }
    }

    #[test]
    fn answers_are_read() {
        for (bytes, answer) in [
            (&b"\x08\x0a\x10\x01\x52\x06\x08\x04\x10\x01\x20\x01"[..], Answer::Version([4, 1, 1])),
            (
                b"\x08\x09\x10\x01\x42\x04\x08\x01\x10\x00",
                Answer::Features(Features { mem_track: true, lazy_pages: false }),
            ),
            (b"\x08\x02\x10\x01\x22\x02\x08\x2a", Answer::Restored(42)),
            (b"\x08\x01\x10\x01\x1a\x00", Answer::Dumped),
            (b"\x08\x04\x10\x01", Answer::Dumped),
            (b"\x08\x63\x10\x01", Answer::Other(99)),
        ] {
            assert_eq!(Response::decode(bytes), Ok(ok(answer)));
        }
    }

    #[test]
    fn a_notification_names_its_script_and_process() {
        let bytes = b"\x08\x06\x10\x01\x2a\x10\x0a\x0cpost-restore\x10\x07";
        let notify = Notification { script: "post-restore".into(), pid: 7 };
        assert_eq!(Response::decode(bytes), Ok(ok(Answer::Notify(notify))));
    }

    #[test]
    fn a_failure_keeps_what_it_says() {
        let bytes = b"\x08\x01\x10\x00\x38\x03\x4a\x04gone";
        let response = Response::decode(bytes).unwrap();
        assert!(!response.success);
        assert_eq!((response.errno, response.message.as_deref()), (3, Some("gone")));
    }

    #[test]
    fn anything_else_is_torn() {
        for bytes in [
            &b""[..],
            b"\x08\x01",
            b"\x10\x01",
            b"\x08\x06\x10\x01\x2a\x05\x0a\x0cpo",
            b"\x08\x06\x10\x01\x28\x05",
            b"junk",
        ] {
            assert_eq!(Response::decode(bytes), Err(Torn), "{bytes:?}");
        }
    }
}
