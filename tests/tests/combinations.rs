// SPDX-License-Identifier: Apache-2.0
//! Random combinations of the eight kinds, each absent, new or joined from one of several donors with different
//! owners, as root, as an ordinary user with a single id and as one with ranges of ids. There are two outcomes: the
//! container is in exactly the namespaces that its document says, with the owners that follow from it, or `plan` refuses
//! the document and nothing is made. Never a third. Some documents have a flaw put into them, for which they must be
//! refused, whoever asks.
//!
//! The numbers come from a seed, so that a failure can be replayed: `INSULA_SEED=7 INSULA_ONLY=123`.

use insula_tests::{Identities, KINDS, Lab, Value, eventually, identities, is_insula, json, own_identities, owner_at};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Per test; two run as root, one as an ordinary user.
const ROUNDS: u64 = 1500;

/// Of the ordinary user with ranges of ids, for whom two programs are started each time.
const RANGED_ROUNDS: u64 = 400;

/// Ordinary users of this test: without a range in /etc/subuid, so with a map of a single id, and with one.
const USER: u32 = 64001;
const RANGED: u32 = 64003;

/// Where the ranges of [`RANGED`] begin.
const RANGE: u32 = 500_000;

/// xorshift64* (Vigna 2016).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    fn one_in(&mut self, limit: u64) -> bool {
        self.below(limit) == 0
    }
}

/// A sleeping process with namespaces of its own.
struct Donor {
    pid: i32,
    namespaces: Identities,
    child: std::process::Child,
}

impl Donor {
    /// `prefix` and then unshare(1) with all kinds but those of `without`; `map` is written for a new user namespace.
    fn new(lab: &Lab, prefix: &[String], flags: &[&str], map: Option<&str>) -> Self {
        let words = prefix.iter().map(String::as_str).chain(["unshare", "--fork", "--kill-child"]);
        let words: Vec<&str> = words.chain(flags.iter().copied()).chain(["sleep", "infinity"]).collect();
        let mut child =
            Command::new(words[0]).args(&words[1..]).env("INSULA_TEST", lab.name()).spawn().expect("start a donor");
        let parent = child.id();
        let pid = eventually("the donor", || {
            assert!(child.try_wait().expect("wait").is_none(), "the donor {words:?} ended");
            descendant(parent)
                .filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep"))
        });
        if let Some(map) = map {
            for file in ["uid_map", "gid_map"] {
                fs::write(format!("/proc/{pid}/{file}"), map).expect("map the donor's ids");
            }
        }
        Self { pid, namespaces: identities(pid), child }
    }
}

impl Drop for Donor {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), nix::sys::signal::Signal::SIGKILL);
        self.child.kill().expect("end the donor");
        self.child.wait().expect("reap the donor");
    }
}

/// The last in the line of first children.
fn descendant(mut pid: u32) -> Option<i32> {
    let mut last = None;
    while let Some(child) =
        fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?.split_whitespace().next()
    {
        pid = child.parse().ok()?;
        last = i32::try_from(pid).ok();
    }
    last
}

const ALL: [&str; 7] = ["--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--time"];

/// What is wanted of a kind.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Want {
    Absent,
    New,
    Join(usize),
}

struct Bench<'l> {
    lab: &'l Lab,
    donors: Vec<Donor>,
    own: Identities,
    bundle: PathBuf,
    root: PathBuf,
    user: Option<u32>,
    document: Value,
    created: u32,
    refused: u32,
    flawed: u32,
}

