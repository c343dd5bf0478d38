// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask timeline`: draws the system calls of one `run`, of all its processes, in time: docs/pictures/timeline.svg.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::Outcome;
use crate::bench::contest::furnish;
use crate::bench::subject::{Payload, Subject};
use crate::bench::{VIEWS, from_view, yardstick};
use crate::shell::{cargo, output, program, root, run as execute, target};

/// One call: its process, when it began and how long it took in microseconds, and its name.
#[derive(Debug, Clone, PartialEq)]
struct Call {
    process: u32,
    begin: f64,
    length: f64,
    name: String,
}

/// What calls are for: a title, the colour in light and dark, and the beginnings of the names.
type Group = (&'static str, &'static str, &'static str, &'static [&'static str]);

const GROUPS: &[Group] = &[
    ("mounts", "#2a6f97", "#61a5c2", &["mount", "fs", "move_mount", "open_tree", "pivot", "umount", "syscall_0x1d3"]),
    ("processes", "#9b2226", "#e5686c", &["clone", "exec", "wait", "exit", "pidfd"]),
    ("capabilities, ids", "#6a4c93", "#b79ced", &["prctl", "cap", "set", "umask", "prlimit", "keyctl", "sched"]),
    ("device filter", "#bb6c00", "#f4a259", &["bpf"]),
    ("messages, waiting", "#8d99ae", "#6c7a92", &["ppoll", "recv", "send", "socket", "signalfd", "rt_sig", "flock"]),
    ("files, paths", "#386641", "#8cc084", &[""]),
];

/// `cargo xtask timeline`
pub(crate) fn run(args: &[String]) -> Outcome {
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {}
        ["--inside", view] => return inside(view),
        _ => return Err("usage: cargo xtask timeline".into()),
    }
    execute(&mut cargo(["build", "--release", "--package", "insula"]))?;
    yardstick::build(&target().join("bench"))?;
    let (view, _, prepare) = VIEWS[0];
    let calls = parse(&from_view(prepare, &["timeline", "--inside", view])?);
    let path = root().join("docs/pictures/timeline.svg");
    std::fs::write(&path, draw(&calls)).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{}: {} calls", path.display(), calls.len());
    Ok(ExitCode::SUCCESS)
}

/// Prints strace's log of the quickest of several runs.
fn inside(view: &str) -> Outcome {
    let dir = PathBuf::from(format!("/dev/shm/insula-timeline-{}", std::process::id()));
    let logs = (|| {
        let place = furnish(view, &dir, &target())?;
        let subjects = Subject::all(&target());
        let insula = subjects.iter().find(|subject| subject.name == "insula").ok_or("insula is not built")?;
        let one = |number: usize| {
            let log = dir.join("log");
            let mut strace = program("strace");
            strace.args(["-f", "-qq", "-ttt", "-T", "-o"]).arg(&log);
            output(strace.args(insula.run(
                &place,
                &format!("timeline-{}-{number}", std::process::id()),
                Payload::Once,
            )))?;
            std::fs::read(&log).map_err(|error| format!("{}: {error}", log.display()))
        };
        (0..9).map(one).collect::<Result<Vec<_>, String>>()
    })();
    let removed = std::fs::remove_dir_all(&dir);
    let logs: Vec<String> = logs?.iter().map(|log| String::from_utf8_lossy(log).into_owned()).collect();
    let length = |log: &&String| parse(log).last().map_or(u64::MAX, |call| (call.begin + call.length) as u64);
    print!("{}", logs.iter().min_by_key(length).ok_or("no run was traced")?);
    removed.map_err(|error| format!("{}: {error}", dir.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The calls of a log of `strace -f -ttt -T`, from the first one's begin on.
fn parse(log: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open: BTreeMap<u32, usize> = BTreeMap::new();
    for line in log.lines() {
        let mut words = line.split_whitespace();
        let (Some(process), Some(time)) = (words.next().and_then(|word| word.parse().ok()), words.next()) else {
            continue;
        };
        let Ok(time) = time.parse::<f64>() else { continue };
        let rest = words.collect::<Vec<_>>().join(" ");
        let length = rest.rsplit_once('<').and_then(|(_, end)| end.strip_suffix('>')?.parse::<f64>().ok());
        let (begin, length) = (time * 1e6, length.unwrap_or(0.0) * 1e6);
        if rest.starts_with("<...") {
            if let Some(call) = open.remove(&process).and_then(|at| calls.get_mut(at)) {
                call.length = length;
            }
        } else if let Some((name, _)) = rest.split_once('(').filter(|(name, _)| !name.contains([' ', '+', '-'])) {
            if rest.contains("<unfinished") {
                open.insert(process, calls.len());
            }
            calls.push(Call { process, begin, length, name: name.to_owned() });
        }
    }
    let first = calls.first().map_or(0.0, |call| call.begin);
    for call in &mut calls {
        call.begin -= first;
    }
    calls
}

fn group(name: &str) -> usize {
    let is_of = |group: &&Group| group.3.iter().any(|begin| name.starts_with(begin));
    GROUPS.iter().position(|group| is_of(&group)).unwrap_or(GROUPS.len() - 1)
}

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 70.0;
const LANE: f64 = 46.0;
const TOP: f64 = 40.0;

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// One lane for each process; a bar for each call, as long as it took.
fn draw(calls: &[Call]) -> String {
    let end = calls.iter().map(|call| call.begin + call.length).fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - 10.0) / end;
    let mut processes: Vec<u32> = Vec::new();
    for call in calls {
        if !processes.contains(&call.process) {
            processes.push(call.process);
        }
    }
    let bottom = TOP + LANE * count(processes.len());
    let height = bottom + 60.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"System calls of one run, in time\">\n<style>\ntext {{ font: 12px sans-serif; fill: #222 }}\n.page {{ fill: #fff }}\n.axis {{ stroke: #999 }}\n"
    );
    for dark in [false, true] {
        if dark {
            svg.push_str("@media (prefers-color-scheme: dark) {\ntext { fill: #ddd }\n.page { fill: #0d1117 }\n");
        }
        for (number, group) in GROUPS.iter().enumerate() {
            let _ = writeln!(svg, ".g{number} {{ fill: {} }}", if dark { group.2 } else { group.1 });
        }
    }
    // A reader's page may be dark where the system is light.
    svg.push_str("}\n</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n");
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"16\">{} system calls of one run, under strace, which makes each some 20 µs longer</text>",
        calls.len()
    );
    for (lane, process) in processes.iter().enumerate() {
        let y = TOP + LANE * count(lane);
        let name = if lane == 0 { "insula" } else { "init" };
        let own = calls.iter().filter(|call| call.process == *process);
        let _ = writeln!(svg, "<text x=\"4\" y=\"{}\">{name}</text>", y + 16.0);
        let _ = writeln!(svg, "<text x=\"4\" y=\"{}\">{} calls</text>", y + 32.0, own.clone().count());
        for call in own {
            let _ = writeln!(
                svg,
                "<rect class=\"g{}\" x=\"{:.2}\" y=\"{y}\" width=\"{:.2}\" height=\"{}\"><title>{}: {:.0} µs, at {:.0} µs</title></rect>",
                group(&call.name),
                LEFT + call.begin * scale,
                (call.length * scale).max(0.4),
                LANE - 10.0,
                call.name,
                call.length,
                call.begin,
            );
        }
    }
    let _ =
        writeln!(svg, "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{}\" y2=\"{bottom}\"/>", WIDTH - 10.0);
    for tick in 0..=(end / 1000.0) as u32 {
        let x = LEFT + f64::from(tick) * 1000.0 * scale;
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick} ms</text>", bottom + 16.0);
    }
    let mut x = LEFT;
    for (number, group) in GROUPS.iter().enumerate() {
        let y = bottom + 36.0;
        let _ = writeln!(svg, "<rect class=\"g{number}\" x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\"/>", y - 10.0);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{y}\">{}</text>", x + 16.0, group.0);
        x += 40.0 + 7.0 * count(group.0.len());
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "7 10.000001 close(3) = 0 <0.000004>\n7 10.000011 read(3,  <unfinished ...>\n\
                       8 10.000012 bpf(1) = 3 <0.000050>\n7 10.000031 <... read resumed>\"\") = 0 <0.000020>\n7 10.1 +++ exited with 0 +++\n";

    #[test]
    fn a_log_becomes_calls() {
        let calls = parse(LOG);
        let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(names, ["close", "read", "bpf"]);
        assert!((calls[1].length - 20.0).abs() < 0.01 && (calls[2].begin - 11.0).abs() < 0.5);
        assert_eq!((group("bpf"), group("close")), (3, GROUPS.len() - 1));
    }

    #[test]
    fn every_call_is_drawn() {
        let svg = draw(&parse(LOG));
        assert_eq!(svg.matches("<title>").count(), 3);
        assert!(svg.contains(">init<") && svg.contains("prefers-color-scheme: dark"));
    }
}
