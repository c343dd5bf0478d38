// SPDX-License-Identifier: Apache-2.0
//! Values with their types. Source: D-Bus specification, "Type System".

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// One complete value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `y`
    Byte(u8),
    /// `b`
    Bool(bool),
    /// `n`
    I16(i16),
    /// `q`
    U16(u16),
    /// `i`
    I32(i32),
    /// `u`
    U32(u32),
    /// `x`
    I64(i64),
    /// `t`
    U64(u64),
    /// `d`, as its bits: the programs use no floating point.
    Double(u64),
    /// `s`
    Text(String),
    /// `o`
    Path(String),
    /// `g`
    Signature(String),
    /// `a…`: the signature of the elements, and these.
    Array(String, Vec<Value>),
    /// `(…)`
    Struct(Vec<Value>),
    /// `{…}`, an element of an array only.
    Entry(Box<(Value, Value)>),
    /// `v`
    Variant(Box<Value>),
}

impl Value {
    /// A text.
    pub fn text(text: &str) -> Self {
        Self::Text(String::from(text))
    }

    /// A variant around `self`.
    #[must_use]
    pub fn variant(self) -> Self {
        Self::Variant(Box::new(self))
    }

    /// An array of bytes.
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::Array(String::from("y"), bytes.iter().map(|byte| Self::Byte(*byte)).collect())
    }

    /// An array of texts.
    pub fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Array(String::from("s"), texts.into_iter().map(Self::text).collect())
    }

    /// The value's own type.
    pub fn signature(&self) -> String {
        let mut signature = String::new();
        self.sign(&mut signature);
        signature
    }

    pub(crate) fn sign(&self, out: &mut String) {
        let letter = match self {
            Self::Byte(_) => 'y',
            Self::Bool(_) => 'b',
            Self::I16(_) => 'n',
            Self::U16(_) => 'q',
            Self::I32(_) => 'i',
            Self::U32(_) => 'u',
            Self::I64(_) => 'x',
            Self::U64(_) => 't',
            Self::Double(_) => 'd',
            Self::Text(_) => 's',
            Self::Path(_) => 'o',
            Self::Signature(_) => 'g',
            Self::Variant(_) => 'v',
            Self::Array(element, _) => {
                out.push('a');
                return out.push_str(element);
            }
            Self::Struct(fields) => {
                out.push('(');
                for field in fields {
                    field.sign(out);
                }
                return out.push(')');
            }
            Self::Entry(pair) => {
                out.push('{');
                pair.0.sign(out);
                pair.1.sign(out);
                return out.push('}');
            }
        };
        out.push(letter);
    }

    /// The text in a value, in a variant too.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Path(text) | Self::Signature(text) => Some(text),
            Self::Variant(inner) => inner.as_text(),
            _ => None,
        }
    }

    /// Writes the parts with commas in between.
    fn list(f: &mut fmt::Formatter<'_>, parts: &[Self], brackets: [&str; 2]) -> fmt::Result {
        f.write_str(brackets[0])?;
        for (index, part) in parts.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{part}")?;
        }
        f.write_str(brackets[1])
    }

    /// The number, if it is an unsigned 32-bit one.
    pub fn as_u32(&self) -> Option<u32> {
        match self {
            Self::U32(number) => Some(*number),
            _ => None,
        }
    }
}

/// For people: much as [`crate::text`] reads it, without types.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(n) => write!(f, "{n}"),
            Self::Bool(is) => write!(f, "{is}"),
            Self::I16(n) => write!(f, "{n}"),
            Self::U16(n) => write!(f, "{n}"),
            Self::I32(n) => write!(f, "{n}"),
            Self::U32(n) => write!(f, "{n}"),
            Self::I64(n) => write!(f, "{n}"),
            Self::U64(u64::MAX) => f.write_str("infinity"),
            Self::U64(n) => write!(f, "{n}"),
            Self::Double(bits) => write!(f, "double {bits:#x}"),
            Self::Text(text) | Self::Path(text) | Self::Signature(text) => write!(f, "{text:?}"),
            Self::Array(_, values) => Self::list(f, values, ["[", "]"]),
            Self::Struct(fields) => Self::list(f, fields, ["(", ")"]),
            Self::Entry(pair) => write!(f, "{}: {}", pair.0, pair.1),
            Self::Variant(inner) => write!(f, "<{inner}>"),
        }
    }
}
