// SPDX-License-Identifier: Apache-2.0
//! A connection: authentication, calls, signals; with deadlines, since the other side may hang.
//!
//! Authentication is SASL EXTERNAL with an empty identity: the server takes the user from the socket. A name of our own
//! would be the wrong one where this process is in a user namespace and the server is not.

use crate::address::{self, Address};
use crate::message::{self, Call, HEAD, Message};
use crate::value::Value;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use insula_error::{Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send, socket_with,
};
use rustix::time::{ClockId, clock_gettime};

/// How long a call may take, and a connection to come about.
const PATIENCE: Duration = Duration::from_secs(25);
/// Everything of the authentication is sent at once; the server answers when it has read so far.
const AUTHENTICATE: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
/// Longest line of the authentication.
const LONGEST_LINE: usize = 1024;
/// Most signals that are kept while an answer is awaited.
const MOST_SIGNALS: usize = 1024;

/// What a method call came to.
pub type Answer = core::result::Result<Message, Refusal>;

/// The other side's error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Such as `org.freedesktop.systemd1.NoSuchUnit`.
    pub name: String,
    /// For people.
    pub text: String,
}

/// A connection to a bus, or to a service directly.
#[derive(Debug)]
pub struct Connection {
    fd: OwnedFd,
    /// Where it leads, for messages.
    address: String,
    received: Vec<u8>,
    serial: u32,
    signals: Vec<Message>,
    /// Whether there is a bus in between.
    bus: bool,
}

