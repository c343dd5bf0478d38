// SPDX-License-Identifier: Apache-2.0
//! Attacks by those whom the runtime talks to: agents that do not answer, hooks that do not end, filters that forbid the
//! runtime's own calls, names and sizes beyond every bound; and states of another boot.

use insula_tests::terminal::ConsoleSocket;
use insula_tests::{Bundle, Lab, Snapshot, Value, eventually, is_insula, json, long, parse_json};
use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

/// Nothing may take longer that has no deadline of its own.
const PROMPT: Duration = Duration::from_secs(5);
/// And nothing longer than this, whoever does not answer.
const DEADLINE: Duration = Duration::from_secs(15);

fn sleeper(lab: &Lab) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    bundle
}

/// For edits that are one expression.
fn done(_: &mut Bundle) {}

fn notified(lab: &Lab, socket: &str) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": socket,
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]}),
    );
    bundle
}

/// Connections that fill the queue of `path`, which nobody accepts from.
fn fill(path: &Path) -> Vec<UnixStream> {
    let mut filled = Vec::new();
    let probe = nix::sys::socket::UnixAddr::new(path).expect("an address");
    loop {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, connect, socket};
        use std::os::fd::AsRawFd as _;
        let end = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK, None).expect("a socket");
        match connect(end.as_raw_fd(), &probe) {
            Ok(()) => filled.push(UnixStream::from(end)),
            Err(nix::errno::Errno::EAGAIN) => return filled,
            Err(errno) => panic!("connect: {errno}"),
        }
        assert!(filled.len() < 10_000, "the queue never fills");
    }
}

/// Agents of all kinds: that accept nothing, whose queue is full, that close at once, that are gone.
#[test]
fn agents_that_do_not_answer() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    let full = lab.path("full.sock");
    let _full = UnixListener::bind(&full).expect("listen");
    let _queue = fill(&full);
    let silent = lab.path("silent.sock");
    let _silent = UnixListener::bind(&silent).expect("listen");
    let gone = lab.path("gone.sock");
    drop(UnixListener::bind(&gone).expect("listen"));
    let closing = lab.path("closing.sock");
    let listener = UnixListener::bind(&closing).expect("listen");
    std::thread::scope(|scope| {
        scope.spawn(|| drop(listener.accept()));
        for (path, fails) in [(&full, true), (&silent, false), (&gone, true), (&closing, false)] {
            let mut bundle = notified(&lab, path.to_str().expect("paths are text"));
            bundle.args(&["sleep", "60"]);
            let container = lab.container(&bundle);
            let output = container.create();
            assert!(output.elapsed < DEADLINE, "{}: {:?}", path.display(), output.elapsed);
            assert!([0, 1].contains(&output.code()) && (!fails || output.code() == 1), "{output}");
            container.delete_force().assert_code(0);
            before.assert_clean(&lab);
        }
    });
}

/// Receivers of the terminal, the same.
#[test]
fn consoles_that_nobody_takes() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    let full = lab.path("full.sock");
    let _full = UnixListener::bind(&full).expect("listen");
    let _queue = fill(&full);
    let silent = ConsoleSocket::bind(lab.path("silent.sock"));
    let mut bundle = sleeper(&lab);
    bundle.set("/process/terminal", json!(true));
    for path in [&full, silent.path()] {
        let container = lab.container(&bundle);
        let output = container.finish(container.launch("create").arg("--console-socket").arg(path));
        assert!([0, 1].contains(&output.code()) && output.elapsed < DEADLINE, "{output}");
        container.delete_force().assert_code(0);
        before.assert_clean(&lab);
    }
}

/// What lies at the agent's path.
#[test]
fn paths_of_agents() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    let deep = lab.path("d".repeat(90));
    fs::create_dir(&deep).expect("make a directory");
    let link = lab.path("link.sock");
    std::os::unix::fs::symlink(lab.path("nobody"), &link).expect("make a link");
    for path in [
        link.display().to_string(),
        deep.join("agent").display().to_string(),
        format!("/{}", "x".repeat(200)),
        lab.path("").display().to_string(),
        "relative.sock".to_owned(),
        "@insula-test-nobody".to_owned(),
        "/dev/null".to_owned(),
    ] {
        let bundle = notified(&lab, &path);
        let output = lab.container(&bundle).run();
        assert!(output.code() == 1 && output.elapsed < PROMPT, "{path}: {output}");
        fs::remove_dir_all(bundle.path()).expect("remove the bundle");
    }
    // A socket of the image is not the host's.
    let bundle = notified(&lab, "/run/agent.sock");
    let _listener = UnixListener::bind(bundle.rootfs().join("run/agent.sock")).expect("listen in the image");
    assert_eq!(lab.container(&bundle).run().code(), 1);
    fs::remove_dir_all(bundle.path()).expect("remove the bundle");
    fs::remove_dir(&deep).expect("remove the directory");
    before.assert_clean(&lab);
}

