// SPDX-License-Identifier: Apache-2.0
//! Attacks by processes: watchers of whoever enters, programs that are the runtime, members that will not die, and
//! commands that race each other.

use insula_tests::{Bundle, Container, Lab, Snapshot, cgroups, eventually, json, runtime};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::time::Duration;

/// Nothing may take longer, whatever the container does.
const PROMPT: Duration = Duration::from_secs(5);

fn sleeper(lab: &Lab) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    bundle
}

/// Looks into every foreign process without pause: environment, root, and from each descriptor that is a directory
/// upwards to the host; writes into its program. Bites a runtime that enters with a readable environment or with a
/// directory of the host open (CVE-2016-9962, CVE-2019-5736, CVE-2024-21626).
const WATCH: &str = r#"
own=$$
echo watching
while [ ! -e /tmp/stop ]; do
    for process in /proc/[0-9]*; do
        [ $process = /proc/$own ] && continue
        read -r line < $process/environ && case $line in *INSULA_TEST*|*CARGO*) echo "ENVIRONMENT $line";; esac
        [ -e $process/root$CANARY ] && echo ROOT
        cd $process/cwd && [ -e .$CANARY ] && echo CWD
        for descriptor in $process/fd/*; do
            cd -P $descriptor && cd ../../../../../../../../../.. && [ -e .$CANARY ] && echo "DESCRIPTOR $descriptor"
        done
        echo attacked > $process/exe && echo WRITTEN
        cd /
    done
done 2>/dev/null
echo over
"#;

fn watch(capabilities: &[&str]) {
    let lab = Lab::new();
    let canary = lab.write("canary", "");
    let before = fs::read(runtime()).expect("read the runtime");
    let mut bundle = lab.bundle();
    bundle.writable().shell(WATCH).tmpfs("/tmp", &[]);
    bundle.push("/process/env", json!(format!("CANARY={}", canary.display())));
    for set in ["bounding", "effective", "permitted"] {
        for capability in capabilities {
            bundle.push(&format!("/process/capabilities/{set}"), json!(capability));
        }
    }
    let container = lab.container(&bundle).detached();
    let _watching = container.await_stdout("watching");
    for _ in 0..60 {
        container.exec(&["true"]).assert_code(0);
    }
    container.exec(&["touch", "/tmp/stop"]).assert_code(0);
    let said = container.await_stdout("over");
    assert_eq!(said, "watching\nover\n", "what the watcher has got");
    assert_eq!(fs::read(runtime()).expect("read the runtime"), before);
}

#[test]
fn a_watcher_of_whoever_enters() {
    watch(&[]);
}

/// With the right to trace, nothing of the host is to be had from the one who enters either.
#[test]
fn a_watcher_that_may_trace() {
    watch(&["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"]);
}

/// The runtime's own program as the container's: it ends by itself, and is not changed.
#[test]
fn programs_that_are_the_runtime() {
    let lab = Lab::new();
    let before = fs::read(runtime()).expect("read the runtime");
    let mut bundle = lab.bundle();
    std::os::unix::fs::symlink("/proc/self/exe", bundle.rootfs().join("link")).expect("make a link");
    fs::write(bundle.rootfs().join("script"), "#!/proc/self/exe\n").expect("write a script");
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(bundle.rootfs().join("script"), fs::Permissions::from_mode(0o755)).expect("make it executable");
    let programs = ["/proc/self/exe", "/link", "/script", "/proc/1/exe"];
    for program in programs {
        bundle.args(&[program]);
        let output = lab.container(&bundle).run();
        assert!(output.code() != 0 && output.elapsed < PROMPT, "{output}");
    }
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    for program in &programs[..3] {
        assert!(container.exec(&[program]).elapsed < PROMPT);
    }
    assert_eq!(fs::read(runtime()).expect("read the runtime"), before);
}

/// Without an interpreter, no file of an image is mapped into the runtime.
#[test]
fn the_runtime_has_no_interpreter() {
    let elf = fs::read(runtime()).expect("read the runtime");
    let number =
        |at: usize, length: usize| elf[at..at + length].iter().rev().fold(0, |n: usize, b| n << 8 | usize::from(*b));
    assert_eq!(elf[..5], *b"\x7fELF\x02", "a 64-bit program");
    let (headers, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    assert!(count > 0);
    for header in 0..count {
        // PT_INTERP
        assert_ne!(number(headers + header * size, 4), 3);
    }
}

/// A member of the same pid namespace cannot start somebody else's container.
#[test]
fn a_neighbour_at_the_start_fifo() {
    let lab = Lab::new();
    let victim = lab.container(&sleeper(&lab)).created();
    let mut bundle = lab.bundle();
    bundle.join("pid", victim.namespace_path("pid"));
    bundle.shell("for f in /proc/1/fd/*; do echo 1 > $f; done 2>/dev/null; cat /proc/1/environ 2>&1; ls -l /proc/1/cwd/ 2>&1; true");
    let output = lab.container(&bundle).run();
    assert!(output.text().matches("Permission denied").count() == 2, "{output}");
    assert_eq!(victim.status(), "created");
    victim.start().assert_code(0);
    victim.await_status("running");
}

/// Init is stopped: start and delete come back.
#[test]
fn an_init_that_is_stopped() {
    let lab = Lab::new();
    let container = lab.container(&sleeper(&lab)).created();
    kill(Pid::from_raw(container.pid()), Signal::SIGSTOP).expect("stop init");
    let start = container.start();
    assert!(start.elapsed < PROMPT, "{start}");
    let delete = container.delete_force();
    delete.assert_code(0);
    assert!(delete.elapsed < PROMPT, "{delete}");
}

/// Members of the host's pid namespace that ignore signals, have left the session, and outlive init.
#[test]
fn members_that_outlive_init() {
    for paused in [false, true] {
        let lab = Lab::new();
        let mut bundle = lab.bundle();
        bundle.inherit("pid");
        let storm = "while :; do (sleep 0.01 & sleep 0.02); done";
        bundle.shell(&format!(
            "trap '' TERM HUP INT; for i in 1 2 3; do setsid sh -c \"trap '' TERM HUP; {storm}\" & done; echo ready; {storm}"
        ));
        let before = Snapshot::take(&lab);
        let container = lab.container(&bundle).detached();
        let _ready = container.await_stdout("ready");
        if paused {
            container.command("pause").run().assert_code(0);
        } else {
            kill(Pid::from_raw(container.pid()), Signal::SIGKILL).expect("kill init");
        }
        let delete = container.delete_force();
        delete.assert_code(0);
        assert!(delete.elapsed < PROMPT, "{delete}");
        before.assert_clean(&lab);
    }
}

/// The container's processes sit in cgroups below its own.
#[test]
fn members_in_cgroups_below() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    let container = lab.container(&sleeper(&lab)).detached();
    let mut placed = 0;
    for controller in ["pids", "freezer", "memory"] {
        let Some(own) = cgroups::directory_of(container.pid(), controller) else { continue };
        assert!(own.to_string_lossy().contains(lab.name()), "the container has a cgroup of its own");
        let deep = own.join("a/b/c");
        fs::create_dir_all(&deep).expect("make cgroups below");
        fs::create_dir(own.join("empty")).expect("make a cgroup below");
        fs::write(deep.join("cgroup.procs"), container.pid().to_string()).expect("move init down");
        placed += 1;
    }
    assert!(placed > 0 || cgroups::hierarchies().iter().all(|one| one.controllers.is_empty()));
    let delete = container.delete_force();
    delete.assert_code(0);
    assert!(delete.elapsed < PROMPT, "{delete}");
    before.assert_clean(&lab);
}

/// A cgroup in which a stranger lives is neither taken nor removed.
#[test]
fn a_cgroup_of_a_stranger() {
    let lab = Lab::new();
    let hierarchies = cgroups::hierarchies();
    let Some(hierarchy) = hierarchies.iter().find(|one| one.controllers.iter().any(|name| name == "pids")) else {
        insula_tests::skip!("no version 1 hierarchy");
    };
    let name = format!("{}-stranger", lab.name());
    let directory = hierarchy.mount.join(&name);
    fs::create_dir(&directory).expect("make the stranger's cgroup");
    let mut stranger = lab.command("sleep").arg("60").start();
    fs::write(directory.join("cgroup.procs"), stranger.pid().to_string()).expect("put the stranger in");
    let mut bundle = sleeper(&lab);
    bundle.set("/linux/cgroupsPath", json!(format!("/{name}")));
    let container = lab.container(&bundle);
    container.create().fails_with(&["cgroup"]);
    container.delete_force().assert_code(0);
    assert!(stranger.is_running() && directory.exists(), "the stranger is left alone");
    drop(stranger);
    eventually("the stranger's cgroup to go", || fs::remove_dir(&directory).ok());
}

/// Two containers of one cgroup: the second is refused, and the first lives on.
#[test]
fn a_cgroup_of_another_container() {
    let lab = Lab::new();
    let mut bundle = sleeper(&lab);
    bundle.set("/linux/cgroupsPath", json!(format!("/{}-shared", lab.name())));
    let first = lab.container(&bundle).detached();
    let second = lab.container(&bundle);
    second.create().fails_with(&["cgroup"]);
    second.delete_force().assert_code(0);
    assert_eq!(first.status(), "running");
}

/// Four starts, and a kill and a delete at once: one start wins at most, nothing hangs, one delete cleans up.
#[test]
fn commands_that_race() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let before = Snapshot::take(&lab);
    for round in 0..15 {
        let container = lab.container(&bundle).created();
        let begin = |words: &[&str]| lab.words(words).arg(container.id()).within(Duration::from_secs(15)).start();
        let starts: Vec<_> = (0..4).map(|_| begin(&["start"])).collect();
        let mut others = Vec::new();
        if round % 3 > 0 {
            others.push(begin(&["delete", "--force"]));
        }
        if round % 3 > 1 {
            others.push(begin(&["delete", "--force"]));
            others.push(begin(&["state"]));
        }
        let won = starts.into_iter().map(|start| start.wait().code()).filter(|code| *code == 0).count();
        assert!(won <= 1 && (round % 3 > 0 || won == 1), "round {round}: {won} starts have won");
        for other in others {
            let output = other.wait();
            assert!([0, 1].contains(&output.code()), "{output}");
        }
        container.delete_force().assert_code(0);
        before.assert_clean(&lab);
    }
}

/// Creation and deletion of one id at once: afterwards one delete is enough.
#[test]
fn creation_against_deletion() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let before = Snapshot::take(&lab);
    for round in 0_u32..25 {
        let container = lab.container(&bundle);
        let create = container.launch("create").arg(container.id()).start();
        std::thread::sleep(Duration::from_micros(u64::from(round) * 300));
        let delete = container.command("delete").arg("--force").start();
        assert!([0, 1].contains(&create.wait().code()));
        assert!([0, 1].contains(&delete.wait().code()));
        container.delete_force().assert_code(0);
        before.assert_clean(&lab);
    }
}

/// An exec against the end of the container: it comes back, with whatever status.
#[test]
fn exec_against_the_end() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    for round in 0..20 {
        let container = lab.container(&bundle).detached();
        let exec = container.command("exec").args(["sleep", "30"]).start();
        std::thread::sleep(Duration::from_millis(round / 2));
        delete(&container);
        let output = exec.wait();
        assert!(output.elapsed < PROMPT && output.code() != 0, "{output}");
    }
}

fn delete(container: &Container<'_>) {
    let output = container.delete_force();
    output.assert_code(0);
    assert!(output.elapsed < PROMPT, "{output}");
}

/// A creation that is asked to end, by each of the signals, at any moment, leaves nothing by itself.
#[test]
fn creation_is_asked_to_end() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let before = Snapshot::take(&lab);
    for round in 0..24_u64 {
        let signal = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP][round as usize % 3];
        let container = lab.container(&bundle);
        let create = container.launch("create").arg(container.id()).start();
        std::thread::sleep(Duration::from_micros(round * 400));
        let _ended = kill(Pid::from_raw(create.pid()), signal);
        let output = create.wait();
        if output.code() == 0 {
            container.delete_force().assert_code(0);
        } else if output.status.code().is_some() {
            assert_eq!(container.command("state").run().code(), 1, "it took everything back: {output}");
        } else {
            // Before it has taken the signals over, it ends by them, with at most what an intent covers.
            container.delete_force().assert_code(0);
        }
        before.assert_clean(&lab);
    }
}
