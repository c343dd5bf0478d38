// SPDX-License-Identifier: Apache-2.0
//! What each flag brings about. Where CRIU refuses without the flag, that is asserted too.

use crate::counter::{
    await_file, beside, checkpoint, count, counter, counting, goes_on_from, images, is_gone, needs_criu, restore,
    restored, there_and_back,
};
use insula_tests::terminal::Terminal;
use insula_tests::{Container, Lab, eventually};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[test]
fn images_and_logs_are_where_they_are_wanted() {
    needs_criu!();
    let lab = Lab::new();
    let container = counter(&lab, |bundle| bundle);
    container.command("checkpoint").arg("--leave-running").current_dir(lab.path("")).ok();
    let default = lab.path("checkpoint");
    assert!(default.join("inventory.img").exists() && default.join("dump.log").exists());

    let work = lab.path("work/below");
    checkpoint(&lab, &container).arg("--work-path").arg(&work).ok();
    assert!(images(&lab).join("inventory.img").exists() && !images(&lab).join("dump.log").exists());
    assert!(work.join("dump.log").exists() && !work.join("inventory.img").exists());
    restored(&lab, &container, &["--work-path", work.to_str().expect("text")]);
    assert!(work.join("restore.log").exists() && !images(&lab).join("restore.log").exists());
}

/// Without the flag CRIU refuses with `word` and the container goes on; with it, it is there again.
#[track_caller]
fn only_with(lab: &Lab, container: &Container<'_>, flag: &str, word: &str) {
    checkpoint(lab, container).run().fails_with(&[word]);
    assert_eq!(container.status(), "running");
    there_and_back(lab, container, &[flag]);
}

#[test]
fn an_established_connection_goes_on() {
    needs_criu!();
    let lab = Lab::new();
    let container = counter(&lab, |bundle| bundle);
    beside(&container, "while :; do cat /counter/i; sleep 0.2; done | nc -l -p 7000");
    // With the end of its input it would close its half.
    beside(
        &container,
        "mkfifo /counter/never; until nc 127.0.0.1 7000 <>/counter/never >/counter/received; do sleep 0.2; done",
    );
    await_file(&container, "/counter/received");
    only_with(&lab, &container, "--tcp-established", "Connected TCP socket");
    let received = || container.inside("tail -n 1 /counter/received").trim().parse::<u64>().unwrap_or_default();
    let now = count(&container);
    eventually("later words over the old connection", || (received() > now).then_some(()));
    assert!(container.inside("cat /proc/net/tcp").contains(":1B58 "), "the connection is there");
}

#[test]
fn a_socket_whose_other_end_is_the_hosts() {
    needs_criu!();
    let lab = Lab::new();
    let place = lab.path("socket");
    fs::create_dir(&place).expect("a directory");
    let (listening, ours) = (UnixDatagram::bind(place.join("log")).expect("bind"), UnixDatagram::unbound());
    let ours = ours.expect("a socket");
    ours.connect(place.join("log")).expect("connect");
    // Somebody must listen at all times: the counter waits once the socket is full.
    let received = Arc::new(AtomicU64::new(0));
    let noted = Arc::clone(&received);
    std::thread::spawn(move || {
        let mut buffer = [0; 32];
        while let Ok(length) = listening.recv(&mut buffer) {
            let number = std::str::from_utf8(&buffer[..length]).ok().and_then(|text| text.trim().parse().ok());
            noted.store(number.unwrap_or_default(), Ordering::Relaxed);
        }
    });
    let mut bundle = counting(&lab);
    // It belongs to the network in which it was made, and has the same path inside, where CRIU connects it again.
    bundle.inherit("network").bind(&place, place.to_str().expect("text"), &[]);
    bundle.shell("i=0; while :; do i=$((i+1)); echo $i > /counter/i; echo $i >&0; sleep 0.2; done");
    let container = lab.container(&bundle);
    let launch = container.launch("run").arg("--detach").arg(container.id()).stdin(OwnedFd::from(ours));
    let mut started = launch.output_to(Stdio::null);
    eventually("the container to be started", || (!started.is_running()).then_some(()));
    await_file(&container, "/counter/i");
    only_with(&lab, &container, "--ext-unix-sk", "external");
    let now = count(&container);
    eventually("a later count over the socket", || (received.load(Ordering::Relaxed) > now).then_some(()));
}

