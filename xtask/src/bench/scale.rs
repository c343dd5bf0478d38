// SPDX-License-Identifier: Apache-2.0
//! What grows: a host with many mounts, many containers, many callers.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::contest::{Contest, float, median, shuffle};
use super::figures::Figure;
use super::stopwatch::Stopwatch;
use super::subject::Payload;

/// Mounts of a busy host.
const MOUNTS: usize = 1000;
/// Containers at a time.
const CONTAINERS: usize = 500;
/// How many count as the first, and as the last.
const TENTH: usize = CONTAINERS / 10;
/// Callers at the same time, and how many containers each of them makes.
const CALLERS: usize = 8;
const EACH: usize = 12;
const REPEATS: usize = 3;

pub(super) fn measure(contest: &mut Contest, rounds: usize, target: &Path) -> Result<String, String> {
    Ok(mounts(contest, rounds, target)? + &many(contest)? + &parallel(contest)?)
}

/// `create` on a host as it is, and with a thousand mounts, in turn.
fn mounts(contest: &mut Contest, rounds: usize, target: &Path) -> Result<String, String> {
    eprintln!("  `create` on a host with {MOUNTS} mounts");
    let script = "mkdir -p \"$1\" && mount -t tmpfs none \"$1\" && cd \"$1\" && i=$(wc -l </proc/self/mountinfo) && \
                  while [ $i -lt \"$2\" ]; do mkdir $i && mount --bind $i $i || exit 1; i=$((i + 1)); done && cd / && exec \"$3\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--", "sh", "-c", script, "sh"]);
    command.arg(contest.place.dir.join("many-mounts")).arg(MOUNTS.to_string()).arg(target.join("bench/stopwatch"));
    let mut busy = Stopwatch::start_by(&mut command, &contest.place.dir.join("errors"))?;
    let few = std::fs::read_to_string("/proc/self/mountinfo").map_or(0, |table| table.lines().count());
    let mut rows = vec![Vec::new(); contest.subjects.len()];
    let mut order: Vec<usize> = (1..rows.len()).collect();
    for round in 0..=rounds {
        shuffle(&mut order);
        for &subject in &order {
            let mut pair = [0.0; 2];
            // Which comes first changes, too.
            for at in [round % 2, 1 - round % 2] {
                let id = contest.fresh();
                let create = contest.subjects[subject].create(&contest.place, &id, Payload::Waits);
                let delete = contest.subjects[subject].delete_force(&contest.place, &id);
                let watch = if at == 0 { &mut contest.watch } else { &mut busy };
                pair[at] = float(watch.run(&create)?.wall) / 1e6;
                watch.run_reaping(&delete)?;
            }
            if round > 0 {
                rows[subject].push(pair);
            }
        }
    }
    let mut text = format!(
        "\n**`create` on a host with many mounts**\n\n| | {few} mounts, ms | {MOUNTS} mounts, ms | × |\n|---|---:|---:|---:|\n"
    );
    for (subject, pairs) in contest.subjects.iter().zip(&rows).skip(1) {
        let column = |at: usize| median(pairs.iter().map(|pair| pair[at]).collect());
        let ratio = median(pairs.iter().map(|pair| pair[1] / pair[0]).collect());
        let _ = writeln!(text, "| {} | {:.2} | {:.2} | {ratio:.2} |", subject.name, column(0), column(1));
        contest.figures.push(Figure::new(&contest.view, "mounts", &subject.name, ratio));
    }
    Ok(text)
}

/// Five hundred of insula's containers: all created, then all started, then all deleted.
fn many(contest: &mut Contest) -> Result<String, String> {
    eprintln!("  {CONTAINERS} containers");
    let ids: Vec<String> = (0..CONTAINERS).map(|_| contest.fresh()).collect();
    let mut text = format!(
        "\n**{CONTAINERS} containers of insula at a time**\n\n| | median ms | the first {TENTH} | the last {TENTH} | × |\n\
         |---|---:|---:|---:|---:|\n"
    );
    let mut list = f64::NAN;
    for verb in ["create", "start", "delete"] {
        let mut times = Vec::with_capacity(CONTAINERS);
        for id in &ids {
            let subject = &contest.subjects[1];
            let sample = match verb {
                "create" => contest.watch.run(&subject.create_plainly(&contest.place, id, Payload::Waits))?,
                "start" => contest.watch.run(&subject.start(&contest.place, id))?,
                _ => contest.watch.run_reaping(&subject.delete_force(&contest.place, id))?,
            };
            times.push(float(sample.wall) / 1e6);
        }
        if verb == "create" {
            let words = contest.subjects[1].list(&contest.place);
            let samples = (0..9).map(|_| contest.watch.run(&words)).collect::<Result<Vec<_>, _>>()?;
            list = median(samples.iter().map(|sample| float(sample.wall) / 1e6).collect());
        }
        let (first, last) = (median(times[..TENTH].to_vec()), median(times[CONTAINERS - TENTH..].to_vec()));
        let name = if verb == "delete" { "delete --force" } else { verb };
        let _ = writeln!(text, "| `{name}` | {:.2} | {first:.2} | {last:.2} | {:.2} |", median(times), last / first);
        contest.figures.push(Figure::new(&contest.view, format!("many.{verb}"), "insula", last / first));
    }
    contest.figures.push(Figure::new(&contest.view, "list.ms", "insula", list));
    let _ = writeln!(text, "\n`list` of all {CONTAINERS}: {list:.2} ms.");
    Ok(text)
}

/// Eight callers at once create containers; the runtimes take turns.
fn parallel(contest: &mut Contest) -> Result<String, String> {
    eprintln!("  {CALLERS} callers at once");
    let mut rates = vec![Vec::new(); contest.subjects.len()];
    for _ in 0..REPEATS {
        for (subject, rates) in rates.iter_mut().enumerate().skip(1) {
            let ids: Vec<String> = (0..CALLERS * EACH).map(|_| contest.fresh()).collect();
            let (place, one) = (&contest.place, &contest.subjects[subject]);
            let begun = Instant::now();
            let failures: Vec<String> = std::thread::scope(|scope| {
                let work = |ids: Vec<String>| {
                    ids.iter().find_map(|id| perform(&one.create_plainly(place, id, Payload::Waits)).err())
                };
                let callers: Vec<_> = ids.chunks(EACH).map(|ids| scope.spawn(move || work(ids.to_vec()))).collect();
                callers
                    .into_iter()
                    .filter_map(|caller| caller.join().unwrap_or(Some("a caller panicked".into())))
                    .collect()
            });
            let rate = float(ids.len() as u64) / begun.elapsed().as_secs_f64();
            for id in &ids {
                contest.watch.run_reaping(&contest.subjects[subject].delete_force(&contest.place, id))?;
            }
            if let Some(reason) = failures.first() {
                return Err(reason.clone());
            }
            rates.push(rate);
        }
    }
    let mut text = format!(
        "\n**{CALLERS} callers at once, {} containers created**\n\n| | created per second | insula × |\n|---|---:|---:|\n",
        CALLERS * EACH
    );
    let rates: Vec<f64> = rates.into_iter().map(median).collect();
    for (subject, rate) in contest.subjects.iter().zip(&rates).skip(1) {
        let _ = writeln!(text, "| {} | {rate:.0} | {:.2} |", subject.name, rates[1] / rate);
        contest.figures.push(Figure::new(&contest.view, "parallel.insula", &subject.name, rates[1] / rate));
    }
    Ok(text)
}

fn perform(words: &[String]) -> Result<(), String> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().map_err(|error| format!("{}: {error}", words[0]))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", words.join(" "))) }
}
