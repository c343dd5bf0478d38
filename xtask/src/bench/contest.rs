// SPDX-License-Identifier: Apache-2.0
//! The contest: every workload, every subject, interleaved; the tables that come of it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::figures::Figure;
use super::stopwatch::{Sample, Stopwatch};
use super::subject::{Payload, Place, Subject};
use crate::shell::{output, program};

/// A workload: its title, and what is measured, as columns.
struct Workload {
    /// What its figures are called by.
    key: &'static str,
    title: &'static str,
    columns: &'static [&'static str],
    measure: fn(&mut Contest, usize) -> Result<Vec<Sample>, String>,
}

const WORKLOADS: &[Workload] = &[
    Workload { key: "run", title: "`run` of a tiny static program", columns: &[], measure: Contest::run },
    Workload {
        key: "life",
        title: "`create`, `start`, (wait for its end,) `delete`",
        columns: &["create", "start", "delete"],
        measure: Contest::life,
    },
    Workload {
        key: "exec",
        title: "`exec` of a tiny static program in a running container",
        columns: &[],
        measure: Contest::exec,
    },
    Workload {
        key: "delete",
        title: "`delete --force` of a running container",
        columns: &[],
        measure: Contest::delete_force,
    },
];

pub(super) struct Contest {
    pub(super) view: String,
    pub(super) place: Place,
    pub(super) subjects: Vec<Subject>,
    pub(super) watch: Stopwatch,
    /// All figures so far.
    pub(super) figures: Vec<Figure>,
    /// The running container of each subject that `exec` goes into.
    residents: Vec<String>,
    count: u64,
}

/// Holds the contest below the directory `dir`, and renders its tables.
pub(crate) fn hold(view: &str, rounds: usize, dir: &Path, target: &Path) -> Result<String, String> {
    let place = furnish(view, dir, target)?;
    let errors = dir.join("errors");
    let watch = Stopwatch::start(&target.join("bench/stopwatch"), &errors)?;
    let mut contest = Contest {
        view: view.to_owned(),
        place,
        subjects: Vec::new(),
        watch,
        figures: Vec::new(),
        residents: Vec::new(),
        count: 0,
    };
    let mut notes = String::new();
    for subject in Subject::all(target) {
        contest.admit(subject, &errors, &mut notes)?;
    }
    let mut text = String::new();
    for workload in WORKLOADS {
        eprintln!("  {}", workload.title);
        let rows = contest.measure(workload, rounds)?;
        text += &contest.table(workload, &rows);
    }
    contest.dismiss()?;
    text += &contest.weigh()?;
    text += &notes;
    if view == "v2" {
        text += &super::engine::measure(&mut contest, rounds, target)?;
        text += &super::scale::measure(&mut contest, rounds, target)?;
    }
    text.extend(contest.figures.iter().map(Figure::line));
    Ok(text)
}

/// The root file system and the two bundles, from insula's own default document.
pub(crate) fn furnish(view: &str, dir: &Path, target: &Path) -> Result<Place, String> {
    let fail = |error: std::io::Error| format!("{}: {error}", dir.display());
    let rootfs = dir.join("rootfs");
    for name in ["bin", "dev", "proc", "sys"] {
        fs::create_dir_all(rootfs.join(name)).map_err(fail)?;
    }
    fs::create_dir(dir.join("state-floor")).map_err(fail)?;
    fs::copy(target.join("bench/payload"), rootfs.join("bin/payload")).map_err(fail)?;
    output(program(&target.join("release/insula").display().to_string()).args(["spec", "--bundle"]).arg(dir))?;
    let default = fs::read_to_string(dir.join("config.json")).map_err(fail)?;
    for (name, args) in [("once", "\"/bin/payload\""), ("waits", "\"/bin/payload\", \"wait\"")] {
        fs::create_dir(dir.join(name)).map_err(fail)?;
        let document = adapt(&default, &rootfs.display().to_string(), args)?;
        fs::write(dir.join(name).join("config.json"), document).map_err(fail)?;
    }
    let once = fs::read_to_string(dir.join("once/config.json")).map_err(fail)?;
    super::engine_document::make(dir, &once, &rootfs)?;
    let cgroup_namespace = default.contains("\"type\": \"cgroup\"\n\t\t\t}");
    let hierarchies = if view == "v2" { "-".to_owned() } else { hierarchies()? };
    Ok(Place { dir: dir.to_owned(), hierarchies, cgroup_namespace: if cgroup_namespace { "g" } else { "-" } })
}

