// SPDX-License-Identifier: Apache-2.0
//! What systemd is asked, by a bus that only pretends to be one: it makes the directory, moves the process, and keeps
//! every message. Source: the D-Bus specification; org.freedesktop.systemd1(5).

use insula_tests::{Lab, cgroups, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

/// A call: its method, and the message as it came.
type Calls = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// How the bus behaves.
#[derive(Clone)]
struct Play {
    /// Where the unit's directory is to be: the hierarchy by which systemd tracks processes.
    slice: PathBuf,
    /// How jobs end.
    result: &'static str,
    /// An error instead of an answer to StartTransientUnit.
    refusal: Option<&'static str>,
    /// Bytes that are sent instead of any answer after the authentication.
    garbage: Option<&'static [u8]>,
}

struct Bus {
    calls: Calls,
    slice: String,
    directory: PathBuf,
}

impl Bus {
    fn start(lab: &mut Lab, change: impl FnOnce(&mut Play)) -> Self {
        let slice = format!("{}.slice", lab.name().replace('-', "_"));
        let tracking = cgroups::hierarchies()
            .into_iter()
            .find(|one| one.controllers.iter().any(|name| name == "name=systemd"))
            .or_else(|| cgroups::hierarchies().into_iter().find(|one| one.controllers.is_empty()))
            .expect("a hierarchy to track processes in");
        let directory = tracking.mount.join(&slice);
        let mut play = Play { slice: directory.clone(), result: "done", refusal: None, garbage: None };
        change(&mut play);
        let path = lab.path("bus");
        let listener = UnixListener::bind(&path).expect("make the bus");
        lab.by_systemd(&format!("unix:path={}", path.display()));
        let calls = Calls::default();
        let kept = calls.clone();
        // It ends with the test: nobody connects any more, and the process goes.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                serve(client, &play, &kept);
            }
        });
        Self { calls, slice, directory }
    }

    fn methods(&self) -> Vec<String> {
        self.calls.lock().expect("the bus is well").iter().map(|(method, _)| method.clone()).collect()
    }

    fn message(&self, method: &str) -> Vec<u8> {
        let calls = self.calls.lock().expect("the bus is well");
        calls.iter().find(|(is, _)| is == method).map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        for hierarchy in cgroups::hierarchies() {
            cgroups::remove_tree(&hierarchy.mount.join(&self.slice));
        }
        cgroups::remove_tree(&self.directory);
    }
}

fn serve(mut client: UnixStream, play: &Play, calls: &Calls) {
    let mut received = Vec::new();
    let begin = b"BEGIN\r\n";
    let end = loop {
        if let Some(at) = find(&received, begin) {
            break at + begin.len();
        }
        if !more(&mut client, &mut received) {
            return;
        }
    };
    assert!(received.starts_with(b"\0AUTH EXTERNAL\r\nDATA\r\n"), "the authentication");
    let _hung_up = client.write_all(b"DATA\r\nOK 00112233445566778899aabbccddeeff\r\n");
    received.drain(..end);
    let mut serial = 0;
    loop {
        let Some(length) = received.get(..16).map(whole_length) else {
            if more(&mut client, &mut received) {
                continue;
            }
            return;
        };
        if received.len() < length {
            if !more(&mut client, &mut received) {
                return;
            }
            continue;
        }
        let message: Vec<u8> = received.drain(..length).collect();
        if let Some(garbage) = play.garbage {
            let _hung_up = client.write_all(garbage);
            return;
        }
        let method = field(&message, 3);
        calls.lock().expect("the bus is well").push((method.clone(), message.clone()));
        for answer in answers(&method, &message, play, &mut serial) {
            if client.write_all(&answer).is_err() {
                return;
            }
        }
    }
}

