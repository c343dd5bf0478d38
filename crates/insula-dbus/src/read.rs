// SPDX-License-Identifier: Apache-2.0
//! Bytes to values, of either byte order. Nothing in the bytes is trusted: lengths are compared with what is there,
//! nesting is bounded, texts are UTF-8 without NUL. Source: D-Bus specification, "Marshalling (Wire Format)".

use crate::signature::{self, DEEPEST, alignment};
use crate::value::Value;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// What is left to read of a message that begins at a multiple of eight.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], big_endian: bool) -> Self {
        Self { bytes, at: 0, big_endian }
    }

    pub(crate) fn align(&mut self, to: usize) -> Option<()> {
        let end = self.at.next_multiple_of(to);
        let fill = self.bytes.get(self.at..end)?;
        self.at = end;
        fill.iter().all(|byte| *byte == 0).then_some(())
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// A number of `N` bytes, the least significant first.
    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.align(N)?;
        let mut bytes: [u8; N] = self.take(N)?.try_into().ok()?;
        if self.big_endian {
            bytes.reverse();
        }
        Some(bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.number().map(u32::from_le_bytes)
    }

    fn text(&mut self, length: usize) -> Option<String> {
        let bytes = self.take(length)?;
        (self.take(1)? == [0] && !bytes.contains(&0)).then_some(())?;
        String::from_utf8(Vec::from(bytes)).ok()
    }

    fn signature(&mut self) -> Option<String> {
        let length = usize::from(*self.take(1)?.first()?);
        self.text(length).filter(|text| signature::is_valid(text))
    }

    /// The values of all types in `signature`.
    pub(crate) fn values(&mut self, mut signature: &str) -> Option<Vec<Value>> {
        let mut values = Vec::new();
        while !signature.is_empty() {
            let (kind, rest) = signature::first(signature)?;
            values.push(self.value(kind, DEEPEST)?);
            signature = rest;
        }
        Some(values)
    }

    /// One value of the complete type `kind`.
    pub(crate) fn value(&mut self, kind: &str, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        Some(match *kind.as_bytes().first()? {
            b'y' => Value::Byte(*self.take(1)?.first()?),
            b'b' => match self.u32()? {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                _ => return None,
            },
            b'n' => Value::I16(i16::from_le_bytes(self.number()?)),
            b'q' => Value::U16(u16::from_le_bytes(self.number()?)),
            b'i' => Value::I32(i32::from_le_bytes(self.number()?)),
            b'u' => Value::U32(self.u32()?),
            b'x' => Value::I64(i64::from_le_bytes(self.number()?)),
            b't' => Value::U64(u64::from_le_bytes(self.number()?)),
            b'd' => Value::Double(u64::from_le_bytes(self.number()?)),
            b's' => {
                let length = self.u32()? as usize;
                Value::Text(self.text(length)?)
            }
            b'o' => {
                let length = self.u32()? as usize;
                Value::Path(self.text(length)?)
            }
            b'g' => Value::Signature(self.signature()?),
            b'v' => {
                let kind = self.signature()?;
                let (first, rest) = signature::first(&kind)?;
                rest.is_empty().then_some(())?;
                Value::Variant(Box::new(self.value(first, depth)?))
            }
            b'a' => self.array(kind.get(1..)?, depth)?,
            b'(' => Value::Struct(self.fields(kind, depth)?),
            b'{' => {
                let mut fields = self.fields(kind, depth)?.into_iter();
                Value::Entry(Box::new((fields.next()?, fields.next()?)))
            }
            _ => return None,
        })
    }

    fn fields(&mut self, kind: &str, depth: usize) -> Option<Vec<Value>> {
        self.align(8)?;
        let mut rest = kind.get(1..kind.len().checked_sub(1)?)?;
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let (field, after) = signature::first(rest)?;
            fields.push(self.value(field, depth)?);
            rest = after;
        }
        Some(fields)
    }

    fn array(&mut self, element: &str, depth: usize) -> Option<Value> {
        let length = self.u32()? as usize;
        self.align(alignment(*element.as_bytes().first()?))?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        let mut values = Vec::new();
        while self.at < end {
            values.push(self.value(element, depth)?);
        }
        (self.at == end).then(|| Value::Array(String::from(element), values))
    }
}
