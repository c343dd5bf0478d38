// SPDX-License-Identifier: Apache-2.0
//! Which properties of a document the specification does not know. It demands that they are ignored
//! ("Extensibility"), so they are only ever shown.

use crate::Spec;
use crate::object::{Shape, Shaped};
use crate::pointer::{Frame, pointer, unquote, walk};
use alloc::string::String;
use alloc::vec::Vec;

/// The JSON pointers of all properties that the specification does not know, in the document's order; what is
/// below such a property is not listed. Keys of annotations and other free maps are never unknown.
///
/// `bytes` is a document that [`crate::load`] takes; of any other, what was found before the fault.
pub fn unknown_properties(bytes: &[u8]) -> Vec<String> {
    let text = core::str::from_utf8(bytes).unwrap_or_default();
    let mut unknown = Vec::new();
    walk(text, text.len(), |frames| {
        if let Some((Frame::Object(Some(key)), parents)) = frames.split_last()
            && let Some(Shape::Object(known)) = parents.iter().try_fold(Spec::SHAPE, below)
            && !known.iter().any(|(name, _)| *name == unquote(key))
        {
            unknown.push(pointer(frames));
        }
    });
    unknown
}

/// The shape one frame further down, if there is one.
fn below(shape: &'static Shape, frame: &Frame<'_>) -> Option<&'static Shape> {
    match (shape, frame) {
        (Shape::Object(known), Frame::Object(Some(key))) => {
            known.iter().find(|(name, _)| *name == unquote(key)).map(|(_, below)| *below)
        }
        (Shape::Map(below), Frame::Object(_)) | (Shape::List(below), Frame::List(_)) => Some(below),
        _ => None,
    }
}
