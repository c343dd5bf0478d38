// SPDX-License-Identifier: Apache-2.0
//! `insula try`: a program in its own eight namespaces, without a bundle, as root and as an ordinary user.

use insula_tests::terminal::Terminal;
use insula_tests::{Invocation, KINDS, Lab, is_insula, own_identities, populate_rootfs, runtime, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;

/// A user of the host without a name or rights.
const USER: u32 = 61_234;

/// Ends the test with a reason unless the runtime has the command.
macro_rules! needs_try {
    () => {
        if !is_insula() {
            skip!("only insula has the command try");
        }
    };
}

/// `insula try` with `options`, as root.
fn try_as_root(lab: &Lab, words: &[&str]) -> Invocation {
    lab.insula().arg("try").args(words)
}

/// `insula try` with `words` as an ordinary user who owns a home directory in the lab.
fn try_as_user(lab: &Lab, words: &[&str]) -> Invocation {
    let home = home(lab);
    // The build may be in a directory that the user cannot enter.
    let program = home.join("insula");
    if !program.exists() {
        fs::copy(runtime(), &program).expect("copy the runtime");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("make it executable");
    }
    let id = USER.to_string();
    lab.command("setpriv")
        .args(["--reuid", &id, "--regid", &id, "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"])
        .arg(program)
        .arg("try")
        .args(words)
        .env("HOME", &home)
        .env("XDG_RUNTIME_DIR", &home)
        .env("TMPDIR", &home)
        .current_dir(&home)
}

fn home(lab: &Lab) -> PathBuf {
    let home = lab.path("home");
    if !home.exists() {
        fs::create_dir(&home).expect("make a home directory");
        chown(&home, Some(USER), Some(USER)).expect("give it to the user");
    }
    home
}

/// The eight links of a process, `kind:[inode]` each.
const LINKS: &str = "for kind in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$kind; done";

#[track_caller]
fn assert_all_differ(printed: &str) {
    let own = own_identities();
    let lines: Vec<_> = printed.lines().filter(|line| line.contains(":[")).collect();
    assert_eq!(lines.len(), 8, "{printed}");
    for (kind, name) in KINDS {
        let line = lines.iter().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {kind}: {printed}"));
        assert_ne!(**line, format!("{name}:[{}]", own[kind].inode), "the {kind} namespace is the host's");
    }
}

/// `ps aux` must start at process 1 and show nothing of the host.
#[track_caller]
fn assert_own_processes_only(printed: &str) {
    let pids: Vec<u32> =
        printed.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)?.parse().ok()).collect();
    assert_eq!(pids.first(), Some(&1), "{printed}");
    assert!(pids.len() <= 4, "only its own processes: {printed}");
}

#[test]
fn the_readmes_first_command() {
    needs_try!();
    let lab = Lab::new();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("read the host's name");
    for user in [false, true] {
        let start = |words: &[&str]| if user { try_as_user(&lab, words) } else { try_as_root(&lab, words) };
        let name = start(&["--", "hostname"]).ok();
        assert_ne!(name.stdout, host, "the container has its own name");
        assert!(!name.text().is_empty());
        assert_own_processes_only(&start(&["--", "ps", "aux"]).ok().stdout);
        assert_all_differ(&start(&["--", "sh", "-c", LINKS]).ok().stdout);
        // The dashes are optional, and the command's options are its own.
        assert_eq!(start(&["echo", "-n", "--report"]).ok().stdout, "--report");
    }
}

#[test]
fn exit_status_and_standard_streams_pass_through() {
    needs_try!();
    let lab = Lab::new();
    for user in [false, true] {
        let start = |words: &[&str]| if user { try_as_user(&lab, words) } else { try_as_root(&lab, words) };
        start(&["sh", "-c", "exit 42"]).run().assert_code(42);
        let output = start(&["sh", "-c", "cat; echo error >&2"]).stdin_text("input\n").ok();
        assert_eq!((&*output.stdout, &*output.stderr), ("input\n", "error\n"));
        let missing = start(&["nosuchprogram"]).run();
        assert_ne!(missing.code(), 0);
        missing.says(&["exec: \"nosuchprogram\": executable file not found in $PATH"]);
    }
}

/// A directory on the host's own root file system that can be spared, if the command should write through after all.
struct Sacrifice(PathBuf);

impl Sacrifice {
    fn new(lab: &Lab) -> Self {
        let path = PathBuf::from("/var/tmp").join(format!("sacrifice-{}", lab.name()));
        fs::create_dir(&path).expect("make a directory");
        for name in ["changed", "removed"] {
            fs::write(path.join(name), "original\n").expect("write a file");
        }
        Self(path)
    }

    /// Its names and contents.
    fn content(&self) -> Vec<(String, String)> {
        let entries = fs::read_dir(&self.0).expect("read the directory").flatten();
        let read = |entry: fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read_to_string(entry.path()).unwrap_or_default())
        };
        let mut content: Vec<_> = entries.map(read).collect();
        content.sort();
        content
    }
}

impl Drop for Sacrifice {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("remove the directory");
    }
}

#[test]
fn nothing_written_survives() {
    needs_try!();
    let lab = Lab::new();
    let sacrifice = Sacrifice::new(&lab);
    let before = sacrifice.content();
    let script = format!(
        "cd {} && echo more >> changed && cat changed && rm removed && echo new > made && mkdir directory && ls",
        sacrifice.0.display()
    );
    let output = try_as_root(&lab, &["--", "sh", "-c", &script]).ok();
    assert_eq!(
        output.stdout, "original\nmore\nchanged\ndirectory\nmade\n",
        "inside, the host's files can be changed freely"
    );
    assert_eq!(sacrifice.content(), before, "and outside, nothing has changed");
    // Nor does the next one see it.
    try_as_root(&lab, &["--", "test", "-e", sacrifice.0.join("made").to_str().expect("text")]).run().assert_code(1);
}