/// The listener is the agent's alone: neither init nor the program, a hook or whoever enters has it.
#[test]
fn the_listener_is_the_agents_alone() {
    let lab = Lab::new();
    let socket = lab.path("agent.sock");
    let _listener = UnixListener::bind(&socket).expect("listen");
    let mut bundle = notified(&lab, socket.to_str().expect("paths are text"));
    let seen = lab.path("seen");
    let hook = lab.script("hook", &format!("ls -l /proc/self/fd /proc/$PPID/fd >> {0}; true", seen.display()));
    bundle.set("/hooks/createRuntime", json!([{"path": hook.to_str()}]));
    bundle.set("/hooks/poststart", json!([{"path": hook.to_str()}]));
    bundle.shell("ls -l /proc/self/fd; echo over; sleep 60");
    let container = lab.container(&bundle).created();
    let listed = |pid: i32| {
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).expect("list").flatten();
        fds.filter_map(|entry| fs::read_link(entry.path()).ok()).map(|to| to.display().to_string()).collect::<Vec<_>>()
    };
    let waiting = listed(container.pid()).join(" ");
    container.start().assert_code(0);
    let said = container.await_stdout("over");
    let entered = container.exec(&["ls", "-l", "/proc/self/fd"]).stdout;
    let hooks = fs::read_to_string(&seen).expect("the hooks ran");
    for text in [waiting, said, entered, hooks, listed(container.pid()).join(" ")] {
        assert!(!text.is_empty() && !text.contains("seccomp"), "{text}");
    }
}

/// Filters that forbid, or send to an agent that does not answer, what the runtime itself needs.
#[test]
fn filters_against_the_runtime() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    let names = [
        "write",
        "close",
        "sendmsg",
        "recvmsg",
        "execve",
        "clone",
        "clone3",
        "prctl",
        "read",
        "capset",
        "close_range",
        "exit_group",
        "mmap",
        "openat2",
    ];
    for no_new_privileges in [false, true] {
        for (number, name) in names.iter().enumerate() {
            for action in ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"] {
                if !long() && (number + usize::from(no_new_privileges)) % 2 == usize::from(action.ends_with('S')) {
                    continue;
                }
                let mut bundle = lab.bundle();
                bundle.set("/process/noNewPrivileges", json!(no_new_privileges));
                bundle.set(
                    "/linux/seccomp",
                    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [name], "action": action}]}),
                );
                let container = lab.container(&bundle);
                let output = container.run();
                assert!(output.elapsed < PROMPT, "{name} {action}: {output}");
                container.delete_force().assert_code(0);
                fs::remove_dir_all(bundle.path()).expect("remove the bundle");
            }
        }
    }
    // Nobody could answer: the agent gets the listener by these very calls.
    let socket = lab.path("agent.sock");
    let _listener = UnixListener::bind(&socket).expect("listen");
    let names = ["read", "execve", "recvmsg", "exit_group", "sendmsg", "close", "prctl", "capset"];
    for name in &names[..if long() { names.len() } else { 3 }] {
        let mut bundle = notified(&lab, socket.to_str().expect("paths are text"));
        bundle.set("/linux/seccomp/syscalls/0/names", json!([name]));
        let container = lab.container(&bundle);
        let create = container.launch("create").arg(container.id()).within(DEADLINE).start();
        let output = create.wait();
        assert!([0, 1].contains(&output.code()), "{name}: {output}");
        container.delete_force().assert_code(0);
        fs::remove_dir_all(bundle.path()).expect("remove the bundle");
    }
    before.assert_clean(&lab);
}

