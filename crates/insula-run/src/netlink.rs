// SPDX-License-Identifier: Apache-2.0
//! The few messages of rtnetlink(7) that moving a device takes. Layouts: linux/netlink.h, linux/rtnetlink.h,
//! linux/if_link.h, linux/if_addr.h; numbers are in the byte order of the machine.

use alloc::vec::Vec;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const SET_LINK: u16 = 19;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const ERROR: u16 = 2;
const DONE: u16 = 3;

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
/// NLM_F_CREATE | NLM_F_EXCL
const CREATE: u16 = 0x600;

/// struct nlmsghdr
const HEAD: usize = 16;
/// struct ifinfomsg
const LINK: usize = 16;
/// struct ifaddrmsg
const ADDRESS: usize = 8;

const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFF_UP: u32 = 1;
const IFA_F_PERMANENT: u8 = 0x80;
/// IFA_F_NODAD: the address was in use already, so there is nothing to detect.
const IFA_F_NODAD: u8 = 2;
const SCOPE_UNIVERSE: u8 = 0;

/// An address of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    family: u8,
    prefix: u8,
    flags: u8,
    scope: u8,
    /// The device's number.
    pub(crate) index: u32,
    /// Local address, peer, broadcast address, as they came: type and value.
    parts: Vec<(u16, Vec<u8>)>,
}

impl Address {
    /// Whether it belongs to the device rather than to the place: set by somebody, and valid everywhere.
    pub(crate) fn stays(&self) -> bool {
        self.flags & IFA_F_PERMANENT != 0 && self.scope == SCOPE_UNIVERSE
    }

    fn read(body: &[u8]) -> Option<Self> {
        let (head, rest) = body.split_at_checked(ADDRESS)?;
        let index = u32::from_ne_bytes(head[4..8].try_into().ok()?);
        let parts = attributes(rest).filter(|(kind, _)| [IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST].contains(kind));
        let parts = parts.map(|(kind, value)| (kind, Vec::from(value))).collect();
        Some(Self { family: head[0], prefix: head[1], flags: head[2], scope: head[3], index, parts })
    }
}

/// A message being written.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(REQUEST | flags).to_ne_bytes());
        // The sequence number is set when it is sent; port 0 is the kernel.
        bytes.extend_from_slice(&[0; 8]);
        Self(bytes)
    }

    fn link(mut self, index: u32, flags: u32, change: u32) -> Self {
        self.0.extend_from_slice(&[0; 4]);
        for number in [index, flags, change] {
            self.0.extend_from_slice(&number.to_ne_bytes());
        }
        self
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.0.extend_from_slice(&(value.len() as u16 + 4).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

/// A name as an attribute has it: with a zero at its end.
fn terminated(name: &str) -> Vec<u8> {
    let mut bytes = Vec::from(name.as_bytes());
    bytes.push(0);
    bytes
}

/// The attributes of a message: type and value.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    core::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        // The two highest bits say how the value is laid out.
        Some((kind & 0x3fff, value))
    })
}

