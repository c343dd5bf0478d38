// SPDX-License-Identifier: Apache-2.0
//! Annotations that become properties of systemd's units, and the names of these units.

use crate::check;
use insula_cgroup::{Driver, Group, Layout};
use insula_dbus::{Call, Message, text};
use insula_spec::Resources;

const PREFIX: &str = "org.systemd.property.";
const CALL: Call<'_> = Call { destination: "a.b", path: "/", interface: "a.b", member: "C" };

/// A line is an id, the next a `cgroupsPath`, each further one an annotation, `key=value`; keys also with the prefix
/// that makes them properties.
pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(words) = core::str::from_utf8(bytes) else { return };
    value(words);
    let mut lines = words.lines();
    let (id, path) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let pairs: Vec<_> = lines.map(|line| line.split_once('=').unwrap_or((line, ""))).collect();
    for pair in &pairs {
        value(pair.1);
    }
    let prefixed: Vec<_> = pairs.iter().map(|(key, value)| (format!("{PREFIX}{key}"), *value)).collect();
    let mut annotations = pairs.iter().copied().chain(prefixed.iter().map(|(key, value)| (&**key, *value)));
    // On a host without cgroups all is refused in the end, but after everything was read.
    let driver = Driver::Systemd(&mut annotations);
    let group = Group::plan_by(driver, Layout::default(), id, path, &Resources::default(), false);
    check(&group.expect_err("there is no hierarchy"));
}

/// What was read is what the bus gets.
fn value(words: &str) {
    let Ok(value) = text::parse(words) else { return };
    let body = [value.variant()];
    let sent = CALL.encode(1, &body);
    assert_eq!(Message::decode(&sent).map(|message| message.body).as_deref(), Some(&body[..]), "{words:?}");
}
