// SPDX-License-Identifier: Apache-2.0
//! Attacks on whoever enters a container, and what is seen of the host from inside: processes that `exec` brings in, init
//! before and after its start, descriptors, environment, paths.

use insula_tests::{Bundle, Donor, Lab, Snapshot, eventually, hostile, is_insula, json, long, runtime};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

fn sleeper(lab: &Lab) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    bundle
}

/// The hostile program watches from inside while processes are brought in.
fn watched(edit: impl Fn(&mut Bundle)) {
    let lab = Lab::new();
    let canary = lab.write("canary", "");
    let before = fs::read(runtime()).expect("read the runtime");
    let mut bundle = lab.bundle();
    bundle.hostile().writable().tmpfs("/tmp", &[]);
    bundle.args(&["/hostile", "watch", canary.to_str().expect("paths are text")]);
    edit(&mut bundle);
    let container = lab.container(&bundle).detached();
    let _watching = container.await_stdout("watching");
    for _ in 0..if long() { 1000 } else { 60 } {
        container.exec(&["true"]).assert_code(0);
    }
    container.exec(&["touch", "/tmp/stop"]).assert_code(0);
    let said = container.await_stdout("over");
    let got: Vec<&str> = said.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase())).collect();
    assert!(got.is_empty(), "what the watcher has got: {got:#?}");
    assert_eq!(fs::read(runtime()).expect("read the runtime"), before);
}

#[test]
fn a_hostile_watcher() {
    watched(|_| {});
}

/// It may trace whatever it sees, and read whatever it can name.
#[test]
fn a_hostile_watcher_that_may_trace() {
    watched(|bundle| {
        bundle.capabilities(&["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"]).remove("/process/rlimits");
    });
}

#[test]
fn a_hostile_watcher_in_a_user_namespace() {
    watched(|bundle| {
        bundle.capabilities(&["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"]).user_namespace();
    });
}

/// It sees all processes of the host, and every right over its own user namespace.
#[test]
fn a_hostile_watcher_of_the_hosts_processes() {
    watched(|bundle| {
        bundle.capabilities(&["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN"]).user_namespace();
        bundle.inherit("pid");
    });
}

/// A neighbour with the same rights: the one that waits for its start cannot be traced, read or started by it.
#[test]
fn a_hostile_neighbour() {
    let lab = Lab::new();
    let canary = lab.write("canary", "");
    let victim = lab.container(&sleeper(&lab)).created();
    let mut bundle = lab.bundle();
    bundle.join("pid", victim.namespace_path("pid")).hostile().writable().tmpfs("/tmp", &[]);
    bundle.shell("(/hostile watch $CANARY & sleep 1; touch /tmp/stop; sleep 1); cat /proc/1/environ | grep -c . ; for f in /proc/1/fd/*; do echo 1 > $f; done; true");
    bundle.push("/process/env", json!(format!("CANARY={}", canary.display())));
    let output = lab.container(&bundle).run();
    let got: Vec<&str> =
        output.stdout.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase())).collect();
    assert!(got.is_empty() && output.stdout.contains("over"), "{output}");
    assert!(output.stderr.contains("Permission denied"), "{output}");
    assert_eq!(victim.status(), "created");
}

/// The image's own loader configuration, libraries and name services: nothing of them is opened before the program is.
#[test]
fn libraries_of_the_image() {
    let lab = Lab::new();
    let mut bundle = sleeper(&lab);
    for path in [
        "etc/ld.so.preload",
        "etc/ld.so.cache",
        "etc/nsswitch.conf",
        "lib/libnss_files.so.2",
        "lib64/ld-linux-x86-64.so.2",
        "usr/lib/gconv/gconv-modules",
        "usr/lib/locale/locale-archive",
    ] {
        let path = bundle.rootfs().join(path);
        fs::create_dir_all(path.parent().expect("it has a parent")).expect("make the directory");
        fs::write(path, "/lib/evil.so\n").expect("write the trap");
    }
    bundle.remove("/process/env");
    bundle.set("/process/user", json!({"uid": 65534, "gid": 65534}));
    let trace = lab.path("trace");
    let strace = |words: &[&str]| {
        let options = ["-f", "-e", "trace=open,openat,openat2,execve,execveat", "-o"];
        let insula = lab.command("strace").args(options).arg(&trace).arg(runtime()).arg("--root").arg(lab.state_root());
        insula.args(words).ok();
        fs::read_to_string(&trace).expect("read the trace")
    };
    let path = bundle.path().to_str().expect("paths are text").to_owned();
    let container = lab.container(&bundle).detached();
    bundle.args(&["true"]);
    for seen in [strace(&["run", "--bundle", &path, &lab.fresh_id()]), strace(&["exec", container.id(), "true"])] {
        assert!(seen.contains("execve(\"/bin/true"), "{seen}");
        let traps = ["ld.so", "nss", "gconv", "locale", "ld-linux"];
        let before = seen.lines().take_while(|line| !line.contains("execve(\"/bin/true"));
        let opened: Vec<_> = before.filter(|line| traps.iter().any(|trap| line.contains(trap))).collect();
        assert!(opened.is_empty(), "opened before the program: {opened:#?}");
        assert!(seen.contains("/etc/passwd"), "the home directory is looked for: {seen}");
    }
}

