// SPDX-License-Identifier: Apache-2.0
//! JSON pointers (RFC 6901): where in a document a value is. Nothing here runs for a document without faults.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use insula_error::Error;

/// Appends `/segment` to a JSON pointer, escaped. Control characters become `\u{…}`, so that it stays one line.
pub fn push_segment(pointer: &mut String, segment: &str) {
    pointer.push('/');
    for c in segment.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c if c.is_control() => pointer.extend(c.escape_unicode()),
            c => pointer.push(c),
        }
    }
}

/// A place in the document while it is validated: costs nothing until a refusal needs its pointer.
#[derive(Clone, Copy)]
pub(crate) struct At<'p>(Option<(&'p At<'p>, Step<'p>)>);

#[derive(Clone, Copy)]
enum Step<'p> {
    Name(&'p str),
    Index(usize),
}

impl<'p> At<'p> {
    /// The whole document.
    pub(crate) const ROOT: At<'static> = At(None);

    pub(crate) fn name(&'p self, name: &'p str) -> Self {
        Self(Some((self, Step::Name(name))))
    }

    pub(crate) fn index(&'p self, index: usize) -> Self {
        Self(Some((self, Step::Index(index))))
    }

    fn write(&self, pointer: &mut String) {
        if let Some((parent, step)) = self.0 {
            parent.write(pointer);
            match step {
                Step::Name(name) => push_segment(pointer, name),
                Step::Index(index) => drop(write!(pointer, "/{index}")),
            }
        }
    }

    pub(crate) fn pointer(&self) -> String {
        let mut pointer = String::new();
        self.write(&mut pointer);
        pointer
    }

    /// The error that the value here is wrong.
    pub(crate) fn refuse(&self, reason: impl Into<Cow<'static, str>>) -> Error {
        Error::invalid(self.pointer(), "accept the configuration", reason)
    }
}

/// An object or array that is open at some place of the text.
pub(crate) enum Frame<'t> {
    /// The key, with its quotes and escapes, that was read last and not yet followed by a comma.
    Object(Option<&'t str>),
    /// The index that was reached.
    List(usize),
}

/// Deeper than serde_json descends into what it reads, so only what is ignored is cut off.
const DEEPEST: usize = 256;

/// Follows the first `end` bytes of `text`, calls `on_key` at each key with the frames around it, and returns the
/// frames that are open at the end. That much of the text must be JSON, but for its last token.
pub(crate) fn walk<'t>(text: &'t str, end: usize, mut on_key: impl FnMut(&[Frame<'t>])) -> Vec<Frame<'t>> {
    let bytes = &text.as_bytes()[..end];
    let mut open: Vec<Frame<'t>> = Vec::new();
    let mut deeper = 0_usize;
    let mut at = 0;
    while at < end {
        let start = at;
        at += 1;
        match bytes[start] {
            b'"' => {
                at = string_end(bytes, at);
                if let (0, Some(Frame::Object(key @ None))) = (deeper, open.last_mut())
                    && at <= end
                {
                    *key = Some(&text[start..at]);
                    on_key(&open);
                }
            }
            b'{' | b'[' if open.len() == DEEPEST => deeper += 1,
            b'{' => open.push(Frame::Object(None)),
            b'[' => open.push(Frame::List(0)),
            b'}' | b']' if deeper > 0 => deeper -= 1,
            b'}' | b']' => drop(open.pop()),
            b',' if deeper == 0 => match open.last_mut() {
                Some(Frame::Object(key)) => *key = None,
                Some(Frame::List(index)) => *index += 1,
                None => {}
            },
            _ => {}
        }
    }
    open
}

/// The end of the string whose text starts at `at`, after its quote; beyond the end of `bytes` if it is not closed.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len() + 1
}

/// The text of a key that still has its quotes and escapes.
pub(crate) fn unquote(key: &str) -> Cow<'_, str> {
    let inner = &key[1..key.len() - 1];
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    serde_json::from_str(key).map_or(Cow::Borrowed(inner), Cow::Owned)
}

/// The pointer of the innermost value that `frames` lead to.
pub(crate) fn pointer(frames: &[Frame<'_>]) -> String {
    let mut pointer = String::new();
    for frame in frames {
        match frame {
            Frame::Object(Some(key)) => push_segment(&mut pointer, &unquote(key)),
            Frame::Object(None) => {}
            Frame::List(index) => drop(write!(pointer, "/{index}")),
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_of_prefixes() {
        let text = r#"{"a":[1,{"b/~":"x\"]","c\n":[]}],"d":2}"#;
        for (upto, expected) in [
            ("{", ""),
            ("{\"a", ""),
            ("{\"a\"", "/a"),
            ("{\"a\":[", "/a/0"),
            ("{\"a\":[1,", "/a/1"),
            (r#"{"a":[1,{"b/~":"#, "/a/1/b~1~0"),
            (r#"{"a":[1,{"b/~":"x\"]","#, "/a/1"),
            (r#"{"a":[1,{"b/~":"x\"]","c\n":[]"#, "/a/1/c\\u{a}"),
            (r#"{"a":[1,{"b/~":"x\"]","c\n":[]}"#, "/a/1"),
            (r#"{"a":[1,{"b/~":"x\"]","c\n":[]}]"#, "/a"),
            (r#"{"a":[1,{"b/~":"x\"]","c\n":[]}],"d":2"#, "/d"),
            (text, ""),
        ] {
            assert!(text.starts_with(upto));
            assert_eq!(pointer(&walk(text, upto.len(), |_| {})), expected, "after {upto}");
        }
    }

    #[test]
    fn depth_is_bounded_and_recovers() {
        let text = format!("{{\"a\":{}{},\"b\":[", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(pointer(&walk(&text, text.len(), |_| {})), "/b/0");
    }

    #[test]
    fn places_escape_their_segments() {
        let sysctl = At::ROOT.name("linux");
        let sysctl = sysctl.name("sysctl");
        assert_eq!(sysctl.name("net/x~y").pointer(), "/linux/sysctl/net~1x~0y");
        assert_eq!(sysctl.index(3).pointer(), "/linux/sysctl/3");
        assert_eq!(At::ROOT.pointer(), "");
    }
}
