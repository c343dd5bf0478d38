// SPDX-License-Identifier: Apache-2.0
//! Two callers at once, and process numbers that are given away again. Some of it runs in a pid namespace with a hundred
//! numbers, where each is another process's within moments.
//!
//! `INSULA_LONG=1` makes it 1,000 rounds of pairs and 50 of sixteen; 100 and 5 otherwise.

use insula_tests::{Bundle, Container, Lab, Snapshot, json, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long any one command may take here.
const PROMPT: Duration = Duration::from_secs(15);

/// Says that this is the test program in its small pid namespace.
const INSIDE: &str = "INSULA_FEW_NUMBERS";

fn rounds(few: u32, many: u32) -> u32 {
    if std::env::var_os("INSULA_LONG").is_some() { many } else { few }
}

/// Adds a line to the file `$INSULA_FAULTS`, for reports.
fn note(line: &str) {
    if let Some(path) = std::env::var_os("INSULA_FAULTS") {
        let mut file = fs::File::options().create(true).append(true).open(path).expect("open $INSULA_FAULTS");
        writeln!(file, "{line}").expect("write to $INSULA_FAULTS");
    }
}

fn sleeper(lab: &Lab) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    bundle
}

/// Whether pid_max belongs to the pid namespace (Linux 6.14); before, it would be the host's.
fn has_own_pid_max() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(14))
}

/// Whether this is inside; else runs the named test there, and says false.
#[track_caller]
fn among_few_numbers(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        fs::write("/proc/sys/kernel/pid_max", "420").expect("few numbers");
        return true;
    }
    let own = std::env::current_exe().expect("this program's path");
    // A shell as the first process takes up orphans.
    let output = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", "\"$0\" \"$@\"; exit $?"])
        .arg(own)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

/// Processes that come and go, and that nobody may signal.
struct Strangers {
    stop: Arc<AtomicBool>,
    lived: Arc<AtomicU32>,
    thread: std::thread::JoinHandle<Vec<String>>,
}

impl Strangers {
    fn start() -> Self {
        let (stop, lived) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&lived));
        let thread = std::thread::spawn(move || {
            let mut hit = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let spawn = |_| Command::new("/bin/sleep").arg("0.01").stdin(Stdio::null()).spawn().ok();
                let batch: Vec<_> = (0..8).filter_map(spawn).collect();
                for mut stranger in batch {
                    let pid = stranger.id();
                    let status = stranger.wait().expect("wait for a stranger");
                    count.fetch_add(1, Ordering::Relaxed);
                    if !status.success() {
                        hit.push(format!("{pid}: {status}"));
                    }
                }
            }
            hit
        });
        Self { stop, lived, thread }
    }

    fn end(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        let hit = self.thread.join().expect("the strangers' thread");
        assert!(hit.is_empty(), "strangers were signalled: {hit:?}");
        self.lived.load(Ordering::Relaxed)
    }
}

/// Of sixteen that create the same id, one succeeds, and the others say why they do not.
#[test]
fn sixteen_create_one_id() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let before = Snapshot::take(&lab);
    for round in 0..rounds(5, 50) {
        let container = lab.container(&bundle);
        let path = bundle.path().to_str().expect("paths are text");
        let create = |_| lab.words(&["create", "--bundle", path, container.id()]).within(PROMPT).start();
        let all: Vec<_> = (0..16).map(create).collect();
        let ended: Vec<_> = all.into_iter().map(insula_tests::Background::wait).collect();
        let won = ended.iter().filter(|output| output.code() == 0).count();
        assert_eq!(won, 1, "round {round}");
        ended.iter().filter(|output| output.code() != 0).for_each(|output| output.fails_with(&["already exists"]));
        assert_eq!(container.status(), "created");
        container.delete_force().assert_code(0);
        before.assert_clean(&lab);
    }
    note(&format!("sixteen create one id: {} rounds, one succeeded each time", rounds(5, 50)));
}

/// Commands on one container at the same time, and whether it is running before.
const PAIRS: [(&[&str], &[&str], bool); 9] = [
    (&["delete", "--force", "ID"], &["start", "ID"], false),
    (&["exec", "--detach", "ID", "sleep", "60"], &["kill", "ID", "KILL"], true),
    (&["update", "--memory", "64m", "ID"], &["delete", "--force", "ID"], true),
    (&["pause", "ID"], &["delete", "--force", "ID"], true),
    (&["exec", "--detach", "ID", "sleep", "60"], &["delete", "--force", "ID"], true),
    (&["pause", "ID"], &["resume", "ID"], true),
    (&["kill", "ID", "TERM"], &["delete", "--force", "ID"], true),
    (&["delete", "--force", "ID"], &["delete", "--force", "ID"], true),
    (&["start", "ID"], &["kill", "ID", "KILL"], false),
];

