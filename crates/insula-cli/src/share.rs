// SPDX-License-Identifier: Apache-2.0
//! The values of `--pid`, `--network`, `--ipc`, `--uts`, `--user`, `--cgroupns` and `--time`.

use alloc::format;

use insula_error::{Error, Result};

use crate::id::validate_id;

/// What the command line says about one kind of namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share<'a> {
    /// A new one.
    Private,
    /// The runtime's own.
    Host,
    /// That of the container with this id, which is a valid one.
    Container(&'a str),
    /// The one that this path leads to, which is absolute.
    Path(&'a str),
}

/// Reads `private`, `host`, `container:ID` or `ns:PATH`. `flag` is for the error.
///
/// # Errors
/// [`Kind::Usage`](insula_error::Kind::Usage).
pub fn parse<'a>(flag: &str, value: &'a str) -> Result<Share<'a>> {
    let refuse = |why: &str| Error::usage(format!("--{flag} {value:?}: {why}"));
    match value.split_once(':') {
        None if value == "private" => Ok(Share::Private),
        None if value == "host" => Ok(Share::Host),
        Some(("container", id)) => validate_id(id).map(|()| Share::Container(id)),
        Some(("ns", path)) if path.starts_with('/') => Ok(Share::Path(path)),
        Some(("ns", _)) => Err(refuse("the path must be absolute, such as ns:/proc/4711/ns/net")),
        _ => Err(refuse("must be private, host, container:ID or ns:PATH")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_choices() {
        for (value, expected) in [
            ("private", Share::Private),
            ("host", Share::Host),
            ("container:web-1", Share::Container("web-1")),
            ("ns:/run/netns/a:b", Share::Path("/run/netns/a:b")),
        ] {
            assert_eq!(parse("pid", value).unwrap(), expected, "{value}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for (value, why) in [
            ("", "must be private, host"),
            ("Host", "must be private, host"),
            ("host:", "must be private, host"),
            ("none", "must be private, host"),
            ("bridge:x", "must be private, host"),
            ("ns:relative", "must be absolute"),
            ("ns:", "must be absolute"),
            ("container:", "invalid container ID format"),
            ("container:../x", "invalid container ID format"),
        ] {
            assert!(parse("pid", value).expect_err(value).to_string().contains(why), "{value}");
        }
    }
}
