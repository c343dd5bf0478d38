// SPDX-License-Identifier: Apache-2.0
//! Names of kernel parameters. Source: sysctl(8), sysctl.d(5).

use alloc::string::String;

/// The path below `/proc/sys` of a kernel parameter: `net.ipv4.conf.eno2/100.rp_filter` and
/// `net/ipv4/conf/eno2.100/rp_filter` are both the latter. Whichever of `.` and `/` comes first separates, and the
/// other one stands for it inside a component.
///
/// The error is the reason, for an [`insula_error::Error`]. A path that is returned cannot leave `/proc/sys` by its
/// own text: no component is empty, `.` or `..`.
pub fn sysctl_path(name: &str) -> Result<String, &'static str> {
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "./_-:@*".contains(c));
    if name.contains(odd) {
        return Err("the name of a kernel parameter has letters, digits and any of . / _ - : @ * only");
    }
    let dotted = name.find(['.', '/']).is_none_or(|first| name.as_bytes()[first] == b'.');
    let path: String = name
        .chars()
        .map(|c| match c {
            '.' if dotted => '/',
            '/' if dotted => '.',
            c => c,
        })
        .collect();
    if path.split('/').any(|component| matches!(component, "" | "." | "..")) {
        return Err("the name of a kernel parameter has no component that is empty, \".\" or \"..\"");
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, path) in [
            ("kernel.shmmax", "kernel/shmmax"),
            ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
            ("net.ipv4.conf.eno2/100.rp_filter", "net/ipv4/conf/eno2.100/rp_filter"),
            ("net/ipv4/conf/eno2.100/rp_filter", "net/ipv4/conf/eno2.100/rp_filter"),
        ] {
            assert_eq!(sysctl_path(name).unwrap(), path);
        }
        for name in [
            "",
            ".",
            "/",
            "/kernel/x",
            "kernel.",
            "net.ipv4.../../kernel.x",
            "net/../kernel/domainname",
            "net./.x",
            "net.//.kernel",
            "net/./x",
            "net//x",
            "kernel.a=b",
            "kernel.a\nb",
            "kernel.a b",
            "kernel.+",
            "kernel.\u{0}",
            "kernel.é",
        ] {
            assert!(sysctl_path(name).is_err(), "{name:?}");
        }
    }
}
