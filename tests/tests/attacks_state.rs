// SPDX-License-Identifier: Apache-2.0
//! Attacks by and on what the runtime keeps and reads: ids, states, files that are named on the command line, documents.

use insula_tests::{Bundle, Container, Lab, Snapshot, Value, eventually, json};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::time::Duration;

fn sleeper(lab: &Lab) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    bundle
}

/// Bites a runtime that joins an id to the state root's path unchecked.
#[test]
fn ids_that_are_paths() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let precious = lab.state_root().join("precious");
    fs::create_dir_all(&precious).expect("make a precious directory");
    fs::write(precious.join("file"), "precious").expect("write a precious file");
    let neighbour = lab.write("neighbour", "precious");
    let before = Snapshot::take(&lab);
    let long = "x".repeat(300);
    for id in ["..", ".", "../x", "a/b", "/", "", "precious/..", "a\nb", "a\u{1b}[2J", "é", "a b", "%s%n", &long] {
        for command in ["create", "start", "state", "kill", "delete", "exec", "ps", "pause", "resume"] {
            let mut line = lab.insula().arg(command);
            match command {
                "create" => line = line.arg("--bundle").arg(bundle.path()),
                "delete" => line = line.arg("--force"),
                _ => {}
            }
            let output = line.arg(id).args(if command == "exec" { &["true"][..] } else { &[] }).run();
            assert!([1, 255].contains(&output.code()), "{command} {id:?}: {output}");
            assert!(!output.stderr.contains('\u{1b}'), "terminal escapes are not passed on: {output}");
        }
    }
    before.assert_untouched(&lab);
    assert_eq!(fs::read_to_string(neighbour).expect("read"), "precious");
    fs::remove_dir_all(precious).expect("remove the precious directory");
}

fn assert_gone(container: &Container<'_>, pid: i32) {
    let deleted = container.delete_force();
    deleted.assert_code(0);
    assert!(deleted.elapsed < Duration::from_secs(5), "{deleted}");
    eventually("the process to end", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}

/// A torn state: clear errors, and `delete --force` ends what is there all the same.
#[test]
fn states_that_are_torn() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let before = Snapshot::take(&lab);
    let whole = {
        let container = lab.container(&bundle).detached();
        fs::read(lab.state_root().join(container.id()).join("state.json")).expect("read the state")
    };
    let cuts = [0, 1, whole.len() / 3, whole.len() / 2, whole.len() - 1];
    let contents = cuts.iter().map(|&cut| Some(whole[..cut].to_vec())).chain([
        Some(b"garbage \0\xff".to_vec()),
        Some(b"{\"version\":999}".to_vec()),
        Some(vec![b'['; 200_000]),
        None,
    ]);
    for content in contents {
        let container = lab.container(&bundle).detached();
        let pid = container.pid();
        let path = lab.state_root().join(container.id()).join("state.json");
        match &content {
            Some(content) => fs::write(&path, content).expect("tear the state"),
            None => fs::remove_file(&path).expect("remove the state"),
        }
        for command in ["state", "kill", "start", "pause"] {
            assert_eq!(container.command(command).run().code(), 1, "{command}");
        }
        assert!(Path::new(&format!("/proc/{pid}")).exists(), "nothing was signalled");
        lab.words(&["list"]).run().assert_code(0);
        assert_gone(&container, pid);
        before.assert_clean(&lab);
    }
}

/// Bites a runtime that signals a number that it finds in a file.
#[test]
fn states_that_name_a_bystander() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let mut bystander = lab.command("sleep").arg("60").start();
    for pid in [bystander.pid(), -1, 0, 1, i32::MAX] {
        let container = lab.container(&bundle).detached();
        let real = container.pid();
        let path = lab.state_root().join(container.id()).join("state.json");
        let mut state: Value = insula_tests::parse_json(fs::read(&path).expect("read the state"));
        state["init"]["pid"] = json!(pid);
        fs::write(&path, state.to_string()).expect("change the state");
        let killed = container.kill("KILL");
        assert!([0, 1].contains(&killed.code()), "{killed}");
        assert_gone(&container, real);
        assert!(bystander.is_running(), "the bystander lives");
    }
}

