// SPDX-License-Identifier: Apache-2.0
//! Protobuf's wire format, as far as CRIU's messages need it: varints, and bytes with their length. Source:
//! protobuf.dev, "Encoding".

use alloc::vec::Vec;

/// Wire types: the low three bits of a field's key.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// A message being written.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A number; `int32` is extended by its sign to 64 bits, as the format demands.
    pub(crate) fn number(&mut self, field: u32, value: i64) {
        self.varint(u64::from(field) << 3 | VARINT);
        self.varint(value as u64);
    }

    /// A number that may be absent.
    pub(crate) fn maybe(&mut self, field: u32, value: Option<i32>) {
        if let Some(value) = value {
            self.number(field, i64::from(value));
        }
    }

    /// A switch; off is the same as absent for every switch that CRIU has.
    pub(crate) fn switch(&mut self, field: u32, on: bool) {
        if on {
            self.number(field, 1);
        }
    }

    /// Bytes with their length.
    pub(crate) fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.varint(u64::from(field) << 3 | BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A text that may be absent.
    pub(crate) fn text(&mut self, field: u32, text: Option<&str>) {
        if let Some(text) = text {
            self.bytes(field, text.as_bytes());
        }
    }

    /// A message inside this one.
    pub(crate) fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// A field as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a type that no field of ours has.
    Other,
}

impl<'a> Value<'a> {
    pub(crate) fn number(self) -> Option<i64> {
        match self {
            Self::Number(value) => Some(value as i64),
            _ => None,
        }
    }

    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// The fields of a message, in their order; `None` instead of one that is torn, which ends it.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            VARINT => Value::Number(self.varint()?),
            BYTES => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            FIXED64 => self.take(8).map(|_| Value::Other)?,
            FIXED32 => self.take(4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((u32::try_from(key >> 3).ok()?, value))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Option<(u32, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_format_come_out() {
        let mut writer = Writer::default();
        writer.number(1, 150);
        writer.text(2, Some("testing"));
        writer.message(3, |inner| inner.number(1, 150));
        assert_eq!(writer.finish(), b"\x08\x96\x01\x12\x07testing\x1a\x03\x08\x96\x01");
    }

    #[test]
    fn negative_numbers_take_ten_bytes_and_come_back() {
        let mut writer = Writer::default();
        writer.number(5, -1);
        writer.switch(6, false);
        let bytes = writer.finish();
        assert_eq!(bytes, b"\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
        let read: Vec<_> = Reader::new(&bytes).collect();
        assert_eq!(read[0].and_then(|(_, value)| value.number()), Some(-1));
    }

    #[test]
    fn fields_of_other_types_are_passed_over() {
        let bytes = b"\x09abcdefgh\x15abcd\x08\x01";
        let read: Vec<_> = Reader::new(bytes).collect();
        assert_eq!(read, [Some((1, Value::Other)), Some((2, Value::Other)), Some((1, Value::Number(1)))]);
    }

    #[test]
    fn every_torn_message_ends_with_none() {
        let whole = b"\x08\x96\x01\x12\x07testing\x1a\x03\x08\x96\x01";
        for end in 1..whole.len() {
            let read: Vec<_> = Reader::new(&whole[..end]).collect();
            let complete = [3, 12].contains(&end);
            assert_eq!(read.last().unwrap().is_some(), complete, "cut at {end}");
        }
        // A length beyond everything, a varint without end, and group types.
        for torn in [&b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"[..], &[0x80; 12], b"\x0b"] {
            assert_eq!(Reader::new(torn).last(), Some(None), "{torn:?}");
        }
    }
}