impl Connection {
    /// Connects to the bus at `address` and says hello to it.
    ///
    /// # Errors
    /// `Kernel` if nobody listens there or answers in time; `State` if who answers does not speak D-Bus, or refuses.
    pub fn to_bus(address: &str) -> Result<Self> {
        let mut connection = Self::open(address, true)?;
        let hello = Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
        };
        match connection.call(&hello, &[])? {
            Ok(_) => Ok(connection),
            Err(refusal) => Err(connection.broken(format!("the bus refused: {}", refusal.text))),
        }
    }

    /// Connects to a service that listens at the socket `path` itself.
    ///
    /// # Errors
    /// As [`Self::to_bus`].
    pub fn to_service(path: &str) -> Result<Self> {
        Self::open(&format!("unix:path={}", address::escape(path)), false)
    }

    fn open(list: &str, bus: bool) -> Result<Self> {
        let mut last = Error::state("connect to D-Bus", "the address names no unix socket").object(list);
        for address in address::parse(list) {
            match dial(&address) {
                Ok(fd) => {
                    let address = list.to_string();
                    let mut connection =
                        Self { fd, address, received: Vec::new(), serial: 0, signals: Vec::new(), bus };
                    connection.authenticate()?;
                    return Ok(connection);
                }
                Err(e) => last = Error::kernel(e.raw_os_error(), "connect to D-Bus").object(list),
            }
        }
        Err(last)
    }

    /// Whether there is a bus in between; a service reached directly sends its signals unasked.
    pub fn is_bus(&self) -> bool {
        self.bus
    }

    fn broken(&self, reason: impl Into<alloc::borrow::Cow<'static, str>>) -> Error {
        Error::state("speak D-Bus", reason).object(self.address.as_str())
    }

    fn failed(&self, errno: Errno) -> Error {
        Error::kernel(errno.raw_os_error(), "speak D-Bus").object(self.address.as_str())
    }

    fn authenticate(&mut self) -> Result<()> {
        self.send(AUTHENTICATE)?;
        let end = now() + PATIENCE;
        loop {
            let line = self.line(end)?;
            match line.split(' ').next() {
                Some("DATA") => {}
                Some("OK") => return Ok(()),
                _ => return Err(self.broken(format!("the server refused to let us in: {line:?}"))),
            }
        }
    }

    fn line(&mut self, end: Duration) -> Result<String> {
        loop {
            if let Some(at) = self.received.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.received.drain(..at + 2).take(at).collect();
                return String::from_utf8(line).map_err(|_| self.broken("the server does not speak D-Bus"));
            }
            if self.received.len() > LONGEST_LINE {
                return Err(self.broken("the server does not speak D-Bus"));
            }
            self.receive(end)?;
        }
    }

    /// Calls a method and waits for what it comes to.
    ///
    /// # Errors
    /// Those of the connection; the method's own are in the answer.
    pub fn call(&mut self, call: &Call<'_>, body: &[Value]) -> Result<Answer> {
        let serial = self.start(call, body)?;
        self.answer(serial)
    }

    /// Calls a method; [`Self::answer`] waits for what it comes to.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn start(&mut self, call: &Call<'_>, body: &[Value]) -> Result<u32> {
        self.serial += 1;
        self.send(&call.encode(self.serial, body))?;
        Ok(self.serial)
    }

    /// Waits for the answer to the call `serial`. Signals that come first are kept.
    ///
    /// # Errors
    /// Those of the connection; the method's own are in the answer.
    pub fn answer(&mut self, serial: u32) -> Result<Answer> {
        let end = now() + PATIENCE;
        loop {
            let message = self.message(end)?;
            match message.kind {
                message::SIGNAL => self.keep(message)?,
                _ if message.reply_serial != Some(serial) => {}
                message::RETURN => return Ok(Ok(message)),
                message::ERROR => {
                    let text = message.body.first().and_then(Value::as_text).map(String::from).unwrap_or_default();
                    return Ok(Err(Refusal { name: message.error_name.unwrap_or_default(), text }));
                }
                _ => {}
            }
        }
    }

    fn keep(&mut self, signal: Message) -> Result<()> {
        if self.signals.len() == MOST_SIGNALS {
            return Err(self.broken("more signals than can be meant for us"));
        }
        self.signals.push(signal);
        Ok(())
    }

    /// Waits for a signal that `wanted` holds for, for `patience` at most.
    ///
    /// # Errors
    /// `Kernel(ETIMEDOUT)`, and those of the connection.
    pub fn signal(&mut self, patience: Duration, wanted: impl Fn(&Message) -> bool) -> Result<Message> {
        let end = now() + patience;
        loop {
            if let Some(at) = self.signals.iter().position(&wanted) {
                return Ok(self.signals.swap_remove(at));
            }
            self.signals.clear();
            let message = self.message(end)?;
            if message.kind == message::SIGNAL {
                self.keep(message)?;
            }
        }
    }

    fn message(&mut self, end: Duration) -> Result<Message> {
        loop {
            if let Some(head) = self.received.first_chunk::<HEAD>() {
                let malformed = "a malformed message came";
                let length = message::length(head).ok_or_else(|| self.broken(malformed))?;
                if self.received.len() >= length {
                    let bytes: Vec<u8> = self.received.drain(..length).collect();
                    return Message::decode(&bytes).ok_or_else(|| self.broken(malformed));
                }
            }
            self.receive(end)?;
        }
    }

    fn send(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match send(&self.fd, bytes, SendFlags::NOSIGNAL) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(Errno::INTR) => {}
                // A server that refuses in the middle says why in what it sent before.
                Err(Errno::PIPE | Errno::CONNRESET) if !bytes.is_empty() && self.received.is_empty() => return Ok(()),
                Err(Errno::AGAIN) => return Err(self.failed(Errno::TIMEDOUT)),
                Err(e) => return Err(self.failed(e)),
            }
        }
        Ok(())
    }

    fn receive(&mut self, end: Duration) -> Result<()> {
        let mut buffer = [0_u8; 4096];
        loop {
            let left = end.saturating_sub(now());
            if left.is_zero() {
                return Err(self.failed(Errno::TIMEDOUT).reason("no answer came in time"));
            }
            let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&timeout)) {
                Ok(0) | Err(Errno::INTR) => continue,
                result => result.map_err(|e| self.failed(e))?,
            };
            match recv(&self.fd, &mut buffer[..], RecvFlags::empty()) {
                Ok((0, _)) => return Err(self.failed(Errno::CONNRESET).reason("the server hung up")),
                Ok((length, _)) => {
                    self.received.extend_from_slice(&buffer[..length]);
                    return Ok(());
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(e) => return Err(self.failed(e)),
            }
        }
    }
}

fn dial(address: &Address) -> rustix::io::Result<OwnedFd> {
    let to = match address {
        Address::Path(path) => SocketAddrUnix::new(&**path)?,
        Address::Abstract(name) => SocketAddrUnix::new_abstract_name(name)?,
    };
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Also for connect(2), which waits while the server's queue is full (unix(7), SO_SNDTIMEO).
    set_socket_timeout(&fd, Timeout::Send, Some(PATIENCE))?;
    loop {
        match connect(&fd, &to) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Err(Errno::TIMEDOUT),
            result => return result.map(|()| fd),
        }
    }
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}
