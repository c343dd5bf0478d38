// SPDX-License-Identifier: Apache-2.0
//! Values to bytes, little-endian. Source: D-Bus specification, "Marshalling (Wire Format)".

use crate::signature::alignment;
use crate::value::Value;
use alloc::string::String;
use alloc::vec::Vec;

/// Fills up to a multiple of `to`.
pub(crate) fn align(out: &mut Vec<u8>, to: usize) {
    out.resize(out.len().next_multiple_of(to), 0);
}

fn number(out: &mut Vec<u8>, bytes: &[u8]) {
    align(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn string(out: &mut Vec<u8>, text: &str) {
    number(out, &(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

fn short_string(out: &mut Vec<u8>, text: &str) {
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

/// Appends `value`. `out` begins at a multiple of eight.
pub(crate) fn value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Byte(byte) => out.push(*byte),
        Value::Bool(is) => number(out, &u32::from(*is).to_le_bytes()),
        Value::I16(n) => number(out, &n.to_le_bytes()),
        Value::U16(n) => number(out, &n.to_le_bytes()),
        Value::I32(n) => number(out, &n.to_le_bytes()),
        Value::U32(n) => number(out, &n.to_le_bytes()),
        Value::I64(n) => number(out, &n.to_le_bytes()),
        Value::U64(n) | Value::Double(n) => number(out, &n.to_le_bytes()),
        Value::Text(text) | Value::Path(text) => string(out, text),
        Value::Signature(text) => short_string(out, text),
        Value::Array(element, values) => array(out, element, values),
        Value::Struct(fields) => {
            align(out, 8);
            for field in fields {
                self::value(out, field);
            }
        }
        Value::Entry(pair) => {
            align(out, 8);
            self::value(out, &pair.0);
            self::value(out, &pair.1);
        }
        Value::Variant(inner) => {
            let mut signature = String::new();
            inner.sign(&mut signature);
            short_string(out, &signature);
            self::value(out, inner);
        }
    }
}

/// The length does not count what fills up to the first element.
fn array(out: &mut Vec<u8>, element: &str, values: &[Value]) {
    number(out, &[0; 4]);
    let length_at = out.len() - 4;
    align(out, alignment(element.as_bytes().first().copied().unwrap_or(b'y')));
    let start = out.len();
    for element in values {
        value(out, element);
    }
    let length = (out.len() - start) as u32;
    out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
}
