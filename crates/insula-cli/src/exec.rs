// SPDX-License-Identifier: Apache-2.0
//! The values of `insula exec`'s flags.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use insula_error::{Error, Result};

/// `--user UID[:GID]`: the user id, and the group id if one is given (runc keeps the document's otherwise).
///
/// Ids are plain decimal numbers below 2^32 - 1: that one means "no change" to the kernel, which would leave the
/// process root, and a larger one would wrap around to a smaller.
///
/// # Errors
/// [`Kind::Usage`](insula_error::Kind::Usage).
pub fn user(text: &str) -> Result<(u32, Option<u32>)> {
    let (uid, gid) = match text.split_once(':') {
        Some((uid, gid)) => (uid, Some(gid)),
        None => (text, None),
    };
    let refuse = |what: &str, id: &str| {
        Error::usage(format!("exec: --user {text:?}: {id:?} is not a {what} id, a decimal number below 4294967295"))
    };
    let uid = id(uid).ok_or_else(|| refuse("user", uid))?;
    let gid = gid.map(|gid| id(gid).ok_or_else(|| refuse("group", gid))).transpose()?;
    Ok((uid, gid))
}

/// `--additional-gids GID`, under the same rule.
///
/// # Errors
/// [`Kind::Usage`](insula_error::Kind::Usage).
pub fn group(text: &str) -> Result<u32> {
    id(text).ok_or_else(|| {
        Error::usage(format!("exec: --additional-gids {text:?} is not a group id, a decimal number below 4294967295"))
    })
}

/// Digits only, without a leading zero: what some reader would take for octal must not pass for decimal.
fn id(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|id| plain && *id != u32::MAX)
}

/// `--cap CAPABILITY` as the document writes it: `CAP_KILL` for `CAP_KILL`, `kill` or `cap_kill`. Whether there is such
/// a capability is for the plan to say.
///
/// # Errors
/// [`Kind::Usage`](insula_error::Kind::Usage) if it is not even shaped like a name.
pub fn capability(text: &str) -> Result<String> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_') {
        return Err(Error::usage(format!("exec: --cap {text:?} is not the name of a capability, such as CAP_KILL")));
    }
    let name = text.to_ascii_uppercase();
    Ok(if name.starts_with("CAP_") { name } else { format!("CAP_{name}") })
}

/// `--env NAME=VALUE`, checked for its shape.
///
/// # Errors
/// [`Kind::Usage`](insula_error::Kind::Usage) without `=` or without name.
pub fn variable(text: &str) -> Result<(&str, &str)> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| Error::usage(format!("exec: --env {text:?} is not of the form NAME=VALUE")))
}

/// `--cgroup [CONTROLLER[,...]:]PATH`, all of them: pairs of controller and path. One path without controller is for
/// every hierarchy (or the only one, on cgroup v2).
///
/// # Errors
/// [`Kind::Usage`](insula_error::Kind::Usage) for an empty controller, one that comes twice, or a bare path beside others.
pub fn sub_cgroups<'a>(values: impl Iterator<Item = &'a str>) -> Result<Vec<(Option<&'a str>, &'a str)>> {
    let values: Vec<&str> = values.collect();
    let mut pairs: Vec<(Option<&str>, &str)> = Vec::new();
    for value in &values {
        let refuse = |why: &str| Err(Error::usage(format!("exec: invalid --cgroup argument: {value} ({why})")));
        match value.split_once(':') {
            None if values.len() > 1 => return refuse("missing <controller>: prefix"),
            None => pairs.push((None, value)),
            Some((controllers, path)) => {
                for controller in controllers.split(',') {
                    if controller.is_empty() {
                        return refuse("empty <controller> prefix");
                    }
                    if pairs.iter().any(|(known, _)| *known == Some(controller)) {
                        return refuse(&format!("controller {controller} specified multiple times"));
                    }
                    pairs.push((Some(controller), path));
                }
            }
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users() {
        for (text, expected) in [
            ("0", (0, None)),
            ("1000", (1000, None)),
            ("1000:100", (1000, Some(100))),
            ("0:0", (0, Some(0))),
            ("4294967294:4294967294", (4_294_967_294, Some(4_294_967_294))),
        ] {
            assert_eq!(user(text).unwrap(), expected, "{text}");
        }
    }

    /// Case F1: whatever is not a plain number below 2^32 - 1 is refused, for users and groups alike.
    #[test]
    fn ids_that_would_wrap_or_keep_root_are_refused() {
        for odd in [
            "",
            " ",
            " 1",
            "1 ",
            "-1",
            "+1",
            "01",
            "00",
            "0x1",
            "1x",
            "root",
            "4294967295",
            "4294967296",
            "18446744073709551616",
        ] {
            assert!(user(odd).expect_err(odd).to_string().contains("is not a user id"), "{odd}");
            assert!(user(&format!("1:{odd}")).expect_err(odd).to_string().contains("is not a group id"), "{odd}");
            assert!(group(odd).expect_err(odd).to_string().contains("is not a group id"), "{odd}");
        }
        for text in [":", "1:", ":1", "1:2:3", "1,2"] {
            assert!(user(text).is_err(), "{text}");
        }
        assert_eq!(group("4294967294").unwrap(), 4_294_967_294);
    }

    #[test]
    fn capabilities() {
        for text in ["CAP_NET_RAW", "net_raw", "cap_net_raw", "NET_RAW"] {
            assert_eq!(capability(text).unwrap(), "CAP_NET_RAW", "{text}");
        }
        for text in ["", "CAP NET", "1", "a,b", "net-raw"] {
            assert!(capability(text).is_err(), "{text}");
        }
    }

    #[test]
    fn variables() {
        assert_eq!(variable("A=b=c").unwrap(), ("A", "b=c"));
        assert_eq!(variable("A=").unwrap(), ("A", ""));
        for text in ["A", "", "=b"] {
            assert!(variable(text).expect_err(text).to_string().contains("not of the form NAME=VALUE"), "{text}");
        }
    }

    #[test]
    fn cgroups_below_the_containers() {
        let sub = |values: &[&'static str]| sub_cgroups(values.iter().copied());
        assert_eq!(sub(&[]).unwrap(), []);
        assert_eq!(sub(&["a/b"]).unwrap(), [(None, "a/b")]);
        assert_eq!(
            sub(&["cpu,cpuacct:x", "memory:y:z"]).unwrap(),
            [(Some("cpu"), "x"), (Some("cpuacct"), "x"), (Some("memory"), "y:z")]
        );
        for (values, why) in [
            (&["a", "b"][..], "missing <controller>: prefix"),
            (&[":x"], "empty <controller> prefix"),
            (&["cpu,:x"], "empty <controller> prefix"),
            (&["cpu:x", "cpu:y"], "controller cpu specified multiple times"),
        ] {
            assert!(sub(values).expect_err(why).to_string().contains(why));
        }
    }
}