/// A fault in init while it waits leaves no image of its memory in the container.
#[test]
fn a_core_dump_of_init() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    let mut bundle = sleeper(&lab);
    // The first process of a pid namespace would not even notice the signals.
    bundle
        .inherit("pid")
        .writable()
        .set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 1_u64 << 30, "hard": 1_u64 << 30}]));
    for signal in [Signal::SIGSEGV, Signal::SIGABRT, Signal::SIGQUIT, Signal::SIGSYS] {
        let container = lab.container(&bundle).created();
        let pid = container.pid();
        kill(Pid::from_raw(pid), signal).expect("signal init");
        container.await_status("stopped");
        container.delete_force().assert_code(0);
        let cores: Vec<_> = [bundle.rootfs(), bundle.path().to_owned(), std::env::current_dir().expect("a directory")]
            .iter()
            .flat_map(|place| fs::read_dir(place).expect("list").flatten().map(|entry| entry.path()))
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core")))
            .collect();
        assert!(cores.is_empty(), "{signal}: {cores:?}");
    }
    before.assert_clean(&lab);
}

/// The runtime never is in the container's cgroup: its limits are not the runtime's.
#[test]
fn the_runtime_in_the_containers_cgroup() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let seen = lab.path("seen");
    // The hook is the runtime's child; one that runs in the container's namespaces is too.
    let hook = lab.script("hook", &format!("cat /proc/self/cgroup /proc/$PPID/cgroup >> {0}; true", seen.display()));
    for kind in ["prestart", "createRuntime", "createContainer", "poststart"] {
        bundle.set(&format!("/hooks/{kind}"), json!([{"path": hook.to_str()}]));
    }
    bundle.set("/linux/resources/pids", json!({"limit": 1}));
    let container = lab.container(&bundle);
    container.run().assert_code(0);
    let seen = fs::read_to_string(&seen).expect("the hooks ran");
    assert!(seen.lines().count() > 3 && !seen.contains(container.id()), "{seen}");
}

/// What the standard streams are is nobody's business but the caller's: owner and mode stay.
#[test]
fn the_callers_streams_keep_their_owner() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let output = lab.write("output", "");
    let before = fs::metadata(&output).expect("look");
    let run = lab.shell("exec \"$@\" > $OUTPUT 2>&1 < $OUTPUT", &[runtime()]).env("OUTPUT", &output);
    run.arg("--root").arg(lab.state_root()).args(["run", "--bundle"]).arg(bundle.path()).arg(lab.fresh_id()).ok();
    let after = fs::metadata(&output).expect("look");
    assert_eq!((before.uid(), before.gid(), before.mode()), (after.uid(), after.gid(), after.mode()));
}

/// Lists what process 1 shows of where it came from.
const SHOWN: &str = "cd /proc/1; cat environ cmdline maps comm limits cgroup 2>/dev/null | tr '\\0' '\\n'; \
    readlink exe; readlink root; readlink cwd; for fd in fd/*; do readlink $fd; done; cat fdinfo/* 2>/dev/null; \
    cut -d' ' -f5- mountinfo; cat /proc/mounts; echo shown; true";

