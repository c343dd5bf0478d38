// SPDX-License-Identifier: Apache-2.0
//! What a `path` leads to, and what the list of namespaces may say.

use super::{Refused, Row, Runs, done, join, try_all, without_mounts};
use insula_tests::{Donor, Identity, Lab, eventually, identities, is_insula, json};
use std::fs;
use std::process::Command;

pub(crate) const ROWS: &[Row] = &[
    (
        "1 wrong kind",
        |_, d, b| join(b, "network", d.plain.path("uts")),
        Refused(&["uts namespace, not network", "/path"]),
    ),
    ("2 missing", |_, _, b| join(b, "network", "/nosuch"), Refused(&["/nosuch", "/linux/namespaces/"])),
    (
        "3 process 0",
        |_, _, b| join(b, "network", "/proc/0/ns/net"),
        Refused(&["was not running when the config was made"]),
    ),
    ("4 file", |l, _, b| join(b, "network", l.write("file", "")), Refused(&["plain file", "bound there is gone"])),
    ("5 directory", |_, _, b| join(b, "network", "/etc"), Refused(&["directory"])),
    ("6 relative", |_, _, b| join(b, "network", "proc/self/ns/net"), Refused(&["absolute"])),
    // COMPAT(runc): as if there were none.
    ("7 empty", |_, _, b| join(b, "network", ""), Runs),
    ("8 the same type twice", |_, _, b| done(b.push("/linux/namespaces", json!({"type": "pid"}))), Refused(&["twice"])),
    (
        "9 new and joined",
        |_, d, b| {
            done(b.push(
                "/linux/namespaces",
                json!({"type": "network", "path": d.plain.path("network").display().to_string()}),
            ));
        },
        Refused(&["twice"]),
    ),
    ("10 unknown type", |_, _, b| done(b.push("/linux/namespaces", json!({"type": "bogus"}))), Refused(&["bogus"])),
    ("11 short name", |_, _, b| done(b.push("/linux/namespaces", json!({"type": "net"}))), Refused(&["network"])),
    ("44 own network by path", |_, _, b| join(b, "network", "/proc/self/ns/net"), Runs),
    ("45 own user namespace by path", |_, _, b| join(b, "user", "/proc/self/ns/user"), Runs),
    (
        "46 dead pid namespace",
        |l, _, b| {
            let donor = Donor::new(l, &["pid"]);
            let pin = l.pin(&donor.path("pid"), "dead");
            let stat = format!("/proc/{}/stat", donor.pid());
            drop(donor);
            // A process that was killed is not dead at once.
            eventually("the end of init", || {
                fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")).then_some(())
            });
            join(b, "pid", pin);
        },
        Refused(&["its init has exited"]),
    ),
    ("47 bind mount", |l, d, b| join(b, "network", l.pin(&d.plain.path("network"), "bound")), Runs),
    (
        "48 a file whose namespace is gone",
        |l, d, b| {
            let pin = l.pin(&d.plain.path("network"), "stale");
            nix::mount::umount2(&pin, nix::mount::MntFlags::MNT_DETACH).unwrap();
            join(b, "network", pin);
        },
        Refused(&["plain file", "deleted", "/linux/namespaces/"]),
    ),
    (
        "49 symbolic link",
        |l, d, b| {
            std::os::unix::fs::symlink(d.plain.path("network"), l.path("link")).unwrap();
            join(b, "network", l.path("link"));
        },
        Runs,
    ),
    ("50 comma", |l, d, b| join(b, "network", l.pin(&d.plain.path("network"), "a,b")), Runs),
    ("51 colon", |l, d, b| join(b, "network", l.pin(&d.plain.path("network"), "a:b")), Runs),
    ("53 pid", |_, d, b| join(b, "pid", d.plain.path("pid")), Runs),
    (
        "~54 uts",
        |_, d, b| {
            super::no_hostname(b);
            join(b, "uts", d.plain.path("uts"));
        },
        Runs,
    ),
    ("55 the runtime's own mount namespace by path", |_, _, b| join(b, "mount", "/proc/self/ns/mnt"), Runs),
    ("~56 cgroup", |_, d, b| join(b, "cgroup", d.plain.path("cgroup")), Runs),
    ("57 time", |_, d, b| join(b, "time", d.plain.path("time")), Runs),
    ("~58 user", |_, d, b| join(b, "user", d.user.path("user")), Runs),
];

#[test]
fn paths() {
    try_all(ROWS);
}

#[test]
fn a_zombie_has_left_its_namespaces() {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    let lab = Lab::new();
    // 52
    let mut zombie = Command::new("true").spawn().unwrap();
    let stat = format!("/proc/{}/stat", zombie.id());
    eventually("the zombie", || fs::read_to_string(&stat).unwrap().contains(") Z ").then_some(()));
    let mut bundle = lab.bundle();
    bundle.join("network", format!("/proc/{}/ns/net", zombie.id()));
    lab.container(&bundle).create().fails_with(&["zombie"]);
    zombie.wait().unwrap();
}

#[test]
fn the_members_of_a_joined_mount_namespace_keep_their_root() {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    // 55
    let lab = Lab::new();
    let donor = Donor::new(&lab, &["mount"]);
    let mounts = || fs::read_to_string(format!("/proc/{}/mountinfo", donor.pid())).unwrap();
    let before = mounts();
    let mut bundle = lab.bundle();
    bundle.join("mount", donor.path("mount"));
    lab.container(&bundle).run().fails_with(&["/mounts", "another's"]);
    without_mounts(&mut bundle);
    bundle.args(&["sleep", "60"]).set("/process/cwd", json!("/"));
    let container = lab.container(&bundle).detached();
    assert_eq!(identities(container.pid())["mount"], Identity::at(&donor.path("mount")));
    assert_eq!(mounts(), before);
}