/// No pair of commands waits for each other, none signals a stranger, and one deletion cleans up.
#[test]
fn pairs_of_commands() {
    if !has_own_pid_max() {
        skip!("pid_max is the host's before Linux 6.14");
    }
    if !among_few_numbers("pairs_of_commands") {
        return;
    }
    let strangers = Strangers::start();
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let before = Snapshot::take(&lab);
    let mut chance = 0x2545_f491_u32;
    for round in 0..rounds(100, 1000) {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (one, other, running) = PAIRS[(chance >> 16) as usize % PAIRS.len()];
        let container = lab.container(&bundle);
        if running {
            detached(&container);
        } else {
            container.create().assert_code(0);
        }
        let begin = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| if *word == "ID" { container.id() } else { word }).collect();
            lab.words(&words).within(PROMPT).start()
        };
        let (first, second) = if chance & 1 == 0 { (one, other) } else { (other, one) };
        let started = begin(first);
        std::thread::sleep(Duration::from_micros(u64::from(chance >> 8 & 0xfff)));
        for output in [begin(second).wait(), started.wait()] {
            assert!([0, 1, 255].contains(&output.code()), "round {round}: {output}");
        }
        container.delete_force().assert_code(0);
        if round % 10 == 0 {
            before.assert_clean(&lab);
        }
    }
    before.assert_clean(&lab);
    let lived = strangers.end();
    let rounds = rounds(100, 1000);
    note(&format!("pairs of commands: {rounds} rounds, {lived} strangers came and went, none was signalled"));
    assert!(lived > 200, "only {lived} strangers: the numbers were not used again");
}

fn detached(container: &Container<'_>) {
    container.finish(container.launch("run").arg("--detach")).assert_code(0);
}

/// The number of a container's first process is another's now: it is neither shown as the container's, entered, paused
/// nor signalled.
#[test]
fn a_number_given_to_another() {
    if !has_own_pid_max() {
        skip!("the numbers of the host are not ours to set");
    }
    if !among_few_numbers("a_number_given_to_another") {
        return;
    }
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    for started in [true, false] {
        let container = lab.container(&bundle).created();
        if started {
            container.start().assert_code(0);
        }
        let pid = container.pid();
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("kill init");
        let deadline = Instant::now() + PROMPT;
        while fs::exists(format!("/proc/{pid}")).expect("look at /proc") {
            assert!(Instant::now() < deadline, "nobody takes up process {pid}");
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut stranger = loop {
            fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).expect("choose the next number");
            let mut one = Command::new("/bin/sleep").arg("60").spawn().expect("start a stranger");
            if i32::try_from(one.id()) == Ok(pid) {
                break one;
            }
            one.kill().and_then(|()| one.wait()).expect("end a stranger with another number");
        };
        assert_eq!(container.status(), "stopped");
        let refused: [&[&str]; 6] = [
            &["exec", container.id(), "true"],
            &["pause", container.id()],
            &["start", container.id()],
            &["kill", container.id(), "KILL"],
            &["kill", "--all", container.id(), "KILL"],
            &["resume", container.id()],
        ];
        for words in refused {
            let output = lab.words(words).run();
            // A signal to all of an empty cgroup reaches nobody, which is well.
            assert!(output.code() != 0 || words.contains(&"--all"), "{output}");
        }
        container.delete_force().assert_code(0);
        assert!(stranger.try_wait().expect("look at the stranger").is_none(), "the stranger was hit");
        stranger.kill().and_then(|()| stranger.wait()).expect("end the stranger");
    }
}

/// A hook that never ends, and has no timeout, ends with the command that runs it.
#[test]
fn a_hook_without_end() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    let endless = lab.script("endless", "echo here >&2; sleep 1000 & sleep 1000");
    for list in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"] {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            let mut bundle = sleeper(&lab);
            // In the container's namespaces there is no other program than busybox.
            let hook = if list.contains("Container") {
                let shell = if list == "createContainer" { "/bin/sh" } else { "/bin/busybox" };
                json!([{"path": shell, "args": ["sh", "-c", "sleep 1000 & sleep 1000"]}])
            } else {
                json!([{"path": endless.to_str().expect("paths are text")}])
            };
            bundle.set(&format!("/hooks/{list}"), hook);
            let container = lab.container(&bundle);
            let run = container.launch("run").arg("--detach").arg(container.id()).within(PROMPT).start();
            let note = lab.state_root().join(container.id()).join("hook");
            insula_tests::eventually("the hook to run", || note.exists().then_some(()));
            std::thread::sleep(Duration::from_millis(5));
            kill(Pid::from_raw(run.pid()), signal).expect("signal the command");
            let output = run.wait();
            output.fails_with(&["interrupted"]);
            assert!(output.elapsed < PROMPT, "{output}");
            // Nothing is left, without a deletion.
            before.assert_clean(&lab);
        }
    }
}
