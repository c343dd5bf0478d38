// SPDX-License-Identifier: Apache-2.0
//! Messages: a header with numbered fields, and a body. Source: D-Bus specification, "Message Format".

use crate::read::Reader;
use crate::signature::DEEPEST;
use crate::value::Value;
use crate::write;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// Largest message that is taken. systemd's answers are a few hundred bytes; the specification allows 128 MiB.
pub(crate) const LARGEST: usize = 1 << 18;
/// Bytes by which a message's length is known.
pub(crate) const HEAD: usize = 16;

const CALL: u8 = 1;
pub(crate) const RETURN: u8 = 2;
pub(crate) const ERROR: u8 = 3;
pub(crate) const SIGNAL: u8 = 4;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SENDER: u8 = 7;
const SIGNATURE: u8 = 8;

/// A method to be called.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Name of the service on the bus.
    pub destination: &'a str,
    /// The object.
    pub path: &'a str,
    /// The interface that the method belongs to.
    pub interface: &'a str,
    /// The method.
    pub member: &'a str,
}

impl Call<'_> {
    /// The whole message; `body` is what the method takes.
    pub fn encode(&self, serial: u32, body: &[Value]) -> Vec<u8> {
        let mut signature = String::new();
        let mut content = Vec::new();
        for value in body {
            value.sign(&mut signature);
            write::value(&mut content, value);
        }
        let field =
            |code: u8, value: Value| Value::Struct(Vec::from([Value::Byte(code), Value::Variant(Box::new(value))]));
        let mut fields = Vec::from([
            field(PATH, Value::Path(String::from(self.path))),
            field(INTERFACE, Value::text(self.interface)),
            field(MEMBER, Value::text(self.member)),
            field(DESTINATION, Value::text(self.destination)),
        ]);
        if !signature.is_empty() {
            fields.push(field(SIGNATURE, Value::Signature(signature)));
        }
        // Little-endian, no flags, version 1.
        let mut message = Vec::from([b'l', CALL, 0, 1]);
        write::value(&mut message, &Value::U32(content.len() as u32));
        write::value(&mut message, &Value::U32(serial));
        write::value(&mut message, &Value::Array(String::from("(yv)"), fields));
        write::align(&mut message, 8);
        message.append(&mut content);
        message
    }
}

/// A message that was received.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    pub(crate) kind: u8,
    pub(crate) reply_serial: Option<u32>,
    /// The unique name of who sent it; on a bus the bus itself vouches for it.
    pub sender: Option<String>,
    /// The object that a signal comes from.
    pub path: Option<String>,
    /// The interface that a signal belongs to.
    pub interface: Option<String>,
    /// A signal's name.
    pub member: Option<String>,
    pub(crate) error_name: Option<String>,
    /// The values in it.
    pub body: Vec<Value>,
}

/// The length of the whole message that begins with `head`; `None` if it is none, or too large.
pub(crate) fn length(head: &[u8; HEAD]) -> Option<usize> {
    let big_endian = match head[0] {
        b'l' => false,
        b'B' => true,
        _ => return None,
    };
    let mut reader = Reader::new(head, big_endian);
    let (_, body, _, fields) = (reader.u32()?, reader.u32()? as usize, reader.u32()?, reader.u32()? as usize);
    let header = HEAD.checked_add(fields)?.checked_next_multiple_of(8)?;
    header.checked_add(body).filter(|length| head[3] == 1 && *length <= LARGEST)
}

impl Message {
    /// Reads a whole message, of either byte order; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let big_endian = *bytes.first()? == b'B';
        let mut reader = Reader::new(bytes, big_endian);
        reader.u32()?;
        reader.u32()?;
        reader.u32()?;
        let Value::Array(_, fields) = reader.value("a(yv)", DEEPEST)? else { return None };
        reader.align(8)?;
        let mut message = Self { kind: *bytes.get(1)?, ..Self::default() };
        let mut signature = String::new();
        for field in fields {
            let Value::Struct(parts) = field else { return None };
            let [Value::Byte(code), Value::Variant(value)] = &*parts else { return None };
            let text = || value.as_text().map(String::from);
            match *code {
                PATH => message.path = text(),
                INTERFACE => message.interface = text(),
                MEMBER => message.member = text(),
                ERROR_NAME => message.error_name = text(),
                SENDER => message.sender = text(),
                REPLY_SERIAL => message.reply_serial = value.as_u32(),
                SIGNATURE => signature = text()?,
                _ => {}
            }
        }
        message.body = reader.values(&signature)?;
        Some(message)
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
