// SPDX-License-Identifier: Apache-2.0
//! Odd documents, on which runc, crun and youki differ, fail late, or do harm: each runs as it says, or is refused by
//! `plan` and `create` alike before anything is made. The numbers are those of the comparison that the list came from.

use insula_tests::{Bundle, Donor, Identity, Lab, Value, eventually, identities, is_insula, json, own_identities};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// How a document ends.
enum Ends {
    /// Refused, with these words.
    Refused(&'static [&'static str]),
    /// It runs.
    Runs,
}

use Ends::{Refused, Runs};

/// Namespaces to join.
struct Donors {
    /// Owned by the initial user namespace.
    plain: Donor,
    /// A user namespace with others in it.
    user: Donor,
}

impl Donors {
    fn new(lab: &Lab) -> Self {
        Self {
            plain: Donor::new(lab, &["network", "pid", "ipc", "uts", "cgroup", "time"]),
            user: Donor::new(lab, &["user", "network", "ipc", "uts", "pid"]),
        }
    }
}

type Edit = fn(&Lab, &Donors, &mut Bundle);
type Row = (&'static str, Edit, Ends);

/// Tries every row in one lab.
#[track_caller]
fn try_all(rows: &[Row]) {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    let lab = Lab::new();
    let donors = Donors::new(&lab);
    for (case, edit, ends) in rows {
        let mut bundle = lab.bundle();
        edit(&lab, &donors, &mut bundle);
        let container = lab.container(&bundle);
        let output = container.run();
        match ends {
            Runs => assert_eq!(output.code(), 0, "case {case}: {output}"),
            Refused(words) => {
                assert_eq!(output.code(), 1, "case {case}: {output}");
                let plan = lab.insula().arg("plan").arg("--bundle").arg(bundle.path()).run();
                assert_eq!(plan.code(), 1, "case {case} is planned: {plan}");
                for word in *words {
                    assert!(output.stderr.contains(word), "case {case} does not say {word:?}: {output}");
                }
                assert!(!lab.state_root().join(container.id()).exists(), "case {case} leaves a state");
            }
        }
    }
}

fn join(bundle: &mut Bundle, kind: &str, path: impl Into<PathBuf>) {
    bundle.join(kind, path.into());
}

/// For edits that are one expression.
fn done(_: &mut Bundle) {}

fn no_hostname(bundle: &mut Bundle) {
    bundle.remove("/hostname");
}

fn sysctl(bundle: &mut Bundle, name: &str, value: &str) {
    bundle.set("/linux/sysctl", json!({name: value}));
}

/// Nothing that would need a mount namespace.
fn without_mounts(bundle: &mut Bundle) {
    for pointer in ["/linux/maskedPaths", "/linux/readonlyPaths"] {
        bundle.remove(pointer);
    }
    bundle.set("/mounts", json!([])).set("/root/readonly", json!(false));
}

fn lines(count: u32) -> Value {
    (0..count).map(|n| json!({"containerID": n, "hostID": 10_000 + 2 * n, "size": 1})).collect()
}

#[test]
fn paths() {
    try_all(&[
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
        (
            "8 the same type twice",
            |_, _, b| done(b.push("/linux/namespaces", json!({"type": "pid"}))),
            Refused(&["twice"]),
        ),
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
        ("57 time", |_, d, b| join(b, "time", d.plain.path("time")), Runs),
    ]);
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
fn fields_that_would_reach_others() {
    try_all(&[
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
        (
            "24 domain name by parameter, in a user namespace",
            |_, _, b| {
                b.user_namespace();
                sysctl(b, "kernel.domainname", "x");
            },
            Runs,
        ),
        ("25 host name by parameter", |_, _, b| sysctl(b, "kernel.hostname", "x"), Refused(&["/hostname"])),
        ("27 28 no mount namespace", |_, _, b| done(b.inherit("mount")), Refused(&["/mounts", "stays behind"])),
        (
            "71 72 no namespaces at all",
            |_, _, b| {
                no_hostname(b);
                b.set("/linux/namespaces", json!([]));
            },
            Refused(&["/mounts"]),
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
    ]);
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

#[test]
fn user_namespaces() {
    try_all(&[
        ("35 no mappings", |_, _, b| done(b.namespace("user")), Refused(&["/linux/uidMappings"])),
        (
            "36 mappings without a user namespace",
            |_, _, b| done(b.set("/linux/uidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 10}]))),
            Refused(&["/linux/uidMappings", "user namespace"]),
        ),
        (
            "37 mappings of a joined one",
            |_, d, b| {
                join(b, "user", d.user.path("user"));
                b.set("/linux/uidMappings", json!([{"containerID": 0, "hostID": 1, "size": 10}]));
            },
            Refused(&["/linux/uidMappings", "has its own"]),
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
                    b.user_namespace()
                        .push("/linux/uidMappings", json!({"containerID": 5, "hostID": 900_000, "size": 1})),
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
                done(
                    b.user_namespace().set(
                        "/linux/uidMappings",
                        (0..300_u32)
                            .map(|n| json!({"containerID": 10 * n, "hostID": 1_000_000_000 + n, "size": 1}))
                            .collect(),
                    ),
                );
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
        (
            "78 offsets",
            |_, _, b| {
                done(b.user_namespace().namespace("time").set("/linux/timeOffsets", json!({"boottime": {"secs": 9}})));
            },
            Runs,
        ),
    ]);
}

/// A user namespace, new or joined, over namespaces that others own: peers fail at a mount, or at opening a path.
#[test]
fn ownership() {
    try_all(&[
        (
            "59 81 a user namespace and its network",
            |_, d, b| {
                join(b, "user", d.user.path("user"));
                join(b, "network", d.user.path("network"));
            },
            Runs,
        ),
        (
            "60 new user, network of others",
            |_, d, b| join(b.user_namespace(), "network", d.plain.path("network")),
            Runs,
        ),
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
    ]);
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

// An ordinary user.

/// Makes the lab's /etc know an ordinary user with a range of ids, and says who that is.
fn ordinary_user(lab: &Lab, range: bool) -> u32 {
    let uid = 64002;
    let passwd = fs::read_to_string("/etc/passwd").unwrap() + &format!("insula-ordinary:x:{uid}:{uid}::/tmp:/bin/sh\n");
    let ranges = if range { "insula-ordinary:400000:65536\n" } else { "" };
    for (name, text) in [("passwd", passwd.as_str()), ("subuid", ranges), ("subgid", ranges)] {
        let file = lab.write(name, text);
        let none: Option<&str> = None;
        nix::mount::mount(
            Some(&file),
            &PathBuf::from(format!("/etc/{name}")),
            none,
            nix::mount::MsFlags::MS_BIND,
            none,
        )
        .expect("cover a file of /etc");
    }
    uid
}

struct Rootless<'l> {
    lab: &'l Lab,
    uid: u32,
    root: PathBuf,
}

impl<'l> Rootless<'l> {
    fn new(lab: &'l Lab, range: bool) -> Self {
        let uid = ordinary_user(lab, range);
        let root = lab.path("rootless");
        fs::create_dir(&root).unwrap();
        nix::unistd::chown(&root, Some(uid.into()), Some(uid.into())).unwrap();
        Self { lab, uid, root }
    }

    /// The document of `spec --rootless`, in a bundle of the user's own.
    fn bundle(&self) -> Bundle {
        let mut bundle = self.lab.bundle();
        let map = json!([{"containerID": 0, "hostID": self.uid, "size": 1}]);
        bundle.namespace("user").set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
        bundle.remove("/linux/resources");
        self.lab.command("chown").args(["-R", &format!("{0}:{0}", self.uid)]).arg(bundle.path()).ok();
        bundle
    }

    fn ranges(&self, bundle: &mut Bundle, first: u32) {
        let map = json!([{"containerID": 0, "hostID": self.uid, "size": 1}, {"containerID": 1, "hostID": first, "size": 65535}]);
        bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    }

    fn run(&self, bundle: &Bundle, before: &[&str], words: &[&str]) -> insula_tests::Output {
        let ids = [format!("--reuid={}", self.uid), format!("--regid={}", self.uid), "--clear-groups".into()];
        self.lab
            .command("setpriv")
            .args(before)
            .args(ids)
            .arg(insula_tests::runtime())
            .arg("--root")
            .arg(&self.root)
            .args(words)
            .arg("--bundle")
            .arg(bundle.path())
            .arg(self.lab.fresh_id())
            .run()
    }
}

impl Drop for Rootless<'_> {
    fn drop(&mut self) {
        for name in ["passwd", "subuid", "subgid"] {
            let _ = nix::mount::umount2(&PathBuf::from(format!("/etc/{name}")), nix::mount::MntFlags::MNT_DETACH);
        }
    }
}

fn has(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[test]
fn an_ordinary_user_with_a_single_id() {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    let lab = Lab::new();
    let user = Rootless::new(&lab, false);
    let mut bundle = user.bundle();
    bundle.shell("id -u; cat /proc/self/uid_map | tr -s ' '; cat /proc/self/setgroups");
    let output = user.run(&bundle, &[], &["run"]);
    output.assert_code(0);
    assert_eq!(output.stdout, format!("0\n 0 {} 1\ndeny\n", user.uid));
    output.says(&["no cgroup"]);

    bundle.set("/process/user/additionalGids", json!([0]));
    user.run(&bundle, &[], &["run"]).fails_with(&["/process/user/additionalGids", "setgroups"]);
    bundle.remove("/process/user/additionalGids");
    bundle.set("/linux/resources", json!({"pids": {"limit": 50}}));
    user.run(&bundle, &[], &["run"]).fails_with(&["pids"]);
    bundle.remove("/linux/resources");

    bundle.inherit("network");
    user.run(&bundle, &[], &["run"]).fails_with(&["mount sysfs", "network namespace", "\"source\": \"/sys\""]);

    let mut without = user.bundle();
    without.inherit("user").remove("/linux/uidMappings").remove("/linux/gidMappings");
    user.run(&without, &[], &["run"]).fails_with(&["ordinary user", "spec --rootless"]);

    let donor = Donor::new(&lab, &["network"]);
    let mut foreign = user.bundle();
    foreign.join("network", donor.path("network"));
    user.run(&foreign, &[], &["run"]).fails_with(&["/linux/namespaces/"]);
}

#[test]
fn an_ordinary_user_with_a_range_of_ids() {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    if !has("newuidmap") {
        insula_tests::skip!("newuidmap is not installed (Debian: uidmap)");
    }
    let lab = Lab::new();
    let user = Rootless::new(&lab, true);
    let mut bundle = user.bundle();
    user.ranges(&mut bundle, 400_000);
    bundle.shell("chown 5:6 /tmp && stat -c %u:%g /tmp; id -G").set("/root/readonly", json!(false));
    bundle.set("/process/user/additionalGids", json!([7]));
    let capabilities = json!(["CAP_CHOWN"]);
    for set in ["bounding", "effective", "permitted"] {
        bundle.set(&format!("/process/capabilities/{set}"), capabilities.clone());
    }
    let output = user.run(&bundle, &[], &["run"]);
    output.assert_code(0);
    assert_eq!(output.stdout, "5:6\n0 7\n");

    user.ranges(&mut bundle, 500_000);
    user.run(&bundle, &[], &["run"]).fails_with(&["newgidmap", "/etc/subgid", "500000:65535"]);
    user.ranges(&mut bundle, 400_000);
    user.run(&bundle, &["--no-new-privs"], &["run"]).fails_with(&["no_new_privs"]);
}

#[test]
fn a_pod_of_an_ordinary_user() {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    let lab = Lab::new();
    let user = Rootless::new(&lab, false);
    let mut bundle = user.bundle();
    bundle.args(&["sleep", "60"]);
    user.run(&bundle, &[], &["run", "--detach"]).assert_code(0);
    let id = fs::read_dir(&user.root).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    let state = insula_tests::parse_json(fs::read(user.root.join(&id).join("state.json")).unwrap());
    let pid = state["init"]["pid"].as_i64().unwrap();
    for kinds in [&["user", "network", "ipc", "uts"][..], &["user", "pid", "network"]] {
        let mut member = user.bundle();
        no_hostname(&mut member);
        member.remove("/linux/uidMappings").remove("/linux/gidMappings");
        for kind in kinds {
            let (_, name) = insula_tests::KINDS.iter().find(|(known, _)| known == kind).unwrap();
            member.join(kind, format!("/proc/{pid}/ns/{name}"));
        }
        member.shell("readlink /proc/self/ns/net");
        let output = user.run(&member, &[], &["run"]);
        output.assert_code(0);
        let shared = identities(i32::try_from(pid).unwrap())["network"].inode;
        assert_eq!(output.text(), format!("net:[{shared}]"), "{kinds:?}");
    }
    // The same in other words.
    let member = user.bundle();
    let target = format!("container:{id}");
    user.run(&member, &[], &["run", "--user", &target, "--network", &target]).assert_code(0);
    let alone = user.run(&member, &[], &["run", "--network", &target]);
    alone.fails_with(&["is owned by user:[", "join the user namespace"]);
    let ids = [format!("--reuid={}", user.uid), format!("--regid={}", user.uid), "--clear-groups".into()];
    lab.command("setpriv")
        .args(ids)
        .arg(insula_tests::runtime())
        .arg("--root")
        .arg(&user.root)
        .args(["delete", "--force", &id])
        .ok();
}

/// Lets the container start containers itself.
fn nest(bundle: &mut Bundle) {
    let all: Vec<Value> = [
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_ADMIN",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_ADMIN",
        "SYS_CHROOT",
        "SYS_PTRACE",
    ]
    .iter()
    .map(|name| json!(format!("CAP_{name}")))
    .collect();
    for set in ["bounding", "effective", "permitted"] {
        bundle.set(&format!("/process/capabilities/{set}"), json!(all));
    }
    without_mask(bundle);
    bundle.tmpfs("/run", &["mode=755"]).namespace("cgroup");
}

fn without_mask(bundle: &mut Bundle) {
    bundle
        .set("/linux/maskedPaths", json!([]))
        .set("/linux/readonlyPaths", json!([]))
        .set("/root/readonly", json!(false));
    let cgroup = bundle.document()["mounts"].as_array().unwrap().iter().position(|mount| mount["type"] == "cgroup");
    if let Some(index) = cgroup {
        bundle.set(&format!("/mounts/{index}/options"), json!(["nosuid", "noexec", "nodev", "rw"]));
    }
}

#[test]
fn insula_in_insula_in_insula() {
    if !is_insula() {
        insula_tests::skip!("what runs inside is insula");
    }
    let lab = Lab::new();
    let mut inner = lab.bundle();
    inner
        .shell("echo depth three, process $$, $(hostname); readlink /proc/self/ns/pid")
        .set("/hostname", json!("three"));
    nest(&mut inner);
    let mut middle = lab.bundle();
    nest(&mut middle);
    middle.args(&["/insula", "--root", "/run/insula", "run", "--bundle", "/inner", "three"]);
    let mut outer = lab.bundle();
    nest(&mut outer);
    outer.args(&["/insula", "--root", "/run/insula", "run", "--bundle", "/middle", "two"]);
    let put = |of: &Bundle, into: &Bundle, name: &str| {
        let document = of.document().to_string();
        fs::write(of.path().join("config.json"), document).unwrap();
        fs::copy(insula_tests::runtime(), into.rootfs().join("insula")).unwrap();
        lab.command("cp").arg("-a").arg(of.path()).arg(into.rootfs().join(name)).ok();
    };
    put(&inner, &middle, "inner");
    put(&middle, &outer, "middle");
    let said = lab.output_of(&outer);
    assert!(said.contains("depth three, process 1, three"), "{said}");
}
