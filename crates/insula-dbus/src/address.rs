// SPDX-License-Identifier: Apache-2.0
//! Addresses of servers. Source: D-Bus specification, "Server Addresses", "Unix Domain Sockets".

use alloc::vec::Vec;

/// A unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A file.
    Path(Vec<u8>),
    /// A name without a file.
    Abstract(Vec<u8>),
}

/// The unix sockets in a list of addresses, in order; other transports are passed over.
pub(crate) fn parse(list: &str) -> impl Iterator<Item = Address> {
    list.split(';').filter_map(|address| {
        let keys = address.strip_prefix("unix:")?;
        keys.split(',').find_map(|pair| match pair.split_once('=')? {
            ("path", value) => Some(Address::Path(unescape(value)?)),
            ("abstract", value) => Some(Address::Abstract(unescape(value)?)),
            _ => None,
        })
    })
}

/// `%2f` and the like as bytes.
fn unescape(value: &str) -> Option<Vec<u8>> {
    let mut bytes = value.bytes();
    let mut out = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            out.push((digit()? * 16 + digit()?) as u8);
        } else {
            out.push(byte);
        }
    }
    (!out.is_empty()).then_some(out)
}

/// A path as the value of an address.
pub fn escape(path: &str) -> alloc::string::String {
    let mut out = alloc::string::String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_/.\\*".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&alloc::format!("%{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_sockets_are_found_in_a_list() {
        let parsed = |list: &str| parse(list).collect::<Vec<_>>();
        let path = |text: &str| Address::Path(Vec::from(text));
        assert_eq!(parsed("unix:path=/run/user/1000/bus"), [path("/run/user/1000/bus")]);
        assert_eq!(parsed("unix:path=/run/bus,guid=0123456789abcdef"), [path("/run/bus")]);
        assert_eq!(parsed("unix:guid=1,path=/a%20b%2Fc"), [path("/a b/c")]);
        let both = [Address::Abstract(Vec::from("/tmp/dbus-x")), path("/b")];
        assert_eq!(parsed("unix:abstract=/tmp/dbus-x;tcp:host=localhost,port=4;unix:path=/b"), both);
        for nothing in ["", ";", "unix:", "unix:path", "unix:path=", "unix:path=%4", "unix:path=%zz", "tcp:path=/x"] {
            assert_eq!(parsed(nothing), [], "{nothing}");
        }
    }

    #[test]
    fn a_path_survives_escaping() {
        for name in ["/run/user/1000/bus", "/tmp/a b;c,d=%e", "/tmp/ü"] {
            let list = alloc::format!("unix:path={}", escape(name));
            assert_eq!(parse(&list).collect::<Vec<_>>(), [Address::Path(Vec::from(name))]);
        }
    }
}