/// Puts a flaw into the document, if it can have this one: something for which it must be refused.
fn flaw(document: &mut Value, number: u64, want: &dyn Fn(&str) -> Want, donor: &dyn Fn(usize, &str) -> String) -> bool {
    let joined = |kind: &str| matches!(want(kind), Want::Join(_));
    let (applies, pointer, value) = match number {
        0 => (want("user") == Want::Absent, "/linux/uidMappings", json!([{"containerID": 0, "hostID": 1, "size": 9}])),
        1 => (joined("user"), "/linux/uidMappings", json!([{"containerID": 0, "hostID": 7, "size": 9}])),
        2 => (want("uts") == Want::Absent, "/hostname", json!("flawed")),
        3 => (want("time") != Want::New, "/linux/timeOffsets", json!({"boottime": {"secs": 5}})),
        4 => (want("network") == Want::Absent, "/linux/sysctl", json!({"net.ipv4.ip_forward": "1"})),
        5 => (want("ipc") == Want::Absent, "/linux/sysctl", json!({"kernel.shmmax": "4096"})),
        6 => {
            let tmpfs = json!([{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}]);
            // In the caller's own nobody mounts from inside another user namespace.
            let locked = want("mount") == Want::Absent && want("user") != Want::Absent;
            (joined("mount") || locked, "/mounts", tmpfs)
        }
        7 => (true, "/linux/namespaces/-", json!({"type": "uts", "path": donor(0, "ipc")})),
        8 => (want("pid") != Want::Absent, "/linux/namespaces/-", json!({"type": "pid"})),
        // Owned by nobody that a new user namespace could answer for.
        _ => {
            let foreign = want("user") == Want::New && joined("network");
            (foreign, "/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}))
        }
    };
    if applies {
        match pointer.strip_suffix("/-") {
            Some(list) => document.pointer_mut(list).unwrap().as_array_mut().unwrap().push(value),
            None => {
                let (parent, key) = pointer.rsplit_once('/').unwrap();
                document.pointer_mut(parent).unwrap()[key] = value;
            }
        }
    }
    applies
}

/// How many flaws there are.
const FLAWS: u64 = 10;

/// Makes the lab's /etc know the user with ranges of ids.
fn grant_ranges(lab: &Lab) {
    let passwd =
        fs::read_to_string("/etc/passwd").unwrap() + &format!("insula-ranged:x:{RANGED}:{RANGED}::/tmp:/bin/sh\n");
    let ranges = format!("insula-ranged:{RANGE}:65536\n");
    for (name, text) in [("passwd", passwd.as_str()), ("subuid", &ranges), ("subgid", &ranges)] {
        let (file, none) = (lab.write(name, text), None::<&str>);
        let target = format!("/etc/{name}");
        nix::mount::mount(Some(&file), target.as_str(), none, nix::mount::MsFlags::MS_BIND, none)
            .expect("cover a file");
    }
}

fn take_ranges() {
    for name in ["passwd", "subuid", "subgid"] {
        nix::mount::umount2(format!("/etc/{name}").as_str(), nix::mount::MntFlags::MNT_DETACH).expect("uncover a file");
    }
}

impl<'l> Bench<'l> {
    fn new(lab: &'l Lab, user: Option<u32>) -> Self {
        let mut bundle = lab.bundle();
        bundle.args(&["sleep", "60"]).set("/process/cwd", json!("/")).remove("/hostname");
        let mut document = bundle.document().clone();
        for pointer in ["maskedPaths", "readonlyPaths", "resources"] {
            document["linux"].as_object_mut().unwrap().remove(pointer);
        }
        document["root"]["readonly"] = json!(false);
        // Not everybody may make it there.
        fs::create_dir_all(bundle.rootfs().join("sys/fs/cgroup")).unwrap();
        let root = lab.path("states");
        fs::create_dir(&root).unwrap();
        if let Some(user) = user {
            for path in [&root, &bundle.path().to_owned()] {
                nix::unistd::chown(path, Some(user.into()), Some(user.into())).unwrap();
            }
        }
        let mut donors = vec![
            Donor::new(lab, &[], &ALL, None),
            Donor::new(lab, &[], &[&["--user"][..], &ALL].concat(), Some("0 100000 65536")),
            Donor::new(lab, &[], &[&["--user"][..], &ALL].concat(), Some("0 200000 65536")),
        ];
        let enter = ["nsenter", "-U", "-t", &donors[1].pid.to_string()].map(String::from);
        donors.push(Donor::new(lab, &enter, &[&["--user", "--map-root-user"][..], &ALL].concat(), None));
        if let Some(user) = user {
            let become_user = [
                "setpriv".to_owned(),
                format!("--reuid={user}"),
                format!("--regid={user}"),
                "--clear-groups".to_owned(),
            ];
            donors.push(Donor::new(lab, &become_user, &[&["--user", "--map-root-user"][..], &ALL].concat(), None));
        }
        let (own, path) = (own_identities(), bundle.path().to_owned());
        Self { lab, donors, own, bundle: path, root, user, document, created: 0, refused: 0, flawed: 0 }
    }

    fn wants(&self, random: &mut Random) -> Vec<(&'static str, Want)> {
        // Sets joined at random from everybody are mostly impossible for an ordinary user, so donors are mostly one.
        let last = self.donors.len() as u64 - 1;
        let favourite = if self.user.is_some() && !random.one_in(3) { last } else { random.below(last + 1) } as usize;
        let faithful = !random.one_in(3);
        let one = |kind: &'static str, random: &mut Random| {
            let want = match random.below(10) {
                0..3 => Want::Absent,
                3..7 => Want::New,
                _ if faithful => Want::Join(favourite),
                _ => Want::Join(random.below(self.donors.len() as u64) as usize),
            };
            match want {
                // Its user namespace is the initial one.
                Want::Join(0) if kind == "user" => Want::Absent,
                // Without one nothing is possible to an ordinary user.
                Want::Absent if kind == "user" && self.user.is_some() && !random.one_in(4) => Want::New,
                want => want,
            }
        };
        KINDS.iter().map(|(kind, _)| (*kind, one(kind, random))).collect()
    }

    /// Writes the document; whether it has a flaw.
    fn write(&self, wants: &[(&'static str, Want)], random: &mut Random) -> bool {
        let mut document = self.document.clone();
        let want = |kind: &str| wants.iter().find(|(known, _)| *known == kind).expect("a kind").1;
        let mut entries: Vec<Value> = Vec::new();
        for (kind, want) in wants {
            match want {
                Want::Absent => {}
                Want::New => entries.push(json!({"type": kind})),
                Want::Join(donor) => {
                    let (_, name) = KINDS.iter().find(|(known, _)| known == kind).unwrap();
                    entries.push(json!({"type": kind, "path": format!("/proc/{}/ns/{name}", self.donors[*donor].pid)}));
                }
            }
        }
        // The order in the document has no meaning.
        for index in (1..entries.len()).rev() {
            entries.swap(index, random.below(index as u64 + 1) as usize);
        }
        document["linux"]["namespaces"] = json!(entries);
        if want("user") == Want::New {
            let map = match self.user {
                Some(RANGED) if !random.one_in(4) => {
                    json!([{"containerID": 0, "hostID": RANGED, "size": 1},
                        {"containerID": 1, "hostID": RANGE, "size": 65535}])
                }
                Some(user) => json!([{"containerID": 0, "hostID": user, "size": 1}]),
                None => json!([{"containerID": 0, "hostID": 300_000, "size": 65536}]),
            };
            document["linux"]["uidMappings"] = map.clone();
            document["linux"]["gidMappings"] = map;
        }
        if want("time") == Want::New && random.one_in(2) {
            document["linux"]["timeOffsets"] = json!({"monotonic": {"secs": 1000, "nanosecs": 5}});
        }
        let mut mounts =
            vec![json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]})];
        for (kind, path) in
            [("proc", "/proc"), ("sysfs", "/sys"), ("mqueue", "/dev/mqueue"), ("cgroup", "/sys/fs/cgroup")]
        {
            if random.one_in(3) {
                mounts.push(json!({"destination": path, "type": kind, "source": kind}));
            }
        }
        document["mounts"] = if want("mount") == Want::New { json!(mounts) } else { json!([]) };
        let donor = |index: usize, name: &str| format!("/proc/{}/ns/{name}", self.donors[index].pid);
        let flawed = random.one_in(8) && flaw(&mut document, random.below(FLAWS), &want, &donor);
        fs::write(self.bundle.join("config.json"), document.to_string()).unwrap();
        flawed
    }

    fn insula(&self, words: &[&str]) -> (bool, String) {
        let errors = self.lab.path("errors");
        let mut command = match self.user {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()]);
                command.arg(insula_tests::runtime());
                command
            }
            None => Command::new(insula_tests::runtime()),
        };
        // Not a pipe: the container would keep it open.
        let file = fs::File::create(&errors).unwrap();
        command.arg("--root").arg(&self.root).args(words).env("INSULA_TEST", self.lab.name());
        let status =
            command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(file).status();
        (status.expect("start insula").success(), fs::read_to_string(&errors).unwrap())
    }

    fn round(&mut self, number: u64, random: &mut Random) {
        let wants = self.wants(random);
        let flawed = self.write(&wants, random);
        let (id, bundle) = (format!("{}-{number}", self.lab.name()), self.bundle.display().to_string());
        let (created, words) = self.insula(&["create", "--bundle", &bundle, &id]);
        let about = || {
            format!(
                "round {number}: {wants:?}\n{words}\n{}",
                fs::read_to_string(self.bundle.join("config.json")).unwrap()
            )
        };
        if !created {
            let (planned, refusal) = self.insula(&["plan", "--bundle", &bundle]);
            assert!(!planned, "a plan that cannot be carried out, {}", about());
            assert_eq!(reason(&refusal), reason(&words), "create failed in another way than plan, {}", about());
            assert!(!self.root.join(&id).exists(), "something was left, {}", about());
            self.refused += 1;
            self.flawed += u32::from(flawed);
            return;
        }
        assert!(!flawed, "a flaw went through, {}", about());
        self.check(&id, &wants, &about);
        if random.one_in(8) {
            let (started, words) = self.insula(&["start", &id]);
            assert!(started, "start: {words} {}", about());
            self.check(&id, &wants, &about);
        }
        let (deleted, words) = self.insula(&["delete", "--force", &id]);
        assert!(deleted, "delete: {words} {}", about());
        self.created += 1;
    }

    fn check(&self, id: &str, wants: &[(&'static str, Want)], about: &dyn Fn() -> String) {
        let state = fs::read_to_string(self.root.join(id).join("state.json")).expect("a state");
        let pid = insula_tests::parse_json(&state)["init"]["pid"].as_i64().expect("a pid");
        let is = identities(i32::try_from(pid).unwrap());
        let owner = |kind: &str| {
            let (_, name) = KINDS.iter().find(|(known, _)| *known == kind).unwrap();
            owner_at(Path::new(&format!("/proc/{pid}/ns/{name}")))
        };
        for (kind, want) in wants {
            match want {
                Want::Absent => assert_eq!(is[kind], self.own[kind], "{kind} is not the own, {}", about()),
                Want::Join(donor) => {
                    assert_eq!(
                        is[kind],
                        self.donors[*donor].namespaces[kind],
                        "{kind} is not the donor's, {}",
                        about()
                    );
                }
                Want::New => {
                    let others = self.donors.iter().map(|donor| donor.namespaces[kind]).chain([self.own[kind]]);
                    assert!(others.into_iter().all(|other| other != is[kind]), "{kind} is not new, {}", about());
                    // What is made is owned by the user namespace that the container is in, and that by the caller's.
                    let wanted = if *kind == "user" { self.own["user"] } else { is["user"] };
                    assert_eq!(owner(kind), Some(wanted), "{kind} has another owner, {}", about());
                }
            }
        }
    }
}

/// The message without its time.
fn reason(words: &str) -> &str {
    let fatal = words.lines().find(|line| line.contains("level=error")).unwrap_or(words);
    fatal.split_once("msg=").map_or(fatal, |(_, message)| message)
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn run(seed: u64, user: Option<u32>) {
    if !is_insula() {
        insula_tests::skip!("peers have no plan to compare with");
    }
    assert!(Path::new("/proc/self/ns/time").exists(), "time namespaces are needed (Linux 5.6)");
    let lab = Lab::new();
    let seed = number_of("INSULA_SEED").unwrap_or(seed);
    let only = number_of("INSULA_ONLY");
    if user == Some(RANGED) {
        grant_ranges(&lab);
    }
    let mut bench = Bench::new(&lab, user);
    let start = Instant::now();
    for number in 0..if user == Some(RANGED) { RANGED_ROUNDS } else { ROUNDS } {
        // Each round has its own numbers, so that one can be replayed alone.
        let mut random = Random::new(seed << 32 | number);
        if only.is_none_or(|only| only == number) {
            bench.round(number, &mut random);
        }
    }
    if user == Some(RANGED) {
        take_ranges();
    }
    let Bench { created, refused, flawed, .. } = bench;
    let took = start.elapsed();
    eprintln!("seed {seed}: {created} created, {refused} refused by the plan, {flawed} of them for a flaw, {took:?}");
    if only.is_some() {
        return;
    }
    match user {
        // Root has rights over every donor, and what a user namespace costs is made good by early mounts.
        None => assert_eq!(refused, flawed, "root was refused without a flaw"),
        Some(RANGED) => assert!(created > 50 && refused > 50, "hardly tried: {created} created, {refused} refused"),
        Some(_) => assert!(created > 200 && refused > 200, "hardly tried: {created} created, {refused} refused"),
    }
    assert!(flawed > 10, "hardly a flaw was tried: {flawed}");
}

#[test]
fn as_root() {
    run(1, None);
}

#[test]
fn as_root_too() {
    run(2, None);
}

#[test]
fn as_an_ordinary_user() {
    run(3, Some(USER));
}

#[test]
fn as_an_ordinary_user_with_ranges_of_ids() {
    if !Path::new("/usr/bin/newuidmap").exists() {
        insula_tests::skip!("newuidmap is not installed (Debian: uidmap)");
    }
    run(4, Some(RANGED));
}