/// The default document with another program, without a terminal, at a version that old peers accept.
fn adapt(default: &str, rootfs: &str, args: &str) -> Result<String, String> {
    let start = default.find("\"ociVersion\": \"").ok_or("the default document has no version")? + 15;
    let end = start + default[start..].find('"').unwrap_or_default();
    let mut document = format!("{}1.0.2{}", &default[..start], &default[end..]);
    for (old, new) in [("\"terminal\": true", "\"terminal\": false"), ("\"sh\"", args)] {
        if !document.contains(old) {
            return Err(format!("the default document has no {old}"));
        }
        document = document.replace(old, new);
    }
    Ok(document.replace("\"path\": \"rootfs\"", &format!("\"path\": \"{rootfs}\"")))
}

/// The directories of the v1 hierarchies, each mount once.
fn hierarchies() -> Result<String, String> {
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(|error| format!("/proc/self/mountinfo: {error}"))?;
    let names: Vec<&str> = table
        .lines()
        .filter(|line| line.contains(" - cgroup "))
        .filter_map(|line| line.split(' ').nth(4)?.strip_prefix("/sys/fs/cgroup/"))
        .collect();
    if names.is_empty() { Err("this host has no cgroup v1 hierarchy".into()) } else { Ok(names.join(":")) }
}

impl Contest {
    pub(super) fn fresh(&mut self) -> String {
        self.count += 1;
        format!("bench-{}-{}", std::process::id(), self.count)
    }

    /// Takes the subject in if it can run the default document here, with a container for `exec`; else notes why not.
    fn admit(&mut self, subject: Subject, errors: &Path, notes: &mut String) -> Result<(), String> {
        let tried = self.settle(&subject);
        let Err(reason) = tried else {
            self.subjects.push(subject);
            return Ok(());
        };
        if ["floor", "insula"].contains(&subject.name.as_str()) {
            return Err(format!("{reason}: {}", fs::read_to_string(errors).unwrap_or_default()));
        }
        let said = fs::read_to_string(errors).unwrap_or_default();
        let said = said.lines().last().unwrap_or_default().to_owned();
        if let Some(other) = subject.without_cgroup()
            && self.settle(&other).is_ok()
        {
            let _ = writeln!(
                notes,
                "\n{} cannot make a cgroup in this view ({said}): it was measured without one, which spares it work.",
                subject.name
            );
            self.subjects.push(other);
            return Ok(());
        }
        let _ = writeln!(notes, "\n{} cannot run the default document in this view ({said}).", subject.name);
        Ok(())
    }

    fn settle(&mut self, subject: &Subject) -> Result<(), String> {
        let id = self.fresh();
        if let Err(reason) = self.watch.run(&subject.run(&self.place, &id, Payload::Once)) {
            // crun leaves the cgroup that it could not set up; where there is none, there is nothing to remove.
            let _ = fs::remove_dir(Path::new("/sys/fs/cgroup").join(&id));
            return Err(reason);
        }
        let id = self.fresh();
        self.watch.run(&subject.create(&self.place, &id, Payload::Waits))?;
        self.watch.run(&subject.start(&self.place, &id))?;
        self.residents.push(id);
        Ok(())
    }

    /// Ends the containers that `exec` went into.
    fn dismiss(&mut self) -> Result<(), String> {
        for (subject, id) in self.subjects.iter().zip(&self.residents) {
            self.watch.run_reaping(&subject.delete_force(&self.place, id))?;
        }
        Ok(())
    }

    fn pid(&self) -> Result<String, String> {
        let path = self.place.pid_file();
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        Ok(text.trim().to_owned())
    }

    fn run(&mut self, subject: usize) -> Result<Vec<Sample>, String> {
        let id = self.fresh();
        Ok(vec![self.watch.run(&self.subjects[subject].run(&self.place, &id, Payload::Once))?])
    }

    /// The total comes first, with the processor time of the container's own process in it; then the parts.
    fn life(&mut self, subject: usize) -> Result<Vec<Sample>, String> {
        let id = self.fresh();
        let create = self.watch.run(&self.subjects[subject].create(&self.place, &id, Payload::Once))?;
        let pid = self.pid()?;
        let start = self.watch.run(&self.subjects[subject].start(&self.place, &id))?;
        let end = self.watch.wait(&pid)?;
        let delete = self.watch.run(&self.subjects[subject].delete(&self.place, &id))?;
        Ok(vec![create.plus(start).plus(delete).plus(end.work()), create, start, delete])
    }

    fn exec(&mut self, subject: usize) -> Result<Vec<Sample>, String> {
        Ok(vec![self.watch.run(&self.subjects[subject].exec(&self.place, &self.residents[subject]))?])
    }