/// Nothing of the host's environment or paths is to be read from inside: of init, of a neighbour, of who entered. Where a
/// bind mount comes from below its file system is the one thing that the kernel shows (mountinfo, fourth field).
#[test]
fn nothing_of_the_host_is_seen_from_inside() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.shell(&format!("{SHOWN}; sleep 60"));
    bundle.namespace("cgroup");
    let container = lab.container(&bundle);
    let launch = container.launch("run").arg("--detach").env("INSULA_SECRET", "of-the-caller");
    container.finish(launch.current_dir(lab.path("tmp"))).assert_code(0);
    let of_init = container.await_stdout("shown");
    let of_exec = lab.insula().env("INSULA_SECRET", "of-the-caller").current_dir(lab.path("tmp"));
    let of_exec = of_exec.args(["exec", container.id(), "sh", "-c"]).arg(SHOWN).ok().stdout;
    let created = lab.container(&sleeper(&lab)).created();
    let mut neighbour = lab.bundle();
    neighbour.join("pid", created.namespace_path("pid")).capabilities(&["CAP_SYS_PTRACE"]).shell(SHOWN);
    let of_created = lab.output_of(&neighbour);
    // The container's own streams are files of the test.
    let streams = lab.path("out").display().to_string();
    for (what, seen) in [("init", of_init), ("exec", of_exec), ("created", of_created)] {
        assert!(seen.contains("/proc"), "{what}: {seen}");
        let told: Vec<&str> = seen
            .lines()
            .filter(|line| !line.starts_with(&streams) && !line.ends_with("/exec.fifo"))
            .filter(|line| {
                ["INSULA_", "of-the-caller", "CARGO", "/target", &lab.path("").display().to_string()]
                    .iter()
                    .any(|trace| line.contains(trace))
            })
            .collect();
        assert!(told.is_empty(), "{what} tells: {told:#?}");
    }
}

/// What `ls` shows of the process's own descriptors, but for 3: the directory that it reads, or one that was preserved.
const DESCRIPTORS: &str = "ls /proc/self/fd | grep -v '^3$' | tr '\\n' ' '";

fn with_open_files(lab: &Lab) -> insula_tests::Invocation {
    let script = "for ((n = 3; n < 900; n++)); do eval \"exec $n</\"; done; exec \"$@\"";
    lab.command("bash").args(["-c", script, "bash"]).arg(runtime()).arg("--root").arg(lab.state_root())
}

/// Of 900 descriptors of the caller's, the program gets three: however it was started.
#[test]
fn descriptors_of_the_program() {
    let lab = Lab::new();
    let listener = std::os::unix::net::UnixListener::bind(lab.path("agent")).expect("listen");
    type Edit = fn(&Lab, &mut Bundle) -> Option<Donor>;
    let edits: [(&str, Edit); 5] = [
        ("plain", |_, _| None),
        ("joined", |lab, bundle| {
            let donor = Donor::new(lab, &["network", "ipc"]);
            bundle.join("network", donor.path("network")).join("ipc", donor.path("ipc"));
            Some(donor)
        }),
        ("user namespace", |_, bundle| {
            bundle.user_namespace();
            None
        }),
        ("bind mounts and hooks", |lab, bundle| {
            let hook = lab.script("true", "true");
            bundle
                .bind(lab.path("tmp"), "/mnt", &["ro"])
                .set("/hooks/createContainer", json!([{"path": hook.to_str()}]));
            bundle.set("/hooks/createRuntime", json!([{"path": hook.to_str()}]));
            None
        }),
        ("listener", |lab, bundle| {
            bundle.set(
                "/linux/seccomp",
                json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": lab.path("agent").to_str(),
                    "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}),
            );
            None
        }),
    ];
    for (what, edit) in edits {
        let mut bundle = lab.bundle();
        let _donor = edit(&lab, &mut bundle);
        bundle.shell(DESCRIPTORS);
        let path = bundle.path().to_owned();
        let run = with_open_files(&lab).args(["run", "--bundle"]).arg(&path).arg(lab.fresh_id()).ok();
        assert_eq!(run.text(), "0 1 2", "{what}: run");
        let preserved = with_open_files(&lab).args(["run", "--preserve-fds", "2", "--bundle"]).arg(&path);
        let preserved = preserved.arg(lab.fresh_id()).ok();
        assert_eq!(preserved.text(), "0 1 2 4 5", "{what}: run with two preserved");
        bundle.args(&["sleep", "60"]);
        let container = lab.container(&bundle).created();
        container.start().assert_code(0);
        let listed = format!("/proc/{}/fd", container.pid());
        // `start` returns before the program is executed.
        eventually("three descriptors after create and start", || {
            (fs::read_dir(&listed).expect("list").count() == 3).then_some(())
        });
        let exec = with_open_files(&lab).args(["exec", container.id(), "sh", "-c", DESCRIPTORS]).ok();
        assert_eq!(exec.text(), "0 1 2", "{what}: exec");
        let exec = with_open_files(&lab).args(["exec", "--preserve-fds", "2", container.id(), "sh", "-c", DESCRIPTORS]);
        assert_eq!(exec.ok().text(), "0 1 2 4 5", "{what}: exec with two preserved");
    }
    drop(listener);
}

