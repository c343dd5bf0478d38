// SPDX-License-Identifier: Apache-2.0
//! State files that a power failure, or a disk, has torn: cut at every length, zero from every byte on, and with every byte
//! changed. Commands say so, nobody else's processes and cgroups are touched, and one `delete --force` cleans up by the id.
//!
//! Copies of a state are torn at every byte, and read. Containers are made, torn and deleted at some of the bytes by
//! default, at all of them with `INSULA_SWEEP`; what `INSULA_POINTS` names has been tried before then.

use insula_tests::{Container, Invocation, Lab, Snapshot, json, runtime};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// How a file is torn.
#[derive(Debug, Clone, Copy)]
enum Tear {
    Cut(usize),
    /// The length was written, the blocks were not.
    Zero(usize),
    Flip(usize),
}

impl Tear {
    fn apply(self, path: &Path, whole: &[u8]) {
        let mut bytes = whole.to_vec();
        match self {
            Self::Cut(length) => bytes.truncate(length),
            Self::Zero(from) => bytes[from..].fill(0),
            Self::Flip(at) => bytes[at] ^= 1 << (at % 8),
        }
        fs::write(path, bytes).expect("tear the file");
    }
}

/// Tears of a file of `length` bytes: `few`, or all.
fn tears(length: usize, few: usize) -> Vec<Tear> {
    let step = if std::env::var_os("INSULA_SWEEP").is_some() { 1 } else { (length / few).max(1) };
    (0..length).step_by(step).flat_map(|at| [Tear::Cut(at), Tear::Zero(at), Tear::Flip(at)]).collect()
}

/// Adds a line to the file that the variable names, if it is set.
fn add(variable: &str, line: &str) {
    if let Some(path) = std::env::var_os(variable) {
        let file = fs::File::options().create(true).append(true).open(path);
        file.and_then(|mut file| writeln!(file, "{line}")).unwrap_or_else(|error| panic!("${variable}: {error}"));
    }
}

/// The tears of a file that were tried before, by `$INSULA_POINTS`.
fn known(case: &str) -> BTreeSet<String> {
    let text = std::env::var_os("INSULA_POINTS").and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    // The last line may have been cut short.
    let lines = text.lines().filter_map(|line| line.parse::<insula_tests::Value>().ok());
    lines.filter(|line| line["case"] == case).map(|line| line["point"].as_str().unwrap_or_default().into()).collect()
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
    let case = format!("torn: {name}");
    let known = known(&case);
    let mut tried = 0;
    // Each id is another, and in the file: its length may differ by a digit.
    for tear in tears(length - 4, few) {
        tried += 1;
        if known.contains(&format!("{tear:?}")) {
            continue;
        }
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
        add(
            "INSULA_POINTS",
            &json!({"case": case, "point": format!("{tear:?}"), "hit": true, "wrong": []}).to_string(),
        );
    }
    add("INSULA_FAULTS", &format!("{name}: torn in {tried} ways"));
}

/// Copies of a container's directory, one with each tear of one of its files, in a state root of their own.
struct Copies {
    root: PathBuf,
    ids: Vec<String>,
}

impl Copies {
    /// `files` are copied; the first is torn, in the ways of [`Tear`] at each `step`-th byte but flips.
    fn of(lab: &Lab, container: &Container<'_>, files: &[&str], step: usize) -> Self {
        let root = lab.path(format!("torn-{}", files[0]));
        fs::create_dir(&root).expect("make a state root");
        let source = lab.state_root().join(container.id());
        let contents: Vec<_> = files.iter().map(|file| fs::read(source.join(file)).expect("read a file")).collect();
        let mut ids = Vec::new();
        for at in (0..contents[0].len()).step_by(step) {
            for tear in [Tear::Cut(at), Tear::Zero(at)] {
                let id = format!("{tear:?}").replace(['(', ')'], "-");
                let home = root.join(&id);
                fs::create_dir(&home).expect("make a state directory");
                for (file, content) in files.iter().zip(&contents) {
                    fs::write(home.join(file), content).expect("copy a file");
                }
                tear.apply(&home.join(files[0]), &contents[0]);
                ids.push(id);
            }
        }
        assert!(ids.len() > 10, "{} copies", ids.len());
        Self { root, ids }
    }

    fn words(&self, lab: &Lab, words: &[&str]) -> Invocation {
        lab.command(runtime()).arg("--root").arg(&self.root).args(words)
    }
}

/// Every byte of the record, by one command; of the document and the limits, by the commands that need them; of the
/// intent, by a deletion that finds nothing else.
#[test]
fn copies_at_every_byte() {
    let lab = Lab::new();
    let mut bundle = lab.bundle();
    bundle.args(&["sleep", "60"]);
    let container = lab.container(&bundle).detached();
    container.command("update").args(["--memory", "64m"]).ok();
    let step = if std::env::var_os("INSULA_SWEEP").is_some() { 1 } else { 16 };

    let copies = Copies::of(&lab, &container, &["state.json"], 1);
    let listed = copies.words(&lab, &["list", "--quiet"]).run();
    listed.assert_code(0);
    assert_eq!(listed.stdout, "", "no torn record is a container");
    let lines: BTreeSet<&str> = listed.stderr.lines().filter(|line| line.contains("torn")).collect();
    for id in &copies.ids {
        let file = format!("{}/{id}/state.json", copies.root.display());
        assert!(lines.iter().any(|line| line.contains(&file)), "no word about {file}: {listed}");
    }
    for id in copies.ids.iter().step_by(step * 8) {
        copies.words(&lab, &["state", id]).run().fails_with(&["state.json", "torn", "delete --force"]);
    }

    // These are the records of one that runs: what is asked for is refused before anything is entered or changed.
    let needed: [(&str, &[&str]); 2] =
        [("config.json", &["exec", "ID", "true"]), ("resources.json", &["update", "--pids-limit", "9", "ID"])];
    for (file, command) in needed {
        let copies = Copies::of(&lab, &container, &[file, "state.json"], if file == "config.json" { step } else { 1 });
        for id in &copies.ids {
            let words: Vec<&str> = command.iter().map(|word| if *word == "ID" { id } else { *word }).collect();
            let output = copies.words(&lab, &words).run();
            assert!([1, 255].contains(&output.code()), "{output}");
            output.says(&[&format!("{id}/{file}")]);
        }
    }

    let copies = Copies::of(&lab, &container, &["intent"], step.min(4));
    for id in &copies.ids {
        copies.words(&lab, &["delete", "--force", id]).ok();
    }
    assert_eq!(fs::read_dir(&copies.root).expect("list").count(), 0);
    assert_eq!(container.status(), "running", "nothing was guessed from a torn intent");
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
