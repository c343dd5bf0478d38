// SPDX-License-Identifier: Apache-2.0
//! Containers that resist: `delete --force` ends in bounded time, and what it says is true.

use insula_tests::{Bundle, Lab, Output, Snapshot, eventually, json, skip};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a deletion may take.
const PROMPT: Duration = Duration::from_secs(5);

fn sleeper(lab: &Lab) -> Bundle {
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    bundle
}

#[track_caller]
fn prompt(output: &Output) {
    output.assert_code(0);
    assert!(output.elapsed < PROMPT, "{output}");
}

/// Processes that fork all the time, as many as they may be.
#[test]
fn a_fork_bomb() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    let mut bundle = lab.bundle();
    bundle.shell("trap '' TERM INT HUP; bomb() { bomb | bomb & }; echo armed; bomb; while :; do bomb; done");
    bundle.set("/linux/resources/pids", json!({"limit": 150}));
    for own in [true, false] {
        if !own {
            // Then nothing but the cgroup holds them together.
            bundle.inherit("pid");
        }
        let container = lab.container(&bundle).detached();
        container.await_stdout("armed");
        std::thread::sleep(Duration::from_millis(300));
        prompt(&container.delete_force());
        before.assert_clean(&lab);
    }
}

/// Frozen by somebody else, at every stage of its life, and with a process that was put in from outside.
#[test]
fn a_frozen_container() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let before = Snapshot::take(&lab);
    for stage in 0..3 {
        let container = lab.container(&bundle).created();
        if stage > 0 {
            container.start().assert_code(0);
        }
        if stage > 1 {
            lab.words(&["exec", "--detach", container.id(), "sleep", "60"]).ok();
        }
        let pid = container.pid();
        let frozen = |controller: &str, file: &str, word: &str| {
            insula_tests::cgroups::directory_of(pid, controller).filter(|dir| dir.join(file).exists()).inspect(|dir| {
                fs::write(dir.join(file), word).expect("freeze the container");
            })
        };
        let legacy = frozen("freezer", "freezer.state", "FROZEN");
        assert!(legacy.or_else(|| frozen("", "cgroup.freeze", "1")).is_some(), "no freezer");
        // What needs the process to run is refused, or waits in the cgroup: it does not hang.
        let exec = container.command("exec").arg("true").within(PROMPT).run();
        assert_ne!(exec.code(), 0, "{exec}");
        prompt(&container.delete_force());
        before.assert_clean(&lab);
    }
}

/// The state root is full: what runs is still killed and deleted, and what is to be made fails and leaves nothing.
#[test]
fn a_full_state_root() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let root = lab.path("root");
    fs::create_dir(&root).expect("make the state root");
    mount(Some("tiny"), &root, Some("tmpfs"), MsFlags::empty(), Some("size=128k")).expect("mount a tiny tmpfs");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o711)).expect("set its mode");
    let before = Snapshot::take(&lab);
    let waiting = lab.container(&bundle).created();
    let running = lab.container(&bundle).detached();
    // As much as goes in.
    let mut filler = File::create(root.join(".filler")).expect("make the filler");
    while filler.write_all(&[0; 512]).is_ok() {}
    let refused = lab.container(&bundle).create();
    refused.fails_with(&["no space left"]);
    waiting.start().assert_code(0);
    for container in [waiting, running] {
        assert_eq!(container.status(), "running");
        container.kill("KILL").assert_code(0);
        container.await_status("stopped");
        prompt(&container.delete_force());
    }
    fs::remove_file(root.join(".filler")).expect("remove the filler");
    before.assert_clean(&lab);
    assert_eq!(fs::read_dir(&root).expect("list").count(), 0);
    umount2(&root, MntFlags::MNT_DETACH).expect("unmount");
    fs::remove_dir(&root).expect("remove the state root");
}

/// A container with all rights over its mounts turns them upside down.
#[test]
fn a_container_that_swaps_its_root() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    let mut bundle = lab.bundle();
    let script = "mount -t tmpfs none /tmp && mkdir /tmp/old && cp -a /bin /tmp/ && mount -t proc proc /proc && \
                  mount -o remount,ro / ; cd /tmp && pivot_root . old && cd / && umount -l /old; \
                  mount -t tmpfs none /bin; echo swapped; while :; do :; done";
    bundle.writable().shell(script).tmpfs("/tmp", &["rw"]);
    for set in ["bounding", "effective", "permitted"] {
        bundle.push(&format!("/process/capabilities/{set}"), json!("CAP_SYS_ADMIN"));
    }
    let container = lab.container(&bundle).detached();
    container.await_stdout("swapped");
    assert_eq!(container.status(), "running");
    prompt(&container.delete_force());
    before.assert_clean(&lab);
}

