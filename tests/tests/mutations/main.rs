// SPDX-License-Identifier: Apache-2.0
//! Documents changed field by field, through the real runtime. Every one of them ends in one of two ways: an error on one
//! line that names the field, or a container that is what the document says, as seen from outside. Never in a panic, a
//! wait without end, or with something left behind.
//!
//! The choice is made by a fixed seed: 5,000 in CI; all of them with `INSULA_LONG=1`. `INSULA_MUTATION=<text>` tries
//! only those whose description contains the text.

mod documents;
mod expect;
mod mutate;

use documents::{Base, bases};
use insula_tests::{Lab, Snapshot, Value, is_insula, runtime, skip};
use mutate::{Mutation, mutations};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How many are tried in CI.
const CHOSEN: usize = 5_000;
/// How many are tried at the same time, each by a thread with a bundle of its own.
const AT_ONCE: usize = 3;

/// How a mutated document ended.
enum End {
    Refused,
    Ran,
}

#[test]
fn a_changed_document_is_refused_by_name_or_is_what_runs() {
    if !is_insula() {
        skip!("the messages are insula's");
    }
    let lab = Lab::new();
    let only = std::env::var("INSULA_MUTATION").ok();
    let bases = bases(&lab);
    let mut all: Vec<(usize, Mutation)> = Vec::new();
    for (number, base) in bases.iter().enumerate() {
        all.extend(mutations(base).into_iter().map(|mutation| (number, mutation)));
    }
    let total = all.len();
    let long = std::env::var_os("INSULA_LONG").is_some();
    if let Some(only) = &only {
        all.retain(|(_, mutation)| mutation.what.contains(only.as_str()));
    } else if !long {
        mutate::shuffle(&mut all, 0x1513_0004);
        all.truncate(CHOSEN);
    }
    assert!(only.is_some() || all.len() >= CHOSEN, "only {total} mutations");

    let before = Snapshot::take(&lab);
    let places: Vec<Place> = (0..AT_ONCE).map(|number| Place::new(&lab, number, &bases)).collect();
    for (number, base) in bases.iter().enumerate() {
        if let Err(complaint) = places[0].attempt(base, number, &Mutation::none(base.document.clone())) {
            panic!("the document before any change: {complaint}");
        }
    }
    let next = AtomicUsize::new(0);
    let (refused, ran) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let complaints: Mutex<Vec<String>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for place in &places {
            let (all, bases, next, refused, ran, complaints) = (&all, &bases, &next, &refused, &ran, &complaints);
            scope.spawn(move || {
                while let Some((base, mutation)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match place.attempt(&bases[*base], *base, mutation) {
                        Ok(End::Refused) => drop(refused.fetch_add(1, Ordering::Relaxed)),
                        Ok(End::Ran) => drop(ran.fetch_add(1, Ordering::Relaxed)),
                        Err(complaint) => {
                            let mut complaints = complaints.lock().expect("nobody panics with it");
                            complaints.push(format!("{} {}: {complaint}", bases[*base].name, mutation.what));
                            if complaints.len() > 400 {
                                return;
                            }
                        }
                    }
                }
            });
        }
    });
    before.assert_clean(&lab);
    let complaints = complaints.into_inner().expect("nobody panics with it");
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), all.len(), complaints.join("\n"));
    let (refused, ran) = (refused.into_inner(), ran.into_inner());
    println!("{} of {total} mutations: {refused} refused, {ran} ran", all.len());
    if only.is_none() {
        assert!(refused > 1000 && ran > 500, "one of the two ways is hardly taken: {refused} refused, {ran} ran");
    }
}

/// Every field that is done is in one of the documents, so that it is mutated; the exceptions need what hosts lack.
#[test]
fn the_documents_have_every_field() {
    let lab = Lab::new();
    let table = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md"));
    let table = table.expect("read the table of fields");
    let documents: Vec<Base> = bases(&lab);
    let missing: Vec<&str> = table
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(|cell| cell.trim().trim_matches('`'));
            let (field, status) = (cells.next()?, cells.next()?);
            (status == "done").then_some(field)
        })
        .filter(|field| !documents::NOT_HERE.iter().any(|part| field.starts_with(part)))
        .filter(|field| !documents.iter().any(|base| has(&base.document, field)))
        .collect();
    assert!(missing.is_empty(), "no document has {missing:#?}");
}

/// Whether `document` has a value at `field`, whose `*` stands for any index or key.
fn has(document: &Value, field: &str) -> bool {
    let Some((name, rest)) = field.strip_prefix('/').map(|field| field.split_once('/').unwrap_or((field, ""))) else {
        return true;
    };
    let rest = if rest.is_empty() { String::new() } else { format!("/{rest}") };
    match document {
        Value::Object(members) if name == "*" => members.values().any(|value| has(value, &rest)),
        Value::Object(members) => members.get(name).is_some_and(|value| has(value, &rest)),
        Value::Array(elements) => name == "*" && elements.iter().any(|value| has(value, &rest)),
        _ => false,
    }
}

