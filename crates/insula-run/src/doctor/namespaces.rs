// SPDX-License-Identifier: Apache-2.0
//! Each kind of namespace: one is made.

use super::probe::{in_child, line, words};
use super::{Finding, State};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use insula_ns::Kind;
use insula_ns::kind::{ALL, Namespace};
use insula_sys::process::clone;
use rustix::io::Errno;

/// Makes a namespace of each kind, for an ordinary user inside a user namespace.
pub(super) fn examine() -> Vec<Finding> {
    ALL.iter().map(|namespace| finding(namespace)).collect()
}

fn finding(namespace: &'static Namespace) -> Finding {
    let base = if rustix::process::geteuid().is_root() { 0 } else { clone::NEWUSER };
    let outcome = in_child(base | namespace.clone_flag, || Ok(()));
    let name = namespace.spec_name;
    let limit_file = format!("/proc/sys/user/max_{}_namespaces", namespace.proc_name);
    let limit = line(&limit_file);
    let mut finding = Finding {
        group: "namespaces",
        name,
        state: State::Works,
        found: limit.as_deref().map_or_else(String::new, |limit| format!("up to {limit} for each user")),
        stops: Cow::Borrowed(""),
        remedy: Cow::Borrowed(""),
    };
    if let Err(errno) = outcome {
        // Only these two kinds can be left out of every document.
        let spared = [Kind::USER, Kind::TIME].iter().any(|kind| kind.namespace().spec_name == name);
        finding.state = if spared { State::Missing } else { State::Needed };
        finding.found = words("clone3", errno);
        finding.stops = Cow::Owned(format!("documents with {{\"type\": \"{name}\"}} in /linux/namespaces"));
        finding.remedy = remedy(namespace, errno, limit.as_deref(), &limit_file);
    }
    finding
}

fn remedy(namespace: &Namespace, errno: Errno, limit: Option<&str>, file: &str) -> Cow<'static, str> {
    let (major, minor) = namespace.since;
    match errno {
        Errno::NOSPC if limit == Some("0") => Cow::Owned(format!("write a number above 0 to {file}")),
        Errno::NOSPC => Cow::Owned(format!("raise the number in {file}; so many are in use, or 32 levels are nested")),
        Errno::PERM => Cow::Borrowed("run insula as root, or allow ordinary users their user namespaces (below)"),
        _ => Cow::Owned(format!("use Linux {major}.{minor} or newer, built with this kind of namespace")),
    }
}