/// With a terminal, too.
#[test]
fn descriptors_of_the_program_on_a_terminal() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/process/terminal", json!(true)).shell(&format!("{DESCRIPTORS}; echo; sleep 60"));
    let socket = insula_tests::terminal::ConsoleSocket::bind(lab.path("console"));
    let container = lab.container(&bundle);
    let launch = with_open_files(&lab).args(["run", "--detach", "--console-socket"]).arg(socket.path());
    launch.arg("--bundle").arg(bundle.path()).arg(container.id()).ok();
    let (mut terminal, _) = socket.receive();
    assert_eq!(terminal.read_until("\n").trim(), "0 1 2");
    let listed = fs::read_dir(format!("/proc/{}/fd", container.pid())).expect("list").count();
    assert_eq!(listed, 3);
    let exec = with_open_files(&lab).args(["exec", "--detach", "--tty", "--console-socket"]).arg(socket.path());
    exec.args([container.id(), "sh", "-c"]).arg(format!("{DESCRIPTORS}; echo")).ok();
    let (mut terminal, _) = socket.receive();
    assert_eq!(terminal.read_until("\n").trim(), "0 1 2");
}

/// A container without a mount namespace: whoever is brought in is in its root, not in the runtime's.
#[test]
fn exec_without_a_mount_namespace_stays_in_the_root() {
    if !is_insula() {
        insula_tests::skip!("this is where peers differ");
    }
    let lab = Lab::new();
    let mut bundle = sleeper(&lab);
    for pointer in ["/linux/maskedPaths", "/linux/readonlyPaths"] {
        bundle.remove(pointer);
    }
    bundle
        .inherit("mount")
        .set("/mounts", json!([]))
        .set("/root/readonly", json!(false))
        .set("/process/cwd", json!("/"));
    let canary = lab.write("canary", "");
    let container = lab.container(&bundle).detached();
    let output = container.exec(&["ls", canary.to_str().expect("paths are text")]);
    assert_eq!(output.code(), 1, "{output}");
    assert!(container.inside("ls -d /bin/busybox /hostile 2>&1; cd ..; pwd").ends_with("/\n"));
}

/// The container has put something else where its terminals are made: it is not opened, let alone waited for.
#[test]
fn a_terminal_of_another_file_system() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.writable().capabilities(&["CAP_SYS_ADMIN", "CAP_MKNOD"]);
    bundle.shell(
        "umount /dev/pts; mount -t tmpfs none /dev/pts && mkfifo /dev/pts/ptmx; \
         (read -r x < /dev/pts/ptmx; echo OPENED) & echo ready; sleep 60",
    );
    let container = lab.container(&bundle).detached();
    let _ready = container.await_stdout("ready");
    let socket = insula_tests::terminal::ConsoleSocket::bind(lab.path("console"));
    let exec = lab.insula().args(["exec", "--detach", "--tty", "--console-socket"]).arg(socket.path());
    let output = exec.args([container.id(), "true"]).run();
    assert!(output.code() != 0 && output.elapsed.as_secs() < 5, "{output}");
    output.says(&["/dev/pts"]);
    assert!(!container.stdout().contains("OPENED"));
}

/// chroot(2) is no wall for who may call it; the container's root is one, with and without pivot_root(2).
#[test]
fn climbing_out_of_the_root() {
    let lab = Lab::new();
    let canary = lab.write("canary", "");
    let mut bundle = lab.bundle();
    bundle.hostile().writable().tmpfs("/tmp", &[]).capabilities(&["CAP_SYS_CHROOT"]);
    bundle.args(&["/hostile", "unchroot", canary.to_str().expect("paths are text")]);
    for options in [&[][..], &["--no-pivot"]] {
        let container = lab.container(&bundle);
        let output = container.finish(container.launch("run").args(options));
        output.assert_code(0);
        assert!(output.stdout.starts_with("held"), "{options:?}: {output}");
    }
}