#[test]
fn an_ordinary_user_writes_into_a_copy_too() {
    needs_try!();
    let lab = Lab::new();
    let file = home(&lab).join("file");
    fs::write(&file, "original\n").expect("write a file");
    chown(&file, Some(USER), Some(USER)).expect("give it to the user");
    let name = format!("{}-made", lab.name());
    let output =
        try_as_user(&lab, &["--", "sh", "-c", &format!("id -u; cd /tmp && echo made > {name} && cat {name}")]).ok();
    assert_eq!(output.stdout, "0\nmade\n", "root of its own user namespace: {output}");
    assert!(!fs::exists(format!("/tmp/{name}")).expect("look"));
    assert_eq!(fs::read_to_string(&file).expect("read the file"), "original\n");
}

#[test]
fn a_host_name_of_choice() {
    needs_try!();
    let lab = Lab::new();
    for user in [false, true] {
        let words = ["--hostname", "island", "--", "hostname"];
        let output = if user { try_as_user(&lab, &words) } else { try_as_root(&lab, &words) }.ok();
        assert_eq!(output.stdout, "island\n");
    }
}

#[test]
fn a_root_of_choice() {
    needs_try!();
    let lab = Lab::new();
    let rootfs = lab.path("chosen");
    populate_rootfs(&rootfs);
    let path = rootfs.to_str().expect("paths are text");
    let output = try_as_root(&lab, &["--rootfs", path, "--", "sh", "-c", "ls /; ps aux | wc -l"]).ok();
    assert!(output.stdout.starts_with("bin\ndev\netc\nmnt\nproc\n"), "{output}");
    assert_all_differ(&try_as_root(&lab, &["--rootfs", path, "--", "sh", "-c", LINKS]).ok().stdout);
    let nowhere = try_as_root(&lab, &["--rootfs", "/nosuch/root", "--", "true"]).run();
    nowhere.fails_with(&["/nosuch/root"]);
}

#[test]
fn a_read_only_root() {
    needs_try!();
    let lab = Lab::new();
    for user in [false, true] {
        let words = ["--ro", "--", "sh", "-c", "touch /var/tmp/made-by-insula-try 2>&1 || echo refused"];
        let output = if user { try_as_user(&lab, &words) } else { try_as_root(&lab, &words) }.ok();
        assert!(output.stdout.ends_with("refused\n"), "{output}");
        assert!(output.stdout.contains("Read-only file system"), "{output}");
    }
}

#[test]
fn the_report() {
    needs_try!();
    let lab = Lab::new();
    for user in [false, true] {
        let words = ["--report", "--", "true"];
        let output = if user { try_as_user(&lab, &words) } else { try_as_root(&lab, &words) }.ok();
        let report = format!("{}{}", output.stdout, output.stderr);
        for (kind, identity) in own_identities() {
            let row = report.lines().find(|line| line.split_whitespace().next() == Some(kind));
            let row = row.unwrap_or_else(|| panic!("the report lacks {kind}: {report}"));
            assert!(row.contains(&identity.inode.to_string()), "the host's {kind} identity is missing: {row}");
            let numbers = row.split(|c: char| !c.is_ascii_digit()).filter(|word| word.len() >= 9).count();
            assert!(numbers >= 2, "host and container, side by side: {row}");
        }
    }
}

#[test]
fn a_shell_on_a_terminal() {
    needs_try!();
    let lab = Lab::new();
    let (mut terminal, slave) = Terminal::new(40, 120);
    let start = lab.command("setsid").args(["--wait", "--ctty"]).arg(runtime()).arg("--root").arg(lab.state_root());
    let running = start.arg("try").env("PS1", "$ ").stdin(slave.stdio()).output_to(|| slave.stdio());
    drop(slave);
    terminal.write("stty size; tty; echo sum-$((40+2)); echo pid-$$\n");
    let seen = terminal.read_until("pid-1");
    assert!(seen.contains("sum-42") && seen.contains("40 120") && seen.contains("/dev/pts/0"), "{seen:?}");
    terminal.write("exit 9\n");
    running.wait().assert_code(9);
}

#[test]
fn without_a_terminal_a_command_is_needed() {
    needs_try!();
    let lab = Lab::new();
    let output = try_as_root(&lab, &[]).run();
    // Either a usage error, or a shell that ends with its empty input.
    assert!([0, 1].contains(&output.code()), "{output}");
    try_as_root(&lab, &["--nosuchoption", "true"]).run().fails_with(&["nosuchoption"]);
}

#[test]
fn the_container_is_gone_afterwards() {
    needs_try!();
    let lab = Lab::new();
    try_as_root(&lab, &["--", "sh", "-c", "sleep 300 & echo started"]).ok();
    let listed = lab.words(&["list", "--quiet"]).run();
    assert_eq!(listed.stdout, "");
    // The lab's own check finds the sleeping process, the overlay and the cgroups, if they are left.
}

#[test]
fn signals_are_passed_on() {
    needs_try!();
    let lab = Lab::new();
    let script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let running = try_as_root(&lab, &["--", "sh", "-c", script]).start();
    insula_tests::eventually("the program to run", || running.stdout().contains("ready").then_some(()));
    kill(Pid::from_raw(running.pid()), Signal::SIGTERM).expect("signal the command");
    running.wait().assert_code(5);
}
