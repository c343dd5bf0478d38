// SPDX-License-Identifier: Apache-2.0
//! The survey as JSON, one namespace or container on a line.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use crate::containers::Container;
use crate::identity::Identity;
use crate::survey::{Entry, Keeper, Survey};

/// The survey as a JSON object with `namespaces`, `containers` and `unreadable` (processes that could not be looked
/// into). Nothing is shortened. Namespaces are referred to as procfs writes them, containers by id.
pub fn json(survey: &Survey) -> String {
    let list = |items: Vec<String>| {
        if items.is_empty() { String::from("[]") } else { format!("[\n    {}\n  ]", items.join(",\n    ")) }
    };
    let namespaces = survey.namespaces.iter().map(|entry| namespace(survey, entry)).collect();
    let containers = survey.containers.iter().map(container).collect();
    format!(
        "{{\n  \"namespaces\": {},\n  \"containers\": {},\n  \"unreadable\": {}\n}}\n",
        list(namespaces),
        list(containers),
        survey.unreadable
    )
}

fn namespace(survey: &Survey, entry: &Entry) -> String {
    let Entry { identity, owner, parent, owner_uid, own, pids, uid, command, kept_by, containers } = entry;
    let ids = containers.iter().filter_map(|index| survey.containers.get(*index)).map(|c| quoted(&c.id));
    let user = uid.and_then(|uid| survey.users.get(&uid)).map(|name| quoted(name));
    object(&[
        ("identity", quoted(&identity.to_string())),
        ("type", quoted(identity.kind.namespace().spec_name)),
        ("inode", identity.ino.to_string()),
        ("device", identity.dev.to_string()),
        ("id", or_null(identity.id)),
        ("own", own.to_string()),
        ("owner", reference(owner.as_ref())),
        ("parent", reference(parent.as_ref())),
        ("ownerUid", or_null(*owner_uid)),
        ("processes", pids.len().to_string()),
        ("pids", array(pids.iter().map(ToString::to_string))),
        ("uid", or_null(*uid)),
        ("user", or_null(user)),
        ("command", quoted(command)),
        ("containers", array(ids)),
        ("keptBy", array(kept_by.iter().map(keeper))),
    ])
}

fn container(container: &Container) -> String {
    let kinds = container.namespaces.iter();
    let used: Vec<_> = kinds.map(|(kind, ns)| (kind.namespace().spec_name, reference(ns.as_ref()))).collect();
    object(&[
        ("engine", quoted(container.engine)),
        ("id", quoted(&container.id)),
        ("name", or_null(container.name.as_deref().map(quoted))),
        ("pid", container.pid.to_string()),
        ("processes", container.processes.to_string()),
        ("namespaces", object(&used)),
    ])
}

fn keeper(keeper: &Keeper) -> String {
    match keeper {
        Keeper::Thread { pid, tid } => object(&[("thread", tid.to_string()), ("pid", pid.to_string())]),
        Keeper::ForChildren { pid, tid } => object(&[("forChildrenOf", tid.to_string()), ("pid", pid.to_string())]),
        Keeper::Descriptor { pid, fd } => object(&[("descriptor", fd.to_string()), ("pid", pid.to_string())]),
        Keeper::Socket { pid, fd } => object(&[("socket", fd.to_string()), ("pid", pid.to_string())]),
        Keeper::Mount { path, within } => object(&[("mount", quoted(path)), ("within", reference(Some(within)))]),
    }
}

fn reference(identity: Option<&Identity>) -> String {
    or_null(identity.map(|identity| quoted(&identity.to_string())))
}

fn or_null(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "null".into(), |value| value.to_string())
}

fn object(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn array(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

/// `text` as a JSON string (RFC 8259, section 7).
fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c.is_control() => write!(json, "\\u{:04x}", c as u32).unwrap_or_default(),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}
