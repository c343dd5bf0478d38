// SPDX-License-Identifier: Apache-2.0
//! A user namespace, new or joined, over namespaces that others own: peers fail at a mount, or at opening a path.

use super::{Refused, Row, Runs, done, join, no_hostname, sysctl, try_all};
use insula_tests::{Donor, Identity, Lab, identities, is_insula, json, own_identities};

pub(crate) const ROWS: &[Row] = &[
    (
        "59 81 a user namespace and its network",
        |_, d, b| {
            join(b, "user", d.user.path("user"));
            join(b, "network", d.user.path("network"));
        },
        Runs,
    ),
    ("60 new user, network of others", |_, d, b| join(b.user_namespace(), "network", d.plain.path("network")), Runs),
    ("61 new user, pid of others", |_, d, b| join(b.user_namespace(), "pid", d.plain.path("pid")), Runs),
    ("62 new user, ipc of others", |_, d, b| join(b.user_namespace(), "ipc", d.plain.path("ipc")), Runs),
    ("63 new user, cgroup of others", |_, d, b| join(b.user_namespace(), "cgroup", d.plain.path("cgroup")), Runs),
    (
        "64 joined user, network and pid of others",
        |_, d, b| {
            join(b, "user", d.user.path("user"));
            join(b, "network", d.plain.path("network"));
            join(b, "pid", d.plain.path("pid"));
        },
        Runs,
    ),
    ("66 new user, time of others", |_, d, b| join(b.user_namespace(), "time", d.plain.path("time")), Runs),
    (
        "67 new user, everything of others",
        |_, d, b| {
            no_hostname(b);
            b.user_namespace();
            for kind in ["network", "pid", "ipc", "uts", "cgroup", "time"] {
                join(b, kind, d.plain.path(kind));
            }
        },
        Runs,
    ),
    (
        "67 with a time namespace of its own and offsets",
        |_, d, b| {
            b.user_namespace().namespace("time").set("/linux/timeOffsets", json!({"boottime": {"secs": 9}}));
            for kind in ["network", "pid", "ipc", "cgroup"] {
                join(b, kind, d.plain.path(kind));
            }
        },
        Runs,
    ),
    ("68 the host's network", |_, _, b| done(b.user_namespace().inherit("network")), Runs),
    ("69 the host's processes", |_, _, b| done(b.user_namespace().inherit("pid")), Runs),
    ("the host's queues", |_, _, b| done(b.user_namespace().inherit("ipc")), Runs),
    (
        "a parameter of a network that the container may not change",
        |_, d, b| {
            join(b.user_namespace(), "network", d.plain.path("network"));
            sysctl(b, "net.ipv4.ip_forward", "1");
        },
        Refused(&["/linux/sysctl/net.ipv4.ip_forward", "is not owned by the container's user namespace"]),
    ),
    (
        "a parameter of its own network beside the host's processes",
        |_, _, b| {
            b.user_namespace().inherit("pid");
            sysctl(b, "net.ipv4.ip_forward", "1");
        },
        Runs,
    ),
];

#[test]
fn ownership() {
    try_all(ROWS);
}

#[test]
fn mounts_made_early_show_the_right_namespace() {
    if !is_insula() {
        insula_tests::skip!("peers cannot mount them");
    }
    let lab = Lab::new();
    let donor = Donor::new(&lab, &["network", "pid"]);
    let mut bundle = lab.bundle();
    bundle.user_namespace().args(&["sleep", "60"]);
    bundle.join("network", donor.path("network")).join("pid", donor.path("pid"));
    let container = lab.container(&bundle).detached();
    // The donor's sleep is process 1 there, and its network has nothing but lo.
    assert_eq!(container.inside("cat /proc/1/comm").trim(), "sleep");
    assert_eq!(container.inside("ls /sys/class/net").trim(), "lo");
    assert_eq!(container.inside("cat /proc/self/uid_map | tr -s ' '").trim(), "0 100000 65536");
    let is = identities(container.pid());
    assert_eq!(is["pid"], Identity::at(&donor.path("pid")));
    assert_ne!(is["user"], own_identities()["user"]);
}
