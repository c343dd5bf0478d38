// SPDX-License-Identifier: Apache-2.0
//! A private corner of the host for one test.

use crate::bundle::Bundle;
use crate::cgroups;
use crate::container::Container;
use crate::invocation::Invocation;
use crate::runtime::runtime;
use crate::snapshot::{Snapshot, finish, sweep};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use std::ffi::OsStr;
use std::fs;
use std::os::fd::IntoRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// What one test has of the host.
///
/// - Its own mount namespace, with `/` shared as on a systemd host, so that any mount that a runtime makes or lets
///   out is seen, and so that parallel tests and other programs do not disturb the comparison.
/// - An empty tmpfs on `/run` for the bundles, the state root and everything else.
/// - A name that is in every container id, path and environment, by which leftovers are found.
///
/// When it is dropped (and the test has not failed already), the host must look as before.
#[derive(Debug)]
pub struct Lab {
    name: String,
    directory: PathBuf,
    before: Option<Snapshot>,
    counter: AtomicU32,
    /// Address of the bus over which systemd is asked for cgroups.
    bus: Option<String>,
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Lab {
    /// Moves the calling thread into a new corner.
    #[track_caller]
    pub fn new() -> Self {
        static LABS: AtomicU32 = AtomicU32::new(0);
        assert!(nix::unistd::geteuid().is_root(), "these tests start containers as root: run them as root");
        let runtime = runtime();
        // What belongs to a lab is found by its name, so none may be the beginning of another's.
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let name = format!("insula-lab-{}{}-{number:03}", pid_namespace(), std::process::id());

        // Of this thread alone, and of what it starts.
        unshare(CloneFlags::CLONE_NEWNS).expect("make a mount namespace");
        let propagate = |to| mount::<str, str, str, str>(None, "/", None, MsFlags::MS_REC | to, None);
        propagate(MsFlags::MS_PRIVATE).expect("cut the test's mounts off from the host's");
        shed_foreign_mounts();
        let options = Some("mode=0755,size=1g");
        mount(Some(name.as_str()), "/run", Some("tmpfs"), MsFlags::empty(), options).expect("mount a tmpfs on /run");
        propagate(MsFlags::MS_SHARED).expect("share the root mount as systemd does");

        let directory = Path::new("/run").join(&name);
        for part in ["", "out", "tmp"] {
            fs::create_dir(directory.join(part)).expect("make the test's directories");
        }
        assert!(runtime.exists(), "{} is hidden by the test's /run", runtime.display());
        let mut lab = Self { name, directory, before: None, counter: AtomicU32::new(0), bus: None };
        lab.before = Some(Snapshot::take(&lab));
        lab
    }

    /// A new corner in which the host's systemd makes the cgroups; `None` where process 1 is not systemd.
    #[track_caller]
    pub fn with_hosts_systemd() -> Option<Self> {
        Path::new("/run/systemd/system").is_dir().then_some(())?;
        // The corner hides it; open until this process ends.
        let bus = fs::File::open("/run/dbus").expect("open the directory of the system's bus").into_raw_fd();
        let mut lab = Self::new();
        lab.by_systemd(&format!("unix:path=/proc/{}/fd/{bus}/system_bus_socket", std::process::id()));
        Some(lab)
    }

    /// The name that is in every id, path and environment of this test.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A path in the test's own directory, which is on a tmpfs.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file into the test's own directory.
    #[track_caller]
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Writes an executable shell script into the test's own directory.
    #[track_caller]
    pub fn script(&self, name: &str, body: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.write(name, format!("#!/bin/sh\n{body}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("make the script executable");
        path
    }

    /// Where the runtime keeps the states of this test's containers.
    pub fn state_root(&self) -> PathBuf {
        self.path("root")
    }

    /// A container id that nobody else uses.
    pub fn fresh_id(&self) -> String {
        format!("{}-{}", self.name, self.count())
    }

    /// The runtime with the test's own state root, and with `--systemd-cgroup` after [`by_systemd`](Self::by_systemd).
    pub fn insula(&self) -> Invocation {
        let insula = self.command(runtime()).arg("--root").arg(self.state_root());
        match &self.bus {
            Some(bus) => insula.env("DBUS_SYSTEM_BUS_ADDRESS", bus).arg("--systemd-cgroup"),
            None => insula,
        }
    }

    /// Has systemd, which answers at the bus with this address, make the cgroups of this test's containers.
    pub fn by_systemd(&mut self, bus: &str) {
        self.bus = Some(bus.to_owned());
    }

    /// The runtime without any global option, running the words given: `lab.words(&["state", "x"])`.
    pub fn words<A: AsRef<OsStr>>(&self, words: &[A]) -> Invocation {
        self.insula().args(words)
    }

    /// Another program.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Invocation {
        Invocation::new(program, self.path("out").join(self.count().to_string()))
            .env("INSULA_TEST", &self.name)
            .env("TMPDIR", self.path("tmp"))
    }

    /// A shell script with what it needs as `$1`, `$2` … (`$0` is `sh`).
    pub fn shell<A: AsRef<OsStr>>(&self, script: &str, arguments: &[A]) -> Invocation {
        self.command("sh").args(["-c", script, "sh"]).args(arguments)
    }

    /// A new bundle: the runtime's own default document without the terminal, running `true`, and a root file
    /// system of busybox.
    #[track_caller]
    pub fn bundle(&self) -> Bundle {
        Bundle::new(self.path(format!("bundle-{}", self.count())))
    }

    /// A new container of `bundle`, of which nothing exists yet.
    pub fn container(&self, bundle: &Bundle) -> Container<'_> {
        Container::new(self, bundle.path())
    }

    /// Runs `bundle` in the foreground under a fresh id; asserts success; returns its standard output.
    #[track_caller]
    pub fn output_of(&self, bundle: &Bundle) -> String {
        let output = self.container(bundle).run();
        output.assert_code(0);
        output.stdout
    }

    /// Replaces the cgroup file systems by a single version 2 one, as on a host that has no other. Only this test
    /// sees it.
    #[track_caller]
    pub fn only_cgroup2(&mut self) {
        if cgroups::is_unified() {
            return;
        }
        // There is one file system of version 2: a second mount changes the first one's options to its own.
        let mountinfo = fs::read_to_string("/proc/thread-self/mountinfo").expect("read mountinfo");
        let has = |line: &str| line.contains(" - cgroup2 ") && line.ends_with(",nsdelegate");
        let options = mountinfo.lines().any(has).then_some("nsdelegate");
        umount2("/sys/fs/cgroup", MntFlags::MNT_DETACH).expect("unmount the cgroup file systems");
        mount(Some("cgroup2"), "/sys/fs/cgroup", Some("cgroup2"), MsFlags::empty(), options).expect("mount cgroup2");
        self.before = Some(Snapshot::take(self));
    }

    /// Bind-mounts `source` on the file `name` of a private mount: a pin for a namespace.
    #[track_caller]
    pub fn pin(&self, source: &Path, name: &str) -> PathBuf {
        self.try_pin(source, name).unwrap_or_else(|error| panic!("pin {}: {error}", source.display()))
    }

    /// As [`pin`](Self::pin). A mount namespace can be pinned only below one with a smaller id, and the kernel hands
    /// ids out by processor, so that a younger namespace may have a smaller one; EINVAL then.
    #[track_caller]
    pub fn try_pin(&self, source: &Path, name: &str) -> nix::Result<PathBuf> {
        let pins = self.path("pins");
        if !pins.exists() {
            fs::create_dir(&pins).expect("make the directory of pins");
            let none: Option<&str> = None;
            mount(Some("pins"), &pins, Some("tmpfs"), MsFlags::empty(), none).expect("mount the pins");
            // A mount namespace can be pinned only where it cannot propagate into itself.
            mount(none, &pins, none, MsFlags::MS_PRIVATE, none).expect("make the pins private");
        }
        let target = pins.join(name);
        fs::write(&target, "").expect("make a pin");
        let none: Option<&str> = None;
        mount(Some(source), &target, none, MsFlags::MS_BIND, none)?;
        Ok(target)
    }

    fn unpin(&self) {
        let pins = self.path("pins");
        if pins.exists() {
            umount2(&pins, MntFlags::MNT_DETACH).expect("unmount the pins");
        }
    }

    fn count(&self) -> u32 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }
}

