// SPDX-License-Identifier: Apache-2.0
//! An ordinary user, with a range of ids and without.

use super::no_hostname;
use insula_tests::{Bundle, Donor, Lab, identities, is_insula, json};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

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

    /// insula as the user, with the user's root of states.
    fn command(&self, words: &[&str]) -> insula_tests::Output {
        let ids = [format!("--reuid={}", self.uid), format!("--regid={}", self.uid), "--clear-groups".into()];
        let command = self.lab.command("setpriv").args(ids).arg(insula_tests::runtime());
        command.arg("--root").arg(&self.root).args(words).run()
    }

    /// The id of a new container that runs.
    fn start(&self, bundle: &Bundle) -> String {
        let before = self.ids();
        self.run(bundle, &[], &["run", "--detach"]).assert_code(0);
        self.ids().into_iter().find(|id| !before.contains(id)).expect("a new container")
    }

    fn ids(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.root).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn pid(&self, id: &str) -> i64 {
        let state = insula_tests::parse_json(fs::read(self.root.join(id).join("state.json")).unwrap());
        state["init"]["pid"].as_i64().unwrap()
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
    // Nothing is lost with the cgroup here, and what is printed besides would be taken for the program's.
    assert_eq!(output.stderr, "");
    user.run(&bundle, &[], &["--debug", "run"]).says(&["no cgroup"]);

    bundle.set("/process/user/additionalGids", json!([0]));
    user.run(&bundle, &[], &["run"]).fails_with(&["/process/user/additionalGids", "setgroups"]);
    bundle.remove("/process/user/additionalGids");
    bundle.set("/linux/resources", json!({"pids": {"limit": 50}}));
    user.run(&bundle, &[], &["run"]).fails_with(&["pids"]);
    bundle.remove("/linux/resources");
    bundle.set("/linux/cgroupsPath", json!("/insula-ordinary"));
    user.run(&bundle, &[], &["run"]).fails_with(&["/linux/cgroupsPath", "insula-ordinary"]);
    bundle.remove("/linux/cgroupsPath");

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
    assert_eq!(output.stderr, "");

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
    // Without a cgroup nobody can tell whose the processes in it are, and verify says so.
    let verdicts = lab
        .command("setpriv")
        .args(ids.clone())
        .arg(insula_tests::runtime())
        .arg("--root")
        .arg(&user.root)
        .args(["verify", "--format", "json", &id])
        .ok()
        .json();
    assert_eq!(verdicts[0]["notCompared"], json!(["member"]), "{verdicts}");
    lab.command("setpriv")
        .args(ids)
        .arg(insula_tests::runtime())
        .arg("--root")
        .arg(&user.root)
        .args(["delete", "--force", &id])
        .ok();
}

#[test]
fn processes_that_can_outlive_a_container_without_a_cgroup_are_worth_a_warning() {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    let lab = Lab::new();
    let user = Rootless::new(&lab, false);
    let mut bundle = user.bundle();
    bundle.args(&["true"]).inherit("pid");
    // It would show the host's processes, over which the container's user has no rights.
    let proc = format!("/mounts/{}", bundle.mount_index("/proc"));
    let host = json!({"destination": "/proc", "type": "none", "source": "/proc", "options": ["rbind", "nosuid", "nodev", "noexec"]});
    bundle.set(&proc, host);
    let output = user.run(&bundle, &[], &["run"]);
    output.assert_code(0);
    output.says(&["no cgroup", "no pid namespace", "strongly discouraged"]);
}

/// Where the container has a cgroup mount and no cgroup namespace, it shows the cgroups that its process is in: the caller's,
/// if it could not be given its own.
#[test]
fn an_ordinary_user_sees_the_cgroups_that_the_process_stays_in() {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    let lab = Lab::new();
    if insula_tests::cgroups::is_unified() {
        insula_tests::skip!("version 2's tree is bound whole");
    }
    let user = Rootless::new(&lab, false);
    let mut bundle = user.bundle();
    bundle.inherit("cgroup");
    bundle.mount_index("/sys/fs/cgroup");
    bundle.shell("grep -cx $$ /sys/fs/cgroup/pids/tasks; : > /sys/fs/cgroup/pids/tasks");
    let output = user.run(&bundle, &[], &["run"]);
    output.says(&["Read-only file system"]);
    assert_eq!(output.stdout.lines().next(), Some("1"), "{output:?}");
}

/// exec into a user namespace that was joined, in which setgroups(2) is forbidden; and kill where there is no cgroup.
#[test]
fn processes_in_another_containers_user_namespace() {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    let lab = Lab::new();
    let user = Rootless::new(&lab, false);
    let mut bundle = user.bundle();
    bundle.args(&["sleep", "60"]);
    let id = user.start(&bundle);
    let mut member = user.bundle();
    no_hostname(&mut member);
    member.args(&["sleep", "60"]).remove("/linux/uidMappings").remove("/linux/gidMappings");
    member.join("user", format!("/proc/{}/ns/user", user.pid(&id)));
    let other = user.start(&member);
    let output = user.command(&["exec", &other, "cat", "/proc/self/setgroups"]);
    output.assert_code(0);
    assert_eq!(output.text(), "deny");

    let stats = user.command(&["events", "--stats", &other]);
    stats.assert_code(0);
    stats.says(&["has no cgroup", "all figures are zero"]);
    assert_eq!(insula_tests::parse_json(&stats.stdout)["data"]["pids"]["current"].as_u64().unwrap_or(0), 0);
    user.command(&["events", &other]).fails_with(&["no cgroup"]);
    user.command(&["kill", "--all", &other, "0"]).fails_with(&["no cgroup", "without --all"]);
    user.command(&["kill", "--all", &other, "KILL"]).assert_code(0);
    insula_tests::eventually("the end", || {
        user.command(&["kill", &other, "0"]).stderr.contains("not running").then_some(())
    });
    user.command(&["kill", "--all", &other, "0"]).assert_code(0);
    for id in [&other, &id] {
        user.command(&["delete", "--force", id]).assert_code(0);
    }
}

#[test]
fn a_missing_helper_is_named() {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    let lab = Lab::new();
    let user = Rootless::new(&lab, true);
    let mut bundle = user.bundle();
    user.ranges(&mut bundle, 400_000);
    // An overlay whose upper layer says that the programs are gone (overlayfs, "whiteouts").
    for part in ["upper", "work"] {
        fs::create_dir(lab.path(part)).unwrap();
    }
    for name in ["newuidmap", "newgidmap"] {
        lab.command("mknod").arg(lab.path("upper").join(name)).args(["c", "0", "0"]).ok();
    }
    let layers =
        format!("lowerdir=/usr/bin,upperdir={},workdir={}", lab.path("upper").display(), lab.path("work").display());
    let (flags, kind) = (nix::mount::MsFlags::empty(), Some("overlay"));
    nix::mount::mount(kind, "/usr/bin", kind, flags, Some(layers.as_str())).expect("mount the overlay");
    let output = user.run(&bundle, &[], &["run"]);
    nix::mount::umount2("/usr/bin", nix::mount::MntFlags::MNT_DETACH).unwrap();
    let single = format!("map the single id {}", user.uid);
    output.fails_with(&["/linux/gidMappings", "newgidmap is not installed", "uidmap", &single]);
}
