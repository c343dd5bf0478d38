// SPDX-License-Identifier: Apache-2.0
//! Podman as users have it, in a machine of its own: with systemd as PID 1, the whole of /run, its own storage, and an
//! ordinary user who has a systemd of their own. These run only in the virtual machine (`cargo xtask vm-test`).

use insula_tests::{populate_rootfs, runtime, skip};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard};

/// Podman's storage is the machine's: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Skips the calling test outside of the virtual machine.
macro_rules! needs_machine {
    () => {
        if std::env::var_os("INSULA_VM").is_none() {
            skip!("only in the virtual machine");
        }
    };
}

/// Who runs podman.
#[derive(Clone, Copy)]
enum Who {
    Root,
    /// An ordinary user, with a session.
    User,
}

impl Who {
    /// Where this one's containers have their root file system, of busybox. Made if it is not there.
    fn rootfs(self) -> &'static str {
        let (path, owner) = match self {
            Self::Root => ("/var/tmp/rootfs", "root"),
            Self::User => ("/home/user/rootfs", "user"),
        };
        if !Path::new(path).exists() {
            populate_rootfs(Path::new(path));
            let owned = Command::new("chown").args(["--recursive", "--no-dereference", owner, path]).status();
            assert!(owned.expect("run chown").success());
        }
        path
    }

    /// Runs a shell script in which `$podman` is podman with insula and the driver, and `$rootfs` a root file system.
    fn podman(self, driver: &str, script: &str) -> Output {
        let script = format!(
            "podman='podman --runtime {} --cgroup-manager {driver} --events-backend file'; rootfs={}; {script}",
            runtime().display(),
            self.rootfs()
        );
        let mut command = match self {
            Self::Root => Command::new("sh"),
            Self::User => Command::new("as-user"),
        };
        if matches!(self, Self::User) {
            command.arg("sh");
        }
        command.args(["-c", &script]).output().expect("run podman")
    }
}

#[track_caller]
fn stdout(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\nstdout: {stdout}\nstderr: {stderr}", output.status);
    stdout
}

fn limits(who: Who, driver: &str) {
    let _turn = turn();
    let script = "$podman run --rm --network none --memory 64m --pids-limit 33 --cpus 0.5 --rootfs $rootfs \
        sh -c 'id -u; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max'";
    assert_eq!(stdout(&who.podman(driver, script)), "0\n67108864\n33\n50000 100000\n");
}

#[test]
fn limits_by_cgroupfs() {
    needs_machine!();
    limits(Who::Root, "cgroupfs");
}

#[test]
fn limits_by_systemd() {
    needs_machine!();
    limits(Who::Root, "systemd");
}

#[test]
fn an_ordinary_users_limits() {
    needs_machine!();
    limits(Who::User, "systemd");
}

/// Without systemd, an ordinary user's containers have no limits.
#[test]
fn an_ordinary_user_by_cgroupfs() {
    needs_machine!();
    let _turn = turn();
    let script = "$podman run --rm --network none --rootfs $rootfs sh -c 'id -u; cat /proc/self/uid_map'";
    let printed = stdout(&Who::User.podman("cgroupfs", script));
    let words: Vec<_> = printed.split_whitespace().take(4).collect();
    assert_eq!(words, ["0", "0", "1000", "1"], "the user is root inside: {printed}");
}

/// A detached container with everything that podman does to one.
fn life(who: Who, driver: &str) {
    let _turn = turn();
    let script = "set -e; $podman run --detach --name life --network none --rootfs $rootfs sleep 600 >/dev/null; \
        $podman exec life echo inside; $podman pause life >/dev/null; \
        $podman inspect --format '{{.State.Status}}' life; $podman unpause life >/dev/null; \
        $podman update --memory 48m life >/dev/null; $podman exec life cat /sys/fs/cgroup/memory.max; \
        $podman kill life >/dev/null; $podman wait life; $podman rm --force --time 0 life >/dev/null; \
        $podman ps --all --quiet";
    assert_eq!(stdout(&who.podman(driver, script)), "inside\npaused\n50331648\n137\n");
}

#[test]
fn a_life_by_cgroupfs() {
    needs_machine!();
    life(Who::Root, "cgroupfs");
}

#[test]
fn a_life_by_systemd() {
    needs_machine!();
    life(Who::Root, "systemd");
}

#[test]
fn an_ordinary_users_life() {
    needs_machine!();
    life(Who::User, "systemd");
}

/// Skips the calling test where Podman gives a pod without a container of its own no limits.
macro_rules! needs_pods_limits {
    () => {
        let version = Command::new("podman").arg("--version").output().expect("run podman").stdout;
        if String::from_utf8_lossy(&version).contains("version 4.") {
            skip!("Podman 4 does not limit a pod without an infra container");
        }
    };
}

/// The pod's cgroup has the limit, and its containers are below it.
fn pod(who: Who, driver: &str) {
    let _turn = turn();
    let script = "set -e; $podman pod create --infra=false --name pod --memory 96m >/dev/null; \
        $podman run --detach --pod pod --name member --network none --rootfs $rootfs sleep 600 >/dev/null; \
        path=$(sed 's/^0:://' /proc/$($podman inspect --format '{{.State.Pid}}' member)/cgroup); \
        while test -n \"$path\"; do cat /sys/fs/cgroup$path/memory.max 2>/dev/null || true; path=${path%/*}; done; \
        $podman pod rm --force --time 0 pod >/dev/null";
    let limits = stdout(&who.podman(driver, script));
    assert!(limits.lines().any(|line| line == "100663296"), "{limits}");
}

