// SPDX-License-Identifier: Apache-2.0
//! Bytes of a step: little-endian numbers; text as a u32 length and the bytes, with its zero where it goes to the kernel
//! as a C string, so that init passes pointers into the list itself.

use crate::Fd;
use alloc::vec::Vec;
use core::ffi::CStr;

/// The bytes end early or make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn;

/// Walks a list of steps.
#[derive(Debug, Clone)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all is read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Torn> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Torn> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(Torn)?;
        self.0 = tail;
        Ok(head)
    }
}

/// A value that is part of a step.
pub trait Wire<'a>: Sized {
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>, fd: &dyn Fn(Fd) -> Fd);
    /// Reads the value.
    fn get(reader: &mut Reader<'a>) -> Result<Self, Torn>;
}

macro_rules! number {
    ($($kind:ty),*) => {$(
        impl<'a> Wire<'a> for $kind {
            fn put(&self, out: &mut Vec<u8>, _: &dyn Fn(Fd) -> Fd) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn get(reader: &mut Reader<'a>) -> Result<Self, Torn> {
                let bytes = reader.take(size_of::<Self>())?;
                Ok(Self::from_le_bytes(bytes.try_into().map_err(|_| Torn)?))
            }
        }
    )*};
}

number!(u32, i32, u64);

impl<'a> Wire<'a> for Fd {
    fn put(&self, out: &mut Vec<u8>, fd: &dyn Fn(Fd) -> Fd) {
        (if self.is_some() { fd(*self) } else { *self }).0.put(out, fd);
    }

    fn get(reader: &mut Reader<'a>) -> Result<Self, Torn> {
        u32::get(reader).map(Fd)
    }
}

impl<'a> Wire<'a> for &'a [u8] {
    fn put(&self, out: &mut Vec<u8>, fd: &dyn Fn(Fd) -> Fd) {
        (self.len() as u32).put(out, fd);
        out.extend_from_slice(self);
    }

    fn get(reader: &mut Reader<'a>) -> Result<Self, Torn> {
        let length = u32::get(reader)?;
        reader.take(length as usize)
    }
}

impl<'a> Wire<'a> for &'a CStr {
    fn put(&self, out: &mut Vec<u8>, fd: &dyn Fn(Fd) -> Fd) {
        self.to_bytes_with_nul().put(out, fd);
    }

    fn get(reader: &mut Reader<'a>) -> Result<Self, Torn> {
        CStr::from_bytes_with_nul(<&[u8]>::get(reader)?).map_err(|_| Torn)
    }
}

/// A list of C strings, one after the other with their zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Strings<'a> {
    count: u32,
    bytes: &'a [u8],
}

impl<'a> Strings<'a> {
    /// No strings.
    pub const EMPTY: Self = Self { count: 0, bytes: &[] };

    /// Packs `strings`, none of which may hold a zero, into `storage`.
    pub fn pack<'s>(strings: impl IntoIterator<Item = &'s str>, storage: &'a mut Vec<u8>) -> Self {
        let mut count = 0;
        for string in strings {
            storage.extend_from_slice(string.as_bytes());
            storage.push(0);
            count += 1;
        }
        Self { count, bytes: storage }
    }

    /// `count` strings that are packed already.
    pub const fn packed(count: u32, bytes: &'a [u8]) -> Self {
        Self { count, bytes }
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The strings in order; stops at the first that lacks its zero.
    pub fn iter(&self) -> impl Iterator<Item = &'a CStr> + use<'a> {
        let mut rest = self.bytes;
        (0..self.count).map_while(move |_| {
            let string = CStr::from_bytes_until_nul(rest).ok()?;
            rest = &rest[string.to_bytes_with_nul().len()..];
            Some(string)
        })
    }
}

impl<'a> Wire<'a> for Strings<'a> {
    fn put(&self, out: &mut Vec<u8>, fd: &dyn Fn(Fd) -> Fd) {
        self.count.put(out, fd);
        self.bytes.put(out, fd);
    }

    fn get(reader: &mut Reader<'a>) -> Result<Self, Torn> {
        Ok(Self { count: u32::get(reader)?, bytes: <&[u8]>::get(reader)? })
    }
}