    fn delete_force(&mut self, subject: usize) -> Result<Vec<Sample>, String> {
        let id = self.fresh();
        self.watch.run(&self.subjects[subject].create(&self.place, &id, Payload::Waits))?;
        self.watch.run(&self.subjects[subject].start(&self.place, &id))?;
        Ok(vec![self.watch.run_reaping(&self.subjects[subject].delete_force(&self.place, &id))?])
    }

    /// `rounds` samples of each subject, each round in a new random order, after one round that does not count.
    fn measure(&mut self, workload: &Workload, rounds: usize) -> Result<Vec<Vec<Vec<Sample>>>, String> {
        let mut rows = vec![Vec::new(); self.subjects.len()];
        let mut order: Vec<usize> = (0..rows.len()).collect();
        for round in 0..=rounds {
            shuffle(&mut order);
            for &subject in &order {
                let samples = (workload.measure)(self, subject)?;
                if round > 0 {
                    rows[subject].push(samples);
                }
            }
        }
        Ok(rows)
    }

    /// One row per subject.
    fn table(&mut self, workload: &Workload, rows: &[Vec<Vec<Sample>>]) -> String {
        self.note(workload.key, rows);
        let mut text = format!("**{}**\n\n| |", workload.title);
        let parts = workload.columns.iter().map(|name| format!("{name} ms"));
        let heads = ["median ms", "min ms", "CPU ms", "× floor", "× insula", "faults", "peak KiB"];
        let heads: Vec<String> = parts.chain(heads.map(str::to_owned)).collect();
        for head in &heads {
            let _ = write!(text, " {head} |");
        }
        let _ = writeln!(text, "\n|---|{}", "---:|".repeat(heads.len()));
        for (subject, samples) in self.subjects.iter().zip(rows) {
            let of = |field: fn(&Sample) -> u64| samples.iter().map(|sample| field(&sample[0])).collect::<Vec<_>>();
            let _ = write!(text, "| {} |", subject.name);
            for part in 1..=workload.columns.len() {
                let walls = samples.iter().map(|sample| float(sample[part].wall)).collect();
                let _ = write!(text, " {:.2} |", median(walls) / 1e6);
            }
            let walls = of(|sample| sample.wall);
            let least = walls.iter().min().copied().unwrap_or_default();
            let _ = writeln!(
                text,
                " {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} | {} |",
                median_of(&walls) / 1e6,
                float(least) / 1e6,
                median_of(&of(|sample| sample.cpu)) / 1e3,
                ratio(samples, &rows[0]),
                ratio(samples, &rows[1]),
                median_of(&of(|sample| sample.faults)),
                of(|sample| sample.peak).iter().max().copied().unwrap_or_default(),
            );
        }
        text.push('\n');
        text
    }

    /// Keeps the figures of a workload: against the floor, against insula, and insula's own.
    fn note(&mut self, key: &str, rows: &[Vec<Vec<Sample>>]) {
        for (subject, samples) in self.subjects.iter().zip(rows) {
            let (view, name) = (&self.view, &subject.name);
            let walls = samples.iter().map(|sample| float(sample[0].wall)).collect();
            let peak = samples.iter().map(|sample| sample[0].peak).max().unwrap_or_default();
            for (what, value) in [
                ("floor", ratio(samples, &rows[0])),
                ("insula", ratio(samples, &rows[1])),
                ("ms", median(walls) / 1e6),
                ("peak", float(peak)),
            ] {
                self.figures.push(Figure::new(view, format!("{key}.{what}"), name, value));
            }
        }
        let peaks = self
            .figures
            .iter()
            .filter(|figure| figure.subject == "insula" && figure.work.rsplit('.').next() == Some("peak"));
        let peak = peaks.map(|figure| figure.value).fold(0.0, f64::max);
        self.figures.retain(|figure| figure.work != "peak");
        self.figures.push(Figure::new(&self.view, "peak", "insula", peak));
    }

