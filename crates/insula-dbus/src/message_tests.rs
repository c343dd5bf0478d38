// SPDX-License-Identifier: Apache-2.0
//! Bytes derived by hand from the specification, round trips, and bytes that mean nothing.

use super::*;
use crate::write;

fn written(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write::value(&mut out, value);
    out
}

#[test]
fn values_are_written_as_the_specification_says() {
    // "Marshalling Examples" of the specification, little-endian.
    let strings = Value::Struct(vec![Value::text("foo"), Value::text("+"), Value::text("bar")]);
    assert_eq!(written(&strings), b"\x03\0\0\0foo\0\x01\0\0\0+\0\0\0\x03\0\0\0bar\0");
    let numbers = Value::Array("t".into(), vec![Value::U64(5)]);
    assert_eq!(written(&numbers), b"\x08\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0", "the padding is not in the length");
    for (value, bytes) in [
        (Value::Bool(true), &b"\x01\0\0\0"[..]),
        (Value::Signature("as".into()), b"\x02as\0"),
        (Value::U32(7).variant(), b"\x01u\0\0\x07\0\0\0"),
        (Value::text("x").variant(), b"\x01s\0\0\x01\0\0\0x\0"),
        (Value::Array("(ss)".into(), vec![]), b"\0\0\0\0\0\0\0\0"),
        (Value::bytes(b"\x05\x01"), b"\x02\0\0\0\x05\x01"),
        (
            Value::Struct(vec![Value::Byte(1), Value::I16(-2), Value::I64(-1)]),
            b"\x01\0\xfe\xff\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
    ] {
        assert_eq!(written(&value), bytes, "{value:?}");
    }
}

/// Hello(), byte by byte.
const HELLO: &[u8] = b"l\x01\0\x01\0\0\0\0\x01\0\0\0\x6d\0\0\0\
    \x01\x01o\0\x15\0\0\0/org/freedesktop/DBus\0\0\0\
    \x02\x01s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0\
    \x03\x01s\0\x05\0\0\0Hello\0\0\0\
    \x06\x01s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0";

fn hello() -> Call<'static> {
    Call {
        destination: "org.freedesktop.DBus",
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        member: "Hello",
    }
}

#[test]
fn a_call_is_written_byte_by_byte() {
    let bytes = hello().encode(1, &[]);
    assert_eq!(bytes, HELLO);
    assert_eq!(length(bytes.first_chunk().unwrap()), Some(HELLO.len()));
}

fn all_sorts() -> Vec<Value> {
    let properties = vec![
        Value::Struct(vec![Value::text("Slice"), Value::text("system.slice").variant()]),
        Value::Struct(vec![Value::text("PIDs"), Value::Array("u".into(), vec![Value::U32(4711)]).variant()]),
        Value::Struct(vec![Value::text("AllowedCPUs"), Value::bytes(&[3]).variant()]),
    ];
    vec![
        Value::Byte(1),
        Value::Bool(true),
        Value::I16(-1),
        Value::U16(2),
        Value::I32(-3),
        Value::U32(4),
        Value::I64(-5),
        Value::U64(6),
        Value::Double(7),
        Value::text("ä"),
        Value::Path("/a".into()),
        Value::Signature("a{sv}".into()),
        Value::Array("(sv)".into(), properties),
        Value::Array("(sa(sv))".into(), vec![]),
        Value::Array("{su}".into(), vec![Value::Entry(Box::new((Value::text("k"), Value::U32(1))))]),
        Value::Struct(vec![Value::Byte(9), Value::texts(["a", "bc"])]).variant().variant(),
    ]
}

#[test]
fn what_is_written_is_read() {
    let body = all_sorts();
    let bytes = hello().encode(9, &body);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.body, body);
    assert_eq!(message.member.as_deref(), Some("Hello"));
    assert_eq!(length(bytes.first_chunk().unwrap()), Some(bytes.len()));
}

#[test]
fn a_big_endian_signal_is_read() {
    let whole = b"B\x04\0\x01\0\0\0\x0b\0\0\0\x02\0\0\0\x28\
        \x01\x01o\0\0\0\0\x02/m\0\0\0\0\0\0\
        \x03\x01s\0\0\0\0\x01J\0\0\0\0\0\0\0\
        \x08\x01g\0\x02us\0\
        \0\0\0\x2a\0\0\0\x02ok\0";
    assert_eq!(length(whole.first_chunk().unwrap()), Some(whole.len()));
    let message = Message::decode(whole).unwrap();
    assert_eq!((message.kind, message.path.as_deref(), message.member.as_deref()), (SIGNAL, Some("/m"), Some("J")));
    assert_eq!(message.body, [Value::U32(42), Value::text("ok")]);
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let head = |change: &dyn Fn(&mut [u8; HEAD])| {
        let mut head = *HELLO.first_chunk::<HEAD>().unwrap();
        change(&mut head);
        length(&head)
    };
    assert_eq!(head(&|head| head[0] = b'x'), None);
    assert_eq!(head(&|head| head[3] = 2), None, "another version of the protocol");
    assert_eq!(head(&|head| head[4..8].fill(0xff)), None);
    assert_eq!(head(&|head| head[12..16].fill(0xff)), None);
    assert_eq!(head(&|head| head[6] = 8), None, "half a megabyte");
}

/// A generator that is good enough to reach every branch, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let good = hello().encode(9, &all_sorts());
    let mut read = 0;
    for round in 0..60_000_u64 {
        let mut bytes = good.clone();
        for _ in 0..=round % 6 {
            let at = random.next() as usize % bytes.len();
            bytes[at] = random.next() as u8;
        }
        bytes.truncate(if round % 3 == 0 { random.next() as usize % bytes.len() } else { bytes.len() });
        read += u32::from(Message::decode(&bytes).is_some());
        if let Some(head) = bytes.first_chunk() {
            let _ = length(head);
        }
    }
    assert!(read > 100, "some changes do no harm: {read}");
    for _ in 0..60_000 {
        let bytes: Vec<u8> = (0..random.next() % 80).map(|_| random.next() as u8).collect();
        let _ = Message::decode(&bytes);
    }
}

#[test]
fn nesting_and_false_texts_are_refused() {
    let deep = (0..60).fold(Value::Byte(0), |value, _| value.variant());
    assert!(Message::decode(&hello().encode(1, &[deep])).is_none());
    let mut bytes = hello().encode(1, &[Value::text("abcd")]);
    let at = bytes.len() - 2;
    bytes[at] = 0;
    assert!(Message::decode(&bytes).is_none(), "a NUL in a text");
    bytes[at] = 0xff;
    assert!(Message::decode(&bytes).is_none(), "no UTF-8");
    let mut bytes = hello().encode(1, &[Value::Bool(true)]);
    let at = bytes.len() - 4;
    bytes[at] = 2;
    assert!(Message::decode(&bytes).is_none(), "a boolean is 0 or 1");
}