/// What tells the process numbers of this pid namespace from those of another; nothing in the machine's first one, whose
/// inode number is a constant of the kernel's (`PROC_PID_INIT_INO`).
pub(crate) fn pid_namespace() -> String {
    const FIRST: u64 = 0xefff_fffc;
    let inode = fs::metadata("/proc/self/ns/pid").expect("look at the pid namespace").ino();
    if inode == FIRST { String::new() } else { format!("{inode}x") }
}

/// Takes other programs' short-lived mounts out of this thread's table: they would go when their mount points are
/// removed, in the middle of a test.
fn shed_foreign_mounts() {
    let mountinfo = fs::read_to_string("/proc/thread-self/mountinfo").expect("read mountinfo");
    for line in mountinfo.lines().rev() {
        let point = line.split(' ').nth(4).expect("a mount point");
        if ["/tmp/", "/var/tmp/", "/run/"].iter().any(|place| point.starts_with(place)) {
            // It may be below one that has gone already, or have a space in its name; then it does not matter.
            let _gone = umount2(point, MntFlags::MNT_DETACH);
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            sweep(&self.name);
            return;
        }
        self.unpin();
        if let Some(before) = &self.before {
            finish(self, before);
        }
        // With one test thread, all tests of a binary run on the main thread, one namespace in the other.
        umount2("/run", MntFlags::MNT_DETACH).expect("unmount the test's /run");
    }
}