    /// Memory of a created container that waits for `start`, and the system calls of one `run`.
    fn weigh(&mut self) -> Result<String, String> {
        let mut text = String::from(
            "**a created container that waits for `start`, and one `run` of all its processes**\n\n\
             | | PSS of init KiB | RSS of init KiB | charged to its cgroup KiB | system calls of `run` |\n\
             |---|---:|---:|---:|---:|\n",
        );
        for index in 0..self.subjects.len() {
            let id = self.fresh();
            self.watch.run(&self.subjects[index].create(&self.place, &id, Payload::Once))?;
            let pid = self.pid()?;
            // The floor's `create` does not wait until its init waits.
            std::thread::sleep(std::time::Duration::from_millis(50));
            let path = format!("/proc/{pid}/smaps_rollup");
            let rollup = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
            let (pss, rss) = (field(&rollup, "Pss:"), field(&rollup, "Rss:"));
            let charge = charged(&pid);
            self.watch.run(&self.subjects[index].start(&self.place, &id))?;
            self.watch.wait(&pid)?;
            self.watch.run(&self.subjects[index].delete(&self.place, &id))?;
            let calls = self.system_calls(index)?;
            let name = self.subjects[index].name.clone();
            let shown = charge.map_or_else(|| "-".to_owned(), |charge| charge.to_string());
            let _ = writeln!(text, "| {name} | {pss} | {rss} | {shown} | {calls} |");
            let own = [("pss", pss.parse().ok()), ("charge", charge.map(float)), ("calls", Some(float(calls as u64)))];
            for (work, value) in own.into_iter().filter_map(|(work, value)| Some((work, value?))) {
                self.figures.push(Figure::new(&self.view, work, &name, value));
            }
        }
        Ok(text)
    }

    /// How many system calls a `run` makes, in all its processes.
    fn system_calls(&mut self, subject: usize) -> Result<usize, String> {
        let id = self.fresh();
        let log = self.place.dir.join("strace");
        let mut strace = program("strace");
        strace.args(["-f", "-qq", "-o"]).arg(&log);
        output(strace.args(self.subjects[subject].run(&self.place, &id, Payload::Once)))?;
        let log = fs::read(&log).map_err(|error| format!("strace's log: {error}"))?;
        let log = String::from_utf8_lossy(&log);
        Ok(log.lines().filter(|line| is_call(line)).count())
    }
}

/// KiB that are charged to the memory cgroup (version 1) of process `pid`, if it has one of its own.
fn charged(pid: &str) -> Option<u64> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = groups.lines().find_map(|line| line.split_once(":memory:")).map(|(_, path)| path)?;
    let usage = fs::read_to_string(format!("/sys/fs/cgroup/memory{path}/memory.usage_in_bytes")).ok()?;
    Some(usage.trim().parse::<u64>().ok()? / 1024).filter(|_| path.contains("bench-"))
}

/// Fisher and Yates; the numbers come from the clock through a xorshift.
pub(super) fn shuffle(order: &mut [usize]) {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut state = (clock.as_nanos() as u64) | 1;
    for last in (1..order.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(last, (state % (last as u64 + 1)) as usize);
    }
}

/// Whether a line of strace's log begins a system call: not its resumption, a signal or an end.
fn is_call(line: &str) -> bool {
    let rest = line.trim_start_matches(|letter: char| letter.is_ascii_digit()).trim_start();
    !rest.is_empty() && !["<...", "---", "+++"].iter().any(|mark| rest.starts_with(mark))
}

/// The number after `name` in a document of /proc.
fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)).and_then(|rest| rest.split_whitespace().next()).unwrap_or("-")
}

/// The median of the ratios within each round, which a change of the machine's mood between rounds does not move.
fn ratio(samples: &[Vec<Sample>], to: &[Vec<Sample>]) -> f64 {
    median(samples.iter().zip(to).map(|(one, other)| float(one[0].wall) / float(other[0].wall)).collect())
}

fn median_of(values: &[u64]) -> f64 {
    median(values.iter().copied().map(float).collect())
}

/// Exact for whatever a measurement here can be.
#[allow(clippy::cast_precision_loss)]
pub(super) fn float(value: u64) -> f64 {
    value as f64
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn lines_of_strace() {
        assert!(is_call("1234  openat(AT_FDCWD, \"/\", O_RDONLY) = 3"));
        assert!(is_call("openat(AT_FDCWD, \"/\", O_RDONLY) = 3"));
        assert!(!is_call("1234  <... wait4 resumed>) = 5"));
        assert!(!is_call("1234  +++ exited with 0 +++"));
        assert!(!is_call("1234  --- SIGCHLD {} ---"));
    }

    #[test]
    fn fields_of_proc() {
        assert_eq!(field("Rss:    40 kB\nPss:     12 kB\n", "Pss:"), "12");
        assert_eq!(field("", "Pss:"), "-");
    }

    #[test]
    fn the_document_is_adapted() {
        let default = "{\"ociVersion\": \"1.3.0\", \"terminal\": true, \"args\": [\"sh\"], \"path\": \"rootfs\"}";
        let document = adapt(default, "/r", "\"/bin/payload\"").unwrap();
        assert_eq!(
            document,
            "{\"ociVersion\": \"1.0.2\", \"terminal\": false, \"args\": [\"/bin/payload\"], \"path\": \"/r\"}"
        );
        assert!(adapt("{}", "/r", "").is_err());
    }
}