#[test]
fn a_terminal_of_the_hosts_as_standard_input() {
    needs_criu!();
    let lab = Lab::new();
    let (mut terminal, slave) = Terminal::new(24, 80);
    let mut bundle = counting(&lab);
    bundle.shell("echo 1 > /counter/i; kept=words; while read line; do echo $line-$kept; done");
    let container = lab.container(&bundle);
    let launch = container.launch("run").arg("--detach").arg(container.id()).stdin(slave.stdio());
    let mut started = launch.output_to(|| slave.stdio());
    eventually("the container to be started", || (!started.is_running()).then_some(()));
    await_file(&container, "/counter/i");
    checkpoint(&lab, &container).run().fails_with(&["CRIU failed"]);
    checkpoint(&lab, &container).arg("--shell-job").ok();
    let launch = restore(&lab, &container).arg("--shell-job").arg(container.id()).stdin(slave.stdio());
    let mut started = launch.output_to(|| slave.stdio());
    eventually("the container to be restored", || (!started.is_running()).then_some(()));
    terminal.write("later\n");
    terminal.read_until("later-words");
}

#[test]
fn locks_of_files_are_held_again() {
    needs_criu!();
    let lab = Lab::new();
    // Debian's busybox has no flock: that of the host, with its libraries.
    let container = counter(&lab, |bundle| {
        for directory in ["/lib", "/lib64"] {
            bundle.bind(directory, directory, &["ro"]);
        }
        bundle.bind("/usr", "/usr", &["ro"])
    });
    beside(&container, "mkfifo /counter/never; exec /usr/bin/flock /counter/lock /bin/cat <>/counter/never");
    let taken = || container.exec(&["/usr/bin/flock", "-n", "/counter/lock", "/bin/true"]).code();
    eventually("the lock", || (taken() == 1).then_some(()));
    only_with(&lab, &container, "--file-locks", "lock");
    assert_eq!(taken(), 1);
}

#[test]
fn pages_go_to_a_page_server() {
    needs_criu!();
    let lab = Lab::new();
    let container = counter(&lab, |bundle| bundle);
    let before = count(&container);
    let (port, pages) = (28_000 + std::process::id() % 1000, lab.path("pages"));
    fs::create_dir(&pages).expect("a directory");
    let server = lab.command("criu").args(["page-server", "--address", "127.0.0.1", "--port", &port.to_string()]);
    let server = server.arg("--images-dir").arg(&pages).start();
    let listening = format!("0100007F:{port:04X} ");
    let listens = || fs::read_to_string("/proc/net/tcp").is_ok_and(|table| table.contains(&listening));
    eventually("the page server", || listens().then_some(()));
    checkpoint(&lab, &container).args(["--page-server", &format!("127.0.0.1:{port}")]).ok();
    server.wait().assert_code(0);
    assert_eq!(memory_saved(&images(&lab)), 0, "none are here");
    assert!(memory_saved(&pages) > 0);
    lab.command("sh").args(["-c", "cp \"$1\"/* \"$2\"", "sh"]).arg(&pages).arg(images(&lab)).ok();
    restored(&lab, &container, &[]);
    goes_on_from(&container, before);
}

/// Bytes that the memory images in a directory take on disk.
fn memory_saved(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let pages = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("pages-"));
    pages.map(|entry| entry.metadata().expect("a file").blocks() * 512).sum()
}

/// A chain of two pre-dumps and what follows, of a container with some megabytes of memory that never change.
fn chain(lab: &Lab, flags: &[&str]) -> [u64; 2] {
    let count_with_ballast = "x=$(head -c 4000000 /dev/zero | tr '\\0' x); i=0; \
        while :; do i=$((i+1)); echo $i > /counter/new; mv /counter/new /counter/i; sleep 0.2; done; echo $x";
    let container = counter(lab, |bundle| bundle.shell(count_with_ballast));
    let before = count(&container);
    let (one, two) = (lab.path("one"), lab.path("two"));
    container.command("checkpoint").arg("--pre-dump").arg("--image-path").arg(&one).ok();
    let first = memory_saved(&one);
    let second = container.command("checkpoint").arg("--pre-dump").args(["--parent-path", "../one"]);
    second.args(flags).arg("--image-path").arg(&two).ok();
    assert_eq!(container.status(), "running");
    let sizes = [first, memory_saved(&two)];
    assert!(sizes[0] > 4_000_000 && sizes[1] < sizes[0] / 8, "only what has changed is saved again: {sizes:?}");
    checkpoint(lab, &container).args(["--parent-path", "../two"]).args(flags).ok();
    assert!(images(lab).join("parent").exists());
    is_gone(&container);
    let kept = memory_saved(&one);
    restored(lab, &container, &[]);
    goes_on_from(&container, before);
    [first, kept]
}