/// The state root has no room: a clean failure, and deletion needs none.
#[test]
fn no_room_for_the_state() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let root = lab.path("root");
    fs::create_dir(&root).expect("make the state root");
    for options in ["size=4k", "nr_inodes=2", "nr_inodes=3", "nr_inodes=4", "size=8k,nr_inodes=5"] {
        mount(Some("tiny"), &root, Some("tmpfs"), MsFlags::empty(), Some(options)).expect("mount a tiny tmpfs");
        // The mode that insula gives it.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o711)).expect("set its mode");
        let container = lab.container(&bundle);
        let output = container.create();
        if output.code() == 0 {
            fs::write(root.join("filler"), vec![0; 65536]).ok();
            container.delete_force().assert_code(0);
        } else {
            output.fails_with(&["no space left"]);
        }
        fs::remove_file(root.join("filler")).ok();
        assert_eq!(fs::read_dir(&root).expect("list").count(), 0, "{options}: {output}");
        umount2(&root, MntFlags::MNT_DETACH).expect("unmount");
    }
    fs::remove_dir(&root).expect("remove the state root");
}

/// Names of files on the command line that are something else.
#[test]
fn files_that_are_something_else() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let precious = lab.write("precious", "precious");
    let link = lab.path("link");
    symlink(&precious, &link).expect("make a link");
    let fifo = lab.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("make a fifo");
    for path in [&link, &fifo] {
        let container = lab.container(&bundle);
        let output = container.finish(container.launch("create").arg("--pid-file").arg(path));
        output.assert_code(0);
        assert!(output.elapsed < Duration::from_secs(5));
        let said: i32 = fs::read_to_string(path).expect("a file now").trim().parse().expect("a number");
        assert_eq!(said, container.pid());
        fs::remove_file(path).expect("remove it");
    }
    assert_eq!(fs::read_to_string(&precious).expect("read"), "precious");

    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("make a fifo");
    for option in ["--console-socket", "--pidfd-socket"] {
        for path in [&fifo, &precious, &lab.path("missing"), &lab.path("")] {
            let before = Snapshot::take(&lab);
            let mut terminal = sleeper(&lab);
            if option == "--console-socket" {
                terminal.set("/process/terminal", json!(true));
            }
            let container = lab.container(&terminal);
            let output = container.finish(container.launch("create").arg(option).arg(path));
            assert_eq!(output.code(), 1, "{option} {}: {output}", path.display());
            before.assert_clean(&lab);
        }
    }
    // A log that nobody reads.
    let log = lab.insula().arg("--log").arg(&fifo).args(["state", "nobody"]).run();
    assert!(log.code() == 1 && log.elapsed < Duration::from_secs(5), "{log}");
}

/// A later failure takes the pid file back.
#[test]
fn a_pid_file_of_a_container_that_failed() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["true"]);
    let path = lab.path("pid");
    let container = lab.container(&bundle);
    let launch = container.launch("create").arg("--pid-file").arg(&path).arg("--pidfd-socket").arg(lab.path("nobody"));
    assert_eq!(container.finish(launch).code(), 1);
    assert!(!path.exists(), "a pid file of nothing");
}

/// Whoever can write the state root says which processes are ours.
#[test]
fn state_roots_of_others() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let root = lab.path("foreign");
    fs::create_dir(&root).expect("make a root");
    let attempt = || {
        let create = lab.command(insula_tests::runtime()).arg("--root").arg(&root);
        create.args(["create", "--bundle"]).arg(bundle.path()).arg(lab.fresh_id()).run()
    };
    chown(&root, Some(1000), Some(1000)).expect("give it away");
    attempt().fails_with(&["belongs to user 1000"]);
    chown(&root, Some(0), Some(0)).expect("take it back");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o1777)).expect("open it to all");
    attempt().fails_with(&["everybody"]);
    assert_eq!(fs::read_dir(&root).expect("list").count(), 0);
}

/// JSON pointers of everything in a document.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut go = |key: &str, inner: &Value| {
        let pointer = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        found.push(pointer.clone());
        pointers(inner, &pointer, found);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, inner)| go(key, inner)),
        Value::Array(elements) => elements.iter().enumerate().for_each(|(index, inner)| go(&index.to_string(), inner)),
        _ => {}
    }
}

