// SPDX-License-Identifier: Apache-2.0
//! As much of the protocol buffers' wire format as the CRI's messages need: numbers, texts, messages in messages.
//! Source: protobuf.dev, "Encoding".

/// A message that is being written. Fields are named by their numbers in the CRI's api.proto.
#[derive(Debug, Default, Clone)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// Adds a number, an enumeration's value or a truth value.
    pub(crate) fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    /// Adds a text.
    pub(crate) fn text(mut self, field: u64, value: &str) -> Self {
        self.delimited(field, value.as_bytes());
        self
    }

    /// Adds a repeated text.
    pub(crate) fn texts(self, field: u64, values: &[&str]) -> Self {
        values.iter().fold(self, |message, value| message.text(field, value))
    }

    /// Adds a message.
    pub(crate) fn message(mut self, field: u64, value: &Self) -> Self {
        self.delimited(field, &value.0);
        self
    }

    /// The message's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn delimited(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A number.
    Number(u64),
    /// A text or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message, in order. Panics on bytes that are no message.
pub(crate) fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).expect("lengths fit");
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(value)
            }
            other => panic!("a field of wire type {other}"),
        };
        found.push((key >> 3, value));
    }
    found
}

/// The texts or messages in `field` of a message.
pub(crate) fn all(bytes: &[u8], field: u64) -> Vec<&[u8]> {
    let values = fields(bytes).into_iter().filter(|(number, _)| *number == field);
    let bytes = values.filter_map(|(_, value)| if let Value::Bytes(bytes) = value { Some(bytes) } else { None });
    bytes.collect()
}

/// The text in `field` of a message; empty if it is not there, as the format has it.
pub(crate) fn text(bytes: &[u8], field: u64) -> String {
    let value = all(bytes, field).pop().unwrap_or_default();
    String::from_utf8(value.to_vec()).expect("texts are UTF-8")
}

/// The number in `field` of a message; 0 if it is not there, as the format has it.
pub(crate) fn number(bytes: &[u8], field: u64) -> u64 {
    let values = fields(bytes).into_iter().rev();
    let mut numbers = values.filter_map(|(number, value)| match value {
        Value::Number(value) if number == field => Some(value),
        _ => None,
    });
    numbers.next().unwrap_or(0)
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().expect("a whole number");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    panic!("a number of more than 64 bits");
}

#[test]
fn what_is_written_is_read() {
    let inner = Message::default().text(1, "name").number(4, 300);
    let outer = Message::default().message(1, &inner).texts(2, &["a", "b"]);
    assert_eq!(outer.bytes(), b"\x0a\x09\x0a\x04name\x20\xac\x02\x12\x01a\x12\x01b");
    assert_eq!(all(outer.bytes(), 2), [b"a", b"b"]);
    let read = all(outer.bytes(), 1)[0];
    assert_eq!((text(read, 1), number(read, 4), number(read, 5)), ("name".to_owned(), 300, 0));
}
