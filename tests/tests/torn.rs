// SPDX-License-Identifier: Apache-2.0
//! State files that a power failure, or a disk, has torn: cut at every length, and with every byte changed. Commands say
//! so, nobody else's processes and cgroups are touched, and one `delete --force` cleans up by the id.
//!
//! Some of the lengths and bytes by default, all of them with `INSULA_SWEEP`.

use insula_tests::{Container, Lab, Snapshot};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// How a file is torn.
#[derive(Debug, Clone, Copy)]
enum Tear {
    Cut(usize),
    Flip(usize),
}

impl Tear {
    fn apply(self, path: &Path, whole: &[u8]) {
        let mut bytes = whole.to_vec();
        match self {
            Self::Cut(length) => bytes.truncate(length),
            Self::Flip(at) => bytes[at] ^= 1 << (at % 8),
        }
        fs::write(path, bytes).expect("tear the file");
    }
}

/// Tears of a file of `length` bytes: `few`, or all.
fn tears(length: usize, few: usize) -> Vec<Tear> {
    let step = if std::env::var_os("INSULA_SWEEP").is_some() { 1 } else { (length / few).max(1) };
    (0..length).step_by(step).flat_map(|at| [Tear::Cut(at), Tear::Flip(at)]).collect()
}

/// A container whose cgroup's name goes on where that of the torn one ends, and one whose name is its beginning: what a
/// cut record would name.
struct Neighbours<'lab> {
    containers: Vec<Container<'lab>>,
    pids: Vec<i32>,
}

impl<'lab> Neighbours<'lab> {
    fn new(lab: &'lab Lab) -> Self {
        let cgroup = |suffix: &str| format!("/{}-torn{suffix}", lab.name());
        let containers: Vec<_> = ["", "-one-more"]
            .map(|suffix| {
                let mut bundle = lab.bundle();
                bundle.args(&["sleep", "36000"]).set("/linux/cgroupsPath", cgroup(suffix).into());
                lab.container(&bundle).detached()
            })
            .into();
        let pids = containers.iter().map(Container::pid).collect();
        Self { containers, pids }
    }

    fn live(&self) -> bool {
        self.containers.iter().zip(&self.pids).all(|(container, pid)| {
            container.status() == "running"
                && container.pid() == *pid
                && fs::exists(format!("/proc/{pid}")).unwrap_or(false)
        })
    }
}

/// Tears `name` of a running container in each way, and deletes it.
fn tear(name: &str, few: usize) {
    let lab = Lab::new();
    let neighbours = Neighbours::new(&lab);
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]).set("/linux/cgroupsPath", format!("/{}-torn-one", lab.name()).into());
    // Thousands of containers, of which the kernel takes away the network slowly.
    bundle.inherit("network");
    let before = Snapshot::take(&lab);
    let path_of = |container: &Container<'_>| -> PathBuf { lab.state_root().join(container.id()).join(name) };
    let first = lab.container(&bundle).detached();
    let length = fs::read(path_of(&first)).expect("read the file").len();
    first.delete_force().assert_code(0);
    let mut tried = 0;
    // Each id is another, and in the file: its length may differ by a digit.
    for tear in tears(length - 4, few) {
        let container = lab.container(&bundle).detached();
        let path = path_of(&container);
        let whole = fs::read(&path).expect("read the file");
        tear.apply(&path, &whole);
        let state = container.command("state").run();
        if name == "state.json" && state.code() != 0 {
            state.fails_with(&["state.json"]);
            // Without force nothing is guessed.
            container.delete().fails_with(&["state.json"]);
        }
        let deleted = container.delete_force();
        assert_eq!(deleted.code(), 0, "{tear:?}: {deleted}");
        before.assert_clean(&lab);
        assert!(neighbours.live(), "{tear:?} hit a neighbour");
        tried += 1;
    }
    let line = format!("{name}: torn in {tried} ways\n");
    std::io::stderr().write_all(line.as_bytes()).expect("write to standard error");
    if let Some(path) = std::env::var_os("INSULA_FAULTS") {
        let mut file = fs::File::options().create(true).append(true).open(path).expect("open $INSULA_FAULTS");
        file.write_all(line.as_bytes()).expect("write to $INSULA_FAULTS");
    }
}

#[test]
fn the_record() {
    tear("state.json", 12);
}

#[test]
fn the_intent() {
    tear("intent", 10);
}

#[test]
fn the_document() {
    tear("config.json", 5);
}

/// The record was never written, and the intent is torn: with a whole intent the cgroup is found, and with a torn one
/// nothing that it might name is touched.
#[test]
fn both() {
    let lab = Lab::new();
    let neighbours = Neighbours::new(&lab);
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]).set("/linux/cgroupsPath", format!("/{}-torn-one", lab.name()).into());
    let before = Snapshot::take(&lab);
    let directory = |container: &Container<'_>| lab.state_root().join(container.id());

    let container = lab.container(&bundle).detached();
    fs::remove_file(directory(&container).join("state.json")).expect("lose the record");
    container.delete_force().assert_code(0);
    before.assert_clean(&lab);

    let container = lab.container(&bundle).detached();
    let pid = container.pid();
    let intent = fs::read(directory(&container).join("intent")).expect("read the intent");
    fs::write(directory(&container).join("intent"), &intent[..intent.len() / 2]).expect("tear the intent");
    fs::write(directory(&container).join("state.json"), "{").expect("tear the record");
    let deleted = container.delete_force();
    deleted.assert_code(0);
    deleted.says(&["torn", "unknown"]);
    assert!(neighbours.live(), "a neighbour was hit");
    // What nobody knows of any more is for the test to end.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("end init");
    for cgroup in
        insula_tests::cgroups::named("torn-one").into_iter().filter(|path| path.to_string_lossy().ends_with("torn-one"))
    {
        insula_tests::eventually("the cgroup to empty", || {
            insula_tests::cgroups::remove_tree(&cgroup);
            (!cgroup.exists()).then_some(())
        });
    }
    before.assert_clean(&lab);
}