fn more(client: &mut UnixStream, received: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    let length = client.read(&mut buffer).unwrap_or(0);
    received.extend_from_slice(&buffer[..length]);
    length > 0
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn number(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

fn whole_length(head: &[u8]) -> usize {
    (16 + number(head, 12)).next_multiple_of(8) + number(head, 4)
}

/// A text in the header, by its number.
fn field(message: &[u8], code: u8) -> String {
    let at = find(&message[16..], &[code, 1, b's', 0]).expect("the field is there") + 16 + 4;
    let length = number(message, at);
    String::from_utf8_lossy(&message[at + 4..at + 4 + length]).into_owned()
}

/// The first text of the body: a unit's name.
fn first_text(message: &[u8]) -> String {
    let body = &message[(16 + number(message, 12)).next_multiple_of(8)..];
    if body.is_empty() {
        return String::new();
    }
    String::from_utf8_lossy(&body[4..4 + number(body, 0)]).into_owned()
}

fn answers(method: &str, message: &[u8], play: &Play, serial: &mut u32) -> Vec<Vec<u8>> {
    let to = number(message, 8) as u32;
    let mut make = |kind: u8, fields: &[(u8, &str, &str)], body: &[&str], first: Option<u32>| {
        *serial += 1;
        encode(kind, *serial, (kind != 4).then_some(to), fields, body, first)
    };
    let removed = [
        (1, "o", "/org/freedesktop/systemd1"),
        (2, "s", "org.freedesktop.systemd1.Manager"),
        (3, "s", "JobRemoved"),
        (7, "s", ":1.9"),
        (8, "g", "uoss"),
    ];
    let stranger = [removed[0], removed[1], removed[2], (7, "s", ":1.66"), removed[4]];
    let job = "/org/freedesktop/systemd1/job/1";
    let unit = first_text(message);
    let directory = play.slice.join(&unit);
    match method {
        "Hello" => vec![make(2, &[(7, "s", "org.freedesktop.DBus"), (8, "g", "s")], &[":1.5"], None)],
        // A variant with a text: its signature stands before it.
        "Get" => {
            *serial += 1;
            vec![encode_variant(*serial, to, "255 (255.4)")]
        }
        "StartTransientUnit" => {
            if let Some(name) = play.refusal {
                return vec![make(3, &[(4, "s", name), (7, "s", ":1.9"), (8, "g", "s")], &["no, said the bus"], None)];
            }
            fs::create_dir_all(&directory).expect("make the unit's directory");
            let at = find(message, b"PIDs\0").expect("a process is given") + 5;
            let at = (at + find(&message[at..], b"\x02au\0").expect("as a list") + 4).next_multiple_of(4);
            assert_eq!(number(message, at), 4, "one process");
            let pid = number(message, at + 4);
            fs::write(directory.join("cgroup.procs"), pid.to_string()).expect("move the process");
            vec![
                make(2, &[(7, "s", ":1.9"), (8, "g", "o")], &[job], None),
                // Somebody else says so, and of another job: neither counts.
                make(4, &stranger, &[job, &unit, "failed"], Some(1)),
                make(4, &removed, &["/org/freedesktop/systemd1/job/7", "other.scope", "failed"], Some(7)),
                make(4, &removed, &[job, &unit, play.result], Some(1)),
            ]
        }
        "StopUnit" => {
            cgroups::remove_tree(&directory);
            vec![
                make(2, &[(7, "s", ":1.9"), (8, "g", "o")], &[job], None),
                make(4, &removed, &[job, &unit, "done"], Some(1)),
            ]
        }
        _ => vec![make(2, &[(7, "s", ":1.9")], &[], None)],
    }
}

fn pad(out: &mut Vec<u8>, to: usize) {
    out.resize(out.len().next_multiple_of(to), 0);
}

fn text(out: &mut Vec<u8>, text: &str) {
    pad(out, 4);
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

fn head(kind: u8, serial: u32, reply_to: Option<u32>, fields: &[(u8, &str, &str)], body: &[u8]) -> Vec<u8> {
    let mut list = Vec::new();
    if let Some(serial) = reply_to {
        list.extend_from_slice(&[5, 1, b'u', 0]);
        list.extend_from_slice(&serial.to_le_bytes());
    }
    for (code, signature, value) in fields {
        pad(&mut list, 8);
        list.extend_from_slice(&[*code, 1, signature.as_bytes()[0], 0]);
        if *signature == "g" {
            list.push(value.len() as u8);
            list.extend_from_slice(value.as_bytes());
            list.push(0);
        } else {
            text(&mut list, value);
        }
    }
    let mut out = vec![b'l', kind, 0, 1];
    for number in [body.len() as u32, serial, list.len() as u32] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&list);
    pad(&mut out, 8);
    out.extend_from_slice(body);
    out
}

fn encode(
    kind: u8,
    serial: u32,
    reply_to: Option<u32>,
    fields: &[(u8, &str, &str)],
    body: &[&str],
    first: Option<u32>,
) -> Vec<u8> {
    let mut bytes = first.map(|number| number.to_le_bytes().to_vec()).unwrap_or_default();
    for value in body {
        text(&mut bytes, value);
    }
    head(kind, serial, reply_to, fields, &bytes)
}

fn encode_variant(serial: u32, reply_to: u32, value: &str) -> Vec<u8> {
    let mut body = vec![1, b's', 0];
    text(&mut body, value);
    head(2, serial, Some(reply_to), &[(7, "s", ":1.9"), (8, "g", "v")], &body)
}

fn has(message: &[u8], parts: &[&str]) {
    for part in parts {
        assert!(find(message, part.as_bytes()).is_some(), "no {part:?} in {}", String::from_utf8_lossy(message));
    }
}

#[test]
fn a_container_asks_for_its_unit_and_takes_it_back() {
    let mut lab = Lab::new();
    let bus = Bus::start(&mut lab, |_| {});
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]).set("/linux/cgroupsPath", json!(format!("{}:engine:{}", bus.slice, lab.name())));
    bundle.set("/linux/resources", json!({"pids": {"limit": 77}, "cpu": {"quota": 4001, "period": 10_000}}));
    bundle.set("/annotations", json!({"org.systemd.property.TimeoutStopSec": "3"}));
    let container = lab.container(&bundle).created();
    let unit = format!("engine-{}.scope", lab.name());
    let asked = ["Hello", "AddMatch", "Subscribe", "StartTransientUnit", "Get", "SetUnitProperties"];
    assert_eq!(bus.methods(), asked);
    let start = bus.message("StartTransientUnit");
    has(&start, &[&unit, "replace", "Slice", &bus.slice, "Delegate", "DefaultDependencies", "TasksAccounting"]);
    has(&start, &["TimeoutStopUSec"]);
    let set = bus.message("SetUnitProperties");
    has(
        &set,
        &[&unit, "TasksMax", "CPUQuotaPerSecUSec", "CPUQuotaPeriodUSec", "DevicePolicy", "strict", "/dev/char/1:3"],
    );
    let members = fs::read_to_string(bus.directory.join(&unit).join("cgroup.procs")).expect("the directory is there");
    assert_eq!(members.trim(), container.pid().to_string(), "init, and no placeholder any more");
    let state = fs::read_to_string(lab.state_root().join(container.id()).join("state.json")).expect("read the record");
    assert!(state.contains(&format!("@system:{unit}")), "{state}");
    container.delete_force().assert_code(0);
    assert_eq!(bus.methods()[asked.len()..], ["Hello", "AddMatch", "Subscribe", "StopUnit", "ResetFailedUnit"]);
    assert!(!bus.directory.join(&unit).exists());
}

#[test]
fn a_bus_that_does_not_do_it_leaves_nothing() {
    type Change = fn(&mut Play);
    let plays: [(Change, &str); 4] = [
        (|play| play.result = "failed", "\"failed\""),
        (|play| play.refusal = Some("org.freedesktop.DBus.Error.AccessDenied"), "no, said the bus"),
        (|play| play.garbage = Some(b"garbage garbage garbage garbage"), "malformed"),
        (|play| play.garbage = Some(b""), "hung up"),
    ];
    for (change, words) in plays {
        let mut lab = Lab::new();
        let bus = Bus::start(&mut lab, change);
        let mut bundle = lab.bundle();
        bundle.set("/linux/cgroupsPath", json!(format!("{}:engine:{}", bus.slice, lab.name())));
        let container = lab.container(&bundle);
        container.create().fails_with(&[words]);
        assert!(!lab.state_root().join(container.id()).exists(), "{words}: the id is free again");
    }
}