/// The messages in one datagram: type and body.
fn messages(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    core::iter::from_fn(move || {
        let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(rest.get(4..6)?.try_into().ok()?);
        let body = rest.get(HEAD..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

/// A socket of the network namespace in which it was made.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    pub(crate) fn open() -> Result<Self, Errno> {
        // Protocol 0 is NETLINK_ROUTE.
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Sends a message and gives `each` the answers, up to the acknowledgement or the end of the list.
    fn talk(&mut self, message: Message, each: &mut dyn FnMut(u16, &[u8])) -> Result<(), Errno> {
        let mut bytes = message.0;
        self.sequence += 1;
        let length = (bytes.len() as u32).to_ne_bytes();
        bytes[..4].copy_from_slice(&length);
        bytes[8..12].copy_from_slice(&self.sequence.to_ne_bytes());
        sendto(&self.fd, &bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut buffer = alloc::vec![0; 65536];
        loop {
            let length = match recv(&self.fd, &mut buffer[..], RecvFlags::empty()) {
                Err(Errno::INTR) => continue,
                done => done?.0,
            };
            for (kind, body) in messages(&buffer[..length]) {
                match kind {
                    DONE => return Ok(()),
                    ERROR => {
                        let code = body.get(..4).and_then(|code| code.try_into().ok()).map_or(-5, i32::from_ne_bytes);
                        return if code == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(-code)) };
                    }
                    kind => each(kind, body),
                }
            }
        }
    }

    /// The number of the device with this name.
    pub(crate) fn index_of(&mut self, name: &str) -> Result<u32, Errno> {
        let message = Message::new(GET_LINK, ACK).link(0, 0, 0).attribute(IFLA_IFNAME, &terminated(name));
        let mut index = None;
        self.talk(message, &mut |kind, body| index = index.or(link_index(kind, body)))?;
        index.ok_or(Errno::NODEV)
    }

    /// The numbers of all devices.
    pub(crate) fn links(&mut self) -> Result<Vec<u32>, Errno> {
        let mut list = Vec::new();
        self.talk(Message::new(GET_LINK, DUMP).link(0, 0, 0), &mut |kind, body| list.extend(link_index(kind, body)))?;
        Ok(list)
    }

    /// The addresses of all devices.
    pub(crate) fn addresses(&mut self) -> Result<Vec<Address>, Errno> {
        let mut list = Vec::new();
        let mut message = Message::new(GET_ADDRESS, DUMP);
        message.0.extend_from_slice(&[0; ADDRESS]);
        self.talk(message, &mut |kind, body| {
            if kind == NEW_ADDRESS {
                list.extend(Address::read(body));
            }
        })?;
        Ok(list)
    }

    /// Moves device `index` to the namespace behind `target`, where it is called `name`.
    pub(crate) fn move_link(&mut self, index: u32, target: i32, name: &str) -> Result<(), Errno> {
        let message = Message::new(SET_LINK, ACK)
            .link(index, 0, 0)
            .attribute(IFLA_NET_NS_FD, &target.to_ne_bytes())
            .attribute(IFLA_IFNAME, &terminated(name));
        self.talk(message, &mut |_, _| {})
    }

    /// Gives device `index` an address that another one had.
    pub(crate) fn add_address(&mut self, address: &Address, index: u32) -> Result<(), Errno> {
        let mut message = Message::new(NEW_ADDRESS, ACK | CREATE);
        message.0.extend_from_slice(&[address.family, address.prefix, address.flags | IFA_F_NODAD, address.scope]);
        message.0.extend_from_slice(&index.to_ne_bytes());
        for (kind, value) in &address.parts {
            message = message.attribute(*kind, value);
        }
        self.talk(message, &mut |_, _| {})
    }

    /// Brings device `index` up.
    pub(crate) fn bring_up(&mut self, index: u32) -> Result<(), Errno> {
        self.talk(Message::new(SET_LINK, ACK).link(index, IFF_UP, IFF_UP), &mut |_, _| {})
    }
}

/// The number of the device that a message is about.
fn link_index(kind: u16, body: &[u8]) -> Option<u32> {
    let number = body.get(4..LINK)?.first_chunk()?;
    (kind == NEW_LINK).then_some(u32::from_ne_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_found_with_its_address() {
        let mut socket = Socket::open().unwrap();
        let index = socket.index_of("lo").unwrap();
        assert!(socket.links().unwrap().contains(&index));
        let addresses = socket.addresses().unwrap();
        let has = |kind: &Address| kind.index == index && kind.parts.contains(&(IFA_LOCAL, vec![127, 0, 0, 1]));
        // A namespace in which it was never brought up has none.
        let up = std::fs::read_to_string("/sys/class/net/lo/flags").unwrap().trim() == "0x9";
        assert_eq!(addresses.iter().any(has), up, "{addresses:?}");
        assert!(
            addresses.iter().filter(|address| address.index == index).all(|address| !address.stays()),
            "of the host"
        );
        assert_eq!(socket.index_of("no-such-dev"), Err(Errno::NODEV));
    }

    #[test]
    fn attributes_are_read_as_they_are_written() {
        let message = Message(Vec::new()).attribute(3, b"eth0\0").attribute(28, &7_i32.to_ne_bytes());
        let read: Vec<_> = attributes(&message.0).collect();
        assert_eq!(read, [(3, &b"eth0\0"[..]), (28, &7_i32.to_ne_bytes()[..])]);
        for end in 0..message.0.len() {
            assert!(attributes(&message.0[..end]).count() <= 2, "cut at {end}");
        }
    }
}