/// The keys of whoever starts a container are not the container's.
#[test]
fn keys_of_the_caller() {
    let lab = Lab::new();
    let name = format!("{}-key", lab.name());
    let mut bundle = lab.bundle();
    bundle.hostile().args(&["/hostile", "key", &name]);
    let with_key = |words: &[&str]| {
        let command = lab.command(hostile()).args(["with-key", &name]);
        command.arg(runtime()).arg("--root").arg(lab.state_root()).args(words)
    };
    // The key is there to be found.
    let own = lab.command(hostile()).args(["with-key", &name]).arg(hostile()).args(["key", &name]).run();
    if own.code() == 3 {
        insula_tests::skip!("this kernel has no keyrings");
    }
    assert!(own.stdout.starts_with("KEY") && own.stdout.contains("secret"), "{own}");
    let path = bundle.path().to_str().expect("paths are text").to_owned();
    let id = lab.fresh_id();
    let output = with_key(&["run", "--bundle", &path, &id]).ok();
    assert!(output.stdout.starts_with("none"), "{output}");
}

/// The system calls of init, one a line: `name  what for`; `?name` where the host decides whether it is made.
const LIST: &str = include_str!("../data/init-syscalls.txt");

/// What init may have to do with the kernel is a list that somebody has looked at.
#[test]
fn the_system_calls_of_init() {
    if !is_insula() {
        insula_tests::skip!("this is insula's own list");
    }
    let lab = Lab::new();
    let container = lab.container(&sleeper(&lab));
    let path = lab.path("trace");
    let bundle = container_bundle(&lab, &container);
    let create =
        lab.command("strace").args(["-ff", "-o"]).arg(&path).arg(runtime()).arg("--root").arg(lab.state_root());
    let tracing = create.args(["create", "--bundle"]).arg(&bundle).arg(container.id()).start();
    eventually("the container", || container.command("state").run().stdout.contains("created").then_some(()));
    let init = container.pid();
    container.start().assert_code(0);
    container.await_status("running");
    let trace = eventually("the whole trace", || {
        fs::read_to_string(format!("{}.{init}", path.display()))
            .ok()
            .filter(|text| text.contains("execve(\"/bin/sleep\""))
    });
    container.delete_force().assert_code(0);
    tracing.wait_quietly();
    let listed: BTreeMap<&str, bool> = LIST
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_whitespace().next().expect("a name"))
        .map(|name| (name.trim_start_matches('?'), name.starts_with('?')))
        .collect();
    let mut made: BTreeSet<&str> = trace
        .lines()
        .take_while(|line| !line.starts_with("execve(\"/bin/sleep\""))
        .skip_while(|line| !line.starts_with("execveat("))
        .filter_map(|line| line.split_once('(').map(|(name, _)| name))
        // What this strace does not know yet.
        .map(|name| if name == "syscall_0x1d3" { "open_tree_attr" } else { name })
        .filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    made.insert("execve");
    let unlisted: Vec<_> = made.iter().filter(|name| !listed.contains_key(*name)).collect();
    assert!(unlisted.is_empty(), "not in tests/data/init-syscalls.txt: {unlisted:?}");
    let unused: Vec<_> = listed.iter().filter(|(name, maybe)| !**maybe && !made.contains(*name)).collect();
    assert!(unused.is_empty(), "in tests/data/init-syscalls.txt and not made: {unused:?}");
}

fn container_bundle(lab: &Lab, _container: &insula_tests::Container<'_>) -> std::path::PathBuf {
    let mut found: Vec<_> = fs::read_dir(lab.path("")).expect("list").flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.join("config.json").exists());
    found.pop().expect("the bundle")
}

/// Nothing of the weaknesses that tests build in is in what users get.
#[test]
fn no_weakness_is_built_in() {
    if !is_insula() || std::env::var_os("INSULA_WEAK").is_some() {
        return;
    }
    let program = fs::read(runtime()).expect("read the runtime");
    let has = |text: &str| program.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!Path::new("/run/insula-weak-init").exists());
    if has("INSULA_WEAK") {
        // Run by `cargo xtask test --weak`, without a weakness.
        assert!(runtime().to_string_lossy().contains("weak"), "INSULA_WEAK is in {}", runtime().display());
    }
}