/// Every value of the default document in turn becomes something else: success or a clean failure, never a crash.
#[test]
fn every_value_becomes_another() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.set("/hostname", json!("host"));
    let mut all = Vec::new();
    pointers(bundle.document(), "", &mut all);
    let original = bundle.document().clone();
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(u64::MAX),
        json!(1.5),
        json!(""),
        json!("\u{0}"),
        json!([]),
        json!({}),
        json!([[]]),
        json!("x".repeat(10_000)),
    ];
    let step = if std::env::var_os("INSULA_SWEEP").is_some() { 1 } else { 3 };
    for (number, pointer) in all.iter().enumerate() {
        for (other, value) in others.iter().enumerate() {
            if (number + other) % step != 0 {
                continue;
            }
            let mut document = original.clone();
            *document.pointer_mut(pointer).expect("it is there") = value.clone();
            bundle.write_raw(document.to_string());
            let container = lab.container(&bundle);
            let output = container.create();
            assert!([0, 1].contains(&output.code()), "{pointer} = {value:.40}: {output}");
            assert!(output.code() == 0 || !output.stderr.trim().is_empty(), "{pointer} = {value:.40}: no word");
            if value == "\u{0}" && original.pointer(pointer).is_some_and(Value::is_string) {
                assert_eq!(output.code(), 1, "a zero byte is accepted at {pointer}");
            }
        }
    }
}

/// Documents that are too deep, too long, cut short, or no JSON.
#[test]
fn monstrous_documents() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let text = bundle.document().to_string();
    let deep = |n: usize| format!("{{\"x\":{}{},{}", "[".repeat(n), "]".repeat(n), &text[1..]);
    // Passed over without being followed, or refused.
    bundle.write_raw(deep(200_000));
    for debug in [false, true] {
        let line = if debug { lab.insula().arg("--debug") } else { lab.insula() };
        let output = line.args(["run", "--bundle"]).arg(bundle.path()).arg(lab.fresh_id()).run();
        assert!([0, 1].contains(&output.code()) && output.elapsed < Duration::from_secs(3), "{output:.300}");
    }
    let cases: Vec<Vec<u8>> = vec![
        vec![b'['; 5_000_000],
        vec![b'{'; 100_000],
        [text.as_bytes(), b"{}"].concat(),
        [b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat(),
        text.replace("\"1.", "\"\\ud800").into_bytes(),
        text.replacen("\"readonly\":true", "\"readonly\":1e400", 1).replace("\"sleep", "\"").into_bytes(),
        b"".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        vec![0; 4096],
        format!("{{\"ociVersion\":\"{}\"}}", "1".repeat(70_000_000)).into_bytes(),
    ];
    for case in cases {
        bundle.write_raw(&case);
        let output = lab.container(&bundle).run();
        let start = String::from_utf8_lossy(&case[..case.len().min(40)]).into_owned();
        assert_eq!(output.code(), 1, "{start:?}: {output:.300}");
        assert!(output.elapsed < Duration::from_secs(3), "{start:?}: {:?}", output.elapsed);
        assert!(output.stderr.len() < 10_000, "{start:?}: a short message");
    }
}

/// Many of everything, in linear time.
#[test]
fn documents_with_many_entries() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    let groups: Vec<_> = (0..60_000).collect();
    bundle.set("/process/user/additionalGids", json!(groups));
    bundle.shell("grep ^Groups: /proc/self/status | wc -w");
    let output = lab.container(&bundle).run();
    assert!(output.code() == 1 || output.text() == "60001", "{output:.300}");
    bundle.set("/process/user/additionalGids", json!([]));
    let arguments: Vec<_> = std::iter::once("true".to_owned()).chain((0..20_000).map(|n| n.to_string())).collect();
    bundle.set("/process/args", json!(arguments));
    lab.container(&bundle).run().assert_code(0);
    bundle.args(&["true"]);
    for number in 0..300 {
        bundle.tmpfs(&format!("/mnt/{number}"), &[]);
    }
    let output = lab.container(&bundle).run();
    output.assert_code(0);
    assert!(output.elapsed < Duration::from_secs(3), "{:?}", output.elapsed);
}