#[test]
fn a_pod_with_limits_by_cgroupfs() {
    needs_machine!();
    needs_pods_limits!();
    pod(Who::Root, "cgroupfs");
}

#[test]
fn a_pod_with_limits_by_systemd() {
    needs_machine!();
    needs_pods_limits!();
    pod(Who::Root, "systemd");
}

#[test]
fn an_ordinary_users_pod() {
    needs_machine!();
    needs_pods_limits!();
    pod(Who::User, "systemd");
}

/// What an ordinary user's shell does first: a bundle `box` whose process sleeps, with limits. `$insula` is the runtime.
fn bundle_of_a_user() -> String {
    let insula = runtime().display();
    format!(
        "set -e; insula={insula}; cd; rm -rf box; mkdir box; cp -r {} box/rootfs; $insula spec --rootless --bundle box; \
         jq '.process.terminal = false | .process.args = [\"sleep\", \"600\"] | .linux.resources = {{ \
         memory: {{limit: 67108864}}, pids: {{limit: 33}}, cpu: {{quota: 50000, period: 100000, shares: 512, cpus: \"0\"}} }} \
         | .linux.cgroupsPath = $path' --arg path \"$path\" box/config.json > config.json; mv config.json box/; ",
        Who::User.rootfs()
    )
}

/// Looks at the container `box` in every way, and ends it.
const LIFE: &str = "directory=/sys/fs/cgroup$(sed 's/^0:://' /proc/$($insula state box | jq .pid)/cgroup); \
    echo $directory | sed 's/.*user@1000.service//'; cd $directory; \
    cat memory.max pids.max cpu.max cpu.weight cpuset.cpus; \
    $insula update --memory 48M --pids-limit 22 box; cat memory.max pids.max; \
    $insula pause box; cat cgroup.freeze; $insula resume box; cat cgroup.freeze; \
    $insula exec box echo inside; $insula ps box | grep -c 'sleep 600'; \
    $insula events --stats box | jq .data.memory.usage.limit; \
    cd; $insula delete --force box; test ! -e $directory && echo gone";

const LIVED: &str = "67108864\n33\n50000 100000\n59\n0\n50331648\n22\n1\n0\ninside\n1\n50331648\ngone\n";

/// A scope of the user's own systemd.
#[test]
fn an_ordinary_users_scope() {
    needs_machine!();
    let _turn = turn();
    let script = format!(
        "path=user.slice:insula:box; {}$insula --systemd-cgroup run --detach --bundle box box > /dev/null 2>&1 < /dev/null; {LIFE}; \
         systemctl --user show --value -p LoadState insula-box.scope",
        bundle_of_a_user()
    );
    let output = Command::new("as-user").args(["sh", "-c", &script]).output().expect("run a shell");
    assert_eq!(stdout(&output), format!("/user.slice/insula-box.scope\n{LIVED}not-found\n"));
}

/// A cgroup in the part of the tree that is delegated to the user, without systemd's doing.
#[test]
fn an_ordinary_users_delegated_cgroup() {
    needs_machine!();
    let _turn = turn();
    let script = format!(
        "path=/user.slice/user-1000.slice/user@1000.service/mine; {}$insula run --detach --bundle box box \
         > /dev/null 2>&1 < /dev/null; {LIFE}",
        bundle_of_a_user()
    );
    let words = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "sh", "-c", &script];
    let output = Command::new("as-user").args(words).output().expect("run a shell");
    assert_eq!(stdout(&output), format!("/mine\n{LIVED}"));
}

/// A containerd that has the host's systemd make the cgroups: `ctr run --runc-systemd-cgroup`.
#[test]
fn containerd_by_systemd() {
    needs_machine!();
    let _turn = turn();
    let script = format!(
        "set -e; mkdir -p /var/tmp/ctd; cd /var/tmp/ctd; \
         containerd --root /var/tmp/ctd/root --state /run/ctd --address /run/ctd.sock > log 2>&1 & \
         pid=$!; trap 'kill $pid; wait $pid' EXIT; ctr='ctr --address /run/ctd.sock'; \
         until $ctr version > /dev/null 2>&1; do sleep 0.5; done; \
         $ctr run --detach --runc-binary {} --runc-systemd-cgroup --cgroup system.slice:ctd:web --memory-limit 67108864 \
         --rootfs {} web sleep 600; \
         sed 's/^0:://' /proc/$($ctr task ls | awk '$1 == \"web\" {{print $2}}')/cgroup; \
         $ctr task exec --exec-id one web echo inside; \
         cat /sys/fs/cgroup/system.slice/ctd-web.scope/memory.max; \
         systemctl show --value -p MemoryMax ctd-web.scope; \
         $ctr task metrics web | awk '$1 == \"pids.current\" {{print $2}}'; \
         $ctr task pause web; cat /sys/fs/cgroup/system.slice/ctd-web.scope/cgroup.freeze; $ctr task resume web; \
         $ctr task kill --signal KILL web; until $ctr task delete web > /dev/null 2>&1; do sleep 0.5; done; \
         $ctr container delete web; systemctl show --value -p LoadState ctd-web.scope",
        runtime().display(),
        Who::Root.rootfs()
    );
    let output = Command::new("bash").args(["-c", &script]).output().expect("run a shell");
    assert_eq!(stdout(&output), "/system.slice/ctd-web.scope\ninside\n67108864\n67108864\n1\n1\nnot-found\n");
}