/// Somebody has removed the fifo on which a container waits for its start.
#[test]
fn a_start_fifo_that_is_gone() {
    let lab = Lab::new();
    let bundle = sleeper(&lab);
    let before = Snapshot::take(&lab);
    for other in [None, Some("file"), Some("directory")] {
        let container = lab.container(&bundle).created();
        let fifo = lab.state_root().join(container.id()).join("exec.fifo");
        fs::remove_file(&fifo).expect("remove the fifo");
        match other {
            Some("file") => fs::write(&fifo, "").expect("put a file there"),
            Some(_) => fs::create_dir(&fifo).expect("put a directory there"),
            None => {}
        }
        let started = container.command("start").within(PROMPT).run();
        assert!(other == Some("file") || started.code() == 1, "{other:?}: {started}");
        prompt(&container.delete_force());
        before.assert_clean(&lab);
    }
}

/// A file system in user space that answers for its root and never for what is in it: whoever asks waits where no signal
/// reaches. Source: fuse(4), linux/fuse.h.
struct Stalled {
    point: PathBuf,
    asked: Arc<AtomicBool>,
    server: JoinHandle<()>,
}

/// FUSE_LOOKUP, FUSE_GETATTR, FUSE_INIT.
const REQUESTS: (u32, u32, u32) = (1, 3, 26);

impl Stalled {
    fn mount(lab: &Lab) -> Option<Self> {
        let device = File::options().read(true).write(true).open("/dev/fuse").ok()?;
        let point = lab.path("stalled");
        fs::create_dir(&point).expect("make a mount point");
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        if mount(Some("stalled"), &point, Some("fuse"), MsFlags::empty(), Some(options.as_str())).is_err() {
            fs::remove_dir(&point).expect("remove the mount point");
            return None;
        }
        let asked = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&asked);
        let server = std::thread::spawn(move || serve(device, &noted));
        Some(Self { point, asked, server })
    }

    /// Ends the file system: all who wait for it get an error.
    fn abort(self) {
        umount2(&self.point, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH).expect("end the file system");
        self.server.join().expect("the file system's server");
        fs::remove_dir(&self.point).expect("remove the mount point");
    }
}

fn serve(mut device: File, asked: &AtomicBool) {
    let mut request = vec![0; 1 << 17];
    // The end of the file system is an error of the read.
    while let Ok(length) = device.read(&mut request) {
        let word = |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().expect("four bytes"));
        assert!(length >= 40, "a whole header");
        let body = match word(4) {
            // Version 7.31, and the greatest write.
            opcode if opcode == REQUESTS.2 => {
                let mut body = [7_u32, 31].map(u32::to_le_bytes).concat();
                body.resize(64, 0);
                body[20..24].copy_from_slice(&4096_u32.to_le_bytes());
                body
            }
            // Valid for an hour; a directory.
            opcode if opcode == REQUESTS.1 => {
                let mut body = 3600_u64.to_le_bytes().to_vec();
                body.resize(104, 0);
                body[16] = 1;
                body[16 + 60..16 + 64].copy_from_slice(&0o040_755_u32.to_le_bytes());
                body[16 + 64] = 2;
                body
            }
            opcode => {
                asked.fetch_or(opcode == REQUESTS.0, Ordering::SeqCst);
                continue;
            }
        };
        let mut answer = (16 + body.len() as u32).to_le_bytes().to_vec();
        answer.extend(0_u32.to_le_bytes());
        answer.extend_from_slice(&request[8..16]);
        answer.extend(body);
        device.write_all(&answer).expect("answer a request");
    }
}

/// A container's process waits in the kernel for a file system that does not answer. Deletion says so after a while, and
/// keeps what it needs to be tried again; once the file system is gone, it succeeds.
#[test]
fn a_process_that_no_signal_reaches() {
    let lab = Lab::new();
    let before = Snapshot::take(&lab);
    let Some(stalled) = Stalled::mount(&lab) else { skip!("there is no FUSE here") };
    let mut bundle = lab.bundle();
    bundle.args(&["cat", "/stalled/file"]).bind(&stalled.point, "/stalled", &["bind", "ro"]);
    let container = lab.container(&bundle).detached();
    eventually("the question", || stalled.asked.load(Ordering::SeqCst).then_some(()));
    let deleted = container.command("delete").arg("--force").within(Duration::from_secs(25)).run();
    deleted.fails_with(&["does not die"]);
    assert!(deleted.elapsed < Duration::from_secs(15), "{deleted}");
    assert_eq!(container.status(), "running");
    stalled.abort();
    prompt(&container.delete_force());
    before.assert_clean(&lab);
}