#[test]
fn a_chain_of_pre_dumps() {
    needs_criu!("mem_dirty_track");
    let [first, kept] = chain(&Lab::new(), &[]);
    assert_eq!(first, kept, "what a later one has too is kept");
}

#[test]
fn a_chain_without_doubles() {
    needs_criu!("mem_dirty_track");
    let [first, kept] = chain(&Lab::new(), &["--auto-dedup"]);
    assert!(kept < first, "what a later one has too is dropped: {first}, then {kept}");
}

#[test]
fn cgroups_inside_come_back_unless_they_are_ignored() {
    needs_criu!();
    if !insula_tests::cgroups::is_unified() {
        insula_tests::skip!("cgroup version 2 is not all there is here");
    }
    for mode in ["soft", "full", "ignore"] {
        let lab = Lab::new();
        let container = counter(&lab, |bundle| {
            bundle.set("/linux/resources/pids/limit", insula_tests::json!(77)).namespace("cgroup");
            let at = bundle.mount_index("/sys/fs/cgroup");
            bundle.set(&format!("/mounts/{at}/options"), insula_tests::json!(["nosuid", "noexec", "nodev"]))
        });
        container.inside("mkdir /sys/fs/cgroup/inner && echo 1 > /sys/fs/cgroup/inner/cgroup.procs");
        there_and_back(&lab, &container, &["--manage-cgroups-mode", mode]);
        let path = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).expect("its cgroup");
        let outer = format!("/{}", container.id());
        let inner = format!("{outer}/inner");
        assert!(path.trim().ends_with(if mode == "ignore" { &outer } else { &inner }), "{mode}: {path}");
        let pids = insula_tests::cgroups::named(container.id()).into_iter().find(|path| path.ends_with(container.id()));
        let limit = fs::read_to_string(pids.expect("its cgroup").join("pids.max")).expect("the limit");
        assert_eq!(limit.trim(), "77");
    }
}

#[test]
fn flags_that_restore_takes_for_runcs_sake() {
    needs_criu!();
    let lab = Lab::new();
    let container = counter(&lab, |bundle| bundle);
    let before = count(&container);
    checkpoint(&lab, &container).ok();
    restored(&lab, &container, &["--no-pivot", "--no-subreaper", "--empty-ns", "network"]);
    goes_on_from(&container, before);
}

#[test]
fn memory_follows_on_demand() {
    needs_criu!("uffd-noncoop");
    let lab = Lab::new();
    let container = counter(&lab, |bundle| bundle);
    let before = count(&container);
    let port = 27_000 + std::process::id() % 1000;
    let script = "exec 9>\"$1\"; shift; exec \"$@\"";
    let ready = lab.path("ready");
    let dump = lab
        .shell(script, &[&ready])
        .arg(insula_tests::runtime())
        .arg("--root")
        .arg(lab.state_root())
        .args(["checkpoint", "--lazy-pages", "--status-fd", "9", "--page-server", &format!("127.0.0.1:{port}")])
        .arg("--image-path")
        .arg(images(&lab))
        .arg(container.id())
        .within(Duration::from_mins(2))
        .start();
    eventually("the page server", || (fs::read(&ready).ok()? == [0]).then_some(()));
    let pages = lab.command("criu").args(["lazy-pages", "--page-server", "--address", "127.0.0.1", "--port"]);
    let pages = pages.arg(port.to_string()).arg("-D").arg(images(&lab)).within(Duration::from_mins(2)).start();
    let socket = images(&lab).join("lazy-pages.socket");
    eventually("the daemon", || socket.exists().then_some(()));
    // The old one is there until the last page is: another id, and another cgroup.
    let second = lab.container(&counting(&lab));
    restored(&lab, &second, &["--lazy-pages", "--work-path", images(&lab).to_str().expect("text")]);
    dump.wait().assert_code(0);
    pages.wait().assert_code(0);
    goes_on_from(&second, before);
    is_gone(&container);
}