/// Everything that goes from the runtime to init, and from its document to the kernel, at and beyond usual bounds.
#[test]
fn messages_beyond_every_bound() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    type Edit = Box<dyn Fn(&mut Bundle)>;
    let edits: Vec<(&str, Edit)> = vec![
        ("argument of 65535", Box::new(|b| done(b.args(&["true", &"x".repeat(65_535)])))),
        ("argument of 65536", Box::new(|b| done(b.args(&["true", &"x".repeat(65_536)])))),
        ("argument of 65537", Box::new(|b| done(b.args(&["true", &"x".repeat(65_537)])))),
        ("argument of 3 MB", Box::new(|b| done(b.args(&["true", &"x".repeat(3 << 20)])))),
        ("environment", Box::new(|b| done(b.push("/process/env", json!(format!("X={}", "y".repeat(100_000))))))),
        ("root", Box::new(move |b| done(b.set("/root/path", json!(format!("/{}", "r".repeat(66_000))))))),
        ("namespace", Box::new(|b| done(b.join("network", format!("/{}", "n".repeat(66_000)))))),
        ("destination", Box::new(|b| done(b.tmpfs(&format!("/{}", "d/".repeat(33_000)), &[])))),
        ("cwd", Box::new(|b| done(b.set("/process/cwd", json!(format!("/{}", "c".repeat(66_000))))))),
        ("label", Box::new(|b| done(b.set("/process/selinuxLabel", json!("l".repeat(66_000)))))),
        ("hook", Box::new(|b| done(b.set("/hooks/prestart", json!([{"path": format!("/{}", "h".repeat(66_000))}]))))),
        ("annotations", Box::new(|b| done(b.set("/annotations", json!({"a": "y".repeat(200_000)}))))),
        (
            "4,000 lines of a map",
            Box::new(|b| {
                let lines: Vec<Value> =
                    (0..4000).map(|n| json!({"containerID": n, "hostID": 100_000 + n, "size": 1})).collect();
                b.user_namespace().set("/linux/uidMappings", json!(lines));
            }),
        ),
    ];
    for (what, edit) in edits {
        let mut bundle = lab.bundle();
        edit(&mut bundle);
        let output = lab.container(&bundle).run();
        assert!([0, 1].contains(&output.code()) && output.elapsed < PROMPT, "{what}: {output:.300}");
        fs::remove_dir_all(bundle.path()).expect("remove the bundle");
        before.assert_clean(&lab);
    }
}

/// Names of network devices: beyond the kernel's length, with what it would fill in or take for a path.
#[test]
fn names_of_network_devices() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    for (device, name) in [
        ("nosuch0", "eth0"),
        ("lo", "eth0"),
        ("a/b", "eth0"),
        ("..", "eth0"),
        ("nosuch0", "a-name-beyond-the-kernels"),
        ("nosuch0", "a/b"),
        ("nosuch0", ".."),
        ("nosuch0", "a b"),
        ("nosuch0", "%d%s"),
        ("x-name-beyond-the-kernels", "eth0"),
    ] {
        let mut bundle = lab.bundle();
        bundle.set(&format!("/linux/netDevices/{}", device.replace('/', "~1")), json!({"name": name}));
        let output = lab.container(&bundle).run();
        assert!(output.code() == 1 && output.elapsed < PROMPT, "{device} as {name}: {output}");
        fs::remove_dir_all(bundle.path()).expect("remove the bundle");
    }
    before.assert_clean(&lab);
}

/// A container that is paused between the look and the entering: `exec` comes back.
#[test]
fn exec_into_a_container_that_is_paused_meanwhile() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let mut refused = 0;
    for round in 0..if long() { 200 } else { 6 } {
        let container = lab.container(&bundle).detached();
        let exec = container.command("exec").arg("true").within(DEADLINE).start();
        std::thread::sleep(Duration::from_micros(400 * (round % 24)));
        let pause = container.command("pause").run();
        // Frozen after it was let in, it waits as every member does.
        if pause.code() == 0 {
            std::thread::sleep(Duration::from_millis(600));
            container.command("resume").run().assert_code(0);
        }
        let output = exec.wait();
        assert!([0, 255].contains(&output.code()), "{output}");
        refused += i32::from(output.code() == 255);
        container.delete_force().assert_code(0);
    }
    // The same, frozen for sure: init's cgroup is asked not to be looked at.
    let container = lab.container(&bundle).detached();
    container.command("pause").run().assert_code(0);
    let output = container.exec(&["true"]);
    assert!(output.code() == 255 && output.elapsed < PROMPT, "{output}");
    container.command("resume").run().assert_code(0);
    assert!(refused >= 0);
}

