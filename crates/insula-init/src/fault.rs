// SPDX-License-Identifier: Apache-2.0
//! A step's failure, as small as it goes over the socket.

use alloc::boxed::Box;
use insula_steps::message::{Call, HEAD, MAX};
use rustix::io::Errno;

/// Text that names the failing call's object, cut to what a message holds.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    bytes: [u8; MAX - HEAD],
    length: usize,
}

impl Text {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; MAX - HEAD], length: 0 }
    }

    pub(crate) fn push(&mut self, more: &[u8]) {
        let length = more.len().min(self.bytes.len() - self.length);
        self.bytes[self.length..self.length + length].copy_from_slice(&more[..length]);
        self.length += length;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

struct Parts {
    call: Call,
    errno: Errno,
    object: Text,
}

/// Which call failed within the step, how, and on what.
pub(crate) struct Fault(Box<Parts>);

impl Fault {
    /// Out of line, as [`Fault::on`] is: hundreds of places fail, and the image of init is memory of every container.
    #[cold]
    #[inline(never)]
    pub(crate) fn new(call: Call, errno: Errno) -> Self {
        Self(Box::new(Parts { call, errno, object: Text::new() }))
    }

    /// Names the object of the call.
    #[cold]
    #[inline(never)]
    pub(crate) fn on(mut self, object: &[u8]) -> Self {
        self.0.object.push(object);
        self
    }

    pub(crate) fn call(&self) -> Call {
        self.0.call
    }

    pub(crate) fn errno(&self) -> Errno {
        self.0.errno
    }

    pub(crate) fn object(&self) -> &[u8] {
        self.0.object.bytes()
    }
}

/// Results within init.
pub(crate) type Outcome<T> = Result<T, Fault>;

/// Says which call a kernel error comes from.
pub(crate) trait Of<T> {
    fn of(self, call: Call) -> Outcome<T>;
}

impl<T> Of<T> for Result<T, Errno> {
    fn of(self, call: Call) -> Outcome<T> {
        self.map_err(|errno| Fault::new(call, errno))
    }
}

/// Names the object of a failed call.
pub(crate) trait On<T> {
    fn on(self, object: &[u8]) -> Outcome<T>;
}

impl<T> On<T> for Outcome<T> {
    fn on(self, object: &[u8]) -> Outcome<T> {
        self.map_err(|fault| fault.on(object))
    }
}
