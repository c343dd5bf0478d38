// SPDX-License-Identifier: Apache-2.0
//! Fields that would reach the host, or another container.

use super::{Refused, Row, Runs, done, join, no_hostname, sysctl, try_all, without_mounts};
use insula_tests::{Donor, Lab, is_insula, json};

pub(crate) const ROWS: &[Row] = &[
    ("12 host name without uts", |_, _, b| done(b.inherit("uts")), Refused(&["/hostname", "uts"])),
    (
        "13 domain name without uts",
        |_, _, b| {
            no_hostname(b);
            b.inherit("uts").set("/domainname", json!("x"));
        },
        Refused(&["/domainname", "uts"]),
    ),
    ("15 long host name", |_, _, b| done(b.set("/hostname", json!("h".repeat(65)))), Refused(&["/hostname", "64"])),
    (
        "16 network parameter of the host",
        |_, _, b| {
            b.inherit("network");
            sysctl(b, "net.ipv4.ip_forward", "1");
        },
        Refused(&["/linux/sysctl/net.ipv4.ip_forward", "network namespace"]),
    ),
    (
        "17 the same through a path",
        |_, _, b| {
            join(b, "network", "/proc/self/ns/net");
            sysctl(b, "net.ipv4.ip_forward", "1");
        },
        Refused(&["/linux/sysctl/net.ipv4.ip_forward"]),
    ),
    (
        // Podman makes the namespace, and has its parameters set, so.
        "~18 network parameter of a namespace that was made for it",
        |_, d, b| {
            join(b, "network", d.plain.path("network"));
            sysctl(b, "net.ipv4.ip_forward", "1");
        },
        Runs,
    ),
    (
        "19 ipc parameter of the host",
        |_, _, b| {
            b.inherit("ipc");
            sysctl(b, "kernel.shmmax", "4096");
        },
        Refused(&["/linux/sysctl/kernel.shmmax", "ipc namespace"]),
    ),
    (
        "20 the same through a path",
        |_, _, b| {
            join(b, "ipc", "/proc/self/ns/ipc");
            sysctl(b, "kernel.shmmax", "4096");
        },
        Refused(&["/linux/sysctl/kernel.shmmax"]),
    ),
    ("21 parameter of no namespace", |_, _, b| sysctl(b, "kernel.core_pattern", "x"), Refused(&["whole host"])),
    ("22 virtual memory", |_, _, b| sysctl(b, "vm.swappiness", "1"), Refused(&["whole host"])),
    ("~23 domain name by parameter", |_, _, b| sysctl(b, "kernel.domainname", "x"), Runs),
    (
        "24 domain name by parameter, in a user namespace",
        |_, _, b| {
            b.user_namespace();
            sysctl(b, "kernel.domainname", "x");
        },
        Runs,
    ),
    ("25 host name by parameter", |_, _, b| sysctl(b, "kernel.hostname", "x"), Refused(&["/hostname"])),
    ("27 28 no mount namespace", |_, _, b| done(b.inherit("mount")), Runs),
    (
        "27 no mount namespace, masked paths alone",
        |_, _, b| {
            without_mounts(b);
            b.inherit("mount").set("/linux/maskedPaths", json!(["/proc/kcore"]));
        },
        Runs,
    ),
    ("28 no mount namespace and no mounts", |_, _, b| without_mounts(b.inherit("mount")), Runs),
    (
        "71 72 no namespaces at all",
        |_, _, b| {
            no_hostname(b);
            b.set("/linux/namespaces", json!([]));
        },
        Runs,
    ),
    (
        "70 user namespace without a mount namespace",
        |_, _, b| done(b.user_namespace().inherit("mount")),
        Refused(&["/mounts"]),
    ),
    (
        "29 offsets without a time namespace",
        |_, _, b| done(b.set("/linux/timeOffsets", json!({"boottime": {"secs": 1}}))),
        Refused(&["/linux/timeOffsets", "time namespace"]),
    ),
    (
        "30 offsets of a joined one",
        |_, d, b| {
            join(b, "time", d.plain.path("time"));
            b.set("/linux/timeOffsets", json!({"boottime": {"secs": 1}}));
        },
        Refused(&["/linux/timeOffsets", "has its own"]),
    ),
    (
        "31 unknown clock",
        |_, _, b| done(b.namespace("time").set("/linux/timeOffsets", json!({"realtime": {"secs": 1}}))),
        Refused(&["/linux/timeOffsets/realtime"]),
    ),
    (
        "32 out of range",
        |_, _, b| {
            done(b.namespace("time").set("/linux/timeOffsets", json!({"monotonic": {"secs": -9_000_000_000_i64}})));
        },
        Refused(&["/linux/timeOffsets/monotonic"]),
    ),
    (
        "33 nanoseconds",
        |_, _, b| {
            done(b.namespace("time").set("/linux/timeOffsets", json!({"monotonic": {"nanosecs": 1_000_000_000}})));
        },
        Refused(&["/linux/timeOffsets/monotonic"]),
    ),
    (
        "34 offsets",
        |_, _, b| {
            done(b.namespace("time").set("/linux/timeOffsets", json!({"monotonic": {"secs": 5, "nanosecs": 7}})));
        },
        Runs,
    ),
    (
        "73 devices without a network namespace",
        |_, _, b| done(b.inherit("network").set("/linux/netDevices", json!({"eth7": {}}))),
        Refused(&["/linux/netDevices"]),
    ),
    ("~75 no devices", |_, _, b| done(b.set("/linux/netDevices", json!({}))), Runs),
    (
        "~76 no devices, the host's network",
        |_, _, b| done(b.inherit("network").set("/linux/netDevices", json!({}))),
        Runs,
    ),
];

#[test]
fn fields_that_would_reach_others() {
    try_all(ROWS);
}

#[test]
fn a_shared_name_is_not_changed() {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    // 14
    let lab = Lab::new();
    let donor = Donor::new(&lab, &["uts"]);
    let mut bundle = lab.bundle();
    bundle.join("uts", donor.path("uts")).set("/hostname", json!("renamed"));
    lab.container(&bundle).run().fails_with(&["/hostname", "renamed"]);
    let target = donor.pid().to_string();
    let name = lab.command("nsenter").args(["-t", &target, "-u", "hostname"]).ok();
    assert_ne!(name.text(), "renamed");
    bundle.set("/hostname", json!(name.text()));
    lab.container(&bundle).run().assert_code(0);
}

#[test]
fn a_missing_device_is_named() {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    // 74
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/linux/netDevices", json!({"insula-none": {}}));
    lab.container(&bundle).run().fails_with(&["/linux/netDevices/insula-none", "insula-none", "device"]);
}