/// Stopped by hand between the look and the joining of a cgroup that is frozen then.
#[test]
fn exec_at_the_door_of_a_frozen_cgroup() {
    if !is_insula() {
        insula_tests::skip!("the moment is that of insula's own trace");
    }
    let lab = Lab::new();
    let container = lab.container(&sleeper(&lab)).detached();
    // memfd_create comes after the status was looked at, and before the process exists.
    let inject = ["-o", "/dev/null", "-e", "trace=memfd_create", "-e", "inject=memfd_create:signal=SIGSTOP:when=1"];
    let exec = lab.command("strace").args(inject).arg(insula_tests::runtime()).arg("--root").arg(lab.state_root());
    let exec = exec.args(["exec", container.id(), "true"]).within(DEADLINE).start();
    let child = eventually("exec to stand still", || {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", exec.pid())).ok()?;
        let child: i32 = children.split_whitespace().next()?.parse().ok()?;
        let status = fs::read_to_string(format!("/proc/{child}/status")).ok()?;
        (status.contains("State:\tT") || status.contains("State:\tt")).then_some(child)
    });
    std::thread::sleep(Duration::from_millis(300));
    container.command("pause").run().assert_code(0);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), nix::sys::signal::Signal::SIGCONT).expect("go on");
    let output = exec.wait();
    output.assert_code(255);
    output.says(&["paused"]);
    container.command("resume").run().assert_code(0);
    assert_eq!(container.inside("echo well").trim(), "well");
}

/// `update` against `delete`.
#[test]
fn update_against_deletion() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let before = Snapshot::take(&lab);
    for round in 0..if long() { 100 } else { 16 } {
        let container = lab.container(&bundle).detached();
        let update = container.command("update").args(["--pids-limit", "50"]).start();
        std::thread::sleep(Duration::from_micros(200 * round));
        let delete = container.delete_force();
        assert!(delete.code() == 0 && delete.elapsed < PROMPT, "{delete}");
        assert!([0, 1].contains(&update.wait().code()));
        before.assert_clean(&lab);
    }
}

/// Hooks of every kind that hang, with a time out of a second: they end with all that they started.
#[test]
fn hooks_that_do_not_end() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    let scripts = [
        lab.script("sleeps", "exec sleep 100"),
        lab.script("daemon", "sleep 100 & sleep 100 < /dev/null & exec sleep 100"),
        lab.script("loud", "while :; do echo loud; done"),
        lab.script("stubborn", "trap '' TERM INT HUP; while :; do sleep 1; done"),
    ];
    for (number, kind) in
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"].iter().enumerate()
    {
        let mut bundle = sleeper(&lab);
        let script = &scripts[number % scripts.len()];
        if matches!(*kind, "createContainer" | "startContainer") {
            fs::copy(script, bundle.rootfs().join("bin/hook")).expect("copy the hook into the image");
        }
        let path = if *kind == "startContainer" { Path::new("/bin/hook") } else { script };
        bundle.set(&format!("/hooks/{kind}"), json!([{"path": path.to_str(), "timeout": 1}]));
        let container = lab.container(&bundle);
        let create = container.create();
        let start = container.start();
        let delete = container.delete_force();
        for output in [&create, &start, &delete] {
            assert!(output.elapsed < PROMPT, "{kind}: {output}");
        }
        assert!(*kind == "poststop" || create.code() == 1 || start.code() == 1, "{kind}: {start}");
        delete.assert_code(0);
        before.assert_clean(&lab);
        fs::remove_dir_all(bundle.path()).expect("remove the bundle");
    }
}