/// Where one thread works: a bundle a base, and a state root of its own.
struct Place {
    directory: PathBuf,
    runtime: PathBuf,
    lab: String,
    number: usize,
    tried: AtomicUsize,
}

impl Place {
    fn new(lab: &Lab, number: usize, bases: &[Base]) -> Self {
        let directory = lab.path(format!("place-{number}"));
        fs::create_dir(&directory).expect("make a place");
        for at in 0..bases.len() {
            let bundle = directory.join(format!("bundle-{at}"));
            fs::create_dir(&bundle).expect("make a bundle");
            documents::populate(&bundle);
        }
        let runtime = runtime().to_path_buf();
        Self { directory, runtime, lab: lab.name().to_owned(), number, tried: AtomicUsize::new(0) }
    }

    /// Creates and starts what the mutation made, looks at it, deletes it. The error is what is wrong.
    fn attempt(&self, base: &Base, at: usize, mutation: &Mutation) -> Result<End, String> {
        let bundle = self.directory.join(format!("bundle-{at}"));
        let numbered = |text: &str| text.replace(documents::PLACE, &self.number.to_string());
        fs::write(bundle.join("config.json"), numbered(&mutation.text)).expect("write config.json");
        let tried = self.tried.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{}-{tried}", self.lab, self.number);
        let _old = fs::remove_file(self.directory.join("ran"));
        let ended = self.runtime(&["run", "--detach", "--bundle", &bundle.display().to_string(), &id])?;
        let outcome = match ended.code {
            Some(0) => {
                let seen = match &mutation.document {
                    Some(document) => {
                        let document = numbered(&document.to_string());
                        let document = serde_json::from_str(&document).expect("it is JSON");
                        expect::check(&document, base, &self.state(&id)?)
                    }
                    None => Err("text that is no document was taken".into()),
                };
                let gone = self.runtime(&["delete", "--force", &id])?;
                seen?;
                if gone.code != Some(0) {
                    return Err(format!("delete ended with {:?}: {}", gone.code, gone.stderr));
                }
                Ok(End::Ran)
            }
            Some(1) => judge(mutation, &ended.stderr).map(|()| End::Refused),
            _ => Err(format!("ended with {:?}: {}", ended.code, ended.stderr)),
        };
        let left = fs::read_dir(self.directory.join("state")).map_or(0, Iterator::count);
        if left > 0 {
            let _gone = self.runtime(&["delete", "--force", &id]);
            return Err(format!("a state is left; {:?}", outcome.err()));
        }
        outcome
    }

    fn state(&self, id: &str) -> Result<expect::Seen, String> {
        let path = self.directory.join("state").join(id).join("state.json");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let record: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let pid = record["init"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).ok_or("no pid")?;
        let bundle = record["bundle"].as_str().unwrap_or_default().to_owned();
        Ok(expect::Seen { pid, record, bundle: bundle.into() })
    }

    fn runtime(&self, words: &[&str]) -> Result<Ended, String> {
        use std::process::{Command, Stdio};
        let stderr = self.directory.join("stderr");
        let file = fs::File::create(&stderr).expect("make a file for messages");
        let mut command = Command::new(&self.runtime);
        command.arg("--root").arg(self.directory.join("state")).args(words);
        command.env("INSULA_TEST", &self.lab).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let started = std::time::Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                break status;
            }
            if started.elapsed() > Duration::from_secs(20) {
                child.kill().map_err(|error| error.to_string())?;
                child.wait().map_err(|error| error.to_string())?;
                return Err(format!("{words:?} does not end"));
            }
            std::thread::sleep(Duration::from_micros(300));
        };
        let stderr = fs::read(&stderr).map_err(|error| error.to_string())?;
        Ok(Ended { code: status.code(), stderr: String::from_utf8_lossy(&stderr).into_owned() })
    }
}

struct Ended {
    code: Option<i32>,
    stderr: String,
}

/// A refusal is one line that names what was changed, or what it goes with.
fn judge(mutation: &Mutation, said: &str) -> Result<(), String> {
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("level=error")).collect();
    let [line] = lines[..] else { return Err(format!("not one error but: {said}")) };
    if line.contains("panicked") {
        return Err(String::from(line));
    }
    if mutation.document.is_none() {
        return if line.contains("line ") { Ok(()) } else { Err(format!("no line and column: {line}")) };
    }
    // COMPAT(runc): engines look for these words, and they name the program.
    let finds = ["/process/args", "/process/env", "/root/path"].iter().any(|part| mutation.pointer.starts_with(part));
    if finds && line.contains("msg=\"exec: ") {
        return Ok(());
    }
    let pointer = line.split("config.json: ").nth(1).and_then(|rest| rest.split(['(', ')', ' ', ':', ',']).next());
    let Some(pointer) = pointer else { return Err(format!("no pointer: {line}")) };
    if mutate::goes_with(&mutation.pointer, pointer) { Ok(()) } else { Err(format!("another pointer: {line}")) }
}
