// SPDX-License-Identifier: Apache-2.0
//! User namespaces and their maps.

use super::{Refused, Row, Runs, done, join, try_all};
use insula_tests::{Value, json};

fn lines(count: u32) -> Value {
    (0..count).map(|n| json!({"containerID": n, "hostID": 10_000 + 2 * n, "size": 1})).collect()
}

fn map(first: u32) -> Value {
    json!([{"containerID": 0, "hostID": first, "size": 65536}])
}

pub(crate) const ROWS: &[Row] = &[
    ("35 no mappings", |_, _, b| done(b.namespace("user")), Refused(&["/linux/uidMappings"])),
    (
        "36 mappings without a user namespace",
        |_, _, b| done(b.set("/linux/uidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 10}]))),
        Refused(&["/linux/uidMappings", "user namespace"]),
    ),
    (
        "37 other mappings than the joined one's",
        |_, d, b| {
            join(b, "user", d.user.path("user"));
            b.set("/linux/uidMappings", json!([{"containerID": 0, "hostID": 1, "size": 10}]));
        },
        Refused(&["/linux/uidMappings", "has its own, 0:100000:65536, and the document says 0:1:10"]),
    ),
    (
        "37 other group mappings than the joined one's",
        |_, d, b| {
            join(b, "user", d.user.path("user"));
            let (same, other) = (map(100_000), map(200_000));
            b.set("/linux/uidMappings", same).set("/linux/gidMappings", other);
        },
        Refused(&["/linux/gidMappings", "0:100000:65536", "0:200000:65536"]),
    ),
    (
        "37 the joined one's own mappings",
        |_, d, b| {
            join(b, "user", d.user.path("user"));
            b.set("/linux/uidMappings", map(100_000)).set("/linux/gidMappings", map(100_000));
        },
        Runs,
    ),
    (
        "37 the joined one's own mappings, and a user that they do not have",
        |_, d, b| {
            join(b, "user", d.user.path("user"));
            b.set("/linux/uidMappings", map(100_000)).set("/process/user/uid", json!(70_000));
        },
        Refused(&["/process/user/uid", "70000"]),
    ),
    (
        "38 no group mappings",
        |_, _, b| {
            b.user_namespace().remove("/linux/gidMappings");
        },
        Refused(&["/linux/gidMappings"]),
    ),
    (
        "39 no root",
        |_, _, b| done(b.user_namespace().set("/linux/uidMappings/0/containerID", json!(1))),
        Refused(&["/linux/uidMappings", "id 0"]),
    ),
    (
        "40 overlap",
        |_, _, b| {
            done(
                b.user_namespace().push("/linux/uidMappings", json!({"containerID": 5, "hostID": 900_000, "size": 1})),
            );
        },
        Refused(&["/linux/uidMappings/1"]),
    ),
    (
        "41 size 0",
        |_, _, b| done(b.user_namespace().set("/linux/uidMappings/0/size", json!(0))),
        Refused(&["/linux/uidMappings/0/size"]),
    ),
    (
        "42 a map of more than a page",
        |_, _, b| {
            done(b.user_namespace().set(
                "/linux/uidMappings",
                (0..300_u32).map(|n| json!({"containerID": 10 * n, "hostID": 1_000_000_000 + n, "size": 1})).collect(),
            ));
        },
        Refused(&["/linux/uidMappings", "4096"]),
    ),
    ("42 341 lines", |_, _, b| done(b.user_namespace().set("/linux/uidMappings", lines(341))), Refused(&["340"])),
    ("42 340 lines", |_, _, b| done(b.user_namespace().set("/linux/uidMappings", lines(340))), Runs),
    (
        "43 79 user not mapped",
        |_, _, b| done(b.user_namespace().set("/process/user/uid", json!(70_000))),
        Refused(&["/process/user/uid", "70000"]),
    ),
    (
        "43 group not mapped",
        |_, _, b| done(b.user_namespace().set("/process/user/additionalGids", json!([70_000]))),
        Refused(&["/process/user/additionalGids/0"]),
    ),
    ("65 host name of the host's uts", |_, _, b| done(b.user_namespace().inherit("uts")), Refused(&["/hostname"])),
    ("~77 a time namespace without offsets", |_, _, b| done(b.user_namespace().namespace("time")), Runs),
    (
        "78 offsets",
        |_, _, b| {
            done(b.user_namespace().namespace("time").set("/linux/timeOffsets", json!({"boottime": {"secs": 9}})));
        },
        Runs,
    ),
    (
        "~80 a mapped user and group",
        |_, _, b| {
            done(b.user_namespace().set("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": [10]})));
        },
        Runs,
    ),
];

#[test]
fn user_namespaces() {
    try_all(ROWS);
}