/// A state that was kept over a reboot names no process of today, whatever the numbers.
#[test]
fn a_state_of_another_boot() {
    if !is_insula() {
        insula_tests::skip!("this is insula's own record");
    }
    let lab = Lab::new();
    // Of the host's file system, which outlives a boot; the test's own directories do not.
    let root = std::env::temp_dir().join(format!("{}-boot", lab.name()));
    fs::create_dir(&root).expect("make a state root");
    let in_memory = nix::sys::statfs::statfs(&root).expect("look").filesystem_type() == nix::sys::statfs::TMPFS_MAGIC;
    let bundle = sleeper(&lab);
    let id = lab.fresh_id();
    let insula = |words: &[&str]| lab.command(insula_tests::runtime()).arg("--root").arg(&root).args(words).run();
    let path = bundle.path().to_str().expect("paths are text");
    let create = lab.command(insula_tests::runtime()).arg("--root").arg(&root);
    create.args(["create", "--bundle", path, &id]).ok();
    insula(&["start", &id]).assert_code(0);
    let file = root.join(&id).join("state.json");
    let mut state: Value = parse_json(fs::read(&file).expect("read the state"));
    let pid = state["init"]["pid"].as_i64().expect("a number");
    if !in_memory {
        let today = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("read");
        assert_eq!(state["boot"], today.trim());
    }
    let is = state.clone();
    state["boot"] = json!("00000000-0000-0000-0000-000000000000");
    fs::write(&file, state.to_string()).expect("change the boot");
    let status = insula(&["state", &id]);
    assert!(status.stdout.contains("stopped"), "{status}");
    for words in [&["kill", &id, "KILL"][..], &["exec", &id, "true"], &["pause", &id]] {
        assert_ne!(insula(words).code(), 0, "{words:?}");
    }
    assert!(Path::new(&format!("/proc/{pid}/exe")).exists(), "the process of today lives");
    fs::write(&file, is.to_string()).expect("put the boot back");
    insula(&["delete", "--force", &id]).assert_code(0);
    fs::remove_dir(&root).expect("remove the state root");
}

/// Only what was read at the creation counts.
#[test]
fn a_document_that_is_changed_later() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let mark = lab.path("mark");
    let hook =
        |word: &str| json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("echo {word} >>{}", mark.display())]}]);
    bundle.args(&["echo", "first"]).set("/hooks/poststart", hook("first")).set("/hooks/poststop", hook("first"));
    let container = lab.container(&bundle).created();
    bundle.args(&["echo", "second"]).set("/hooks/poststart", hook("second")).set("/hooks/poststop", hook("second"));
    bundle.capabilities(&["CAP_SYS_ADMIN"]);
    container.start().assert_code(0);
    container.await_status("stopped");
    assert_eq!(container.stdout(), "first\n");
    container.delete().assert_code(0);
    assert_eq!(std::fs::read_to_string(&mark).expect("the hooks ran"), "first\nfirst\n");
}

/// Lists and states while containers come and go.
#[test]
fn lists_while_containers_come_and_go() {
    let lab = Lab::new();
    let bundle = lab.bundle();
    // The state root is made with the first one.
    lab.container(&bundle).run().assert_code(0);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut lists = Vec::new();
    let churned = std::thread::scope(|scope| {
        let churn = scope.spawn(|| {
            let mut codes = Vec::new();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                codes.push(lab.container(&bundle).run().code());
            }
            codes
        });
        for _ in 0..if long() { 1000 } else { 60 } {
            lists.push(lab.words(&["list", "--format", "json"]).run());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        churn.join().expect("containers come and go")
    });
    assert!(!churned.is_empty() && churned.iter().all(|code| *code == 0), "{churned:?}");
    for list in lists {
        list.assert_code(0);
        let _whole: Value = parse_json(&list.stdout);
    }
}

/// What names and states could carry to a terminal or a parser arrives escaped.
#[test]
fn terminal_escapes_in_what_is_shown() {
    let lab = Lab::new();
    let mut bundle = sleeper(&lab);
    bundle.set("/annotations", json!({"\u{1b}[2Jkey": "\u{1b}]0;title\u{7}", "secret": "of-the-annotation"}));
    // A process may call itself what it likes.
    bundle.writable().shell("printf '\\033[2Jname' > /proc/self/comm; echo ready; while :; do sleep 1; done");
    let container = lab.container(&bundle).detached();
    let _ready = container.await_stdout("ready");
    for words in [&["state"][..], &["inspect"], &["ps"]] {
        let output = lab.words(words).arg(container.id()).run();
        output.assert_code(0);
        assert!(!output.stdout.contains('\u{1b}') && !output.stdout.contains('\u{7}'), "{words:?}: {output}");
    }
    for words in [&["list"][..], &["ns"], &["ns", "graph"], &["verify", "--all"]] {
        let output = lab.words(words).run();
        assert!(!output.stdout.contains('\u{1b}') && !output.stdout.contains('\u{7}'), "{words:?}: {output}");
    }
}
